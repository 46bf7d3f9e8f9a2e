/**
 * What a judge may say, and how verdicts join. Knows no engine, no node, no requirement.
 * A check that was never exercised is `unknown`, never green (design, "Running a scenario").
 */

export type Verdict = 'pass' | 'fail' | 'warn' | 'skipped' | 'unknown';

/** One check's outcome. `because` is a whole sentence with the figures in it. */
export interface Finding {
  /** Stable id, e.g. `liveness.convergence`. */
  id: string;
  verdict: Verdict;
  because: string;
  /** Requirement rows that a pass of this check proves. */
  proves: readonly string[];
  /** Plain data that supports the sentence; at most a few dozen entries. */
  evidence: readonly unknown[];
  /** Names of the nodes at fault, where a node is. */
  culprits?: readonly string[];
}

const worstFirst: readonly Verdict[] = ['fail', 'unknown', 'warn', 'pass', 'skipped'];

/** The verdict of a run: the worst of its findings. No finding at all, or only skipped ones, is `unknown`. */
export function merge(findings: readonly Pick<Finding, 'verdict'>[]): Verdict {
  for (const verdict of worstFirst) {
    if (findings.some((finding) => finding.verdict === verdict)) {
      return verdict === 'skipped' ? 'unknown' : verdict;
    }
  }
  return 'unknown';
}

/** Exit codes of every command (design): 0 pass, 1 a check failed, 2 wrong use, 3 unknown. A warning passes. */
export function exitCode(verdict: Verdict): 0 | 1 | 3 {
  if (verdict === 'fail') return 1;
  return verdict === 'unknown' ? 3 : 0;
}
