/** The glob of by_context (§6), by examples, by its definition, and by the time that it takes. */
import { expect } from 'chai';
import fc from 'fast-check';
import { compileGlob } from '../glob.ts';

describe('the glob of by_context', () => {
  const matches = (pattern: string, text: string) => compileGlob(pattern)!(text);

  it('knows runs, points and nothing else', () => {
    for (const [pattern, text] of [
      ['', ''],
      ['*', ''],
      ['***', 'abc'],
      ['?', 'é'],
      ['?', '😀'],
      ['a?c', 'a😀c'],
      ['*b*', 'abc'],
      ['a*a', 'aa'],
      ['[a]', '[a]'],
      ['.', '.'],
      ['a.c', 'a.c'],
      ['\\*', '\\anything'],
      ['*.txt', 'a.txt.txt'],
      ['a*b*c', 'aXbbYc'],
      ['*😀', '😀😀'],
      ['?*', 'x'],
      ['*?', '😀'],
      ['{a,b}', '{a,b}'],
      ['a*\nb', 'a\n\nb'],
    ] as const)
      expect(matches(pattern, text), `${pattern} ~ ${text}`).to.equal(true);
    for (const [pattern, text] of [
      ['', 'a'],
      ['a', ''],
      ['?', ''],
      ['??', '😀'],
      ['a', 'A'],
      ['a', 'ab'],
      ['b', 'ab'],
      ['a*a', 'a'],
      ['[a]', 'a'],
      ['.', 'a'],
      ['a.c', 'abc'],
      ['*b', 'abc'],
      ['???', 'a😀'],
      ['*??', '😀'],
      ['\\?', 'a'],
    ] as const)
      expect(matches(pattern, text), `${pattern} ~ ${text}`).to.equal(false);
  });

  it('equals the definition', () => {
    const unit = fc.constantFrom('a', 'b', '*', '?', '😀', '*');
    const letters = fc.constantFrom('a', 'b', '😀', '*');
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 8 }), fc.array(letters, { maxLength: 9 }), (pattern, text) => {
        const slow = (p: number, t: number): boolean => {
          if (p === pattern.length) return t === text.length;
          if (pattern[p] === '*') return slow(p + 1, t) || (t < text.length && slow(p, t + 1));
          return t < text.length && (pattern[p] === '?' || pattern[p] === text[t]) && slow(p + 1, t + 1);
        };
        expect(matches(pattern.join(''), text.join(''))).to.equal(slow(0, 0));
      }),
      { numRuns: 5000 },
    );
  });

  it('equals the definition for pieces of more points than a word has bits', () => {
    const longer = fc.array(fc.constantFrom('a', 'a', 'a', '?', 'b'), { minLength: 30, maxLength: 70 });
    fc.assert(
      fc.property(longer, fc.array(fc.constantFrom('a', 'a', 'a', 'b'), { maxLength: 90 }), (piece, text) => {
        const source = piece.map((unit) => (unit === '?' ? '.' : unit)).join('');
        expect(matches(`*${piece.join('')}*`, text.join(''))).to.equal(
          new RegExp(source).test(text.join('')),
        );
      }),
      { numRuns: 2000 },
    );
    expect(matches(`*${'a'.repeat(33)}*`, `b${'a'.repeat(33)}`)).to.equal(true);
    expect(matches(`*${'a'.repeat(65)}*`, 'a'.repeat(64))).to.equal(false);
  });

  it('takes a patterns’ worth of steps for each text at worst, 32 points in one', () => {
    const text = 'a'.repeat(30_000);
    const worst = [
      `*${'a'.repeat(254)}b`,
      `*${'a'.repeat(253)}b*`,
      `*${'?'.repeat(200)}b*`,
      `${'*a'.repeat(127)}*b`,
    ];
    for (const pattern of worst) {
      const isMatch = compileGlob(pattern)!;
      const startedAt = process.cpuUsage();
      for (let i = 0; i < 10; i++) expect(isMatch(text)).to.equal(false);
      const { user } = process.cpuUsage(startedAt);
      // A step per point of pattern and text takes ten times as long and more.
      expect(user / 10_000, `${pattern.slice(0, 8)}…, ms per text`).to.be.lessThan(10);
    }
  });
});
