/**
 * The glob of `by_context` queries (§6): `*` any run, `?` one code point, everything else literal; the whole string, case
 * counts. Time O(pattern × text) at worst, and then 32 points of the pattern in one step: anybody may ask for any pattern
 * over any texts.
 */

/** §6: a pattern has at most this many code points. */
const maxGlobPoints = 256;

const star = 0x2a;
const questionMark = 0x3f;

/** Null if the pattern is too long, else a test for texts. */
export function compileGlob(pattern: string): ((text: string) => boolean) | null {
  // Before it is split into points: a pattern may be as long as a message.
  if (pattern.length > 2 * maxGlobPoints) return null;
  const points = Array.from(pattern, (character) => character.codePointAt(0)!);
  if (points.length > maxGlobPoints) return null;
  return matcher(points);
}

function matcher(points: readonly number[]): (text: string) => boolean {
  const [first, ...others] = pieces(points);
  const last = others.pop();
  const searches = others.filter((piece) => piece.length > 0).map(search);
  const read = { points: new Int32Array(1024), length: 0 };
  return (text) => {
    take(read, text);
    if (!stands(first!, read, 0)) return false;
    if (last === undefined) return read.length === first!.length;
    const end = read.length - last.length;
    let at = first!.length;
    // Each piece where it first can: what a later place would leave, an earlier one leaves as well.
    for (const find of searches) {
      at = find(read, at, end);
      if (at < 0) return false;
    }
    return at <= end && stands(last, read, end);
  };
}

/** What stands between the stars; one piece if there is none. */
function pieces(points: readonly number[]): number[][] {
  const found: number[][] = [[]];
  for (const point of points) {
    if (point === star) found.push([]);
    else found.at(-1)!.push(point);
  }
  return found;
}

/** Code points, in room that one text leaves to the next. */
interface Read {
  points: Int32Array;
  length: number;
}

function take(read: Read, text: string): void {
  if (read.points.length < text.length) read.points = new Int32Array(text.length);
  let count = 0;
  for (let at = 0; at < text.length; count++) {
    const point = text.codePointAt(at)!;
    read.points[count] = point;
    at += point > 0xffff ? 2 : 1;
  }
  read.length = count;
}

function stands(piece: readonly number[], { points, length }: Read, from: number): boolean {
  if (from < 0 || from + piece.length > length) return false;
  for (let i = 0; i < piece.length; i++) {
    if (piece[i] !== questionMark && piece[i] !== points[from + i]) return false;
  }
  return true;
}

/** Where the first match of a piece within `from` and `end` ends, or −1. */
type Search = (text: Read, from: number, end: number) => number;

/**
 * Shift-and: bit i of the state says that the last i + 1 points of the text match the first i + 1 of the piece. A point's mask
 * has the places of the piece at which it may stand.
 */
function search(piece: readonly number[]): Search {
  const words = Math.ceil(piece.length / 32);
  const masks = new Map<number, Int32Array>();
  const anywhere = new Int32Array(words);
  for (const [i, wanted] of piece.entries()) {
    if (wanted === questionMark) anywhere[i >> 5]! |= 1 << (i & 31);
  }
  for (const [i, wanted] of piece.entries()) {
    if (wanted === questionMark) continue;
    const mask = masks.get(wanted) ?? anywhere.slice();
    mask[i >> 5]! |= 1 << (i & 31);
    masks.set(wanted, mask);
  }
  const full = 1 << ((piece.length - 1) & 31);
  const state = new Int32Array(words);
  return ({ points }, from, end) => {
    state.fill(0);
    for (let at = from; at < end; at++) {
      const mask = masks.get(points[at]!) ?? anywhere;
      let carried = 1;
      for (let word = 0; word < words; word++) {
        const before = state[word]!;
        state[word] = ((before << 1) | carried) & mask[word]!;
        carried = before >>> 31;
      }
      if ((state[words - 1]! & full) !== 0) return at + 1;
    }
    return -1;
  };
}
