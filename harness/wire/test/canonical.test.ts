/** The judge's JSON against CPython's golden vectors, and against itself. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { canonical, compareCodePoints, floatRepr, type Style, written } from '../canonical.ts';
import { publicKeyOf, signExact, signFast, verifyExact } from '../ed25519.ts';
import { float, isObject, type Json, JsonFault, JsonFloat, parse, plain, raw } from '../json.ts';

interface Golden {
  seed: string;
  public_key: string;
  vectors: { text: string; canonical: string; signature?: string }[];
  refused: string[];
}
const golden = JSON.parse(
  readFileSync(new URL('../vectors/canonical.json', import.meta.url), 'utf8'),
) as Golden;

/** Any JSON value in our model, with all number forms. */
const anyJson: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => new JsonFloat(value)),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc
      .array(fc.tuple(fc.string({ unit: 'binary', maxLength: 4 }), tie('value')), { maxLength: 5 })
      .map((members) => {
        const object = Object.create(null) as Record<string, Json>;
        for (const [key, member] of members) object[key] = member;
        return object;
      }),
  ),
})).value;

describe('wire: canonical form', () => {
  it('has at least 60 golden vectors and agrees with all of them', () => {
    expect(golden.vectors.length).to.be.at.least(60);
    for (const { text, canonical: form } of golden.vectors)
      expect(canonical(parse(text)), text).to.equal(form);
  });

  it('has the vectors that make.py writes', function () {
    this.timeout(60_000);
    const python = spawnSync('python3', ['--version']);
    if (python.error !== undefined) {
      expect(process.env.CI, 'CI has python3').to.equal(undefined);
      this.skip();
    }
    const make = fileURLToPath(new URL('../vectors/make.py', import.meta.url));
    const { status, stderr } = spawnSync('python3', [make, '--check'], { encoding: 'utf8' });
    expect(status, stderr).to.equal(0);
  });

  it('agrees with the signatures of the vectors', () => {
    const seed = Buffer.from(golden.seed, 'hex');
    const publicKey = publicKeyOf(seed);
    expect(Buffer.from(publicKey).toString('base64')).to.equal(golden.public_key);
    const signed = golden.vectors.filter((vector) => vector.signature !== undefined);
    expect(signed.length).to.be.at.least(10);
    for (const { canonical: form, signature } of signed) {
      const message = Buffer.from(form, 'latin1');
      expect(Buffer.from(signExact(seed, message)).toString('base64')).to.equal(signature);
      expect(Buffer.from(signFast(seed, message)).toString('base64')).to.equal(signature);
      expect(verifyExact(publicKey, message, Buffer.from(signature!, 'base64'))).to.equal(true);
    }
  });

  it('refuses every text that §2 forbids', () => {
    expect(golden.refused.length).to.be.at.least(30);
    for (const text of golden.refused) expect(() => parse(text), text.slice(0, 60)).to.throw(JsonFault);
  });

  it('does not depend on how the text was written', () => {
    const styles: Style[] = [
      { order: 'reversed', indent: 3 },
      { order: 'given', separators: [',', ':'], escapes: 'none' },
      { order: 'shuffled', random: () => 0.37, escapes: 'all' },
      { indent: 1, separators: [' , ', ' :  '], escapes: 'none' },
    ];
    fc.assert(
      fc.property(anyJson, fc.constantFrom(...styles), (value, style) => {
        const form = canonical(value);
        expect(canonical(parse(form, 1_000))).to.equal(form);
        expect(canonical(parse(written(value, style), 1_000))).to.equal(form);
      }),
      { numRuns: 300 },
    );
  });

  it('prints doubles that read back as themselves', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = floatRepr(value);
        expect(Object.is(Number(text), value)).to.equal(true);
        expect(text).to.match(/[.e]/);
      }),
    );
  });

  it('keeps __proto__ an ordinary key and copies raw text', () => {
    const value = parse('{"__proto__": {"a": 1}}');
    expect(isObject(value) && Object.keys(value)).to.deep.equal(['__proto__']);
    expect(Object.keys(plain(value))).to.deep.equal(['__proto__']);
    const mixed = { n: raw('1E5', '100000.0'), f: float(1), i: 1 };
    expect(written(mixed)).to.equal('{"f": 1.0, "i": 1, "n": 1E5}');
    expect(canonical(mixed)).to.equal('{"f": 1.0, "i": 1, "n": 100000.0}');
    expect(compareCodePoints('\uffff', '\u{10000}')).to.be.below(0);
  });
});
