/**
 * The flood limits of §9, as arithmetic. They are kept per peer node_id and not per connection, so "reconnecting resets
 * nothing". What happens to a message over a limit is decided by the path of a frame. The same counts serve a node as a
 * sender ("a node keeps inside the same limits when it sends").
 */

/** commit, challenge and confirm together; query and peer_request together. */
export type LimitKind = 'item' | 'query';

/** Above this limit instants are kept in grains, so that a lifted limit costs no memory per message. */
const exactUpTo = 1_000;
const grainsPerWindow = 1_200;

/** How many counts lie in the last `lengthMs`. */
interface SlidingCount {
  /** Ascending instants at which counts were made, and how many; the first `head` have left. */
  readonly atMs: number[];
  readonly counts: number[];
  head: number;
  total: number;
  /** When the newest grain was begun. */
  grainMs: number;
}

/** Counts per peer over any sliding 60 s. */
export class CountLimits {
  readonly #limits: Readonly<Record<LimitKind, number>>;
  readonly #lengthMs: number;
  readonly #peers: Readonly<Record<LimitKind, Map<string, SlidingCount>>> = {
    item: new Map(),
    query: new Map(),
  };
  #sweptAtMs = 0;

  /** A sender may take a longer window than 60 s, because delays can draw its messages together on the way. */
  constructor(commitsPerMinute: number, queriesPerMinute: number, windowMs = 60_000) {
    this.#limits = { item: commitsPerMinute, query: queriesPerMinute };
    this.#lengthMs = windowMs;
  }

  /** Ms until one more message passes; 0 if it passes now. Counts nothing. */
  waitMs(nodeId: string, kind: LimitKind, nowMs: number): number {
    const count = this.#peers[kind].get(nodeId);
    if (!count) return 0;
    leave(count, nowMs - this.#lengthMs);
    return count.total < this.#limits[kind] ? 0 : count.atMs[count.head]! + this.#lengthMs - nowMs;
  }

  /** Counts a message that passed all checks. */
  count(nodeId: string, kind: LimitKind, nowMs: number): void {
    if (nowMs - this.#sweptAtMs > this.#lengthMs) this.#sweep(nowMs);
    const peers = this.#peers[kind];
    let count = peers.get(nodeId);
    if (!count) {
      count = { atMs: [], counts: [], head: 0, total: 0, grainMs: Number.NEGATIVE_INFINITY };
      peers.set(nodeId, count);
    }
    leave(count, nowMs - this.#lengthMs);
    const grain = this.#limits[kind] > exactUpTo ? this.#lengthMs / grainsPerWindow : 0;
    const last = count.atMs.length - 1;
    if (last >= count.head && nowMs - count.grainMs < grain) {
      // The grain leaves when its newest count does: never sooner than it should.
      count.atMs[last] = nowMs;
      count.counts[last]!++;
    } else {
      count.atMs.push(nowMs);
      count.counts.push(1);
      count.grainMs = nowMs;
    }
    count.total++;
  }

  /** What was counted last did not happen after all (§6 `UNAVAILABLE`: "neither remembered nor counted"). */
  takeBack(nodeId: string, kind: LimitKind): void {
    const count = this.#peers[kind].get(nodeId);
    const last = count ? count.counts.length - 1 : -1;
    if (!count || last < count.head) return;
    count.total--;
    if (--count.counts[last]! > 0) return;
    count.counts.pop();
    count.atMs.pop();
  }

  #sweep(nowMs: number): void {
    this.#sweptAtMs = nowMs;
    for (const peers of Object.values(this.#peers)) {
      for (const [nodeId, count] of peers) {
        leave(count, nowMs - this.#lengthMs);
        if (count.total === 0) peers.delete(nodeId);
      }
    }
  }
}

/** Forgets what was counted at `untilMs` or before. */
function leave(count: SlidingCount, untilMs: number): void {
  while (count.head < count.atMs.length && count.atMs[count.head]! <= untilMs) {
    count.total -= count.counts[count.head]!;
    count.head++;
  }
  if (count.head > 32 && count.head * 2 > count.atMs.length) {
    count.atMs.splice(0, count.head);
    count.counts.splice(0, count.head);
    count.head = 0;
  }
}

/** `bytesPerSecond` with a one-second burst; one per peer. */
export class ByteBudget {
  readonly #bytesPerSecond: number;
  /** Bytes that may still pass; negative after a message that went beyond. */
  #left: number;
  #countedAtMs: number;

  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#left = bytesPerSecond;
    this.#countedAtMs = nowMs;
  }

  /** Takes a message that is there already; ms for which no other may be taken, 0 if the next may come. */
  take(bytes: number, nowMs: number): number {
    this.#refill(nowMs);
    this.#left -= bytes;
    return this.#left >= 0 ? 0 : (-this.#left / this.#bytesPerSecond) * 1000;
  }

  /** Ms until `bytes` may be sent without going beyond; the whole burst if it is more than that. Takes nothing. */
  waitMs(bytes: number, nowMs: number): number {
    this.#refill(nowMs);
    const lacking = Math.min(bytes, this.#bytesPerSecond) - this.#left;
    return lacking <= 0 ? 0 : (lacking / this.#bytesPerSecond) * 1000;
  }

  #refill(nowMs: number): void {
    const earned = ((nowMs - this.#countedAtMs) / 1000) * this.#bytesPerSecond;
    this.#left = Math.min(this.#bytesPerSecond, this.#left + earned);
    this.#countedAtMs = nowMs;
  }
}
