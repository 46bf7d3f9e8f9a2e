/**
 * Learning who is there (§5): every bootstrap node is asked, in parallel and until it answers; peers are asked again while
 * there are too few; lists are given and taken. It owns `peer_request` and `peer_exchange`; whom to dial is decided
 * elsewhere.
 */
import { isAddress } from './address.ts';
import { decodeBase64 } from './base64.ts';
import { canonical } from './canonical.ts';
import { nodeIdOf } from './certificate.ts';
import type { Deadline } from './deadlines.ts';
import { backoffMs, dial } from './dialing.ts';
import { type Refusal, refuse } from './error-code.ts';
import { isNodeId } from './forms.ts';
import { areStrings } from './gossip-payload.ts';
import { isObject } from './json.ts';
import { end, pickRandom } from './link.ts';
import { shortLivedLimit, shortLivedLinks } from './peers.ts';
import { ask } from './requests.ts';
import { send } from './sending.ts';
import type { Link, NodeState } from './state.ts';
import type { BootstrapNode, JsonObject } from './types.ts';

/** A configured bootstrap node and how far asking it has come. */
export interface BootstrapQuery {
  readonly bootstrap: BootstrapNode;
  readonly nodeId: string;
  /** Has answered since the last time no peer was left. */
  answered: boolean;
  /** A dial or a connection for it is under way. */
  active: boolean;
  /** The first attempt has ended, one way or the other. */
  tried: boolean;
  delayMs: number;
  due: Deadline | null;
}

/** "A list has at most 50 entries"; "of a longer list the first 50 entries count, good or bad" (§5). */
export const listLimit = 50;
const firstDelayMs = 500;
const gatherAtMostMs = 1000;
const gatherAfterAnswerMs = 100;
const answerMs = 5000;
/** "repeats `peer_request` to a peer after 2 s, 4 s … 60 s" (§4): never sooner to the same peer. */
export const firstRepeatMs = 2000;
/** Different peers are asked one after another: of nodes that start together the early ones know nobody yet. */
const askEveryMs = 500;
const greatestDelayMs = 60_000;
export const capabilitiesText = '["v1", "consensus", "gossip", "sync"]';

export function createBootstraps(node: Pick<NodeState, 'config' | 'world' | 'me'>): BootstrapQuery[] {
  const queries: BootstrapQuery[] = [];
  for (const bootstrap of node.config.bootstrap) {
    const publicKey = decodeBase64(bootstrap.publicKeyBase64, 32);
    if (!publicKey)
      throw new Error(`bootstrap node ${bootstrap.address}: public key is no base64 of 32 bytes`);
    const nodeId = nodeIdOf(publicKey, node.world.sha256);
    // "The list of bootstrap nodes may hold the node itself (skipped by its key)."
    if (nodeId === node.me.nodeId) continue;
    queries.push({
      bootstrap,
      nodeId,
      answered: false,
      active: false,
      tried: false,
      delayMs: firstDelayMs,
      due: null,
    });
  }
  return queries;
}

export function startDiscovery(node: NodeState): void {
  if (node.bootstraps.length > 0) node.dialing.gatherUntilMs = node.nowMs + gatherAtMostMs;
  for (const query of node.bootstraps) askBootstrap(node, query);
  repeatRequests(node);
}

/** No persistent peer is left: all bootstrap nodes are asked again (§5). */
export function lostEverybody(node: NodeState): void {
  for (const query of node.bootstraps) {
    query.answered = false;
    query.delayMs = firstDelayMs;
    if (!query.active) scheduleQuery(node, query);
  }
}

function askBootstrap(node: NodeState, query: BootstrapQuery): void {
  if (query.active || node.stopped) return;
  // "who dials counts too and does not dial a fifth" (§4)
  const peer = node.peers.get(query.nodeId);
  if (peer && shortLivedLinks(peer) >= shortLivedLimit) {
    scheduleQuery(node, query);
    return;
  }
  query.active = true;
  dial(node, { kind: 'bootstrap', query }, query.bootstrap.address, () => bootstrapEnded(node, query));
}

function scheduleQuery(node: NodeState, query: BootstrapQuery): void {
  node.deadlines.cancel(query.due);
  const delayMs = backoffMs(node, query.delayMs);
  query.delayMs = Math.min(greatestDelayMs, query.delayMs * 2);
  query.due = node.deadlines.at(node.nowMs + delayMs, () => {
    // Answered, but with nobody found it is asked again as if it had not.
    if (!query.answered || node.persistent.length === 0) askBootstrap(node, query);
  });
}

/** A bootstrap connection is CONNECTED: the one thing it is for. */
export function queryBootstrap(node: NodeState, link: Link, query: BootstrapQuery): void {
  requestPeers(
    node,
    link,
    () => {
      query.answered = true;
      node.dialing.gatherUntilMs = Math.min(node.dialing.gatherUntilMs, node.nowMs + gatherAfterAnswerMs);
      end(node, link, 1000, 'discovery done');
    },
    () => end(node, link, 1000, 'no answer'),
  );
}

/** The dial failed: others are not told of it "if it was dialled since" and did not answer (§5). */
export function bootstrapFailed(node: NodeState, query: BootstrapQuery): void {
  const { nodeId, bootstrap } = query;
  if (node.routing.get(nodeId)?.address === bootstrap.address) node.routing.dialFailed(nodeId);
  bootstrapEnded(node, query);
}

/** The dial failed or the connection is gone; asks again unless it answered and there are peers. */
export function bootstrapEnded(node: NodeState, query: BootstrapQuery): void {
  query.active = false;
  query.tried = true;
  if (node.bootstraps.every((each) => each.tried)) node.dialing.gatherUntilMs = Number.NEGATIVE_INFINITY;
  node.turn.dialsWanted = true;
  scheduleQuery(node, query);
}

/**
 * While there are too few peers, one of those whose turn has come is asked for more. Each has its own turns: one that came late
 * may know whom all others were asked too early for.
 */
function repeatRequests(node: NodeState): void {
  const isFull = node.persistent.length >= node.parameters.targetPeers;
  node.deadlines.at(node.nowMs + (isFull ? firstRepeatMs : askEveryMs), () => {
    if (node.stopped) return;
    const isShort = node.persistent.length < node.parameters.targetPeers;
    const due = isShort ? node.persistent.filter((link) => node.nowMs >= link.askPeersFromMs) : [];
    const listening = due.filter((link) => node.routing.get(link.peer.nodeId));
    const [link] = pickRandom(node, listening.length > 0 ? listening : due, 1);
    if (link && node.ownLimits.waitMs(link.peer.nodeId, 'query', node.nowMs) === 0) {
      node.ownLimits.count(link.peer.nodeId, 'query', node.nowMs);
      link.askPeersFromMs = node.nowMs + link.askPeersAfterMs;
      link.askPeersAfterMs = Math.min(greatestDelayMs, link.askPeersAfterMs * 2);
      requestPeers(node, link);
    }
    repeatRequests(node);
  });
}

function requestPeers(node: NodeState, link: Link, answered = () => {}, failed = () => {}): void {
  const payload = `{"capabilities": ${capabilitiesText}, "node_id": "${node.me.nodeId}"}`;
  ask(
    node,
    link,
    { messageType: 'peer_request', payload, kind: 'peer_exchange', withinMs: answerMs },
    (answer) => {
      learn(node, answer);
      answered();
    },
    failed,
  );
}

/** Check 11 and answer for a `peer_request`. */
export function answerPeerRequest(
  node: NodeState,
  link: Link,
  requestId: string,
  payload: JsonObject,
): Refusal | null {
  if (payload.node_id !== link.peer.nodeId) return refuse('MALFORMED', 'node_id is not the sender');
  if (!areStrings(payload.capabilities)) return refuse('MALFORMED', 'capabilities');
  sendPeers(node, link, requestId);
  return null;
}

/** A list of peers (§5): the answer to a request, or (null) unasked after the handshake. */
export function sendPeers(node: NodeState, link: Link, requestId: string | null): void {
  const known = node.routing.peerList(link.peer.nodeId, () => node.world.random());
  const peers = known.map(
    ({ nodeId, address }) => `{"address": ${canonical(address)}, "node_id": "${nodeId}"}`,
  );
  const request = requestId === null ? '' : `, "request_id": "${requestId}"`;
  send(node, link, 'peer_exchange', `{"peers": [${peers.join(', ')}]${request}}`);
}

/** Check 11 for a `peer_exchange`: the list as such; bad entries in it are skipped later. */
export function isPeerList(payload: JsonObject): boolean {
  return (
    Array.isArray(payload.peers) &&
    (payload.request_id === undefined || typeof payload.request_id === 'string')
  );
}

/** Takes in a list of a third party: good entries become unverified candidates, verified ones are never altered. */
export function learn(node: NodeState, payload: JsonObject): void {
  if (!Array.isArray(payload.peers)) return;
  for (const entry of payload.peers.slice(0, listLimit)) {
    if (!isObject(entry)) continue;
    const { node_id, address } = entry;
    if (!isNodeId(node_id) || !isAddress(address) || node_id === node.me.nodeId) continue;
    node.routing.heardOf(node_id, address, node.nowMs);
  }
  node.turn.dialsWanted = true;
}
