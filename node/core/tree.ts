/**
 * The state root of §8 over a set of item hashes, kept up as items arrive. It owns the prefix tree alone; what the hashes
 * stand for is others' business. Old sets stay answerable at little cost: a `TreeView` shares all nodes that did not
 * change since (checkpoint roots).
 *
 * A leaf holds its hashes ascending in one string, 64 digits each: little memory, and `"L"` in front of it is what is hashed.
 */
import type { World } from './types.ts';

/** The root of an empty set, and the `previous_hash` of the first checkpoint. */
export const zeros = '0'.repeat(64);
/** §8: more hashes than this below a prefix make an inner node. */
const leafSize = 32;
const digits = 64;

interface Node {
  /** Ascending hashes of a leaf; unused where there are children. */
  items: string;
  children: (Node | null)[] | null;
  count: number;
  /** Null until it is asked for after a change. */
  hash: string | null;
  /** Which tree may change this node in place; all others must copy it. */
  owner: object;
}

/** An unchanging set of hashes and the subtree hashes of §8. A prefix is 0–64 hex digits. */
export class TreeView {
  protected readonly sha256: World['sha256'];
  protected top: Node | null;

  constructor(sha256: World['sha256'], top: Node | null = null) {
    this.sha256 = sha256;
    this.top = top;
  }

  get size(): number {
    return this.top?.count ?? 0;
  }

  has(hash: string): boolean {
    const { node } = find(this.top, hash);
    return node !== null && placeIn(node.items, hash) >= 0;
  }

  /** `state_root`. */
  root(): string {
    return hashOf(this.top, this.sha256);
  }

  hash(prefix: string): string {
    const { node, depth } = find(this.top, prefix);
    if (!node) return zeros;
    if (depth === prefix.length) return hashOf(node, this.sha256);
    const items = rangeOf(node.items, prefix);
    return items === '' ? zeros : this.sha256(`L${items}`);
  }

  count(prefix: string): number {
    const { node, depth } = find(this.top, prefix);
    if (!node) return 0;
    return depth === prefix.length ? node.count : rangeOf(node.items, prefix).length / digits;
  }

  /** The hashes below a prefix, ascending, at most `limit`. */
  hashes(prefix: string, limit = Number.POSITIVE_INFINITY): string[] {
    const found: string[] = [];
    const { node, depth } = find(this.top, prefix);
    if (!node || limit <= 0) return found;
    walk(node, (items) => {
      const part = depth === prefix.length ? items : rangeOf(items, prefix);
      for (let at = 0; at < part.length && found.length < limit; at += digits)
        found.push(part.slice(at, at + digits));
      return found.length < limit;
    });
    return found;
  }

  /** hash(p0) … hash(pf); the prefix has at most 63 digits. */
  children(prefix: string): string[] {
    return Array.from({ length: 16 }, (_, digit) => this.hash(prefix + digit.toString(16)));
  }

  /** Calls `take` with runs of ascending hashes, 64 digits each without separators, until it returns false. */
  runs(take: (items: string) => boolean): void {
    if (this.top) walk(this.top, take);
  }

  /** A growing set that starts as this one is. */
  fork(): PrefixTree {
    return new PrefixTree(this.sha256, this.top);
  }

  /** What this set holds and `other` does not, ascending; costs no more than the differences are deep. */
  without(other: TreeView): string[] {
    const found: string[] = [];
    collectMissing(this.top, other.top, 0, found);
    return found;
  }
}

/** A growing set. `snapshot` and `fork` are O(1): what is changed afterwards is copied first. */
export class PrefixTree extends TreeView {
  #self = {};

  /** False if it was there already. `hash`: 64 lower-case hex digits. */
  add(hash: string): boolean {
    if (this.top === null) {
      this.top = { items: hash, children: null, count: 1, hash: null, owner: this.#self };
      return true;
    }
    if (this.has(hash)) return false;
    this.top = this.#added(this.top, hash, 0);
    return true;
  }

  /** False if it was not there. Items are never removed (§8); this makes the set under another root out of one at hand. */
  remove(hash: string): boolean {
    if (this.top === null || !this.has(hash)) return false;
    this.top = this.#removed(this.top, hash, 0);
    return true;
  }

  snapshot(): TreeView {
    this.#self = {};
    return new TreeView(this.sha256, this.top);
  }

  #added(node: Node, hash: string, depth: number): Node {
    const own = node.owner === this.#self ? node : { ...node, owner: this.#self };
    own.count++;
    own.hash = null;
    if (own.children === null) {
      const place = ~placeIn(own.items, hash) * digits;
      own.items = own.items.slice(0, place) + hash + own.items.slice(place);
      if (own.count > leafSize) this.#split(own, depth);
      return own;
    }
    if (own !== node) own.children = own.children.slice();
    const digit = digitAt(hash, depth);
    const child = own.children[digit]!;
    own.children[digit] = child ? this.#added(child, hash, depth + 1) : this.#leaf(hash);
    return own;
  }

  #removed(node: Node, hash: string, depth: number): Node | null {
    if (node.count === 1) return null;
    const own = node.owner === this.#self ? node : { ...node, owner: this.#self };
    own.count--;
    own.hash = null;
    if (own.children === null) {
      const place = placeIn(own.items, hash) * digits;
      own.items = own.items.slice(0, place) + own.items.slice(place + digits);
      return own;
    }
    if (own !== node) own.children = own.children.slice();
    const digit = digitAt(hash, depth);
    own.children[digit] = this.#removed(own.children[digit]!, hash, depth + 1);
    if (own.count > leafSize) return own;
    let items = '';
    walk(own, (run) => {
      items += run;
      return true;
    });
    own.items = items;
    own.children = null;
    return own;
  }

  #split(node: Node, depth: number): void {
    const children: (Node | null)[] = new Array(16).fill(null);
    for (let from = 0; from < node.items.length; ) {
      const digit = digitAt(node.items, from + depth);
      let end = from + digits;
      while (end < node.items.length && digitAt(node.items, end + depth) === digit) end += digits;
      const child = this.#leaf(node.items.slice(from, end));
      // More than 32 hashes may share many digits: hashes are not ours to trust before they are computed.
      if (child.count > leafSize) this.#split(child, depth + 1);
      children[digit] = child;
      from = end;
    }
    node.items = '';
    node.children = children;
  }

  #leaf(items: string): Node {
    return { items, children: null, count: items.length / digits, hash: null, owner: this.#self };
  }
}

/** hash(p) of a set given as a list: ascending hashes that agree in their first `depth` digits. */
export function hashOfList(hashes: readonly string[], depth: number, sha256: World['sha256']): string {
  return hashOfRun(hashes, 0, hashes.length, depth, sha256);
}

function hashOfRun(
  hashes: readonly string[],
  from: number,
  end: number,
  depth: number,
  sha256: World['sha256'],
): string {
  if (from === end) return zeros;
  if (end - from <= leafSize) return sha256(`L${hashes.slice(from, end).join('')}`);
  let text = 'N';
  let at = from;
  for (let digit = 0; digit < 16; digit++) {
    const start = at;
    while (at < end && digitAt(hashes[at]!, depth) === digit) at++;
    text += hashOfRun(hashes, start, at, depth + 1, sha256);
  }
  return sha256(text);
}

/** The node of a prefix, or the leaf above it in which its hashes lie; null if there is neither. */
function find(top: Node | null, prefix: string): { node: Node | null; depth: number } {
  let node = top;
  let depth = 0;
  while (node?.children && depth < prefix.length) {
    node = node.children[digitAt(prefix, depth)]!;
    depth++;
  }
  return { node, depth };
}

function digitAt(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit <= 0x39 ? unit - 0x30 : unit - 0x57;
}

function hashOf(node: Node | null, sha256: World['sha256']): string {
  if (node === null) return zeros;
  if (node.hash === null) {
    if (node.children) {
      let text = 'N';
      for (const child of node.children) text += hashOf(child, sha256);
      node.hash = sha256(text);
    } else node.hash = sha256(`L${node.items}`);
  }
  return node.hash;
}

/** Index of a hash in a leaf, or the complement of the index where it belongs. */
function placeIn(items: string, hash: string): number {
  let low = 0;
  let high = items.length / digits;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = compareAt(items, middle * digits, hash);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return ~low;
}

/** Order of the hash at `at` against `prefix`; 0 if it begins with it. */
function compareAt(items: string, at: number, prefix: string): number {
  for (let i = 0; i < prefix.length; i++) {
    const difference = items.charCodeAt(at + i) - prefix.charCodeAt(i);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The hashes of a leaf that begin with `prefix`. */
function rangeOf(items: string, prefix: string): string {
  let from = 0;
  while (from < items.length && compareAt(items, from, prefix) < 0) from += digits;
  let end = from;
  while (end < items.length && compareAt(items, end, prefix) === 0) end += digits;
  return items.slice(from, end);
}

function walk(node: Node, take: (items: string) => boolean): boolean {
  if (node.children === null) return take(node.items);
  for (const child of node.children) if (child && !walk(child, take)) return false;
  return true;
}

function collectMissing(mine: Node | null, theirs: Node | null, depth: number, found: string[]): void {
  if (mine === null || mine === theirs) return;
  if (mine.children && theirs?.children) {
    for (let i = 0; i < 16; i++) collectMissing(mine.children[i]!, theirs.children[i]!, depth + 1, found);
    return;
  }
  walk(mine, (items) => {
    for (let at = 0; at < items.length; at += digits) {
      const hash = items.slice(at, at + digits);
      if (!holds(theirs, hash, depth)) found.push(hash);
    }
    return true;
  });
}

function holds(top: Node | null, hash: string, depth: number): boolean {
  let node = top;
  for (let at = depth; node?.children; at++) node = node.children[digitAt(hash, at)]!;
  return node !== null && placeIn(node.items, hash) >= 0;
}
