/** What a stream can show: whether a picture may be drawn anew in place there. Knows no picture. */

/** A terminal that takes cursor control; `TERM=dumb` says of one that it does not (editors, some build servers). */
export function drawsInPlace(out: NodeJS.WriteStream): boolean {
  return out.isTTY === true && process.env.TERM !== 'dumb';
}
