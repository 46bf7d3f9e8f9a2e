/**
 * The life of a connection (§4): hello, the four types, duplicates, the bounds on their number, expiry and the end. It
 * owns who is CONNECTED; what is said afterwards is for others.
 */
import { isAddress } from './address.ts';
import { canonical } from './canonical.ts';
import { provesAt, readCertificate } from './certificate.ts';
import { summaryText } from './checkpoints.ts';
import { type Errand, errandEnded, forget, nodeConnected } from './dialing.ts';
import {
  bootstrapEnded,
  capabilitiesText,
  firstRepeatMs,
  lostEverybody,
  queryBootstrap,
  sendPeers,
} from './discovery.ts';
import { type Refusal, refuse } from './error-code.ts';
import { isSpokenVersion } from './forms.ts';
import { areStrings } from './gossip-payload.ts';
import { sendHeartbeat, startHeartbeats } from './heartbeat.ts';
import { end, note } from './link.ts';
import { forgetLater, peerOf, shortLivedLimit, shortLivedLinks } from './peers.ts';
import { failAll } from './requests.ts';
import { send, sendError } from './sending.ts';
import type { ConnectionType, Link, NodeState, Peer, Turn } from './state.ts';
import type { Identity, JsonObject, LinkId } from './types.ts';
import { dropSource } from './wants.ts';

const types: readonly unknown[] = ['bootstrap', 'persistent', 'gossip', 'sync'];
/** Connections of one peer that have not said hello: beyond what a tester of slow hellos opens. */
const silentLimit = 128;
const shortLivedMs = 10_000;
const syncIdleMs = 30_000;

interface Hello {
  readonly nodeId: string;
  readonly capabilities: readonly string[];
  readonly address: string | null;
  readonly type: ConnectionType;
}

/** A connection was upgraded. `errand`: what this node dialled it for, or null if the peer dialled. */
export function openLink(node: NodeState, id: LinkId, der: Uint8Array, errand: Errand | null): void {
  // Its signature was verified by the shell before the upgrade; what is left to ask is what the certificate proves now.
  const trusting = { verify: () => true, sha256: node.world.sha256 };
  const certificate = readCertificate(der, node.authority, trusting, false);
  if (node.stopped || !certificate || !provesAt(certificate, node.world.wallMs() / 1000)) {
    const code = node.stopped ? 1001 : 4401;
    node.turn.effects.push({
      kind: 'close',
      link: id,
      code,
      reason: node.stopped ? 'stopping' : 'certificate',
    });
    if (errand?.kind === 'bootstrap') bootstrapEnded(node, errand.query);
    if (errand?.kind === 'persistent') errandEnded(node, errand.nodeId, false, 0);
    return;
  }
  const { publicKey, publicKeyBase64, nodeId, agentId } = certificate;
  const link = createLink(node, id, { publicKey, publicKeyBase64, nodeId, agentId }, errand);
  node.links.set(id, link);
  link.peer.links.add(link);
  if (nodeId === node.me.nodeId) {
    if (errand?.kind === 'persistent') misled(node, link, errand.nodeId);
    end(node, link, 4409, 'own node');
    return;
  }
  // "A dialled address must prove the node_id … under which it was learned; else close 4401 before any hello" (§4)
  if (errand?.kind === 'persistent' && errand.nodeId !== nodeId) {
    misled(node, link, errand.nodeId);
    end(node, link, 4401, 'another node');
    return;
  }
  if (errand?.kind === 'bootstrap' && errand.query.nodeId !== nodeId) {
    end(node, link, 4401, 'another key');
    return;
  }
  if (!errand && waitingForHello(link.peer) > silentLimit) {
    end(node, link, 4429, 'too many silent connections');
    return;
  }
  link.helloDue = node.deadlines.at(node.nowMs + node.parameters.handshakeTimeoutMs, () => {
    end(node, link, 4408, 'no hello');
  });
  if (errand) sendHello(node, link);
}

function createLink(node: NodeState, id: LinkId, identity: Identity, errand: Errand | null): Link {
  return {
    id,
    peer: peerOf(node, identity.nodeId),
    identity,
    errand,
    errandSettled: false,
    type: errand?.kind ?? null,
    phase: 'hello',
    gossips: false,
    syncs: false,
    toldFull: false,
    heardAtMs: node.nowMs,
    holds: new Set(),
    heldSinceMs: 0,
    queue: [],
    queuedBytes: 0,
    parked: null,
    barriers: 0,
    itemsStoring: 0,
    badAtMs: [],
    outbox: [],
    outboxBytes: 0,
    pressed: false,
    pending: new Map(),
    delayedAnswers: 0,
    helloDue: null,
    expiryDue: null,
    silenceDue: null,
    heartbeatDue: null,
    askPeersFromMs: Number.NEGATIVE_INFINITY,
    askPeersAfterMs: firstRepeatMs,
    pressedDue: null,
  };
}

/** Somebody else is at a learned address: "the address is forgotten". */
function misled(node: NodeState, link: Link, nodeId: string): void {
  link.errandSettled = true;
  node.routing.disprove(nodeId, node.nowMs);
  forget(node, nodeId);
  node.turn.dialsWanted = true;
}

function waitingForHello(peer: Peer): number {
  let count = 0;
  for (const link of peer.links) if (link.phase === 'hello') count++;
  return count;
}

function sendHello(node: NodeState, link: Link): void {
  const address = canonical(node.config.advertise);
  const payload = `{"address": ${address}, "capabilities": ${capabilitiesText}, "connection_type": "${link.type}", "node_id": "${node.me.nodeId}", "version": "1.0"}`;
  send(node, link, 'hello', payload);
}

/** A `hello` past the first ten checks. The caller closes on a refusal. */
export function takeHello(
  node: NodeState,
  link: Link,
  messageId: string,
  payload: JsonObject,
): Refusal | null {
  if (link.phase === 'open') return refuse('MALFORMED', 'second hello');
  const hello = readHello(payload);
  if ('because' in hello) return hello;
  if (hello.nodeId !== link.peer.nodeId)
    return refuse('IDENTITY_MISMATCH', 'payload.node_id is not the sender');
  if (link.errand && hello.type !== link.type) return refuse('MALFORMED', 'another connection_type');
  link.type = hello.type;
  if (!isWelcome(node, link, messageId)) return null;
  if (!link.errand) sendHello(node, link);
  connected(node, link, hello);
  return null;
}

function readHello(payload: JsonObject): Hello | Refusal {
  const { version, node_id, capabilities, address, connection_type } = payload;
  if (version === undefined || version === null) return refuse('MALFORMED', 'payload.version');
  if (typeof node_id !== 'string') return refuse('MALFORMED', 'payload.node_id');
  if (!areStrings(capabilities)) return refuse('MALFORMED', 'capabilities');
  if (address !== null && !isAddress(address)) return refuse('MALFORMED', 'address');
  if (!types.includes(connection_type)) return refuse('MALFORMED', 'connection_type');
  if (!isSpokenVersion(version)) return refuse('VERSION_MISMATCH', 'payload.version');
  return { nodeId: node_id, capabilities, address, type: connection_type as ConnectionType };
}

/** The bounds of §4: duplicates, 50 peers, 4 short-lived connections. Ends the connection if they do not let it in. */
function isWelcome(node: NodeState, link: Link, messageId: string): boolean {
  const { peer } = link;
  if (link.type !== 'persistent') {
    if (link.errand || shortLivedLinks(peer) <= shortLivedLimit) return true;
    end(node, link, 4429, 'too many short-lived connections');
    return false;
  }
  const older = peer.persistent;
  if (older) {
    if (newerStays(node, older, link)) return true;
    end(node, link, 4409, 'duplicate');
    // "Who closes a newer one sends a heartbeat on the older at once, so that a dead one shows."
    sendHeartbeat(node, older);
    return false;
  }
  if (node.persistent.length < node.parameters.maxPeers) return true;
  if (!link.errand) {
    sendError(node, link, 'TOO_MANY_PEERS', 'no place for another peer', messageId);
    sendPeers(node, link, null);
  }
  end(node, link, 4429, 'too many peers');
  return false;
}

/** "if different nodes dialled them, the one dialled by the lower node_id stays; if the same node dialled both, the newer" */
function newerStays(node: NodeState, older: Link, newer: Link): boolean {
  if ((older.errand === null) === (newer.errand === null)) return true;
  const ownIsLower = node.me.nodeId < newer.peer.nodeId;
  return (newer.errand !== null) === ownIsLower;
}

function connected(node: NodeState, link: Link, hello: Hello): void {
  const { peer } = link;
  link.phase = 'open';
  link.gossips = hello.capabilities.includes('gossip');
  link.syncs = hello.capabilities.includes('sync');
  node.deadlines.cancel(link.helloDue);
  node.routing.met(peer.nodeId, hello.address, node.nowMs);
  nodeConnected(node, peer.nodeId, link.type === 'persistent', link.errand === null);
  send(node, link, 'state_summary', summaryText(node));
  if (link.type !== 'persistent') {
    expire(node, link);
    if (link.errand?.kind === 'bootstrap') queryBootstrap(node, link, link.errand.query);
    return;
  }
  const older = peer.persistent;
  if (older) end(node, older, 4409, 'duplicate');
  peer.persistent = link;
  node.persistent.push(link);
  sendPeers(node, link, null);
  startHeartbeats(node, link);
  node.turn.dialsWanted = true;
  note(node, 'info', 'peer', {
    peer: peer.nodeId,
    dialed: link.errand !== null,
    peers: node.persistent.length,
  });
}

/** `bootstrap` and `gossip` end within 10 s, `sync` when idle for 30 s (§4). */
function expire(node: NodeState, link: Link): void {
  const isSync = link.type === 'sync';
  const atMs = isSync ? link.heardAtMs + syncIdleMs : node.nowMs + shortLivedMs;
  link.expiryDue = node.deadlines.at(atMs, () => {
    if (isSync && node.nowMs - link.heardAtMs < syncIdleMs) expire(node, link);
    else end(node, link, 1000, 'expired');
  });
}

/** What follows from a connection's end, drawn at the end of the step. */
export function drawConsequences(node: NodeState, ended: Turn['ended'][number]): void {
  const { link, code, byPeer, wasOpen } = ended;
  const { peer, errand } = link;
  failAll(node, link, 'closed');
  if (peer.links.size === 0) {
    dropSource(node, peer);
    forgetLater(node, peer);
  }
  node.turn.dialsWanted = true;
  if (errand?.kind === 'bootstrap') bootstrapEnded(node, errand.query);
  if (errand?.kind === 'persistent' && !link.errandSettled)
    errandEnded(node, errand.nodeId, wasOpen, code || 1006);
  // An end beside another connection to the same peer "is no lost peer".
  if (!wasOpen || link.type !== 'persistent' || peer.persistent) return;
  note(node, 'info', 'peer-lost', { peer: peer.nodeId, code, byPeer, peers: node.persistent.length });
  if (node.persistent.length === 0 && !node.stopped) lostEverybody(node);
}
