import { expect } from 'chai';
import { canonical } from '../canonical.ts';
import {
  type Checkpoint,
  chainRefusal,
  checkpointHash,
  cutCheckpoint,
  describes,
  hasGoodSignatures,
  inTransit,
  isBetter,
  readCheckpoint,
  withRules,
} from '../checkpoint.ts';
import { asciiBytes } from '../envelope.ts';
import { float, parse } from '../json.ts';
import type { Statistics } from '../statistics.ts';
import { zeros } from '../tree.ts';
import type { JsonObject } from '../types.ts';
import { isGenuine } from './fixtures/genuine.ts';
import * as ta from './fixtures/test-authority.ts';

const cutter = ta.testKey('cutter');
const world = { ...ta.testWorld(), sign: (message: Uint8Array) => ta.signBy(cutter, message) };
const statistics: Statistics = {
  totalCommits: 500,
  totalAgents: 50,
  avgConfidence: 0.72,
  acceptedRules: ['rule_0123456789abcdef', 'rule_0123456789abcdf0'],
};
const root = ta.sha256('root');

const cut = (previous: Checkpoint | null = null, timestamp = 1_700_000_000.5, counted = statistics) =>
  cutCheckpoint({ previous, timestamp, stateRoot: root, statistics: counted, publicKey: cutter.raw, world });

/** As another node reads it. */
const received = (checkpoint: Checkpoint, change: JsonObject = {}) =>
  readCheckpoint(parse(canonical({ ...checkpoint.object, ...change })));

const entry = (key: ta.TestKey, hash: string) => Buffer.concat([key.raw, ta.signBy(key, asciiBytes(hash))]);
const signed = (hash: string, ...entries: Uint8Array[]) => ({
  hash,
  signature: Buffer.concat(entries).toString('base64'),
});

describe('a checkpoint (§8)', () => {
  it('has the form of §6.2 and a hash over all but hash and signature', () => {
    const first = cut();
    const { hash, signature, ...covered } = first.object;
    expect(canonical(covered)).to.equal(
      `{"accepted_rules": ["rule_0123456789abcdef", "rule_0123456789abcdf0"], "height": 1, "previous_hash": "${zeros}", "state_root": "${root}", "statistics": {"avg_confidence": 0.72, "total_agents": 50, "total_commits": 500}, "timestamp": 1700000000.5}`,
    );
    expect(hash).to.equal(ta.sha256(canonical(covered)));
    expect(Buffer.from(signature as string, 'base64')).to.deep.equal(entry(cutter, hash as string));
    const second = cut(first);
    expect(second).to.include({ height: 2, previousHash: first.hash });
  });

  it('holds when it is received, unknown members included', () => {
    const checkpoint = received(cut())!;
    expect(isGenuine(checkpoint, world)).to.equal(true);
    expect(describes(checkpoint, statistics)).to.equal(true);
    const extended: JsonObject = { ...cut().object, note: { x: float(1) } };
    const hash = checkpointHash(extended, ta.sha256);
    const other = readCheckpoint(parse(canonical({ ...extended, ...signed(hash, entry(cutter, hash)) })))!;
    expect(isGenuine(other, world)).to.equal(true);
  });

  for (const [name, change] of [
    ['height', { height: 2 }],
    ['hash', { hash: ta.sha256('x') }],
    ['previous_hash', { previous_hash: ta.sha256('x') }],
    ['timestamp', { timestamp: float(1_700_000_001) }],
    ['timestamp form', { timestamp: float(1_700_000_000) }],
    ['state_root', { state_root: ta.sha256('x') }],
    ['accepted_rules', { accepted_rules: [] }],
    ['statistics', { statistics: { total_commits: 501, total_agents: 50, avg_confidence: float(0.72) } }],
    ['a new member', { extra: 1 }],
    ['the signature', { signature: entry(cutter, ta.sha256('x')).toString('base64') }],
    ['an empty signature', { signature: '' }],
  ] as [string, JsonObject][]) {
    it(`does not hold with another ${name}`, () => {
      expect(isGenuine(received(cut(), change)!, world)).to.equal(false);
    });
  }

  for (const [name, change] of [
    ['height 0', { height: 0 }],
    ['height 1.0', { height: float(1) }],
    ['height 2^53', { height: 2n ** 53n }],
    ['height as a string', { height: '1' }],
    ['a hash in capitals', { hash: 'A'.repeat(64) }],
    ['a short previous_hash', { previous_hash: 'a'.repeat(63) }],
    ['state_root null', { state_root: null }],
    ['a timestamp that is no number', { timestamp: '1' }],
    ['accepted_rules as a string', { accepted_rules: 'rule_' }],
    ['accepted_rules of numbers', { accepted_rules: [1] }],
    ['no statistics', { statistics: null }],
    ['statistics without a member', { statistics: { total_commits: 1, total_agents: 1 } }],
    [
      'statistics that are no numbers',
      { statistics: { total_commits: '1', total_agents: 1, avg_confidence: 0 } },
    ],
    ['a signature that is no string', { signature: 1 }],
  ] as [string, JsonObject][]) {
    it(`has another form with ${name}`, () => expect(received(cut(), change)).to.equal(null));
  }

  it('may be no object, or lack any member', () => {
    for (const value of [undefined, null, [], 1, 'x', {}]) expect(readCheckpoint(value)).to.equal(null);
    const whole = cut().object;
    for (const name of Object.keys(whole)) {
      const { [name]: _left, ...rest } = whole;
      expect(readCheckpoint(rest), name).to.equal(null);
    }
    expect(received(cut(), { height: 2 ** 53 - 1 })).to.not.equal(null);
  });

  it('has one or more signatures, strictly ascending by key, all of them good', () => {
    const hash = cut().hash;
    const [low, high] = [cutter, ta.testKey('second')].sort((a, b) => Buffer.compare(a.raw, b.raw)) as [
      ta.TestKey,
      ta.TestKey,
    ];
    const good = (...entries: Uint8Array[]) => hasGoodSignatures(signed(hash, ...entries), world.verify);
    expect(good(entry(low, hash))).to.equal(true);
    expect(good(entry(low, hash), entry(high, hash))).to.equal(true);
    expect(good(entry(high, hash), entry(low, hash)), 'descending').to.equal(false);
    expect(good(entry(low, hash), entry(low, hash)), 'twice').to.equal(false);
    expect(good(entry(low, hash), entry(high, ta.sha256('x'))), 'one bad').to.equal(false);
    expect(good(), 'none').to.equal(false);
    expect(good(entry(low, hash).subarray(1)), 'cut off').to.equal(false);
    expect(good(entry(low, hash), Buffer.alloc(1)), 'a byte more').to.equal(false);
    const overBytes = Buffer.concat([low.raw, ta.signBy(low, Buffer.from(hash, 'hex'))]);
    expect(good(overBytes), 'over the raw hash').to.equal(false);
    const loose = { hash, signature: `${signed(hash, entry(low, hash)).signature}\n` };
    expect(hasGoodSignatures(loose, world.verify), 'loose base64').to.equal(false);
  });

  it('travels without its rules where they do not fit, and gets them back', () => {
    const whole = cut();
    const bytes = canonical(whole.object).length;
    expect(inTransit(whole, bytes)).to.equal(whole.object);
    const transit = readCheckpoint(parse(canonical(inTransit(whole, bytes - 1))))!;
    expect(transit.acceptedRules).to.equal(null);
    expect(describes(transit, statistics)).to.equal(false);
    expect(() => isGenuine(transit, world)).to.throw();
    const restored = withRules(transit, statistics);
    expect(isGenuine(restored, world)).to.equal(true);
    expect(describes(restored, statistics)).to.equal(true);
    expect(isGenuine(withRules(transit, { ...statistics, acceptedRules: [] }), world)).to.equal(false);
  });

  it('describes its set by numbers, however they are written', () => {
    const other = received(cut(), {
      statistics: { total_commits: float(500), total_agents: 50, avg_confidence: float(0.72) },
    })!;
    expect(describes(other, statistics)).to.equal(true);
    const whole = received(cut(null, 1, { ...statistics, avgConfidence: 1 }), {
      statistics: { total_commits: 500, total_agents: 50, avg_confidence: 1 },
    })!;
    expect(describes(whole, { ...statistics, avgConfidence: 1 })).to.equal(true);
    for (const change of [
      { totalCommits: 501 },
      { totalAgents: 51 },
      { avgConfidence: 0.7200000000000001 },
      { acceptedRules: ['rule_0123456789abcdef'] },
      { acceptedRules: [...statistics.acceptedRules].reverse() },
    ]) {
      expect(describes(cut(), { ...statistics, ...change }), JSON.stringify(change)).to.equal(false);
    }
    const huge = received(cut(), {
      statistics: { total_commits: 10n ** 30n, total_agents: 50, avg_confidence: float(0.72) },
    })!;
    expect(describes(huge, statistics)).to.equal(false);
  });

  it('is better when it is higher, or equally high with the lower hash', () => {
    const at = (height: number, hash: string) => ({ height, hash });
    expect(isBetter(at(1, 'f'), null)).to.equal(true);
    expect(isBetter(at(2, 'f'), at(1, '0'))).to.equal(true);
    expect(isBetter(at(1, '0'), at(2, 'f'))).to.equal(false);
    expect(isBetter(at(2, '0'), at(2, 'f'))).to.equal(true);
    expect(isBetter(at(2, 'f'), at(2, '0'))).to.equal(false);
    expect(isBetter(at(2, 'f'), at(2, 'f'))).to.equal(false);
  });
});

describe('the chain of checkpoints (§8)', () => {
  const birth = 1_600_000_000;
  const base = {
    own: null,
    predecessor: null,
    nowSeconds: 1_700_000_000,
    authorityNotBeforeMs: birth * 1000,
    checkpointIntervalMs: 60_000,
  };
  const first = cut(null, 1_699_999_000);
  const second = cut(first, 1_699_999_060);
  const at = (height: number, timestamp: number, previousHash = height === 1 ? zeros : ta.sha256('p')) => ({
    ...first,
    height,
    timestamp,
    previousHash,
  });
  const refused = (checkpoint: Checkpoint, change: Partial<Parameters<typeof chainRefusal>[1]> = {}) =>
    chainRefusal(checkpoint, { ...base, ...change }) !== null;

  it('begins with 64 zeros and only there', () => {
    expect(refused(first)).to.equal(false);
    expect(refused(at(1, birth, ta.sha256('p')))).to.equal(true);
    expect(refused(at(2, birth + 1, zeros))).to.equal(true);
  });

  it('goes up by one and not back in time', () => {
    expect(refused(second, { predecessor: first })).to.equal(false);
    expect(refused(second), 'an unknown predecessor').to.equal(false);
    expect(refused({ ...second, timestamp: first.timestamp }, { predecessor: first })).to.equal(false);
    expect(refused({ ...second, timestamp: first.timestamp - 0.001 }, { predecessor: first })).to.equal(true);
    expect(refused({ ...second, height: 3 }, { predecessor: first })).to.equal(true);
  });

  it('is at most 300 s ahead', () => {
    expect(refused(at(5, base.nowSeconds + 300))).to.equal(false);
    expect(refused(at(5, base.nowSeconds + 300.001))).to.equal(true);
  });

  it('is no higher than the network is old', () => {
    const bound = 2 + (2 * 1200) / 60;
    expect(refused(at(bound, birth + 1200))).to.equal(false);
    expect(refused(at(bound + 1, birth + 1200))).to.equal(true);
    expect(refused(at(2, birth))).to.equal(false);
    expect(refused(at(3, birth))).to.equal(true);
    expect(refused(at(1, birth - 30)), 'older than the CA').to.equal(false);
    expect(refused(at(1, birth - 30.001)), 'older than the CA').to.equal(true);
    expect(refused(at(2, birth - 30)), 'older than the CA').to.equal(true);
    expect(refused(at(bound, birth + 1200), { checkpointIntervalMs: 0 }), 'interval 0 counts 60').to.equal(
      false,
    );
    expect(refused(at(bound + 1, birth + 1200), { checkpointIntervalMs: 0 })).to.equal(true);
    expect(refused(at(2 + 2400, birth + 1200), { checkpointIntervalMs: 1000 })).to.equal(false);
  });

  it('is no higher above our own than time allows', () => {
    const own = at(100, 1_690_000_000);
    expect(refused(at(102, own.timestamp), { own })).to.equal(false);
    expect(refused(at(103, own.timestamp), { own })).to.equal(true);
    expect(refused(at(103, own.timestamp + 29.9), { own })).to.equal(true);
    expect(refused(at(103, own.timestamp + 30), { own })).to.equal(false);
    expect(refused(at(102, own.timestamp - 10_000), { own }), 'an older one').to.equal(false);
    expect(refused(at(103, own.timestamp - 10_000), { own }), 'an older one').to.equal(true);
  });
});
