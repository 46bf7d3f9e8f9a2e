/**
 * From a payload to a text on a connection: seals envelopes (§3) and keeps this node inside the byte budget that its
 * peers enforce (§9: "A node keeps inside the same limits when it sends"). It owns what waits to be sent; it must not
 * know what a message means.
 */
import { encodeBase64 } from './base64.ts';
import { canonical } from './canonical.ts';
import { asciiBytes } from './envelope.ts';
import type { ErrorCode } from './error-code.ts';
import { float } from './json.ts';
import { hold, release } from './link.ts';
import type { Link, NodeState, Peer } from './state.ts';
import type { Json, JsonObject } from './types.ts';

/** Above this a connection's requests are not read: answers would pile up. */
const outboxHighBytes = 524_288;
const outboxLowBytes = 131_072;
/** Above this what can be lost (announces, heartbeats) is lost: anti-entropy repairs it. */
const outboxLossyBytes = 262_144;

/** Canonical text of a payload, or an object that still has to be printed. */
export type Payload = string | JsonObject;

/** A signed envelope of this node; its canonical form is the text to transmit (§3.1). */
export function sealed(node: NodeState, messageType: string, payload: Payload, author = false) {
  const messageId = node.world.uuid();
  const payloadText = typeof payload === 'string' ? payload : canonical(payload);
  const timestamp = canonical(float(node.world.wallMs() / 1000));
  const sender = author ? node.authorText : node.senderText;
  const head = `{"message_id": "${messageId}", "message_type": "${messageType}", "payload": ${payloadText}, "sender": ${sender}, `;
  const tail = `"timestamp": ${timestamp}, "version": "1.0"}`;
  const signature = encodeBase64(node.world.sign(asciiBytes(head + tail)));
  return { messageId, text: `${head}"signature": "${signature}", ${tail}` };
}

/**
 * Seals and sends; returns the message id, or null if the connection is closing or (`lossy`) too far behind. The text
 * waits here while the peer's byte budget or the shell's buffer is full.
 */
export function send(
  node: NodeState,
  link: Link,
  messageType: string,
  payload: Payload,
  lossy = false,
): string | null {
  if (!takes(link, lossy)) return null;
  const { messageId, text } = sealed(node, messageType, payload);
  post(node, link, messageType, text);
  return messageId;
}

/**
 * One message to several peers, sealed once: no envelope names its receiver (§3), and each of them counts for itself which
 * ids it has seen. Who is too far behind goes without.
 */
export function sendToEach(
  node: NodeState,
  links: readonly Link[],
  messageType: string,
  payload: Payload,
): void {
  const taking = links.filter((link) => takes(link, true));
  if (taking.length === 0) return;
  const { text } = sealed(node, messageType, payload);
  for (const link of taking) post(node, link, messageType, text);
}

function takes(link: Link, lossy: boolean): boolean {
  return link.phase !== 'closing' && !(lossy && link.outboxBytes > outboxLossyBytes);
}

function post(node: NodeState, link: Link, messageType: string, text: string): void {
  const label = `out:${messageType}`;
  node.counters.messages.set(label, (node.counters.messages.get(label) ?? 0) + 1);
  if (link.type === 'sync') touch(node, link);
  link.outbox.push(text);
  link.outboxBytes += text.length;
  flush(node, link);
  if (link.outboxBytes > outboxHighBytes) hold(node, link, 'output');
}

/** Sends what waits, as far as the peer's budget and the shell's buffer allow. */
export function flush(node: NodeState, link: Link): void {
  const { outgo } = link.peer;
  let sent = 0;
  while (sent < link.outbox.length && !link.pressed) {
    const text = link.outbox[sent]!;
    if (outgo.waitMs(text.length, node.nowMs) > 0) break;
    sent++;
    outgo.take(text.length, node.nowMs);
    link.outboxBytes -= text.length;
    node.turn.effects.push({ kind: 'send', link: link.id, text });
  }
  if (sent > 0) link.outbox.splice(0, sent);
  if (link.outbox.length > 0 && !link.pressed) flushLater(node, link.peer, link.outbox[0]!.length);
  if (link.outboxBytes < outboxLowBytes) release(node, link, 'output');
}

/** `error` (§6). `requestId`: the refused message's id as it was read, or null. */
export function sendError(
  node: NodeState,
  link: Link,
  code: ErrorCode,
  because: string,
  requestId: string | null,
  details: { [key: string]: Json } = {},
): void {
  send(node, link, 'error', {
    error_code: code,
    error_message: because,
    details: { request_id: requestId, ...details },
  });
}

/** Something happened on a connection that lives while it is used (§4: `sync`, idle 30 s). */
export function touch(node: NodeState, link: Link): void {
  link.heardAtMs = node.nowMs;
}

function flushLater(node: NodeState, peer: Peer, bytes: number): void {
  if (peer.outgoDue?.live) return;
  peer.outgoDue = node.deadlines.at(node.nowMs + Math.max(1, peer.outgo.waitMs(bytes, node.nowMs)), () => {
    for (const link of peer.links) flush(node, link);
  });
}
