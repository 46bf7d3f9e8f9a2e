/**
 * The strict JSON parser of profile §2. It owns what counts as JSON on this network and keeps how a number was written
 * (§3.1: "a parser that forgets whether a number was written as a float cannot verify"). It knows no envelope.
 *
 * Refused besides what RFC 8259 refuses: duplicate keys (compared after unescaping), NaN and Infinity, floats that
 * overflow, lone surrogates, integers of more than 4 300 digits, nesting deeper than asked, a byte order mark.
 *
 * Strings of the result are slices that keep the whole text alive: what outlives its frame goes through `kept`.
 */
import { floatText } from './float-text.ts';
import type { Json, JsonFloat, JsonObject } from './types.ts';

/** Any violation of the JSON rules of §2; the peer sees `MALFORMED`. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

const maxIntegerDigits = 4300;

class Float implements JsonFloat {
  readonly float: number;
  constructor(value: number) {
    this.float = value;
  }
}

/** A finite number to be printed in float form (`1700000000.0`), as a timestamp or a mean is. */
export function float(value: number): JsonFloat {
  if (!Number.isFinite(value)) throw new Error(`no JSON float: ${value}`);
  return new Float(value);
}

export function isFloat(value: unknown): value is JsonFloat {
  return value instanceof Float;
}

/** Was it written as an integer token, without `.`, `e` or `E`? */
export function isInteger(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

export function isNumber(value: unknown): value is number | bigint | JsonFloat {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof Float;
}

/** The nearest double; Infinity for integers beyond the doubles. */
export function numberOf(value: number | bigint | JsonFloat): number {
  if (typeof value === 'number') return value;
  return typeof value === 'bigint' ? Number(value) : value.float;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Float);
}

/** A copy of a parsed string that does not keep the text alive out of which it was sliced. */
export function kept(text: string): string {
  // V8 copies shorter slices anyway.
  return text.length < 13 ? text : Buffer.from(text, 'utf8').toString('utf8');
}

/** An object that was written in canonical form: where it stands in its text, and where its `signature` member does. */
export interface Written {
  readonly text: string;
  readonly from: number;
  readonly end: number;
  /** First and one past the last unit of `"signature": …`; 0 if there is no such member. */
  readonly signatureFrom: number;
  readonly signatureEnd: number;
}

/**
 * What `parse` makes of an object; never changed afterwards. Without inherited members, so that `__proto__` and
 * `constructor` are ordinary keys (§11): an empty prototype and not `Object.create(null)`, because V8 keeps these as
 * compact records and those as hash tables.
 */
class Members {
  #written: Written | null = null;

  static setWritten(object: Members, written: Written): void {
    object.#written = written;
  }

  static writtenOf(object: object): Written | null {
    return #written in object ? object.#written : null;
  }
}
Object.setPrototypeOf(Members.prototype, null);
// Once, at start: the name must not be inherited.
delete (Members.prototype as { constructor?: unknown }).constructor;

/** Where this very object was written canonically, if it came out of `parse` and was. Saves serialising it again. */
export const writtenOf = Members.writtenOf;

// The text under the reader. Module state rather than a closure per call: this is the hottest path of a node.
let source = '';
let at = 0;
let depthLeft = 0;
/** Neither escape nor control character nor anything but ASCII in the whole text: a quotation mark ends a string. */
let isPlain = false;
/** Places so far where the text is not as §3.1 would have it. An object in which there is none was written canonically. */
let deviations = 0;

// A node of a small net handles few messages a second and never gets this file compiled well: what goes through a text unit by
// unit costs it more than all the rest. V8's own `test` and `indexOf` are fast from the first call on.
const unusual = /[^\x20-\x5b\x5d-\x7e]/;

/** The value of a whole JSON text. Throws `JsonError`, nothing else. An outermost object has depth 1. */
export function parse(text: string, maxDepth = 32): Json {
  source = text;
  at = 0;
  depthLeft = maxDepth;
  deviations = 0;
  isPlain = !unusual.test(text);
  try {
    const value = readValue(nextUnit());
    nextUnit();
    if (at < source.length) fail('text after the value');
    return value;
  } finally {
    source = '';
  }
}

function fail(because: string): never {
  throw new JsonError(`${because} at ${at}`);
}

/** Skips white space; the UTF-16 unit there, NaN at the end. Does not consume it. */
function nextUnit(): number {
  let unit = source.charCodeAt(at);
  if (unit > 0x20) return unit;
  deviations++;
  while (unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09) unit = source.charCodeAt(++at);
  return unit;
}

/** The same behind a comma or colon, where the canonical form has one space. */
function nextUnitAfterSpace(): number {
  if (source.charCodeAt(at) === 0x20) at++;
  else deviations++;
  return nextUnit();
}

/** The value that begins with `unit`, at `at`. */
function readValue(unit: number): Json {
  switch (unit) {
    case 0x22: // "
      return readString();
    case 0x7b: // {
      return readObject();
    case 0x5b: // [
      return readArray();
    case 0x74: // t
      return readWord('true', true);
    case 0x66: // f
      return readWord('false', false);
    case 0x6e: // n
      return readWord('null', null);
    default:
      return readNumber(unit);
  }
}

function readWord(word: string, value: Json): Json {
  if (!source.startsWith(word, at)) fail('no JSON value');
  at += word.length;
  return value;
}

function readObject(): JsonObject {
  if (--depthLeft < 0) fail('nested too deeply');
  const from = at++;
  const deviationsBefore = deviations;
  const members = new Members();
  const object = members as unknown as JsonObject;
  let signatureFrom = 0;
  let signatureEnd = 0;
  let greatest = '';
  let unit = nextUnit();
  if (unit === 0x7d) at++;
  else {
    for (;;) {
      if (unit !== 0x22) fail('no key');
      const keyFrom = at;
      const key = readKey();
      // Keys that ascend are distinct; else somebody must look.
      if (key > greatest) greatest = key;
      else {
        deviations++;
        if (key in object) fail('duplicate key');
      }
      if (nextUnit() !== 0x3a) fail('no colon');
      at++;
      object[key] = readValue(nextUnitAfterSpace());
      if (key === 'signature') {
        signatureFrom = keyFrom;
        signatureEnd = at;
      }
      unit = nextUnit();
      at++;
      if (unit === 0x7d) break;
      if (unit !== 0x2c) fail('no comma or brace');
      unit = nextUnitAfterSpace();
    }
  }
  depthLeft++;
  if (deviations === deviationsBefore) {
    Members.setWritten(members, { text: source, from, end: at, signatureFrom, signatureEnd });
  }
  return object;
}

function readArray(): Json[] {
  if (--depthLeft < 0) fail('nested too deeply');
  at++;
  const array: Json[] = [];
  let unit = nextUnit();
  if (unit === 0x5d) at++;
  else {
    for (;;) {
      array.push(readValue(unit));
      unit = nextUnit();
      at++;
      if (unit === 0x5d) break;
      if (unit !== 0x2c) fail('no comma or bracket');
      unit = nextUnitAfterSpace();
    }
  }
  depthLeft++;
  return array;
}

/** Keys that were met lately. A slice would have to be hashed and looked up by V8 for every member of every message. */
const knownKeys: (string | undefined)[] = new Array(1024).fill(undefined);
const longestKnownKey = 32;

function readKey(): string {
  const text = source;
  const start = at + 1;
  const end = isPlain ? text.indexOf('"', start) : -1;
  const length = end - start;
  if (length < 1 || length > longestKnownKey) return readString();
  at = end + 1;
  const ends = text.charCodeAt(start) * 31 + text.charCodeAt(end - 1);
  const place = (Math.imul(ends * 31 + text.charCodeAt(start + (length >> 1)), 31) + length) & 1023;
  const known = knownKeys[place];
  if (known !== undefined && known.length === length && text.startsWith(known, start)) return known;
  const key = kept(text.slice(start, end));
  knownKeys[place] = key;
  return key;
}

function readString(): string {
  const text = source;
  const start = at + 1;
  if (isPlain) {
    const end = text.indexOf('"', start);
    if (end < 0) fail('string without end');
    at = end + 1;
    return text.slice(start, end);
  }
  for (let i = start; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) {
      at = i + 1;
      return text.slice(start, i);
    }
    if (unit === 0x5c || unit >= 0x7f) return readUnusualString(start, i);
    if (unit < 0x20) {
      at = i;
      fail('control character in a string');
    }
  }
  return fail('string without end');
}

/** The rest of a string that holds an escape or something else than printable ASCII, from `i` on. */
function readUnusualString(start: number, i: number): string {
  // Some escapes are canonical; to tell which is not worth the while.
  deviations++;
  const text = source;
  let out = '';
  let runStart = start;
  let surrogates = false;
  for (; ; i++) {
    const unit = text.charCodeAt(i);
    at = i;
    if (unit === 0x22) break;
    if (unit === 0x5c) {
      out += text.slice(runStart, i);
      const escaped = readEscape(i + 1);
      if (escaped >= 0xd800 && escaped <= 0xdfff) surrogates = true;
      out += String.fromCharCode(escaped);
      i = at;
      runStart = i + 1;
    } else if (unit >= 0xd800 && unit <= 0xdfff) surrogates = true;
    // The negation also catches NaN, the end of the text.
    else if (!(unit >= 0x20)) fail('control character in a string, or no end');
  }
  out += text.slice(runStart, at);
  at++;
  if (surrogates && hasLoneSurrogate(out)) fail('lone surrogate');
  return out;
}

/** The UTF-16 unit of the escape whose letter is at `i`; leaves `at` on its last character. */
function readEscape(i: number): number {
  at = i;
  switch (source.charCodeAt(i)) {
    case 0x22:
      return 0x22;
    case 0x5c:
      return 0x5c;
    case 0x2f:
      return 0x2f;
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    case 0x75: {
      let unit = 0;
      for (let k = 1; k <= 4; k++) {
        const digit = hexDigit(source.charCodeAt(i + k));
        if (digit < 0) fail('bad \\u escape');
        unit = unit * 16 + digit;
      }
      at = i + 4;
      return unit;
    }
    default:
      return fail('bad escape');
  }
}

function hexDigit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const lower = unit | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function hasLoneSurrogate(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const next = text.charCodeAt(i + 1);
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return true;
    i++;
  }
  return false;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/** Consumes digits; how many there were. */
function skipDigits(): number {
  const start = at;
  while (isDigit(source.charCodeAt(at))) at++;
  return at - start;
}

function readNumber(first: number): number | bigint | JsonFloat {
  const start = at;
  if (first === 0x2d) at++;
  const leading = source.charCodeAt(at);
  const digits = skipDigits();
  if (digits === 0) fail('no JSON value');
  if (leading === 0x30 && digits > 1) fail('leading zero');
  let isFloatToken = false;
  if (source.charCodeAt(at) === 0x2e) {
    isFloatToken = true;
    at++;
    if (skipDigits() === 0) fail('no digit after the point');
  }
  if ((source.charCodeAt(at) | 0x20) === 0x65) {
    isFloatToken = true;
    at++;
    const sign = source.charCodeAt(at);
    if (sign === 0x2b || sign === 0x2d) at++;
    if (skipDigits() === 0) fail('no digit in the exponent');
  }
  if (!isFloatToken && digits > maxIntegerDigits) fail('integer too long');
  const token = source.slice(start, at);
  const value = Number(token);
  if (isFloatToken) {
    if (!Number.isFinite(value)) fail('float overflows');
    if (floatText(value) !== token) deviations++;
    return new Float(value);
  }
  if (value !== 0) return Number.isSafeInteger(value) ? value : BigInt(token);
  // The token `-0` is the integer 0 (§3.1: it prints `0`).
  if (token !== '0') deviations++;
  return 0;
}
