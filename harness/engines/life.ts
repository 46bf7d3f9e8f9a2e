/**
 * What a node lives through, whatever runs it: each life from its start to the word that it ended, with the moment of readiness in
 * between. Holds the record of what is so and the functions that change it. It must not know what a life is made of: engines say
 * that one has started, how to end it, and how it ended.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import type { NodeState, Receipt } from '../engine.ts';
import { UsageError } from '../usage-error.ts';
import { type Exit, failureLine, howItEnded, neverReady, unexpectedEnd } from './failure.ts';
import { emptyFolder, type NodeFolder } from './node-files.ts';
import { boundLog, remark } from './node-log.ts';
import { type ProbeOutcome, probe } from './probe.ts';

/** What never changes about a node. */
export interface LifeSpec {
  readonly name: string;
  /** `host:port` where it is to accept TLS. */
  readonly address: string;
  readonly files: NodeFolder;
  readonly logFile: string;
  /** Its own file for stderr, or null. */
  readonly stderrFile: string | null;
  readonly readyWithinMs: number;
  /** The TLS identity of the probes. */
  readonly context: SecureContext;
  readonly onState: (state: NodeState, detail?: string) => void;
  /** ms to the next probe of a node that does not listen yet. */
  readonly probePauseMs: () => number;
}

export interface Life extends LifeSpec {
  state: NodeState;
  failure: string | null;
  running: boolean;
  /** How the last life ended. */
  exit: Exit | null;
  /** performance.now of the last start and of the first TLS handshake after it. */
  startedAt: number | null;
  readyAt: number | null;
  /** Set while we end it ourselves: its end is then no failure. */
  told: boolean;
  /** It is never started again. */
  over: boolean;
  /** The end and the readiness of the present life. */
  ending: Promise<Exit | null>;
  readiness: Promise<void>;
}

export type EndSignal = 'SIGKILL' | 'SIGTERM';

const logCheckMs = 5_000;
const leastProbeMs = 50;
const mostProbeMs = 5_000;

export function plannedLife(spec: LifeSpec): Life {
  return {
    ...spec,
    state: 'planned',
    failure: null,
    running: false,
    exit: null,
    startedAt: null,
    readyAt: null,
    told: false,
    over: false,
    ending: Promise.resolve(null),
    readiness: Promise.resolve(),
  };
}

/** Forgets the last life. */
export function beginAnew(life: Life): void {
  if (life.running) throw new Error(`${life.name} is already running`);
  Object.assign(life, { state: 'planned', failure: null, exit: null, readyAt: null, told: false });
}

/** The last moment before the engine starts it. */
export function noteStart(life: Life): void {
  if (life.over) throw new Error(`${life.name} was stopped for good`);
  remark(life.logFile, 'start');
}

/** The engine has started it. `end` resolves when it has ended; `kill` is for one that never gets ready. */
export function hasStarted(life: Life, end: () => Promise<Exit>, kill: () => unknown): void {
  const startedAt = performance.now();
  Object.assign(life, { startedAt, running: true });
  const bounding = setInterval(() => boundLog(life.logFile), logCheckMs);
  bounding.unref();
  setState(life, 'starting');
  life.ending = end().finally(() => clearInterval(bounding));
  life.readiness = untilReady(life, startedAt, kill);
  // A failure shows in `state` and `failure`; who waits for readiness gets it thrown.
  life.readiness.catch(() => {});
}

async function untilReady(life: Life, startedAt: number, kill: () => unknown): Promise<void> {
  const { name, address, context, readyWithinMs } = life;
  const deadline = startedAt + readyWithinMs;
  const present = (): boolean => life.running && life.startedAt === startedAt;
  let last: ProbeOutcome = { kind: 'refused' };
  while (present()) {
    const left = deadline - performance.now();
    const asked = probe(address, context, Math.max(leastProbeMs, Math.min(mostProbeMs, left)));
    // The address of a container that has ended refuses nothing: a probe of it would wait its time out.
    last = await Promise.race([asked, life.ending.then(() => last)]);
    if (!present() || life.state === 'failed') break;
    if (last.kind === 'ready') {
      life.readyAt = performance.now();
      if (life.state === 'starting') setState(life, 'ready');
      return;
    }
    if (performance.now() > deadline) {
      fail(life, neverReady(last, address, readyWithinMs));
      await kill();
      break;
    }
    await Promise.race([delay(life.probePauseMs()), life.ending]);
  }
  await life.ending;
  throw new UsageError(life.failure ?? `${name} was stopped before it listened`);
}

/** The engine's word that it ended. `shell`: the line that started it, if a shell was given one. */
export function hasEnded(life: Life, exit: Exit, shell: string | null): void {
  Object.assign(life, { exit, running: false });
  if (life.told) {
    if (!life.over) remark(life.logFile, `ended: ${howItEnded(exit)}`);
    setState(life, 'stopped', howItEnded(exit));
  } else {
    fail(life, unexpectedEnd(exit, life.startedAt!, shell, life.readyAt !== null));
  }
}

/** UsageError once it failed, or after `withinMs`. */
export async function ready(life: Life, withinMs: number): Promise<void> {
  if (!life.running) throw new UsageError(life.failure ?? `${life.name} is not running`);
  const done = await within(
    life.readiness.then(() => true),
    withinMs,
  );
  if (done === null) throw new UsageError(`${life.name} is not ready after ${withinMs} ms`);
}

/** Ends it by a signal that `send` delivers, and says how it ended. Throws (and kills) if it does not end in time. */
export async function endBy(
  life: Life,
  signal: EndSignal,
  withinMs: number,
  send: (signal: EndSignal) => unknown,
): Promise<Receipt> {
  life.told = true;
  const at = performance.now();
  await send(signal);
  const ended = await within(life.ending, withinMs);
  if (ended === null) {
    await send('SIGKILL');
    await life.ending;
    throw new Error(`${life.name} did not end within ${withinMs} ms of ${signal} and was killed`);
  }
  return {
    at: ended.at,
    what: `${life.name} ended by ${howItEnded(ended)}`,
    evidence: { sent: signal, exitCode: ended.code, exitSignal: ended.signal, afterMs: ended.at - at },
  };
}

/** The engine has frozen it, or let it go on. */
export function hasFrozen(life: Life, frozen: boolean): void {
  setState(life, frozen ? 'paused' : life.readyAt === null ? 'starting' : 'ready');
}

/** Empties its data folder; it must not run. */
export function wipe(life: Life): Receipt {
  const { name, files } = life;
  if (life.running) throw new Error(`${name} is running: its data cannot be wiped`);
  const { files: removedFiles, bytes } = emptyFolder(files.dataDir);
  return {
    at: performance.now(),
    what: `the data of ${name} was wiped`,
    evidence: { dataDir: files.dataDir, removedFiles, removedBytes: bytes },
  };
}

function setState(life: Life, state: NodeState, detail?: string): void {
  life.state = state;
  life.onState(state, detail);
}

/** Notes the first failure of a life, and gives it as what may be thrown. */
export function fail(life: Life, what: string): UsageError {
  if (life.state !== 'failed') {
    life.failure = failureLine(life.name, what, life.stderrFile ?? life.logFile);
    remark(life.logFile, life.failure);
    setState(life, 'failed', life.failure);
  }
  return new UsageError(life.failure!);
}

/** The value, or null if it takes longer. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  // A timer of more than 24.8 days would fire at once.
  if (ms > 2 ** 31 - 1) return promise;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
