/**
 * What a whole run amounts to: results joined with the baseline, counted, and turned into one verdict and exit code. The
 * shape of conformance.json. Pure.
 */

import type { BaselineProblem } from './baseline.ts';
import { type Result, type Verdict, verdicts } from './requirement.ts';

export type RunVerdict = 'pass' | 'fail' | 'inconclusive';

/** A node that ended without being told to. `rows` were using it. */
export interface Crash {
  node: string;
  how: string;
  rows: readonly string[];
  logTail: readonly string[];
}

export interface Summary {
  verdict: RunVerdict;
  /** Why it is not `pass`, or what was passed, in one line. */
  because: string;
  target: string;
  seed: number;
  thorough: boolean;
  counts: Record<Verdict, number>;
  results: readonly Result[];
  /** Ids of the rows that the end of the run came before. */
  open: readonly string[];
  baselineProblems: readonly BaselineProblem[];
  crashes: readonly Crash[];
  wallMs: number;
  /** Facts about the host, as the harness states them. */
  host: Record<string, unknown>;
}

export function countsOf(results: readonly Result[]): Record<Verdict, number> {
  const counts = Object.fromEntries(verdicts.map((verdict) => [verdict, 0])) as Record<Verdict, number>;
  for (const result of results) counts[result.verdict] += 1;
  return counts;
}

/**
 * fail: an M row fails or is untestable without excuse, the baseline has a problem, or the node crashed. inconclusive: an M
 * row could not be judged, no row at all was, the suite itself is not whole (`gaps`), or the run was ended before it was through
 * (`open` rows). S rows warn and do not decide.
 */
export function judge(
  results: readonly Result[],
  problems: readonly BaselineProblem[],
  crashes: readonly Crash[],
  gaps: readonly string[] = [],
  open: readonly string[] = [],
): { verdict: RunVerdict; because: string } {
  const must = results.filter((result) => result.level === 'must');
  const failing = must.filter(
    (r) => (r.verdict === 'fail' || r.verdict === 'untestable') && r.excused === null,
  );
  const unclear = must.filter((result) => result.verdict === 'inconclusive');
  const judged = results.filter((r) => r.verdict !== 'not-applicable' && r.verdict !== 'inconclusive');
  if (failing.length > 0)
    return {
      verdict: 'fail',
      because: `${listed(failing.map((r) => r.id))} ${failing.length === 1 ? 'does' : 'do'} not hold`,
    };
  if (problems.length > 0) return { verdict: 'fail', because: `baseline: ${problems[0]!.because}` };
  if (crashes.length > 0) return { verdict: 'fail', because: `${crashes[0]!.node} ${crashes[0]!.how}` };
  if (open.length > 0)
    return {
      verdict: 'inconclusive',
      because: `the run was ended: ${open.length} of ${results.length} rows were not judged`,
    };
  if (gaps.length > 0) return { verdict: 'inconclusive', because: `the suite is not whole: ${gaps[0]}` };
  if (unclear.length > 0)
    return { verdict: 'inconclusive', because: `${listed(unclear.map((r) => r.id))} could not be judged` };
  if (judged.length === 0) return { verdict: 'inconclusive', because: 'no requirement could be judged' };
  const passing = judged.filter((r) => r.verdict === 'pass').length;
  const excused = judged.filter((r) => r.excused !== null).map((r) => r.id);
  const warned = judged.filter((r) => r.verdict === 'warn' && r.excused === null).map((r) => r.id);
  const known = excused.length === 0 ? '' : `; known and excused by the baseline: ${listed(excused)}`;
  const should = warned.length === 0 ? '' : `; no more than a warning: ${listed(warned)}`;
  return { verdict: 'pass', because: `${passing} of ${judged.length} judged rows pass${known}${should}` };
}

/** Exit codes of the command: 0 · 1 · 3. */
export function exitCodeOf(verdict: RunVerdict): 0 | 1 | 3 {
  if (verdict === 'pass') return 0;
  return verdict === 'fail' ? 1 : 3;
}

function listed(ids: readonly string[]): string {
  return ids.length <= 6 ? ids.join(', ') : `${ids.slice(0, 6).join(', ')} and ${ids.length - 6} more`;
}
