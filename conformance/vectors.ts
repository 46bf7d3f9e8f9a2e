/**
 * The canonical-form vectors that CPython made (harness/wire/vectors), as values to put into messages: written one way, signed
 * another. Sorted by what is odd about them. Judges nothing.
 */

import { readFileSync } from 'node:fs';
import { depthOf, parse, type Raw, raw } from '../harness/wire/json.ts';

export interface Vector {
  /** As transmitted; any legal JSON. */
  readonly text: string;
  /** As signed. */
  readonly canonical: string;
}

const file = new URL('../harness/wire/vectors/canonical.json', import.meta.url);
const read = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] };

/** A payload's member is three levels down, an item's metadata holds one more, and an item may have 28 (§6). */
const deepest = 20;
const usable = read.vectors.filter(({ text }) => depthOf(parse(text)) <= deepest);

const isNumbers = ({ text }: Vector): boolean => /^\[[-+0-9.eE, ]+\]$/.test(text);
const isText = ({ text }: Vector): boolean => /^\[?"/.test(text);

export const numbers: readonly Vector[] = usable.filter(isNumbers);
export const strings: readonly Vector[] = usable.filter((vector) => !isNumbers(vector) && isText(vector));
/** Objects, nested things, white space, the three words. */
export const structures: readonly Vector[] = usable.filter((vector) => !isNumbers(vector) && !isText(vector));

/** The value as a member: its text on the wire, its canonical form under the signature. */
export function value({ text, canonical }: Vector): Raw {
  return raw(text, canonical);
}

/** Signed over the text as it is written: what a node that does not derive the canonical form would take. */
export function asWritten({ text }: Vector): Raw {
  return raw(text, text);
}

/** In a few characters, for verdicts. */
export function named({ text }: Vector): string {
  const printable = JSON.stringify(text).slice(1, -1);
  return printable.length > 60 ? `${printable.slice(0, 60)}…` : printable;
}
