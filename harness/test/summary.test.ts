/** The model of a report, from a made-up history. */
import { expect } from 'chai';
import type { FaultRecord } from '../history.ts';
import { judge } from '../judge.ts';
import { reportModel } from '../summary.ts';
import { healthyHistory } from './history-fixture.ts';

describe('the model of a report', () => {
  it('shows a fault as long as it was in force, and none that never was', () => {
    const history = healthyHistory();
    const fault = (
      id: string,
      outcome: FaultRecord['outcome'],
      changes: Partial<FaultRecord>,
    ): FaultRecord => {
      const never = { appliedAt: null, curedAt: null, receipt: null, cure: null };
      return { id, label: id, outcome, because: 'so', ...never, ...changes };
    };
    history.faults.push(
      fault('cured', 'applied', { appliedAt: 3_000, curedAt: 5_000 }),
      fault('stays', 'failed', { appliedAt: 4_000 }),
      fault('skipped', 'skipped', {}),
    );
    history.plan.expectations.messageLatencyP95Ms = 80;
    const model = reportModel({ history, ...judge(history) }, 'again', (node) => node);
    expect(model.faults.map(({ id, fromMs, toMs }) => [id, fromMs, toMs])).to.deep.equal([
      ['cured', 3_000, 5_000],
      ['stays', 4_000, history.endedAt],
      ['skipped', null, history.endedAt],
    ]);
    expect(model.latencyTargetMs).to.equal(80);
  });
});
