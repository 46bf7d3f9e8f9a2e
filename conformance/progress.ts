/**
 * How far a run is: rows judged, failures so far, what is under way and since when; and the line that says so. Plain data, kept up
 * to date by whoever judges. Prints nothing.
 */

import type { Result } from './requirement.ts';

export interface Progress {
  readonly rows: number;
  judged: number;
  failures: number;
  /** Row → performance.now() at which its present hearing began. */
  readonly underWay: Map<string, number>;
}

export function createProgress(rows: number): Progress {
  return { rows, judged: 0, failures: 0, underWay: new Map() };
}

/** One more row is judged for good. */
export function countIn(progress: Progress, { verdict }: Result): void {
  progress.judged += 1;
  if (verdict === 'fail' || verdict === 'untestable') progress.failures += 1;
}

/** `120 of 191 rows judged after 41 s, 2 failures, 14 under way, the longest HBT-03 (38 s)`. Both times in ms. */
export function progressLine(progress: Progress, startedAt: number, now: number): string {
  const { rows, judged, failures, underWay } = progress;
  const seconds = (since: number): string => `${Math.round((now - since) / 1000)} s`;
  const failed = `${failures} ${failures === 1 ? 'failure' : 'failures'}`;
  const said = `${judged} of ${rows} rows judged after ${seconds(startedAt)}, ${failed}`;
  const [longest] = [...underWay].sort(([, a], [, b]) => a - b);
  if (longest === undefined) return said;
  return `${said}, ${underWay.size} under way, the longest ${longest[0]} (${seconds(longest[1])})`;
}
