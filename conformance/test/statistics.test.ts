import { expect } from 'chai';
import { binomial, chiSquare, cumulative, quantile, upperGamma } from '../statistics.ts';

describe('statistics', () => {
  it('computes binomial tails', () => {
    expect(cumulative(10, 0.5, 5)).to.be.closeTo(0.623046875, 1e-12);
    expect(cumulative(3, 0.1, 0)).to.be.closeTo(0.729, 1e-12);
    expect(cumulative(5, 0.2, 5)).to.equal(1);
    expect(cumulative(400, 0.3, 120)).to.be.closeTo(0.526, 0.01);
  });

  it('computes the upper incomplete gamma function', () => {
    // χ² with 1 degree of freedom at 3.841458820694124: p = 0.05.
    expect(upperGamma(0.5, 3.841458820694124 / 2)).to.be.closeTo(0.05, 1e-10);
    // χ² with 7 degrees of freedom at 14.0671404493402.
    expect(upperGamma(3.5, 14.0671404493402 / 2)).to.be.closeTo(0.05, 1e-9);
    expect(upperGamma(2, 0)).to.equal(1);
  });

  it('accepts the right node and refuses the mutants with the power it states', () => {
    const right = binomial({
      n: 200,
      successes: 75,
      p: 3 / 8,
      alpha: 1e-6,
      mutants: { 'fanout-two': 2 / 8 },
    });
    expect(right.holds).to.equal(true);
    expect(right.text).to.match(/75 of 200.*power against fanout-two 0\.\d+/);
    expect(binomial({ n: 200, successes: 0, p: 3 / 8, alpha: 1e-6 }).holds).to.equal(false);
    expect(binomial({ n: 200, successes: 200, p: 3 / 8, alpha: 1e-6 }).holds).to.equal(false);
  });

  it('finds a sticky choice', () => {
    expect(chiSquare({ counts: [101, 99, 98, 102], alpha: 1e-9 }).holds).to.equal(true);
    expect(chiSquare({ counts: [200, 200, 200, 0, 0, 0, 0], alpha: 1e-9 }).holds).to.equal(false);
    expect(chiSquare({ counts: [0, 0], alpha: 1e-9 }).holds).to.equal(false);
  });

  it('has the acceptance that α promises', () => {
    // The mass outside the accepted interval of a fair sample is at most α.
    for (const [n, p, alpha] of [
      [30, 0.3, 0.01],
      [100, 0.5, 0.001],
      [40, 0.05, 0.05],
    ] as const) {
      let outside = 0;
      for (let k = 0; k <= n; k++) {
        const mass = cumulative(n, p, k) - cumulative(n, p, k - 1);
        if (!binomial({ n, successes: k, p, alpha }).holds) outside += mass;
      }
      expect(outside).to.be.at.most(alpha);
    }
  });

  it('takes quantiles by rank', () => {
    expect(quantile([5, 1, 3], 0.5)).to.equal(3);
    expect(quantile([1, 2, 3, 4], 0.95)).to.equal(4);
    expect(quantile([], 0.5)).to.be.NaN;
  });
});
