/**
 * A `gossip` message that came in (§7): announces are cached, processed and forwarded, requests answered, responses
 * handed to who asked. It owns the path of a gossip through this node; fetching what it tells of is elsewhere.
 */
import { pickGossipPeers } from './announce.ts';
import { maxPayloadBytes } from './envelope.ts';
import { type Refusal, refuse } from './error-code.ts';
import { isResponse } from './fetching.ts';
import { type Gossip, gossipText, readGossip, responseText } from './gossip-payload.ts';
import { settled } from './requests.ts';
import { send, sendToEach } from './sending.ts';
import type { Link, NodeState } from './state.ts';
import { seek } from './state-sync.ts';
import { isHeld } from './storing.ts';
import type { JsonObject } from './types.ts';
import { isComing, toldOn, want, whenCome } from './wants.ts';

/** The seven members of a response and its `request_id`, without hashes. */
const frameBytes = 400;
/** A hash in a list, with quotes and separator. */
const hashBytes = 73;
const delayMs = 200;
const delayedLimit = 4;
/** Checkpoints of one announce that are looked at. */
const checkpointsAtOnce = 4;

/** A gossip past the first ten checks. */
export function takeGossip(
  node: NodeState,
  link: Link,
  messageId: string,
  payload: JsonObject,
): Refusal | null {
  const gossip = readGossip(payload);
  if (!gossip) return refuse('MALFORMED', 'gossip');
  switch (gossip.gossipType) {
    case 'heartbeat':
      // "never cached or forwarded"; that it came is all it says.
      return null;
    case 'announce':
      takeAnnounce(node, link, gossip);
      return null;
    case 'request':
      if (gossip.topic === 'checkpoint')
        return refuse('MALFORMED', 'checkpoints are asked for by state_sync');
      answerWhenReady(node, link, messageId, gossip);
      return null;
    case 'response':
      if (gossip.topic === 'checkpoint' || !isResponse(payload))
        return refuse('MALFORMED', 'gossip response');
      settled(node, link, payload.request_id, 'gossip')?.answered(payload);
      return null;
  }
}

/** §5.3 of the design: check cache, cache, process, forward. */
function takeAnnounce(node: NodeState, link: Link, gossip: Gossip): void {
  const { nodeId } = link.peer;
  if (!node.gossipCache.add(gossip.gossipId, nodeId, node.nowMs)) {
    node.counters.duplicatesDropped++;
    return;
  }
  if (gossip.topic === 'checkpoint') {
    const word = gossip.origin === nodeId ? 'origin' : 'forward';
    for (const hash of gossip.itemHashes.slice(0, checkpointsAtOnce)) seek(node, link, hash, word);
  } else {
    for (const wire of gossip.itemHashes) want(node, link, wire.slice(5), 'announced', true);
  }
  // "A ttl above `ttl` − 1 counts as `ttl` − 1."
  const ttl = Math.min(gossip.ttl, node.parameters.ttl - 1);
  if (ttl <= 0) return;
  if (gossip.topic !== 'checkpoint') for (const wire of gossip.itemHashes) toldOn(node, wire.slice(5));
  const text = gossipText({ ...gossip, ttl: ttl - 1 });
  sendToEach(node, pickGossipPeers(node, [nodeId, gossip.origin]), 'gossip', text);
}

/** "A holder that is itself fetching an asked hash may delay its answer by up to 200 ms." */
function answerWhenReady(node: NodeState, link: Link, messageId: string, gossip: Gossip): void {
  const hashes = [...new Set(gossip.itemHashes.map((wire) => wire.slice(5)))];
  const coming = hashes.filter((hash) => !isHeld(node, hash) && isComing(node, hash));
  if (coming.length === 0 || link.delayedAnswers >= delayedLimit) {
    serve(node, link, messageId, hashes);
    return;
  }
  link.delayedAnswers++;
  let left = coming.length;
  const reply = () => {
    node.deadlines.cancel(due);
    if (left < 0) return;
    left = -1;
    link.delayedAnswers--;
    serve(node, link, messageId, hashes);
  };
  const due = node.deadlines.at(node.nowMs + delayMs, reply);
  for (const hash of coming) whenCome(node, hash, () => void (--left === 0 && reply()));
}

/** The items of these hashes, as many as fit; `missing` those that are not held (§7). */
function serve(node: NodeState, link: Link, messageId: string, hashes: readonly string[]): void {
  const named: string[] = [];
  const items: string[] = [];
  const missing: string[] = [];
  for (const hash of hashes) if (!isHeld(node, hash)) missing.push(`rule_${hash}`);
  let left = maxPayloadBytes - frameBytes - missing.length * hashBytes;
  for (const hash of hashes) {
    if (!isHeld(node, hash)) continue;
    const bytes = node.world.readItem(hash);
    // Held, but not to be had now: neither served nor missing.
    if (!bytes) continue;
    left -= bytes.length + 2 + hashBytes;
    // The rest is asked for again.
    if (left < 0) break;
    named.push(`rule_${hash}`);
    items.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'));
  }
  const gossip: Gossip = {
    gossipId: node.world.uuid(),
    gossipType: 'response',
    topic: 'items',
    topics: ['items'],
    itemHashes: named,
    ttl: 0,
    origin: node.me.nodeId,
  };
  send(node, link, 'gossip', responseText(gossip, messageId, items, missing));
}
