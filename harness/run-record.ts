/**
 * What belongs to one run of the harness: a temporary folder whose name says which harness owns it, the process groups that
 * must not outlive it, and things elsewhere that somebody must undo. Knows nothing of nodes, engines or links.
 *
 * `$TMPDIR/cle-testnet-<uid>/<pid>-<start time>-<n>/` holds `run.json` (facts for people), `children` (a journal) and whatever
 * the run puts there. Pid and start time together name one process for ever, so a sweep needs no more than the folder's name
 * to know whether the owner lives.
 */

import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unmountBelow } from './mounts.ts';
import { endByEnvironment, isErrno, startTimeOf } from './os-process.ts';
import { UsageError } from './usage-error.ts';
import { startWatchdog } from './watchdog.ts';

/** Proxies made in a Toxiproxy server that is not ours: all whose name begins with `prefix` belong to the run. */
export interface ForeignProxies {
  kind: 'toxiproxy';
  apiUrl: string;
  prefix: string;
}

export interface Run {
  /** `<pid>-<start time>-<n>`, also fit for labels. */
  readonly id: string;
  /** Absolute path of the folder; goes with the run. */
  readonly folder: string;
  /** From now on this process group does not outlive the harness. */
  adopt(group: number): void;
  /** The group has ended and been waited for. */
  release(group: number): void;
  /** Something outside this machine's processes and folders, which a sweep shall undo if we cannot. What it returns says: it is undone. */
  remember(outside: ForeignProxies): () => void;
  /** Removes the folder, save for the record of what is not undone outside; the groups must have been ended before. Idempotent. */
  close(): Promise<void>;
}

/** Where all runs of this user live. */
export function runsRoot(): string {
  return join(tmpdir(), `cle-testnet-${process.getuid?.() ?? 'user'}`);
}

let opened = 0;

/** Claims a folder and starts the watchdog. `purpose` is for people: `testnet default`, `conformance`. */
export function openRun(purpose: string): Run {
  opened += 1;
  const id = `${process.pid}-${startTimeOf(process.pid)}-${opened}`;
  const folder = join(runsRoot(), id);
  const facts = { id, purpose, pid: process.pid, startedAt: new Date().toISOString(), ...machineFacts() };
  orUsageError(() => {
    makeFolder(folder);
    writeFileSync(join(folder, 'run.json'), `${JSON.stringify(facts, null, 2)}\n`);
  });
  const watchdog = startWatchdog(folder);
  const journal = join(folder, 'children');
  const outside = new Set<ForeignProxies>();
  let closing: Promise<void> | null = null;

  const close = async (): Promise<void> => {
    // A node's child that left its group is nobody's otherwise.
    endByEnvironment(`CLE_CONFIG=${folder}/`);
    if (outside.size === 0) await removeFolder(folder);
    else await removeAllButRecord(folder);
    await watchdog.dismiss();
  };
  return {
    id,
    folder,
    adopt: (group) => {
      watchdog.watch(group);
      appendFileSync(journal, `+ ${group} ${startTimeOf(group)}\n`);
    },
    release: (group) => {
      watchdog.unwatch(group);
      if (closing === null) appendFileSync(journal, `- ${group}\n`);
    },
    remember: (proxies) => {
      appendFileSync(join(folder, 'outside'), `${JSON.stringify(proxies)}\n`);
      outside.add(proxies);
      return () => void outside.delete(proxies);
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

/** Pids in folder names mean something only within one boot and one pid namespace. */
export function machineFacts(): { bootId: string | null; pidNamespace: string | null } {
  const attempt = (read: () => string): string | null => {
    try {
      return read().trim();
    } catch {
      return null;
    }
  };
  return {
    bootId: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')),
  };
}

/** Another run's end may remove the empty root between our two steps, hence the second try. */
function makeFolder(folder: string): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      mkdirSync(runsRoot(), { recursive: true, mode: 0o700 });
      mkdirSync(folder, { mode: 0o700 });
      return;
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || attempt === 20) throw error;
    }
  }
}

/** Removes a run's folder, and the root if that was the last one. */
export async function removeFolder(folder: string): Promise<void> {
  unmountBelow(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  try {
    rmdirSync(runsRoot());
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'ENOENT') && !isErrno(error, 'EEXIST')) throw error;
  }
}

/** What a sweep needs to undo things outside stays, in a folder that names the dead run. */
export async function removeAllButRecord(folder: string): Promise<void> {
  unmountBelow(folder);
  for (const name of readdirSync(folder)) {
    if (name === 'run.json' || name === 'outside') continue;
    await rm(join(folder, name), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

/** For people: something did not go when a run ended. */
export function leftBehind(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return `left behind: ${reason} (the next start removes what it can)`;
}

const complaints: Record<string, string> = {
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'no permission to write',
  EPERM: 'no permission to write',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is no folder',
  EMFILE: 'too many open files (ulimit -n)',
  ENFILE: 'too many open files on this host',
};

/** Does the work; a disk that does not let us write is the person's to mend, hence one line that names the path. */
export function orUsageError<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    const complaint = code === undefined ? undefined : complaints[code];
    if (complaint === undefined) throw error;
    throw new UsageError(`${path ?? 'a file'}: ${complaint}`);
  }
}

/** The one trouble that may meet any file at any time, and is nobody's bug. */
export function isDiskFull(error: unknown): boolean {
  return isErrno(error, 'ENOSPC') || isErrno(error, 'EDQUOT');
}

/** Why the file system refuses, in words for people; its own where there are none. */
export function complaintOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const known: Record<string, string> = {
    ...complaints,
    ENOENT: 'there is no such folder',
    EISDIR: 'a folder has that name',
  };
  return (code === undefined ? undefined : known[code]) ?? code ?? message;
}

const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export interface SignalGuard {
  /** The work's outcome; once a signal came it stays pending, so that half a run is neither judged nor reported as an error. */
  guard<T>(work: Promise<T>): Promise<T>;
  /** Takes the handlers off again. */
  off(): void;
}

/**
 * On SIGINT, SIGTERM or SIGHUP: `stop` once, then exit with 128 + the signal's number. At a second signal the process ends at
 * once and the watchdogs do the rest.
 */
export function stopOnSignals(stop: (signal: NodeJS.Signals) => Promise<void>): SignalGuard {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    const code = exitCodes[signal as keyof typeof exitCodes];
    if (stopping) process.exit(code);
    stopping = true;
    stop(signal)
      .catch((error: unknown) => console.error(error))
      .finally(() => process.exit(code));
  };
  const signals = Object.keys(exitCodes) as NodeJS.Signals[];
  for (const signal of signals) process.on(signal, onSignal);
  return {
    guard: async (work) => {
      try {
        return await work;
      } finally {
        if (stopping) await new Promise<never>(() => {});
      }
    },
    off: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
