/**
 * The records of peers: made when a node first connects, kept a while after its last connection, because limits and
 * refusals are per peer and "reconnecting resets nothing" (§9).
 */
import { ByteBudget } from './limits.ts';
import { createPeerReconciling } from './reconcile.ts';
import type { NodeState, Peer } from './state.ts';
import { createPeerFetching } from './wants.ts';

/** Refusals count for 60 s, byte budgets are whole again after one. */
const rememberedMs = 61_000;
/** Own sending stays this far below the peer's budget, because delays draw messages together on the way. */
const ownShare = 0.9;

export function peerOf(node: NodeState, nodeId: string): Peer {
  const known = node.peers.get(nodeId);
  if (known) {
    node.deadlines.cancel(known.forgetDue);
    return known;
  }
  const { bytesPerSecond } = node.parameters;
  const peer: Peer = {
    nodeId,
    links: new Set(),
    persistent: null,
    income: new ByteBudget(bytesPerSecond, node.nowMs),
    outgo: new ByteBudget(bytesPerSecond * ownShare, node.nowMs),
    incomeDue: null,
    outgoDue: null,
    forgetDue: null,
    fetching: createPeerFetching(),
    reconciling: createPeerReconciling(),
    refusedCheckpoints: new Map(),
  };
  node.peers.set(peer.nodeId, peer);
  return peer;
}

/** The peer's last connection ended. */
export function forgetLater(node: NodeState, peer: Peer): void {
  node.deadlines.cancel(peer.forgetDue);
  peer.forgetDue = node.deadlines.at(node.nowMs + rememberedMs, () => {
    if (peer.links.size === 0) node.peers.delete(peer.nodeId);
  });
}

export const shortLivedLimit = 4;

/** Connections of the other types than persistent, whoever dialled (§4: at most 4). */
export function shortLivedLinks(peer: Peer): number {
  let count = 0;
  for (const link of peer.links) if (link.type !== null && link.type !== 'persistent') count++;
  return count;
}
