/** What counts as two engines judging differently. */

import { expect } from 'chai';
import { benchExit } from '../../cli/bench.ts';
import { barsOf, differences, type ScenarioRun } from '../scenarios.ts';

const run = (verdict: string, checks: Record<string, string>): ScenarioRun => ({
  scenario: 'smoke',
  engine: 'process',
  wallS: 1,
  verdict,
  checks,
});

describe('bench scenarios', () => {
  it('finds no difference between equal verdicts', () => {
    const one = run('pass', { 'a.b': 'pass', 'c.d': 'skipped' });
    expect(differences(one, { ...one, engine: 'docker', wallS: 2 })).to.deep.equal([]);
  });

  it('names the verdict and every check that differs, also one that the other lacks', () => {
    const one = run('pass', { 'a.b': 'pass', 'c.d': 'skipped', 'e.f': 'pass' });
    const other = run('unknown', { 'a.b': 'unknown', 'e.f': 'pass', 'g.h': 'warn' });
    expect(differences(one, other)).to.deep.equal([
      'verdict: pass, unknown',
      'a.b: pass, unknown',
      'c.d: skipped, absent',
      'g.h: absent, warn',
    ]);
  });

  it('draws its bars from the runs that left a verdict', () => {
    const one = run('pass', { 'a.b': 'pass' });
    const pairs = [[one, { ...one, engine: 'docker' }], [one], []];
    const bars = barsOf(pairs, 2, () => {});
    expect(bars.map(({ name, control }) => [name, control])).to.deep.equal([
      ['testnet-smoke', '20 s'],
      ['engines-agree', '3 pairs of runs'],
    ]);
    expect(bars[1]).to.include({ figure: '1 agree', met: false });
    expect(barsOf([[one], []], 1, () => {})).to.have.length(1);
    expect(() => barsOf([[one], []], 2, () => {})).to.throw('on both engines');
    expect(() => barsOf([[]], 1, () => {})).to.throw('no run left a verdict');
  });

  it('is open, not failed, where a bar could not be measured and none was missed', () => {
    expect(benchExit([{ met: false }], 0)).to.equal(0);
    expect(benchExit([{ met: true }], 1)).to.equal(3);
    expect(benchExit([], 1)).to.equal(3);
    expect(benchExit([{ met: true }, { met: false }], 1)).to.equal(1);
  });
});
