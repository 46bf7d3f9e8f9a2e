/** conformance.json: the run for machines, in wire names. Shape as in the issue; further members may be added, none change. */

import { digitsForBigInts } from '../../harness/wire/json.ts';
import type { Summary } from '../summary.ts';

export function conformanceJson(summary: Summary): string {
  const document = {
    verdict: summary.verdict,
    because: summary.because,
    target: summary.target,
    seed: summary.seed,
    thorough: summary.thorough,
    wall_ms: Math.round(summary.wallMs),
    counts: summary.counts,
    host: summary.host,
    results: summary.results.map((result) => ({
      id: result.id,
      level: result.level,
      section: result.section,
      verdict: result.verdict,
      because: result.because,
      duration_ms: Math.round(result.durationMs),
      replay: result.replay,
      fingerprint: result.fingerprint,
      transcript: result.transcript,
      excused: result.excused,
      evidence: result.evidence,
    })),
    baseline_problems: summary.baselineProblems,
    crashes: summary.crashes.map((crash) => ({
      node: crash.node,
      how: crash.how,
      rows: crash.rows,
      log_tail: crash.logTail,
    })),
  };
  return `${JSON.stringify(document, printable, 2)}\n`;
}

/** Evidence may hold what JSON has no form for. */
function printable(key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Map) return Object.fromEntries(value);
  return digitsForBigInts(key, value);
}
