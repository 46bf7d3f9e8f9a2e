/**
 * A measured gossip net: one process per member, told over IPC what to do, asked afterwards what arrived. Owns the
 * processes. Knows neither protocol: a member is a file that serves `member.mjs`.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';

export interface NetSpec {
  /** Shown in the table. */
  name: string;
  /** The member's module; run by `node` with `execArgv`. */
  file: string;
  execArgv?: string[];
  members: number;
  options: Record<string, unknown>;
}

export interface Report {
  delivered: number;
  histogram: [ms: number, count: number][];
  cpuUs: number;
  counters: Record<string, number>;
}

interface Answer {
  id: number;
  error?: string;
}

interface Member {
  call<T>(command: string, args?: object, withinMs?: number): Promise<T>;
  child: ChildProcess;
}

export interface Net {
  spec: NetSpec;
  /** Runs one open-loop step at `ratePerSecond` over the whole net. */
  publish(step: number, ratePerSecond: number, durationMs: number): Promise<number>;
  report(step: number): Promise<Report[]>;
  stop(): Promise<void>;
}

function member(spec: NetSpec): Member {
  const child = fork(spec.file, [], {
    execArgv: spec.execArgv ?? [],
    serialization: 'json',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  let nextId = 0;
  child.on('message', (answer: Answer) => {
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.error === undefined) call?.resolve(answer as never);
    else call?.reject(new Error(`${spec.name}: ${answer.error}`));
  });
  child.on('exit', (code, signal) => {
    for (const call of waiting.values()) call.reject(new Error(`${spec.name}: ended (${signal ?? code})`));
    waiting.clear();
  });
  return {
    child,
    call: (command, args = {}, withinMs = 60_000) =>
      new Promise((resolve, reject) => {
        const id = nextId++;
        const timer = setTimeout(() => reject(new Error(`${spec.name}: ${command}: no answer`)), withinMs);
        const done =
          <T>(settle: (value: T) => void) =>
          (value: T) => {
            clearTimeout(timer);
            settle(value);
          };
        waiting.set(id, { resolve: done(resolve), reject: done(reject) });
        child.send({ id, command, ...args });
      }),
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Starts every member, then connects each to all that started before it. */
export async function startNet(spec: NetSpec): Promise<Net> {
  const members = Array.from({ length: spec.members }, () => member(spec));
  const all = <T>(command: string, args: (index: number) => object, withinMs?: number): Promise<T[]> =>
    Promise.all(members.map((m, index) => m.call<T>(command, args(index), withinMs)));
  const stop = async (): Promise<void> => {
    await Promise.all(
      members.map(async ({ child, call }) => {
        if (child.connected) await call('stop', {}, 5_000).catch(() => child.kill('SIGKILL'));
        await ended(child);
      }),
    );
  };
  try {
    const started = await all<{ address: string }>('start', (index) => ({ index, options: spec.options }));
    const addresses = started.map((s) => s.address);
    await all('connect', (index) => ({ addresses: addresses.slice(0, index) }));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    spec,
    publish: async (step, ratePerSecond, durationMs) => {
      const each = { step, ratePerSecond: ratePerSecond / spec.members, durationMs };
      const published = await all<{ published: number }>('publish', () => each, durationMs + 60_000);
      return published.reduce((sum, p) => sum + p.published, 0);
    },
    report: (step) => all<Report>('report', () => ({ step })),
    stop,
  };
}

/** Cores that the members share; printed with every figure. */
export const cores = availableParallelism();
