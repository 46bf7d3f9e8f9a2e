/**
 * When held data is due: one binary heap and one Node timer for all links of a server, because a timer per message is what
 * makes a delaying proxy slow. Knows nothing of what falls due.
 */

export interface Due {
  /** Instant on the queue's clock; meaningful while queued. */
  at: number;
  /** Place in the heap, −1 while not queued. Owned by the queue. */
  slot: number;
  /** Called once, no earlier than `at`; may queue itself again. */
  run(nowMs: number): void;
}

export interface DueQueue {
  /** Monotonic milliseconds with a fraction. */
  now(): number;
  /** Queues the entry or moves it. */
  set(entry: Due, atMs: number): void;
  cancel(entry: Due): void;
  /** Nothing falls due any more. */
  close(): void;
}

/** The longest delay that a Node timer takes; a longer one is waited for in steps. */
const longestTimerMs = 2 ** 31 - 1;

function place(heap: Due[], entry: Due, slot: number): void {
  heap[slot] = entry;
  entry.slot = slot;
}

function rise(heap: Due[], entry: Due, from: number): void {
  let slot = from;
  while (slot > 0) {
    const parent = (slot - 1) >> 1;
    if (heap[parent]!.at <= entry.at) break;
    place(heap, heap[parent]!, slot);
    slot = parent;
  }
  place(heap, entry, slot);
}

function sink(heap: Due[], entry: Due, from: number): void {
  let slot = from;
  for (;;) {
    let child = slot * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child += 1;
    if (heap[child]!.at >= entry.at) break;
    place(heap, heap[child]!, slot);
    slot = child;
  }
  place(heap, entry, slot);
}

function remove(heap: Due[], entry: Due): void {
  const slot = entry.slot;
  const last = heap.pop()!;
  entry.slot = -1;
  if (last === entry) return;
  rise(heap, last, slot);
  if (last.slot === slot) sink(heap, last, slot);
}

export function createDueQueue(now: () => number = () => performance.now()): DueQueue {
  const heap: Due[] = [];
  let timer: NodeJS.Timeout | null = null;
  let timerAt = Number.POSITIVE_INFINITY;
  let running = false;
  let closed = false;

  const arm = (): void => {
    const first = heap[0];
    if (closed || running || first === undefined || first.at >= timerAt) return;
    if (timer !== null) clearTimeout(timer);
    timerAt = first.at;
    timer = setTimeout(fire, Math.min(longestTimerMs, Math.max(1, Math.ceil(first.at - now()))));
  };

  const fire = (): void => {
    timer = null;
    timerAt = Number.POSITIVE_INFINITY;
    running = true;
    const nowMs = now();
    try {
      while (heap.length > 0 && heap[0]!.at <= nowMs) {
        const entry = heap[0]!;
        remove(heap, entry);
        entry.run(nowMs);
      }
    } finally {
      running = false;
      arm();
    }
  };

  return {
    now,
    set(entry, atMs) {
      if (entry.slot >= 0) remove(heap, entry);
      entry.at = atMs;
      heap.push(entry);
      rise(heap, entry, heap.length - 1);
      arm();
    },
    cancel(entry) {
      if (entry.slot >= 0) remove(heap, entry);
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      for (const entry of heap) entry.slot = -1;
      heap.length = 0;
    },
  };
}
