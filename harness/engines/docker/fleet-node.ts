/**
 * One node of a testnet as one container: made with its static address and its own table of names, started, stopped, paused, wiped,
 * made anew from another image or under a limit. What it lives through is a `ContainerLife`; every receipt holds the engine's own words.
 */

import { join } from 'node:path';
import type { Receipt, RunningNode } from '../../engine.ts';
import type { PlannedNode } from '../../plan.ts';
import { orUsageError } from '../../run-record.ts';
import { plannedLife, ready, wipe } from '../life.ts';
import type { NodeFiles } from '../node-files.ts';
import { lastLines } from '../node-log.ts';
import { hostAndPort } from '../probe.ts';
import type { EngineWords } from './events.ts';
import { containerUserText, writeContainerFolder } from './folder.ts';
import { CONTAINER_CONFIG, CONTAINER_FOLDER, CONTAINER_PORT } from './image.ts';
import { removeContainer } from './leftovers.ts';
import { type ContainerLife, end, freeze, start } from './life.ts';
import type { SingleGround } from './single.ts';

export interface FleetGround extends SingleGround {
  words: EngineWords;
}

/** A node without its face. */
type Bare = Pick<FleetNode, 'plan' | 'life' | 'make'>;

export interface FleetNode {
  readonly plan: PlannedNode;
  readonly life: ContainerLife;
  readonly face: RunningNode;
  /** What its container was made with, for the next one. */
  readonly make: Making;
}

/** How the container is made; a fault may change it from one to the next. */
export interface Making {
  image: string;
  /** Name → address, for this node alone. */
  hosts: Readonly<Record<string, string>>;
  memoryBytes: number | null;
  /** In place of the data folder; null: the folder. */
  disk: SmallDisk | null;
  /** Disks that this node has been given so far. */
  disks: number;
}

/** A file system in memory; the container that keeps it has its name. */
export interface SmallDisk {
  volume: string;
  /** What it had room for when it was made, beside the data of then. */
  mib: number;
}

export interface FleetNodeSpec {
  plan: PlannedNode;
  /** `host:port` of its own. */
  address: string;
  files: NodeFiles;
  make: Making;
  logDir: string;
  readyWithinMs: number;
  onState: ContainerLife['onState'];
  onTrouble: ContainerLife['onTrouble'];
}

/** Of 1024 that a container has otherwise: what niceness 10 is to a process. Faults and measurements go before nodes. */
const nodeShares = 110;
const endWithinMs = 10_000;
const probePauseMs = 15;
/** How long the engine's word for what it has just done may take on a busy host. */
const wordWithinMs = 5_000;

/** Writes its files; no container yet. UsageError where the folder cannot be written. */
export function prepareFleetNode(ground: FleetGround, spec: FleetNodeSpec): FleetNode {
  const { plan, address, make } = spec;
  const files = orUsageError(() =>
    writeContainerFolder(join(ground.folder, plan.name), {
      ...spec.files,
      listen: `0.0.0.0:${CONTAINER_PORT}`,
    }),
  );
  const life: ContainerLife = {
    ...plannedLife({
      name: plan.name,
      address,
      files,
      logFile: join(spec.logDir, `${plan.name}.log`),
      stderrFile: null,
      readyWithinMs: spec.readyWithinMs,
      context: ground.context,
      onState: spec.onState,
      probePauseMs: () => probePauseMs,
    }),
    ground: { ...ground, image: make.image },
    ip: hostAndPort(address).host,
    container: null,
    pid: null,
    onTrouble: spec.onTrouble,
  };
  const node = { plan, life, make };
  return { ...node, face: faceOf(ground, node) };
}

/** The node's container, made but not started. */
export async function makeContainer(ground: FleetGround, { life, make }: Bare): Promise<void> {
  const { network, labels } = ground;
  const memory = make.memoryBytes === null ? {} : { Memory: make.memoryBytes, MemorySwap: make.memoryBytes };
  life.container = await ground.docker.createContainer({
    name: `${network}-${life.name}`,
    Image: make.image,
    Hostname: life.name,
    User: containerUserText(),
    Labels: labels,
    Env: [`CLE_CONFIG=${CONTAINER_CONFIG}`, 'HOME=/tmp'],
    HostConfig: {
      NetworkMode: network,
      ExtraHosts: Object.entries(make.hosts).map(([name, address]) => `${name}:${address}`),
      Binds: [
        `${life.files.folder}:${CONTAINER_FOLDER}:rw`,
        ...(make.disk === null ? [] : [`${make.disk.volume}:${CONTAINER_FOLDER}/data:rw`]),
      ],
      Tmpfs: { '/tmp': 'rw,mode=1777' },
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      CpuShares: nodeShares,
      // Every byte goes into the log file through us; the engine need not keep another copy.
      LogConfig: { Type: 'none', Config: {} },
      ...memory,
    },
    NetworkingConfig: { EndpointsConfig: { [network]: endpointOf(life) } },
  });
}

/** The same at the start and at every later connect, or it would come back under another address. */
export const endpointOf = ({ ip }: ContainerLife): object => ({ IPAMConfig: { IPv4Address: ip } });

/** Takes the container away and makes another in its place, from what `make` says now; the disk stays. Not started. */
export async function remakeContainer(ground: FleetGround, node: Bare): Promise<void> {
  if (node.life.running) throw new Error(`${node.life.name} is running: its container cannot be replaced`);
  if (node.life.container !== null) await removeContainer(ground.docker, node.life.container.id);
  await makeContainer(ground, node);
}

function faceOf(ground: FleetGround, node: Bare): RunningNode {
  const { plan, life } = node;
  const witnessed = async (action: string, work: () => Promise<Receipt>): Promise<Receipt> => {
    const mark = ground.words.mark();
    const container = life.container?.id ?? '';
    const receipt = await work();
    const word = await ground.words.expect(mark, container, action, wordWithinMs);
    if (word === null) throw new Error(`the engine never said "${action}" of ${life.name}`);
    return { ...receipt, evidence: { ...receipt.evidence, engine: ground.words.since(mark, container) } };
  };
  return {
    name: plan.name,
    plan,
    nodeId: plan.nodeId,
    address: life.address,
    logFile: life.logFile,
    get state() {
      return life.state;
    },
    get failure() {
      return life.failure;
    },
    get pid() {
      return life.pid;
    },
    start: () => start(life),
    ready: (withinMs) => ready(life, withinMs),
    kill: () => witnessed('die', () => end(life, 'SIGKILL', endWithinMs)),
    terminate: () => witnessed('die', () => end(life, 'SIGTERM', endWithinMs)),
    pause: () => witnessed('pause', () => freeze(life, true)),
    resume: () => witnessed('unpause', () => freeze(life, false)),
    wipe: () => wipeAll(ground, node),
    logTail: (lines) => lastLines(life.logFile, lines),
  };
}

async function wipeAll(ground: FleetGround, node: Bare): Promise<Receipt> {
  const receipt = wipe(node.life);
  const dataVolume = node.make.disk?.volume ?? null;
  if (dataVolume !== null) {
    // Its data had moved; the folder that it comes back to is empty.
    node.make.disk = null;
    await remakeContainer(ground, node);
  }
  return { ...receipt, evidence: { ...receipt.evidence, dataVolume } };
}
