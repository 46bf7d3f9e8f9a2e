/**
 * The lives of one node as a container: made at its first start and kept from life to life, ended and frozen through the engine, each
 * proved by the engine's word. What every life is, is in `../life.ts`.
 */

import { constants } from 'node:os';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { Receipt } from '../../engine.ts';
import { TroubleError } from '../../trouble-error.ts';
import type { Exit } from '../failure.ts';
import {
  beginAnew,
  type EndSignal,
  endBy,
  fail,
  hasEnded,
  hasFrozen,
  hasStarted,
  type Life,
  noteStart,
  within,
} from '../life.ts';
import { logStream } from '../node-log.ts';
import { engineWords } from './connect.ts';
import { containerUserText, giveToContainer } from './folder.ts';
import type { SingleGround } from './single.ts';
import { startSingle } from './single-container.ts';

export interface ContainerLife extends Life {
  readonly ground: SingleGround;
  /** The host of its address. */
  readonly ip: string;
  container: Docker.Container | null;
  pid: number | null;
  /** The engine lost sight of it. */
  readonly onTrouble: (text: string) => void;
}

/** Of the engine's answers these are about the image or the container; all others, and none, are about the engine. */
const itsOwnFault: readonly (number | undefined)[] = [400, 404];

/** Resolves when the engine has started it. UsageError where the image cannot be started, TroubleError where the engine cannot. */
export async function start(life: ContainerLife): Promise<void> {
  beginAnew(life);
  // What was put into its folder while it did not run (a torn store, another certificate) is ours until now.
  giveToContainer(life.files.folder);
  noteStart(life);
  const { container, logEnd } = await startContainer(life).catch((error: unknown) => {
    if (itsOwnFault.includes((error as { statusCode?: number }).statusCode))
      throw fail(life, `could not be started: ${engineWords(error)}`);
    throw new TroubleError(`the container engine could not start ${life.name}: ${engineWords(error)}`);
  });
  hasStarted(
    life,
    () => untilEnded(life, container, logEnd),
    () => container.kill({ signal: 'SIGKILL' }).catch(() => {}),
  );
  // Once it is given up nobody waits any more, and the engine takes it away in the middle of that.
  life.ending.catch(() => {});
  // It runs whether or not the engine finds the time to say as what.
  const inspected = life.ground.local ? await container.inspect().catch(() => null) : null;
  life.pid = inspected?.State.Pid || null;
}

/** The first time it is made, then the same one is started again. */
async function startContainer(
  life: ContainerLife,
): Promise<{ container: Docker.Container; logEnd: Promise<unknown> }> {
  const { docker, image, network, names, labels } = life.ground;
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
    names,
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
async function attachLog(
  life: ContainerLife,
  container: Docker.Container,
): Promise<{ end: Promise<unknown> }> {
  const stream = await container.attach({ stream: true, stdout: true, stderr: true });
  const out = logStream(life.logFile);
  const err = life.stderrFile === null ? out : logStream(life.stderrFile);
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

async function untilEnded(
  life: ContainerLife,
  container: Docker.Container,
  logEnd: Promise<unknown>,
): Promise<Exit> {
  const { status, isSeen } = await endOf(life, container);
  const at = performance.now();
  // Its last words come by another way than the news of its end.
  await within(logEnd, 2_000);
  const ended: Exit = { ...exitOf(status), at };
  life.pid = null;
  // It may have ended with the engine: that is not held against it.
  if (!isSeen) life.told = true;
  hasEnded(life, ended, null);
  return ended;
}

const askAgainMs = 500;

/**
 * The exit status, also across an engine that breaks the waiting off (it is started anew, say), which the run is told. `isSeen`: somebody
 * watched it end; null: it is gone without a word. Rejects only once the node is given up.
 */
export async function endOf(
  life: Pick<ContainerLife, 'name' | 'over' | 'onTrouble'>,
  container: Docker.Container,
): Promise<{ status: number | null; isSeen: boolean }> {
  let isTold = false;
  for (;;) {
    try {
      return { status: ((await container.wait()) as { StatusCode: number }).StatusCode, isSeen: true };
    } catch (error) {
      if (life.over) throw error;
      if (!isTold)
        life.onTrouble(`The container engine lost sight of ${life.name} for a while: ${engineWords(error)}`);
      isTold = true;
    }
    const state = await stateOnceItAnswers(life, container);
    if (state?.Running !== true) return { status: state?.ExitCode ?? null, isSeen: false };
    await delay(askAgainMs);
  }
}

/** null: there is no such container. */
async function stateOnceItAnswers(
  life: Pick<ContainerLife, 'over'>,
  container: Docker.Container,
): Promise<{ Running: boolean; ExitCode: number } | null> {
  for (;;) {
    try {
      return (await container.inspect()).State;
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 404) return null;
      if (life.over) throw error;
    }
    await delay(askAgainMs);
  }
}

/** As shells do, the engine tells an end by a signal as 128 and its number. */
function exitOf(status: number | null): { code: number | null; signal: NodeJS.Signals | null } {
  const number = (status ?? 0) - 128;
  const signal = Object.entries(constants.signals).find(([, one]) => one === number)?.[0];
  return signal === undefined
    ? { code: status, signal: null }
    : { code: null, signal: signal as NodeJS.Signals };
}

/** Ends it by a signal and gives the engine's word for it. Throws (and kills) if it does not end in time. */
export async function end(life: ContainerLife, signal: EndSignal, withinMs: number): Promise<Receipt> {
  const { container, pid } = runningContainer(life);
  // The engine lets a paused one go on with its signal.
  const receipt = await endBy(life, signal, withinMs, (sent) =>
    container.kill({ signal: sent }).catch(unlessEnded),
  );
  return { ...receipt, evidence: { container: container.id, pid, ...receipt.evidence } };
}

/** 409: it ended by itself a moment before. */
function unlessEnded(error: { statusCode?: number }): void {
  if (error.statusCode !== 409 && error.statusCode !== 404) throw error;
}

/** Freezes or thaws all of its processes and asks the engine whether it is so. */
export async function freeze(life: ContainerLife, frozen: boolean): Promise<Receipt> {
  const { container } = runningContainer(life);
  if (frozen) await container.pause();
  else await container.unpause();
  const at = performance.now();
  const { State } = await container.inspect().catch(async (error: unknown) => {
    if (frozen) await container.unpause().catch(() => {});
    throw error;
  });
  if (State.Paused !== frozen)
    throw new Error(`${life.name} did not ${frozen ? 'pause' : 'go on'}: ${State.Status}`);
  hasFrozen(life, frozen);
  return {
    at,
    what: `${life.name} ${frozen ? 'paused' : 'went on'}`,
    evidence: { container: container.id, status: State.Status },
  };
}

function runningContainer(life: ContainerLife): { container: Docker.Container; pid: number | null } {
  if (!life.running || life.container === null) throw new Error(`${life.name} is not running`);
  return { container: life.container, pid: life.pid };
}
