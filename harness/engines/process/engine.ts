/**
 * The process engine: every node of a plan as an operating-system process on its own loopback address, one fault proxy per
 * (dialer, listener) pair. It knows how processes are started and ended, not why: scenarios ask it for abilities.
 *
 * Node i dials `node-j:8888`; the `hosts` map of i's own configuration turns that name into the address of the pair (i, j),
 * where a proxy listens and goes on to j (design, "Links"). So a foreign node needs to know nothing of the fault plane.
 */

import { mkdirSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import type { Ability, Engine, EngineOptions, NodeState, RunningNode, RunningTestnet } from '../../engine.ts';
import { roomOnHost } from '../../host.ts';
import { type LinkPlane, openFaultPlane } from '../../links/plane.ts';
import { openFileLimit } from '../../os-process.ts';
import type { Plan, PlannedNode } from '../../plan.ts';
import { openRun, type Run } from '../../run-record.ts';
import { sweep } from '../../sweep.ts';
import { UsageError } from '../../usage-error.ts';
import { type Authority, createAuthority } from '../../wire/authority.ts';
import { identityFrom } from '../../wire/identity.ts';
import { type Addresses, claimAddresses, hasAliases } from './addresses.ts';
import { type Instance, prepareInstance } from './instance.ts';
import type { NodeCommand } from './launch.ts';
import { probeContext } from './probe.ts';
import { linkPairs, wiringOf } from './wiring.ts';

/**
 * As many as keep the cores busy. Starting more at once gains nothing and lets every single one come up late, just when those
 * before it shake hands with each other: 24 nodes on 2 cores found their peers 2 s after they were ready in place of 4.
 */
const startsAtOnce = 2 * availableParallelism();
/** A node that only waits before it listens does not hold up the next one for longer. */
const turnMs = 1_000;
/**
 * Where processors are scarce the nodes step back behind observers and links: one that is late sees late answers. Fifty nodes
 * leave the harness a fiftieth otherwise, and its second of standing still would be taken for theirs.
 */
const niceness = 10;

/** Everything that a start made so far, in the order in which it must be undone backwards. */
interface Ground {
  run: Run;
  addresses: Addresses;
  authority: Authority;
  context: SecureContext;
  links: LinkPlane | null;
  instances: Map<string, Instance>;
}

/** `scheme` forces ports where aliases would do (for tests). */
export async function processEngine(scheme?: Addresses['scheme']): Promise<Engine> {
  const aliases = scheme === undefined ? await hasAliases() : scheme === 'aliases';
  const abilities: Ability[] = ['kill', 'pause', 'restart', 'wipe'];
  // With one proxy per listener a fault between two single nodes cannot be made.
  if (aliases) abilities.push('links');
  return {
    name: 'process',
    abilities: new Set(abilities),
    start: (plan, options) => startTestnet(plan, options, aliases ? 'aliases' : 'ports'),
  };
}

async function startTestnet(
  plan: Plan,
  options: EngineOptions,
  scheme: Addresses['scheme'],
): Promise<RunningTestnet> {
  const swept = await sweep();
  for (const { id } of swept.removed) {
    options.onEvent?.({ kind: 'info', text: `removed what the killed run ${id} had left` });
  }
  const ground = await prepareGround(plan, options, scheme);
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= tearDown(ground, options);
    return stopping;
  };
  const onAbort = (): void => void stop().catch(() => {});
  try {
    // Side by side, and both to their end even if one fails: what they made is undone together.
    const made = await Promise.allSettled([
      openLinks(plan, options, ground),
      prepareInstances(plan, options, ground),
    ]);
    for (const outcome of made) if (outcome.status === 'rejected') throw outcome.reason;
    const testnet = runningTestnet(plan, ground, stop);
    await options.onPrepared?.(testnet);
    options.signal?.throwIfAborted();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    await startAll(plan, ground.instances, options.signal);
    options.signal?.throwIfAborted();
    return testnet;
  } catch (error) {
    await stop();
    // What fails because everything is being stopped is no failure of its own.
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
}

function runningTestnet(plan: Plan, ground: Ground, stop: () => Promise<void>): RunningTestnet {
  return {
    nodes: new Map(
      plan.nodes.map((node) => [node.name, runningNode(node, ground.instances.get(node.name)!)]),
    ),
    links: ground.links!,
    ca: { certificatePem: ground.authority.certificatePem, keyPem: ground.authority.keyPem },
    get readyAtMs() {
      return instants(ground.instances);
    },
    stop,
  };
}

async function prepareGround(
  plan: Plan,
  options: EngineOptions,
  scheme: Addresses['scheme'],
): Promise<Ground> {
  const run = openRun(`testnet ${plan.scenario}`);
  try {
    const authority = await createAuthority({ seed: `testnet/${plan.seed}/ca` });
    const prober = identityFrom(`testnet/${plan.seed}/prober`);
    const context = probeContext({
      keyPem: prober.keyPem,
      certificatePem: (await authority.issue(prober)).pem,
      caPem: authority.certificatePem,
    });
    const addresses = await claimAddresses(scheme);
    if (scheme === 'ports') options.onEvent?.({ kind: 'info', text: noAliases });
    return { run, addresses, authority, context, links: null, instances: new Map() };
  } catch (error) {
    await run.close();
    throw error;
  }
}

const noAliases =
  'this host has no addresses 127.x.y.z: one proxy per node on its own port, so faults between single nodes are skipped';

async function openLinks(plan: Plan, options: EngineOptions, ground: Ground): Promise<void> {
  const { run, addresses } = ground;
  const pairs = linkPairs(plan, addresses);
  if (options.toxiproxyUrl === undefined) checkOpenFiles(plan.nodes.length, pairs.length);
  const namePrefix = `${run.id}.`;
  if (options.toxiproxyUrl !== undefined)
    run.remember({ kind: 'toxiproxy', apiUrl: options.toxiproxyUrl, prefix: namePrefix });
  ground.links = await openFaultPlane({
    pairs,
    baseLatency: plan.linkLatency,
    server: options.toxiproxyUrl === undefined ? 'embedded' : { url: options.toxiproxyUrl },
    seed: plan.seed,
    namePrefix,
  });
  const { server, apiUrl } = ground.links;
  options.onEvent?.({
    kind: 'info',
    text: `links through the fault server (${server}), its API at ${apiUrl}`,
  });
}

/** Each link is a listening socket and, for about 20 links per node in use, two connected ones. */
function checkOpenFiles(nodes: number, links: number): void {
  const limit = openFileLimit();
  const needed = links + 2 * Math.min(links, 20 * nodes) + 200;
  if (limit === null || needed <= limit) return;
  throw new UsageError(
    `${nodes} nodes need about ${needed} open files, allowed are ${limit}: fewer --nodes, or a higher ulimit -n`,
  );
}

async function prepareInstances(plan: Plan, options: EngineOptions, ground: Ground): Promise<void> {
  const { run, addresses, authority, context, instances } = ground;
  const logDir = join(options.outDir, 'logs');
  mkdirSync(logDir, { recursive: true });
  // On a busy host everything takes longer, and with many nodes the host is busy.
  const readyWithinMs = 30_000 + (1_000 * plan.nodes.length) / cpus().length;
  // A refused probe costs a tenth of a millisecond; together they may take a few percent of one core.
  const probePauseMs = (): number =>
    Math.max(15, 1.5 * [...instances.values()].filter(({ state }) => state === 'starting').length);
  for (const node of plan.nodes) {
    const certificate = await authority.issue({
      publicKey: Buffer.from(node.publicKeyBase64, 'base64'),
      agentId: node.agentId,
    });
    const spec = {
      name: node.name,
      command: commandOf(node, options),
      agentId: node.agentId,
      keyPem: node.keyPem,
      certificatePem: certificate.pem,
      caPem: authority.certificatePem,
      parameters: node.parameters,
      logDir,
      readyWithinMs,
      niceness,
      ...wiringOf(node, plan, addresses),
    };
    const onState = (state: NodeState, detail?: string): void =>
      options.onEvent?.({
        kind: 'node',
        node: node.name,
        state,
        ...(detail === undefined ? {} : { detail }),
      });
    instances.set(node.name, prepareInstance(run, spec, context, { onState, probePauseMs }));
  }
}

function commandOf(node: PlannedNode, options: EngineOptions): NodeCommand {
  if (node.image !== null) {
    throw new UsageError(
      `${node.name} (group ${node.group}) names the image "${node.image}", which the process engine cannot start`,
    );
  }
  if (node.command !== null) return { shell: node.command };
  if (options.reference === undefined)
    throw new Error('the plan has reference nodes, and nobody handed in their command');
  return { argv: options.reference.command };
}

/**
 * All nodes with `startAtMs` 0, as many at once as the cores can carry and none before its `startAfterMs`; resolves when each is
 * ready or has failed. UsageError if none came up.
 */
async function startAll(
  plan: Plan,
  instances: ReadonlyMap<string, Instance>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const first = plan.nodes.filter((node) => node.startAtMs === 0);
  const began = performance.now();
  const waiting = first.map((node) => ({
    instance: instances.get(node.name)!,
    dueAt: began + node.startAfterMs,
  }));
  const ready: Promise<void>[] = [];
  const bringUp = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { instance, dueAt } = next;
      if (dueAt > performance.now())
        await delay(dueAt - performance.now(), undefined, { signal }).catch(() => {});
      if (signal?.aborted) return;
      // How it failed stands in the instance; a net may live with some failed nodes.
      await instance.start().catch(onlyUsage);
      const up = instance.ready(Number.POSITIVE_INFINITY).catch(onlyUsage);
      ready.push(up);
      await Promise.race([up, delay(turnMs, undefined, { ref: false })]);
      await roomOnHost(signal);
    }
  };
  await Promise.all(Array.from({ length: Math.min(startsAtOnce, waiting.length) }, bringUp));
  await Promise.all(ready);
  const failures = first.map((node) => instances.get(node.name)!.failure).filter((line) => line !== null);
  if (failures.length > 0 && failures.length === first.length) {
    const others = failures.length === 1 ? '' : ` (none of ${failures.length} nodes came up)`;
    throw new UsageError(`${failures[0]}${others}`);
  }
}

function onlyUsage(error: unknown): void {
  if (!(error instanceof UsageError)) throw error;
}

function runningNode(plan: PlannedNode, instance: Instance): RunningNode {
  return {
    name: plan.name,
    plan,
    nodeId: plan.nodeId,
    address: instance.address,
    logFile: instance.logFile,
    get state() {
      return instance.state;
    },
    get failure() {
      return instance.failure;
    },
    get pid() {
      return instance.pid;
    },
    start: instance.start,
    ready: instance.ready,
    kill: instance.kill,
    terminate: () => instance.terminate(),
    pause: instance.pause,
    resume: instance.resume,
    wipe: instance.wipe,
    logTail: instance.logTail,
  };
}

function instants(
  instances: ReadonlyMap<string, Instance>,
): Map<string, { startedAt: number; readyAt: number }> {
  const found = new Map<string, { startedAt: number; readyAt: number }>();
  for (const [name, { startedAt, readyAt }] of instances) {
    if (startedAt !== null && readyAt !== null) found.set(name, { startedAt, readyAt });
  }
  return found;
}

/** Nodes, proxies, addresses, folder, in this order; each is tried even if one before it failed. */
async function tearDown(ground: Ground, options: EngineOptions): Promise<void> {
  const { run, addresses, links, instances } = ground;
  const steps: (() => Promise<unknown>)[] = [
    () => Promise.all([...instances.values()].map((instance) => instance.stop())),
    async () => options.keep && keepFolders(instances, options.outDir),
    async () => links?.close(),
    () => addresses.release(),
    () => run.close(),
  ];
  const failures: unknown[] = [];
  for (const step of steps) {
    await step().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

async function keepFolders(instances: ReadonlyMap<string, Instance>, outDir: string): Promise<void> {
  for (const instance of instances.values()) {
    const kept = join(outDir, 'nodes', instance.name);
    await rm(kept, { recursive: true, force: true });
    await cp(instance.folder, kept, { recursive: true });
  }
}
