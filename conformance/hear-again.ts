/**
 * Second hearings: which rows are judged once more when all others are through, and for how long at most. Knows no row, no target
 * and no report.
 */

import { boundedStarts } from './bounded.ts';
import type { JudgedRow } from './judge-row.ts';
import type { Requirement } from './requirement.ts';

export interface HearAgain {
  /** Also what failed because of time or beside a full host; else only what an overloaded host left open. */
  failures: boolean;
  /** Wall time for all hearings together, from the moment at which every row has been heard once. */
  withinMs: number;
}

/** Judges a row once more. When the signal says so it comes back at once, as not judged. */
export type Hearing = (row: Requirement, ended: AbortSignal) => Promise<JudgedRow>;

/** Rows that compute are heard again two at a time; failures only if they are few: a node that does badly everywhere does badly. */
const atOnce = 2;
const mostFailures = 12;

/**
 * What went amiss because something came too late, or while the host had its hands full, is judged once more when all other
 * rows are through (`settled`), and that second hearing counts: beside fifty others even a good node may miss a moment. A failure on
 * a full host that is no matter of time has to pass twice. When the time is over, what was not heard again stays open, also where
 * a second hearing was under way.
 */
export function secondHearing(
  settled: Promise<void>,
  { failures, withinMs }: HearAgain,
  hear: Hearing,
): (row: Requirement, first: JudgedRow) => Promise<JudgedRow> {
  const inTurn = boundedStarts(atOnce);
  const over = new AbortController();
  let asking = 0;
  void settled.then(() => void setTimeout(() => over.abort(), withinMs).unref());
  const again = async (row: Requirement, first: JudgedRow): Promise<JudgedRow> => {
    const { verdict, timing, because } = first.result;
    if (!leftOpen(first) && asking > mostFailures) return first;
    // That nothing came too late speaks against the host as an excuse: chance may have hidden the fault in one hearing.
    const hearings = verdict === 'inconclusive' || timing === true ? 1 : 2;
    let heard = first;
    for (let hearing = 0; hearing < hearings; hearing += 1) {
      if (over.signal.aborted) return unheard(first, withinMs);
      heard = await hear(row, over.signal);
      if (over.signal.aborted && heard.isOpen) return unheard(first, withinMs);
      if (heard.result.verdict !== 'pass') return heard;
    }
    const told = `${heard.result.because} (at a ${hearings === 1 ? 'second' : 'second and a third'} hearing; beside other rows: ${because})`;
    return { ...heard, result: { ...heard.result, because: told } };
  };
  return async (row, first) => {
    const { verdict, timing } = first.result;
    if (verdict === 'pass' || verdict === 'not-applicable') return first;
    if (!leftOpen(first)) {
      if (!failures || !(timing === true || first.crowded)) return first;
      asking += 1;
    }
    await settled;
    // Long waits side by side, as at first: one after the other they would use up the time of all.
    return row.cpu === 0 ? again(row, first) : inTurn(() => again(row, first));
  };
}

/** An overloaded host kept it from being judged. */
function leftOpen({ result }: JudgedRow): boolean {
  return result.verdict === 'inconclusive' && result.timing === true;
}

/** What was to be heard again and could not be is held against nobody: chance or the host may have made the first hearing. */
function unheard(first: JudgedRow, withinMs: number): JudgedRow {
  const because = `${first.result.because} (no second hearing: the ${withinMs / 1000} s for those were over)`;
  return { ...first, result: { ...first.result, verdict: 'inconclusive', because, fingerprint: null } };
}
