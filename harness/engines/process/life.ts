/**
 * The lives of one node: each from the start of its process to the kernel's word that it ended, with the moment of readiness in
 * between. Holds the record of what is so, and the functions that change it; `instance.ts` is the face that others see.
 */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import type { NodeState, Receipt } from '../../engine.ts';
import { membersOf, signalGroup } from '../../os-process.ts';
import type { Run } from '../../run-record.ts';
import { UsageError } from '../../usage-error.ts';
import { isFree } from './addresses.ts';
import {
  type Exit,
  endRest,
  failureLine,
  launch,
  type NodeCommand,
  neverReady,
  startError,
  unexpectedEnd,
} from './launch.ts';
import type { NodeFolder } from './node-files.ts';
import { boundLog, remark } from './node-log.ts';
import { type ProbeOutcome, probe } from './probe.ts';

/** What never changes about an instance, as its lives need it. */
export interface Circumstances {
  run: Run;
  name: string;
  /** `host:port` where it is to listen. */
  listen: string;
  command: NodeCommand;
  files: NodeFolder;
  logFile: string;
  stderrFile: string | null;
  readyWithinMs: number;
  addressMayBeInUse: boolean;
  niceness: number;
  context: SecureContext;
  onState: (state: NodeState, detail?: string) => void;
  probePauseMs: () => number;
}

export interface Life {
  readonly of: Circumstances;
  state: NodeState;
  failure: string | null;
  child: ChildProcess | null;
  /** How the last process ended. */
  exit: Exit | null;
  startedAt: number | null;
  readyAt: number | null;
  /** Set while we end the process ourselves: its end is then no failure. */
  told: boolean;
  /** It is never started again. */
  over: boolean;
  /** The end and the readiness of the present process. */
  ending: Promise<Exit | null>;
  readiness: Promise<void>;
}

/** A group is proved to stand still, or to run again, within this. */
const freezeProofMs = 2_000;
const logCheckMs = 5_000;
const leastProbeMs = 50;
const mostProbeMs = 5_000;

export function lifeOf(circumstances: Circumstances): Life {
  return {
    of: circumstances,
    state: 'planned',
    failure: null,
    child: null,
    exit: null,
    startedAt: null,
    readyAt: null,
    told: false,
    over: false,
    ending: Promise.resolve(null),
    readiness: Promise.resolve(),
  };
}

/** Resolves when there is a process. UsageError where there can be none. */
export async function start(life: Life): Promise<void> {
  const { run, name, listen, command, files, logFile, stderrFile, niceness } = life.of;
  if (life.child !== null) throw new Error(`${name} is already running`);
  Object.assign(life, { state: 'planned', failure: null, exit: null, readyAt: null, told: false });
  if (!life.of.addressMayBeInUse && !(await isFree(listen))) {
    throw fail(life, `cannot be started: another process listens on ${listen}`);
  }
  if (life.over) throw new Error(`${name} was stopped for good`);
  remark(logFile, 'start');
  const started = launch(command, files, logFile, stderrFile, niceness);
  life.startedAt = performance.now();
  if (started.pid === undefined) {
    const [error] = (await once(started, 'error')) as [NodeJS.ErrnoException];
    throw fail(life, `could not be started: ${startError(error, command)}`);
  }
  life.child = started;
  run.adopt(started.pid);
  const bounding = setInterval(() => boundLog(logFile), logCheckMs);
  bounding.unref();
  started.once('exit', () => clearInterval(bounding));
  setState(life, 'starting');
  life.ending = watchEnd(life, started);
  life.readiness = watchReadiness(life, started);
  // A failure shows in `state` and `failure`; who waits for readiness gets it thrown.
  life.readiness.catch(() => {});
}

async function watchEnd(life: Life, running: ChildProcess): Promise<Exit> {
  const { run, command, files, logFile } = life.of;
  const [code, signal] = (await once(running, 'exit')) as [number | null, NodeJS.Signals | null];
  const ended: Exit = { code, signal, at: performance.now() };
  await endRest(running.pid!, command, files);
  run.release(running.pid!);
  life.exit = ended;
  life.child = null;
  if (life.told) {
    const how = signal === null ? `exit code ${code}` : signal;
    remark(logFile, `ended: ${how}`);
    setState(life, 'stopped', how);
  } else {
    fail(life, unexpectedEnd(ended, life.startedAt!, command, life.readyAt !== null));
  }
  return ended;
}

async function watchReadiness(life: Life, running: ChildProcess): Promise<void> {
  const { name, listen, context, readyWithinMs, probePauseMs } = life.of;
  const deadline = life.startedAt! + readyWithinMs;
  let last: ProbeOutcome = { kind: 'refused' };
  while (life.child === running) {
    const left = deadline - performance.now();
    last = await probe(listen, context, Math.max(leastProbeMs, Math.min(mostProbeMs, left)));
    if (life.child !== running || life.state === 'failed') break;
    if (last.kind === 'ready') {
      life.readyAt = performance.now();
      if (life.state === 'starting') setState(life, 'ready');
      return;
    }
    if (performance.now() > deadline) {
      fail(life, neverReady(last, listen, readyWithinMs));
      signalGroup(running.pid!, 'SIGKILL');
      break;
    }
    await Promise.race([delay(probePauseMs()), life.ending]);
  }
  await life.ending;
  throw new UsageError(life.failure ?? `${name} was stopped before it listened`);
}

/** Ends the process by a signal and gives the kernel's word for it. Throws (and kills) if it does not end in time. */
export async function end(life: Life, signal: 'SIGKILL' | 'SIGTERM', withinMs: number): Promise<Receipt> {
  const { name } = life.of;
  const running = runningProcess(life);
  life.told = true;
  const at = performance.now();
  signalGroup(running.pid!, signal);
  // A stopped process gets its SIGTERM only when it goes on.
  if (life.state === 'paused') signalGroup(running.pid!, 'SIGCONT');
  const ended = await within(life.ending, withinMs);
  if (ended === null) {
    signalGroup(running.pid!, 'SIGKILL');
    await life.ending;
    throw new Error(`${name} did not end within ${withinMs} ms of ${signal} and was killed`);
  }
  return {
    at: ended.at,
    what: `${name} ended by ${ended.signal ?? `exit code ${ended.code}`}`,
    evidence: {
      pid: running.pid,
      sent: signal,
      exitCode: ended.code,
      exitSignal: ended.signal,
      afterMs: ended.at - at,
      processesLeft: membersOf(running.pid!).size,
    },
  };
}

/** Stops or continues the whole group and waits until the kernel says so of every member. */
export async function freeze(life: Life, signal: 'SIGSTOP' | 'SIGCONT'): Promise<Receipt> {
  const { name } = life.of;
  const pid = runningProcess(life).pid!;
  signalGroup(pid, signal);
  const wanted = signal === 'SIGSTOP';
  const deadline = performance.now() + freezeProofMs;
  let states = membersOf(pid);
  while ([...states.values()].some((letter) => (letter === 'T') !== wanted)) {
    if (performance.now() > deadline) {
      throw new Error(`${name} did not react to ${signal}: ${[...states.values()].join('')}`);
    }
    await delay(2);
    states = membersOf(pid);
  }
  setState(life, wanted ? 'paused' : life.readyAt === null ? 'starting' : 'ready');
  return {
    at: performance.now(),
    what: `${name} ${wanted ? 'stopped' : 'continued'} by ${signal}`,
    evidence: { pid, kernelStates: [...states.values()].join('') },
  };
}

function runningProcess(life: Life): ChildProcess {
  if (life.child === null) throw new Error(`${life.of.name} is not running`);
  return life.child;
}

function setState(life: Life, state: NodeState, detail?: string): void {
  life.state = state;
  life.of.onState(state, detail);
}

/** Notes the first failure of a life, and gives it as what may be thrown. */
function fail(life: Life, what: string): UsageError {
  if (life.state !== 'failed') {
    const { name, logFile, stderrFile } = life.of;
    life.failure = failureLine(name, what, stderrFile ?? logFile);
    remark(logFile, life.failure);
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
