/**
 * A set of UUIDs of which each is remembered for a fixed time, oldest out first. It owns nothing but ids and instants, and
 * is made for hundreds of thousands of them: 16 bytes for an id instead of a string that would keep its frame alive.
 */
import { isUuid } from './forms.ts';

const smallest = 16;
const noOwner = (): void => {};

export class IdWindow {
  readonly #lifeMs: number;
  readonly #limit: number;
  readonly #seed: number;
  readonly #expired: (owner: number) => void;
  /** A ring of entries: the `i`th oldest is at `(#head + i) % #room`. */
  #room = smallest;
  #head = 0;
  #count = 0;
  #words = new Uint32Array(smallest * 4);
  #addedAtMs = new Float64Array(smallest);
  #owners = new Int32Array(smallest);
  /** Open addressing, twice the room: ring position + 1, or 0. */
  #slots = new Int32Array(smallest * 2);
  /** The id under the hand. */
  readonly #key = new Uint32Array(4);

  /**
   * Of more than `limit` ids the oldest goes. `seed` (any number in [0, 1)) keeps others from choosing ids that collide.
   * `expired` is told the owner of each id that leaves.
   */
  constructor(options: { lifeMs: number; limit?: number; seed: number; expired?: (owner: number) => void }) {
    this.#lifeMs = options.lifeMs;
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY;
    this.#seed = Math.floor(options.seed * 2 ** 32) | 0;
    this.#expired = options.expired ?? noOwner;
  }

  /** Ids that have not expired by `nowMs`. */
  size(nowMs: number): number {
    this.#expire(nowMs);
    return this.#count;
  }

  /** False for whatever is no UUID. */
  has(id: string, nowMs: number): boolean {
    this.#expire(nowMs);
    return this.#count > 0 && isUuid(id) && this.#slots[this.#find(id)] !== 0;
  }

  /** Remembers an id from now on; false if it is remembered already (its time runs from first sight) or no UUID. */
  add(id: string, nowMs: number, owner = 0): boolean {
    this.#expire(nowMs);
    if (!isUuid(id) || this.#slots[this.#find(id)] !== 0) return false;
    if (this.#count >= this.#limit) this.#dropOldest();
    if (this.#count === this.#room) this.#resize(this.#room * 2);
    // Looked up again: what was dropped or moved may have shifted the slot.
    const slot = this.#find(id);
    const place = (this.#head + this.#count) % this.#room;
    this.#words.set(this.#key, place * 4);
    this.#addedAtMs[place] = nowMs;
    this.#owners[place] = owner;
    this.#slots[slot] = place + 1;
    this.#count++;
    return true;
  }

  #expire(nowMs: number): void {
    while (this.#count > 0 && nowMs - this.#addedAtMs[this.#head]! >= this.#lifeMs) this.#dropOldest();
    if (this.#room > smallest && this.#count < this.#room / 8) this.#resize(this.#room / 2);
  }

  #dropOldest(): void {
    const place = this.#head;
    this.#key.set(this.#words.subarray(place * 4, place * 4 + 4));
    this.#clearSlot(this.#slotOfKey());
    this.#head = (place + 1) % this.#room;
    this.#count--;
    this.#expired(this.#owners[place]!);
  }

  /** The slot of an id, or the free one where it belongs. Leaves the id in `#key`. */
  #find(id: string): number {
    this.#key[0] = wordAt(id, 0, 4);
    this.#key[1] = wordAt(id, 9, 14);
    this.#key[2] = wordAt(id, 19, 24);
    this.#key[3] = wordAt(id, 28, 32);
    return this.#slotOfKey();
  }

  #slotOfKey(): number {
    const mask = this.#slots.length - 1;
    let slot = this.#home(this.#key, 0);
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const at = (this.#slots[slot]! - 1) * 4;
      const words = this.#words;
      const key = this.#key;
      if (
        words[at] === key[0] &&
        words[at + 1] === key[1] &&
        words[at + 2] === key[2] &&
        words[at + 3] === key[3]
      ) {
        break;
      }
    }
    return slot;
  }

  #home(words: Uint32Array, at: number): number {
    let mixed = this.#seed;
    for (let i = at; i < at + 4; i++) {
      mixed = Math.imul(mixed ^ words[i]!, 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      mixed ^= mixed >>> 16;
    }
    return (mixed >>> 0) & (this.#slots.length - 1);
  }

  /** Frees a slot and moves up what had to pass it, so that searches still end at the first free slot. */
  #clearSlot(free: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = (free + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#home(this.#words, (slots[slot]! - 1) * 4);
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      slots[free] = slots[slot]!;
      free = slot;
    }
    slots[free] = 0;
  }

  #resize(room: number): void {
    const words = new Uint32Array(room * 4);
    const addedAtMs = new Float64Array(room);
    const owners = new Int32Array(room);
    for (let i = 0; i < this.#count; i++) {
      const place = (this.#head + i) % this.#room;
      words.set(this.#words.subarray(place * 4, place * 4 + 4), i * 4);
      addedAtMs[i] = this.#addedAtMs[place]!;
      owners[i] = this.#owners[place]!;
    }
    this.#words = words;
    this.#addedAtMs = addedAtMs;
    this.#owners = owners;
    this.#room = room;
    this.#head = 0;
    this.#slots = new Int32Array(room * 2);
    const mask = this.#slots.length - 1;
    for (let i = 0; i < this.#count; i++) {
      let slot = this.#home(words, i * 4);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = i + 1;
    }
  }
}

/** Eight hex digits of a UUID as a number: four at `first`, four at `second`. */
function wordAt(id: string, first: number, second: number): number {
  return ((fourDigits(id, first) << 16) | fourDigits(id, second)) >>> 0;
}

function fourDigits(id: string, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const unit = id.charCodeAt(i);
    value = (value << 4) | (unit <= 0x39 ? unit - 0x30 : unit - 0x57);
  }
  return value;
}
