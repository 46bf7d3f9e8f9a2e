/**
 * What the operating system says about processes: start time, state, group, environment and CPU time. Read from /proc on
 * Linux, from `ps` elsewhere. It only looks; who may be ended, and why, is decided by the callers.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const hasProc = process.platform === 'linux';

/** One line of /proc/<pid>/stat, as far as it is used here. */
interface Stat {
  /** One letter: R S D T t Z X I. */
  state: string;
  group: number;
  /** In clock ticks of 10 ms. */
  cpuTicks: number;
  /** Ticks since the boot; with the pid it names a process for ever. */
  startTicks: string;
}

function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name stands in parentheses and may hold blanks and parentheses itself.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      state: fields[0]!,
      group: Number(fields[2]),
      cpuTicks: Number(fields[11]) + Number(fields[12]),
      startTicks: fields[19]!,
    };
  } catch {
    return null;
  }
}

function ps(column: string, pid: number): string | null {
  try {
    const text = execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return text === '' ? null : text;
  } catch {
    return null;
  }
}

/** When the process began, in some unit of this machine without blanks or `-`; null if there is none. */
export function startTimeOf(pid: number): string | null {
  if (hasProc) return statOf(pid)?.startTicks ?? null;
  const started = ps('lstart', pid);
  return started === null ? null : String(Date.parse(started) / 1000);
}

/** Members of a process group that still run: pid → state. Zombies are left out, they hold nothing. */
export function membersOf(group: number): Map<number, string> {
  const members = new Map<number, string>();
  if (!groupExists(group)) return members;
  if (hasProc) {
    for (const pid of allPids()) {
      const stat = statOf(pid);
      if (stat?.group === group && stat.state !== 'Z' && stat.state !== 'X') members.set(pid, stat.state);
    }
    return members;
  }
  for (const line of listing('pid=,pgid=,state=')) {
    const [pid, pgid, state] = line.split(/\s+/);
    if (Number(pgid) === group && !state!.startsWith('Z')) members.set(Number(pid), state!.charAt(0));
  }
  return members;
}

/** Processes whose environment holds a variable that begins so, e.g. `CLE_CONFIG=/tmp/…/`: also those that left their group. */
export function processesWithEnvironment(beginning: string): number[] {
  if (!hasProc) return [];
  return allPids().filter((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      return environment.startsWith(beginning) || environment.includes(`\0${beginning}`);
    } catch {
      return false;
    }
  });
}

/** Kills whoever has such an environment (see above); tells whom. */
export function endByEnvironment(beginning: string): number[] {
  const found = processesWithEnvironment(beginning);
  for (const pid of found) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (!isErrno(error, 'ESRCH')) throw error;
    }
  }
  return found;
}

/** Sends a signal to a group; false if nobody is left in it. */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    if (isErrno(error, 'ESRCH') || isErrno(error, 'EPERM')) return false;
    throw error;
  }
}

/** How many files this process may have open (Node raises the soft limit to the hard one at its start); null: not known. */
export function openFileLimit(): number | null {
  if (!hasProc) return null;
  const limit = readFileSync('/proc/self/limits', 'latin1').match(/^Max open files\s+(\S+)/m)?.[1];
  return limit === undefined || limit === 'unlimited' ? null : Number(limit);
}

/**
 * CPU time so far in ms of everything that runs, by process and by process group: a foreign command is a shell at whose side
 * the node itself runs. A single look at all, because there may be a hundred of them to ask about.
 */
export function cpuMsByGroup(): { ofProcess: Map<number, number>; ofGroup: Map<number, number> } {
  const ofProcess = new Map<number, number>();
  const ofGroup = new Map<number, number>();
  for (const { pid, group, cpuMs } of hasProc ? statsOfAll() : timesOfAll()) {
    ofProcess.set(pid, cpuMs);
    ofGroup.set(group, (ofGroup.get(group) ?? 0) + cpuMs);
  }
  return { ofProcess, ofGroup };
}

interface Times {
  pid: number;
  group: number;
  cpuMs: number;
}

function statsOfAll(): Times[] {
  return allPids().flatMap((pid) => {
    const stat = statOf(pid);
    return stat === null ? [] : [{ pid, group: stat.group, cpuMs: stat.cpuTicks * 10 }];
  });
}

function timesOfAll(): Times[] {
  return listing('pid=,pgid=,time=').map((line) => {
    const [pid, group, time] = line.split(/\s+/);
    return { pid: Number(pid), group: Number(group), cpuMs: msOfTime(time!) };
  });
}

/** `ps` prints days and hours only where there are some: `1-02:03:04`, `2:03.40`. */
function msOfTime(time: string): number {
  const seconds = time.split(/[-:]/).reduce((sum, part, i, parts) => {
    const perPart = i === 1 && parts.length === 4 ? 24 : 60;
    return sum * perPart + Number(part);
  }, 0);
  return seconds * 1000;
}

function groupExists(group: number): boolean {
  return signalGroup(group, 0);
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function listing(columns: string): string[] {
  const text = execFileSync('ps', ['-A', '-o', columns], { encoding: 'utf8' });
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Whether an unknown thing is a system error with this code. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}
