import { expect } from 'chai';
import fc from 'fast-check';
import { ByteBudget, CountLimits } from '../limits.ts';

describe('count limits (§9)', () => {
  it('let 10 pass in any 60 s and say when the next may come', () => {
    const limits = new CountLimits(10, 30);
    for (let i = 0; i < 10; i++) {
      expect(limits.waitMs('a', 'item', i * 1000)).to.equal(0);
      limits.count('a', 'item', i * 1000);
    }
    expect(limits.waitMs('a', 'item', 9_000)).to.equal(51_000);
    expect(limits.waitMs('a', 'item', 59_999)).to.equal(1);
    expect(limits.waitMs('a', 'item', 60_000)).to.equal(0);
    limits.count('a', 'item', 60_000);
    expect(limits.waitMs('a', 'item', 60_000), 'no second burst').to.equal(1_000);
  });

  it('are kept apart by peer and by kind', () => {
    const limits = new CountLimits(1, 2);
    limits.count('a', 'item', 0);
    expect(limits.waitMs('a', 'item', 1)).to.be.greaterThan(0);
    expect(limits.waitMs('b', 'item', 1)).to.equal(0);
    expect(limits.waitMs('a', 'query', 1)).to.equal(0);
    limits.count('a', 'query', 1);
    expect(limits.waitMs('a', 'query', 1)).to.equal(0);
  });

  it('equal a recount of the last 60 s', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(9_000), { maxLength: 300, size: 'max' }),
        fc.integer({ min: 1, max: 20 }),
        (gaps, limit) => {
          const limits = new CountLimits(limit, 1);
          const passed: number[] = [];
          let nowMs = 0;
          for (const gap of gaps) {
            nowMs += gap;
            const inWindow = passed.filter((at) => at > nowMs - 60_000).length;
            const waitMs = limits.waitMs('a', 'item', nowMs);
            expect(waitMs === 0).to.equal(inWindow < limit);
            if (waitMs > 0) {
              expect(limits.waitMs('a', 'item', nowMs + waitMs)).to.equal(0);
              nowMs += waitMs;
            }
            limits.count('a', 'item', nowMs);
            passed.push(nowMs);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('that are lifted cost no memory per message, and still hold', () => {
    const limits = new CountLimits(100_000, 1);
    let passed = 0;
    for (let nowMs = 0; nowMs < 50_000; nowMs += 0.25) {
      if (limits.waitMs('a', 'item', nowMs) > 0) continue;
      limits.count('a', 'item', nowMs);
      passed++;
    }
    expect(passed).to.equal(100_000);
    // In grains of 50 ms a count may leave that much late, never early.
    expect(limits.waitMs('a', 'item', 60_000 - 0.25)).to.be.greaterThan(0);
    expect(limits.waitMs('a', 'item', 60_050)).to.equal(0);
  });
});

describe('the byte budget (§9)', () => {
  it('has a burst of one second and then the rate', () => {
    const budget = new ByteBudget(1_048_576, 0);
    expect(budget.take(1_000_000, 0)).to.equal(0);
    expect(budget.take(48_576, 0)).to.equal(0);
    expect(budget.take(524_288, 0)).to.equal(500);
    expect(budget.take(0, 400)).to.be.closeTo(100, 1e-6);
    expect(budget.take(0, 500)).to.equal(0);
    expect(budget.take(1_048_576, 1_000_000), 'no more than the burst is saved').to.equal(0);
    expect(budget.take(1, 1_000_000)).to.be.greaterThan(0);
  });

  it('tells a sender how long to wait', () => {
    const budget = new ByteBudget(1000, 0);
    expect(budget.waitMs(1000, 0)).to.equal(0);
    budget.take(900, 0);
    expect(budget.waitMs(100, 0)).to.equal(0);
    expect(budget.waitMs(600, 0)).to.equal(500);
    expect(budget.waitMs(65_536, 0), 'more than the burst waits for the whole burst').to.equal(900);
    expect(budget.waitMs(65_536, 900)).to.equal(0);
  });

  it('never lets more through than burst and rate', () => {
    const message = fc.record({ bytes: fc.integer({ min: 1, max: 65_536 }), afterMs: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 400, size: 'max' }), (messages) => {
        const budget = new ByteBudget(1_048_576, 0);
        let nowMs = 0;
        let waitMs = 0;
        let taken = 0;
        for (const { bytes, afterMs } of messages) {
          nowMs += Math.max(afterMs, waitMs);
          // Whoever waits as told has at most one message beyond the budget.
          expect(taken).to.be.at.most(1_048_576 * (1 + nowMs / 1000) + 1e-3);
          waitMs = budget.take(bytes, nowMs);
          taken += bytes;
        }
      }),
      { numRuns: 100 },
    );
  });
});
