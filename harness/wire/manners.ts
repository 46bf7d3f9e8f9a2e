/**
 * What a puppet does unasked so that a correct node does not take it for a slow or broken peer (answers, heartbeats,
 * pongs). Each can be switched off, at any time, by its member. Reads messages through the connection; judges nothing.
 */

import { canonical } from './canonical.ts';
import type { Connection } from './connection.ts';
import type { PeerEntry } from './gossip.ts';
import {
  digestAnswer,
  errorPayload,
  heartbeat,
  itemResponse,
  peerExchange,
  stateSyncResponse,
} from './gossip.ts';
import type { ItemSet } from './items.ts';
import type { Json, JsonObject } from './json.ts';
import type { Message } from './message.ts';
import type { Puppet } from './puppet.ts';

export interface Manners {
  /** What `sync_digest`, `serveItems`, `fence` and the handshake's state_summary speak of. Default the puppet's set. */
  items: ItemSet;
  /** Answer `sync_digest` from `items` (or of `views` for another root; else UNKNOWN_HASH). Default true. */
  answerDigest: boolean;
  /** Further sets whose roots are answered about, e.g. those of checkpoints. */
  views: ItemSet[];
  /** Answer gossip requests from `items`, naming the rest as missing. Default true. */
  serveItems: boolean;
  /** Answer `state_sync` requests from `checkpoints`, else UNKNOWN_HASH. Default true. */
  answerStateSync: boolean;
  /** Served by hash; the last one is the latest. */
  checkpoints: JsonObject[];
  /** Answer `peer_request` with `peers`. Default true. */
  answerPeerRequest: boolean;
  peers: (PeerEntry | Json)[];
  /** On persistent connections, from the handshake on; 0: none. Default 30 000. */
  heartbeatMs: number;
  /** Answer pings. Default true. */
  pong: boolean;
  /** Answer a close frame and end the socket. Default true. */
  closeBack: boolean;
  /** Set by the handshake: this is a persistent connection and we said `sync`, so the node may pull from us. */
  pulledFrom: boolean;
}

const largestPayload = 60_000;

export function createManners(puppet: Puppet, given: Partial<Manners> = {}): Manners {
  return {
    items: puppet.items,
    answerDigest: true,
    views: [],
    serveItems: true,
    answerStateSync: true,
    checkpoints: [],
    answerPeerRequest: true,
    peers: [],
    heartbeatMs: 30_000,
    pong: true,
    closeBack: true,
    pulledFrom: false,
    ...given,
  };
}

/** No manners at all but pongs and closing: a peer that says nothing unless told to. */
export const silent: Partial<Manners> = {
  answerDigest: false,
  serveItems: false,
  answerStateSync: false,
  answerPeerRequest: false,
  heartbeatMs: 0,
};

/** Attaches the manners to a connection's messages. */
export function observeManners(connection: Connection): void {
  connection.onMessage((message) => {
    if (message.requestId !== null || message.fault !== null) return;
    answerTo(connection, message);
  });
}

function answerTo(connection: Connection, message: Message): void {
  const { manners } = connection;
  const payload = message.payload ?? {};
  switch (message.type) {
    case 'sync_digest':
      if (manners.answerDigest) answerDigest(connection, message.id, payload);
      break;
    case 'state_sync':
      if (manners.answerStateSync && payload.sync_type === 'request') {
        answerStateSync(connection, message.id, payload.checkpoint_hash);
      }
      break;
    case 'peer_request':
      if (manners.answerPeerRequest)
        connection.send('peer_exchange', peerExchange(manners.peers, message.id));
      break;
    case 'gossip':
      if (manners.serveItems && payload.gossip_type === 'request') {
        serveItems(connection, message.id, payload.item_hashes);
      }
      break;
  }
}

function unknownHash(connection: Connection, requestId: string): void {
  connection.send('error', errorPayload('UNKNOWN_HASH', 'not held here', { request_id: requestId }));
}

function answerDigest(
  connection: Connection,
  requestId: string,
  payload: { root?: unknown; prefix?: unknown },
): void {
  const { items, views } = connection.manners;
  const set = payload.root === null ? items : [items, ...views].find((view) => view.root() === payload.root);
  if (set === undefined || typeof payload.prefix !== 'string') unknownHash(connection, requestId);
  else connection.send('sync_digest', digestAnswer(requestId, set.root(), set.subtree(payload.prefix)));
}

function answerStateSync(connection: Connection, requestId: string, hash: unknown): void {
  const { checkpoints } = connection.manners;
  const wanted =
    hash === null ? checkpoints.at(-1) : checkpoints.find((checkpoint) => checkpoint.hash === hash);
  if (wanted === undefined) unknownHash(connection, requestId);
  else connection.send('state_sync', stateSyncResponse(requestId, wanted));
}

/** As many as fit into 60 000 canonical bytes; what does not fit is neither served nor missing, so it is asked for again. */
export function serveItems(connection: Connection, requestId: string, hashes: unknown): void {
  if (!Array.isArray(hashes)) return;
  const { items } = connection.manners;
  const origin = connection.puppet.identity.nodeId;
  const missing = hashes.filter((hash) => !items.has(hash));
  const served: string[] = [];
  let size = canonical(itemResponse(origin, requestId, [], [], missing)).length;
  for (const hash of hashes) {
    const item = items.get(hash);
    if (item === undefined) continue;
    size += canonical(item.envelope).length + hash.length + 8;
    if (size > largestPayload) break;
    served.push(hash);
  }
  const envelopes = served.map((hash) => items.get(hash)!.envelope);
  connection.send('gossip', itemResponse(origin, requestId, envelopes, served, missing));
}

/** Heartbeats until the connection ends; called by the handshake on persistent connections. */
export function keepAlive(connection: Connection): void {
  const { heartbeatMs } = connection.manners;
  if (heartbeatMs <= 0) return;
  const timer = setInterval(() => {
    if (connection.manners.heartbeatMs > 0)
      connection.send('gossip', heartbeat(connection.puppet.identity.nodeId));
  }, heartbeatMs);
  void connection.closed.then(() => clearInterval(timer));
}
