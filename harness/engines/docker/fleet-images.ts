/**
 * Which images a plan needs: Toxiproxy's, the reference node's, strangers', those of upgrades in the middle of the run. All are found
 * or made before anything is started. Knows no containers.
 */

import type Docker from 'dockerode';
import type { EngineOptions } from '../../engine.ts';
import type { Plan, PlannedNode } from '../../plan.ts';
import { UsageError } from '../../usage-error.ts';
import { foreignImage, nodeImage, toxiproxyImage } from './image.ts';
import { type Perturbation, readPerturbation } from './perturb.ts';

export interface Images {
  toxiproxy: string;
  /** For nodes of the plan, for upgrades and for the prober; null where nobody handed the reference node in. */
  reference: string | null;
  /** Per node of the plan. */
  nodes: Map<string, string>;
}

/** What is wrong with a fault's options is said before anything is started. */
export function checkPerturbations(plan: Plan): Perturbation[] {
  return plan.faults.flatMap((fault) =>
    fault.kind === 'engine' ? [readPerturbation(fault.id, fault.ability, fault.options)] : [],
  );
}

/** All of them before anything is started, so that a missing one costs nothing. */
export async function findImages(plan: Plan, options: EngineOptions, docker: Docker): Promise<Images> {
  const say = (what: string, how: string): void =>
    options.onEvent?.({ kind: 'info', text: `${what} ${how}` });
  const toxiproxy = await toxiproxyImage(docker);
  say(`image ${toxiproxy.ref}`, toxiproxy.how);
  const byRef = new Map<string | null, string>();
  const nodes = new Map<string, string>();
  for (const node of plan.nodes) {
    if (!byRef.has(node.image)) byRef.set(node.image, await imageOf(node, options, docker, say));
    nodes.set(node.name, byRef.get(node.image)!);
  }
  for (const one of checkPerturbations(plan)) {
    if (one.ability !== 'upgrade' || byRef.has(one.image)) continue;
    if (one.image !== null) byRef.set(one.image, (await foreignImage(docker, one.image)).ref);
    else if (options.reference === undefined)
      throw new UsageError('an upgrade without options.image needs the reference node');
  }
  // The prober runs in it, also where all nodes are strangers.
  if (!byRef.has(null) && options.reference !== undefined)
    byRef.set(null, (await nodeImage(docker, options.reference)).ref);
  return { toxiproxy: toxiproxy.ref, reference: byRef.get(null) ?? null, nodes };
}

async function imageOf(
  node: PlannedNode,
  options: EngineOptions,
  docker: Docker,
  say: (what: string, how: string) => void,
): Promise<string> {
  if (node.image === null && node.command !== null) {
    throw new UsageError(
      `${node.name} (group ${node.group}) is the command "${node.command}", which the docker engine cannot start: give an image`,
    );
  }
  if (node.image === null && options.reference === undefined)
    throw new Error('the plan has reference nodes, and nobody handed in their command');
  const found =
    node.image === null
      ? await nodeImage(docker, options.reference!)
      : await foreignImage(docker, node.image);
  say(`image ${found.ref}`, found.how);
  return found.ref;
}
