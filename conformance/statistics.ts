/**
 * Verdicts over chance: exact binomial tests and χ², each with its error rates written out, so that a statistical row says
 * α, the power against the mutants it names, the sample size and the seed (issue: "How verdicts are reached"). Pure.
 */

export interface StatisticalFinding {
  holds: boolean;
  /** The chance of a result at least this far off if the node is right. */
  pValue: number;
  /** The figures in one line: n, observed, expected, p, α, power per mutant. */
  text: string;
}

/**
 * Two-sided exact binomial test of `successes` out of `n` against probability `p`.
 * `mutants`: name → probability under that mutant; the power against each is computed, not guessed.
 */
export function binomial(sample: {
  n: number;
  successes: number;
  p: number;
  alpha: number;
  mutants?: Record<string, number>;
}): StatisticalFinding {
  const { n, successes, p, alpha } = sample;
  const [low, high] = acceptance(n, p, alpha);
  const pValue = Math.min(1, 2 * Math.min(cumulative(n, p, successes), 1 - cumulative(n, p, successes - 1)));
  const powers = Object.entries(sample.mutants ?? {}).map(
    ([name, q]) => `${name} ${rounded(1 - (cumulative(n, q, high) - cumulative(n, q, low - 1)))}`,
  );
  return {
    holds: successes >= low && successes <= high,
    pValue,
    text:
      `${successes} of ${n}, expected ${rounded(n * p)} (accepted ${low}–${high}), p = ${rounded(pValue)}, α = ${alpha}` +
      (powers.length > 0 ? `, power against ${powers.join(', ')}` : ''),
  };
}

/** The widest-tailed interval of counts that a right node leaves with probability at most α. */
function acceptance(n: number, p: number, alpha: number): [low: number, high: number] {
  let low = 0;
  while (low < n && cumulative(n, p, low) <= alpha / 2) low++;
  let high = n;
  while (high > 0 && 1 - cumulative(n, p, high - 1) <= alpha / 2) high--;
  return [low, high];
}

/** P(X ≤ k) for X binomial. */
export function cumulative(n: number, p: number, k: number): number {
  if (k < 0) return 0;
  if (k >= n || p <= 0) return 1;
  if (p >= 1) return 0;
  let sum = 0;
  for (let i = 0; i <= k; i++) sum += Math.exp(logChoose(n, i) + i * Math.log(p) + (n - i) * Math.log(1 - p));
  return Math.min(1, sum);
}

function logChoose(n: number, k: number): number {
  return logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
}

/** Lanczos approximation, relative error below 1e-13 for x > 0. */
export function logGamma(x: number): number {
  const coefficients = [
    676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
    -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
  ];
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const y = x - 1;
  let sum = 0.9999999999998099;
  coefficients.forEach((c, i) => {
    sum += c / (y + i + 1);
  });
  const t = y + coefficients.length - 0.5;
  return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(t) - t + Math.log(sum);
}

/**
 * χ² of counts against expected shares (uniform if absent). Where each draw takes several distinct cells at once (3 of m
 * peers) pass `scale` = (m − 1) / (m − 3): the counts then vary less than independent draws, and the statistic is put right.
 */
export function chiSquare(sample: {
  counts: readonly number[];
  shares?: readonly number[];
  alpha: number;
  scale?: number;
}): StatisticalFinding {
  const { counts, alpha } = sample;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const shares = sample.shares ?? counts.map(() => 1 / counts.length);
  let statistic = 0;
  counts.forEach((count, i) => {
    const expected = total * shares[i]!;
    statistic += (count - expected) ** 2 / expected;
  });
  statistic *= sample.scale ?? 1;
  const freedom = counts.length - 1;
  const pValue = total === 0 ? 0 : upperGamma(freedom / 2, statistic / 2);
  return {
    holds: pValue > alpha,
    pValue,
    text: `χ² = ${rounded(statistic)} over ${counts.length} cells (${counts.join(', ')}), n = ${total}, p = ${rounded(pValue)}, α = ${alpha}`,
  };
}

/** Regularised upper incomplete gamma function Q(a, x). */
export function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const front = Math.exp(-x + a * Math.log(x) - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < 1000 && term > sum * 1e-16; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return Math.max(0, 1 - front * sum);
  }
  let b = x + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let h = d;
  for (let i = 1; i < 1000; i++) {
    const an = -i * (i - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return front * h;
}

/** The q-quantile (0 … 1) by the nearest-rank rule. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

function rounded(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(1);
  return String(Math.round(value * 1000) / 1000);
}
