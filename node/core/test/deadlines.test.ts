/** The heap of deadlines against a sorted list. */
import { expect } from 'chai';
import fc from 'fast-check';
import { type Deadline, Deadlines } from '../deadlines.ts';

describe('core deadlines', () => {
  it('run in order of their instants, the first set first, and not when cancelled', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.integer({ min: 0, max: 50 }), isCancelled: fc.boolean() }), {
          maxLength: 400,
        }),
        (wanted) => {
          const deadlines = new Deadlines();
          const ran: number[] = [];
          const made: Deadline[] = wanted.map(({ at }, i) => deadlines.at(at, () => ran.push(i)));
          for (const [i, { isCancelled }] of wanted.entries()) if (isCancelled) deadlines.cancel(made[i]!);
          const expected = [...wanted.entries()].filter(([, { isCancelled }]) => !isCancelled);
          expected.sort(([i, a], [j, b]) => a.at - b.at || i - j);
          expect(deadlines.next).to.equal(expected[0]?.[1].at ?? Number.POSITIVE_INFINITY);
          for (let now = 0; now <= 50; now += 7) {
            deadlines.runDue(now);
            expect(deadlines.next).to.be.greaterThan(now);
          }
          deadlines.runDue(50);
          expect(ran).to.deep.equal(expected.map(([i]) => i));
        },
      ),
    );
  });

  it('leave what a run adds to the next time, and a cancelled neighbour alone', () => {
    const deadlines = new Deadlines();
    const ran: string[] = [];
    const later: Deadline[] = [];
    deadlines.at(1, () => {
      ran.push('a');
      deadlines.cancel(later[0]!);
      deadlines.at(1, () => ran.push('c'));
    });
    later.push(deadlines.at(1, () => ran.push('b')));
    deadlines.runDue(1);
    expect(ran).to.deep.equal(['a']);
    expect(deadlines.next).to.equal(1);
    deadlines.runDue(1);
    expect(ran).to.deep.equal(['a', 'c']);
  });
});
