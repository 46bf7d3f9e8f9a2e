import { createHash, createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseManifest, readManifest } from '../manifest.ts';
import type { Plan } from '../plan.ts';
import { resolve } from '../resolve.ts';
import { UsageError } from '../usage-error.ts';

const scenarios = join(import.meta.dirname, '..', '..', 'chaos', 'scenarios');
const of = (text: string, options: Partial<Parameters<typeof resolve>[1]> = {}): Plan =>
  resolve(parseManifest(text, 's.yaml'), { seed: 1, ...options });
const line = (text: string, options: Partial<Parameters<typeof resolve>[1]> = {}): string => {
  try {
    of(text, options);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('plan', () => {
  it('is byte-identical on every machine', () => {
    const digests: Record<string, string> = {};
    for (const name of readdirSync(scenarios).sort()) {
      if (!name.endsWith('.yaml')) continue;
      for (const seed of [1, 2]) {
        const plan = resolve(readManifest(join(scenarios, name)), { seed });
        digests[`${plan.scenario} ${seed}`] = createHash('sha256').update(JSON.stringify(plan)).digest('hex');
      }
    }
    const golden = join(import.meta.dirname, 'plans.golden.json');
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, `${JSON.stringify(digests, null, 2)}\n`);
    expect(digests).to.deep.equal(JSON.parse(readFileSync(golden, 'utf8')));
    expect(new Set(Object.values(digests)).size).to.equal(Object.keys(digests).length);
  });

  it('gives each node a key of its own that proves its id', () => {
    const plan = of('nodes: {count: 5}');
    expect(new Set(plan.nodes.map((node) => node.nodeId)).size).to.equal(5);
    for (const node of plan.nodes) {
      expect(createPrivateKey(node.keyPem).asymmetricKeyType).to.equal('ed25519');
      const id = createHash('sha256').update(Buffer.from(node.publicKeyBase64, 'base64')).digest('hex');
      expect(node.nodeId).to.equal(`node_${id.slice(0, 40)}`);
    }
  });

  it('draws for one fault without shifting another', () => {
    const one = 'nodes: {count: 20}\nduration_s: 60\nfaults:\n  - {kind: kill, nodes: random, at_s: 1}\n';
    const two = `${one}  - {kind: partition, split: halves, at_s: 10, for_s: 5}\n`;
    const three = `${two}  - {kind: wipe, nodes: random, at_s: 30}\n`;
    const byId = (plan: Plan, id: string): unknown => plan.faults.find((fault) => fault.id === id);
    const all = of(three);
    expect(byId(of(one), 'kill-1')).to.deep.equal(byId(all, 'kill-1'));
    expect(byId(of(two), 'partition-1')).to.deep.equal(byId(all, 'partition-1'));
    const without = of(three.replace(/^ {2}- \{kind: partition.*\n/m, ''));
    expect(byId(without, 'wipe-1')).to.deep.equal(byId(all, 'wipe-1'));
    expect(byId(without, 'partition-1')).to.equal(undefined);
  });

  it('never hits one node twice at a time', () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const text =
        'nodes: {count: 4, bootstrap: 1}\nfaults:\n  - {kind: kill, nodes: random, at_s: 2, for_s: 3}\n  - {kind: wipe, nodes: random, at_s: 3, for_s: 3}\n  - {kind: pause, nodes: node-2, at_s: 2, for_s: 3}\n';
      const hit = of(text, { seed }).faults.map((fault) => ('node' in fault ? fault.node : ''));
      expect(new Set(hit).size).to.equal(3);
    }
  });

  it('sets no adversary on a node that another fault stops then, whichever comes first in the file', () => {
    const attack = '  - {kind: adversary, behaviour: duplicates, at_s: 2, for_s: 9}\n';
    const stop = '  - {kind: wipe, nodes: random, at_s: 4, for_s: 2}\n';
    for (let seed = 0; seed < 60; seed += 1)
      for (const faults of [attack + stop, stop + attack]) {
        const plan = of(`nodes: {count: 4, bootstrap: 1}\nfaults:\n${faults}`, { seed });
        const hit = plan.faults.map((f) => ('target' in f ? f.target : 'node' in f ? f.node : ''));
        expect(new Set(hit).size, `seed ${seed}`).to.equal(2);
      }
    // Whom the author names, he means.
    const both =
      'nodes: {count: 4, bootstrap: 1}\nfaults:\n  - {kind: adversary, behaviour: flood, target: node-2, at_s: 1, for_s: 5}\n  - {kind: pause, nodes: node-2, at_s: 2}\n';
    expect(line(both)).to.equal('accepted');
  });

  it('takes a list of names and random ones as both', () => {
    const text =
      'nodes: {count: 4, bootstrap: 1}\nfaults:\n  - {kind: kill, nodes: random, at_s: 2, for_s: 3}\n  - {kind: pause, nodes: [node-1, random], at_s: 2, for_s: 3}\n';
    for (let seed = 0; seed < 30; seed += 1) {
      const hit = of(text, { seed }).faults.map((f) => 'node' in f && f.node);
      expect(new Set(hit).size).to.equal(3);
      expect(hit[1]).to.equal('node-1');
    }
  });

  it('writes out flapping, churn and repeated resets', () => {
    const plan = of(
      'nodes: {count: 10}\nduration_s: 30\nfaults:\n  - {kind: flap, nodes: node-1, down_s: 2, up_s: 3, at_s: 1, for_s: 12}\n  - {kind: churn, every_s: 5, down_s: 2, at_s: 0, for_s: 20}\n  - {kind: reset, share: 0.05, every_s: 1, at_s: 2, for_s: 3}\n',
    );
    expect(plan.faults.filter((f) => f.id.startsWith('flap-1.')).map((f) => f.atMs)).to.deep.equal([
      1000, 6000, 11_000,
    ]);
    const churn = plan.faults.filter((f) => f.id.startsWith('churn-1.'));
    expect(churn.map((f) => f.atMs)).to.deep.equal([0, 5000, 10_000, 15_000]);
    for (const fault of churn) expect('node' in fault && Number(fault.node.slice(5))).to.be.greaterThan(3);
    const resets = plan.faults.filter((f) => f.id.startsWith('reset-1.'));
    expect(resets).to.have.length(4);
    expect(resets.map((f) => f.kind === 'link' && f.pairs.length)).to.deep.equal([5, 5, 5, 5]);
  });

  it('partitions everybody exactly once', () => {
    const plan = of(
      'nodes: {count: 11}\nfaults:\n  - {kind: partition, split: thirds, at_s: 1, for_s: 2}\n  - {kind: partition, groups: [[node-1, node-2], [node-3]], at_s: 5, for_s: 2}\n',
    );
    for (const fault of plan.faults) {
      if (fault.kind !== 'partition') throw new Error('partition expected');
      expect(fault.groups).to.have.length(3);
      expect(fault.groups.flat().sort()).to.deep.equal(plan.nodes.map((node) => node.name).sort());
    }
  });

  it('chooses links by ends and share', () => {
    const plan = of(
      'nodes: {count: 5}\nfaults:\n  - {kind: cut, from: node-1, to: bootstrap, both_ways: false, at_s: 1, for_s: 2}\n  - {kind: slow, latency_ms: 9, share: 0.5, at_s: 1, for_s: 2}\n',
    );
    const [cut, slow] = plan.faults;
    expect(cut?.kind === 'link' && cut.pairs).to.deep.equal([
      { from: 'node-1', to: 'node-2' },
      { from: 'node-1', to: 'node-3' },
    ]);
    expect(slow?.kind === 'link' && slow.pairs.length).to.equal(10);
  });

  it('puts late joiners last and groups where they are asked for', () => {
    const plan = of(
      'nodes:\n  count: 6\n  bootstrap: 2\n  parameters: {fanout: 4}\n  groups:\n    - {name: python, count: 2, command: ./py, parameters: {fanout: 2}}\n    - {name: one, nodes: [node-6], image: x/y}\nlate_joiners:\n  - {at_s: 3}\n  - {at_s: 5, count: 2}\n',
    );
    expect(plan.nodes.map((node) => node.startAtMs)).to.deep.equal([0, 0, 0, 5000, 5000, 3000]);
    expect(plan.nodes.map((node) => node.group)).to.deep.equal([
      'reference',
      'reference',
      'reference',
      'python',
      'python',
      'one',
    ]);
    expect(plan.nodes.map((node) => node.command)).to.deep.equal([null, null, null, './py', './py', null]);
    expect(plan.nodes[3]?.parameters).to.deep.equal({ fanout: 2 });
    expect(plan.nodes[0]?.parameters).to.deep.equal({ fanout: 4 });
  });

  it('puts a command in place of every node, mixed of every second one', () => {
    const text = 'nodes: {count: 4}';
    expect(of(text, { command: 'x' }).nodes.map((n) => n.command)).to.deep.equal(['x', 'x', 'x', 'x']);
    const mixed = of(text, { command: 'x', mixed: true });
    expect(mixed.nodes.map((n) => n.command)).to.deep.equal([null, 'x', null, 'x']);
    expect(mixed.nodes.map((n) => n.group)).to.deep.equal(['reference', 'foreign', 'reference', 'foreign']);
  });

  it('takes another number of nodes', () => {
    const plan = resolve(readManifest(join(scenarios, 'default.yaml')), { seed: 3, nodes: 50 });
    expect(plan.nodes).to.have.length(50);
    expect(plan.nodes.at(-1)?.startAtMs).to.be.greaterThan(0);
    expect(resolve(readManifest(join(scenarios, 'smoke.yaml')), { seed: 3, nodes: 3 }).nodes).to.have.length(
      3,
    );
  });

  it('names the line of what cannot be', () => {
    const faults = 'nodes: {count: 4, bootstrap: 1}\nduration_s: 10\nfaults:\n';
    expect(line(`${faults}  - kind: kill\n    nodes: node-9\n    at_s: 1\n`)).to.equal(
      's.yaml:5: faults[0].nodes: no node "node-9"; allowed: node-1 to node-4, all, bootstrap, others, random, reference',
    );
    expect(line(`${faults}  - {kind: kill, nodes: node-1, at_s: 9}\n`)).to.match(
      /^s\.yaml:4: faults\[0\]: ends at 11 s, after the load/,
    );
    expect(line(`${faults}  - {kind: slow, at_s: 1, for_s: 1}\n`)).to.match(/slow in what\?/);
    expect(line(`${faults}  - {kind: kill, nodes: {random: 5}, at_s: 1}\n`)).to.match(
      /5 at random, but only 4 nodes are free then$/,
    );
    expect(
      line(`${faults}  - {kind: partition, groups: [[node-1], [node-1]], at_s: 1, for_s: 1}\n`),
    ).to.match(/node-1 is on two sides$/);
    expect(line('nodes: {count: 3}\n')).to.match(
      /^s\.yaml:1: nodes\.bootstrap: 3 of 3 nodes; allowed: 1 to 2/,
    );
    expect(line('nodes: {count: 4}\n', { nodes: 1 })).to.equal(
      '--nodes: 1 is not allowed; allowed: 2 to 1000',
    );
    expect(line('nodes:\n  count: 4\n  groups:\n    - {name: a, count: 9}\n')).to.match(
      /^s\.yaml:4: nodes\.groups\[0\]\.count: 9 does not fit/,
    );
    expect(
      line(
        'nodes: {count: 5}\nfaults:\n  - {kind: kill, nodes: [node-1, node-2], at_s: 1, for_s: 2}\n  - {kind: pause, nodes: others, at_s: 3, for_s: 1}\n  - {kind: wipe, nodes: node-2, at_s: 2.5, for_s: 2}\n',
      ),
    ).to.match(/^s\.yaml:5: faults\[2\]\.nodes: another fault has node-2 from 1 s to 3 s/);
    expect(line(`${faults}  - {kind: flap, nodes: node-1, at_s: 1, for_s: 1}\n`)).to.match(
      /^s\.yaml:4: faults\[0\]: for_s 1 has no room for down_s 2$/,
    );
    expect(line(`${faults}  - {kind: churn, every_s: 1, at_s: 1, for_s: 2}\n`)).to.match(
      /for_s 2 has no room for down_s 3$/,
    );
    for (const never of [
      'flap, nodes: node-1, down_s: 0.0001, up_s: 0.0001',
      'churn, down_s: 1, every_s: 0.0001',
    ])
      expect(line(`${faults}  - {kind: ${never}, at_s: 1, for_s: 2}\n`)).to.match(/under a millisecond$/);
    const early = '  - {kind: adversary, behaviour: flood, target: node-4, at_s: 1, for_s: 2}\n';
    expect(line(`${faults}${early}late_joiners: [{at_s: 5}]\n`)).to.match(
      /^s\.yaml:4: faults\[0\]\.target: node-4 joins only at 5 s$/,
    );
    expect(line('nodes: {count: 4}\nlate_joiners:\n  - at_s: 1\n    count: 3\n')).to.match(
      /^s\.yaml:4: late_joiners\[0\]\.count: too few/,
    );
  });
});
