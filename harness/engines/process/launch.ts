/**
 * How a node's process is started, and what is said when that goes wrong. Profile §10: a node is started with the path of its
 * configuration in `CLE_CONFIG`, and it gets nothing else from us: the environment is made anew, so that no run depends on
 * what the person at the keyboard has set.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { endByEnvironment, membersOf, signalGroup } from '../../os-process.ts';
import type { NodeFolder } from '../node-files.ts';
import { openLog } from '../node-log.ts';

/** A program with its arguments, or a line for `/bin/sh -c` as a person types it. */
export type NodeCommand = { argv: readonly string[] } | { shell: string };

/**
 * Starts the process in a group of its own, so that the children of a foreign command end with it; rejects with the system's error
 * where there can be none. `niceness`: how far it steps back where processors are scarce, 0 to 19.
 */
export async function launch(
  command: NodeCommand,
  files: NodeFolder,
  logFile: string,
  stderrFile: string | null,
  niceness = 0,
): Promise<ChildProcess & { pid: number }> {
  const [program, ...words] = 'argv' in command ? command.argv : ['/bin/sh', '-c', command.shell];
  if (program === undefined) throw new Error('an empty command');
  const out = openLog(logFile);
  const err = stderrFile === null ? out : openLog(stderrFile);
  try {
    const started = spawn(program, words, {
      env: environment(files),
      stdio: ['ignore', out, err],
      detached: true,
    });
    if (started.pid === undefined) throw (await once(started, 'error'))[0];
    if (niceness !== 0) stepBack(started.pid, niceness);
    return started as ChildProcess & { pid: number };
  } finally {
    closeSync(out);
    if (err !== out) closeSync(err);
  }
}

function stepBack(pid: number, niceness: number): void {
  try {
    setPriority(pid, niceness);
    // A process that leads a session is weighed as a group there, by another number than its own.
    if (process.platform === 'linux') writeFileSync(`/proc/${pid}/autogroup`, String(niceness));
  } catch {
    // It has ended already, or may not be touched, or the kernel has no such groups: then it runs as everything else does.
  }
}

/** What a node has in its environment. TMPDIR points into its folder, so that what it forgets there goes with the run. */
function environment(files: NodeFolder): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: process.env.HOME ?? '/',
    LANG: process.env.LANG ?? 'C.UTF-8',
    TMPDIR: files.tempDir,
    CLE_CONFIG: files.configFile,
  };
}

/** How long the rest of a node may take to vanish after SIGKILL. */
const restEndMs = 2_000;

/**
 * The leader has ended: what it left of its group is killed and waited for. A foreign command may also have children that left
 * the group; they are known by their environment.
 */
export async function endRest(group: number, command: NodeCommand, files: NodeFolder): Promise<void> {
  if ('shell' in command) endByEnvironment(`CLE_CONFIG=${files.configFile}`);
  if (!signalGroup(group, 'SIGKILL')) return;
  const deadline = performance.now() + restEndMs;
  while (membersOf(group).size > 0 && performance.now() < deadline) await delay(5);
}

/** What is wrong with the command itself, by the system's code; anything else is this host's want of processes, files or memory. */
const wrongCommand: Record<string, (program: string) => string> = {
  ENOENT: (program) => `there is no program "${program}"`,
  EACCES: (program) => `"${program}" may not be executed`,
  ENOTDIR: (program) => `there is no program "${program}"`,
  ENOEXEC: (program) => `"${program}" is no program for this host`,
};

/** Why there is no process at all, where the command is to blame; null: this host is. */
export function startError({ code }: NodeJS.ErrnoException, command: NodeCommand): string | null {
  const program = 'argv' in command ? command.argv[0]! : '/bin/sh';
  return wrongCommand[code ?? '']?.(program) ?? null;
}
