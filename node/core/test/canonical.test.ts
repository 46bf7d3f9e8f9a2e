import { expect } from 'chai';
import fc from 'fast-check';
import { canonical, canonicalAround, comparePoints, joined, joinedWith } from '../canonical.ts';
import { envelopeText, readEnvelope } from '../envelope.ts';
import { float, isObject, parse, writtenOf } from '../json.ts';
import type { Json, JsonObject } from '../types.ts';

const form = (text: string) => canonical(parse(text));

describe('the canonical form of §3.1', () => {
  // Left: a token; right: what CPython 3.11 prints.
  const numbers: [string, string][] = [
    ['1700000000.0', '1700000000.0'],
    ['1700000000.250', '1700000000.25'],
    ['1e-7', '1e-07'],
    ['1e16', '1e+16'],
    ['1e15', '1000000000000000.0'],
    ['9999999999999998.0', '9999999999999998.0'],
    ['1E5', '100000.0'],
    ['0.1', '0.1'],
    ['0.30000000000000004', '0.30000000000000004'],
    ['-0.0', '-0.0'],
    ['-0', '0'],
    ['1e-400', '0.0'],
    ['-1e-400', '-0.0'],
    ['0.0001', '0.0001'],
    ['0.00001', '1e-05'],
    ['0.00012345', '0.00012345'],
    ['1.5e-5', '1.5e-05'],
    ['5e-324', '5e-324'],
    ['1.7976931348623157e308', '1.7976931348623157e+308'],
    ['123456789012345680.0', '1.2345678901234568e+17'],
    ['9007199254740993', '9007199254740993'],
    ['9007199254740993.0', '9007199254740992.0'],
    ['-9007199254740993', '-9007199254740993'],
    ['1000000000000000000000000000000', '1000000000000000000000000000000'],
    ['1e22', '1e+22'],
    ['1e21', '1e+21'],
    ['2.5e+100', '2.5e+100'],
  ];
  for (const [token, printed] of numbers)
    it(`prints ${token} as ${printed}`, () => expect(form(token)).to.equal(printed));

  it('escapes all but U+0020–U+007E, quote and backslash', () => {
    expect(canonical('\u0000\b\t\n\f\r\u001f "\\/~\u007f\u0080é\uffff😀')).to.equal(
      '"\\u0000\\b\\t\\n\\f\\r\\u001f \\"\\\\/~\\u007f\\u0080\\u00e9\\uffff\\ud83d\\ude00"',
    );
  });

  it('sorts keys by code point, not by UTF-16 unit', () => {
    expect(form('{"😀":1,"\uffff":2,"b":3,"B":4,"ba":5}')).to.equal(
      '{"B": 4, "b": 3, "ba": 5, "\\uffff": 2, "\\ud83d\\ude00": 1}',
    );
  });

  it('orders as code points do', () => {
    const points = (text: string) => Array.from(text, (c) => c.codePointAt(0)!);
    const word = fc.string({
      unit: fc.constantFrom('a', 'b', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
      maxLength: 5,
    });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const left = points(a);
        const right = points(b);
        let i = 0;
        while (i < left.length && i < right.length && left[i] === right[i]) i++;
        const expected =
          i < left.length && i < right.length ? left[i]! - right[i]! : left.length - right.length;
        expect(Math.sign(comparePoints(a, b))).to.equal(Math.sign(expected));
      }),
    );
  });

  it('sorts many keys like few', () => {
    const keys = Array.from({ length: 40 }, (_, i) => `k${(i * 17) % 40}`);
    const object = Object.fromEntries(keys.map((key, i) => [key, i]));
    const sorted = [...keys].sort();
    expect(canonical(object)).to.equal(`{${sorted.map((key) => `"${key}": ${object[key]}`).join(', ')}}`);
  });

  it('throws on what has no canonical form', () => {
    for (const value of [1.5, 2 ** 53, Number.NaN, undefined]) {
      expect(() => canonical(value as Json), String(value)).to.throw();
    }
    expect(() => float(Number.POSITIVE_INFINITY)).to.throw();
  });
});

/** Any value, as text: written in some way, and in the canonical way. */
const json = fc.letrec<{ value: string; leaf: string }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom('true', 'false', 'null', '-0', '1.0', '1e5', '9007199254740993', '-0.0', '0.25'),
    fc.integer().map(String),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map((n) => (Number.isInteger(n) ? `${BigInt(n)}` : `${n}`)),
    fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => JSON.stringify(text)),
  ),
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 4 }).map((values) => `[${values.join(', ')}]`),
    fc
      .uniqueArray(
        fc.tuple(
          fc.oneof(
            fc.string({ maxLength: 3 }),
            fc.constantFrom('signature', 'payload', '__proto__', 'z', 'é'),
          ),
          tie('value'),
        ),
        { maxLength: 5, selector: ([key]) => key },
      )
      .map((members) => `{${members.map(([key, value]) => `${JSON.stringify(key)}: ${value}`).join(', ')}}`),
  ),
})).value;

/** Serialises without looking at how anything was written. */
function rewritten(value: Json): Json {
  if (Array.isArray(value)) return value.map(rewritten);
  if (!isObject(value)) return value;
  const copy: JsonObject = Object.create(null);
  for (const key of Object.keys(value)) copy[key] = rewritten(value[key]!);
  return copy;
}

describe('an object that was written canonically', () => {
  it('has the canonical form that it would have anyway', () => {
    fc.assert(
      fc.property(json, (text) => {
        const value = parse(text);
        const expected = canonical(rewritten(value));
        expect(canonical(value)).to.equal(expected);
        const again = parse(expected);
        expect(canonical(again)).to.equal(expected);
        if (isObject(again) && isPlainAscii(expected)) {
          expect(writtenOf(again), expected).to.not.equal(null);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('splits around any member as it would anyway', () => {
    fc.assert(
      fc.property(json, fc.constantFrom('signature', 'payload', 'zz', '', '__proto__'), (text, member) => {
        const parsed = parse(text);
        if (!isObject(parsed)) return;
        for (const object of [parsed, parse(canonical(parsed)) as JsonObject]) {
          const copy = rewritten(object) as JsonObject;
          const expected = canonicalAround(copy, member);
          const around = canonicalAround(object, member);
          expect(around).to.deep.equal(expected);
          const { [member]: left, ...rest } = copy;
          expect(joined(around)).to.equal(canonical(rest));
          if (left !== undefined) {
            expect(joinedWith(around, member, canonical(left))).to.equal(canonical(copy));
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  const deviating: [string, string][] = [
    ['no space behind the comma', '{"a": 1,"b": 2}'],
    ['two spaces behind the colon', '{"a":  1}'],
    ['a space before the colon', '{"a" : 1}'],
    ['a space before the brace', '{"a": 1 }'],
    ['a space behind the brace', '{ "a": 1}'],
    ['a space in an empty array', '{"a": [ ]}'],
    ['a line feed for a space', '{"a":\n1}'],
    ['keys out of order', '{"b": 1, "a": 2}'],
    ['a needless escape', '{"a": "\\u0041"}'],
    ['a raw DEL', '{"a": "\u007f"}'],
    ['a raw letter beyond ASCII', '{"a": "é"}'],
    ['another float form', '{"a": 1.50}'],
    ['an exponent', '{"a": 1e5}'],
    ['minus zero', '{"a": -0}'],
    ['a deviation in the depth', '{"a": [{"b":1}]}'],
  ];
  for (const [name, text] of deviating) {
    it(`is not taken for one with ${name}`, () => {
      const value = parse(text) as JsonObject;
      expect(writtenOf(value)).to.equal(null);
      expect(canonical(value)).to.equal(canonical(rewritten(value)));
    });
  }

  it('is found inside one that was not', () => {
    const value = parse('{"b":1, "a": {"c": 2, "d": 1.5}}') as JsonObject;
    expect(writtenOf(value)).to.equal(null);
    expect(writtenOf(value.a as JsonObject)).to.not.equal(null);
    expect(canonical(value)).to.equal('{"a": {"c": 2, "d": 1.5}, "b": 1}');
  });

  it('measures the payload of an envelope: 60 000 bytes are not too large', () => {
    const envelope = (payload: string, separator: string) =>
      `{"message_id":${separator}"3b241101-e2bb-4255-8caf-4136c566a962", "message_type": "gossip", "payload": ${payload}, "sender": {"agent_id": "agent_1", "node_id": "n", "public_key": "k"}, "signature": "AAAA", "timestamp": 1.5, "version": "1.0"}`;
    const judged = (payload: string, separator: string) =>
      envelopeText(readEnvelope(parse(envelope(payload, separator)))!).isPayloadTooLarge;
    const empty = '{"a": ""}'.length;
    for (const separator of [' ', '']) {
      expect(judged(`{"a": "${'x'.repeat(60_000 - empty)}"}`, separator)).to.equal(false);
      expect(judged(`{"a": "${'x'.repeat(60_001 - empty)}"}`, separator)).to.equal(true);
      // In canonical form, however it was written.
      expect(judged(`{"a":"${'x'.repeat(60_001 - empty)}"}`, separator)).to.equal(true);
      expect(judged(`{"a":     "${'x'.repeat(60_000 - empty)}"}`, separator)).to.equal(false);
      expect(judged(`{"a":"${'é'.repeat(10_000)}"}`, separator)).to.equal(true);
    }
  });

  it('gives an envelope the same texts as a rewritten one', () => {
    const envelope = (tail: string) =>
      `{"message_id": "3b241101-e2bb-4255-8caf-4136c566a962", "message_type": "gossip", "payload": {"signature": "in the payload"}, "sender": {"agent_id": "agent_1", "node_id": "n", "public_key": "k"}, "signature": "AAAA", "timestamp": 1.5, "version": "1.0"${tail}}`;
    for (const tail of ['', ', "z": {"signature": "late"}']) {
      const read = readEnvelope(parse(envelope(tail)))!;
      const other = readEnvelope(parse(JSON.stringify(JSON.parse(envelope(tail)))))!;
      expect(writtenOf(read.object)).to.not.equal(null);
      expect(writtenOf(other.object)).to.equal(null);
      expect(envelopeText(read)).to.deep.equal(envelopeText(other));
      expect(envelopeText(read).signing).to.equal(envelope(tail).replace('"signature": "AAAA", ', ''));
      expect(envelopeText(read).whole).to.equal(envelope(tail));
    }
  });
});

function isPlainAscii(text: string): boolean {
  // The empty key counts as out of order; escapes are not judged.
  return !text.includes('\\') && !text.includes('"": ');
}
