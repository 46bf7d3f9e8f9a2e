/** Signed nonsense: well-formed envelopes of a certified peer with payloads bent in every member. Nothing may throw or stay. */
import { expect } from 'chai';
import { canonical } from '../canonical.ts';
import { float } from '../json.ts';
import type { Json, JsonObject } from '../types.ts';
import { sha256 } from './credentials.ts';
import { createNet, type Net } from './net.ts';
import { bodies, gossip, hashOf, type Puppet } from './puppet.ts';

const digest = sha256('x');
const uuid = '00000000-0000-4000-8000-000000000001';

const odd: Json[] = [
  null,
  true,
  0,
  -1,
  2 ** 53 - 1,
  10n ** 30n,
  float(0.5),
  float(-1e300),
  '',
  'x'.repeat(2000),
  '__proto__',
  '\ud83d\ude00',
  digest,
  `rule_${digest}`,
  uuid,
  [],
  [[]],
  ['x'],
  [null, 1, {}],
  {},
  { __proto__: null, constructor: 1, toString: 'x' } as unknown as JsonObject,
  { request_id: uuid },
];

function payloads(puppet: Puppet, item: JsonObject): [string, JsonObject][] {
  const { nodeId } = puppet.credentials.identity;
  const announce = gossip(puppet, { gossip_id: uuid, item_hashes: [`rule_${digest}`] });
  const response = {
    request_id: uuid,
    items: [item],
    missing: [`rule_${digest}`],
    item_hashes: [hashOf(item)],
  };
  const checkpoint: JsonObject = {
    height: 1,
    hash: digest,
    previous_hash: '0'.repeat(64),
    timestamp: float(1.75e9),
    state_root: digest,
    accepted_rules: [],
    statistics: { total_commits: 0, total_agents: 0, avg_confidence: float(0) },
    signature: '',
  };
  return [
    ['hello', { version: '1.0', node_id: nodeId, capabilities: [], address: null, connection_type: 'sync' }],
    ['state_summary', { height: 9, checkpoint_hash: digest, state_root: digest, item_count: 1 }],
    ['peer_exchange', { peers: [{ node_id: `node_${digest.slice(0, 40)}`, address: 'a:1' }] }],
    ['peer_request', { node_id: nodeId, capabilities: [] }],
    ['commit', bodies.commit],
    ['challenge', bodies.challenge],
    ['confirm', bodies.confirm],
    [
      'query',
      { query_type: 'by_context', filters: { context_pattern: '*', limit: 3, min_confidence: float(0.1) } },
    ],
    ['response', { request_id: uuid, status: 'accepted', item_hash: `rule_${digest}` }],
    ['gossip', announce],
    ['gossip', { ...announce, gossip_type: 'request', topic: 'items' }],
    ['gossip', { ...announce, gossip_type: 'response', topic: 'items', ...response }],
    ['gossip', { ...announce, gossip_type: 'announce', topic: 'checkpoint', item_hashes: [digest] }],
    ['sync_digest', { root: null, prefix: '', state_root: digest, item_count: 1 }],
    [
      'sync_digest',
      { request_id: uuid, root: digest, prefix: '', count: 1, hash: digest, item_hashes: [`rule_${digest}`] },
    ],
    ['state_sync', { sync_type: 'request', checkpoint_hash: null, last_known_height: 0 }],
    ['state_sync', { sync_type: 'response', request_id: uuid, checkpoint }],
    ['error', { error_code: 'UNKNOWN_HASH', error_message: 'x', details: { request_id: uuid } }],
    ['nonsense', {}],
  ];
}

/** The payload with one member, at any depth, left out or replaced by something odd. */
function* bent(value: Json): Generator<Json> {
  if (typeof value !== 'object' || value === null || 'float' in value) return;
  for (const key of Object.keys(value)) {
    const with_ = (replacement: Json) =>
      Array.isArray(value)
        ? value.map((each, i) => (String(i) === key ? replacement : each))
        : { ...value, [key]: replacement };
    for (const replacement of odd) yield with_(replacement);
    for (const inner of bent((value as JsonObject)[key]!)) yield with_(inner);
    if (Array.isArray(value)) continue;
    const { [key]: _left, ...rest } = value;
    yield rest;
  }
}

describe('core and hostile peers', () => {
  it('neither throws nor stops on any bent payload, before and after hello', () => {
    const net = createNet(11);
    const parameters = { antiEntropyIntervalMs: 0, checkpointIntervalMs: 0, bytesPerSecond: 1e9 };
    const node = net.node('n', {
      parameters: { ...parameters, queriesPerMinute: 1e6, commitsPerMinute: 1e6 },
    });
    net.latencyMs = 1;
    const puppet = net.puppet('p');
    const item = net.puppet('author').item('commit');
    let count = 0;
    for (const [type, payload] of payloads(puppet, item)) {
      let link = puppet.dial(node, { connection_type: 'persistent', capabilities: ['gossip', 'sync'] });
      for (const bend of [payload, ...bent(payload)]) {
        const isItem = type in bodies;
        const text = isItem
          ? canonical(puppet.item(type as 'commit', bend as JsonObject))
          : canonical(puppet.seal(type, bend as JsonObject));
        // A hundred bad ones within 10 s would end the connection.
        if (count++ % 90 === 89) net.run(10_000);
        link.sendText(text);
        net.run(3);
        if (link.closed !== null) link = puppet.dial(node, { connection_type: 'persistent' });
        if (count % 40 === 0) puppet.dial(node, null).sendText(text);
      }
    }
    expect(count).to.be.greaterThan(2000);
    const answer = puppet.dial(node).request('query', { query_type: 'by_hash', filters: { rule_hash: 'x' } });
    expect(answer!.type).to.equal('response');
    forgetsEverything(net, puppet);
  });

  function forgetsEverything(net: Net, puppet: Puppet): void {
    net.kill(puppet);
    net.run(700_000);
    const [node] = net.nodes;
    expect(node!.core.status().peers).to.equal(0);
    expect(node!.wires.size).to.equal(0);
  }

  it('answers a query while a flood of announces of nothing comes, and stays bounded', () => {
    const net = createNet(12);
    const node = net.node('n', { parameters: { antiEntropyIntervalMs: 0, bytesPerSecond: 1e9 } });
    const flooder = net.puppet('f').dial(node, { connection_type: 'persistent', capabilities: [] });
    const puppet = net.puppet('f');
    for (let i = 0; i < 300; i++) {
      const hashes = Array.from({ length: 100 }, (_, j) => `rule_${sha256(`${i} ${j}`)}`);
      const gossipId = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
      flooder.send('gossip', gossip(puppet, { gossip_id: gossipId, item_hashes: hashes }));
    }
    net.run(100);
    const answer = net
      .puppet('q')
      .dial(node)
      .request('query', { query_type: 'by_hash', filters: { rule_hash: 'x' } });
    expect(answer!.type).to.equal('response');
    expect(flooder.of('gossip', 'request')).to.have.length(1);
    net.run(2000);
    expect(flooder.closed).to.equal(null);
  });

  it('survives bent answers to what it asked for', () => {
    const net = createNet(13);
    const parameters = { antiEntropyIntervalMs: 100, bytesPerSecond: 1e9, checkpointIntervalMs: 0 };
    const node = net.node('n', { parameters });
    const puppet = net.puppet('p');
    const author = net.puppet('author');
    const kinds = new Map<string, Generator<Json>>();
    let answered = 0;
    /** An honest answer of this kind, bent at the next place; starts over when all were. */
    const next = (kind: string, honest: JsonObject): JsonObject => {
      let bends = kinds.get(kind)?.next();
      if (!bends || bends.done) {
        kinds.set(kind, bent(honest));
        bends = { done: false, value: honest };
      }
      answered++;
      const { request_id, prefix, root } = honest;
      const value = bends.value as JsonObject;
      return { ...value, request_id: request_id!, ...(prefix === undefined ? {} : { prefix, root: root! }) };
    };
    puppet.answer = ({ type, id, payload }, link) => {
      if (type === 'gossip' && payload.gossip_type === 'request') {
        const item = author.item('commit');
        const hashes = payload.item_hashes as string[];
        const response = { gossip_type: 'response', topic: 'items', request_id: id, item_hashes: hashes };
        link.send(
          type,
          next(type, gossip(puppet, { gossip_id: uuid, ...response, items: [item], missing: [] })),
        );
      }
      if (type === 'sync_digest' && payload.request_id === undefined) {
        const { prefix } = payload;
        const isList = net.random() < 0.5;
        const children = Array.from({ length: 16 }, (_, i) => sha256(`${i}`));
        const list = { count: 1, hash: sha256(`L${digest}`), item_hashes: [`rule_${digest}`] };
        const tree = { count: 501, hash: sha256(`N${children.join('')}`), children };
        link.send(
          type,
          next(`${type} ${isList}`, {
            request_id: id,
            root: digest,
            prefix: prefix!,
            ...(isList ? list : tree),
          }),
        );
      }
      if (type === 'state_sync' && payload.sync_type === 'request') {
        const made = { height: 1, hash: payload.checkpoint_hash ?? digest, previous_hash: '0'.repeat(64) };
        const rest = {
          timestamp: float(1.75e9),
          state_root: digest,
          accepted_rules: null,
          signature: 'AAAA',
        };
        const statistics = { total_commits: 0, total_agents: 0, avg_confidence: float(0) };
        const checkpoint = { ...made, ...rest, statistics };
        link.send(type, next(type, { sync_type: 'response', request_id: id, checkpoint }));
      }
    };
    let link = puppet.dial(node, { connection_type: 'persistent', capabilities: ['gossip', 'sync'] });
    for (let i = 0; i < 1000; i++) {
      const gossipId = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
      const members =
        i % 4 === 0
          ? { topic: 'checkpoint', item_hashes: [sha256(`${i}`)] }
          : { item_hashes: [`rule_${sha256(`${i}`)}`] };
      link.send('gossip', gossip(puppet, { gossip_id: gossipId, ...members }));
      net.run(150);
      if (link.closed !== null)
        link = puppet.dial(node, { connection_type: 'persistent', capabilities: ['gossip', 'sync'] });
    }
    expect(answered).to.be.greaterThan(1000);
    expect(node.core.status()).to.include({ items: 0, checkpointHeight: 0 });
    const answer = net
      .puppet('q')
      .dial(node)
      .request('query', { query_type: 'by_hash', filters: { rule_hash: 'x' } });
    expect(answer!.type).to.equal('response');
  });
});
