/**
 * One node as one container of any image, with the same face as a process (`process/instance.ts`): started with its files under
 * `/cle` (profile §10), watched, stopped, paused, killed, wiped, started again on the same disk and address. The conformance
 * suite uses them singly. Knows nothing of plans, links or other nodes.
 */

import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SecureContext } from 'node:tls';
import type Docker from 'dockerode';
import type { NodeState, Receipt } from '../../engine.ts';
import { orUsageError } from '../../run-record.ts';
import { UsageError } from '../../usage-error.ts';
import type { Instance, InstanceHooks, InstanceSpec } from '../process/instance.ts';
import type { Exit } from '../process/launch.ts';
import { within } from '../process/life.ts';
import { emptyFolder } from '../process/node-files.ts';
import { lastLines } from '../process/node-log.ts';
import { hostAndPort } from '../process/probe.ts';
import { writeContainerFolder } from './folder.ts';
import { CONTAINER_PORT } from './image.ts';
import { removeContainer } from './leftovers.ts';
import { end, freeze, type SingleLife, start } from './single-life.ts';

/** What all containers under test of one run share. */
export interface SingleGround {
  docker: Docker;
  image: string;
  /** Name of the network. */
  network: string;
  labels: Record<string, string>;
  /** Where the nodes' folders are made. */
  folder: string;
  /** Process ids of containers mean something here. */
  local: boolean;
  context: SecureContext;
}

/** `listen` is the address in the network where others reach it; the node itself listens on all of its own. */
export type SingleSpec = Omit<InstanceSpec, 'command' | 'addressMayBeInUse' | 'configText'>;

const defaultReadyWithinMs = 30_000;
const defaultEndWithinMs = 10_000;

/** Makes folder and files; the container comes with the first start. Throws UsageError where the folder cannot be written. */
export function prepareSingle(ground: SingleGround, spec: SingleSpec, hooks: InstanceHooks = {}): Instance {
  const folder = join(ground.folder, spec.name);
  const logFile = join(spec.logDir ?? folder, `${spec.name}.log`);
  const files = orUsageError(() => {
    const written = writeContainerFolder(folder, { ...spec, listen: `0.0.0.0:${CONTAINER_PORT}` });
    mkdirSync(dirname(logFile), { recursive: true });
    return written;
  });
  return faceOf({
    ground,
    name: spec.name,
    address: spec.listen,
    ip: hostAndPort(spec.listen).host,
    files,
    logFile,
    stderrFile: spec.splitStderr ? join(dirname(logFile), `${spec.name}.stderr.log`) : null,
    readyWithinMs: spec.readyWithinMs ?? defaultReadyWithinMs,
    onState: hooks.onState ?? (() => {}),
    container: null,
    pid: null,
    running: false,
    state: 'planned' as NodeState,
    failure: null,
    exit: null,
    startedAt: null,
    readyAt: null,
    told: false,
    over: false,
    ending: Promise.resolve(null),
    readiness: Promise.resolve(),
  });
}

function faceOf(life: SingleLife): Instance {
  const { name, files, logFile } = life;
  const stop = async (): Promise<void> => {
    life.over = true;
    if (life.running) await end(life, 'SIGKILL', defaultEndWithinMs);
  };
  return {
    name,
    address: life.address,
    folder: files.folder,
    dataDir: files.dataDir,
    configFile: files.configFile,
    logFile,
    stderrFile: life.stderrFile,
    get state() {
      return life.state;
    },
    get failure() {
      return life.failure;
    },
    get pid() {
      return life.pid;
    },
    get startedAt() {
      return life.startedAt;
    },
    get readyAt() {
      return life.readyAt;
    },
    get exit() {
      return life.exit;
    },
    start: () => start(life),
    ready: (withinMs = defaultReadyWithinMs) => ready(life, withinMs),
    ended: (): Promise<Exit | null> => life.ending,
    kill: () => end(life, 'SIGKILL', defaultEndWithinMs),
    terminate: (withinMs = defaultEndWithinMs) => end(life, 'SIGTERM', withinMs),
    pause: () => freeze(life, true),
    resume: () => freeze(life, false),
    wipe: async () => wipe(life),
    logTail: (lines) => lastLines(logFile, lines),
    stop,
    remove: async () => {
      life.over = true;
      life.told = true;
      if (life.container !== null) await removeContainer(life.ground.docker, life.container.id);
      await life.ending.catch(() => {});
      rmSync(files.folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function ready(life: SingleLife, withinMs: number): Promise<void> {
  if (!life.running) throw new UsageError(life.failure ?? `${life.name} is not running`);
  const done = await within(
    life.readiness.then(() => true),
    withinMs,
  );
  if (done === null) throw new UsageError(`${life.name} is not ready after ${withinMs} ms`);
}

function wipe(life: SingleLife): Receipt {
  const { name, files } = life;
  if (life.running) throw new Error(`${name} is running: its data cannot be wiped`);
  const { files: removedFiles, bytes } = emptyFolder(files.dataDir);
  return {
    at: performance.now(),
    what: `the data of ${name} was wiped`,
    evidence: { dataDir: files.dataDir, removedFiles, removedBytes: bytes },
  };
}
