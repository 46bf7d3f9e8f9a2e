/**
 * What every message that a node emits must satisfy, whatever test is under way: rows SIG-01, CAN-01, CAN-06, ENV-01,
 * ENV-04, ENV-08, GFM-01, ERR-01. Violations are recorded in a book, never thrown. Knows messages as data.
 */

import { decodeBase64 } from './base64.ts';
import { canonical, canonicalWithout } from './canonical.ts';
import type { Proof } from './certificate.ts';
import { verify } from './ed25519.ts';
import { signingBytes } from './envelope.ts';
import { nodeIdOf, sha256 } from './identity.ts';
import { isInteger, isNumber, isObject, type Json, type JsonObject, numberOf, plain } from './json.ts';

export type MonitorRow =
  | 'SIG-01'
  | 'CAN-01'
  | 'CAN-06'
  | 'ENV-01'
  | 'ENV-04'
  | 'ENV-08'
  | 'GFM-01'
  | 'ERR-01';

export interface Violation {
  row: MonitorRow;
  because: string;
  /** Label of the connection on which it was seen. */
  connection: string;
  /** performance.now. */
  at: number;
  /** The message, cut to 2 000 characters. */
  text: string;
}

/** Shared by all connections of a run: violations, and which message ids were seen from whom. */
export interface MonitorBook {
  readonly violations: Violation[];
  /** How many of them are of one row and connection. */
  readonly kept: Map<string, number>;
  /** Messages judged, by row: a monitor without exposure proves nothing. */
  readonly judged: Map<MonitorRow, number>;
  /** Ids seen, by sender and id: the text's hash and who received it. */
  readonly seen: Map<string, { hash: string; receivers: Set<string> }>;
  /** Different timestamps in a row that had no fraction, and the last of them, by sender and type. */
  readonly wholeSeconds: Map<string, { inARow: number; last: number | bigint }>;
}

export function createBook(): MonitorBook {
  return { violations: [], kept: new Map(), judged: new Map(), seen: new Map(), wholeSeconds: new Map() };
}

/** Where a message arrived. */
export interface Arrival {
  connection: string;
  /** Node id of the puppet that received it. */
  receiver: string;
  /** Proven by the peer's certificate, or in words why not. */
  peer: Proof | string;
  at: number;
}

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const largestMessage = 65_536;
const largestPayload = 60_000;
const clockToleranceS = 300;
const idsKept = 200_000;
/**
 * "All of six or more integral is a fault" (profile §12, 4). A clock in milliseconds is at a whole second once in a thousand times, and
 * all that a node sends in that millisecond bears the same time: only different times speak against chance.
 */
const wholeSecondsAreFault = 6;
/**
 * Of one row and connection, enough to show: a node that breaks a rule with every message must not fill our memory, nor hide another
 * one's breach of it, or its own of another rule.
 */
const violationsKept = 100;

/** Writes it down, unless there are enough of its kind. */
export function record(book: MonitorBook, violation: Violation): void {
  const key = `${violation.row} ${violation.connection}`;
  const before = book.kept.get(key) ?? 0;
  if (before >= violationsKept) return;
  book.kept.set(key, before + 1);
  book.violations.push(violation);
}
const gossipTypes = ['announce', 'request', 'response', 'heartbeat'];
const errorCodes = [
  'MALFORMED',
  'INVALID_SIGNATURE',
  'IDENTITY_MISMATCH',
  'STALE',
  'UNKNOWN_TYPE',
  'UNKNOWN_HASH',
  'RATE_LIMIT',
  'VERSION_MISMATCH',
  'HANDSHAKE_REQUIRED',
  'TOO_MANY_PEERS',
  'TOO_LARGE',
  'UNAVAILABLE',
];

/** Judges one received text. `object` is null where `fault` says why it could not be read. Returns whether its signature holds. */
export function judge(
  book: MonitorBook,
  arrival: Arrival,
  text: string,
  size: number,
  object: JsonObject | null,
  fault: string | null,
): boolean {
  const accuse = (row: MonitorRow, because: string): void => {
    record(book, {
      row,
      because,
      connection: arrival.connection,
      at: arrival.at,
      text: text.slice(0, 2_000),
    });
  };
  const count = (row: MonitorRow): void => {
    book.judged.set(row, (book.judged.get(row) ?? 0) + 1);
  };
  // What is no text message is accused where it is read.
  count('ENV-08');
  count('ENV-04');
  if (size > largestMessage) accuse('ENV-04', `${size} bytes`);
  count('CAN-06');
  if (object === null) {
    const notFinite = /(?:^|[\s[:,])-?(?:NaN|Infinity)(?=[\s,\]}]|$)/.test(
      text.replace(/"(?:[^"\\]|\\.)*"/g, '""'),
    );
    accuse(notFinite ? 'CAN-06' : 'ENV-01', fault ?? 'not an object');
    return false;
  }
  count('ENV-01');
  for (const because of envelopeFaults(object)) accuse('ENV-01', because);
  const whole = withoutFraction(book, object);
  if (whole !== null) accuse('ENV-01', whole);
  const repeated = repeatedId(book, arrival, object, text);
  if (repeated !== null) accuse('ENV-01', repeated);
  const { payload } = object;
  if (isObject(payload)) {
    const length = canonical(payload).length;
    if (length > largestPayload) accuse('ENV-04', `a payload of ${length} canonical bytes`);
    if (object.message_type === 'gossip') {
      count('GFM-01');
      for (const because of gossipFaults(payload)) accuse('GFM-01', because);
    }
    if (object.message_type === 'error') {
      count('ERR-01');
      for (const because of errorFaults(payload)) accuse('ERR-01', because);
    }
  }
  count('SIG-01');
  count('CAN-01');
  for (const because of senderFaults(object, arrival.peer)) accuse('SIG-01', because);
  return judgeSignature(object, accuse);
}

function judgeSignature(object: JsonObject, accuse: (row: MonitorRow, because: string) => void): boolean {
  const sender = object.sender;
  const publicKey = isObject(sender) ? decodeBase64(sender.public_key) : null;
  const signature = decodeBase64(object.signature);
  if (publicKey?.length !== 32) accuse('SIG-01', 'sender.public_key is no canonical base64 of 32 bytes');
  else if (signature?.length !== 64) accuse('SIG-01', 'signature is no canonical base64 of 64 bytes');
  else if (verify(publicKey, signingBytes(object), signature)) return true;
  else {
    accuse('SIG-01', 'the signature does not verify');
    const covers =
      otherReading(object, publicKey, signature) ?? 'something else than the signing bytes of §3.1';
    accuse('CAN-01', `the signature covers ${covers}`);
  }
  return false;
}

/** Which well-known wrong signing bytes the signature fits, if any: tells an implementer what to change. */
function otherReading(object: JsonObject, publicKey: Uint8Array, signature: Uint8Array): string | null {
  const rest: JsonObject = { ...object };
  delete rest.signature;
  const readings: [string, () => string][] = [
    ['the compact form of JSON.stringify in the order received', () => JSON.stringify(plain(rest))],
    ['the payload alone', () => canonical(object.payload ?? null)],
    ['the message with an empty signature', () => canonical({ ...rest, signature: '' })],
    ['the message without the sender', () => canonicalWithout(rest, 'sender')],
    ["the canonical form without separators' spaces", () => canonical(rest).replace(/([,:]) /g, '$1')],
  ];
  for (const [name, bytes] of readings) {
    try {
      if (verify(publicKey, Buffer.from(bytes()), signature)) return name;
    } catch {
      // JSON.stringify refuses bigint: then it is not this reading.
    }
  }
  return null;
}

function* envelopeFaults(object: JsonObject): Generator<string> {
  for (const key of [
    'version',
    'message_type',
    'message_id',
    'timestamp',
    'sender',
    'payload',
    'signature',
  ]) {
    if (!Object.hasOwn(object, key)) yield `no ${key}`;
  }
  if (object.version !== '1.0') yield `version ${canonical(object.version ?? null)}`;
  if (typeof object.message_type !== 'string') yield 'message_type is no string';
  const id = object.message_id;
  if (typeof id !== 'string' || !uuid4.test(id))
    yield `message_id is no UUID version 4: ${canonical(id ?? null)}`;
  const { timestamp } = object;
  if (!isNumber(timestamp)) yield 'timestamp is no number';
  else if (Math.abs(numberOf(timestamp) - Date.now() / 1000) > clockToleranceS) {
    yield `timestamp ${numberOf(timestamp)} is not within ${clockToleranceS} s of now in seconds`;
  }
  if (!isObject(object.payload)) yield 'payload is no object';
  if (typeof object.signature !== 'string') yield 'signature is no string';
}

function* senderFaults(object: JsonObject, peer: Proof | string): Generator<string> {
  const { sender } = object;
  if (!isObject(sender)) {
    yield 'sender is no object';
    return;
  }
  const publicKey = decodeBase64(sender.public_key);
  if (publicKey !== null && sender.node_id !== nodeIdOf(publicKey)) {
    yield 'sender.node_id is not that of sender.public_key';
  }
  if (typeof peer === 'string') return;
  if (publicKey === null || !Buffer.from(peer.publicKey).equals(publicKey)) {
    yield 'sender.public_key is not the key of the TLS certificate';
  }
  if (sender.agent_id !== peer.agentId) yield 'sender.agent_id is not the agent of the TLS certificate';
}

/**
 * An id may come once to one receiver. The same bytes may go to several (an envelope names no receiver, so a fan-out may be
 * signed once); another text under the same id is a reuse.
 */
function repeatedId(book: MonitorBook, arrival: Arrival, object: JsonObject, text: string): string | null {
  const { sender } = object;
  const from = isObject(sender) ? String(sender.node_id) : '';
  const key = `${from} ${String(object.message_id)}`;
  const hash = sha256(text);
  const known = book.seen.get(key);
  if (known === undefined) {
    if (book.seen.size >= idsKept) book.seen.clear();
    book.seen.set(key, { hash, receivers: new Set([arrival.receiver]) });
    return null;
  }
  if (known.hash !== hash) return 'message_id used for two different messages';
  if (known.receivers.has(arrival.receiver)) return 'message_id sent twice to one peer';
  known.receivers.add(arrival.receiver);
  return null;
}

/** "nodes emit it with a fraction": said once of a type, when it can no longer be chance. */
function withoutFraction(book: MonitorBook, object: JsonObject): string | null {
  const { sender, timestamp, message_type: type } = object;
  const key = `${isObject(sender) ? String(sender.node_id) : ''} ${String(type)}`;
  if (!isInteger(timestamp)) {
    book.wholeSeconds.delete(key);
    return null;
  }
  const before = book.wholeSeconds.get(key);
  if (before?.last === timestamp) return null;
  const inARow = (before?.inARow ?? 0) + 1;
  if (book.wholeSeconds.size >= idsKept) book.wholeSeconds.clear();
  book.wholeSeconds.set(key, { inARow, last: timestamp });
  return inARow === wholeSecondsAreFault
    ? `timestamps without a fraction: ${inARow} different ones of type ${String(type)} in a row`
    : null;
}

function* gossipFaults(payload: JsonObject): Generator<string> {
  const { gossip_id: id, gossip_type: type, topic, topics, item_hashes: hashes, ttl, origin } = payload;
  if (typeof id !== 'string' || !uuid4.test(id)) yield `gossip_id ${canonical(id ?? null).slice(0, 100)}`;
  if (typeof type !== 'string' || !gossipTypes.includes(type)) yield `gossip_type ${canonical(type ?? null)}`;
  if (typeof topic !== 'string') yield 'topic is no string';
  if (!isStrings(topics)) yield 'topics is no array of strings';
  if (!isStrings(hashes)) yield 'item_hashes is no array of strings';
  else {
    if (hashes.length > 100) yield `${hashes.length} item_hashes`;
    const form = topic === 'checkpoint' ? /^[0-9a-f]{64}$/ : /^rule_[0-9a-f]{64}$/;
    const odd = hashes.find((hash) => !form.test(hash));
    if (odd !== undefined) yield `item hash ${JSON.stringify(odd.slice(0, 100))} on topic ${String(topic)}`;
  }
  if (!isInteger(ttl) || ttl < 0) yield `ttl ${canonical(ttl ?? null)}`;
  if (typeof origin !== 'string' || !/^node_[0-9a-f]{40}$/.test(origin))
    yield `origin ${canonical(origin ?? null)}`;
}

function* errorFaults(payload: JsonObject): Generator<string> {
  const { error_code: code, error_message: message, details } = payload;
  if (typeof code !== 'string' || !errorCodes.includes(code)) yield `error_code ${canonical(code ?? null)}`;
  if (typeof message !== 'string') yield 'error_message is no string';
  if (!isObject(details)) yield 'details is no object';
  else {
    const { request_id: id } = details;
    if (id !== null && typeof id !== 'string') yield `details.request_id ${canonical(id ?? null)}`;
  }
}

function isStrings(value: Json | undefined): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
