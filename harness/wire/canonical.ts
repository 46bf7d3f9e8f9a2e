/**
 * Printing JSON: the canonical form of profile §3.1 (what CPython's `json.dumps(value, sort_keys=True)` gives), and any
 * other legal form of the same value, so that tests can show that a node verifies what it parsed and not what it read.
 * Knows values only; no envelopes, no signatures.
 */

import { isObject, type Json, JsonFloat, type JsonObject, Raw } from './json.ts';

/** How else a value may be written. Every style parses to the same value. */
export interface Style {
  /** Order of members; `shuffled` uses `random`. Default `sorted`. */
  order?: 'sorted' | 'given' | 'reversed' | 'shuffled';
  /** Uniform in [0, 1); needed by `shuffled`. */
  random?: () => number;
  /** Spaces per level; 0 and absent: one line. */
  indent?: number;
  /** Between entries and after a key. Default `', '` and `': '`. */
  separators?: readonly [entry: string, key: string];
  /** `all`: each UTF-16 unit of each string as `\uXXXX`; `none`: raw UTF-8 wherever legal. Default `ascii`. */
  escapes?: 'ascii' | 'all' | 'none';
}

/** Pure ASCII text; its bytes are what is signed and hashed. */
export function canonical(value: Json): string {
  return print(value, {}, (part) => part.canonical);
}

/** Canonical form of `object` without the members named. */
export function canonicalWithout(object: JsonObject, ...members: string[]): string {
  const rest = Object.create(null) as JsonObject;
  for (const [key, member] of Object.entries(object)) if (!members.includes(key)) rest[key] = member;
  return canonical(rest);
}

/** The value as text for transmission in another style. */
export function written(value: Json, style: Style = {}): string {
  return print(value, style, (part) => part.text);
}

/** Order by Unicode code point (JavaScript's own order is by UTF-16 unit, §11). Both texts are well-formed. */
export function compareCodePoints(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i += 1) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    // Half of an astral character stands above every character of the BMP, also those from U+E000 on.
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

const rank = (unit: number): number => ((unit & 0xf800) === 0xd800 ? unit + 0x10000 : unit);

/** CPython's `repr` of a double, which must be finite. */
export function floatRepr(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`no JSON number: ${value}`);
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa = '', power = '0'] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(power);
  const sign = value < 0 ? '-' : '';
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const magnitude = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${magnitude}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

const shortEscapes: Record<string, string> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
  '"': '\\"',
  '\\': '\\\\',
};
const unicodeEscape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

function quoted(text: string, escapes: Style['escapes'] = 'ascii'): string {
  if (escapes === 'all') return `"${text.split('').map(unicodeEscape).join('')}"`;
  // U+007F is escaped in the canonical form (§3.1: "everything outside U+0020–U+007E … U+007F is").
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
  const pattern = escapes === 'none' ? /[\u0000-\u001f"\\]/g : /[^\u0020\u0021\u0023-\u005b\u005d-\u007e]/g;
  if (text.search(pattern) < 0) return `"${text}"`;
  return `"${text.replace(pattern, (unit) => shortEscapes[unit] ?? unicodeEscape(unit))}"`;
}

function keysOf(object: JsonObject, style: Style): string[] {
  const keys = Object.keys(object);
  if (style.order === 'given') return keys;
  if (style.order === 'reversed') return keys.reverse();
  keys.sort(compareCodePoints);
  if (style.order !== 'shuffled') return keys;
  if (style.random === undefined) throw new Error('a shuffled style needs a random source');
  for (let i = keys.length - 1; i > 0; i -= 1) {
    const j = Math.floor(style.random() * (i + 1));
    [keys[i], keys[j]] = [keys[j] as string, keys[i] as string];
  }
  return keys;
}

function print(value: Json, style: Style, rawText: (part: Raw) => string, level = 1): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return quoted(value, style.escapes);
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return printNumber(value);
  if (value instanceof JsonFloat) return floatRepr(value.float);
  if (value instanceof Raw) return rawText(value);
  const [between, colon] = style.separators ?? [', ', ': '];
  const join = (open: string, parts: string[], close: string): string => {
    if (!style.indent || parts.length === 0) return open + parts.join(between) + close;
    const pad = `\n${' '.repeat(style.indent * level)}`;
    const end = `\n${' '.repeat(style.indent * (level - 1))}`;
    return open + pad + parts.join(between.trimEnd() + pad) + end + close;
  };
  if (Array.isArray(value)) {
    return join(
      '[',
      value.map((entry: Json) => print(entry, style, rawText, level + 1)),
      ']',
    );
  }
  if (!isObject(value)) throw new Error(`no JSON value: ${String(value)}`);
  const members = keysOf(value, style).map(
    (key) => quoted(key, style.escapes) + colon + print(value[key] as Json, style, rawText, level + 1),
  );
  return join('{', members, '}');
}

/** A plain integer is an integer token (in full, also beyond 2^53), any other number a float token. */
function printNumber(value: number): string {
  if (!Number.isInteger(value)) return floatRepr(value);
  return Number.isSafeInteger(value) ? String(value === 0 ? 0 : value) : BigInt(value).toString();
}
