/**
 * What runs leave on an engine, found by its label: containers with their volumes, networks. A run removes its own;
 * a sweep removes what runs left whose harness is dead, and leaves the living alone. Knows nothing of nodes.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { machineFacts } from '../../run-record.ts';
import { eachInTurn, eachSideBySide } from '../../side-by-side.ts';
import { ownerLives } from '../../sweep.ts';
import type { Connected } from './connect.ts';
import { isHere } from './here.ts';

/** On everything of a run: its id, which names the process that owns it. */
const RUN_LABEL = 'cle-testnet.run';
/** The id means something only where its process can be seen: in the same boot and pid namespace. */
const MACHINE_LABEL = 'cle-testnet.machine';

const removalsAtOnce = 4;
const goneWithinMs = 20_000;

/** For containers and networks of a run. */
export function runLabels(runId: string): Record<string, string> {
  return { [RUN_LABEL]: runId, [MACHINE_LABEL]: thisMachine() };
}

function thisMachine(): string {
  const { bootId, pidNamespace } = machineFacts();
  return `${bootId} ${pidNamespace}`;
}

/**
 * Removes everything of one run. A network that the engine will not let go stays without a word here: it harms nobody, every sweep
 * tries again, and `down` names it.
 */
export async function removeRun(docker: Docker, runId: string): Promise<void> {
  await removeFound(docker, runId);
}

export interface Removed {
  /** How many things went. */
  count: number;
  /** Names of networks that the engine keeps. */
  kept: string[];
}

/** The same, and tells what there was. Each thing is tried even if one before it would not go; then the first failure is thrown. */
export async function removeFound(docker: Docker, runId: string): Promise<Removed> {
  const filters = { label: [`${RUN_LABEL}=${runId}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  const volumes = (await docker.listVolumes({ filters })).Volumes ?? [];
  const count = containers.length + networks.length + volumes.length;
  const kept: string[] = [];
  await eachInTurn([
    () => eachSideBySide(removalsAtOnce, containers, ({ Id }) => removeContainer(docker, Id)),
    ...networks.map(({ Id, Name }) => async () => {
      if (!(await removeNetwork(docker, Id))) kept.push(Name);
    }),
    ...volumes.map(
      ({ Name }) =>
        () =>
          docker.getVolume(Name).remove().catch(unlessGone),
    ),
  ]);
  return { count: count - kept.length, kept };
}

function unlessGone(error: { statusCode?: number }): void {
  if (error.statusCode !== 404) throw error;
}

export interface Swept {
  /** Ids of dead runs of which something was removed. */
  runs: string[];
  kept: string[];
}

/** Removes what dead runs left; of other machines that use the same engine nothing, whether they live or not. */
export async function sweepEngine(engine: Pick<Connected, 'docker' | 'local'>): Promise<Swept> {
  const { docker } = engine;
  const filters = { label: [RUN_LABEL] };
  const found = [
    ...(await docker.listContainers({ all: true, filters })),
    ...(await docker.listNetworks({ filters })),
    ...((await docker.listVolumes({ filters })).Volumes ?? []),
  ].map(({ Labels }) => Labels ?? {});
  // Only who runs on the engine's own machine knows that what another boot has made is of before, and not of somewhere else.
  const isOurs = engine.local && (await isHere(docker));
  const dead = new Set(found.filter((labels) => isDead(labels, isOurs)).map((labels) => labels[RUN_LABEL]!));
  const swept: Swept = { runs: [], kept: [] };
  for (const runId of dead) {
    const { count, kept } = await removeFound(docker, runId);
    if (count > 0) swept.runs.push(runId);
    swept.kept.push(...kept);
  }
  return swept;
}

/** After a reboot nobody of before lives on this machine (`isOurs`); another pid namespace of this boot is not ours to judge. */
function isDead(labels: Record<string, string>, isOurs: boolean): boolean {
  const [bootId, pidNamespace] = (labels[MACHINE_LABEL] ?? '').split(' ');
  const [ourBoot, ourNamespace] = thisMachine().split(' ');
  if (bootId !== ourBoot) return isOurs && bootId !== 'null';
  return pidNamespace === ourNamespace && !ownerLives(labels[RUN_LABEL]!);
}

/** Resolves when it is gone. Idempotent, also beside somebody else who removes it. */
export async function removeContainer(docker: Docker, id: string): Promise<void> {
  const container = docker.getContainer(id);
  const deadline = performance.now() + goneWithinMs;
  for (;;) {
    try {
      await container.remove({ force: true, v: true });
      return;
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      if (statusCode === 404) return;
      // 409: its removal is under way already.
      if (statusCode !== 409 || performance.now() > deadline) throw error;
    }
    await delay(50);
  }
}

/** The engine may still be busy with the last end of a container. */
const networkAttempts = 10;

/**
 * An endpoint that outlived its container is cut off first. False: the engine keeps it. It may go on counting an endpoint of a
 * container that ended while it was being started, and forgets that one only when it is started anew itself.
 */
export async function removeNetwork(docker: Docker, id: string): Promise<boolean> {
  const network = docker.getNetwork(id);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await network.remove();
      return true;
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      if (statusCode === 404) return true;
      if (statusCode !== 403) throw error;
    }
    const { Containers } = (await network.inspect()) as { Containers?: Record<string, unknown> };
    const connected = Object.keys(Containers ?? {});
    if (attempt === networkAttempts) {
      if (connected.length === 0) return false;
      throw new Error(`the containers ${connected.join(', ')} cannot be cut off from the network ${id}`);
    }
    for (const container of connected)
      await network.disconnect({ Container: container, Force: true }).catch(() => {});
    await delay(50);
  }
}
