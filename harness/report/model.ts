/**
 * What a report is made of: plain data, ready to be drawn. Built from a run's record by whoever ran it; the pages and
 * files below this folder read nothing else, so a stored model can be drawn again.
 */

import type { Finding, Verdict } from '../verdict.ts';

/** All instants are ms from the start of the run. */
export interface ReportModel {
  verdict: Verdict;
  engine: string;
  scenario: string;
  seed: number;
  /** ISO 8601, wall clock of the host. */
  startedAt: string;
  durationMs: number;
  host: Record<string, string | number | boolean>;
  /** One line that runs this plan again. */
  replay: string;
  nodes: ReportNode[];
  metrics: ReportMetric[];
  checks: Finding[];
  faults: ReportFault[];
  /** Undirected peer pairs as the observers last saw them, by node name. */
  overlay: [string, string][];
  commits: ReportCommit[];
  /** Under which the 95th percentile of `latency` is to stay. */
  latencyTargetMs: number;
  /** Every latency sample. */
  latency: { atMs: number; ms: number; node: string }[];
  notes: { atMs: number; text: string }[];
}

export interface ReportNode {
  name: string;
  nodeId: string;
  group: string;
  bootstrap: boolean;
  /** `reference`, or the command or image that stood in. */
  runs: string;
  state: string;
  failure: string | null;
  /** From the start of the process to the first TLS handshake. */
  readyMs: number | null;
  /** Spans in which the node was alive. */
  alive: { fromMs: number; toMs: number }[];
  /** Relative to the run folder. */
  logFile: string;
}

/** One row of the table: a target of §9 and what was measured. */
export interface ReportMetric {
  id: string;
  title: string;
  /** From when to when, so that a stranger could measure it again. */
  definition: string;
  unit: 'ms';
  target: string;
  n: number;
  p50: number | null;
  p95: number | null;
  max: number | null;
  verdict: Verdict;
}

export interface ReportFault {
  id: string;
  label: string;
  /** null: it never took effect, for which `receipt` says why. */
  fromMs: number | null;
  /** To its cure, or to the end of the run. */
  toMs: number;
  receipt: string;
  cure: string;
  verdict: Verdict;
}

export interface ReportCommit {
  hash: string;
  atMs: number;
  /** ms from the acknowledgement to the first sight at each node that was alive, ascending. */
  reachedMs: number[];
  /** How many nodes it had to reach. */
  expected: number;
}
