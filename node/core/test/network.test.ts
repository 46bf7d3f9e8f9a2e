/** The core in networks on a virtual clock: discovery, convergence, partitions, late joiners, restarts, forks. */
import { expect } from 'chai';
import { createNet, type Net } from './net.ts';
import { bodies } from './puppet.ts';
import type { SimNode } from './sim-node.ts';

function startNet(net: Net, count: number, parameters = {}): SimNode[] {
  const nodes: SimNode[] = [];
  for (let i = 0; i < count; i++) {
    nodes.push(net.node(`n${i}`, { bootstrap: nodes.slice(0, 2), parameters }));
    net.run(5);
  }
  return nodes;
}

let tickets = 0;
function publish(node: SimNode, members = {}): void {
  node.feed({
    kind: 'publish',
    ticket: ++tickets,
    messageType: 'commit',
    payload: { ...bodies.commit, ...members },
  });
}

const peers = (node: SimNode) => node.core.status().peers;
const roots = (nodes: readonly SimNode[]) => new Set(nodes.map((node) => node.core.status().stateRoot));
const equal = (nodes: readonly SimNode[]) => roots(nodes).size === 1;

describe('core in a network', () => {
  it('discovers 20 nodes within 2 s and keeps about ten peers each', () => {
    const net = createNet(1);
    const nodes = startNet(net, 20);
    const ms = net.until(() => nodes.every((node) => peers(node) >= 3), 2000, 'discovery');
    net.run(20_000);
    expect(ms).to.be.lessThan(2000);
    for (const node of nodes) expect(peers(node), node.label).to.be.within(9, 20);
  });

  it('brings commits to everybody within 10 s', () => {
    const net = createNet(2);
    const nodes = startNet(net, 20);
    net.run(5000);
    for (let i = 0; i < 10; i++) {
      publish(nodes[i]!, { context_signature: `c${i}` });
      net.run(100);
    }
    const ms = net.until(() => nodes.every((node) => node.core.status().items === 10), 10_000, 'convergence');
    expect(ms).to.be.lessThan(5000);
    expect(equal(nodes)).to.equal(true);
    expect(nodes[0]!.outcomes[0]).to.include({ kind: 'published', status: 'accepted' });
  });

  it('brings commits to a node by anti-entropy alone, a late joiner and a wiped one too', () => {
    const net = createNet(3);
    const nodes = startNet(net, 6);
    net.run(3000);
    for (let i = 0; i < 700; i++) publish(nodes[i % 6]!, { context_signature: `c${i}` });
    net.until(() => nodes.every((node) => node.core.status().items === 700), 15_000, 'convergence');
    const late = net.node('late', { bootstrap: nodes.slice(0, 2) });
    const ms = net.until(() => late.core.status().items === 700, 30_000, 'late joiner');
    expect(ms).to.be.lessThan(10_000);
    net.kill(nodes[3]!);
    nodes[3]!.items.clear();
    nodes[3]!.records.clear();
    net.run(1000);
    net.restart(nodes[3]!);
    net.until(() => equal([...nodes, late]), 30_000, 'wiped node');
  });

  it('heals a partition', () => {
    const net = createNet(4);
    const nodes = startNet(net, 12);
    net.run(5000);
    const isLeft = (label: string) => Number(label.slice(1)) < 6;
    net.isCut = (a, b) => isLeft(a.label) !== isLeft(b.label);
    for (let i = 0; i < 12; i++) publish(nodes[i]!, { context_signature: `p${i}` });
    net.run(15_000);
    expect(new Set(nodes.map((node) => node.core.status().items))).to.deep.equal(new Set([6]));
    net.isCut = () => false;
    net.until(() => equal(nodes), 10_000, 'healing');
    expect(nodes[0]!.core.status().items).to.equal(12);
  });

  it('starts on whatever a damaged disk gives back, and gets what it lost from its peers', () => {
    const net = createNet(9);
    const nodes = startNet(net, 3, { checkpointIntervalMs: 5000 });
    net.run(2000);
    for (let i = 0; i < 6; i++) publish(nodes[0]!, { context_signature: `d${i}` });
    net.until(() => nodes.every((node) => node.core.status().checkpointHeight > 0), 60_000, 'checkpoint');
    const [, , damaged] = nodes as [SimNode, SimNode, SimNode];
    net.kill(damaged);
    const [first, second, third] = [...damaged.items.keys()] as [string, string, string];
    damaged.items.set(first, Buffer.from('{"torn'));
    damaged.items.set(second, Buffer.from('[]'));
    damaged.items.set(third, damaged.items.get([...damaged.items.keys()][3]!)!);
    for (const [i, text] of ['{"torn', '[]', '{"absent": 1, "checkpoint": {}, "through": 1}'].entries())
      damaged.records.set(`checkpoint:${i}`, Buffer.from(text));
    // As many batches as a node writes between checkpoints that are far apart.
    const hash = Buffer.alloc(32);
    for (let batch = 1; batch <= 200_000; batch++) damaged.records.set(`batch:${batch}`, hash);
    net.restart(damaged);
    expect(damaged.core.status().items).to.equal(3);
    expect(damaged.notes.filter((note) => note.event === 'stored-item-unreadable')).to.have.length(3);
    expect(damaged.notes.filter((note) => note.event === 'checkpoint-unreadable')).to.have.length(3);
    net.until(() => equal(nodes) && damaged.core.status().items === 6, 30_000, 'the lost items');
  });

  it('restarts with all it acknowledged, and takes part again', () => {
    const net = createNet(5);
    const nodes = startNet(net, 5);
    net.run(3000);
    for (const node of nodes) publish(node, { context_signature: node.label });
    net.run(3000);
    const { stateRoot } = nodes[2]!.core.status();
    net.kill(nodes[2]!);
    net.run(500);
    net.restart(nodes[2]!);
    expect(nodes[2]!.core.status()).to.include({ stateRoot, items: 5 });
    net.until(() => peers(nodes[2]!) >= 4, 5000, 'peers again');
    publish(nodes[2]!, { context_signature: 'after' });
    net.until(() => nodes.every((node) => node.core.status().items === 6), 5000, 'convergence');
  });

  it('cuts checkpoints on which everybody soon stands', () => {
    const net = createNet(6);
    const nodes = startNet(net, 5, { checkpointIntervalMs: 10_000 });
    let cuts = 0;
    for (let round = 1; round <= 6; round++) {
      for (const node of nodes) publish(node, { context_signature: `${round}` });
      net.run(3000);
      const height = () => Math.max(...nodes.map((node) => node.core.status().checkpointHeight));
      const before = height();
      net.until(() => height() > before, 15_000, 'cut');
      net.until(
        () => new Set(nodes.map((node) => node.core.status().checkpointHash)).size === 1,
        5000,
        'adoption',
      );
      cuts++;
    }
    const { checkpointHeight } = nodes[0]!.core.status();
    expect(checkpointHeight).to.be.within(cuts, cuts + 2);
    for (const node of nodes) {
      net.kill(node);
      const { checkpointHash } = node.core.status();
      net.restart(node);
      expect(node.core.status()).to.include({ checkpointHash, checkpointHeight });
      expect(node.notes.filter(({ level }) => level === 'warn')).to.deep.equal([]);
    }
  });

  it('ends forks of checkpoints on the lower hash', () => {
    const net = createNet(7);
    const nodes = startNet(net, 6, { checkpointIntervalMs: 5000 });
    net.run(2000);
    const isLeft = (label: string) => Number(label.slice(1)) < 3;
    net.isCut = (a, b) => isLeft(a.label) !== isLeft(b.label);
    for (const node of nodes) publish(node, { context_signature: node.label });
    net.until(
      () => nodes.every((node) => node.core.status().checkpointHeight >= 1),
      20_000,
      'cuts on both sides',
    );
    expect(new Set(nodes.map((node) => node.core.status().checkpointHash)).size).to.be.greaterThan(1);
    net.isCut = () => false;
    net.until(
      () => new Set(nodes.map((node) => node.core.status().checkpointHash)).size === 1,
      60_000,
      'one chain',
    );
    expect(equal(nodes)).to.equal(true);
  });

  it('stays below every limit when idle', () => {
    const net = createNet(8);
    const nodes = startNet(net, 4);
    net.run(600_000);
    for (const node of nodes) {
      expect(peers(node)).to.equal(3);
      expect(node.core.counters.rateLimited).to.equal(0);
      // There is no checkpoint to ask for yet.
      expect([...node.core.counters.refused.keys()]).to.deep.equal(['UNKNOWN_HASH']);
    }
  });
});
