/**
 * One row against the target, whatever it does: within its limit, ended when its node dies, its exceptions turned into
 * verdicts. Knows no order of rows and no report.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { AssertionError } from 'chai';
import type { HostHealth } from '../harness/host.ts';
import { Unseen } from '../harness/wire/connection.ts';
import { fingerprintOf } from './baseline.ts';
import { type OpenBench, openBench, type RunContext } from './bench.ts';
import {
  brokenAt,
  Judged,
  type Outcome,
  type Requirement,
  type Result,
  wantsFreshNode,
} from './requirement.ts';
import type { Crash } from './summary.ts';
import type { TranscriptLine } from './transcript.ts';

export interface JudgedRow {
  result: Result;
  transcript: readonly TranscriptLine[];
  /** The shared node that it used ended by itself; whoever did that is found by running the rows alone. */
  sharedCrash: Crash | null;
  /** The host had little time left while the row ran: what it found amiss may be due to its neighbours. */
  crowded: boolean;
  /** The run ended before it was judged. */
  isOpen: boolean;
}

const missingNeeds: Record<string, string> = {
  start: 'needs a node started with settings of its own',
  instances: 'needs several nodes',
  restart: 'needs to stop and start the node',
  'data-dir': "needs the node's data folder",
  'dial-back': 'needs a node that can reach the tester',
};

/**
 * How the wire says that time ran out, that a connection never came about, or that it had expired while the tester was busy
 * elsewhere (§4: 1000, "by either side"). A refusal with another code is no matter of time.
 */
const ranOut = / within \d+ ms|refused \(closed\)|before the connection ended \(close 1000/;

/** How long the nodes and puppets of a row may take to go when the run is ended; its target takes down the rest. */
const leaveWithinMs = 2_000;

/** Never rejects. `alone`: nothing is shared with other rows. */
export async function judgeRow(row: Requirement, context: RunContext, alone = false): Promise<JudgedRow> {
  if (context.ended?.aborted === true) return openRow(row, context);
  const startedAt = performance.now();
  const missing = row.needs.filter((need) => !context.target.abilities.has(need));
  if (missing.length > 0) {
    const because = `${missing.map((need) => missingNeeds[need]).join(', ')}: --address cannot give that`;
    const outcome: Outcome = { verdict: 'not-applicable', because, evidence: [] };
    return {
      result: resultOf(row, context, outcome, 0),
      transcript: [],
      sharedCrash: null,
      crowded: false,
      isOpen: false,
    };
  }
  const bench = openBench(row, context, alone);
  const ended = endOf(context.ended);
  const first = await Promise.race([attempt(row, bench), limit(row, bench), bench.crashed, ended.comes]);
  ended.off();
  if (first === 'ended') {
    const durationMs = bench.activeMs();
    bench.note(notJudged);
    const transcript = bench.transcript();
    await Promise.race([bench.close(), delay(leaveWithinMs)]);
    return openRow(row, context, durationMs, transcript);
  }
  const outcome =
    first.verdict === 'inconclusive' ? await Promise.race([bench.crashed, heardOf(first)]) : first;
  const endedAt = performance.now();
  const activeMs = bench.activeMs();
  await bench.close();
  const settled = await inView(row, outcome, context, startedAt, endedAt);
  return {
    result: resultOf(row, context, settled, activeMs),
    transcript: bench.transcript(),
    sharedCrash: bench.sharedCrash(),
    crowded: settled.verdict !== 'pass' && isCrowded(context, startedAt, endedAt),
    isOpen: false,
  };
}

const notJudged = 'not judged: the run was ended';

/** What a row is that the end of the run came before. */
export function openRow(
  row: Requirement,
  context: RunContext,
  durationMs = 0,
  transcript: readonly TranscriptLine[] = [],
): JudgedRow {
  const outcome: Outcome = { verdict: 'inconclusive', because: notJudged, evidence: [] };
  return {
    result: resultOf(row, context, outcome, durationMs),
    transcript,
    sharedCrash: null,
    crowded: false,
    isOpen: true,
  };
}

function endOf(signal: AbortSignal | null): { comes: Promise<'ended'>; off(): void } {
  let onAbort = (): void => {};
  const comes = new Promise<'ended'>((resolve) => {
    onAbort = () => resolve('ended');
    signal?.addEventListener('abort', onAbort);
  });
  return { comes, off: () => signal?.removeEventListener('abort', onAbort) };
}

const crowdedShare = 0.8;

function isCrowded(context: RunContext, from: number, to: number): boolean {
  const { seconds } = context.host.health(from, to);
  return seconds.reduce((sum, { busy }) => sum + busy, 0) >= crowdedShare * Math.max(1, seconds.length);
}

/** That a process ended is heard of after its connections broke, and explains what could not be judged. */
function heardOf(outcome: Outcome): Promise<Outcome> {
  return delay(500, outcome);
}

async function attempt(row: Requirement, bench: OpenBench): Promise<Outcome> {
  try {
    const outcome = await row.test(bench.bench);
    return outcome ?? { verdict: 'pass', because: row.reading, evidence: [] };
  } catch (error) {
    if (error instanceof Judged) return error.outcome;
    if (error instanceof Unseen)
      return { verdict: 'fail', because: error.message, evidence: [], timing: ranOut.test(error.message) };
    if (error instanceof AssertionError) return assertionOutcome(error, bench.step());
    bench.note((error as Error).stack ?? String(error));
    return {
      verdict: 'inconclusive',
      because: `defect of the suite while ${bench.step()}: ${(error as Error).message}`,
      evidence: [(error as Error).stack],
    };
  }
}

function assertionOutcome(error: Error, step: string): Outcome {
  const { expected, actual } = error as Error & { expected?: unknown; actual?: unknown };
  const evidence = expected === undefined && actual === undefined ? [] : [{ expected, actual }];
  return { verdict: 'fail', because: `${error.message} (while ${step})`, evidence };
}

/** A node that takes half a second for every handshake is slow, not wrong: what is to be quick has a row of its own. */
const patienceMs = 40_000;

/** Time spent in a queue for a node does not count against the row. */
function limit(row: Requirement, bench: OpenBench): Promise<Outcome> {
  const limitMs = row.limitMs ?? row.durationHintMs * 2 + patienceMs;
  return new Promise((resolve) => {
    const look = (): void => {
      const left = limitMs - bench.activeMs();
      if (left > 0) {
        bench.onClose(setTimeout(look, Math.max(20, left)));
        return;
      }
      const because = `not through after ${(limitMs / 1000).toFixed(0)} s, while ${bench.step()}`;
      resolve({ verdict: 'fail', because, evidence: [], timing: true });
    };
    look();
  });
}

/** The host is looked at once a second: what happened last shows only then. */
const hostSampleMs = 1_100;

/** A host that was overloaded for less of a row's time explains nothing: what is missing after 93 s is not 5 s late. */
const excusingShare = 0.2;

export function explainsLateness({ overloaded, pressed }: HostHealth): boolean {
  return overloaded && pressed >= excusingShare;
}

const worn =
  'Other rows have used this one node, and what they told it may be why: start it anew and run this row alone';

/** What the level, the host and the node's past make of an outcome. */
async function inView(
  row: Requirement,
  outcome: Outcome,
  context: RunContext,
  from: number,
  to: number,
): Promise<Outcome> {
  if (outcome.verdict === 'pass') return outcome;
  await delay(hostSampleMs);
  if (outcome.verdict !== 'fail') return outcome;
  if (outcome.timing === true) {
    const health = context.host.health(from, to);
    if (explainsLateness(health))
      return { ...outcome, verdict: 'inconclusive', because: `${outcome.because}. ${health.because}` };
  }
  if (context.target.isWorn() && wantsFreshNode(row))
    return { ...outcome, timing: false, verdict: 'inconclusive', because: `${outcome.because}. ${worn}` };
  return { ...outcome, verdict: brokenAt(row.level) };
}

function resultOf(row: Requirement, context: RunContext, outcome: Outcome, durationMs: number): Result {
  const flags = [context.target.flags, context.thorough && row.thorough !== undefined ? '--thorough' : '']
    .filter((flag) => flag !== '')
    .map((flag) => `${flag} `)
    .join('');
  return {
    ...outcome,
    id: row.id,
    level: row.level,
    section: row.section,
    durationMs,
    replay: `npm run conformance -- ${flags}--only ${row.id} --seed ${context.seed}`,
    fingerprint: fingerprintOf(row.id, outcome),
    transcript: null,
    excused: null,
  };
}
