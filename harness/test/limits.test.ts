/** Flood limits from made-up outcomes of an adversary. */
import { expect } from 'chai';
import { limits, maxPeers, noEffect } from '../checks/limits.ts';
import type { AdversaryRecord, History } from '../history.ts';
import type { Finding } from '../verdict.ts';
import { hashNamed, healthyHistory, lifeOf } from './history-fixture.ts';

describe('limits', () => {
  const flooded = (record: Partial<AdversaryRecord>): History => {
    const history = healthyHistory({
      extra: 'faults:\n  - {kind: adversary, behaviour: flood, target: node-2, at_s: 5, for_s: 9}\n',
    });
    const full: AdversaryRecord = {
      fault: 'flood-1',
      behaviour: 'flood',
      target: 'node-2',
      from: 7_000,
      until: 16_000,
      offered: {},
      outcomes: [],
      forbidden: [],
      mostPeers: 45,
      peersOpen: [{ at: 7_900, open: 45 }],
      detail: { bytesFrom: 7_000, bytesUntil: 12_000, bytesOffered: 12_500_000 },
      ...record,
    };
    history.adversaries.push(full);
    return history;
  };
  const peer = (outcome: string, at = 8_000): AdversaryRecord['outcomes'][number] => ({
    kind: 'peer',
    at,
    outcome,
    bytes: 0,
  });
  const severed = (history: History, kind: 'pause' | 'outage', from: number, until: number): History => {
    history.severings.push({ fault: 'x', kind, from, until, sides: [['node-2']] });
    return history;
  };
  const outcomes = (commits: number, queries: number, bytes: number): AdversaryRecord['outcomes'] => [
    ...Array.from({ length: 20 }, (_, n) => ({
      kind: 'commit' as const,
      at: 7_000 + n * 10,
      outcome: n < commits ? 'accepted' : 'RATE_LIMIT',
      bytes: 0,
    })),
    ...Array.from({ length: 60 }, (_, n) => ({
      kind: 'query' as const,
      at: 7_000 + n * 10,
      outcome: n < queries ? 'accepted' : 'RATE_LIMIT',
      bytes: 0,
    })),
    ...Array.from({ length: bytes }, (_, n) => ({
      kind: 'bytes' as const,
      at: 7_000 + (n * 8_000) / bytes,
      outcome: 'answered',
      bytes: 30_000,
    })),
    ...['accepted', 'TOO_MANY_PEERS 4429', 'TOO_MANY_PEERS 4429'].map((outcome) => peer(outcome)),
  ];

  it('hold, exactly', () => {
    const finding = limits(flooded({ outcomes: outcomes(10, 30, 300) }));
    expect(finding.verdict, finding.because).to.equal('pass');
    expect(maxPeers(flooded({ outcomes: outcomes(10, 30, 300) })).verdict).to.equal('pass');
  });

  it('say nothing of a node that has not answered all when the flood ends', () => {
    const slow = limits(flooded({ offered: { commit: 23 }, outcomes: outcomes(7, 30, 300) }));
    expect(slow.verdict, slow.because).to.equal('unknown');
    expect(slow.because).to.contain('node-2: 7 commits taken, 13 limited of 23');
    expect(limits(flooded({ offered: { commit: 20 }, outcomes: outcomes(7, 30, 300) })).verdict).to.equal(
      'fail',
    );
  });

  it('are broken by one message more, or one less', () => {
    expect(limits(flooded({ outcomes: outcomes(11, 30, 300) })).verdict).to.equal('fail');
    expect(limits(flooded({ outcomes: outcomes(10, 31, 300) })).verdict).to.equal('fail');
    expect(limits(flooded({ outcomes: outcomes(9, 30, 300) })).verdict).to.equal('fail');
    expect(limits(flooded({ outcomes: outcomes(10, 30, 400) })).verdict).to.equal('fail');
  });

  it('hold for a node that was held back and took the rest later, and say nothing of one that was never offered more', () => {
    const slowly = outcomes(10, 30, 410).map((each) =>
      each.kind === 'bytes' ? { ...each, at: 7_000 + (each.at - 7_000) * 1.45 } : each,
    );
    expect(limits(flooded({ outcomes: slowly })).verdict).to.equal('pass');
    const detail = { bytesFrom: 7_000, bytesUntil: 18_600, bytesOffered: 12_500_000 };
    expect(limits(flooded({ outcomes: slowly, detail })).verdict).to.equal('unknown');
  });

  it('are unknown when never reached', () => {
    expect(limits(flooded({ outcomes: outcomes(20, 60, 300) })).verdict).to.equal('fail');
    const few = outcomes(10, 30, 300).filter(({ outcome }) => outcome !== 'RATE_LIMIT');
    expect(limits(flooded({ outcomes: few })).verdict).to.equal('unknown');
    expect(limits(flooded({ outcomes: [] })).verdict).to.equal('unknown');
    expect(maxPeers(flooded({ outcomes: [peer('accepted')] })).verdict).to.equal('unknown');
  });

  it('catch a 51st peer, and a refusal in other words', () => {
    expect(maxPeers(flooded({ outcomes: outcomes(1, 1, 1), mostPeers: 51 })).verdict).to.equal('fail');
    const odd = [...outcomes(1, 1, 1), peer('no error 4429')];
    expect(maxPeers(flooded({ outcomes: odd })).verdict).to.equal('fail');
    // Half of a handshake when the target was killed.
    const killed = [...outcomes(1, 1, 1), peer('no error 1006', 10_000)];
    expect(maxPeers(severed(flooded({ outcomes: killed }), 'outage', 10_010, 12_000)).verdict).to.equal(
      'pass',
    );
  });

  it('count the peers that a full node has of its own', () => {
    const full = (own: number): Finding => {
      const history = flooded({ outcomes: outcomes(1, 1, 1) });
      const [links] = history.linkSamples.map((sample) => sample.links);
      const [mine, others] = [true, false].map((isMine) =>
        links!.filter(({ from, to, open }) => open === 1 && [from, to].includes('node-2') === isMine),
      );
      history.linkSamples = Array.from({ length: 11 }, (_, n) => ({
        at: n * 1_000,
        links: [...others!, ...mine!.slice(0, own)],
      }));
      // One more that was there only once.
      if (own < 5) history.linkSamples[1]!.links = [...others!, ...mine!];
      history.adversaries[0]!.mostPeers = 46;
      history.adversaries[0]!.peersOpen.push({ at: 7_950, open: 46 });
      return maxPeers(history);
    };
    expect(full(4).verdict).to.equal('pass');
    expect(full(4).because).to.match(/^node-2 had at most 50 peers, up to 46 of them/);
    expect(full(5).verdict).to.equal('fail');
    expect(full(5).because).to.equal('node-2 had 51 peers, 46 of them of one adversary; allowed are 50.');
  });

  it('say nothing of a target that forgot at a restart what it had counted', () => {
    const history = severed(flooded({ outcomes: outcomes(20, 60, 300) }), 'outage', 8_000, 9_000);
    expect(limits(history).verdict).to.equal('unknown');
  });

  it('forgive a target that was wiped or held what it then does, and no forgery', () => {
    const of = (kind: 'duplicate' | 'forged', outcome: string): History =>
      flooded({ outcomes: [{ kind, at: 12_000, outcome, bytes: 0 }] });
    const again = of('duplicate', 'accepted');
    expect(noEffect(again).verdict).to.equal('fail');
    again.lives.push(lifeOf('node-2', { number: 1, startedAt: 10_000, wiped: true }));
    expect(noEffect(again).verdict).to.equal('pass');
    const open = of('forged', 'not closed');
    expect(noEffect(open).verdict).to.equal('fail');
    expect(noEffect(severed(open, 'pause', 5_000, 9_000)).verdict).to.equal('pass');
    const believed = severed(of('forged', 'accepted'), 'pause', 5_000, 9_000);
    expect(noEffect(believed).verdict).to.equal('fail');
    const crowded = of('forged', 'not closed');
    crowded.host.overloaded = true;
    expect(noEffect(crowded).verdict).to.equal('unknown');
  });

  it('find refused items that were kept all the same', () => {
    const history = flooded({ outcomes: outcomes(10, 30, 300), forbidden: [hashNamed('x')] });
    expect(noEffect(history).verdict).to.equal('pass');
    history.census[1]!.forbidden = [hashNamed('x')];
    expect(noEffect(history).culprits).to.deep.equal([history.census[1]!.node]);
  });

  it('find a forger that is believed, or put up with', () => {
    const forged = (outcome: string): Finding =>
      noEffect(flooded({ outcomes: [{ kind: 'forged', at: 7_100, outcome, bytes: 0 }] }));
    expect(forged('INVALID_SIGNATURE').verdict).to.equal('pass');
    expect(forged('accepted').verdict).to.equal('fail');
    expect(forged('not closed').verdict).to.equal('fail');
  });
});
