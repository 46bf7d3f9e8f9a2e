/**
 * The docker engine: every node of a plan as an unprivileged container of any image, the real Toxiproxy between every pair, on a
 * network of the run's own. It knows how containers are started and ended, not why: scenarios ask it for abilities.
 */

import { mkdirSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import type Docker from 'dockerode';
import type { Ability, Engine, EngineOptions, NodeState, RunningTestnet } from '../../engine.ts';
import { roomOnHost } from '../../host.ts';
import { type LinkPlane, openFaultPlane } from '../../links/plane.ts';
import type { Plan } from '../../plan.ts';
import { openRun, type Run } from '../../run-record.ts';
import { UsageError } from '../../usage-error.ts';
import { type Authority, createAuthority } from '../../wire/authority.ts';
import { identityFrom } from '../../wire/identity.ts';
import { probeContext } from '../process/probe.ts';
import { linkPairs, wiringOf } from '../process/wiring.ts';
import { connectDocker } from './connect.ts';
import { countLinks } from './counters.ts';
import { type EngineWords, listenToEngine } from './events.ts';
import { checkPerturbations, findImages, type Images } from './fleet-images.ts';
import { type FleetGround, type FleetNode, giveUp, makeContainer, prepareFleetNode } from './fleet-node.ts';
import { removeRun, runLabels, sweepEngine } from './leftovers.ts';
import { type Lines, layLines } from './lines.ts';
import type { Scheme } from './network.ts';
import { perturb, readPerturbation } from './perturb.ts';
import { answersInTime } from './toxiproxy.ts';
import { type TrafficSources, type TrafficWatch, watchTraffic } from './traffic.ts';
import { type EngineWatchdog, watchOverRun } from './watchdog.ts';

/** Everything that any engine can do: the table against which scenarios are held. */
const abilities: readonly Ability[] = [
  'kill',
  'pause',
  'restart',
  'wipe',
  'links',
  'unplug',
  'memory-limit',
  'disk-full',
  'upgrade',
  'certificate',
];

/** More gain nothing and make every single start slow: the engine itself needs a third of a second of CPU for each. */
const madeAtOnce = Math.min(8, 2 * availableParallelism());
/** More would come up in the same moment, each with a hundred handshakes ahead of it. */
const startsAtOnce = availableParallelism();
/** A node that only waits before it listens does not hold up the next one for longer. */
const turnMs = 1_000;

/** Everything that a start made so far. */
interface Ground {
  docker: Docker;
  run: Run;
  watchdog: EngineWatchdog;
  authority: Authority;
  context: SecureContext;
  images: Images | null;
  words: EngineWords | null;
  lines: Lines | null;
  links: LinkPlane | null;
  nodes: Map<string, FleetNode>;
  traffic: TrafficWatch | null;
  fleet: FleetGround | null;
}

/** `schemes` are tried in turn (for tests: one). UsageError where no engine answers. */
export async function dockerEngine(schemes: readonly Scheme[] = ['gateway', 'on-link']): Promise<Engine> {
  const { docker } = await connectDocker();
  return {
    name: 'docker',
    abilities: new Set(abilities),
    start: (plan, options) => startTestnet(plan, options, docker, schemes),
  };
}

async function startTestnet(
  plan: Plan,
  options: EngineOptions,
  docker: Docker,
  schemes: readonly Scheme[],
): Promise<RunningTestnet> {
  for (const id of await sweepEngine(docker)) {
    options.onEvent?.({ kind: 'info', text: `removed the containers that the killed run ${id} had left` });
  }
  const ground = await openGround(plan, docker);
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= tearDown(ground, options);
    return stopping;
  };
  const onAbort = (): void => void stop().catch(() => {});
  try {
    await prepare(plan, options, ground, schemes);
    const testnet = runningTestnet(plan, ground, stop);
    await options.onPrepared?.(testnet);
    options.signal?.throwIfAborted();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    await startAll(plan, ground.nodes, options.signal);
    options.signal?.throwIfAborted();
    ground.traffic = watchTraffic(trafficSources(ground));
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

async function openGround(plan: Plan, docker: Docker): Promise<Ground> {
  checkPerturbations(plan);
  const run = openRun(`testnet ${plan.scenario}`);
  try {
    const authority = await createAuthority({ seed: `testnet/${plan.seed}/ca` });
    const prober = identityFrom(`testnet/${plan.seed}/prober`);
    const context = probeContext({
      keyPem: prober.keyPem,
      certificatePem: (await authority.issue(prober)).pem,
      caPem: authority.certificatePem,
    });
    const watchdog = watchOverRun(run.id);
    const none = { images: null, words: null, lines: null, links: null, traffic: null, fleet: null };
    return { docker, run, watchdog, authority, context, ...none, nodes: new Map() };
  } catch (error) {
    await run.close();
    throw error;
  }
}

async function prepare(
  plan: Plan,
  options: EngineOptions,
  ground: Ground,
  schemes: readonly Scheme[],
): Promise<void> {
  const { docker, run } = ground;
  const labels = runLabels(run.id);
  const logDir = join(options.outDir, 'logs');
  mkdirSync(logDir, { recursive: true });
  ground.images = await findImages(plan, options, docker);
  const name = `cle-${run.id}`;
  ground.words = await listenToEngine(docker, labels, name);
  ground.lines = await layLines({
    docker,
    runId: run.id,
    name,
    labels,
    plan,
    images: ground.images,
    logFile: join(logDir, 'toxiproxy.log'),
    schemes,
    say: (text) => options.onEvent?.({ kind: 'info', text }),
  });
  const fleet: FleetGround = {
    docker,
    image: '',
    network: name,
    labels,
    folder: run.folder,
    // Whoever loads this engine has asked whether its network is here.
    local: true,
    context: ground.context,
    words: ground.words,
  };
  ground.fleet = fleet;
  // Side by side, and both to their end even if one fails: what they made is undone together.
  const made = await Promise.allSettled([
    openLinks(plan, options, ground),
    prepareNodes(plan, options, ground, fleet, logDir),
  ]);
  for (const outcome of made) if (outcome.status === 'rejected') throw outcome.reason;
}

async function openLinks(plan: Plan, options: EngineOptions, ground: Ground): Promise<void> {
  const { network, toxiproxy, prober } = ground.lines!;
  const plane = await openFaultPlane({
    pairs: linkPairs(plan, network.addresses),
    baseLatency: plan.linkLatency,
    server: { url: toxiproxy.apiUrl, goesWithTheRun: true },
    seed: plan.seed,
    dialler: prober?.dialler ?? null,
  });
  ground.links = plane;
  options.onEvent?.({
    kind: 'info',
    text: `links through ${plane.server} in a container, its API at ${plane.apiUrl}; scheme ${network.scheme}`,
  });
}

async function prepareNodes(
  plan: Plan,
  options: EngineOptions,
  ground: Ground,
  fleet: FleetGround,
  logDir: string,
): Promise<void> {
  const { authority, nodes } = ground;
  const { addresses } = ground.lines!.network;
  // On a busy host everything takes longer, and with many nodes the host is busy.
  const readyWithinMs = 30_000 + (2_000 * plan.nodes.length) / availableParallelism();
  for (const [index, node] of plan.nodes.entries()) {
    const certificate = await authority.issue({
      publicKey: Buffer.from(node.publicKeyBase64, 'base64'),
      agentId: node.agentId,
    });
    const { hosts, ...wiring } = wiringOf(node, plan, addresses);
    const onState = (state: NodeState, detail?: string): void =>
      options.onEvent?.({
        kind: 'node',
        node: node.name,
        state,
        ...(detail === undefined ? {} : { detail }),
      });
    const spec = {
      plan: node,
      address: addresses.node(index + 1),
      files: {
        ...wiring,
        agentId: node.agentId,
        keyPem: node.keyPem,
        certificatePem: certificate.pem,
        caPem: authority.certificatePem,
        parameters: node.parameters,
      },
      make: { image: ground.images!.nodes.get(node.name)!, hosts, memoryBytes: null, dataVolume: null },
      logDir,
      readyWithinMs,
      onState,
    };
    nodes.set(node.name, prepareFleetNode(fleet, spec));
  }
  await sideBySide(madeAtOnce, [...nodes.values()], (node) => makeContainer(fleet, node));
}

/** At most `lanes` at a time; the first failure is thrown once all under way have ended. */
async function sideBySide<T>(
  lanes: number,
  things: readonly T[],
  work: (thing: T) => Promise<void>,
): Promise<void> {
  const waiting = [...things];
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && failures.length === 0; next = waiting.shift())
      await work(next).catch((error: unknown) => failures.push(error));
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  if (failures.length > 0) throw failures[0];
}

/** All nodes with `startAtMs` 0, none before its `startAfterMs`. UsageError if none came up. */
async function startAll(
  plan: Plan,
  nodes: ReadonlyMap<string, FleetNode>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const first = plan.nodes.filter((node) => node.startAtMs === 0);
  const began = performance.now();
  const ready: Promise<void>[] = [];
  await sideBySide(startsAtOnce, first, async ({ name, startAfterMs }) => {
    const left = began + startAfterMs - performance.now();
    if (left > 0) await delay(left, undefined, { signal }).catch(() => {});
    if (signal?.aborted) return;
    const { face } = nodes.get(name)!;
    // How it failed stands in the node; a net may live with some failed ones.
    await face.start().catch(onlyUsage);
    const up = face.ready(Number.POSITIVE_INFINITY).catch(onlyUsage);
    ready.push(up);
    await Promise.race([up, delay(turnMs, undefined, { ref: false })]);
    await roomOnHost(signal);
  });
  await Promise.all(ready);
  const failures = first.map(({ name }) => nodes.get(name)!.face.failure).filter((line) => line !== null);
  if (failures.length > 0 && failures.length === first.length) {
    const others = failures.length === 1 ? '' : ` (none of ${failures.length} nodes came up)`;
    throw new UsageError(`${failures[0]}${others}`);
  }
}

function onlyUsage(error: unknown): void {
  if (!(error instanceof UsageError)) throw error;
}

function trafficSources({ docker, lines, nodes }: Ground): TrafficSources {
  return {
    docker,
    networkId: lines!.network.id,
    toxiproxy: lines!.toxiproxy.id,
    nodes: () =>
      [...nodes.values()].flatMap(({ life }) =>
        life.running && life.container !== null ? [{ id: life.container.id, pid: life.pid }] : [],
      ),
  };
}

function runningTestnet(plan: Plan, ground: Ground, stop: () => Promise<void>): RunningTestnet {
  const { links, authority, images, nodes } = ground;
  const { toxiproxy, network } = ground.lines!;
  return {
    nodes: new Map(plan.nodes.map(({ name }) => [name, nodes.get(name)!.face])),
    links: {
      ...links!,
      async counters() {
        // A frozen server is noticed when it happens, not only at the end.
        await answersInTime(links!.apiUrl);
        return countLinks(links!, toxiproxy, network);
      },
    },
    ca: { certificatePem: authority.certificatePem, keyPem: authority.keyPem },
    get readyAtMs() {
      const found = new Map<string, { startedAt: number; readyAt: number }>();
      for (const [name, { life }] of nodes) {
        const { startedAt, readyAt } = life;
        if (startedAt !== null && readyAt !== null) found.set(name, { startedAt, readyAt });
      }
      return found;
    },
    auditLinks: () => (ground.traffic ?? watchTraffic(trafficSources(ground))).audit(),
    async perturb(ability, name, options) {
      const what = readPerturbation(name, ability, options);
      const reach = {
        ...ground.fleet!,
        authority,
        networkId: network.id,
        referenceImage: images!.reference,
        keeperImage: images!.toxiproxy,
      };
      return perturb(reach, nodes.get(name)!, what);
    },
    stop,
  };
}

/** Containers, network, folder, in this order; each is tried even if one before it failed. */
async function tearDown(ground: Ground, options: EngineOptions): Promise<void> {
  const { docker, run, watchdog, links, words, nodes } = ground;
  const lives = [...nodes.values()].map(({ life }) => life);
  for (const life of lives) Object.assign(life, { over: true, told: true });
  ground.traffic?.stop();
  const steps: (() => Promise<unknown>)[] = [
    async () => links?.close(),
    () => sideBySide(madeAtOnce, lives, async (life) => void (await giveUp(docker, life))),
    () => removeRun(docker, run.id),
    () => Promise.all(lives.map(({ ending }) => ending.catch(() => {}))),
    async () => options.keep && keepFolders(lives, options.outDir),
    async () => words?.close(),
    () => run.close(),
    () => watchdog.dismiss(),
  ];
  const failures: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function keepFolders(
  lives: readonly { name: string; files: { folder: string } }[],
  outDir: string,
): Promise<void> {
  for (const { name, files } of lives) {
    const kept = join(outDir, 'nodes', name);
    await rm(kept, { recursive: true, force: true });
    await cp(files.folder, kept, { recursive: true });
  }
}
