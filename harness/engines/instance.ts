/**
 * One node by itself, whatever runs it, as the conformance suite uses it: started, watched, stopped, paused, killed, wiped, started
 * again on the same disk and address. Here is the face that all engines give it; what is behind it is theirs.
 */

import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SecureContext } from 'node:tls';
import type { NodeState, Receipt } from '../engine.ts';
import { orUsageError } from '../run-record.ts';
import type { Exit } from './failure.ts';
import { type EndSignal, type Life, type LifeSpec, ready, wipe } from './life.ts';
import type { NodeFiles, NodeFolder } from './node-files.ts';
import { lastLines } from './node-log.ts';

export interface InstanceSpec extends NodeFiles {
  /** Names folder, log and failures: `node-3`. Unique within the run. */
  name: string;
  /** Folder for the log; default: the instance's own folder, which goes with the run. */
  logDir?: string;
  /** How long it may take from its start to its first TLS handshake, ms; default 30 000. */
  readyWithinMs?: number;
  /** stderr into a file of its own (`<name>.stderr.log`) instead of the common log. */
  splitStderr?: boolean;
}

export interface InstanceHooks {
  onState?: (state: NodeState, detail?: string) => void;
  /** ms to the next probe of a node that does not listen yet; an engine spreads its probes over many nodes. */
  probePauseMs?: () => number;
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
  /** Resolves when it was started, rejects with UsageError if it cannot be. */
  start(): Promise<void>;
  /** Resolves when it accepts TLS, rejects with UsageError once it failed or after `withinMs`. */
  ready(withinMs?: number): Promise<void>;
  /** Resolves at its end (at once if it does not run). */
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

const defaultReadyWithinMs = 30_000;
const defaultEndWithinMs = 10_000;
const defaultProbePauseMs = 15;

/**
 * Makes its folder below `parent`, `write` fills it, and says what its lives have in common. UsageError where the folder cannot
 * be written.
 */
export function lifeSpecOf(
  parent: string,
  spec: InstanceSpec,
  context: SecureContext,
  hooks: InstanceHooks,
  write: (folder: string) => NodeFolder,
): LifeSpec {
  const folder = join(parent, spec.name);
  const logFile = join(spec.logDir ?? folder, `${spec.name}.log`);
  const files = orUsageError(() => {
    const written = write(folder);
    mkdirSync(dirname(logFile), { recursive: true });
    return written;
  });
  return {
    name: spec.name,
    address: spec.listen,
    files,
    logFile,
    stderrFile: spec.splitStderr ? join(dirname(logFile), `${spec.name}.stderr.log`) : null,
    readyWithinMs: spec.readyWithinMs ?? defaultReadyWithinMs,
    context,
    onState: hooks.onState ?? (() => {}),
    probePauseMs: hooks.probePauseMs ?? (() => defaultProbePauseMs),
  };
}

/** What an engine does with one node. */
export interface Acts {
  pid(): number | null;
  start(): Promise<void>;
  end(signal: EndSignal, withinMs: number): Promise<Receipt>;
  freeze(frozen: boolean): Promise<Receipt>;
  /** Ends it, if it runs, and takes away all that the engine made of it. */
  discard(): Promise<unknown>;
}

export function instanceOf(life: Life, acts: Acts): Instance {
  const { name, address, files, logFile, stderrFile } = life;
  return {
    name,
    address,
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
      return acts.pid();
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
    start: acts.start,
    ready: (withinMs = defaultReadyWithinMs) => ready(life, withinMs),
    ended: () => life.ending,
    kill: () => acts.end('SIGKILL', defaultEndWithinMs),
    terminate: (withinMs = defaultEndWithinMs) => acts.end('SIGTERM', withinMs),
    pause: () => acts.freeze(true),
    resume: () => acts.freeze(false),
    wipe: async () => wipe(life),
    logTail: (lines) => lastLines(logFile, lines),
    async stop() {
      life.over = true;
      if (life.running) await acts.end('SIGKILL', defaultEndWithinMs);
    },
    async remove() {
      life.over = true;
      await acts.discard();
      rmSync(files.folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
