/** The rows of a run as JUnit cases: what does not decide (excused, not applicable) is skipped, what could not be judged is an error. */

import type { JUnitCase } from '../../harness/report/junit.ts';
import type { CatalogueRow } from '../catalogue.ts';
import type { Result } from '../requirement.ts';
import type { Summary } from '../summary.ts';

export function junitCases(summary: Summary, catalogue: readonly CatalogueRow[]): JUnitCase[] {
  const listed = new Map(catalogue.map((row) => [row.id, row]));
  return summary.results.map((result) => ({
    className: `conformance.${result.id.slice(0, 3)}`,
    name: `${result.id} ${listed.get(result.id)?.requirement ?? ''}`.trim(),
    seconds: result.durationMs / 1000,
    verdict: caseVerdict(result),
    because: caseText(result),
  }));
}

function caseVerdict(result: Result): JUnitCase['verdict'] {
  if (result.excused !== null || result.verdict === 'not-applicable') return 'skipped';
  if (result.verdict === 'untestable') return 'fail';
  if (result.verdict === 'inconclusive') return 'unknown';
  return result.verdict;
}

function caseText(result: Result): string {
  if (result.excused !== null) return `known failure: ${result.excused}`;
  if (result.verdict === 'pass' || result.verdict === 'not-applicable') return result.because;
  const transcript = result.transcript === null ? '' : `\ntranscript: ${result.transcript}`;
  return `${result.verdict}: ${result.because}\nreplay: ${result.replay}${transcript}`;
}
