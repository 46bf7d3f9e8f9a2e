/** Who is cut off from whom while a fault is in force: the fault's pairs taken out of the mesh of links. Pure. */

import type { LinkSample, Severing } from '../harness/history.ts';
import type { LinkFault, Pair } from '../harness/links/fault-plane.ts';
import type { PlannedFault } from '../harness/plan.ts';

/** Faults under which bytes do not arrive; all others only make them late. */
const severs: ReadonlySet<LinkFault['kind']> = new Set(['cut', 'down', 'black-hole']);
/** Of those, the ones that leave connections standing: nobody dials again before its peer has been silent for 90 s. */
const silent: ReadonlySet<LinkFault['kind']> = new Set(['cut', 'black-hole']);

type Linked = (a: string, b: string) => boolean;

const keyOf = ({ from, to }: Pair): string => `${from}>${to}`;

/** Sides that cannot reach each other where only these pairs are linked; one side: nobody is cut off. */
function sidesOf(nodes: readonly string[], linked: Linked): string[][] {
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

/** Sides without these pairs. Two nodes are linked if either can dial the other: a connection carries both ways. */
export function sidesWithout(nodes: readonly string[], gone: readonly Pair[]): string[][] {
  const lost = new Set(gone.map(keyOf));
  return sidesOf(nodes, (a, b) => !lost.has(`${a}>${b}`) || !lost.has(`${b}>${a}`));
}

/**
 * Sides while nothing arrives over these pairs, and nobody notices: who has connections has only those. `open`: links with a
 * connection when it began; null: nobody counted, and then a pair is cut off if either direction is.
 */
export function sidesInSilence(
  nodes: readonly string[],
  gone: readonly Pair[],
  open: readonly Pair[] | null,
): string[][] {
  const lost = new Set(gone.map(keyOf));
  if (open === null) return sidesOf(nodes, (a, b) => !lost.has(`${a}>${b}`) && !lost.has(`${b}>${a}`));
  const left = new Set(open.map(keyOf).filter((key) => !lost.has(key)));
  const connected = new Set(open.flatMap(({ from, to }) => [from, to]));
  return sidesOf(nodes, (a, b) => {
    const [forth, back] = [`${a}>${b}`, `${b}>${a}`];
    if (left.has(forth) || left.has(back)) return true;
    // Who has none is dialling.
    return !(connected.has(a) && connected.has(b)) && !(lost.has(forth) && lost.has(back));
  });
}

/** The links with a connection by this reading of the counters; null where there is none, or it does not count them. */
export function openLinks(sample: LinkSample | undefined): Pair[] | null {
  if (sample === undefined || sample.links.some(({ open }) => open === null)) return null;
  return sample.links.filter(({ open }) => open! > 0).map(({ from, to }) => ({ from, to }));
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

/** The severing that a planned fault is, begun at `from`; `openThen` as `sidesInSilence` has it; null: it cuts nobody off. */
export function severingOf(
  fault: PlannedFault,
  nodes: readonly string[],
  from: number,
  openThen: readonly Pair[] | null,
): Severing | null {
  const open = { fault: fault.id, from, until: null };
  switch (fault.kind) {
    case 'partition':
      return { ...open, kind: 'partition', sides: fault.groups };
    case 'link': {
      if (!severs.has(fault.fault.kind)) return null;
      const sides = silent.has(fault.fault.kind)
        ? sidesInSilence(nodes, fault.pairs, openThen)
        : sidesWithout(nodes, fault.pairs);
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
