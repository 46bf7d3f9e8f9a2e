/**
 * What is to happen when: a heap of instants, each with what to run then. It owns order (by instant, then by who was
 * first) and nothing else; it must not know what a deadline means.
 */

/** A handle to cancel by. `at` is monotonic ms. */
export interface Deadline {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  live: boolean;
}

export class Deadlines {
  #heap: Deadline[] = [];
  #dead = 0;
  #count = 0;

  /** Monotonic ms of the earliest deadline, or Infinity. */
  get next(): number {
    this.#dropDead();
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  at(atMs: number, run: () => void): Deadline {
    const deadline: Deadline = { at: atMs, order: this.#count++, run, live: true };
    this.#heap.push(deadline);
    this.#rise(this.#heap.length - 1);
    return deadline;
  }

  cancel(deadline: Deadline | null): void {
    if (!deadline?.live) return;
    deadline.live = false;
    this.#dead++;
    // Most deadlines of requests are cancelled long before they are due: do not let them pile up.
    if (this.#dead > 64 && this.#dead * 2 > this.#heap.length) this.#rebuild();
  }

  /** Runs what is due. What a run adds waits for the next call, even if it is due at once. */
  runDue(nowMs: number): void {
    const due: Deadline[] = [];
    while (this.next <= nowMs) due.push(this.#pop());
    for (const deadline of due) {
      if (!deadline.live) {
        this.#dead--;
        continue;
      }
      deadline.live = false;
      deadline.run();
    }
  }

  #dropDead(): void {
    while (this.#heap.length > 0 && !this.#heap[0]!.live) {
      this.#pop();
      this.#dead--;
    }
  }

  #rebuild(): void {
    this.#heap = this.#heap.filter((deadline) => deadline.live).sort((a, b) => (isBefore(a, b) ? -1 : 1));
    this.#dead = 0;
  }

  #pop(): Deadline {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink(0);
    }
    return top;
  }

  #rise(place: number): void {
    const heap = this.#heap;
    const deadline = heap[place]!;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(deadline, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = deadline;
  }

  #sink(place: number): void {
    const heap = this.#heap;
    const deadline = heap[place]!;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, deadline)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = deadline;
  }
}

function isBefore(a: Deadline, b: Deadline): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}
