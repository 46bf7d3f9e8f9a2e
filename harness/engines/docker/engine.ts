/**
 * The docker engine: every node of a plan as an unprivileged container of any image, the real Toxiproxy between every pair, on a
 * network of the run's own. It knows how containers are started and ended, not why: scenarios ask it for abilities.
 */

import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import type { Ability, Engine, EngineOptions, RunningTestnet } from '../../engine.ts';
import { type LinkPlane, openFaultPlane } from '../../links/plane.ts';
import type { Plan } from '../../plan.ts';
import { eachInTurn, eachSideBySide, sideBySide, toTheirEnd } from '../../side-by-side.ts';
import {
  instantsOf,
  keepFolders,
  openGround,
  standUp,
  startAll,
  stateTeller,
  type TestnetGround,
} from '../fleet.ts';
import { linkPairs, wiringOf } from '../wiring.ts';
import { type Connected, connectDocker } from './connect.ts';
import { countLinks } from './counters.ts';
import { type EngineWords, listenToEngine } from './events.ts';
import { checkPerturbations, findImages, type Images } from './fleet-images.ts';
import { type FleetGround, type FleetNode, makeContainer, prepareFleetNode } from './fleet-node.ts';
import { runLabels, sweepEngine } from './leftovers.ts';
import { type Lines, layLines } from './lines.ts';
import type { Scheme } from './network.ts';
import { perturb, readPerturbation } from './perturb.ts';
import { giveUp } from './single.ts';
import { answersInTime } from './toxiproxy.ts';
import { type TrafficSources, type TrafficWatch, watchTraffic } from './traffic.ts';
import { type EngineWatchdog, removeWatched, watchOverRun } from './watchdog.ts';

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

/** Everything that a start made so far. */
interface Ground extends TestnetGround {
  docker: Docker;
  watchdog: EngineWatchdog;
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
  const engine = await connectDocker();
  return {
    name: 'docker',
    abilities: new Set(abilities),
    start: (plan, options) => startTestnet(plan, options, engine, schemes),
  };
}

async function startTestnet(
  plan: Plan,
  options: EngineOptions,
  engine: Connected,
  schemes: readonly Scheme[],
): Promise<RunningTestnet> {
  for (const id of (await sweepEngine(engine)).runs) {
    options.onEvent?.({ kind: 'info', text: `removed the containers that the killed run ${id} had left` });
  }
  checkPerturbations(plan);
  const ground: Ground = await openGround(plan, async (run) => ({
    docker: engine.docker,
    watchdog: watchOverRun(run.id),
    images: null,
    words: null,
    lines: null,
    links: null,
    nodes: new Map(),
    traffic: null,
    fleet: null,
  }));
  return standUp(options, {
    async prepare(stop) {
      await prepare(plan, options, ground, schemes);
      return runningTestnet(plan, ground, stop);
    },
    async start() {
      const faces = new Map([...ground.nodes].map(([name, { face }]) => [name, face]));
      await startAll(plan, faces, startsAtOnce, options.signal);
      if (!options.signal?.aborted) ground.traffic = watchTraffic(trafficSources(ground));
    },
    tearDown: () => tearDown(ground, options),
  });
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
    names: {},
    labels,
    folder: run.folder,
    // Whoever loads this engine has asked whether its network is here.
    local: true,
    context: ground.context,
    words: ground.words,
  };
  ground.fleet = fleet;
  await toTheirEnd(openLinks(plan, options, ground), prepareNodes(plan, options, ground, fleet, logDir));
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
      make: { image: ground.images!.nodes.get(node.name)!, hosts, memoryBytes: null, disk: null, disks: 0 },
      logDir,
      readyWithinMs,
      onState: stateTeller(options, node.name),
      onTrouble: (text: string) => options.onEvent?.({ kind: 'trouble', text }),
    };
    nodes.set(node.name, prepareFleetNode(fleet, spec));
  }
  await sideBySide(madeAtOnce, [...nodes.values()], (node) => makeContainer(fleet, node));
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
      return instantsOf([...nodes].map(([name, { life }]) => [name, life]));
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
  const folders = lives.map(({ name, files }) => ({ name, folder: files.folder }));
  await eachInTurn([
    async () => links?.close(),
    () => eachSideBySide(madeAtOnce, lives, giveUp),
    () => removeWatched(docker, run.id, watchdog),
    () => Promise.all(lives.map(({ ending }) => ending.catch(() => {}))),
    async () => options.keep && keepFolders(folders, options.outDir),
    async () => words?.close(),
    () => run.close(),
  ]);
}
