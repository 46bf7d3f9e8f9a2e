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

  it('takes no more steps than pattern × text', () => {
    const startedAt = process.cpuUsage();
    const pattern = `${'*a'.repeat(127)}*b`;
    expect(matches(pattern, 'a'.repeat(30_000))).to.equal(false);
    const { user } = process.cpuUsage(startedAt);
    // 256 × 30 000 steps take some 30 ms; exponential time would take for ever.
    expect(user / 1000).to.be.lessThan(2000);
  });
});
