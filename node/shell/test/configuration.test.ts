/** Every way of getting the configuration wrong: one line naming the file, the key and what is allowed (§10). */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { ConfigurationError, checkConfiguration, readConfiguration } from '../configuration.ts';
import { parseAddress } from '../endpoint.ts';
import { loadIdentity } from '../identity.ts';
import { toItemBody } from '../item-body.ts';
import { parsePlainYaml } from '../plain-yaml.ts';
import { loadSigning } from '../signing.ts';
import { createSurroundings } from '../world.ts';
import { good, KEY, wrong } from './configuration-cases.ts';
import { createTestNet, type TestNet, wireConfiguration } from './fixtures/shell-net.ts';

function complaint(raw: unknown): string {
  try {
    checkConfiguration(raw, 'node.yaml');
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigurationError);
    expect((error as Error).message).to.not.include('\n');
    return (error as Error).message;
  }
  return 'accepted';
}

describe('shell: configuration', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cle-configuration-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('takes the example of §10, with the defaults of the profile', () => {
    const configuration = checkConfiguration({
      ...good,
      hosts: { 'node-1': '127.1.2.3' },
      metrics: '[::]:9100',
    });
    expect(configuration.listen).to.deep.equal({ host: '0.0.0.0', port: 8888 });
    expect(configuration.metrics).to.deep.equal({ host: '::', port: 9100 });
    expect(configuration.bootstrap).to.deep.equal([{ address: 'node-1:8888', publicKeyBase64: KEY }]);
    expect(configuration.hosts.get('node-1')).to.equal('127.1.2.3');
    expect(configuration.parameters).to.deep.equal({
      fanout: 3,
      ttl: 3,
      cacheTtlMs: 60_000,
      heartbeatIntervalMs: 30_000,
      peerTimeoutMs: 90_000,
      antiEntropyIntervalMs: 1000,
      checkpointIntervalMs: 60_000,
      targetPeers: 10,
      maxPeers: 50,
      bucketSize: 20,
      handshakeTimeoutMs: 5000,
      commitsPerMinute: 10,
      queriesPerMinute: 30,
      bytesPerSecond: 1_048_576,
    });
  });

  it('takes overrides, also 0 where that switches something off', () => {
    const parameters = { anti_entropy_interval_s: 0, checkpoint_interval_s: 0, fanout: 4, cache_ttl_s: 0.25 };
    const checked = checkConfiguration({ ...good, parameters }).parameters;
    expect(checked).to.include({
      antiEntropyIntervalMs: 0,
      checkpointIntervalMs: 0,
      fanout: 4,
      cacheTtlMs: 250,
    });
  });

  for (const key of Object.keys(good)) {
    it(`names a missing ${key}`, () => {
      const { [key as keyof typeof good]: _, ...rest } = good;
      expect(complaint(rest)).to.equal(`node.yaml: ${key}: is missing`);
    });
  }

  for (const [key, change, allowed] of wrong) {
    it(`names ${key} for ${JSON.stringify(change)}`, () => {
      const line = complaint({ ...good, ...change });
      expect(line.startsWith(`node.yaml: ${key}: `), line).to.equal(true);
      expect(line).to.match(allowed);
    });
  }

  it('reads a file, and says what is wrong with one that is no YAML, twice the same key, or not there', async () => {
    const file = join(folder, 'node.yaml');
    writeFileSync(file, stringify(good));
    expect((await readConfiguration(file)).agentId).to.equal('agent_7');
    const failure = async (text: string) => {
      writeFileSync(file, text);
      return readConfiguration(file).then(
        () => 'accepted',
        (error: Error) => error.message,
      );
    };
    expect(await failure('agent_id: [')).to.match(/^.*node\.yaml:1: is no valid YAML: [^\n]+$/);
    expect(await failure(`${stringify(good)}agent_id: again\n`)).to.match(
      /^.*node\.yaml:\d+: is no valid YAML: [^\n]*unique/,
    );
    expect(await failure('just text')).to.match(/must be a map/);
    expect(await failure('')).to.match(/must be a map/);
    const missing = await readConfiguration(join(folder, 'none.yaml')).catch((error: Error) => error.message);
    expect(missing).to.match(/none\.yaml: cannot be read: ENOENT[^\n]*CLE_CONFIG/);
  });

  it('reads addresses with names, IPv4 and IPv6', () => {
    expect(parseAddress('[::1]:8888')).to.deep.equal({ host: '::1', port: 8888 });
    expect(parseAddress('localhost:1')).to.deep.equal({ host: 'localhost', port: 1 });
    for (const bad of [
      '::1:8888',
      'a:b:1',
      '[::1]',
      'a:',
      ':1',
      'a:99999',
      'a b:1',
      'a:1 ',
      'a/b:1',
      '[x y]:1',
    ]) {
      expect(parseAddress(bad), bad).to.equal(null);
    }
  });
});

describe('shell: identity', () => {
  let net: TestNet;
  let foreign: TestNet;
  before(async () => {
    [net, foreign] = await Promise.all([createTestNet(), createTestNet()]);
  });
  after(() => {
    net.end();
    foreign.end();
  });

  const load = async (change: Record<string, unknown>) => {
    const identity = await net.issue('own');
    const signing = await loadSigning();
    const configuration = checkConfiguration(
      { ...wireConfiguration(identity, '/nowhere'), ...change },
      'node.yaml',
    );
    return loadIdentity(configuration, signing, createSurroundings(signing));
  };
  const failure = (change: Record<string, unknown>) =>
    load(change).then(
      () => 'accepted',
      (error: Error) => {
        expect(error).to.be.instanceOf(ConfigurationError);
        return error.message;
      },
    );

  it('takes what agrees', async () => {
    const own = await load({});
    expect(own.identity.agentId).to.equal('agent_own');
    expect(own.identity.nodeId).to.match(/^node_[0-9a-f]{40}$/);
  });

  it('names the key of the configuration that does not agree', async () => {
    const other = await net.issue('other');
    const stranger = await foreign.issue('own');
    const late = await net.issue('late', { notAfterMs: Date.now() - 1000 });
    expect(await failure({ key_file: '/no/such.key' })).to.match(
      /^node\.yaml: key_file: cannot be read: ENOENT/,
    );
    expect(await failure({ key_file: other.keyFile })).to.match(
      /^node\.yaml: key_file: .* is not the one that .* certifies$/,
    );
    expect(await failure({ key_file: net.caFile })).to.match(/^node\.yaml: key_file: .* PKCS#8 PEM$/);
    expect(await failure({ agent_id: 'agent_x' })).to.match(
      /^node\.yaml: agent_id: is agent_x, but .* proves agent_own$/,
    );
    expect(await failure({ ca_file: foreign.caFile })).to.match(
      /^node\.yaml: certificate_file: .* issued by the CA in/,
    );
    expect(await failure({ certificate_file: stranger.certificateFile })).to.match(
      /^node\.yaml: certificate_file: /,
    );
    expect(await failure({ ca_file: other.keyFile })).to.match(
      /^node\.yaml: ca_file: .* certificate as PEM$/,
    );
    expect(
      await failure({
        agent_id: 'agent_late',
        key_file: late.keyFile,
        certificate_file: late.certificateFile,
      }),
    ).to.match(/^node\.yaml: certificate_file: .* is valid only from .* to /);
  });
});

describe('shell: plain YAML', () => {
  const scalar = fc.oneof(
    fc.constantFrom(
      'node-1:8888',
      '127.1.2.3',
      '/a b',
      'yes',
      'null',
      '~',
      '1e5',
      '0x1F',
      '0o7',
      '.5',
      '1.',
      '+1',
      'a: b',
    ),
    fc.constantFrom(
      KEY,
      '1e3:',
      '- x',
      "it's",
      '"',
      '#',
      'a #b',
      '2001-01-01',
      '12:30:45',
      '=',
      '<<',
      '',
      '0.0.0.0:1',
    ),
    fc.constantFrom(true, false, null, 0, -1, 1.5, 1e21, 65_536, 0.1),
    fc.string({ maxLength: 12 }),
    fc.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
    { arbitrary: fc.stringMatching(/^[a-z][a-z0-9.:_/-]{1,16}$/), weight: 40 },
  );
  const key = fc.oneof(
    { arbitrary: fc.stringMatching(/^[a-z_]{2,8}$/), weight: 30 },
    fc.constantFrom('__proto__', 'true', '1', 'a b', 'node-1.x'),
  );
  const map = fc.dictionary(key, scalar, { maxKeys: 4 });
  const document = fc.dictionary(key, fc.oneof(scalar, map, fc.array(map, { maxLength: 3 })), {
    minKeys: 1,
    maxKeys: 6,
  });

  it('reads what programs write without the parser', () => {
    expect(parsePlainYaml(stringify(good))).to.deep.equal(good);
  });

  it('never reads anything else than the full parser reads', () => {
    let read = 0;
    const check = (text: string) => {
      const plain = parsePlainYaml(text);
      if (plain === undefined) return;
      read++;
      expect(plain, text).to.deep.equal(parse(text, { logLevel: 'error' }));
    };
    fc.assert(
      fc.property(
        document,
        fc.nat(),
        fc.constantFrom('', ' ', '\n', '#', ':', '- ', '"', '&', '\t'),
        (value, at, noise) => {
          const text = stringify(value);
          check(text);
          const place = at % (text.length + 1);
          let damaged = text.slice(0, place) + noise + text.slice(place);
          if (noise === '') damaged = text.slice(0, place) + text.slice(place + 1);
          let valid = true;
          try {
            parse(damaged, { logLevel: 'error' });
          } catch {
            valid = false;
          }
          if (valid) check(damaged);
          else expect(parsePlainYaml(damaged), damaged).to.equal(undefined);
        },
      ),
      { numRuns: 1500 },
    );
    expect(read).to.be.greaterThan(300);
  });
});

describe('shell: item bodies', () => {
  it('writes fractions as floats, whole numbers and bigints as integers, and refuses what JSON cannot say', () => {
    const body = toItemBody({ a: 0.5, b: 1, c: 2n ** 70n, d: [null, 'x', { e: -0 }], f: 1e300 });
    expect(body.a).to.deep.equal({ float: 0.5 });
    expect(body.b).to.equal(1);
    expect(body.c).to.equal(2n ** 70n);
    expect(body.f).to.equal(BigInt(1e300));
    expect(() => toItemBody({ metadata: { x: [() => 1] } })).to.throw(TypeError, 'payload.metadata.x[0]');
    expect(() => toItemBody({ x: Number.NaN })).to.throw(TypeError, 'payload.x is NaN');
  });
});
