/** The path of a message (§3.2), items and queries (§6), limits (§9), the order of one connection. Driven by puppets. */
import { expect } from 'chai';
import { canonical } from '../canonical.ts';
import { float } from '../json.ts';
import type { JsonObject } from '../types.ts';
import { epochS } from './credentials.ts';
import { createNet, type Net } from './net.ts';
import { gossip, hashOf, type PuppetLink } from './puppet.ts';
import type { SimNode } from './sim-node.ts';

const quiet = { antiEntropyIntervalMs: 0, checkpointIntervalMs: 0 };
const query: JsonObject = { query_type: 'by_agent', filters: { agent_id: 'agent_p' } };
const relayId = '11111111-1111-4111-8111-111111111111';
const digest: JsonObject = { root: null, prefix: '', state_root: '0'.repeat(64), item_count: 0 };

function setUp(parameters = {}, seed = 1) {
  const net = createNet(seed);
  const node = net.node('n', { parameters: { ...quiet, ...parameters } });
  const puppet = net.puppet('p');
  return { net, node, puppet, link: puppet.dial(node) };
}

/** Sends a ready-made text and returns the answer to it. */
function say(net: Net, link: PuppetLink, text: string) {
  const before = link.received.length;
  link.sendText(text);
  net.run(net.latencyMs * 2 + 10);
  return link.received[before] ?? null;
}
const code = (answer: { payload: JsonObject } | null) => answer?.payload.error_code;
const heartbeats = (node: SimNode) => node.core.counters.messages.get('in:gossip') ?? 0;

describe('core path of a message', () => {
  it('refuses in the order of the checks, and the connection stays where no code is named', () => {
    const { net, node, puppet, link } = setUp();
    const seal = (overrides: JsonObject, payload = query) =>
      canonical(puppet.seal('query', payload, overrides));
    const broken = (text: string) => text.replace('"signature": "', '"signature": "A');
    const big = { ...query, padding: 'x'.repeat(60_000) };
    const cases: [string, string, string | null][] = [
      ['MALFORMED', '{"a": 1, "a": 2}', null],
      ['MALFORMED', '[]', null],
      ['MALFORMED', canonical({ ...puppet.seal('query', query), sender: {} }), 'id'],
      ['TOO_LARGE', broken(seal({}, big)), 'id'],
      ['INVALID_SIGNATURE', broken(seal({ timestamp: float(1) })), 'id'],
      ['STALE', seal({ timestamp: float(epochS - 301) }), 'id'],
      ['STALE', seal({ timestamp: float(epochS + 302), message_type: 'nonsense' }), 'id'],
      ['UNKNOWN_TYPE', seal({ message_type: 'nonsense' }), 'id'],
      ['MALFORMED', seal({}, { query_type: 'by_magic', filters: {} }), 'id'],
    ];
    for (const [error, text, id] of cases) {
      const answer = say(net, link, text);
      expect(code(answer), text.slice(0, 80)).to.equal(error);
      const { details } = answer!.payload as { details: JsonObject };
      if (id === null) expect(details.request_id).to.equal(null);
      else expect(text).to.include(details.request_id as string);
    }
    expect(link.closed).to.equal(null);
    expect(say(net, link, seal({}))!.type).to.equal('response');
    expect(say(net, link, seal({ timestamp: float(epochS - 290) }))!.type).to.equal('response');
    expect(node.core.counters.refused.get('STALE')).to.equal(2);
  });

  it('closes on another version and on another sender', () => {
    const { net, node, puppet } = setUp();
    for (const [members, error, close] of [
      [{ version: '2.0' }, 'VERSION_MISMATCH', 4426],
      [{ version: 1 }, 'VERSION_MISMATCH', 4426],
      [{ sender: net.puppet('q').seal('query', query).sender! }, 'IDENTITY_MISMATCH', 4401],
    ] as [JsonObject, string, number][]) {
      const link = puppet.dial(node);
      link.send('query', query, members);
      net.run(100);
      expect(code(link.of('error')[0]!)).to.equal(error);
      expect(link.closed).to.equal(close);
    }
  });

  it('takes a message once, says STALE with its clock to a repeated one, and still verifies it', () => {
    const { net, puppet, link } = setUp();
    const object = puppet.seal('sync_digest', digest);
    expect(say(net, link, canonical(object))!.type).to.equal('sync_digest');
    for (let i = 0; i < 5; i++) {
      const answer = say(net, link, canonical(object));
      expect(code(answer)).to.equal('STALE');
      expect((answer!.payload.details as JsonObject).now)
        .to.have.property('float')
        .closeTo(epochS, 10);
    }
    const altered = { ...object, payload: { ...digest, prefix: 'a' } };
    expect(code(say(net, link, canonical(altered)))).to.equal('INVALID_SIGNATURE');
  });

  it('never answers an error or an unsolicited response, and closes after 100 bad messages in 10 s', () => {
    const { net, node, puppet, link } = setUp();
    const before = link.received.length;
    link.send('error', { error_code: 'MALFORMED', error_message: '', details: {} });
    link.send('error', { nonsense: true });
    link.send('response', { request_id: 'x' });
    link.send('gossip', {});
    net.run(100);
    expect(link.received.slice(before).map(code)).to.deep.equal(['MALFORMED']);
    for (let i = 0; i < 97; i++) link.sendText('{');
    net.run(100);
    expect(link.closed).to.equal(null);
    link.sendText('{');
    net.run(100);
    expect(link.closed).to.equal(4400);
    const slow = puppet.dial(node);
    for (let i = 0; i < 150; i++) {
      slow.sendText('{');
      net.run(150);
    }
    expect(slow.closed).to.equal(null);
  });

  it('closes on a binary message with 1003', () => {
    const { net, node, link } = setUp();
    node.feed({ kind: 'binary', link: [...node.wires.keys()][0]! });
    net.run(50);
    expect(link.closed).to.equal(1003);
  });
});

describe('core items', () => {
  it('answers a commit when it is stored, a repeated one `known`, whatever its age and the limits', () => {
    const { net, node, puppet, link } = setUp({ commitsPerMinute: 1 });
    const commit = puppet.item('commit');
    const first = say(net, link, canonical(commit))!;
    expect(first.payload).to.include({ status: 'accepted', item_hash: hashOf(commit) });
    expect(code(say(net, link, canonical(puppet.item('commit'))))).to.equal('RATE_LIMIT');
    net.run(20_000);
    const link2 = puppet.dial(node);
    for (let i = 0; i < 3; i++) {
      const again = say(net, link2, canonical(commit))!;
      expect(again.payload).to.include({ status: 'known', item_hash: hashOf(commit) });
    }
    net.run(1_000_000);
    const link3 = puppet.dial(node);
    expect(say(net, link3, canonical(commit))!.payload.status).to.equal('known');
    expect(node.core.status().items).to.equal(1);
    expect(node.core.holds(hashOf(commit))).to.equal(true);
  });

  it('lets messages of one connection take effect in order, also while items are being stored', () => {
    const { net, node, puppet, link } = setUp();
    node.holdWrites = true;
    const commits = [0, 1, 2].map((i) =>
      puppet.item('commit', { rule_hash: `rule_${String(i).repeat(20)}` }),
    );
    const before = link.received.length;
    for (const commit of commits) link.sendText(canonical(commit));
    link.sendText(canonical(commits[0]!));
    const asked = link.send('query', query);
    net.run(1000);
    expect(link.received).to.have.length(before);
    // All three are on their way to the store together.
    expect(node.heldWrites).to.have.length(3);
    const other = net.puppet('o').dial(node);
    expect(other.request('query', query)!.payload.total_count).to.equal(0);
    for (const write of node.heldWrites.splice(0)) write();
    net.run(100);
    expect(link.answerTo(asked)!.payload.total_count).to.equal(3);
    const statuses = link.received.slice(before).map(({ payload }) => payload.status);
    expect(statuses).to.deep.equal(['accepted', 'known', 'accepted', 'accepted', undefined]);
  });

  it('takes nothing when the store fails: UNAVAILABLE, neither remembered nor counted', () => {
    const { net, node, puppet, link } = setUp({ commitsPerMinute: 1 });
    node.diskFull = true;
    const commit = puppet.item('commit');
    for (let i = 0; i < 3; i++) expect(code(say(net, link, canonical(commit)))).to.equal('UNAVAILABLE');
    expect(link.request('query', query)!.payload.total_count).to.equal(0);
    node.diskFull = false;
    expect(say(net, link, canonical(commit))!.payload.status).to.equal('accepted');
  });

  it('says UNAVAILABLE or leaves out what the store cannot give back now, as while it comes back from a full disk', () => {
    const { net, node, puppet, link } = setUp();
    const commits = [puppet.item('commit', { context_signature: 'x'.repeat(2000) }), puppet.item('commit')];
    for (const commit of commits)
      expect(say(net, link, canonical(commit))!.payload.status).to.equal('accepted');
    const stored = new Map(node.items);
    const request = { gossip_type: 'request', topic: 'items', item_hashes: commits.map(hashOf) };
    const asks = () => link.request('gossip', gossip(puppet, { gossip_id: relayId, ttl: 0, ...request }))!;
    const filters: JsonObject = { query_type: 'by_context', filters: { context_pattern: 'x*' } };
    node.items.clear();
    expect(asks().payload).to.deep.include({ items: [], item_hashes: [], missing: [] });
    expect(code(link.request('query', filters))).to.equal('UNAVAILABLE');
    for (const [hash, bytes] of stored) node.items.set(hash, bytes);
    expect(asks().payload.items).to.have.length(2);
    expect(link.request('query', filters)!.payload.total_count).to.equal(1);
  });

  it('answers an author whose item came by relay `known`, and only when it is synced', () => {
    const { net, node, puppet, link } = setUp();
    const author = net.puppet('author');
    const commit = author.item('commit');
    puppet.answer = (message, from) => {
      if (message.payload.gossip_type !== 'request') return;
      const members = { gossip_type: 'response', topic: 'items', request_id: message.id, missing: [] };
      const served = { items: [commit], item_hashes: [hashOf(commit)] };
      from.send('gossip', gossip(puppet, { gossip_id: relayId, ...members, ...served }));
    };
    link.send('gossip', gossip(puppet, { gossip_id: relayId, item_hashes: [hashOf(commit)] }));
    net.run(200);
    expect(node.core.holds(hashOf(commit))).to.equal(true);
    const own = author.dial(node);
    node.holdWrites = true;
    const before = own.received.length;
    own.sendText(canonical(commit));
    net.run(200);
    expect(own.received).to.have.length(before);
    for (const write of node.heldWrites.splice(0)) write();
    net.run(100);
    expect(own.received.at(-1)!.payload).to.include({ status: 'known', item_hash: hashOf(commit) });
    expect([...node.records.keys()]).to.deep.equal(['synced']);
  });

  it('refuses what is no valid item, with the code of check 11', () => {
    const { net, puppet, link } = setUp();
    const foreign = net.puppet('x').item('commit').sender as JsonObject;
    const sender = puppet.item('commit').sender as JsonObject;
    const cases: [string, JsonObject][] = [
      ['TOO_LARGE', puppet.item('commit', { metadata: { x: 'x'.repeat(33_000) } })],
      ['MALFORMED', puppet.item('commit', { confidence: float(1.5) })],
      ['MALFORMED', puppet.seal('commit', puppet.item('commit').payload as JsonObject)],
      [
        'INVALID_SIGNATURE',
        puppet.item('commit', {}, { sender: { ...sender, certificate: foreign.certificate! } }),
      ],
    ];
    for (const [error, object] of cases) expect(code(say(net, link, canonical(object)))).to.equal(error);
    expect(say(net, link, canonical(puppet.item('challenge')))!.payload.status).to.equal('accepted');
    expect(say(net, link, canonical(puppet.item('confirm')))!.payload.status).to.equal('accepted');
  });
});

describe('core limits', () => {
  it('passes 10 items and 30 queries in any 60 s, apart, per peer, whatever the connection', () => {
    const { net, node, puppet, link } = setUp();
    for (let i = 0; i < 10; i++) {
      const answer = say(net, link, canonical(puppet.item(i % 2 ? 'commit' : 'confirm', {}, {})));
      expect(answer!.payload.status).to.equal('accepted');
    }
    const limited = say(net, link, canonical(puppet.item('challenge')))!;
    expect(code(limited)).to.equal('RATE_LIMIT');
    const retry = (limited.payload.details as { retry_after: { float: number } }).retry_after.float;
    expect(retry).to.be.within(58, 60);
    const freeAtMs = net.nowMs + retry * 1000;
    for (let i = 0; i < 30; i++) expect(link.request('query', query)!.type).to.equal('response');
    expect(code(link.request('query', query))).to.equal('RATE_LIMIT');
    const second = puppet.dial(node);
    expect(
      code(second.request('peer_request', { node_id: puppet.credentials.identity.nodeId, capabilities: [] })),
    ).to.equal('RATE_LIMIT');
    const other = net.puppet('o');
    expect(say(net, other.dial(node), canonical(other.item('commit')))!.payload.status).to.equal('accepted');
    net.run(freeAtMs - net.nowMs - 1500);
    const third = puppet.dial(node);
    expect(code(say(net, third, canonical(puppet.item('challenge'))))).to.equal('RATE_LIMIT');
    net.run(1500);
    expect(say(net, third, canonical(puppet.item('challenge')))!.payload.status).to.equal('accepted');
    expect(node.core.counters.rateLimited).to.equal(4);
  });

  it('takes in at most the byte budget, holding the connection back, and does not count that as silence', () => {
    const { net, node, puppet } = setUp({ bytesPerSecond: 100_000, peerTimeoutMs: 1500 });
    const link = puppet.dial(node, { connection_type: 'persistent' });
    const padded = () =>
      link.send('gossip', {
        gossip_id: '11111111-1111-4111-8111-111111111111',
        gossip_type: 'heartbeat',
        topic: 'heartbeat',
        topics: [],
        item_hashes: [],
        ttl: 0,
        origin: puppet.credentials.identity.nodeId,
        padding: 'x'.repeat(9_000),
      });
    const before = heartbeats(node);
    for (let i = 0; i < 60; i++) padded();
    net.run(1000 + net.latencyMs);
    const taken = heartbeats(node) - before;
    expect(taken).to.be.within(15, 21);
    net.run(4000);
    expect(heartbeats(node) - before).to.equal(60);
    expect(link.closed).to.equal(null);
    net.run(2000);
    expect(link.closed).to.equal(4408);
  });

  it('holds its own sending back to the budget of its peers', () => {
    const { net, node, puppet, link } = setUp({ bytesPerSecond: 50_000 });
    for (let i = 0; i < 10; i++) {
      say(net, link, canonical(puppet.item('commit', { metadata: { x: 'x'.repeat(20_000), i } })));
      net.run(1000);
    }
    expect(node.core.status().items).to.equal(10);
    const other = net.puppet('o').dial(node);
    const hashes = [...node.items.keys()].map((hash) => `rule_${hash}`);
    const from = net.nowMs;
    for (let i = 0; i < 5; i++) {
      other.send('gossip', {
        gossip_id: '11111111-1111-4111-8111-111111111111',
        gossip_type: 'request',
        topic: 'items',
        topics: [],
        item_hashes: hashes,
        ttl: 0,
        origin: puppet.credentials.identity.nodeId,
      });
    }
    net.until(() => other.of('gossip', 'response').length === 5, 20_000, 'responses');
    const bytes = other.received.reduce((sum, { text }) => sum + text.length, 0);
    expect(bytes).to.be.greaterThan(200_000);
    expect(bytes).to.be.at.most(50_000 * (1 + (net.nowMs - from) / 1000) + 65_536);
  });

  it('stops sending to a peer that does not read, and gives it up', () => {
    const { net, node, puppet } = setUp();
    const link = puppet.dial(node, { connection_type: 'persistent', capabilities: ['gossip'] });
    const id = [...node.wires.keys()].at(-1)!;
    node.feed({ kind: 'pressed', link: id });
    const before = link.received.length;
    link.send('sync_digest', digest);
    net.run(1000);
    expect(link.received).to.have.length(before);
    node.feed({ kind: 'drained', link: id });
    net.run(100);
    expect(link.of('sync_digest')).to.have.length(1);
    node.feed({ kind: 'pressed', link: id });
    net.run(91_000);
    expect(link.closed).to.equal(4408);
  });
});
