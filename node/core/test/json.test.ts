import { expect } from 'chai';
import fc from 'fast-check';
import { canonical } from '../canonical.ts';
import { isFloat, isInteger, isObject, JsonError, kept, numberOf, parse } from '../json.ts';
import type { Json, JsonFloat, JsonObject } from '../types.ts';

const nested = (depth: number, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth);

describe('the JSON rules of §2', () => {
  const refused: [string, string][] = [
    ['nothing', ''],
    ['only white space', ' \n'],
    ['a byte order mark', '\ufeff{}'],
    ['text after the value', '{} x'],
    ['two values', '1 2'],
    ['a trailing comma in an object', '{"a":1,}'],
    ['a trailing comma in an array', '[1,]'],
    ['a leading comma', '[,1]'],
    ['a missing colon', '{"a" 1}'],
    ['a missing value', '{"a":}'],
    ['a key without quotes', '{a:1}'],
    ['single quotes', "{'a':1}"],
    ['an open object', '{"a":1'],
    ['an open array', '[1'],
    ['an open string', '"abc'],
    ['an open key', '{"abc'],
    ['a backslash at the end', '"abc\\'],
    ['a short escape', '"\\u12"'],
    ['an escape that is none', '"\\x41"'],
    ['a \\u escape with another letter', '"\\u00g0"'],
    ['a capital \\U escape', '"\\U0041"'],
    ['a line feed in a string', '"a\nb"'],
    ['a NUL in a string', '"a\u0000b"'],
    ['a tab in a key', '{"a\tb":1}'],
    ['a control character behind an escape', '"\\n\u001f"'],
    ['a form feed as white space', '\f1'],
    ['a no-break space as white space', '\u00a01'],
    ['NaN', 'NaN'],
    ['Infinity', 'Infinity'],
    ['-Infinity', '[-Infinity]'],
    ['a float that overflows', '1e400'],
    ['a negative float that overflows', '-1e400'],
    ['a long float that overflows', `${'9'.repeat(400)}.0`],
    ['a leading zero', '01'],
    ['a negative leading zero', '-01'],
    ['a plus', '+1'],
    ['a bare minus', '-'],
    ['a point without digits behind it', '1.'],
    ['a point without digits before it', '.5'],
    ['an exponent without digits', '1e'],
    ['an exponent with only a sign', '1e+'],
    ['hexadecimal', '0x10'],
    ['a digit of another script', '١'],
    ['a word with capitals', 'True'],
    ['a word cut off', 'tru'],
    ['a word with a tail', 'nullx'],
    ['undefined', 'undefined'],
    ['a comment', '{}//'],
    ['a lone high surrogate, escaped', '"\\ud800"'],
    ['a lone low surrogate, escaped', '"\\udc00x"'],
    ['surrogates in the wrong order', '"\\udc00\\ud800"'],
    ['a high surrogate before an escape', '"\\ud800\\n"'],
    ['a lone surrogate, raw', '"\ud800"'],
    ['a lone surrogate in a key', '{"\\ud800":1}'],
    ['a duplicate key', '{"a":1,"a":2}'],
    ['a duplicate key apart', '{"a":1,"b":2,"a":1}'],
    ['a duplicate key, once escaped', '{"a":1,"\\u0061":2}'],
    ['a duplicate empty key', '{"":1,"":2}'],
    ['a duplicate __proto__', '{"__proto__":1,"__proto__":2}'],
    ['a duplicate in the depth', '[{"x":{"k":1,"k":1}}]'],
    ['an integer of 4 301 digits', '1'.repeat(4301)],
    ['a negative integer of 4 301 digits', `-${'1'.repeat(4301)}`],
    ['depth 33 of arrays', nested(33)],
    ['depth 33 of objects', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`],
  ];
  for (const [name, text] of refused) {
    it(`refuses ${name}`, () => expect(() => parse(text)).to.throw(JsonError));
  }

  const taken: [string, string, string][] = [
    ['white space of all four kinds', ' \t\r\n{ "a" : [ 1 , 2 ] } ', '{"a": [1, 2]}'],
    ['an integer of 4 300 digits', '1'.repeat(4300), '1'.repeat(4300)],
    ['a negative integer of 4 300 digits', `-${'1'.repeat(4300)}`, `-${'1'.repeat(4300)}`],
    ['a float of more than 4 300 digits', `0.${'1'.repeat(5000)}`, '0.1111111111111111'],
    ['depth 32', nested(32), nested(32)],
    ['a pair of escaped surrogates', '"\\ud83d\\ude00"', '"\\ud83d\\ude00"'],
    ['a raw astral character', '"😀"', '"\\ud83d\\ude00"'],
    ['minus zero', '-0', '0'],
    ['a float that underflows', '1e-400', '0.0'],
    ['minus zero as a float', '-0.0', '-0.0'],
    ['keys that sort as numbers', '{"10":1,"9":2,"":3}', '{"": 3, "10": 1, "9": 2}'],
    ['a key that differs in case', '{"a":1,"A":2}', '{"A": 2, "a": 1}'],
    ['the same key in two objects', '[{"a":1},{"a":1}]', '[{"a": 1}, {"a": 1}]'],
    ['scalars', '[true,false,null,"",0]', '[true, false, null, "", 0]'],
  ];
  for (const [name, text, form] of taken) {
    it(`takes ${name}`, () => expect(canonical(parse(text))).to.equal(form));
  }

  it('counts depth as asked', () => {
    expect(() => parse('[[1]]', 1)).to.throw(JsonError);
    expect(parse('[[1]]', 2)).to.deep.equal([[1]]);
    expect(parse('[[],[],[[]]]', 3)).to.deep.equal([[], [], [[]]]);
  });

  it('keeps how a number was written', () => {
    const [a, b, c, d] = parse('[1, 1.0, 1e0, 9007199254740993]') as Json[];
    expect(a).to.equal(1);
    expect(isFloat(b) && isFloat(c)).to.equal(true);
    expect((b as JsonFloat).float).to.equal(1);
    expect(d).to.equal(9007199254740993n);
    expect([a, b, c, d].map(isInteger)).to.deep.equal([true, false, false, true]);
    expect(numberOf(d as bigint)).to.equal(2 ** 53);
  });

  it('inherits nothing and sets no prototype', () => {
    const object = parse('{"__proto__":{"x":1},"constructor":2}') as JsonObject;
    expect(Object.keys(object)).to.have.members(['__proto__', 'constructor']);
    expect(canonical(object)).to.equal('{"__proto__": {"x": 1}, "constructor": 2}');
    const empty = parse('{}') as JsonObject;
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(name in empty, name).to.equal(false);
      expect(empty[name]).to.equal(undefined);
    }
    expect(isObject(empty)).to.equal(true);
    expect(isObject(parse('1.0')) || isObject([]) || isObject(null)).to.equal(false);
  });

  it('works again after a refusal', () => {
    expect(() => parse('[[[[{"a":')).to.throw(JsonError);
    expect(canonical(parse(nested(32)))).to.equal(nested(32));
  });

  it('agrees with JSON.parse on what is JSON, but for the stricter rules', () => {
    const pieces = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '"a"',
        '"b"',
        '\\',
        '\\u0041',
        ' ',
        '\n',
        '\t',
        '0',
        '1',
        '-',
        '.',
        'e',
        '+',
      ],
      ...['12', '3.5', 'true', 'false', 'null', '"', '"é"', '😀', '\u0001', '\u007f'],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
        const text = parts.join('');
        const ours = attempt(() => parse(text));
        const theirs = attempt(() => JSON.parse(text));
        if (!theirs.ok) expect(ours.ok, text).to.equal(false);
        else if (!ours.ok) expect(text).to.match(/"(a|b|\\u0041|)"[\s\S]*"(a|b|\\u0041|)"|e|[\ud800-\udfff]/);
        else expect(signless(plain(ours.value as Json))).to.deep.equal(signless(theirs.value));
      }),
      { numRuns: 4000, examples: [[['-', '0']], [['[', '-', '0', ',', '-', '0', '.', '0', ']']]] },
    );
  });

  /** The token `-0` is the integer 0 here (§3.1 prints it so), and −0 to JSON.parse. */
  function signless(value: unknown): unknown {
    if (value === 0) return 0;
    if (Array.isArray(value)) return value.map(signless);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, signless(member)]));
  }

  it('throws nothing but JsonError, whatever it reads', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const result = attempt(() => parse(text));
        expect(result.ok || result.error instanceof JsonError, text).to.equal(true);
      }),
      { numRuns: 500 },
    );
    const valid =
      '{"a": [1, 2.5, {"b": "\\u00e9\\ud83d\\ude00"}, -0, null], "signature": "x", "z": {"k": true}}';
    fc.assert(
      fc.property(fc.nat(valid.length), fc.nat(3), fc.string({ maxLength: 3 }), (at, cut, insert) => {
        const text = valid.slice(0, at) + insert + valid.slice(at + cut);
        const result = attempt(() => parse(text));
        expect(result.ok || result.error instanceof JsonError, text).to.equal(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('keeps strings as they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), (text) => {
        expect(parse(JSON.stringify(text))).to.equal(text);
        expect(kept(text)).to.equal(text);
      }),
    );
  });
});

function attempt<T>(f: () => T): { ok: true; value: T } | { ok: false; error: unknown } {
  try {
    return { ok: true, value: f() };
  } catch (error) {
    return { ok: false, error };
  }
}

/** As JSON.parse would have it. */
function plain(value: Json): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  if (isFloat(value)) return value.float;
  return typeof value === 'bigint' ? Number(value) : value;
}
