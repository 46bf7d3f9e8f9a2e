/**
 * What a testnet in containers costs beside what its containers cost anyway: 50 meshed nodes behind Toxiproxy against as many bare
 * containers of the same image, whose nodes know nobody, plus a Toxiproxy that nobody uses; a full mesh; a hundred nodes; the end.
 */

import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { RunningTestnet } from '../harness/engine.ts';
import { connectDocker, dockerObstacle } from '../harness/engines/docker/connect.ts';
import { dockerEngine } from '../harness/engines/docker/engine.ts';
import { containerUserText, writeContainerFolder } from '../harness/engines/docker/folder.ts';
import {
  CONTAINER_CONFIG,
  CONTAINER_FOLDER,
  nodeImage,
  toxiproxyImage,
} from '../harness/engines/docker/image.ts';
import { removeRun, runLabels } from '../harness/engines/docker/leftovers.ts';
import { openSingleNetwork } from '../harness/engines/docker/single-network.ts';
import { hostAndPort, probe, probeContext } from '../harness/engines/probe.ts';
import { openRun } from '../harness/run-record.ts';
import { createAuthority } from '../harness/wire/authority.ts';
import { identityFrom } from '../harness/wire/identity.ts';
import { type Bar, type Bench, type BenchOptions, bar, median } from './bar.ts';
import { type Meshed, meshed, quietPlan, reference } from './meshed.ts';

/** As many at a time as the engine starts nodes. */
const startsAtOnce = Math.min(8, 2 * availableParallelism());
const bareWithinMs = 60_000;
const fullMeshWithinMs = 240_000;

const shown = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

/** ms until Toxiproxy runs and every bare container's node accepts TLS. Removing them is not measured. */
async function bareUpMs(docker: Docker, nodes: number): Promise<number> {
  const run = openRun('bench');
  const labels = runLabels(run.id);
  const images = {
    node: (await nodeImage(docker, await reference())).ref,
    proxy: (await toxiproxyImage(docker)).ref,
  };
  const authority = await createAuthority({ seed: 'bench' });
  const issued = async (name: string) => {
    const identity = identityFrom(`bench/${name}`, `agent_${name}`);
    return {
      identity,
      certificatePem: (await authority.issue(identity)).pem,
      caPem: authority.certificatePem,
    };
  };
  const prober = await issued('prober');
  const context = probeContext({ ...prober, keyPem: prober.identity.keyPem });
  try {
    const network = await openSingleNetwork(docker, `cle-${run.id}`, labels);
    const startedAt = performance.now();
    const common = { Labels: labels, User: containerUserText() };
    const strict = { CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'], ReadonlyRootfs: true };
    const proxy = await docker.createContainer({
      ...common,
      Image: images.proxy,
      HostConfig: { ...strict, NetworkMode: network.name },
    });
    await proxy.start();
    const started = async (index: number): Promise<void> => {
      const address = network.nodeAddress();
      const { identity, ...pems } = await issued(`bare-${index}`);
      const { folder } = writeContainerFolder(join(run.folder, `bare-${index}`), {
        ...pems,
        keyPem: identity.keyPem,
        agentId: identity.agentId,
        listen: '0.0.0.0:8888',
        advertise: address,
        bootstrapNodes: [],
      });
      const IPAMConfig = { IPv4Address: hostAndPort(address).host };
      const container = await docker.createContainer({
        ...common,
        Image: images.node,
        Env: [`CLE_CONFIG=${CONTAINER_CONFIG}`],
        HostConfig: { ...strict, NetworkMode: network.name, Binds: [`${folder}:${CONTAINER_FOLDER}`] },
        NetworkingConfig: { EndpointsConfig: { [network.name]: { IPAMConfig } } },
      });
      await container.start();
      const deadline = performance.now() + bareWithinMs;
      while ((await probe(address, context, 2_000)).kind !== 'ready') {
        if (performance.now() > deadline) throw new Error(`a bare node does not listen on ${address}`);
        await delay(15);
      }
    };
    await lanes(nodes, started);
    return performance.now() - startedAt;
  } finally {
    await removeRun(docker, run.id);
    await run.close();
  }
}

async function lanes(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: startsAtOnce }, lane));
}

/** 50 meshed against 50 bare, and how long the 50 take to go. */
async function bringUp({ quick, say, scratchDir }: BenchOptions): Promise<Bar[]> {
  const { docker } = await connectDocker();
  const engine = await dockerEngine();
  const nodes = quick ? 12 : 50;
  const ours: Meshed[] = [];
  const control: number[] = [];
  for (let seed = 1; seed <= (quick ? 1 : 3); seed += 1) {
    control.push(await bareUpMs(docker, nodes));
    ours.push(await meshed(engine, { nodes, seed }, join(scratchDir, `up-${seed}`)));
    const { upMs, downMs } = ours.at(-1)!;
    say(
      `docker ${seed}: ${nodes} meshed in ${shown(upMs)}, bare in ${shown(control.at(-1)!)}; gone in ${shown(downMs)}`,
    );
  }
  const [up, base] = [median(ours.map(({ upMs }) => upMs)), median(control)];
  const down = median(ours.map(({ downMs }) => downMs)) / 1000;
  const limit = nodes / 5;
  return [
    bar(`docker-up-${nodes}`, `${shown(up)} meshed`, `${shown(base)} bare + Toxiproxy`, up / base, '<=', 1.2),
    bar(`docker-down-${nodes}`, `${down.toFixed(2)} s`, `${limit} s`, down / limit, '<=', 1),
  ];
}

/** Peers that a node has by its own notes. */
function peersOf(testnet: RunningTestnet, name: string): number {
  const lines = testnet.nodes.get(name)!.logTail(400);
  const last = lines.findLast((line) => /"event":"peer(-lost)?"/.test(line));
  return Number(last?.match(/"peers":(\d+)/)?.[1] ?? 0);
}

/** Every node has every other as its peer, through a proxy for each of the N (N - 1) links. */
async function fullMesh({ quick, say, scratchDir }: BenchOptions): Promise<Bar[]> {
  const nodes = quick ? 12 : 50;
  const engine = await dockerEngine();
  // With the default of 5 s two cores spend themselves on handshakes that are given up and begun anew.
  // With buckets of 20 a node of 50 knows only 20 of the 25 or so whose ids differ in the first bit, and pairs of which neither
  // knows the other never meet.
  const parameters = { target_peers: nodes - 1, bucket_size: nodes, handshake_timeout_s: 30 };
  const plan = quietPlan({ nodes, seed: 1, parameters });
  const startedAt = performance.now();
  const outDir = join(scratchDir, 'full-mesh');
  const testnet = await engine.start(plan, { outDir, reference: await reference() });
  try {
    const wanted = (nodes * (nodes - 1)) / 2;
    let met = 0;
    while (performance.now() - startedAt < fullMeshWithinMs) {
      met = [...testnet.nodes.keys()].reduce((sum, name) => sum + peersOf(testnet, name), 0) / 2;
      if (met === wanted) break;
      await delay(250);
    }
    const tookMs = performance.now() - startedAt;
    const links = (await testnet.links.counters()).length;
    say(`full mesh: ${met} of ${wanted} pairs are peers after ${shown(tookMs)}, over ${links} links`);
    const figure = `${met} pairs in ${shown(tookMs)}`;
    return [bar(`docker-mesh-${links}-links`, figure, `${wanted} pairs`, met / wanted, '>=', 1)];
  } finally {
    await testnet.stop();
  }
}

/** That they come up is the bar; how long it takes is for the record. */
async function many({ quick, say, scratchDir }: BenchOptions): Promise<Bar[]> {
  const nodes = quick ? 24 : 100;
  let up = 0;
  const { upMs, downMs } = await meshed(
    await dockerEngine(),
    { nodes, seed: 1 },
    join(scratchDir, 'many'),
    (net) => {
      up = [...net.nodes.values()].filter(({ state }) => state === 'ready').length;
    },
  );
  say(`${nodes} containers: meshed in ${shown(upMs)}, gone in ${shown(downMs)}`);
  return [bar(`docker-${nodes}`, `${up} up, meshed in ${shown(upMs)}`, `${nodes}`, up / nodes, '>=', 1)];
}

export const dockerBench: Bench = {
  name: 'docker',
  what: '50 meshed nodes in containers against 50 bare containers of the same image, a full mesh, 100 nodes, the tear-down',
  run: async (options) => {
    const obstacle = await dockerObstacle();
    if (obstacle !== null) {
      options.say(`docker: not measured, ${obstacle}`);
      return [];
    }
    mkdirSync(options.scratchDir, { recursive: true });
    return [...(await bringUp(options)), ...(await fullMesh(options)), ...(await many(options))];
  },
};
