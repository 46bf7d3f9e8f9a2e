/**
 * The bypass check: no connection between nodes may go around the fault plane, else faults on links would prove nothing.
 * Compares what the plane carried with what the nodes and the kernel say. Pure; who looked, and when, is not its matter.
 */

import type { Finding } from '../verdict.ts';
import type { LinkCounters } from './fault-plane.ts';

export interface ObservedLinks {
  /** A node and another that it names as its peer; who dialled is not known. */
  peerings: readonly { node: string; peer: string }[];
  /**
   * Live connections at each node's own address by who dialled them, as the kernel knows it: `ours` the plane or an observer,
   * `others` any other process. null where the kernel cannot be asked.
   */
  sockets: readonly { node: string; ours: number; others: number }[] | null;
}

const id = 'links.bypass';
const mostEvidence = 24;

const found = (verdict: Finding['verdict'], because: string, evidence: readonly unknown[] = []): Finding => ({
  id,
  verdict,
  because,
  proves: [],
  evidence: evidence.slice(0, mostEvidence),
});

const bothWays = (a: string, b: string): string => (a < b ? `${a} and ${b}` : `${b} and ${a}`);

/** Pairs that know each other though neither link between them ever took a connection in. */
function strangers(counters: readonly LinkCounters[], { peerings }: ObservedLinks): string[] {
  const met = new Set(
    counters.filter(({ accepted }) => accepted !== 0).map(({ from, to }) => bothWays(from, to)),
  );
  // One proxy per listener cannot tell dialers apart: whoever dials that node goes through it.
  const anybody = new Set(
    counters.filter(({ from, accepted }) => from === '*' && accepted !== 0).map(({ to }) => to),
  );
  const pairs = new Set<string>();
  for (const { node, peer } of peerings) {
    if (node === peer || anybody.has(node) || anybody.has(peer)) continue;
    const pair = bothWays(node, peer);
    if (!met.has(pair)) pairs.add(pair);
  }
  return [...pairs].sort();
}

/**
 * fail: a pair met, or a node was dialled, around the plane. unknown: nothing was observed, or neither the plane counts
 * connections nor the kernel could be asked.
 */
export function bypass(counters: readonly LinkCounters[], observed: ObservedLinks): Finding {
  const { peerings, sockets } = observed;
  const dialled = (sockets ?? []).filter(({ others }) => others > 0);
  if (dialled.length > 0) {
    const sum = dialled.reduce((all, { others }) => all + others, 0);
    const because = `${sum} connections to ${dialled.map(({ node }) => node).join(', ')} were dialled by other processes than the fault plane's.`;
    return found('fail', because, dialled);
  }
  const counted = counters.length > 0 && counters.every(({ accepted }) => accepted !== null);
  const around = counted ? strangers(counters, observed) : [];
  if (around.length > 0) {
    const because = `${around.length} pairs of nodes know each other, and no connection of theirs went through the fault plane; first: ${around[0]}.`;
    return found('fail', because, around);
  }
  const seen = (sockets ?? []).reduce((all, { ours }) => all + ours, 0);
  if (seen === 0 && (!counted || peerings.length === 0)) {
    const reason = counted
      ? 'no node was seen with a peer'
      : 'the server of the links does not count connections';
    return found('unknown', `Nothing can be said of connections around the fault plane: ${reason}.`);
  }
  const parts = [
    ...(counted && peerings.length > 0 ? [`${peerings.length} reported peers met through their links`] : []),
    ...(seen > 0 ? [`all ${seen} live connections at the nodes' own addresses were dialled by us`] : []),
  ];
  return found('pass', `Nobody went around the fault plane: ${parts.join(', and ')}.`);
}
