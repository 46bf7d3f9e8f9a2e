/**
 * What a run leaves behind: the content of `verdict.json`, the rows of the table that a person reads, and the model that the report
 * is drawn from. Pure; writes no file.
 */

import { overlayAtEnd } from './checks/overlay.ts';
import type { History } from './history.ts';
import type { HostFacts } from './host.ts';
import type { Judgement } from './judge.ts';
import {
  type Figures,
  figures,
  type Measured,
  type MetricId,
  metricDefinitions,
  tenths,
  valuesOf,
} from './metrics.ts';
import { acceptedCommits } from './obligations.ts';
import type { ReportModel } from './report/model.ts';
import type { Finding, Verdict } from './verdict.ts';

/** A run with its judgement: what `runScenario` gives. */
export interface Judged extends Judgement {
  history: History;
}

export interface VerdictJson {
  verdict: Verdict;
  engine: string;
  scenario: string;
  seed: number;
  nodes: number;
  host: HostFacts & { overloaded: boolean };
  metrics: Record<Exclude<MetricId, 'start_ms'>, Figures>;
  checks: {
    id: string;
    verdict: Verdict;
    because: string;
    proves: readonly string[];
    culprits?: readonly string[];
  }[];
  replay: string;
}

const metricSamples = (measured: Measured, id: MetricId): Measured['start'] =>
  ({
    discovery_ms: measured.discovery,
    convergence_ms: measured.convergence,
    sync_ms: measured.sync,
    message_latency_ms: measured.latency,
    start_ms: measured.start,
  })[id];

/** Content of `verdict.json`. `replay`: one command line that runs the same plan again. */
export function verdictJson({ history, verdict, findings, measured }: Judged, replay: string): VerdictJson {
  const of = (id: MetricId): Figures => figures(valuesOf(metricSamples(measured, id)));
  return {
    verdict,
    engine: history.engine,
    scenario: history.plan.scenario,
    seed: history.plan.seed,
    nodes: history.plan.nodes.length,
    host: { ...history.host.facts, overloaded: history.host.overloaded },
    metrics: {
      discovery_ms: of('discovery_ms'),
      convergence_ms: of('convergence_ms'),
      sync_ms: of('sync_ms'),
      message_latency_ms: of('message_latency_ms'),
    },
    checks: findings.map(({ id, verdict: found, because, proves, culprits }) => ({
      id,
      verdict: found,
      because,
      proves,
      ...(culprits === undefined ? {} : { culprits }),
    })),
    replay,
  };
}

const checkOf: Record<Exclude<MetricId, 'start_ms'>, string> = {
  discovery_ms: 'liveness.discovery',
  convergence_ms: 'liveness.convergence',
  sync_ms: 'liveness.sync',
  message_latency_ms: 'latency.message',
};

/** Rows of the table: target, measured, verdict, and what it means from when to when. */
export function metricRows({ history, findings, measured }: Judged): ReportModel['metrics'] {
  const { expectations } = history.plan;
  const targets: [Exclude<MetricId, 'start_ms'>, string][] = [
    ['discovery_ms', `max < ${expectations.discoveryMs} ms`],
    ['convergence_ms', `max < ${expectations.convergenceMs} ms`],
    ['sync_ms', `max < ${expectations.syncMs} ms`],
    ['message_latency_ms', `p95 < ${expectations.messageLatencyP95Ms} ms`],
  ];
  return targets.map(([id, target]) => ({
    id,
    ...metricDefinitions[id],
    unit: 'ms',
    target,
    ...figures(valuesOf(metricSamples(measured, id))),
    verdict: findings.find((found: Finding) => found.id === checkOf[id])?.verdict ?? 'unknown',
  }));
}

/** The model of the report page. `logFile`: where a node's log lies, relative to the run folder. */
export function reportModel(judged: Judged, replay: string, logFile: (node: string) => string): ReportModel {
  const { history, verdict, findings, measured } = judged;
  const { plan } = history;
  return {
    verdict,
    engine: history.engine,
    scenario: plan.scenario,
    seed: plan.seed,
    startedAt: history.startedAt,
    durationMs: history.endedAt,
    host: { ...history.host.facts, overloaded: history.host.overloaded },
    replay,
    nodes: plan.nodes.map((node) => reportNode(history, node.name, logFile(node.name))),
    metrics: metricRows(judged),
    checks: findings,
    faults: history.faults.map((fault) => ({
      id: fault.id,
      label: fault.label,
      fromMs: fault.appliedAt,
      toMs: fault.curedAt ?? history.endedAt,
      receipt: fault.receipt?.what ?? fault.because,
      cure: fault.cure?.what ?? '',
      verdict: fault.outcome === 'applied' ? 'pass' : fault.outcome === 'skipped' ? 'skipped' : 'unknown',
    })),
    overlay: overlayAtEnd(history) ?? [],
    commits: commitCurves(history, measured),
    latencyTargetMs: plan.expectations.messageLatencyP95Ms,
    latency: measured.latency.map(({ at, value, node }) => ({ atMs: at, ms: tenths(value ?? 0), node })),
    notes: history.notes.map(({ at, text }) => ({ atMs: at, text })),
  };
}

function reportNode(history: History, name: string, logFile: string): ReportModel['nodes'][number] {
  const plan = history.plan.nodes.find((node) => node.name === name)!;
  const lives = history.lives.filter(({ node }) => node === name);
  const last = lives.at(-1);
  const first = lives[0];
  return {
    name,
    nodeId: plan.nodeId,
    group: plan.group,
    bootstrap: plan.bootstrap,
    runs: plan.command ?? plan.image ?? 'reference',
    state: last === undefined ? 'planned' : last.end === null ? 'ready' : last.end.split(':')[0]!,
    failure: lives.find(({ end }) => end?.startsWith('failed'))?.end ?? null,
    readyMs: first?.readyAt == null ? null : tenths(first.readyAt - first.startedAt),
    alive: lives.map((life) => ({ fromMs: life.startedAt, toMs: life.endedAt ?? history.endedAt })),
    logFile,
  };
}

/** From the acknowledgement to the first sight at each node that had to have it, cut off or not: heals show as steps. */
function commitCurves(history: History, measured: Measured): ReportModel['commits'] {
  const owed = new Map<string, { reached: number[]; expected: number }>();
  for (const { commit, seenAt, reason } of measured.obligations) {
    if (reason !== 'fresh' && reason !== 'healed') continue;
    const entry = owed.get(commit.hash) ?? { reached: [], expected: 0 };
    entry.expected += 1;
    if (seenAt !== null) entry.reached.push(Math.max(0, tenths(seenAt - commit.answeredAt!)));
    owed.set(commit.hash, entry);
  }
  return acceptedCommits(history).map(({ hash, answeredAt }) => {
    const { reached, expected } = owed.get(hash) ?? { reached: [], expected: 0 };
    return { hash, atMs: answeredAt!, reachedMs: reached.sort((a, b) => a - b), expected };
  });
}
