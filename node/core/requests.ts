/**
 * Requests of this node that wait for an answer on the connection they went out on, found again by `request_id` (§6). It
 * owns the waiting and its bound; what an answer is worth is for who asked.
 */
import type { Deadline } from './deadlines.ts';
import { type Payload, send } from './sending.ts';
import type { Link, NodeState } from './state.ts';
import type { JsonObject } from './types.ts';

export type AnswerKind = 'peer_exchange' | 'gossip' | 'sync_digest' | 'state_sync';

export interface Pending {
  readonly kind: AnswerKind;
  readonly due: Deadline;
  readonly answered: (payload: JsonObject) => void;
  /** An `error` (its code), no answer in time (`timeout`) or the end of the connection (`closed`). */
  readonly failed: (why: string) => void;
}

/** Sends a request. One of `answered` and `failed` is called, once; false (and neither) if it could not be sent. */
export function ask(
  node: NodeState,
  link: Link,
  request: { messageType: string; payload: Payload; kind: AnswerKind; withinMs: number },
  answered: (payload: JsonObject) => void,
  failed: (why: string) => void,
): boolean {
  const messageId = send(node, link, request.messageType, request.payload);
  if (messageId === null) return false;
  const due = node.deadlines.at(node.nowMs + request.withinMs, () => {
    link.pending.delete(messageId);
    failed('timeout');
  });
  link.pending.set(messageId, { kind: request.kind, due, answered, failed });
  return true;
}

/** The request that an answer of this kind is for, now settled; null for an unsolicited one, which is ignored (§6). */
export function settled(node: NodeState, link: Link, requestId: unknown, kind: AnswerKind): Pending | null {
  if (typeof requestId !== 'string') return null;
  const pending = link.pending.get(requestId);
  if (pending?.kind !== kind) return null;
  link.pending.delete(requestId);
  node.deadlines.cancel(pending.due);
  return pending;
}

/** An `error` that names a request of ours. */
export function settledByError(node: NodeState, link: Link, requestId: unknown, code: string): void {
  if (typeof requestId !== 'string') return;
  const pending = link.pending.get(requestId);
  if (!pending) return;
  link.pending.delete(requestId);
  node.deadlines.cancel(pending.due);
  pending.failed(code);
}

/** The connection ended, or something unreadable came on it that may have been an answer. */
export function failAll(node: NodeState, link: Link, why: string): void {
  const all = [...link.pending.values()];
  link.pending.clear();
  for (const pending of all) node.deadlines.cancel(pending.due);
  for (const pending of all) pending.failed(why);
}
