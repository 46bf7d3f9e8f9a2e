/**
 * The path of a frame from the connection to its effects, in the order of §3.2: cheap checks before the signature, counts
 * after it, so that a forger cannot spend another's budget. It owns the order, the waiting and the refusals; what a message
 * means is for its handler.
 */
import { decodeBase64 } from './base64.ts';
import { answerIfKnown, itemsAtOnce } from './direct.ts';
import {
  asciiBytes,
  type Envelope,
  type EnvelopeText,
  envelopeText,
  maxPayloadBytes,
  readEnvelope,
  versionMatches,
} from './envelope.ts';
import { type ErrorCode, type Refusal, refuse } from './error-code.ts';
import { isItemType, itemHashOf } from './item.ts';
import { float, isObject, JsonError, parse } from './json.ts';
import { countBad, end, hold, note, release } from './link.ts';
import { messageTypes, type Received } from './message-types.ts';
import { failAll } from './requests.ts';
import { sendError } from './sending.ts';
import type { Link, NodeState, Peer } from './state.ts';
import type { Json } from './types.ts';

/** Waiting texts above this stop the reading. */
const queueHighBytes = 262_144;
const queueLowBytes = 65_536;
const skewSeconds = 300;
/** §6: a `request_id` is the message_id as it was read, "if a string of at most 200 characters, else null". */
const longestId = 200;

const closeCodes: { readonly [code in ErrorCode]?: number } = {
  VERSION_MISMATCH: 4426,
  IDENTITY_MISMATCH: 4401,
  HANDSHAKE_REQUIRED: 4400,
};

/** A text message came. It is handled at once unless something before it has to be finished first (§6, order). */
export function receive(node: NodeState, link: Link, text: string, size: number): void {
  if (link.phase === 'closing') return;
  link.heardAtMs = node.nowMs;
  node.routing.seen(link.peer.nodeId, node.nowMs);
  link.queue.push({ text, size });
  link.queuedBytes += size;
  work(node, link);
}

/** Handles waiting messages, in order, as far as they may go on. */
export function work(node: NodeState, link: Link): void {
  while (link.phase !== 'closing' && !link.holds.has('output') && link.barriers === 0) {
    if (link.parked) {
      if (mustWait(link, link.parked)) break;
      const { parked } = link;
      link.parked = null;
      take(node, link, parked);
      continue;
    }
    const next = link.queue[0];
    if (!next || !afford(node, link, next.size)) break;
    link.queue.shift();
    link.queuedBytes -= next.size;
    const received = inspect(node, link, next.text);
    if (!received) continue;
    if (mustWait(link, received)) link.parked = received;
    else take(node, link, received);
  }
  if (link.phase === 'closing') return;
  if (link.queuedBytes > queueHighBytes) hold(node, link, 'queue');
  else if (link.queuedBytes < queueLowBytes) release(node, link, 'queue');
}

/** Items of one author are stored side by side; everything else waits until they have taken effect. */
function mustWait(link: Link, received: Received): boolean {
  if (link.itemsStoring === 0) return false;
  return received.itemHash === null || link.itemsStoring >= itemsAtOnce;
}

/** §9: all messages together, refused ones too; above the budget the node stops reading from that connection. */
function afford(node: NodeState, link: Link, size: number): boolean {
  const { peer } = link;
  const waitMs = peer.income.waitMs(size, node.nowMs);
  if (waitMs === 0) {
    peer.income.take(size, node.nowMs);
    return true;
  }
  hold(node, link, 'income');
  if (!peer.incomeDue?.live) {
    peer.incomeDue = node.deadlines.at(node.nowMs + Math.max(1, waitMs), () => letIn(node, peer));
  }
  return false;
}

function letIn(node: NodeState, peer: Peer): void {
  for (const link of peer.links) release(node, link, 'income');
}

/** Checks 1–7 and known gossip; null if that was the end of the message. */
function inspect(node: NodeState, link: Link, text: string): Received | null {
  let value: Json;
  try {
    value = parse(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    // A message that broke a JSON rule was not read: nothing in it names it.
    return refused(node, link, refuse('MALFORMED', 'JSON'), null, null);
  }
  const envelope = readEnvelope(value);
  if (!envelope)
    return refused(node, link, refuse('MALFORMED', 'envelope'), readableId(value), readableType(value));
  const { messageType, messageId, sender } = envelope;
  const no = (code: ErrorCode, because: string) =>
    refused(node, link, refuse(code, because), messageId, messageType);
  if (!versionMatches(envelope.version)) return no('VERSION_MISMATCH', 'version');
  const { identity } = link;
  if (
    sender.publicKey !== identity.publicKeyBase64 ||
    sender.nodeId !== identity.nodeId ||
    sender.agentId !== identity.agentId
  ) {
    return no('IDENTITY_MISMATCH', 'sender is not who the certificate says');
  }
  if (link.phase === 'open' && isKnownGossip(node, envelope)) {
    node.counters.duplicatesDropped++;
    return null;
  }
  const texts = envelopeText(envelope);
  if (texts.isPayloadTooLarge) return no('TOO_LARGE', `payload of more than ${maxPayloadBytes} bytes`);
  const signature = decodeBase64(envelope.signature, 64);
  if (!signature || !isSigned(node, link, texts, signature)) return no('INVALID_SIGNATURE', 'signature');
  countIn(node, messageType);
  if (link.phase === 'hello' && !mayComeBeforeHello(link, messageType)) {
    return no('HANDSHAKE_REQUIRED', 'hello comes first');
  }
  const itemHash = isItemType(messageType) ? itemHashOf(texts, node.world.sha256) : null;
  return { envelope, text: texts, itemHash };
}

/** Known items, and checks 8–11; then the message has its effects. */
function take(node: NodeState, link: Link, received: Received): void {
  if (answerIfKnown(node, link, received)) return;
  const refusal = judged(node, link, received);
  const { messageId, messageType } = received.envelope;
  if (refusal) refused(node, link, refusal, messageId, messageType, refusal.details);
}

function judged(
  node: NodeState,
  link: Link,
  received: Received,
): (Refusal & { details?: { [key: string]: Json } }) | null {
  const { envelope } = received;
  const { nodeId } = link.peer;
  const wallMs = node.world.wallMs();
  if (
    Math.abs(envelope.timestamp - wallMs / 1000) > skewSeconds ||
    node.messageIds.has(nodeId, envelope.messageId, node.nowMs)
  ) {
    return { ...refuse('STALE', 'timestamp or message_id'), details: { now: float(wallMs / 1000) } };
  }
  const type = messageTypes.get(envelope.messageType);
  if (!type) return refuse('UNKNOWN_TYPE', 'message_type');
  const { limit } = type;
  const waitMs = limit ? node.limits.waitMs(nodeId, limit, node.nowMs) : 0;
  if (waitMs > 0) {
    node.counters.rateLimited++;
    return {
      ...refuse('RATE_LIMIT', `too many of this type`),
      details: { retry_after: float(waitMs / 1000) },
    };
  }
  const refusal = type.handle(node, link, received);
  // An item is remembered and counted when it is stored. `UNKNOWN_HASH` is an answer: the message itself passed.
  if (limit === 'item' || (refusal && refusal.code !== 'UNKNOWN_HASH')) return refusal;
  node.counters.envelopesTaken++;
  node.messageIds.add(nodeId, envelope.messageId, node.nowMs);
  if (limit) node.limits.count(nodeId, limit, node.nowMs);
  return refusal;
}

function isSigned(node: NodeState, link: Link, texts: EnvelopeText, signature: Uint8Array): boolean {
  const isGood = node.world.verify(link.identity.publicKey, asciiBytes(texts.signing), signature);
  node.counters.verifications++;
  if (!isGood) node.counters.verificationFailures++;
  return isGood;
}

/** "A gossip whose gossip_id is cached … may be dropped without an answer any time after check 4" (§3.2). */
function isKnownGossip(node: NodeState, { messageType, payload }: Envelope): boolean {
  if (messageType !== 'gossip' || payload.gossip_type !== 'announce') return false;
  return typeof payload.gossip_id === 'string' && node.gossipCache.has(payload.gossip_id, node.nowMs);
}

/** §4: only the hello; "but a dialer accepts, instead of the hello, an `error` and after `TOO_MANY_PEERS` one `peer_exchange`". */
function mayComeBeforeHello(link: Link, messageType: string): boolean {
  if (messageType === 'hello') return true;
  if (!link.errand) return false;
  return messageType === 'error' || (messageType === 'peer_exchange' && link.toldFull);
}

/** Answers with an `error`, and closes where §3.2 says so. */
function refused(
  node: NodeState,
  link: Link,
  refusal: Refusal,
  requestId: string | null,
  messageType: string | null,
  details: { [key: string]: Json } = {},
): null {
  const { code, because } = refusal;
  node.counters.refused.set(code, (node.counters.refused.get(code) ?? 0) + 1);
  // "An error is never answered."
  if (messageType !== 'error') sendError(node, link, code, because, requestId, details);
  const closeCode = closeCodes[code] ?? (link.phase === 'hello' ? 4400 : null);
  if (closeCode !== null) {
    note(node, 'info', 'refused', { peer: link.peer.nodeId, code, because });
    end(node, link, closeCode, code);
  } else if (code === 'MALFORMED' || code === 'INVALID_SIGNATURE') {
    countBad(node, link);
    // It may have been an answer: what was asked for is sought elsewhere at once.
    failAll(node, link, code);
  }
  return null;
}

function readableId(value: Json): string | null {
  const id = isObject(value) ? value.message_id : null;
  return typeof id === 'string' && id.length <= longestId ? id : null;
}

function readableType(value: Json): string | null {
  const type = isObject(value) ? value.message_type : null;
  return typeof type === 'string' ? type : null;
}

function countIn(node: NodeState, messageType: string): void {
  // Strangers choose type names: only known ones become labels.
  const label = messageTypes.has(messageType) ? `in:${messageType}` : 'in:unknown';
  node.counters.messages.set(label, (node.counters.messages.get(label) ?? 0) + 1);
}
