/**
 * Removes what dead harnesses left on this machine: processes, folders, proxies in somebody's Toxiproxy. Runs whose harness
 * lives are left alone. Called at every start and by `down`; engines with other resources add their own sweep.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeProxies } from './links/remove-proxies.ts';
import { createToxiproxyClient } from './links/toxiproxy-client.ts';
import { endByEnvironment, isErrno, membersOf, signalGroup, startTimeOf } from './os-process.ts';
import {
  type ForeignProxies,
  machineFacts,
  removeAllButRecord,
  removeFolder,
  runsRoot,
} from './run-record.ts';

export interface SweptRun {
  id: string;
  /** Processes that had to be ended. */
  processes: number;
  /** Proxies removed from a server that was not ours. */
  proxies: number;
}

export interface Swept {
  removed: SweptRun[];
  /** Ids of runs that are alive and were left alone. */
  alive: string[];
  /** Dead runs of which something is left on a server that is not ours, and what it said. */
  kept: { id: string; because: string }[];
}

/** Of one call to somebody's Toxiproxy. */
const callWithinMs = 5_000;

/** Whether the harness that owns a run id still runs. Ids that are no run ids are nobody's: true, so that they stay. */
export function ownerLives(id: string): boolean {
  const match = id.match(/^(\d+)-([^-]+)-\d+$/);
  if (match === null) return true;
  return startTimeOf(Number(match[1])) === match[2];
}

export async function sweep(): Promise<Swept> {
  const swept: Swept = { removed: [], alive: [], kept: [] };
  for (const id of runIds()) {
    const folder = join(runsRoot(), id);
    if (ownerLives(id) || livesElsewhere(folder)) {
      swept.alive.push(id);
      continue;
    }
    // Nobody may be dialling through the proxies any more when they go.
    const processes = await endProcessesOf(folder);
    const { proxies, because } = await removeOutside(folder);
    if (because === null) {
      await removeFolder(folder);
      swept.removed.push({ id, processes, proxies });
    } else {
      // Its record is all that says whose they are: the next sweep tries again.
      await removeAllButRecord(folder);
      swept.kept.push({ id, because });
    }
  }
  return swept;
}

function runIds(): string[] {
  try {
    return readdirSync(runsRoot()).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Two containers may share a temporary folder and not see each other's processes: such a run is not ours to judge. */
function livesElsewhere(folder: string): boolean {
  const text = textOf(join(folder, 'run.json'));
  if (text === '') return false;
  try {
    const then = JSON.parse(text) as ReturnType<typeof machineFacts>;
    const now = machineFacts();
    return then.bootId === now.bootId && then.pidNamespace !== now.pidNamespace;
  } catch {
    return false;
  }
}

/** Ends all processes of a dead run: its groups whose leader is still the one written down, and whoever has its environment. */
async function endProcessesOf(folder: string): Promise<number> {
  const ended = new Set<number>();
  const groups = groupsOf(textOf(join(folder, 'children')));
  for (let pass = 0; pass < 100; pass += 1) {
    let left = 0;
    for (const [group, startTime] of groups) {
      if (startTimeOf(group) !== startTime || membersOf(group).size === 0) continue;
      if (signalGroup(group, 'SIGKILL')) left += 1;
      ended.add(group);
    }
    for (const pid of endByEnvironment(`CLE_CONFIG=${folder}/`)) {
      ended.add(pid);
      left += 1;
    }
    if (left === 0) break;
    await delay(20);
  }
  return ended.size;
}

/** The journal's groups that were started and not seen to end: group → start time of its leader. */
function groupsOf(journal: string): Map<number, string> {
  const groups = new Map<number, string>();
  for (const line of journal.split('\n')) {
    const [verb, group, startTime] = line.split(' ');
    if (verb === '+' && startTime !== undefined) groups.set(Number(group), startTime);
    if (verb === '-') groups.delete(Number(group));
  }
  return groups;
}

/** From every server that the run wrote down. */
async function removeOutside(folder: string): Promise<{ proxies: number; because: string | null }> {
  const swept: { proxies: number; because: string | null } = { proxies: 0, because: null };
  for (const line of textOf(join(folder, 'outside')).split('\n')) {
    if (line === '') continue;
    const { apiUrl, prefix } = JSON.parse(line) as ForeignProxies;
    const client = createToxiproxyClient(apiUrl, { timeoutMs: callWithinMs });
    const { removed, because } = await removeProxies(client, (name) => name.startsWith(prefix));
    client.close();
    swept.proxies += removed;
    swept.because ??= because;
  }
  return swept;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
