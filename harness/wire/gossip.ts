/** Payloads of gossip, sync and connection messages (profile §4, §5, §7, §8): honest ones, with members to replace. */

import { randomUUID } from 'node:crypto';
import type { Json, JsonObject } from './json.ts';
import type { Subtree } from './tree.ts';

/** Members to replace; undefined removes. */
export type Changes = Record<string, Json | undefined>;

function withChanges(payload: JsonObject, changes: Changes): JsonObject {
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) delete payload[key];
    else payload[key] = value;
  }
  return payload;
}

/** `hashes`: `rule_` + 64 digits, or bare 64 digits for topic `checkpoint`. */
export function announce(
  origin: string,
  hashes: readonly string[],
  { topic = 'new_commit', ttl = 2, changes = {} as Changes } = {},
): JsonObject {
  return withChanges(
    {
      gossip_id: randomUUID(),
      gossip_type: 'announce',
      topic,
      topics: [topic],
      item_hashes: [...hashes],
      ttl,
      origin,
    },
    changes,
  );
}

export function itemRequest(origin: string, hashes: readonly string[], changes: Changes = {}): JsonObject {
  return announce(origin, hashes, {
    topic: 'items',
    ttl: 0,
    changes: { gossip_type: 'request', ...changes },
  });
}

/** Answers a request: `items` are envelopes, `itemHashes` names them, `missing` the rest. */
export function itemResponse(
  origin: string,
  requestId: string,
  items: readonly JsonObject[],
  itemHashes: readonly string[],
  missing: readonly string[] = [],
  changes: Changes = {},
): JsonObject {
  return announce(origin, itemHashes, {
    topic: 'items',
    ttl: 0,
    changes: {
      gossip_type: 'response',
      request_id: requestId,
      items: [...items],
      missing: [...missing],
      ...changes,
    },
  });
}

export function heartbeat(origin: string, changes: Changes = {}): JsonObject {
  return announce(origin, [], {
    topic: 'heartbeat',
    ttl: 0,
    changes: { gossip_type: 'heartbeat', ...changes },
  });
}

export type ConnectionType = 'bootstrap' | 'persistent' | 'gossip' | 'sync';

export function hello(
  nodeId: string,
  type: ConnectionType,
  capabilities: readonly string[],
  address: string | null,
  changes: Changes = {},
): JsonObject {
  return withChanges(
    { version: '1.0', node_id: nodeId, capabilities: [...capabilities], address, connection_type: type },
    changes,
  );
}

export function stateSummary(
  root: string,
  itemCount: number,
  checkpoint: { height: number; hash: string } | null = null,
  changes: Changes = {},
): JsonObject {
  return withChanges(
    {
      height: checkpoint?.height ?? 0,
      checkpoint_hash: checkpoint?.hash ?? null,
      state_root: root,
      item_count: itemCount,
    },
    changes,
  );
}

/** An entry of a peer list. */
export interface PeerEntry {
  node_id: string;
  address: string;
}

export function peerExchange(peers: readonly (PeerEntry | Json)[], requestId?: string): JsonObject {
  const payload: JsonObject = { peers: peers as readonly Json[] };
  if (requestId !== undefined) payload.request_id = requestId;
  return payload;
}

export function peerRequest(
  nodeId: string,
  capabilities: readonly string[] = [],
  changes: Changes = {},
): JsonObject {
  return withChanges({ node_id: nodeId, capabilities: [...capabilities] }, changes);
}

export function digestRequest(
  stateRoot: string,
  itemCount: number,
  { prefix = '', root = null as string | null, changes = {} as Changes } = {},
): JsonObject {
  return withChanges({ root, prefix, state_root: stateRoot, item_count: itemCount }, changes);
}

/** Answers about `subtree` at the root `root`. */
export function digestAnswer(
  requestId: string,
  root: string,
  subtree: Subtree,
  changes: Changes = {},
): JsonObject {
  const payload: JsonObject = {
    request_id: requestId,
    root,
    prefix: subtree.prefix,
    count: subtree.count,
    hash: subtree.hash,
  };
  if (subtree.children !== undefined) payload.children = subtree.children;
  else payload.item_hashes = (subtree.itemHashes ?? []).map((hash) => `rule_${hash}`);
  return withChanges(payload, changes);
}

export function stateSyncRequest(checkpointHash: string | null, lastKnownHeight = 0): JsonObject {
  return { sync_type: 'request', checkpoint_hash: checkpointHash, last_known_height: lastKnownHeight };
}

export function stateSyncResponse(requestId: string, checkpoint: Json): JsonObject {
  return { sync_type: 'response', request_id: requestId, checkpoint };
}

export function errorPayload(code: string, message: string, details: JsonObject): JsonObject {
  return { error_code: code, error_message: message, details };
}
