/**
 * Starting gossips (§7): what this node has to tell, gathered for at most 50 ms per topic, and to whom. It owns the
 * choice of random peers, for own and for forwarded announces; it must not know how items are fetched.
 */
import type { Deadline } from './deadlines.ts';
import { type Gossip, gossipText, maxHashes } from './gossip-payload.ts';
import { pickRandom } from './link.ts';
import { sendToEach } from './sending.ts';
import type { Link, NodeState } from './state.ts';
import type { ItemType } from './types.ts';

/** "Items of one type accepted within 50 ms may share one" announce. */
const gatherMs = 40;

interface Gathered {
  hashes: string[];
  /** The only author of them all (it may be left out), or null. */
  author: string | null;
  due: Deadline | null;
  sentAtMs: number;
}

export interface AnnouncingState {
  readonly topics: Map<string, Gathered>;
}

export function createAnnouncing(): AnnouncingState {
  return { topics: new Map() };
}

export function topicOf(type: ItemType): string {
  return type === 'commit' ? 'new_commit' : type;
}

/**
 * Tells three random peers of something new. The first after a quiet spell goes out at once, what follows within
 * `gatherMs` shares one gossip. `wireHash` as it stands in `item_hashes`; `author`: a node id to leave out, or null.
 */
export function announce(node: NodeState, topic: string, wireHash: string, author: string | null): void {
  let gathered = node.announcing.topics.get(topic);
  if (!gathered) {
    gathered = { hashes: [], author: null, due: null, sentAtMs: Number.NEGATIVE_INFINITY };
    node.announcing.topics.set(topic, gathered);
  }
  if (gathered.hashes.length === 0) gathered.author = author;
  else if (gathered.author !== author) gathered.author = null;
  gathered.hashes.push(wireHash);
  if (gathered.hashes.length >= maxHashes) tell(node, topic, gathered);
  else if (!gathered.due?.live) {
    const at = Math.max(node.nowMs, gathered.sentAtMs + gatherMs);
    gathered.due = node.deadlines.at(at, () => tell(node, topic, gathered));
  }
}

/** Up to `fanout` distinct random peers that take gossip, none of `except` (node ids). */
export function pickGossipPeers(node: NodeState, except: readonly (string | null)[]): Link[] {
  const eligible = node.persistent.filter((link) => link.gossips && !except.includes(link.peer.nodeId));
  return pickRandom(node, eligible, node.parameters.fanout);
}

function tell(node: NodeState, topic: string, gathered: Gathered): void {
  node.deadlines.cancel(gathered.due);
  const { hashes, author } = gathered;
  gathered.hashes = [];
  gathered.sentAtMs = node.nowMs;
  const gossip: Gossip = {
    gossipId: node.world.uuid(),
    gossipType: 'announce',
    topic,
    topics: [topic],
    itemHashes: hashes,
    // "So the origin's copies carry 2": a gossip starts with ttl 3 at its origin and is forwarded with one less.
    ttl: node.parameters.ttl - 1,
    origin: node.me.nodeId,
  };
  node.gossipCache.add(gossip.gossipId, node.me.nodeId, node.nowMs);
  const text = gossipText(gossip);
  sendToEach(node, pickGossipPeers(node, [author]), 'gossip', text);
}
