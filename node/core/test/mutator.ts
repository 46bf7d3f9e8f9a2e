/**
 * Hostile input for the path of a frame: honest messages of every type, damaged as text (any bytes) or as values and then
 * signed again (so that the damage reaches the handlers). Seeded, so that a finding can be found again. Knows the shapes of
 * the profile; sends nothing.
 */
import { canonical } from '../canonical.ts';
import { float } from '../json.ts';
import type { Json, JsonObject } from '../types.ts';
import { bodies, type Puppet } from './puppet.ts';

export type Random = () => number;

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
const hex = (digit: string, length = 64) => digit.repeat(length);

/** An honest payload of each type and kind, as `[message_type, payload]`. */
export function honestMessages(puppet: Puppet): [type: string, payload: JsonObject][] {
  const { nodeId } = puppet.credentials.identity;
  const gossip = (
    gossipType: string,
    topic: string,
    hashes: string[],
    more: JsonObject = {},
  ): JsonObject => ({
    gossip_id: '6f1e0d4c-3b2a-4190-8877-665544332211',
    gossip_type: gossipType,
    topic,
    topics: [topic],
    item_hashes: hashes,
    ttl: 2,
    origin: nodeId,
    ...more,
  });
  const item = puppet.item('commit');
  const checkpoint: JsonObject = {
    height: 1,
    hash: hex('b'),
    previous_hash: hex('0'),
    timestamp: float(1_750_000_000.5),
    state_root: hex('c'),
    accepted_rules: [],
    statistics: { total_commits: 1, total_agents: 1, avg_confidence: float(0.5) },
    signature: 'A'.repeat(128),
  };
  const id = '0b0e0d4c-3b2a-4190-8877-665544332211';
  return [
    [
      'hello',
      {
        version: '1.0',
        node_id: nodeId,
        capabilities: ['v1', 'gossip', 'sync'],
        address: 'p:8888',
        connection_type: 'persistent',
      },
    ],
    ['state_summary', { height: 3, checkpoint_hash: hex('a'), state_root: hex('b'), item_count: 7 }],
    ['peer_exchange', { peers: [{ node_id: `node_${hex('1', 40)}`, address: '[::1]:1' }] }],
    ['peer_exchange', { request_id: id, peers: [] }],
    ['peer_request', { node_id: nodeId, capabilities: ['v1'] }],
    ['commit', bodies.commit],
    ['challenge', bodies.challenge],
    ['confirm', bodies.confirm],
    [
      'query',
      {
        query_type: 'by_context',
        filters: { context_pattern: '*a?*', min_confidence: float(0.1), limit: 3 },
      },
    ],
    ['query', { query_type: 'by_hash', filters: { rule_hash: `rule_${hex('a')}` } }],
    ['query', { query_type: 'by_agent', filters: { agent_id: 'agent_p' } }],
    ['response', { request_id: id, status: 'accepted', item_hash: `rule_${hex('a')}` }],
    ['gossip', gossip('announce', 'new_commit', [`rule_${hex('d')}`])],
    ['gossip', gossip('announce', 'checkpoint', [hex('d')])],
    ['gossip', gossip('request', 'items', [`rule_${hex('d')}`])],
    [
      'gossip',
      gossip('response', 'items', [`rule_${hex('d')}`], { request_id: id, items: [item], missing: [] }),
    ],
    ['gossip', gossip('heartbeat', 'heartbeat', [], { ttl: 0 })],
    ['sync_digest', { root: null, prefix: '', state_root: hex('e'), item_count: 4 }],
    [
      'sync_digest',
      {
        request_id: id,
        root: hex('e'),
        prefix: '',
        count: 1,
        hash: hex('f'),
        item_hashes: [`rule_${hex('d')}`],
      },
    ],
    [
      'sync_digest',
      {
        request_id: id,
        root: hex('e'),
        prefix: 'a',
        count: 999,
        hash: hex('f'),
        children: Array(16).fill(hex('1')),
      },
    ],
    ['state_sync', { sync_type: 'request', checkpoint_hash: null, last_known_height: 0 }],
    ['state_sync', { sync_type: 'response', request_id: id, checkpoint }],
    ['error', { error_code: 'UNKNOWN_HASH', error_message: 'no', details: { request_id: id } }],
  ];
}

/** Values that stand where something else should. */
const hostile: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1,
  100,
  2 ** 53 - 1,
  -(2n ** 70n),
  10n ** 400n,
  float(0.5),
  float(-0),
  float(1e308),
  float(5e-324),
  '',
  'x',
  'é\u2028😀',
  '\u0000',
  '__proto__',
  'constructor',
  hex('a'),
  hex('A'),
  `rule_${hex('a')}`,
  `node_${hex('0', 40)}`,
  '6f1e0d4c-3b2a-4190-8877-665544332211',
  'a'.repeat(300),
  '*'.repeat(256),
  'z'.repeat(20_000),
  [],
  [[]],
  [null, {}, 1, 'x'],
  Array(101).fill(`rule_${hex('b')}`),
  Array(600).fill(0),
  {},
  { __proto__: null, toString: 1 } as unknown as JsonObject,
  { height: 1, peers: [], items: [{}], filters: {} },
  nested(20),
  nested(28),
  nested(31),
];

function nested(depth: number): Json {
  let value: Json = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { x: value };
  return value;
}

/** A copy with up to three members or entries, at any depth, replaced, removed, added or repeated. */
export function damagedValue(random: Random, value: JsonObject): JsonObject {
  let result = value;
  const times = 1 + Math.floor(random() * 3);
  for (let i = 0; i < times; i++) result = damagedAt(random, result) as JsonObject;
  return result;
}

function damagedAt(random: Random, value: Json): Json {
  if (Array.isArray(value)) return damagedArray(random, value);
  if (typeof value !== 'object' || value === null || 'float' in value) return pick(random, hostile);
  const keys = Object.keys(value);
  const copy = Object.assign(Object.create(null), value) as JsonObject;
  const key = keys.length > 0 ? pick(random, keys) : 'x';
  const what = random();
  if (what < 0.15) delete copy[key];
  else if (what < 0.25)
    copy[pick(random, ['__proto__', 'extra', 'request_id', 'items', ''])] = pick(random, hostile);
  else if (what < 0.6 || keys.length === 0) copy[key] = pick(random, hostile);
  else copy[key] = damagedAt(random, copy[key]!);
  return copy;
}

function damagedArray(random: Random, value: readonly Json[]): Json[] {
  const copy = value.slice();
  const at = Math.floor(random() * (copy.length + 1));
  const what = random();
  if (what < 0.3) copy.splice(at, 1);
  else if (what < 0.6 || copy.length === 0) copy.splice(at, 0, pick(random, hostile));
  else copy[at % copy.length] = damagedAt(random, copy[at % copy.length]!);
  return copy;
}

const tokens = [
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '\\u00',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  ' ',
  '\n',
  '\t',
  '\u0000',
  '\u007f',
  '\ufeff',
  '\u2028',
  'é',
  '😀',
  'null',
  'true',
  'NaN',
  'Infinity',
  '-',
  '-0',
  '0.0',
  '1e999',
  '1e-400',
  '1E5',
  '.5',
  '5.',
  '00',
  '9007199254740993',
  '1'.repeat(4301),
  '"__proto__": 1, ',
  '"a": 1, "a": 2, ',
  '['.repeat(40),
  '{"a":'.repeat(40),
  '/**/',
];

/** Text with up to four places flipped, cut, doubled, or with tokens put in; sometimes spliced with another text. */
export function damagedText(random: Random, text: string, other: string): string {
  let result = text;
  const times = 1 + Math.floor(random() * 4);
  for (let i = 0; i < times; i++) {
    const at = Math.floor(random() * (result.length + 1));
    const end = Math.min(result.length, at + 1 + Math.floor(random() ** 4 * 200));
    const what = random();
    if (what < 0.25) result = result.slice(0, at) + pick(random, tokens) + result.slice(at);
    else if (what < 0.45) result = result.slice(0, at) + result.slice(end);
    else if (what < 0.6) result = result.slice(0, end) + result.slice(at);
    else if (what < 0.7) result = result.slice(0, at) + other.slice(Math.floor(random() * other.length));
    else {
      const code = Math.floor(random() * 128);
      result = result.slice(0, at) + String.fromCharCode(code) + result.slice(at + 1);
    }
  }
  // What the shell hands on was decoded from UTF-8 and is at most 64 KiB.
  return Buffer.from(result.slice(0, 20_000)).toString();
}

/** One hostile frame of a peer: as text, or signed by it. */
export function hostileFrame(
  random: Random,
  puppet: Puppet,
  honest: readonly [string, JsonObject][],
): string {
  const [type, payload] = pick(random, honest);
  const what = random();
  if (what < 0.5) {
    const own = type === 'commit' || type === 'challenge' || type === 'confirm';
    const damaged = random() < 0.1 ? payload : damagedValue(random, payload);
    try {
      const sealed =
        own && random() < 0.7
          ? puppet.item(type as 'commit', {}, { payload: damaged })
          : puppet.seal(type, damaged);
      if (what > 0.08) return canonical(sealed);
      return canonical(damagedValue(random, sealed));
    } catch {
      // Not every value can be printed; then the text is damaged instead.
    }
  }
  const [, otherPayload] = pick(random, honest);
  return damagedText(random, canonical(puppet.seal(type, payload)), canonical(otherPayload));
}
