/**
 * A strict reader of DER (X.690), as much as X.509 certificates need. It owns lengths, tags and times; it knows no
 * certificate. Every function throws `DerError` on what is not DER; nothing reads outside its bounds.
 */

export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One tag-length-value. `start` is where the tag is, `from`–`end` the contents, in `bytes`. */
export interface Element {
  readonly tag: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly from: number;
  readonly end: number;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  /** [6] IA5String in a GeneralName: a URI. */
  uri: 0x86,
} as const;

/** The element at `at`; it must end at or before `limit`. */
export function readElement(bytes: Uint8Array, at: number, limit: number): Element {
  if (at + 2 > limit) throw new DerError('cut off');
  const tag = bytes[at]!;
  if ((tag & 0x1f) === 0x1f) throw new DerError('long tag');
  const first = bytes[at + 1]!;
  let from = at + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw new DerError('indefinite or huge length');
    if (from + count > limit) throw new DerError('cut off');
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + bytes[from + i]!;
    // DER: the shortest form of a length.
    if (length < 0x80 || (count > 1 && length < 2 ** (8 * (count - 1))))
      throw new DerError('length not minimal');
    from += count;
  }
  if (from + length > limit) throw new DerError('cut off');
  return { tag, bytes, start: at, from, end: from + length };
}

/** The one element that fills `bytes` entirely. */
export function readWhole(bytes: Uint8Array, tag: number): Element {
  const element = readElement(bytes, 0, bytes.length);
  if (element.end !== bytes.length) throw new DerError('trailing bytes');
  return expect(element, tag);
}

export function expect(element: Element | undefined, tag: number): Element {
  if (element?.tag !== tag) throw new DerError(`tag ${element?.tag} instead of ${tag}`);
  return element;
}

/** The elements that make up the contents of a constructed element. */
export function children(parent: Element): Element[] {
  const found: Element[] = [];
  for (let at = parent.from; at < parent.end; ) {
    const child = readElement(parent.bytes, at, parent.end);
    found.push(child);
    at = child.end;
  }
  return found;
}

/** The contents, without tag and length. Not a copy. */
export function contents(element: Element): Uint8Array {
  return element.bytes.subarray(element.from, element.end);
}

/** Tag, length and contents. Not a copy. */
export function encoding(element: Element): Uint8Array {
  return element.bytes.subarray(element.start, element.end);
}

export function isTrue(element: Element): boolean {
  if (element.end - element.from !== 1) throw new DerError('boolean of another length');
  return element.bytes[element.from] !== 0;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** An ASCII string; other bytes become characters that match no form of ours. */
export function asciiText(element: Element): string {
  return Buffer.from(contents(element)).toString('latin1');
}

/** UTCTime `YYMMDDhhmmssZ` (50–99 mean 19xx) or GeneralizedTime `YYYYMMDDhhmmssZ`, in Unix ms (RFC 5280 §4.1.2.5). */
export function readTime(element: Element | undefined): number {
  const isLong = element?.tag === tags.generalizedTime;
  const time = isLong ? element : expect(element, tags.utcTime);
  const text = asciiText(time);
  if (!/^[0-9]+Z$/.test(text) || text.length !== (isLong ? 15 : 13)) throw new DerError('time form');
  const short = Number(text.slice(0, 2));
  const year = isLong ? Number(text.slice(0, 4)) : short + (short < 50 ? 2000 : 1900);
  const [month, day, hour, minute, second] = text
    .slice(isLong ? 4 : 2, -1)
    .match(/../g)!
    .map(Number) as [number, number, number, number, number];
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  if (days === undefined || day < 1 || day > days || hour > 23 || minute > 59 || second > 59) {
    throw new DerError('no such time');
  }
  return (((daysSince1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000;
}

/** Days of the proleptic Gregorian calendar; the core owns no clock and hence no `Date`. */
function daysSince1970(year: number, month: number, day: number): number {
  // Years that begin in March, so that the leap day is the last day of its year.
  const marchYear = month <= 2 ? year - 1 : year;
  const marchMonth = (month + 9) % 12;
  const dayOfYear = Math.floor((153 * marchMonth + 2) / 5) + day - 1;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}
