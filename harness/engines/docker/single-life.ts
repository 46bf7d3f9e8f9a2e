/**
 * The lives of one container under test: each from its start to the engine's word that it ended, with the moment of readiness in
 * between. Holds the record of what is so, and the functions that change it; `single.ts` is the face that others see.
 */

import { createWriteStream } from 'node:fs';
import { constants } from 'node:os';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { NodeState, Receipt } from '../../engine.ts';
import { UsageError } from '../../usage-error.ts';
import { type Exit, failureLine, neverReady, unexpectedEnd } from '../process/launch.ts';
import { within } from '../process/life.ts';
import type { NodeFolder } from '../process/node-files.ts';
import { boundLog, remark } from '../process/node-log.ts';
import { type ProbeOutcome, probe } from '../process/probe.ts';
import { containerUserText } from './folder.ts';
import type { SingleGround } from './single.ts';
import { startSingle } from './single-container.ts';

export interface SingleLife {
  readonly ground: SingleGround;
  readonly name: string;
  /** `host:port` where others reach it, and its host alone. */
  readonly address: string;
  readonly ip: string;
  readonly files: NodeFolder;
  readonly logFile: string;
  readonly stderrFile: string | null;
  readonly readyWithinMs: number;
  readonly onState: (state: NodeState, detail?: string) => void;
  /** Made at the first start, kept from life to life. */
  container: Docker.Container | null;
  pid: number | null;
  running: boolean;
  state: NodeState;
  failure: string | null;
  exit: Exit | null;
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

const logCheckMs = 5_000;
const probePauseMs = 15;
const leastProbeMs = 50;
const mostProbeMs = 5_000;

/** Resolves when the engine has started it. UsageError where the image cannot be started. */
export async function start(life: SingleLife): Promise<void> {
  const { name, logFile } = life;
  if (life.running) throw new Error(`${name} is already running`);
  Object.assign(life, { state: 'planned', failure: null, exit: null, readyAt: null, told: false });
  if (life.over) throw new Error(`${name} was stopped for good`);
  remark(logFile, 'start');
  const { container, logEnd } = await startContainer(life).catch((error: unknown) => {
    throw fail(life, `could not be started: ${engineWords(error)}`);
  });
  life.startedAt = performance.now();
  life.running = true;
  const bounding = setInterval(() => boundLog(logFile), logCheckMs);
  bounding.unref();
  setState(life, 'starting');
  life.ending = watchEnd(life, container, logEnd).finally(() => clearInterval(bounding));
  life.readiness = watchReadiness(life, life.startedAt);
  // A failure shows in `state` and `failure`; who waits for readiness gets it thrown.
  life.readiness.catch(() => {});
  life.ending.catch(() => {});
  if (life.ground.local) life.pid = (await container.inspect()).State.Pid || null;
}

/** The first time it is made, then the same one is started again. */
async function startContainer(
  life: SingleLife,
): Promise<{ container: Docker.Container; logEnd: Promise<unknown> }> {
  const { docker, image, network, labels } = life.ground;
  if (life.container !== null) {
    const { end: logEnd } = await attachLog(life, life.container);
    await life.container.start();
    return { container: life.container, logEnd };
  }
  let logEnd: Promise<unknown> = Promise.resolve();
  await startSingle({
    image: image.replace(/^sha256:/, ''),
    name: `${network}-${life.name}`,
    network,
    address: life.ip,
    user: containerUserText(),
    labels,
    folder: life.files.folder,
    created: async (id) => {
      life.container = docker.getContainer(id);
      ({ end: logEnd } = await attachLog(life, life.container));
    },
  });
  return { container: life.container!, logEnd };
}

/** From before the start on, so that no line is missed; resolves when the engine has closed the stream. */
async function attachLog(life: SingleLife, container: Docker.Container): Promise<{ end: Promise<unknown> }> {
  const stream = await container.attach({ stream: true, stdout: true, stderr: true });
  const out = createWriteStream(life.logFile, { flags: 'a' });
  const err = life.stderrFile === null ? out : createWriteStream(life.stderrFile, { flags: 'a' });
  life.ground.docker.modem.demuxStream(stream, out, err);
  const end = finished(stream, { writable: false })
    .catch(() => {})
    .then(() => {
      const files = new Set([out, err]);
      for (const file of files) file.end();
      return Promise.all([...files].map((file) => finished(file).catch(() => {})));
    });
  return { end };
}

async function watchEnd(
  life: SingleLife,
  container: Docker.Container,
  logEnd: Promise<unknown>,
): Promise<Exit> {
  const { StatusCode } = (await container.wait()) as { StatusCode: number };
  const at = performance.now();
  // Its last words come by another way than the news of its end.
  await within(logEnd, 2_000);
  const ended: Exit = { ...exitOf(StatusCode), at };
  Object.assign(life, { exit: ended, running: false, pid: null });
  if (life.told) {
    const how = ended.signal ?? `exit code ${ended.code}`;
    if (!life.over) remark(life.logFile, `ended: ${how}`);
    setState(life, 'stopped', how);
  } else {
    const image = { argv: [life.ground.image] };
    fail(life, unexpectedEnd(ended, life.startedAt!, image, life.readyAt !== null));
  }
  return ended;
}

/** As shells do, the engine tells an end by a signal as 128 and its number. */
function exitOf(status: number): { code: number | null; signal: NodeJS.Signals | null } {
  const signal = Object.entries(constants.signals).find(([, number]) => number === status - 128)?.[0];
  return signal === undefined
    ? { code: status, signal: null }
    : { code: null, signal: signal as NodeJS.Signals };
}

async function watchReadiness(life: SingleLife, startedAt: number): Promise<void> {
  const { name, address, ground, readyWithinMs } = life;
  const deadline = startedAt + readyWithinMs;
  const present = (): boolean => life.running && life.startedAt === startedAt;
  let last: ProbeOutcome = { kind: 'refused' };
  while (present()) {
    const left = deadline - performance.now();
    last = await probe(address, ground.context, Math.max(leastProbeMs, Math.min(mostProbeMs, left)));
    if (!present() || life.state === 'failed') break;
    if (last.kind === 'ready') {
      life.readyAt = performance.now();
      if (life.state === 'starting') setState(life, 'ready');
      return;
    }
    if (performance.now() > deadline) {
      fail(life, neverReady(last, address, readyWithinMs));
      await life.container?.kill({ signal: 'SIGKILL' }).catch(() => {});
      break;
    }
    await Promise.race([delay(probePauseMs), life.ending]);
  }
  await life.ending;
  throw new UsageError(life.failure ?? `${name} was stopped before it listened`);
}

/** Ends it by a signal and gives the engine's word for it. Throws (and kills) if it does not end in time. */
export async function end(
  life: SingleLife,
  signal: 'SIGKILL' | 'SIGTERM',
  withinMs: number,
): Promise<Receipt> {
  const { name } = life;
  const { container, pid } = runningContainer(life);
  life.told = true;
  const at = performance.now();
  // The engine lets a paused one go on with its signal.
  await container.kill({ signal }).catch(unlessEnded);
  const ended = await within(life.ending, withinMs);
  if (ended === null) {
    await container.kill({ signal: 'SIGKILL' }).catch(unlessEnded);
    await life.ending;
    throw new Error(`${name} did not end within ${withinMs} ms of ${signal} and was killed`);
  }
  return {
    at: ended.at,
    what: `${name} ended by ${ended.signal ?? `exit code ${ended.code}`}`,
    evidence: {
      container: container.id,
      pid,
      sent: signal,
      exitCode: ended.code,
      exitSignal: ended.signal,
      afterMs: ended.at - at,
    },
  };
}

/** 409: it ended by itself a moment before. */
function unlessEnded(error: { statusCode?: number }): void {
  if (error.statusCode !== 409 && error.statusCode !== 404) throw error;
}

/** Freezes or thaws all of its processes and asks the engine whether it is so. */
export async function freeze(life: SingleLife, paused: boolean): Promise<Receipt> {
  const { container } = runningContainer(life);
  if (paused) await container.pause();
  else await container.unpause();
  const at = performance.now();
  const { State } = await container.inspect();
  if (State.Paused !== paused)
    throw new Error(`${life.name} did not ${paused ? 'pause' : 'go on'}: ${State.Status}`);
  setState(life, paused ? 'paused' : life.readyAt === null ? 'starting' : 'ready');
  return {
    at,
    what: `${life.name} ${paused ? 'paused' : 'went on'}`,
    evidence: { container: container.id, status: State.Status },
  };
}

function runningContainer(life: SingleLife): { container: Docker.Container; pid: number | null } {
  if (!life.running || life.container === null) throw new Error(`${life.name} is not running`);
  return { container: life.container, pid: life.pid };
}

function setState(life: SingleLife, state: NodeState, detail?: string): void {
  life.state = state;
  life.onState(state, detail);
}

/** Notes the first failure of a life, and gives it as what may be thrown. */
function fail(life: SingleLife, what: string): UsageError {
  if (life.state !== 'failed') {
    life.failure = failureLine(life.name, what, life.stderrFile ?? life.logFile);
    remark(life.logFile, life.failure);
    setState(life, 'failed', life.failure);
  }
  return new UsageError(life.failure!);
}

/** The engine's own words, in one line. */
export function engineWords(error: unknown): string {
  const { json, message } = error as { json?: { message?: string }; message: string };
  return (json?.message ?? message).replace(/\s+/g, ' ').trim();
}
