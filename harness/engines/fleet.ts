/**
 * What every engine does with the nodes of a plan together: bring them up side by side, and take everything down again whatever
 * happened on the way. It must not know what a node is made of.
 */

import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import type { EngineOptions, NodeState, RunningTestnet } from '../engine.ts';
import { roomOnHost } from '../host.ts';
import type { Plan } from '../plan.ts';
import { leftBehind, openRun, type Run } from '../run-record.ts';
import { sideBySide } from '../side-by-side.ts';
import { UsageError } from '../usage-error.ts';
import { type Authority, createAuthority } from '../wire/authority.ts';
import { identityFrom } from '../wire/identity.ts';
import { probeContext } from './probe.ts';

/** Where every testnet stands: its record, its CA and the identity that asks whether nodes are ready. */
export interface TestnetGround {
  run: Run;
  authority: Authority;
  context: SecureContext;
}

/** `more` is what an engine needs besides; if it cannot be had, the run is closed again. */
export async function openGround<More>(
  plan: Plan,
  more: (run: Run) => Promise<More>,
): Promise<TestnetGround & More> {
  const run = openRun(`testnet ${plan.scenario}`);
  try {
    const authority = await createAuthority({ seed: `testnet/${plan.seed}/ca` });
    const prober = identityFrom(`testnet/${plan.seed}/prober`);
    const context = probeContext({
      keyPem: prober.keyPem,
      certificatePem: (await authority.issue(prober)).pem,
      caPem: authority.certificatePem,
    });
    return { run, authority, context, ...(await more(run)) };
  } catch (error) {
    // What stays goes with the next start.
    await run.close().catch(() => {});
    throw error;
  }
}

/** The steps from a ground to a running testnet. */
export interface Steps {
  /** Makes everything that the nodes need; `stop` may be called at any time and more than once. */
  prepare(stop: () => Promise<void>): Promise<RunningTestnet>;
  start(): Promise<void>;
  tearDown(): Promise<void>;
}

/** Whatever fails or is aborted on the way: everything is taken down before the word of it goes on. */
export async function standUp(options: EngineOptions, steps: Steps): Promise<RunningTestnet> {
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= steps.tearDown();
    return stopping;
  };
  const onAbort = (): void => void stop().catch(() => {});
  try {
    const testnet = await steps.prepare(stop);
    await options.onPrepared?.(testnet);
    options.signal?.throwIfAborted();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    await steps.start();
    options.signal?.throwIfAborted();
    return testnet;
  } catch (error) {
    // What could not be taken down must not hide why.
    await stop().catch((left: unknown) => options.onEvent?.({ kind: 'info', text: leftBehind(left) }));
    // What fails because everything is being stopped is no failure of its own.
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** A node that only waits before it listens does not hold up the next one for longer. */
const turnMs = 1_000;

/** As much of a node as its start needs. */
export interface Startable {
  readonly failure: string | null;
  start(): Promise<void>;
  ready(withinMs: number): Promise<void>;
}

/**
 * All nodes with `startAtMs` 0, `lanes` at once and none before its `startAfterMs`; resolves when each is ready or has failed.
 * UsageError if none came up.
 */
export async function startAll(
  plan: Plan,
  nodes: ReadonlyMap<string, Startable>,
  lanes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const first = plan.nodes.filter((node) => node.startAtMs === 0);
  const began = performance.now();
  const ready: Promise<void>[] = [];
  await sideBySide(lanes, first, async ({ name, startAfterMs }) => {
    const left = began + startAfterMs - performance.now();
    if (left > 0) await delay(left, undefined, { signal }).catch(() => {});
    if (signal?.aborted) return;
    const node = nodes.get(name)!;
    // How it failed stands in the node; a net may live with some failed ones.
    await node.start().catch(onlyUsage);
    const up = node.ready(Number.POSITIVE_INFINITY).catch(onlyUsage);
    ready.push(up);
    await Promise.race([up, delay(turnMs, undefined, { ref: false })]);
    await roomOnHost(signal);
  });
  await Promise.all(ready);
  const failures = first.map(({ name }) => nodes.get(name)!.failure).filter((line) => line !== null);
  if (failures.length > 0 && failures.length === first.length) {
    const others = failures.length === 1 ? '' : ` (none of ${failures.length} nodes came up)`;
    throw new UsageError(`${failures[0]}${others}`);
  }
}

function onlyUsage(error: unknown): void {
  if (!(error instanceof UsageError)) throw error;
}

/** Says what becomes of a node to whoever watches the run. */
export function stateTeller(
  options: EngineOptions,
  node: string,
): (state: NodeState, detail?: string) => void {
  return (state, detail) =>
    options.onEvent?.({ kind: 'node', node, state, ...(detail === undefined ? {} : { detail }) });
}

/** Folders of nodes into the run folder, for `--keep`. */
export async function keepFolders(
  nodes: Iterable<{ name: string; folder: string }>,
  outDir: string,
): Promise<void> {
  for (const { name, folder } of nodes) {
    const kept = join(outDir, 'nodes', name);
    await rm(kept, { recursive: true, force: true });
    await cp(folder, kept, { recursive: true });
  }
}

/** From its last start to its first TLS handshake after it; name → performance.now of both. */
export function instantsOf(
  lives: Iterable<readonly [string, { startedAt: number | null; readyAt: number | null }]>,
): Map<string, { startedAt: number; readyAt: number }> {
  const found = new Map<string, { startedAt: number; readyAt: number }>();
  for (const [name, { startedAt, readyAt }] of lives) {
    if (startedAt !== null && readyAt !== null) found.set(name, { startedAt, readyAt });
  }
  return found;
}
