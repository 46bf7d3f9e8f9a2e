/** Signs of life (§4, design §7.3): a heartbeat every 30 s to each persistent peer, and the end of one silent for 90 s. */
import { gossipText } from './gossip-payload.ts';
import { end } from './link.ts';
import { send } from './sending.ts';
import type { Link, NodeState } from './state.ts';

/** §4: "a `gossip` message with `gossip_type:"heartbeat"` … `ttl:0`, `item_hashes:[]`, `origin` the sender". */
export function sendHeartbeat(node: NodeState, link: Link): void {
  const text = gossipText({
    gossipId: node.world.uuid(),
    gossipType: 'heartbeat',
    topic: 'heartbeat',
    topics: ['heartbeat'],
    itemHashes: [],
    ttl: 0,
    origin: node.me.nodeId,
  });
  send(node, link, 'gossip', text, true);
}

/** A persistent connection became CONNECTED. */
export function startHeartbeats(node: NodeState, link: Link): void {
  const { heartbeatIntervalMs, peerTimeoutMs } = node.parameters;
  const beat = () => {
    sendHeartbeat(node, link);
    link.heartbeatDue = node.deadlines.at(node.nowMs + heartbeatIntervalMs, beat);
  };
  link.heartbeatDue = node.deadlines.at(node.nowMs + heartbeatIntervalMs, beat);
  const listen = () => {
    // "Time in which the node itself held the connection back does not count."
    const untilMs = link.holds.size > 0 ? Math.max(link.heldSinceMs, link.heardAtMs) : node.nowMs;
    const leftMs = peerTimeoutMs - (untilMs - link.heardAtMs);
    if (leftMs <= 0) end(node, link, 4408, 'silent');
    else link.silenceDue = node.deadlines.at(node.nowMs + leftMs, listen);
  };
  link.silenceDue = node.deadlines.at(link.heardAtMs + peerTimeoutMs, listen);
}
