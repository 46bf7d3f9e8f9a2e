/**
 * What every part does with a connection: note, hold it back, let it go on, end it. It owns the bookkeeping of who is
 * connected; it must not know why.
 */
import type { Hold, Link, NodeState } from './state.ts';

export function note(
  node: NodeState,
  level: 'debug' | 'info' | 'warn',
  event: string,
  detail: Record<string, unknown>,
): void {
  node.turn.effects.push({ kind: 'note', level, event, detail });
}

/** Stops reading (§9 back-pressure). What was read already waits in the queue. */
export function hold(node: NodeState, link: Link, why: Hold): void {
  if (link.holds.has(why)) return;
  if (link.holds.size === 0) {
    link.heldSinceMs = node.nowMs;
    node.turn.effects.push({ kind: 'pause', link: link.id });
  }
  link.holds.add(why);
}

export function release(node: NodeState, link: Link, why: Hold): void {
  if (!link.holds.delete(why)) return;
  if (link.holds.size === 0) {
    // §4: "Time in which the node itself held the connection back does not count" as silence.
    link.heardAtMs += node.nowMs - Math.max(link.heldSinceMs, link.heardAtMs);
    node.turn.effects.push({ kind: 'resume', link: link.id });
  }
  node.turn.ready.add(link);
}

/** Closes a connection; from here on it is no peer's and nothing that still comes on it counts. */
export function end(node: NodeState, link: Link, code: number, reason: string): void {
  if (link.phase === 'closing') return;
  node.turn.effects.push({ kind: 'close', link: link.id, code, reason, abortAfterMs: 2000 });
  detach(node, link, code, false);
}

/** The connection is gone, whoever ended it. */
export function detach(node: NodeState, link: Link, code: number, byPeer: boolean): void {
  if (link.phase === 'closing') return;
  const wasOpen = link.phase === 'open';
  link.phase = 'closing';
  link.peer.links.delete(link);
  if (link.peer.persistent === link) {
    link.peer.persistent = null;
    node.persistent.splice(node.persistent.indexOf(link), 1);
  }
  for (const due of [link.helloDue, link.expiryDue, link.silenceDue, link.heartbeatDue, link.pressedDue]) {
    node.deadlines.cancel(due);
  }
  link.queue.length = 0;
  link.queuedBytes = 0;
  link.parked = null;
  link.outbox.length = 0;
  link.outboxBytes = 0;
  node.turn.ended.push({ link, code, byPeer, wasOpen });
}

/** "After 100 `MALFORMED` or `INVALID_SIGNATURE` on one connection within 10 s: close 4400" (§3.2). */
export function countBad(node: NodeState, link: Link): void {
  link.badAtMs.push(node.nowMs);
  if (link.badAtMs.length < 100) return;
  if (node.nowMs - link.badAtMs.shift()! <= 10_000) end(node, link, 4400, 'too many bad messages');
}

/** Up to `count` distinct entries of `from`, at random. Reorders a copy. */
export function pickRandom<T>(node: NodeState, from: readonly T[], count: number): T[] {
  const pool = from.slice();
  const picked = Math.min(count, pool.length);
  for (let i = 0; i < picked; i++) {
    const j = i + Math.floor(node.world.random() * (pool.length - i));
    [pool[i], pool[j]] = [pool[j]!, pool[i]!];
  }
  pool.length = picked;
  return pool;
}
