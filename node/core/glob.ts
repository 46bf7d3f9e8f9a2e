/**
 * The glob of `by_context` queries (§6): `*` any run, `?` one code point, everything else literal; the whole string, case
 * counts. Time O(pattern × text), whatever they are.
 */

/** §6: a pattern has at most this many code points. */
export const maxGlobPoints = 256;

/** Null if the pattern is too long, else a test for texts. */
export function compileGlob(pattern: string): ((text: string) => boolean) | null {
  // Before it is split into points: a pattern may be as long as a message.
  if (pattern.length > 2 * maxGlobPoints) return null;
  const points = Array.from(pattern, (character) => character.codePointAt(0)!);
  if (points.length > maxGlobPoints) return null;
  return (text) => matches(points, text);
}

const star = 0x2a;
const questionMark = 0x3f;

/**
 * Only the last star needs to be tried again: what an earlier one could still take, the last one can take as well. So each
 * point of the text starts at most one attempt of at most the pattern's length.
 */
function matches(pattern: readonly number[], text: string): boolean {
  let at = 0;
  let p = 0;
  let starAt = -1;
  let retryAt = 0;
  while (at < text.length) {
    const point = text.codePointAt(at)!;
    const wanted = pattern[p];
    if (wanted === star) {
      starAt = p++;
      retryAt = at;
    } else if (wanted === questionMark || wanted === point) {
      p++;
      at += width(point);
    } else if (starAt >= 0) {
      p = starAt + 1;
      retryAt += width(text.codePointAt(retryAt)!);
      at = retryAt;
    } else return false;
  }
  while (pattern[p] === star) p++;
  return p === pattern.length;
}

/** UTF-16 units of a code point. */
function width(point: number): number {
  return point > 0xffff ? 2 : 1;
}
