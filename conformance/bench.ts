/**
 * What a row gets: nodes to judge, puppets to judge them with, seeded chance, a transcript that writes itself, and an end at
 * which everything is taken down. Holds no knowledge of any requirement; the primitives that reach verdicts are expect.ts.
 */

import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { HostWatch } from '../harness/host.ts';
import { type Rng, rng, seededUuid } from '../harness/rng.ts';
import { UsageError } from '../harness/usage-error.ts';
import { sha256 } from '../harness/wire/identity.ts';
import type { Watch } from './monitors.ts';
import { createPuppet, type Puppet, type PuppetOptions } from './puppet.ts';
import { fail, late, notApplicable, type Outcome, type Requirement, wantsFreshNode } from './requirement.ts';
import type { Crash } from './summary.ts';
import type { FailedStart, Lease, NodeOptions, NodeUnderTest, Target } from './target.ts';
import type { TranscriptLine } from './transcript.ts';
import { createWaits, type Waits } from './waits.ts';

/** What all rows of a run have in common. */
export interface RunContext {
  readonly target: Target;
  readonly seed: number;
  /**
   * How often the row was judged before in this run. Puppets, ids and the mark are others each time: a node that lives on remembers
   * those of the last. What the row draws stays.
   */
  readonly hearing: number;
  /** `--thorough`: rows that can take the sizes and waits which their requirements name do. */
  readonly thorough: boolean;
  readonly host: HostWatch;
  readonly watch: Watch;
  /** Aborted when the run is to end early: what is not judged by then stays open. Null where nobody can end it. */
  readonly ended: AbortSignal | null;
}

export interface Bench {
  readonly row: Requirement;
  readonly seed: number;
  /** The row is to take the sizes and waits that its requirement names, at the price that its `thorough` says. */
  readonly thorough: boolean;
  /** Seeded by the run's seed and the row's id. */
  readonly random: Rng;
  readonly target: Target;
  readonly watch: Watch;
  /** Empty where nodes begin with nothing; else 16 hex digits that no commit of an earlier run or row holds. */
  readonly mark: string;
  /** Aborted when the row is over, whether it has returned or not. */
  readonly signal: AbortSignal;
  uuid(): string;
  /**
   * A running node that other rows use at the same time: for rows that only connect by `sync`, are refused, or look at TLS and
   * envelopes. Never for fan-out, peer counts, parameters, restarts, or more than 2 persistent connections.
   */
  shared(): Promise<NodeUnderTest>;
  /** A node for this row alone, freshly started (with --address: the one node, alone for a while, if no option is given). */
  node(options?: NodeOptions): Promise<NodeUnderTest>;
  /** Several, started side by side. */
  nodes(count: number, options?: (index: number) => NodeOptions): Promise<NodeUnderTest[]>;
  /** A node that should refuse its configuration; null if it still runs after `withinMs` (default 10 000). */
  startAndExit(options: NodeOptions, withinMs?: number): Promise<FailedStart | null>;
  /** An identity of the network's CA that dials and listens. One name, one identity, one key per row and seed. */
  puppet(name: string, options?: PuppetOptions): Promise<Puppet>;
  puppets(count: number, prefix?: string, options?: PuppetOptions): Promise<Puppet[]>;
  /** Says what the row is doing; stands in time-outs, assertion failures and the transcript. */
  step(what: string): void;
  note(text: string): void;
  sleep(ms: number, why: string): Promise<void>;
  /** Polls `look` until it gives something but undefined, null or false; fails (late) after `withinMs`. */
  waitFor<T>(
    what: string,
    withinMs: number,
    look: () => T | Promise<T>,
  ): Promise<NonNullable<Exclude<T, false>>>;
  /** Run at the end of the row, last one first. */
  onClose(cleanup: () => unknown): void;
}

/** The bench as its row's judge holds it. */
export interface OpenBench {
  bench: Bench;
  step(): string;
  note(text: string): void;
  /** Settles with a fail when a node that the row has ends by itself; never otherwise. */
  crashed: Promise<Outcome>;
  sharedCrash(): Crash | null;
  /** ms of work so far; waiting in a queue for a node does not count. */
  activeMs(): number;
  onClose(timer: NodeJS.Timeout): void;
  transcript(): readonly TranscriptLine[];
  close(): Promise<void>;
}

interface State {
  readonly row: Requirement;
  readonly context: RunContext;
  readonly alone: boolean;
  readonly startedAt: number;
  readonly lines: TranscriptLine[];
  readonly waits: Waits;
  readonly abort: AbortController;
  readonly cleanups: (() => unknown)[];
  readonly puppets: Map<string, Promise<Puppet>>;
  readonly crash: (outcome: Outcome) => void;
  step: string;
  queuedMs: number;
  queueing: number;
  queueingSince: number;
  sharedCrash: Crash | null;
  holds: 'shared' | 'own' | null;
  sharedLease: Promise<NodeUnderTest> | null;
}

/** More lines than this are not kept: a flood would fill the memory. */
const mostLines = 20_000;

export function openBench(row: Requirement, context: RunContext, alone: boolean): OpenBench {
  let crash: (outcome: Outcome) => void = () => {};
  const crashed = new Promise<Outcome>((resolve) => {
    crash = resolve;
  });
  const abort = new AbortController();
  // Each wait of a row listens to its end, and a row may wait for dozens of things at once.
  setMaxListeners(0, abort.signal);
  const state: State = {
    row,
    context,
    alone,
    startedAt: performance.now(),
    lines: [],
    waits: createWaits(),
    abort,
    cleanups: [],
    puppets: new Map(),
    crash,
    step: 'beginning',
    queuedMs: 0,
    queueing: 0,
    queueingSince: 0,
    sharedCrash: null,
    holds: null,
    sharedLease: null,
  };
  return {
    bench: benchOf(state),
    step: () => state.step,
    note: (text) => note(state, text),
    crashed,
    sharedCrash: () => state.sharedCrash,
    activeMs: () => {
      const queueing = state.queueing > 0 ? performance.now() - state.queueingSince : 0;
      return performance.now() - state.startedAt - state.queuedMs - queueing;
    },
    onClose: (timer) => void state.cleanups.push(() => clearTimeout(timer)),
    transcript: () => [...state.lines, ...state.waits.ends()].sort((a, b) => a.atMs - b.atMs),
    close: () => close(state),
  };
}

function benchOf(state: State): Bench {
  const { row, context } = state;
  const random = rng(context.seed, 'conformance', row.id);
  const ids = rng(context.seed, 'conformance', nameOf(state), 'uuid');
  const bench: Bench = {
    row,
    seed: context.seed,
    thorough: context.thorough,
    random,
    target: context.target,
    watch: context.watch,
    mark: markOf(state),
    signal: state.abort.signal,
    uuid: () => seededUuid(ids),
    shared: () => shared(state),
    node: (options = {}) => own(state, options),
    nodes: (count, options = () => ({})) =>
      Promise.all(Array.from({ length: count }, (_, index) => own(state, options(index)))),
    startAndExit: (options, withinMs = 10_000) =>
      queued(state, () => context.target.startAndExit(row.id, options, withinMs)),
    puppet: (name, options = {}) => puppet(state, name, options),
    puppets: (count, prefix = 'puppet', options = {}) =>
      Promise.all(Array.from({ length: count }, (_, i) => puppet(state, `${prefix}-${i + 1}`, options))),
    step: (what) => {
      state.step = what;
      note(state, what);
    },
    note: (text) => note(state, text),
    sleep: async (ms, why) => {
      state.step = why;
      if (state.waits.begins(why, ms, performance.now() - state.startedAt))
        note(state, `${why} (${Math.round(ms)} ms)`);
      await delay(ms, undefined, { signal: state.abort.signal });
    },
    waitFor: (what, withinMs, look) => waitFor(state, what, withinMs, look),
    onClose: (cleanup) => void state.cleanups.push(cleanup),
  };
  return bench;
}

function note(state: State, text: string): void {
  line(state, { atMs: performance.now() - state.startedAt, who: 'bench', direction: 'note', text });
}

function line(state: State, entry: TranscriptLine): void {
  if (state.lines.length < mostLines) state.lines.push(entry);
}

async function queued<T>(state: State, get: () => Promise<T>): Promise<T> {
  if (state.queueing === 0) state.queueingSince = performance.now();
  state.queueing += 1;
  try {
    return await get();
  } finally {
    state.queueing -= 1;
    if (state.queueing === 0) state.queuedMs += performance.now() - state.queueingSince;
  }
}

function shared(state: State): Promise<NodeUnderTest> {
  if (state.alone) {
    state.sharedLease ??= own(state, {});
    return state.sharedLease;
  }
  refuseMixing(state, 'shared');
  state.sharedLease ??= lease(state, (onCrash) => state.context.target.shared(state.row.id, onCrash), true);
  return state.sharedLease;
}

function own(state: State, options: NodeOptions): Promise<NodeUnderTest> {
  refuseMixing(state, 'own');
  const wanted = { ...options, fresh: wantsFreshNode(state.row) };
  return lease(state, (onCrash) => state.context.target.own(state.row.id, wanted, onCrash), false);
}

/** One node at one address cannot be shared and alone at once, nor be two: a row that asked would wait for itself. */
function refuseMixing(state: State, wanted: 'shared' | 'own'): void {
  if (state.context.target.abilities.has('instances')) return;
  if (state.holds !== null && (state.holds !== wanted || wanted === 'own'))
    notApplicable('needs several nodes: --address cannot give that');
  state.holds = wanted;
}

function markOf(state: State): string {
  const { target, seed } = state.context;
  return target.salt === '' ? '' : sha256(`${target.salt}/${seed}/${nameOf(state)}`).slice(0, 16);
}

/** Of the row in this hearing: the first of them is named as the row, so that a replay meets the same. */
function nameOf({ row, context }: State): string {
  return context.hearing === 0 ? row.id : `${row.id} again ${context.hearing}`;
}

async function lease(
  state: State,
  get: (onCrash: (crash: Crash) => void) => Promise<Lease>,
  isShared: boolean,
): Promise<NodeUnderTest> {
  const { node, release } = await queued(state, () => get((crash) => onCrash(state, crash, isShared))).catch(
    (error: Error) => {
      if (error instanceof UsageError) return fail(`the node did not come up: ${error.message}`);
      throw error;
    },
  );
  if (state.abort.signal.aborted) {
    await release();
    throw new Error('the row is over');
  }
  state.cleanups.push(release);
  note(
    state,
    `${node.name} at ${node.address} ${JSON.stringify(node.parameters)}${isShared ? ' (shared)' : ''}`,
  );
  return node;
}

function onCrash(state: State, crash: Crash, isShared: boolean): void {
  note(state, `${crash.node} ${crash.how}\n${crash.logTail.join('\n')}`);
  if (isShared) state.sharedCrash = crash;
  const because = `${crash.node} ended by itself while ${state.step}: ${crash.how}`;
  state.crash({ verdict: 'fail', because, evidence: [...crash.logTail], isCrash: true });
}

function puppet(state: State, name: string, options: PuppetOptions): Promise<Puppet> {
  const known = state.puppets.get(name);
  if (known !== undefined) return known;
  const made = createPuppet(name, options, {
    seed: `${state.context.seed}/${nameOf(state)}`,
    target: state.context.target,
    startedAt: state.startedAt,
    watch: state.context.watch,
    line: (entry) => line(state, entry),
    onClose: (cleanup) => void state.cleanups.push(cleanup),
  });
  state.puppets.set(name, made);
  return made;
}

/** Looks often at first, then every 50 ms. */
async function waitFor<T>(
  state: State,
  what: string,
  withinMs: number,
  look: () => T | Promise<T>,
): Promise<NonNullable<Exclude<T, false>>> {
  state.step = `waiting for ${what}`;
  const deadline = performance.now() + withinMs;
  for (let pauseMs = 5; ; pauseMs = Math.min(50, pauseMs * 2)) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false)
      return found as NonNullable<Exclude<T, false>>;
    if (performance.now() > deadline) late(`no ${what} within ${withinMs} ms`);
    await delay(pauseMs, undefined, { signal: state.abort.signal });
  }
}

async function close(state: State): Promise<void> {
  state.abort.abort();
  for (const cleanup of state.cleanups.reverse()) {
    try {
      await cleanup();
    } catch (error) {
      note(state, `cleaning up: ${(error as Error).message}`);
    }
  }
}
