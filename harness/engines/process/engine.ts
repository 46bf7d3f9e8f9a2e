/**
 * The process engine: every node of a plan as an operating-system process on its own loopback address, one fault proxy per
 * (dialer, listener) pair. It knows how processes are started and ended, not why: scenarios ask it for abilities.
 *
 * Node i dials `node-j:8888`; the `hosts` map of i's own configuration turns that name into the address of the pair (i, j),
 * where a proxy listens and goes on to j (design, "Links"). So a foreign node needs to know nothing of the fault plane.
 */

import { mkdirSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import type { Ability, Engine, EngineOptions, RunningNode, RunningTestnet } from '../../engine.ts';
import { type LinkPlane, openFaultPlane } from '../../links/plane.ts';
import { openFileLimit } from '../../os-process.ts';
import type { Plan, PlannedNode } from '../../plan.ts';
import type { Run } from '../../run-record.ts';
import { eachInTurn, toTheirEnd } from '../../side-by-side.ts';
import { sweep } from '../../sweep.ts';
import { UsageError } from '../../usage-error.ts';
import {
  instantsOf,
  keepFolders,
  openGround,
  standUp,
  startAll,
  stateTeller,
  type TestnetGround,
} from '../fleet.ts';
import type { Instance } from '../instance.ts';
import { linkPairs, wiringOf } from '../wiring.ts';
import { type Addresses, claimAddresses, hasAliases } from './addresses.ts';
import { prepareInstance } from './instance.ts';
import type { NodeCommand } from './launch.ts';

/**
 * As many as keep the cores busy. Starting more at once gains nothing and lets every single one come up late, just when those
 * before it shake hands with each other: 24 nodes on 2 cores found their peers 2 s after they were ready in place of 4.
 */
const startsAtOnce = 2 * availableParallelism();
/**
 * Where processors are scarce the nodes step back behind observers and links: one that is late sees late answers. Fifty nodes
 * leave the harness a fiftieth otherwise, and its second of standing still would be taken for theirs.
 */
const niceness = 10;

/** Everything that a start made so far, in the order in which it must be undone backwards. */
interface Ground extends TestnetGround {
  addresses: Addresses;
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
  for (const { id, because } of swept.kept) {
    options.onEvent?.({ kind: 'info', text: `proxies of the killed run ${id} are still there: ${because}` });
  }
  if (scheme === 'ports') options.onEvent?.({ kind: 'info', text: noAliases });
  const ground: Ground = await openGround(plan, async () => ({
    addresses: await claimAddresses(scheme),
    links: null,
    instances: new Map(),
  }));
  return standUp(options, {
    async prepare(stop) {
      await toTheirEnd(openLinks(plan, options, ground), prepareInstances(plan, options, ground));
      return runningTestnet(plan, ground, stop);
    },
    start: () => startAll(plan, ground.instances, startsAtOnce, options.signal),
    tearDown: () => tearDown(ground, options),
  });
}

function runningTestnet(plan: Plan, ground: Ground, stop: () => Promise<void>): RunningTestnet {
  return {
    nodes: new Map(
      plan.nodes.map((node) => [node.name, runningNode(node, ground.instances.get(node.name)!)]),
    ),
    links: ground.links!,
    ca: { certificatePem: ground.authority.certificatePem, keyPem: ground.authority.keyPem },
    get readyAtMs() {
      return instantsOf(ground.instances);
    },
    stop,
  };
}

const noAliases =
  'this host has no addresses 127.x.y.z: one proxy per node on its own port, so faults between single nodes are skipped';

async function openLinks(plan: Plan, options: EngineOptions, ground: Ground): Promise<void> {
  const { run, addresses } = ground;
  const pairs = linkPairs(plan, addresses);
  if (options.toxiproxyUrl === undefined) checkOpenFiles(plan.nodes.length, pairs.length);
  const namePrefix = `${run.id}.`;
  ground.links = await openFaultPlane({
    pairs,
    baseLatency: plan.linkLatency,
    server:
      options.toxiproxyUrl === undefined ? 'embedded' : givenServer(options.toxiproxyUrl, run, namePrefix),
    seed: plan.seed,
    namePrefix,
  });
  const { server, apiUrl } = ground.links;
  options.onEvent?.({
    kind: 'info',
    text: `links through the fault server (${server}), its API at ${apiUrl}`,
  });
}

function givenServer(url: string, run: Run, prefix: string): { url: string; remember: () => () => void } {
  return { url, remember: () => run.remember({ kind: 'toxiproxy', apiUrl: url, prefix }) };
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
    const hooks = { onState: stateTeller(options, node.name), probePauseMs };
    instances.set(node.name, prepareInstance(run, spec, context, hooks));
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

/** Nodes, proxies, addresses, folder, in this order; each is tried even if one before it failed. */
function tearDown(ground: Ground, options: EngineOptions): Promise<void> {
  const { run, addresses, links, instances } = ground;
  const all = [...instances.values()];
  return eachInTurn([
    () => Promise.all(all.map((instance) => instance.stop())),
    async () => options.keep && keepFolders(all, options.outDir),
    async () => links?.close(),
    () => addresses.release(),
    () => run.close(),
  ]);
}
