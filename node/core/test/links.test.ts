/** Connections of a core (§4): hello, types, duplicates, bounds, silence, redials, discovery. Driven by puppets. */
import { expect } from 'chai';
import type { JsonObject } from '../types.ts';
import { createNet, type Net } from './net.ts';
import type { Puppet, PuppetLink } from './puppet.ts';
import type { SimNode } from './sim-node.ts';

const persistent = { connection_type: 'persistent', capabilities: ['v1', 'gossip', 'sync'] };

const quiet = { antiEntropyIntervalMs: 0, checkpointIntervalMs: 0 };
const id = (endpoint: Puppet | SimNode) => endpoint.credentials.identity.nodeId;

/** A puppet that listens and shakes hands on whatever type it is dialled for; it offers `peers` to whoever asks. */
function acceptor(net: Net, label: string, peers: () => JsonObject[] = () => []): Puppet {
  const puppet = net.puppet(label, { listens: true });
  puppet.answer = (message, link) => {
    if (message.type === 'hello' && !link.dialed) {
      const { connection_type } = message.payload;
      link.hello({ connection_type: connection_type!, capabilities: ['gossip'], address: puppet.address });
    }
    if (message.type === 'peer_request')
      link.send('peer_exchange', { request_id: message.id, peers: peers() });
  };
  return puppet;
}

const entry = (endpoint: Puppet | SimNode): JsonObject => ({
  node_id: id(endpoint),
  address: endpoint.address,
});
const types = (link: PuppetLink) => link.received.map((message) => message.type);
const errorCode = (link: PuppetLink) => link.of('error')[0]?.payload.error_code;

describe('core handshake', () => {
  it('answers hello with hello, state_summary and, on a persistent connection, peer_exchange', () => {
    const net = createNet();
    const node = net.node('n');
    const puppet = net.puppet('p');
    const link = puppet.dial(node, persistent);
    expect(types(link)).to.deep.equal(['hello', 'state_summary', 'peer_exchange']);
    expect(link.received[0]!.payload).to.deep.include({ connection_type: 'persistent', address: 'n:8888' });
    const sync = net.puppet('q').dial(node);
    expect(types(sync)).to.deep.equal(['hello', 'state_summary']);
    expect(node.core.status().peers).to.equal(1);
  });

  const wrong: [string, JsonObject, number, string][] = [
    ['no address', { address: undefined as never }, 4400, 'MALFORMED'],
    ['an address without port', { address: 'host' }, 4400, 'MALFORMED'],
    ['port 0', { address: 'host:0' }, 4400, 'MALFORMED'],
    ['capabilities as text', { capabilities: 'gossip' }, 4400, 'MALFORMED'],
    ['an unknown connection_type', { connection_type: 'friend' }, 4400, 'MALFORMED'],
    ['no version', { version: null }, 4400, 'MALFORMED'],
    ['version 2.0', { version: '2.0' }, 4426, 'VERSION_MISMATCH'],
    ['another node_id', { node_id: `node_${'0'.repeat(40)}` }, 4401, 'IDENTITY_MISMATCH'],
  ];
  for (const [what, members, code, error] of wrong) {
    it(`refuses a hello with ${what} by ${error} and ${code}`, () => {
      const net = createNet();
      const node = net.node('n');
      const link = net.puppet('p').dial(node, members);
      net.run(100);
      expect(errorCode(link)).to.equal(error);
      expect(link.closed).to.equal(code);
    });
  }

  it('accepts nothing before hello, closes silent connections with 4408', () => {
    const net = createNet();
    const node = net.node('n');
    const puppet = net.puppet('p');
    const silent = puppet.dial(node, null);
    const early = puppet.dial(node, null);
    early.send('query', { query_type: 'by_hash', filters: { rule_hash: 'x' } });
    net.run(100);
    expect(errorCode(early)).to.equal('HANDSHAKE_REQUIRED');
    expect(early.closed).to.equal(4400);
    net.run(4700);
    expect(silent.closed).to.equal(null);
    net.run(300);
    expect(silent.closed).to.equal(4408);
    expect(types(puppet.dial(node, { version: '1.7' }))).to.include('hello');
  });

  it('closes the 51st persistent peer with 4429 after an error and a list, and lets duplicates in', () => {
    const net = createNet();
    const node = net.node('n', { parameters: { ...quiet, maxPeers: 3 } });
    const links = ['a', 'b', 'c'].map((label) => net.puppet(label).dial(node, persistent));
    const fourth = net.puppet('d');
    const refused = fourth.dial(node, persistent);
    net.run(100);
    expect(types(refused)).to.deep.equal(['error', 'peer_exchange']);
    expect(errorCode(refused)).to.equal('TOO_MANY_PEERS');
    expect(refused.closed).to.equal(4429);
    expect(links.map((link) => link.closed)).to.deep.equal([null, null, null]);
    links[1]!.close();
    net.run(100);
    const again = fourth.dial(node, persistent);
    expect(types(again)).to.include('hello');
  });

  it('keeps the newer of two connections of the same dialer, and at most 4 short-lived ones', () => {
    const net = createNet();
    const node = net.node('n', { parameters: quiet });
    const puppet = net.puppet('p');
    const older = puppet.dial(node, persistent);
    const newer = puppet.dial(node, persistent);
    net.run(100);
    expect([older.closed, newer.closed]).to.deep.equal([4409, null]);
    expect(node.core.status().peers).to.equal(1);
    const short = Array.from({ length: 5 }, () => puppet.dial(node));
    net.run(100);
    expect(short.map((link) => link.closed)).to.deep.equal([null, null, null, null, 4429]);
    expect(types(short[4]!)).to.deep.equal([]);
    net.run(31_000);
    expect(short[0]!.closed).to.equal(1000);
  });

  it('ends gossip and bootstrap connections after 10 s', () => {
    const net = createNet();
    const node = net.node('n', { parameters: quiet });
    const gossip = net.puppet('g').dial(node, { connection_type: 'gossip' });
    const bootstrap = net.puppet('b').dial(node, { connection_type: 'bootstrap' });
    net.run(9000);
    expect([gossip.closed, bootstrap.closed]).to.deep.equal([null, null]);
    net.run(1500);
    expect([gossip.closed, bootstrap.closed]).to.deep.equal([1000, 1000]);
  });

  it('one connection stays when two nodes dial each other at once', () => {
    const net = createNet();
    const a = net.node('a', { parameters: quiet });
    const b = net.node('b', { bootstrap: [a], parameters: quiet });
    net.run(5000);
    for (const node of [a, b]) {
      expect(node.core.status().peers).to.equal(1);
      expect(node.wires.size).to.equal(1);
    }
  });

  it('sends heartbeats every 30 s and closes a peer that is silent for 90 s', () => {
    const net = createNet();
    const node = net.node('n', { parameters: quiet });
    const link = net.puppet('p').dial(node, persistent);
    net.run(89_000);
    const beats = link.of('gossip', 'heartbeat');
    expect(beats).to.have.length(2);
    expect(beats[1]!.atMs - beats[0]!.atMs).to.equal(30_000);
    expect(beats[0]!.payload).to.deep.include({
      topic: 'heartbeat',
      topics: ['heartbeat'],
      ttl: 0,
      item_hashes: [],
    });
    expect(link.closed).to.equal(null);
    net.run(2000);
    expect(link.closed).to.equal(4408);
    expect(node.core.status().peers).to.equal(0);
  });

  it('closes all with 1001 on stop, and accepts nothing more', () => {
    const net = createNet();
    const node = net.node('n', { parameters: quiet });
    const link = net.puppet('p').dial(node, persistent);
    node.feed({ kind: 'stop' });
    net.run(100);
    expect(link.closed).to.equal(1001);
  });
});

describe('core discovery', () => {
  it('asks every bootstrap node and dials the peers they name, once each and not itself', () => {
    const net = createNet();
    const members = ['x', 'y', 'z'].map((label) => acceptor(net, label));
    let node: SimNode | null = null;
    const list = () => [
      ...members.map(entry),
      entry(node!),
      { node_id: 'nobody', address: 'x:0' },
      7 as never,
    ];
    const bootstraps = ['b1', 'b2', 'b3'].map((label) => acceptor(net, label, list));
    const dead = net.puppet('dead');
    node = net.node('n', { bootstrap: [dead, ...bootstraps], parameters: quiet });
    net.run(1500);
    for (const bootstrap of bootstraps) {
      const asked = bootstrap.links.flatMap((link) => link.of('peer_request'));
      expect(asked).to.have.length.at.least(1);
      expect(asked[0]!.payload).to.deep.equal({
        node_id: id(node),
        capabilities: ['v1', 'consensus', 'gossip', 'sync'],
      });
      expect(bootstrap.links[0]!.closed).to.equal(1000);
    }
    for (const member of members) expect(member.links, member.label).to.have.length(1);
    expect(node.dials.filter(({ address }) => address === node!.address)).to.have.length(0);
  });

  it('chooses its peers at random among all known nodes, at most 20 dials in 10 s, about ten peers', () => {
    const net = createNet();
    const members = Array.from({ length: 30 }, (_, i) => acceptor(net, `m${i}`));
    const bootstrap = acceptor(net, 'boot', () => members.map(entry));
    const node = net.node('n', { bootstrap: [bootstrap], parameters: quiet });
    net.run(20_000);
    expect(node.core.status().peers).to.be.within(8, 12);
    expect(node.dials.length).to.be.at.most(14);
  });

  it('drops an address at which somebody else is, and never lets a third party move a node it met', () => {
    const net = createNet();
    const honest = acceptor(net, 'honest');
    const liar = acceptor(net, 'liar');
    const victim = credentialsOf(net, 'victim');
    const bootstrap = acceptor(net, 'boot', () => [
      { node_id: victim, address: liar.address },
      entry(honest),
    ]);
    const node = net.node('n', { bootstrap: [bootstrap], parameters: quiet });
    net.run(2000);
    expect(liar.links).to.have.length(1);
    expect(liar.links[0]!.closed).to.equal(4401);
    expect(liar.links[0]!.received).to.deep.equal([]);
    const moved = net.puppet('mover').dial(node, persistent);
    moved.send('peer_exchange', { peers: [{ node_id: id(honest), address: 'elsewhere:1' }] });
    honest.links[0]!.close();
    net.run(3000);
    expect(node.dials.some(({ address }) => address === 'elsewhere:1')).to.equal(false);
    expect(honest.links).to.have.length(2);
  });

  it('redials a lost peer with back-off, not after 4401, and after 4429 not within 60 s', () => {
    const net = createNet();
    const [lost, barred, full] = ['lost', 'barred', 'full'].map((label) => acceptor(net, label));
    const all = [lost!, barred!, full!];
    const bootstrap = acceptor(net, 'boot', () => all.map(entry));
    const node = net.node('n', { bootstrap: [bootstrap], parameters: quiet });
    net.run(2000);
    expect(node.core.status().peers).to.equal(4);
    lost!.links[0]!.close(1006);
    barred!.links[0]!.close(4401);
    full!.links[0]!.close(4429);
    net.run(900);
    expect(lost!.links).to.have.length(1);
    net.run(2000);
    expect(lost!.links).to.have.length(2);
    net.run(50_000);
    expect([barred!.links.length, full!.links.length]).to.deep.equal([1, 1]);
    net.run(20_000);
    expect([barred!.links.length, full!.links.length]).to.deep.equal([1, 2]);
  });

  it('repeats peer_request while it has too few peers', () => {
    const net = createNet();
    const newcomer = acceptor(net, 'newcomer');
    const known: JsonObject[] = [];
    const bootstrap = acceptor(net, 'boot', () => known);
    const node = net.node('n', { bootstrap: [bootstrap], parameters: quiet });
    net.run(3000);
    known.push(entry(newcomer));
    net.until(() => newcomer.links.length > 0, 10_000, 'a dial of the newcomer');
    net.run(500);
    expect(node.core.status().peers).to.equal(2);
  });

  it('asks who comes after everybody was lost as soon as it asked the first ones', () => {
    const net = createNet();
    const node = net.node('n', { parameters: quiet });
    const first = net.puppet('p').dial(node, persistent);
    net.run(75_000);
    expect(first.of('peer_request'), 'an ever rarer question').to.have.length.within(4, 10);
    first.close(1000);
    const second = net.puppet('q').dial(node, persistent);
    net.run(1_500);
    expect(second.of('peer_request')).to.have.length(1);
  });

  it('lists only nodes that were met, not the asker, and at most 50', () => {
    const net = createNet();
    const node = net.node('n', { parameters: quiet });
    for (let i = 0; i < 60; i++) {
      net.puppet(`p${i}`).dial(node, { connection_type: 'bootstrap', address: `p${i}:1` });
    }
    const hidden = net.puppet('hidden').dial(node, { connection_type: 'bootstrap' });
    const asker = net.puppet('asker');
    const link = asker.dial(node, { address: 'asker:1' });
    link.send('peer_exchange', { peers: [{ node_id: `node_${'1'.repeat(40)}`, address: 'rumour:1' }] });
    const answer = link.request('peer_request', { node_id: id(asker), capabilities: [] });
    const peers = answer!.payload.peers as JsonObject[];
    expect(peers.length).to.be.within(40, 50);
    const addresses = peers.map(({ address }) => address);
    expect(addresses).to.not.include.members(['asker:1']);
    expect(addresses).to.not.include('rumour:1');
    expect(peers.every(({ node_id }) => node_id !== id(node))).to.equal(true);
    expect(hidden.closed).to.equal(null);
  });

  it('stays up with no bootstrap node reachable, and finds one that comes back', () => {
    const net = createNet();
    const bootstrap = acceptor(net, 'boot');
    bootstrap.listens = false;
    const node = net.node('n', { bootstrap: [bootstrap], parameters: quiet });
    net.run(120_000);
    expect(node.dials.length).to.be.within(4, 14);
    bootstrap.listens = true;
    net.until(() => node.core.status().peers === 1, 80_000, 'the bootstrap node');
  });
});

function credentialsOf(net: Net, label: string): string {
  return id(net.puppet(label));
}
