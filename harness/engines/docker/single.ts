/**
 * One node as one container of any image, with the same face as a process: started with its files under `/cle` (profile §10). The
 * conformance suite uses them singly. Knows nothing of plans, links or other nodes.
 */

import type { SecureContext } from 'node:tls';
import type Docker from 'dockerode';
import { type Instance, type InstanceHooks, type InstanceSpec, instanceOf, lifeSpecOf } from '../instance.ts';
import { plannedLife } from '../life.ts';
import { hostAndPort } from '../probe.ts';
import { writeContainerFolder } from './folder.ts';
import { CONTAINER_PORT } from './image.ts';
import { removeContainer } from './leftovers.ts';
import { type ContainerLife, end, freeze, start } from './life.ts';

/** What all containers under test of one run share. */
export interface SingleGround {
  docker: Docker;
  image: string;
  /** Name of the network. */
  network: string;
  /** Name → address, for the resolver of every container. */
  names: Readonly<Record<string, string>>;
  labels: Record<string, string>;
  /** Where the nodes' folders are made. */
  folder: string;
  /** Process ids of containers mean something here. */
  local: boolean;
  context: SecureContext;
}

/**
 * Makes folder and files; the container comes with the first start. `spec.listen` is the address in the network where others reach
 * it; the node itself listens on all of its own. Throws UsageError where the folder cannot be written.
 */
export function prepareSingle(ground: SingleGround, spec: InstanceSpec, hooks: InstanceHooks = {}): Instance {
  const common = lifeSpecOf(ground.folder, spec, ground.context, hooks, (folder) =>
    writeContainerFolder(folder, { ...spec, listen: `0.0.0.0:${CONTAINER_PORT}` }),
  );
  const life: ContainerLife = {
    ...plannedLife(common),
    ground,
    ip: hostAndPort(spec.listen).host,
    container: null,
    pid: null,
    onTrouble: () => {},
  };
  return instanceOf(life, {
    pid: () => life.pid,
    start: () => start(life),
    end: (signal, withinMs) => end(life, signal, withinMs),
    freeze: (frozen) => freeze(life, frozen),
    async discard() {
      await giveUp(life);
      await life.ending.catch(() => {});
    },
  });
}

/** Nobody starts it again; its end, however it comes, is no failure. */
export async function giveUp(life: ContainerLife): Promise<void> {
  life.over = true;
  life.told = true;
  if (life.container !== null) await removeContainer(life.ground.docker, life.container.id);
}
