/**
 * The judge's JSON: a strict reader of profile §2 that remembers how each number was written, and the value model that
 * the rest of `harness/wire` works on. Knows nothing of envelopes. Printing is `canonical.ts`.
 *
 * Integers are `number` up to 2^53, else `bigint`; a token with `.`, `e` or `E` is a `JsonFloat`. Plain JavaScript
 * literals are values too: a `number` that is no integer counts as a float token, so payloads can be written naturally.
 */

export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonFloat
  | Raw
  | readonly Json[]
  | { readonly [key: string]: Json };
/** Members in arrival order; as `parse` makes it, without prototype (§11: `__proto__` is an ordinary key). */
export type JsonObject = { [key: string]: Json };

/** A number that is written with a fraction or an exponent, whatever its value (`1.0`, `-0.0`). */
export class JsonFloat {
  readonly float: number;
  constructor(float: number) {
    this.float = float;
  }
}

/** For `JSON.stringify`, of which an integer beyond 2^53 would make an exception: such a one as its digits. */
export const digitsForBigInts = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value;

/** What somebody said, for the reader of a message of ours; never for the wire. */
export const readable = (value: unknown): string => JSON.stringify(value, digitsForBigInts) ?? 'undefined';

/** Text that printers copy verbatim: what an honest writer would never produce. Never made by `parse`. */
export class Raw {
  /** As transmitted. */
  readonly text: string;
  /** As signed. */
  readonly canonical: string;
  constructor(text: string, canonical: string) {
    this.text = text;
    this.canonical = canonical;
  }
}

/** Why a text is no JSON under §2, and where (index in UTF-16 units). */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
  readonly at: number;
  constructor(because: string, at: number) {
    super(`${because} at ${at}`);
    this.at = at;
  }
}

/** A number token with a fraction: `float(1)` prints `1.0`. */
export function float(value: number): JsonFloat {
  return new JsonFloat(value);
}

/** Writes `text` verbatim; it is signed as `canonical` (default: the same text). */
export function raw(text: string, canonical: string = text): Raw {
  return new Raw(text, canonical);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof JsonFloat) &&
    !(value instanceof Raw)
  );
}

/** An integer token (no `.`, `e`, `E`). */
export function isInteger(value: Json | undefined): value is number | bigint {
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
}

export function isNumber(value: Json | undefined): value is number | bigint | JsonFloat {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof JsonFloat;
}

/** The value of a number token as a double; NaN for anything else. */
export function numberOf(value: Json | undefined): number {
  if (value instanceof JsonFloat) return value.float;
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : Number.NaN;
}

/** Plain JavaScript without number forms, for looking at and for deep equality. Integers beyond 2^53 stay bigint. */
// biome-ignore lint/suspicious/noExplicitAny: the view exists so that tests can reach into foreign data freely
export function plain(value: Json): any {
  if (value instanceof JsonFloat) return value.float;
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    Object.defineProperty(copy, key, {
      value: plain(member),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return copy;
}

/** Depth as §2 counts it: a scalar has 0, `{}` has 1. */
export function depthOf(value: Json): number {
  if (Array.isArray(value))
    return 1 + value.reduce((most: number, entry) => Math.max(most, depthOf(entry)), 0);
  if (!isObject(value)) return 0;
  return 1 + Object.values(value).reduce((most: number, member) => Math.max(most, depthOf(member)), 0);
}

const mostDigits = 4300;
const numberToken = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters end a run, RFC 8259 forbids them
const plainRun = /[^"\\\u0000-\u001f]*/y;
const simpleEscapes: Record<string, string> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Reads one JSON text; throws `JsonFault` on any violation of §2. `maxDepth` counts objects and arrays. */
export function parse(text: string, maxDepth = 32): Json {
  let at = 0;
  let depth = 0;

  const fail = (because: string): never => {
    throw new JsonFault(because, at);
  };
  const skip = (): void => {
    for (let code = text.charCodeAt(at); code === 32 || code === 10 || code === 13 || code === 9; ) {
      at += 1;
      code = text.charCodeAt(at);
    }
  };
  const enter = (): void => {
    depth += 1;
    if (depth > maxDepth) fail(`deeper than ${maxDepth}`);
  };

  const readString = (): string => {
    at += 1;
    let value = '';
    for (;;) {
      plainRun.lastIndex = at;
      const run = plainRun.exec(text)?.[0] ?? '';
      value += run;
      at += run.length;
      const character = text[at];
      if (character === '"') break;
      if (character !== '\\')
        fail(character === undefined ? 'unfinished string' : 'control character in a string');
      value += readEscape();
    }
    if (loneSurrogate.test(value)) fail('lone surrogate');
    at += 1;
    return value;
  };

  const readEscape = (): string => {
    const letter = text[at + 1] ?? '';
    if (letter === 'u') {
      const digits = text.slice(at + 2, at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) fail('bad \\u escape');
      at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    if (!Object.hasOwn(simpleEscapes, letter)) fail('bad escape');
    at += 2;
    return simpleEscapes[letter] as string;
  };

  const readNumber = (): Json => {
    numberToken.lastIndex = at;
    const match = numberToken.exec(text);
    if (match === null) return fail(`unexpected ${JSON.stringify(text.slice(at, at + 10))}`);
    const token = match[0];
    if (match[1] !== undefined || match[2] !== undefined) {
      const value = Number(token);
      if (!Number.isFinite(value)) fail('float overflows');
      at += token.length;
      return new JsonFloat(value);
    }
    if (token.length - (token.startsWith('-') ? 1 : 0) > mostDigits) fail('integer of more than 4300 digits');
    at += token.length;
    const value = Number(token);
    if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
    return BigInt(token);
  };

  const readArray = (): Json[] => {
    enter();
    at += 1;
    const entries: Json[] = [];
    skip();
    if (text[at] === ']') at += 1;
    else
      for (;;) {
        entries.push(readValue());
        skip();
        const mark = text[at];
        if (mark !== ',' && mark !== ']') fail('expected , or ]');
        at += 1;
        if (mark === ']') break;
      }
    depth -= 1;
    return entries;
  };

  const readMember = (object: JsonObject): void => {
    skip();
    if (text[at] !== '"') fail('expected a key');
    const start = at;
    const key = readString();
    skip();
    if (text[at] !== ':') fail('expected :');
    if (Object.hasOwn(object, key)) {
      at = start;
      fail(`duplicate key ${JSON.stringify(key)}`);
    }
    at += 1;
    object[key] = readValue();
  };

  const readObject = (): JsonObject => {
    enter();
    at += 1;
    const object: JsonObject = Object.create(null) as JsonObject;
    skip();
    if (text[at] === '}') at += 1;
    else
      for (;;) {
        readMember(object);
        skip();
        const mark = text[at];
        if (mark !== ',' && mark !== '}') fail('expected , or }');
        at += 1;
        if (mark === '}') break;
      }
    depth -= 1;
    return object;
  };

  const readWord = (word: string, value: Json): Json => {
    if (!text.startsWith(word, at)) fail(`unexpected ${JSON.stringify(text.slice(at, at + 10))}`);
    at += word.length;
    return value;
  };

  const readValue = (): Json => {
    skip();
    switch (text[at]) {
      case '{':
        return readObject();
      case '[':
        return readArray();
      case '"':
        return readString();
      case 't':
        return readWord('true', true);
      case 'f':
        return readWord('false', false);
      case 'n':
        return readWord('null', null);
      case undefined:
        return fail('text ends');
      default:
        return readNumber();
    }
  };

  const value = readValue();
  skip();
  if (at < text.length) fail('text goes on after the value');
  return value;
}
