/**
 * One node as one operating-system process: started with `CLE_CONFIG`, watched, stopped, paused, killed, wiped, started again
 * on the same disk. Any command will do. It knows nothing of plans, links or other nodes; the process engine makes a net of
 * instances, and the conformance suite uses them singly.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SecureContext } from 'node:tls';
import type { NodeState, Receipt } from '../../engine.ts';
import { orUsageError, type Run } from '../../run-record.ts';
import { UsageError } from '../../usage-error.ts';
import type { Exit, NodeCommand } from './launch.ts';
import { type Circumstances, end, freeze, type Life, lifeOf, start, within } from './life.ts';
import { emptyFolder, type NodeFiles, writeNodeFolder } from './node-files.ts';
import { lastLines } from './node-log.ts';

export interface InstanceSpec extends NodeFiles {
  /** Names folder, log and failures: `node-3`. Unique within the run. */
  name: string;
  command: NodeCommand;
  /** Folder for the log; default: the instance's own folder, which goes with the run. */
  logDir?: string;
  /** How long it may take from its start to its first TLS handshake, ms; default 30 000. */
  readyWithinMs?: number;
  /** Replaces the text of the configuration, for tests of bad ones. */
  configText?: string;
  /** Start it even where another process listens on its address (its probes would reach that one). */
  addressMayBeInUse?: boolean;
  /** How far its process steps back where processors are scarce, 0 (default) to 19. */
  niceness?: number;
  /** stderr into a file of its own (`<name>.stderr.log`) instead of the common log. */
  splitStderr?: boolean;
}

export interface Instance {
  readonly name: string;
  /** `host:port` where it listens. */
  readonly address: string;
  readonly state: NodeState;
  readonly failure: string | null;
  readonly pid: number | null;
  readonly folder: string;
  readonly dataDir: string;
  readonly configFile: string;
  readonly logFile: string;
  /** null unless `splitStderr`. */
  readonly stderrFile: string | null;
  /** performance.now of the last start and of the first TLS handshake after it. */
  readonly startedAt: number | null;
  readonly readyAt: number | null;
  /** How it ended the last time; null while it runs or never ran. */
  readonly exit: Exit | null;
  /** Starts the process; resolves when there is one, rejects with UsageError if the program cannot be started. */
  start(): Promise<void>;
  /** Resolves when it accepts TLS, rejects with UsageError once it failed or after `withinMs`. */
  ready(withinMs?: number): Promise<void>;
  /** Resolves at the end of the process (at once if there is none). */
  ended(): Promise<Exit | null>;
  kill(): Promise<Receipt>;
  terminate(withinMs?: number): Promise<Receipt>;
  pause(): Promise<Receipt>;
  resume(): Promise<Receipt>;
  wipe(): Promise<Receipt>;
  logTail(lines: number): string[];
  /** Kills it if it runs, and it is never started again; folder and log stay until the run ends. */
  stop(): Promise<void>;
  /** `stop`, and removes its folder; the log stays if it has a place of its own. */
  remove(): Promise<void>;
}

export interface InstanceHooks {
  onState?: (state: NodeState, detail?: string) => void;
  /** ms to the next probe of a node that does not listen yet; the engine spreads its probes over many nodes. */
  probePauseMs?: () => number;
}

const defaultReadyWithinMs = 30_000;
const defaultEndWithinMs = 10_000;
const defaultProbePauseMs = 15;

/**
 * Prepares folder and files of an instance of `run`; starts nothing. `context` is the TLS identity of the probes.
 * Throws UsageError where the folder cannot be written.
 */
export function prepareInstance(
  run: Run,
  spec: InstanceSpec,
  context: SecureContext,
  hooks: InstanceHooks = {},
): Instance {
  return faceOf(lifeOf(circumstancesOf(run, spec, context, hooks)));
}

function circumstancesOf(
  run: Run,
  spec: InstanceSpec,
  context: SecureContext,
  hooks: InstanceHooks,
): Circumstances {
  const folder = join(run.folder, spec.name);
  const logFile = join(spec.logDir ?? folder, `${spec.name}.log`);
  const files = orUsageError(() => {
    const written = writeNodeFolder(folder, spec);
    if (spec.configText !== undefined) writeFileSync(written.configFile, spec.configText);
    mkdirSync(dirname(logFile), { recursive: true });
    return written;
  });
  return {
    run,
    name: spec.name,
    listen: spec.listen,
    command: spec.command,
    files,
    logFile,
    stderrFile: spec.splitStderr ? join(dirname(logFile), `${spec.name}.stderr.log`) : null,
    readyWithinMs: spec.readyWithinMs ?? defaultReadyWithinMs,
    addressMayBeInUse: spec.addressMayBeInUse ?? false,
    niceness: spec.niceness ?? 0,
    context,
    onState: hooks.onState ?? (() => {}),
    probePauseMs: hooks.probePauseMs ?? (() => defaultProbePauseMs),
  };
}

function faceOf(life: Life): Instance {
  const { name, listen, files, logFile, stderrFile } = life.of;
  const stop = async (): Promise<void> => {
    life.over = true;
    if (life.child !== null) await end(life, 'SIGKILL', defaultEndWithinMs);
  };
  return {
    name,
    address: listen,
    folder: files.folder,
    dataDir: files.dataDir,
    configFile: files.configFile,
    logFile,
    stderrFile,
    get state() {
      return life.state;
    },
    get failure() {
      return life.failure;
    },
    get pid() {
      return life.child?.pid ?? null;
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
    ended: () => life.ending,
    kill: () => end(life, 'SIGKILL', defaultEndWithinMs),
    terminate: (withinMs = defaultEndWithinMs) => end(life, 'SIGTERM', withinMs),
    pause: () => freeze(life, 'SIGSTOP'),
    resume: () => freeze(life, 'SIGCONT'),
    wipe: async () => wipe(life),
    logTail: (lines) => lastLines(logFile, lines),
    stop,
    remove: async () => {
      await stop();
      rmSync(files.folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function ready(life: Life, withinMs: number): Promise<void> {
  const { name } = life.of;
  if (life.child === null) throw new UsageError(life.failure ?? `${name} is not running`);
  const done = await within(
    life.readiness.then(() => true),
    withinMs,
  );
  if (done === null) throw new UsageError(`${name} is not ready after ${withinMs} ms`);
}

function wipe(life: Life): Receipt {
  const { name, files } = life.of;
  if (life.child !== null) throw new Error(`${name} is running: its data cannot be wiped`);
  const { files: removedFiles, bytes } = emptyFolder(files.dataDir);
  return {
    at: performance.now(),
    what: `the data of ${name} was wiped`,
    evidence: { dataDir: files.dataDir, removedFiles, removedBytes: bytes },
  };
}

/** Prepares, starts and waits: for whoever needs one node that answers. UsageError (folder removed) if it does not come up. */
export async function startInstance(
  run: Run,
  spec: InstanceSpec,
  context: SecureContext,
  hooks: InstanceHooks = {},
): Promise<Instance> {
  const instance = prepareInstance(run, spec, context, hooks);
  try {
    await instance.start();
    await instance.ready();
  } catch (error) {
    await instance.remove();
    throw error;
  }
  return instance;
}
