/**
 * The canonical form of §3.1: what CPython's `json.dumps(value, sort_keys=True)` gives. It owns key order, separators,
 * escapes and the printing of numbers; it knows no envelope. The text is pure ASCII, so its length is its size in bytes
 * and `latin1` its encoding.
 */
import { floatText } from './float-text.ts';
import { isFloat, type Written, writtenOf } from './json.ts';
import type { Json, JsonObject } from './types.ts';

/** The canonical text. Throws on what is no JSON of ours, e.g. a plain number with a fraction (use `float`). */
export function canonical(value: Json): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      if (!Number.isSafeInteger(value)) throw new Error(`not an integer, use float() or bigint: ${value}`);
      return String(value);
    case 'bigint':
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (Array.isArray(value)) return canonicalArray(value);
      if (isFloat(value)) return floatText(value.float);
      return canonicalObject(value);
    default:
      throw new Error(`no JSON: ${typeof value}`);
  }
}

function canonicalObject(object: JsonObject): string {
  const written = writtenOf(object);
  if (written) return written.text.slice(written.from, written.end);
  const keys = sortedKeys(object);
  return `{${joinMembers(object, keys, 0, keys.length)}}`;
}

/** The canonical text of an object on both sides of where `member` sorts, which itself is left out; without braces. */
export interface Around {
  readonly before: string;
  readonly after: string;
}

/** In two parts, so that the form with and the form without `member` cost one serialisation. */
export function canonicalAround(object: JsonObject, member: string): Around {
  const written = writtenOf(object);
  if (written && member === 'signature' && written.signatureEnd > 0) return writtenAround(written);
  const keys = sortedKeys(object);
  let place = 0;
  while (place < keys.length && comparePoints(keys[place]!, member) < 0) place++;
  const rest = keys[place] === member ? place + 1 : place;
  return { before: joinMembers(object, keys, 0, place), after: joinMembers(object, keys, rest, keys.length) };
}

function writtenAround({ text, from, end, signatureFrom, signatureEnd }: Written): Around {
  const comma = ', '.length;
  return {
    before: signatureFrom === from + 1 ? '' : text.slice(from + 1, signatureFrom - comma),
    after: signatureEnd === end - 1 ? '' : text.slice(signatureEnd + comma, end - 1),
  };
}

/** The whole object, without the member in the middle. */
export function joined({ before, after }: Around): string {
  return before && after ? `{${before}, ${after}}` : `{${before}${after}}`;
}

/** The whole object with the member in its sorted place. `valueText` is canonical already. */
export function joinedWith({ before, after }: Around, member: string, valueText: string): string {
  return `{${before}${before && ', '}${quoted(member)}: ${valueText}${after && ', '}${after}}`;
}

/** Order by Unicode code point; negative, 0 or positive. JavaScript's own order is by UTF-16 unit (§11). */
export function comparePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return pointRank(left) - pointRank(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for points above U+FFFF, so they rank above the units U+E000–U+FFFF. */
function pointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit <= 0xdfff ? unit + 0x2000 : unit - 0x800;
}

function canonicalArray(array: readonly Json[]): string {
  if (array.length === 0) return '[]';
  let text = `[${canonical(array[0]!)}`;
  for (let i = 1; i < array.length; i++) text += `, ${canonical(array[i]!)}`;
  return `${text}]`;
}

function joinMembers(object: JsonObject, keys: readonly string[], from: number, end: number): string {
  let text = '';
  for (let i = from; i < end; i++) {
    text += `${i > from ? ', ' : ''}${quoted(keys[i]!)}: ${canonical(object[keys[i]!]!)}`;
  }
  return text;
}

function sortedKeys(object: JsonObject): string[] {
  const keys = Object.keys(object);
  if (keys.length > 16) return keys.sort(comparePoints);
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i]!;
    let place = i;
    for (; place > 0 && comparePoints(keys[place - 1]!, key) > 0; place--) keys[place] = keys[place - 1]!;
    keys[place] = key;
  }
  return keys;
}

function quoted(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return `"${escaped(text, i)}"`;
  }
  return `"${text}"`;
}

const shortEscapes: { readonly [unit: number]: string } = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

/** The inside of a quoted string whose first `i` units need no escape. */
function escaped(text: string, i: number): string {
  let out = '';
  let runStart = 0;
  for (; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x20 && unit <= 0x7e && unit !== 0x22 && unit !== 0x5c) continue;
    out += text.slice(runStart, i);
    out += shortEscapes[unit] ?? `\\u${unit.toString(16).padStart(4, '0')}`;
    runStart = i + 1;
  }
  return out + text.slice(runStart);
}
