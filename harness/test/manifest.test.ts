import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readPerturbation } from '../engines/docker/perturb.ts';
import { engineAbilities } from '../fault-schema.ts';
import { nearest, parseManifest, readManifest } from '../manifest.ts';
import { manifestSchema } from '../manifest-schema.ts';
import { UsageError } from '../usage-error.ts';

const root = join(import.meta.dirname, '..', '..');
const line = (text: string): string => {
  try {
    parseManifest(text, 's.yaml');
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('scenario file', () => {
  it('fills in the defaults of the design', () => {
    const { manifest } = parseManifest('nodes: {count: 5}', 'five.yaml');
    expect(manifest.name).to.equal('five');
    expect(manifest.nodes).to.deep.equal({
      count: 5,
      bootstrap: 3,
      start_interval_ms: 0,
      parameters: {},
      groups: [],
    });
    expect(manifest.links).to.deep.equal({ latency_ms: 40, jitter_ms: 10 });
    expect(manifest.expect).to.deep.equal({
      discovery_ms: 2000,
      convergence_ms: 10_000,
      sync_ms: 30_000,
      message_latency_p95_ms: 500,
      max_peers: 50,
    });
    expect(manifest.faults).to.deep.equal([]);
  });

  it('reads JSON', () => {
    const { manifest } = parseManifest(
      '{"nodes":{"count":5},"faults":[{"kind":"kill","nodes":"node-1","at_s":1}]}',
      'x.json',
    );
    expect(manifest.faults[0]).to.deep.equal({ kind: 'kill', nodes: 'node-1', at_s: 1, for_s: 2 });
  });

  it('names file, line, key and what is allowed', () => {
    expect(line('nodes:\n  count: 5\n  bootstraps: 2\n')).to.equal(
      's.yaml:3: unknown key "bootstraps" in nodes (did you mean "bootstrap"?); allowed: count, bootstrap, start_interval_ms, parameters, groups',
    );
    expect(line('nodes: {count: 5}\nlaod: {}\n')).to.match(
      /^s\.yaml:2: unknown key "laod" \(did you mean "load"\?\); allowed: name, /,
    );
    expect(line('nodes:\n  count: five\n')).to.equal('s.yaml:2: nodes.count: "five" must be integer');
    expect(line('nodes:\n  count: 1\n')).to.equal('s.yaml:2: nodes.count: 1 must be >= 2');
    expect(line('load: {}\n')).to.equal('s.yaml:1: the scenario lacks the key "nodes"');
    expect(line('- 1\n')).to.match(/^s\.yaml:1: a scenario is a map of keys/);
    expect(line('')).to.match(/^s\.yaml:1: a scenario is a map of keys/);
    expect(line('nodes: {count: 5}\nnodes: {count: 6}\n')).to.match(/^s\.yaml:2: Map keys must be unique/);
    expect(line('nodes: {count: 5\n')).to.match(/^s\.yaml:\d+: /);
  });

  it('is one document of plain text with finite numbers, and no bomb', () => {
    expect(line('nodes: {count: 5}\n---\nnodes: {count: 6}\n')).to.equal(
      's.yaml:2: a second document begins here ("---"); a scenario file holds one',
    );
    for (const [written, said] of [
      ['.inf', 'Infinity'],
      ['-1e309', '-Infinity'],
      ['.nan', 'NaN'],
    ])
      expect(line(`nodes: {count: 5}\nduration_s: ${written}\n`)).to.equal(
        `s.yaml:2: duration_s: ${said} is no finite number`,
      );
    const rows = [...'bcdefgh'].map(
      (name, index) => `${name}: &${name} [${`*${'abcdefg'[index]},`.repeat(9)}]`,
    );
    expect(line(`a: &a [x,x,x,x,x,x,x,x,x]\n${rows.join('\n')}\n`)).to.match(
      /^s\.yaml:\d+: more than 100 values stand for aliases/,
    );
    expect(line('name: *nobody\n')).to.match(/^s\.yaml:1: Unresolved alias/);
    const folder = mkdtempSync(join(tmpdir(), 'cle-manifest-'));
    try {
      for (const bytes of ['nodes: \u001b[2J', Buffer.from([0x6e, 0xff, 0xfe])]) {
        writeFileSync(join(folder, 'x.yaml'), bytes);
        expect(() => readManifest(join(folder, 'x.yaml'))).to.throw(
          /x\.yaml: not a text file; a scenario is YAML/,
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('explains faults by their kind', () => {
    const withFault = (fault: string): string =>
      line(`nodes: {count: 5}\nfaults:\n  - kind: pause\n    nodes: node-1\n    at_s: 1\n${fault}`);
    expect(withFault('  - kind: kil\n    at_s: 1\n')).to.match(
      /^s\.yaml:6: faults\[1\]\.kind: "kil" is no fault \(did you mean "kill"\?\); allowed: partition, kill, /,
    );
    expect(withFault('  - kind: kill\n    at_s: 1\n    node: node-1\n')).to.equal(
      's.yaml:8: unknown key "node" in faults[1] (did you mean "nodes"?); allowed: kind, id, at_s, for_s, nodes',
    );
    expect(withFault('  - kind: kill\n    at_s: 1\n')).to.equal('s.yaml:6: faults[1] lacks the key "nodes"');
    expect(withFault('  - at_s: 1\n')).to.match(
      /^s\.yaml:6: faults\[1\] lacks the key "kind"|^s\.yaml:6: faults\[1\]\.kind: "" is no fault/,
    );
    expect(withFault('  - kind: kill\n    at_s: 1\n    nodes: 7\n')).to.match(
      /^s\.yaml:8: faults\[1\]\.nodes: 7 is not allowed; allowed: a name, a list of names/,
    );
    expect(withFault('  - kind: slow\n    at_s: -1\n    for_s: 2\n')).to.equal(
      's.yaml:7: faults[1].at_s: -1 must be >= 0',
    );
    expect(withFault('  - kind: adversary\n    behaviour: nice\n    at_s: 1\n    for_s: 2\n')).to.match(
      /^s\.yaml:7: faults\[1\]\.behaviour: "nice" is not allowed; allowed: flood, duplicates/,
    );
  });

  it('checks the options of each ability of an engine', () => {
    const withOptions = (ability: string, options: string): string =>
      line(
        `nodes: {count: 5}\nfaults:\n  - kind: engine\n    ability: ${ability}\n    nodes: random\n    at_s: 1\n    for_s: 2\n    options:\n      ${options}\n`,
      );
    expect(withOptions('certificate', 'as: replaced\n      foo: {}')).to.equal(
      's.yaml:10: unknown key "foo" in faults[0].options; allowed: as',
    );
    expect(withOptions('certificate', 'as: frobnicated')).to.equal(
      's.yaml:9: faults[0].options.as: "frobnicated" is not allowed; allowed: replaced, expired',
    );
    expect(withOptions('disk-full', 'mib: lots')).to.equal(
      's.yaml:9: faults[0].options.mib: "lots" must be integer',
    );
    expect(withOptions('memory-limit', 'mib: 5')).to.equal('s.yaml:9: faults[0].options.mib: 5 must be >= 6');
    expect(withOptions('upgrade', 'image: ""')).to.match(/^s\.yaml:9: faults\[0\]\.options\.image: "" /);
    expect(withOptions('unplug', 'mib: 8')).to.equal(
      's.yaml:9: unknown key "mib" in faults[0].options; allowed: none',
    );
    expect(withOptions('unplg', '{}')).to.equal(
      's.yaml:4: faults[0].ability: "unplg" is no ability of an engine (did you mean "unplug"?); allowed: unplug, memory-limit, disk-full, upgrade, certificate',
    );
    expect(line('nodes: {count: 5}\nfaults:\n  - {kind: engine, nodes: all, at_s: 1, for_s: 2}\n')).to.equal(
      's.yaml:3: faults[0] lacks the key "ability"',
    );
  });

  it('fills in the defaults that an engine knows itself', () => {
    for (const ability of engineAbilities) {
      const fault = `{kind: engine, ability: ${ability}, nodes: all, at_s: 1, for_s: 2}`;
      const [read] = parseManifest(`nodes: {count: 5}\nfaults:\n  - ${fault}\n`, 's.yaml').manifest.faults;
      if (read?.kind !== 'engine') throw new Error('an engine fault expected');
      expect(readPerturbation('f', ability, read.options)).to.deep.equal(readPerturbation('f', ability, {}));
    }
  });

  it('refuses two programs for one group, and a jitter above the latency', () => {
    const group =
      'nodes:\n  count: 5\n  groups:\n    - name: a\n      count: 1\n      command: x\n      image: y\n';
    expect(line(group)).to.equal('s.yaml:7: nodes.groups[0]: either command or image');
    expect(line(group.replace(/ +image.*\n/, ''))).to.equal('accepted');
    expect(line('nodes: {count: 5}\nlinks:\n  jitter_ms: 41\n')).to.equal(
      's.yaml:3: links.jitter_ms: 41 is more than latency_ms, 40',
    );
    const slow = 'nodes: {count: 5}\nfaults:\n  - {kind: slow, at_s: 1, for_s: 2, bytes_per_second: 5000';
    expect(line(`${slow}, latency_ms: 20, jitter_ms: 20}\n`)).to.equal('accepted');
    expect(line(`${slow}, jitter_ms: 1}\n`)).to.equal(
      's.yaml:3: faults[0].jitter_ms: 1 is more than latency_ms, 0',
    );
    const { links } = parseManifest('nodes: {count: 5}\nlinks: {latency_ms: 4}', 's.yaml').manifest;
    expect(links).to.deep.equal({ latency_ms: 4, jitter_ms: 4 });
  });

  it('checks parameter names and ranges', () => {
    expect(line('nodes:\n  count: 5\n  parameters:\n    fanuot: 2\n')).to.match(
      /^s\.yaml:4: unknown key "fanuot" in nodes\.parameters \(did you mean "fanout"\?\)/,
    );
    expect(line('nodes:\n  count: 5\n  parameters:\n    fanout: 0\n')).to.equal(
      's.yaml:4: nodes.parameters.fanout: 0 must be >= 1',
    );
    expect(line('nodes:\n  count: 5\n  parameters:\n    checkpoint_interval_s: 0\n')).to.equal('accepted');
    expect(line('nodes:\n  count: 5\n  parameters:\n    peer_timeout_s: 0\n')).to.match(/must be > 0$/);
  });

  it('says which file is missing', () => {
    expect(() => readManifest('/nowhere/a.yaml')).to.throw(
      UsageError,
      '/nowhere/a.yaml: no such scenario file',
    );
  });

  it('suggests near words only', () => {
    expect(nearest('conut', ['count', 'nodes'])).to.equal('count');
    expect(nearest('zzzzzz', ['count', 'nodes'])).to.equal(null);
  });

  it('has the published schema', () => {
    const file = join(root, 'docs', 'scenario.schema.json');
    const text = `${JSON.stringify(manifestSchema, null, 2)}\n`;
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, text);
    expect(JSON.parse(readFileSync(file, 'utf8'))).to.deep.equal(manifestSchema);
  });

  it('accepts every shipped scenario', () => {
    const folder = join(root, 'chaos', 'scenarios');
    const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
    expect(files).to.include.members(['default.yaml', 'smoke.yaml', 'churn.yaml', 'flood.yaml']);
    for (const name of files)
      expect(readManifest(join(folder, name)).manifest.name).to.equal(name.slice(0, -5));
  });
});
