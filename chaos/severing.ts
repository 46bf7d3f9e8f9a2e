/** Who is cut off from whom while a fault is in force: the fault's pairs taken out of the mesh of links. Pure. */

import type { Severing } from '../harness/history.ts';
import type { LinkFault, Pair } from '../harness/links/fault-plane.ts';
import type { PlannedFault } from '../harness/plan.ts';

/** Faults under which bytes do not arrive; all others only make them late. */
const severs: ReadonlySet<LinkFault['kind']> = new Set(['cut', 'down', 'black-hole']);

/** Sides that cannot reach each other without these pairs; one side: nobody is cut off. */
export function sidesWithout(nodes: readonly string[], gone: readonly Pair[]): string[][] {
  const lost = new Set(gone.map(({ from, to }) => `${from}>${to}`));
  // Two nodes are connected if either can dial the other: a connection carries both ways.
  const linked = (a: string, b: string): boolean => !lost.has(`${a}>${b}`) || !lost.has(`${b}>${a}`);
  const left = new Set(nodes);
  const sides: string[][] = [];
  for (const first of nodes) {
    if (!left.delete(first)) continue;
    const side = [first];
    for (const node of side) {
      for (const other of left) {
        if (!linked(node, other)) continue;
        left.delete(other);
        side.push(other);
      }
    }
    sides.push(side);
  }
  return sides;
}

/** All pairs between different groups, both ways. */
export function pairsAcross(groups: readonly string[][]): Pair[] {
  return groups.flatMap((group, at) =>
    groups
      .filter((_, other) => other !== at)
      .flatMap((other) => group.flatMap((from) => other.map((to) => ({ from, to })))),
  );
}

/** All pairs of one node, both ways. */
export function pairsOf(node: string, nodes: readonly string[]): Pair[] {
  return nodes
    .filter((other) => other !== node)
    .flatMap((other) => [
      { from: node, to: other },
      { from: other, to: node },
    ]);
}

/** The severing that a planned fault is, begun at `from`; null: it cuts nobody off. */
export function severingOf(fault: PlannedFault, nodes: readonly string[], from: number): Severing | null {
  const open = { fault: fault.id, from, until: null };
  switch (fault.kind) {
    case 'partition':
      return { ...open, kind: 'partition', sides: fault.groups };
    case 'link': {
      if (!severs.has(fault.fault.kind)) return null;
      const sides = sidesWithout(nodes, fault.pairs);
      return sides.length < 2 ? null : { ...open, kind: 'links', sides };
    }
    case 'pause':
      return { ...open, kind: 'pause', sides: [[fault.node]] };
    case 'kill':
    case 'restart':
    case 'wipe':
      return { ...open, kind: 'outage', sides: [[fault.node]] };
    case 'engine':
      // Without its cable it lives on with all its connections, as one that is paused.
      return { ...open, kind: fault.ability === 'unplug' ? 'pause' : 'outage', sides: [[fault.node]] };
    case 'adversary':
      return null;
  }
}
