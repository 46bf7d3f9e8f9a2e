/** The payload of a `gossip` message (§7), read and written. It owns the form; what happens to a gossip is elsewhere. */
import { canonical } from './canonical.ts';
import { isDigest, isItemHash, isNodeId, isUuid } from './forms.ts';
import { isInteger } from './json.ts';
import type { Json, JsonObject } from './types.ts';

export const maxHashes = 100;

export interface Gossip {
  readonly gossipId: string;
  readonly gossipType: 'announce' | 'request' | 'response' | 'heartbeat';
  readonly topic: string;
  readonly topics: readonly string[];
  /** As on the wire: bare on topic `checkpoint`, else with `rule_`. */
  readonly itemHashes: readonly string[];
  readonly ttl: number;
  readonly origin: string;
}

const gossipTypes: readonly unknown[] = ['announce', 'request', 'response', 'heartbeat'];

/** Check 11 for the seven members; null is `MALFORMED`. A ttl beyond 2^53 is read as infinite. */
export function readGossip(payload: JsonObject): Gossip | null {
  const { gossip_id, gossip_type, topic, topics, item_hashes, ttl, origin } = payload;
  if (!isUuid(gossip_id) || !gossipTypes.includes(gossip_type)) return null;
  if (typeof topic !== 'string' || !areStrings(topics)) return null;
  if (!isNodeId(origin) || !isInteger(ttl) || ttl < 0) return null;
  const isHash = topic === 'checkpoint' ? isDigest : isItemHash;
  if (!Array.isArray(item_hashes) || item_hashes.length > maxHashes || !item_hashes.every(isHash))
    return null;
  return {
    gossipId: gossip_id,
    gossipType: gossip_type as Gossip['gossipType'],
    topic,
    topics,
    itemHashes: item_hashes as string[],
    ttl: Number(ttl),
    origin,
  };
}

/** Canonical text of exactly the seven members; hashes and ids are ours or checked, topics may be a stranger's. */
export function gossipText(gossip: Gossip): string {
  return `{${head(gossip)}, ${tail(gossip)}}`;
}

/** A gossip response: the seven members, `items` (canonical texts), `missing` and `request_id` (§7). */
export function responseText(
  gossip: Gossip,
  requestId: string,
  items: readonly string[],
  missing: readonly string[],
): string {
  return `{${head(gossip)}, "items": [${items.join(', ')}], "missing": ${list(missing)}, ${tail(gossip, `"request_id": "${requestId}", `)}}`;
}

/** `["a", "b"]` of texts that need no escapes. */
export function list(texts: readonly string[]): string {
  return texts.length === 0 ? '[]' : `["${texts.join('", "')}"]`;
}

function head(gossip: Gossip): string {
  return `"gossip_id": "${gossip.gossipId}", "gossip_type": "${gossip.gossipType}", "item_hashes": ${list(gossip.itemHashes)}`;
}

function tail(gossip: Gossip, beforeTopic = ''): string {
  const topics = canonical(gossip.topics as string[]);
  return `"origin": "${gossip.origin}", ${beforeTopic}"topic": ${canonical(gossip.topic)}, "topics": ${topics}, "ttl": ${gossip.ttl}`;
}

export function areStrings(value: Json | undefined): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
