/**
 * The host under a run: what it is (facts for verdict.json) and how it fared, second by second: the harness's own event loop,
 * CPU used by our nodes and by others, CPU stolen by the hypervisor, memory. From that follows whether a missed time target
 * says anything about the nodes. Knows no scenario; pids are handed in.
 */

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, loadavg, release, totalmem, type } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuMsByGroup } from './os-process.ts';

/** Goes into `verdict.json` as `host`. */
export interface HostFacts {
  cores: number;
  cpu: string;
  memoryMiB: number;
  kernel: string;
  node: string;
  /** Load average of the last minute when asked. */
  load1m: number;
}

export function hostFacts(): HostFacts {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: `${type()} ${release()} ${process.arch}`,
    node: process.version,
    load1m: Math.round(loadavg()[0]! * 100) / 100,
  };
}

/** The same for a reader's eyes: label and value with its unit. What is not one of the facts keeps its name. */
export function readableFacts(facts: object): [label: string, value: string][] {
  return Object.entries(facts).map(([name, value]) => {
    if (name === 'memoryMiB') return ['memory', `${(Number(value) / 1024).toFixed(1)} GiB`];
    if (name === 'overloaded') return ['host kept up', value === true ? 'no, it was overloaded' : 'yes'];
    if (name === 'load1m') return ['load average, 1 min', String(value)];
    return [name === 'node' ? 'Node.js' : name, String(value)];
  });
}

/** About one second of the host's life. Shares are of all cores together, 0 to 1. */
export interface HostSecond {
  /** performance.now at its end. */
  at: number;
  ms: number;
  /** Longest time for which the harness's event loop did not turn. */
  lagMs: number;
  busy: number;
  /** Used by the pids that were handed in. */
  nodes: number;
  /** Used by the harness itself. */
  harness: number;
  /** Taken away by the hypervisor: work that was ready and did not run. */
  stolen: number;
  availableMiB: number;
  /** Name and share of the hungriest of the handed-in pids. */
  hungriest: { name: string; share: number } | null;
}

export interface HostHealth {
  overloaded: boolean;
  /** A sentence with the figures, whichever way it went. */
  because: string;
  /** Share of the seconds in which the host had nothing left for anybody, 0 to 1. */
  pressed: number;
  seconds: readonly HostSecond[];
}

export interface HostWatch {
  /** Judges the time between two instants of performance.now; default: everything so far. */
  health(from?: number, to?: number): HostHealth;
  stop(): void;
}

const sampleMs = 1_000;
/** A stop of the event loop of this length moves a measured time by more than observers promise. */
const stallMs = 500;
/** Shares are judged over this many seconds in a row: shorter peaks are the life of any host. */
const stretch = 5;
const stolenShare = 0.1;
const idleShare = 0.03;
const leastAvailable = 0.03;

/** Samples once a second until `stop`. `nodes` gives name → pid of whatever belongs to the run at that moment. */
export function watchHost(nodes: () => ReadonlyMap<string, number>): HostWatch {
  const seconds: HostSecond[] = [];
  const loop = monitorEventLoopDelay({ resolution: 20 });
  loop.enable();
  let before = snapshot(nodes());
  const sample = (): void => {
    const now = snapshot(nodes());
    seconds.push(secondBetween(before, now, loop.max / 1e6));
    loop.reset();
    before = now;
  };
  const timer = setInterval(sample, sampleMs);
  timer.unref();
  return {
    health: (from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY) =>
      judgeHost(
        seconds.filter((second) => second.at > from && second.at - second.ms < to),
        availableParallelism(),
        totalmem() / 2 ** 20,
      ),
    stop: () => {
      clearInterval(timer);
      if (performance.now() - before.at > 100) sample();
      loop.disable();
    },
  };
}

/** The verdict on a stretch of seconds; pure. */
export function judgeHost(seconds: readonly HostSecond[], cores: number, memoryMiB: number): HostHealth {
  const complaints = [
    stallComplaint(seconds),
    stolenComplaint(seconds),
    busyComplaint(seconds, cores),
    memoryComplaint(seconds, memoryMiB),
  ].filter((complaint) => complaint !== null);
  const pressed = mean(seconds.map((second) => (isPressed(second, memoryMiB) ? 1 : 0)));
  if (complaints.length > 0) {
    const because = `The host was overloaded: ${complaints.join('; ')}.`;
    return { overloaded: true, because, pressed, seconds };
  }
  if (seconds.length === 0)
    return { overloaded: false, because: 'The host was not watched.', pressed, seconds };
  const worstLag = Math.max(...seconds.map(({ lagMs }) => lagMs));
  const busy = mean(seconds.map((second) => second.busy));
  return {
    overloaded: false,
    because: `The host kept up: ${percent(busy)} of ${cores} cores in use, longest stop of the harness ${Math.round(worstLag)} ms.`,
    pressed,
    seconds,
  };
}

/** Whether the host had nothing left for anybody in that second. */
export function isPressed({ lagMs, stolen, busy, availableMiB }: HostSecond, memoryMiB: number): boolean {
  const isShort = availableMiB < memoryMiB * leastAvailable;
  return lagMs >= stallMs || stolen >= stolenShare || busy >= 1 - idleShare || isShort;
}

function stallComplaint(seconds: readonly HostSecond[]): string | null {
  const stalls = seconds.filter(({ lagMs }) => lagMs >= stallMs);
  if (stalls.length === 0) return null;
  const worst = Math.max(...stalls.map(({ lagMs }) => lagMs));
  const often = stalls.length === 1 ? 'once' : `${stalls.length} times`;
  return `the harness itself stood still ${often}, for up to ${Math.round(worst)} ms`;
}

function stolenComplaint(seconds: readonly HostSecond[]): string | null {
  const worst = Math.max(0, ...stretches(seconds).map((some) => mean(some.map(({ stolen }) => stolen))));
  if (worst < stolenShare) return null;
  return `the hypervisor took ${percent(worst)} of the CPU time over ${stretch} s`;
}

/** No idle time left. Who used it decides whether the host was too busy or too small, or one node too hungry. */
function busyComplaint(seconds: readonly HostSecond[], cores: number): string | null {
  const full = stretches(seconds).filter((some) => some.every(({ busy }) => busy >= 1 - idleShare));
  if (full.length === 0) return null;
  const worst = full.reduce((most, some) =>
    mean(some.map(othersOf)) > mean(most.map(othersOf)) ? some : most,
  );
  const [nodes, harness, others] = [
    ({ nodes }: HostSecond) => nodes,
    ({ harness }: HostSecond) => harness,
    othersOf,
  ].map((part) => percent(mean(worst.map(part))));
  const hungry = worst
    .map(({ hungriest }) => hungriest)
    .filter((one) => one !== null && one.share > 0.5 / cores);
  const name = hungry.length === worst.length ? `, most of that ${hungry[0]!.name}` : '';
  return `no idle CPU for ${stretch} s or more on ${cores} cores (nodes ${nodes}${name}, harness ${harness}, others ${others})`;
}

function memoryComplaint(seconds: readonly HostSecond[], memoryMiB: number): string | null {
  const least = Math.min(...seconds.map(({ availableMiB }) => availableMiB));
  if (least >= memoryMiB * leastAvailable) return null;
  return `only ${Math.round(least)} MiB of memory were left`;
}

const othersOf = (second: HostSecond): number => Math.max(0, second.busy - second.nodes - second.harness);

/** From so full a host others took so much that what was slow in that second may have been slow for want of it. */
const crowdedBusy = 0.9;
const crowdedOthers = 0.25;

/**
 * What others than nodes and harness used of the host between two instants of the run, if that was much of a host that was nearly
 * full: a container engine that starts nodes takes more than the nodes do. null: they left enough.
 */
export function crowdedOut(seconds: readonly HostSecond[], from: number, to: number): number | null {
  const then = seconds.filter((second) => second.at > from && second.at - second.ms < to);
  if (then.length === 0) return null;
  const others = mean(then.map(othersOf));
  return mean(then.map(({ busy }) => busy)) >= crowdedBusy && others >= crowdedOthers ? others : null;
}

function stretches(seconds: readonly HostSecond[]): HostSecond[][] {
  const found: HostSecond[][] = [];
  for (let end = stretch; end <= seconds.length; end += 1) found.push(seconds.slice(end - stretch, end));
  return found;
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** Counters at one instant; seconds are differences of them. */
interface Snapshot {
  at: number;
  /** Over all cores, ms. */
  busyMs: number;
  idleMs: number;
  stolenMs: number;
  harnessMs: number;
  nodesMs: Map<string, { pid: number; ms: number }>;
}

function snapshot(nodes: ReadonlyMap<string, number>): Snapshot {
  const { user, system } = process.cpuUsage();
  const { ofProcess, ofGroup } = cpuMsByGroup();
  // A node's process leads a group of its own; in a container it may be in somebody else's.
  const nodesMs = new Map(
    [...nodes].map(([name, pid]) => [name, { pid, ms: ofGroup.get(pid) ?? ofProcess.get(pid) ?? 0 }]),
  );
  return { at: performance.now(), ...coreTimes(), harnessMs: (user + system) / 1000, nodesMs };
}

const lookMs = 60;
const roomShare = 0.15;
const roomWithinMs = 1_000;

/**
 * Resolves when the processors have had something to spare for a moment, at the latest after a second. Nodes that are all
 * started at once meet each other late, and their targets would say more of the host than of them.
 */
export async function roomOnHost(signal?: AbortSignal): Promise<void> {
  const deadline = performance.now() + roomWithinMs;
  for (let before = coreTimes(); performance.now() < deadline && !signal?.aborted; ) {
    await delay(lookMs);
    const now = coreTimes();
    const idleMs = now.idleMs - before.idleMs;
    if (idleMs >= roomShare * (idleMs + now.busyMs - before.busyMs)) return;
    before = now;
  }
}

function coreTimes(): { busyMs: number; idleMs: number; stolenMs: number } {
  if (process.platform === 'linux') {
    // cpu user nice system idle iowait irq softirq steal …, in ticks of 10 ms.
    const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!;
    const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
    const [user, nice, system, idle, iowait, irq, softirq, steal] = ticks as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return {
      busyMs: (user + nice + system + irq + softirq) * 10,
      idleMs: (idle + iowait) * 10,
      stolenMs: steal * 10,
    };
  }
  const times = cpus().map((core) => core.times);
  const idleMs = times.reduce((sum, { idle }) => sum + idle, 0);
  const busyMs = times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0);
  return { busyMs, idleMs, stolenMs: 0 };
}

function secondBetween(before: Snapshot, now: Snapshot, lagMs: number): HostSecond {
  const busyMs = now.busyMs - before.busyMs;
  const stolenMs = now.stolenMs - before.stolenMs;
  const total = Math.max(1, busyMs + stolenMs + now.idleMs - before.idleMs);
  const used = [...now.nodesMs].map(([name, { pid, ms }]) => {
    const then = before.nodesMs.get(name);
    // A restarted node has another pid and counts from nothing.
    return { name, share: Math.max(0, ms - (then?.pid === pid ? then.ms : 0)) / total };
  });
  return {
    at: now.at,
    ms: now.at - before.at,
    lagMs,
    busy: busyMs / total,
    nodes: used.reduce((sum, { share }) => sum + share, 0),
    harness: (now.harnessMs - before.harnessMs) / total,
    stolen: stolenMs / total,
    availableMiB: availableMiB(),
    hungriest: used.reduce<HostSecond['hungriest']>(
      (most, one) => (most === null || one.share > most.share ? one : most),
      null,
    ),
  };
}

function availableMiB(): number {
  if (process.platform !== 'linux') return freemem() / 2 ** 20;
  const text = readFileSync('/proc/meminfo', 'latin1');
  return Number(text.match(/^MemAvailable:\s+(\d+) kB/m)?.[1] ?? 0) / 1024;
}
