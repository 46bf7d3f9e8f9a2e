/**
 * The one life cycle of a run: plan → start → settle → load ‖ (apply fault → receipt) → cure all → converge → judge → stop. Names no
 * engine. Whatever happens, what was started is stopped; everything else is written into the history and judged from there.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Engine, EngineEvent, EngineOptions, RunningTestnet } from '../harness/engine.ts';
import type { History } from '../harness/history.ts';
import { watchHost } from '../harness/host.ts';
import { type Judgement, judge } from '../harness/judge.ts';
import { runLoad } from '../harness/load.ts';
import { pollMs } from '../harness/metrics.ts';
import { createObservers } from '../harness/observers.ts';
import type { Plan, PlannedNode } from '../harness/plan.ts';
import { createRecorder, type Recorder, type RunEvent } from '../harness/recorder.ts';
import { leftBehind } from '../harness/run-record.ts';
import { openAuthority } from '../harness/wire/authority.ts';
import { createBook, type MonitorBook } from '../harness/wire/monitors.ts';
import { obstacle, runFault } from './faults.ts';
import { bringUp, type Ground, lifeEnds, lifeReady } from './ground.ts';

export interface RunOptions {
  /** Handed to the engine; its `onEvent`, `onPrepared` and `signal` are used here, and what it says comes as `RunEvent`s. */
  engine: Omit<EngineOptions, 'onEvent' | 'onPrepared' | 'signal'>;
  onEvent?: (event: RunEvent) => void;
  /** Ends the run early: everything is stopped and `runScenario` rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface RunRecord extends Judgement {
  history: History;
}

/** Rejects only with a UsageError of the engine, the abort reason, or our own bug. */
export async function runScenario(plan: Plan, engine: Engine, options: RunOptions): Promise<RunRecord> {
  const recorder = createRecorder(plan, engine, performance.now(), options.onEvent ?? (() => {}));
  const aborted = new AbortController();
  const signal =
    options.signal === undefined ? aborted.signal : AbortSignal.any([aborted.signal, options.signal]);
  const book = createBook();
  let testnet: RunningTestnet | null = null;
  let ground: Ground | null = null;
  let stopWatching = async (): Promise<void> => {};
  const begin = async (prepared: RunningTestnet): Promise<Ground> => {
    testnet = prepared;
    const begun = await prepare(plan, engine, prepared, recorder, book, signal);
    // From before the first node on: when each dials first is measured.
    stopWatching = watchLinks(begun);
    return begun;
  };
  const host = watchHost(() => pidsOf(testnet));
  try {
    recorder.stage('start', `${plan.nodes.length} nodes, seed ${plan.seed}`);
    testnet = await engine.start(plan, {
      ...options.engine,
      signal,
      onEvent: (event) => onEngineEvent(event, ground, recorder),
      onPrepared: async (prepared) => {
        ground = await begin(prepared);
      },
    });
    ground ??= await begin(testnet);
    await throughStages(ground, signal);
    await stopWatching();
    signal.throwIfAborted();
    close(recorder, book, plan);
    const health = host.health();
    // Delays that the fault plane added without being asked are as little the nodes' as those of the host.
    const saturated = recorder.history.linkAudit?.saturated ?? null;
    Object.assign(recorder.history.host, {
      seconds: health.seconds.map((second) => ({ ...second, at: recorder.at(second.at) })),
      overloaded: health.overloaded || saturated !== null,
      because: saturated === null ? health.because : `${saturated}. ${health.because}`,
    });
    return { history: recorder.history, ...judge(recorder.history) };
  } finally {
    aborted.abort();
    await stopWatching();
    recorder.stage('stop', 'everything goes');
    host.stop();
    (ground as Ground | null)?.observers.close();
    // What was judged, or why it was not, counts for more than what could not be taken down.
    await (testnet as RunningTestnet | null)
      ?.stop()
      .catch((error: unknown) => recorder.note(leftBehind(error)));
  }
}

function pidsOf(testnet: RunningTestnet | null): Map<string, number> {
  const pids = new Map<string, number>();
  for (const [name, { pid }] of testnet?.nodes ?? []) if (typeof pid === 'number') pids.set(name, pid);
  return pids;
}

async function prepare(
  plan: Plan,
  engine: Engine,
  testnet: RunningTestnet,
  recorder: Recorder,
  book: MonitorBook,
  signal: AbortSignal,
): Promise<Ground> {
  const authority = await openAuthority(testnet.ca.certificatePem, testnet.ca.keyPem);
  const observers = await createObservers({ recorder, authority, book });
  for (const node of plan.nodes) {
    if (node.startAtMs === 0) recorder.lifeBegins(node.name, recorder.now(), false);
  }
  return { plan, abilities: engine.abilities, testnet, observers, recorder, authority, book, signal };
}

/** First starts come ready by the engine's word; a node that ends untold has failed, whenever that is. */
function onEngineEvent(event: EngineEvent, ground: Ground | null, recorder: Recorder): void {
  if (event.kind === 'info') {
    recorder.note(event.text);
    return;
  }
  if (event.kind === 'trouble') {
    recorder.trouble(event.text);
    return;
  }
  const life = recorder.life(event.node);
  if (event.state === 'ready' && ground !== null && life?.number === 0 && life.readyAt === null) {
    firstReady(ground, event.node);
  } else if (event.state === 'failed' && ground !== null && life !== null) {
    ground.observers.expectEnd(event.node);
    lifeEnds(ground, event.node, `failed: ${event.detail ?? 'no reason given'}`, recorder.now());
  } else if (event.state !== 'ready') {
    recorder.emit({
      kind: 'node',
      node: event.node,
      state: event.state,
      at: recorder.now(),
      detail: event.detail ?? null,
    });
  }
}

function firstReady(ground: Ground, node: string): void {
  const { recorder, testnet } = ground;
  const life = recorder.life(node);
  // Late joiners are brought up by the run itself, which knows their instants.
  if (life === null || ground.plan.nodes.find(({ name }) => name === node)!.startAtMs > 0) return;
  const instants = testnet.readyAtMs.get(node);
  const readyAt = instants === undefined ? recorder.now() : recorder.at(instants.readyAt);
  if (instants !== undefined) life.startedAt = recorder.at(instants.startedAt);
  lifeReady(ground, life, readyAt, readyAt);
}

async function throughStages(ground: Ground, signal: AbortSignal): Promise<void> {
  const { plan, recorder, observers, testnet } = ground;
  for (const { name, startAtMs } of plan.nodes) {
    if (startAtMs > 0) continue;
    const life = recorder.life(name);
    if (life?.readyAt !== null) continue;
    // An engine that told no events still knows its nodes' states.
    if (testnet.nodes.get(name)!.state === 'ready') firstReady(ground, name);
    else
      lifeEnds(
        ground,
        name,
        `failed: ${testnet.nodes.get(name)!.failure ?? 'never accepted TLS'}`,
        recorder.now(),
      );
  }
  observers.allStarted();
  const stopTelling = tellProgress(ground);
  try {
    recorder.stage('settle', 'the nodes find each other');
    await waitUntil(() => observers.foundPeers().done === observers.foundPeers().of, plan.settleMs, signal);
    recorder.stage('load', `commits for ${plan.durationMs / 1000} s, ${plan.faults.length} faults`);
    const loadAt = performance.now();
    for (const fault of plan.faults) {
      const why = obstacle(fault, ground.abilities);
      if (why !== null) recorder.note(`fault ${fault.id} is skipped: ${why}`);
    }
    await Promise.all([
      runLoad(recorder, observers, signal),
      ...plan.faults.map((fault) => runFault(fault, ground, loadAt)),
      ...plan.nodes.filter(({ startAtMs }) => startAtMs > 0).map((node) => joinLate(node, ground, loadAt)),
    ]);
    signal.throwIfAborted();
    recorder.stage('converge', 'all faults are cured; the nodes catch up');
    await converge(ground, signal);
    recorder.stage('judge', 'what every node holds');
    await observers.census();
    await audit(ground);
    await testnet.links.assertHealthy().catch((error: unknown) => {
      recorder.trouble(
        `The fault plane stopped working: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
  } finally {
    stopTelling();
  }
}

async function audit({ testnet, recorder }: Ground): Promise<void> {
  try {
    const found = await testnet.auditLinks?.();
    if (found !== undefined) recorder.history.linkAudit = found;
  } catch (error) {
    recorder.trouble(`The links could not be audited: ${error instanceof Error ? error.message : error}`);
  }
}

async function joinLate(node: PlannedNode, ground: Ground, loadAt: number): Promise<void> {
  const left = loadAt + node.startAtMs - performance.now();
  if (left > 0) await delay(left, undefined, { signal: ground.signal }).catch(() => {});
  if (ground.signal.aborted) return;
  await bringUp(ground, node.name, false, async () => 0);
}

/** The overlay is looked at so often in a row at the end, so that short-lived connections do not count. */
const calmSamples = 3;

/**
 * Until every node shows every item and has found its peers, and the overlay was looked at for a while; at most `settleMs`, or
 * what the sync target asks for where that is longer.
 */
async function converge(ground: Ground, signal: AbortSignal): Promise<void> {
  const { observers, plan, recorder } = ground;
  const from = recorder.now();
  const calm = (): boolean => {
    const found = observers.foundPeers();
    return Object.keys(observers.lacking()).length === 0 && found.done === found.of;
  };
  const bound = Math.max(plan.settleMs, plan.expectations.syncMs + 1_000);
  const done = await waitUntil(calm, bound, signal);
  const seen = (): number => recorder.history.linkSamples.filter(({ at }) => at > from).length;
  if (done) await waitUntil(() => seen() >= calmSamples, calmSamples * pollMs.links + 5_000, signal);
}

const stepMs = 25;

/** Whether the condition came true within the bound. */
async function waitUntil(condition: () => boolean, boundMs: number, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + boundMs;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    signal.throwIfAborted();
    await delay(stepMs);
  }
  return true;
}

/** Counters of links in use, again and again; what was never dialled is left out. */
function watchLinks({ testnet, recorder, signal }: Ground): () => Promise<void> {
  const stop = new AbortController();
  let told = false;
  const look = async (): Promise<void> => {
    const links = await testnet.links.counters();
    recorder.history.linkSamples.push({
      at: recorder.now(),
      links: links.filter(({ accepted }) => accepted !== 0),
    });
  };
  const tried = (): Promise<void> =>
    look().catch((error: unknown) => {
      // It may come back: what is looked at last must not be what was so long ago.
      if (signal.aborted || told) return;
      told = true;
      recorder.trouble(
        `Links could not be counted: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted && !signal.aborted) {
      await tried();
      await delay(pollMs.links, undefined, { signal: stop.signal }).catch(() => {});
    }
    // Once more, behind the census: it asks for peers anew, and who met meanwhile is to be in the counters.
    if (!signal.aborted) await tried();
  };
  const done = loop();
  return async () => {
    stop.abort();
    await done;
  };
}

const progressMs = 250;

function tellProgress({ observers, recorder }: Ground): () => void {
  const timer = setInterval(() => {
    recorder.emit({
      kind: 'progress',
      lacking: observers.lacking(),
      of: recorder.history.commits.length,
      peersFound: observers.foundPeers().done,
      at: recorder.now(),
    });
  }, progressMs);
  return () => clearInterval(timer);
}

/** What the monitors saw goes into the history, by node. */
function close(recorder: Recorder, book: MonitorBook, plan: Plan): void {
  const { history } = recorder;
  history.endedAt = recorder.now();
  const names = new Set(plan.nodes.map(({ name }) => name));
  for (const { row, because, connection, at } of book.violations) {
    const node = connection.split('>')[1] ?? connection;
    history.violations.push({
      row,
      node: names.has(node) ? node : connection,
      at: recorder.at(at),
      detail: because,
    });
  }
  history.monitored = Object.fromEntries(book.judged);
}
