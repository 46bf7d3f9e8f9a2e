/** What counts as two engines judging differently. */

import { expect } from 'chai';
import { differences, type ScenarioRun } from '../scenarios.ts';

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
});
