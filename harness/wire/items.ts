/**
 * Items (profile §6): commits, challenges and confirms as their author signed them, with the author's certificate in
 * `sender`. Builders and the hash; a set of items with its roots. No connection.
 */

import { encodeBase64 } from './base64.ts';
import { canonical } from './canonical.ts';
import { buildEnvelope, type Overrides, signingBytes } from './envelope.ts';
import { type Identity, sha256 } from './identity.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { type Subtree, subtree } from './tree.ts';

export type ItemType = 'commit' | 'challenge' | 'confirm';

/** Who can write items: an identity and its certificate in DER. */
export interface Author {
  readonly identity: Identity;
  readonly certificate: { readonly der: Uint8Array };
}

export interface Item {
  /** `rule_` + 64 hex digits. */
  readonly hash: string;
  /** The complete signed envelope. */
  readonly envelope: JsonObject;
  readonly messageId: string;
}

let serial = 0;
/** A number that no two rules of this process share, so that payloads differ where they need not be equal. */
function unique(): string {
  serial += 1;
  return `${process.pid}-${serial}-${Date.now()}`;
}

/** `rule_` + 16–64 hex digits from a name. */
export function ruleHash(name: string, digits = 64): string {
  return `rule_${sha256(name).slice(0, digits)}`;
}

/** A valid commit payload; `changes` replaces members (undefined removes). */
export function commitPayload(changes: Record<string, Json | undefined> = {}): JsonObject {
  const name = unique();
  return changed(
    {
      rule_hash: ruleHash(name),
      logic_signature: `logic ${name}`,
      context_signature: `context ${name}`,
      confidence: 0.75,
      evidence_count: 3,
      metadata: {},
    },
    changes,
  );
}

/** A valid challenge payload. */
export function challengePayload(changes: Record<string, Json | undefined> = {}): JsonObject {
  const name = unique();
  return changed(
    {
      target_rule_hash: ruleHash(name),
      contradicting_rule: { logic_form: `not ${name}`, context: `context ${name}` },
      reason: 'observed otherwise',
      evidence: ['first', 'second'],
    },
    changes,
  );
}

/** A valid confirm payload. */
export function confirmPayload(changes: Record<string, Json | undefined> = {}): JsonObject {
  return changed({ rule_hash: ruleHash(unique()), confidence_delta: 0.125, additional_evidence: 1 }, changes);
}

function changed(payload: JsonObject, changes: Record<string, Json | undefined>): JsonObject {
  const copy: JsonObject = { ...payload };
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) delete copy[key];
    else copy[key] = value;
  }
  return copy;
}

/**
 * An item by `author`; the certificate goes into `sender` unless `overrides.senderMembers` says otherwise. The payload
 * defaults to a valid one with a rule hash of its own.
 */
export function buildItem(author: Author, type: ItemType, payload?: Json, overrides: Overrides = {}): Item {
  const body =
    payload ??
    (type === 'commit' ? commitPayload() : type === 'challenge' ? challengePayload() : confirmPayload());
  const envelope = buildEnvelope(author.identity, type, body, {
    ...overrides,
    senderMembers: { certificate: encodeBase64(author.certificate.der), ...overrides.senderMembers },
  });
  return itemOf(envelope);
}

/** An envelope as an item: its hash is over its signing bytes (§6), whatever else is wrong with it. */
export function itemOf(envelope: JsonObject): Item {
  return { hash: itemHash(envelope), envelope, messageId: String(envelope.message_id) };
}

/** `rule_` + SHA-256 hex of the signing bytes. */
export function itemHash(envelope: JsonObject): string {
  return `rule_${sha256(signingBytes(envelope))}`;
}

/** Bytes of an item's canonical form, signature included: §6 allows 32 768. */
export function itemSize(envelope: JsonObject): number {
  return canonical(envelope).length;
}

/** A commit of exactly `bytes` canonical bytes, padded with ASCII in its metadata. */
export function commitOfSize(author: Author, bytes: number, overrides: Overrides = {}): Item {
  const payload = commitPayload();
  const pinned: Overrides = { timestamp: 1_800_000_000.5, ...overrides };
  if (!Object.hasOwn(overrides, 'timestamp')) pinned.timestamp = Math.floor(Date.now() / 1000) + 0.5;
  const build = (padding: number): Item =>
    buildItem(author, 'commit', { ...payload, metadata: { padding: 'x'.repeat(padding) } }, pinned);
  const least = itemSize(build(0).envelope);
  if (bytes < least) throw new Error(`a commit has at least ${least} bytes, not ${bytes}`);
  return build(bytes - least);
}

/** A commit of exactly `depth` levels, counting the item itself (§6 allows 28), nested in its metadata. */
export function commitOfDepth(author: Author, depth: number, overrides: Overrides = {}): Item {
  let nested: Json = {};
  for (let level = 3; level < depth; level += 1) nested = { n: nested };
  return buildItem(author, 'commit', commitPayload({ metadata: nested }), overrides);
}

/** A growing set of items: what a puppet holds, answers digests from and serves. */
export interface ItemSet {
  readonly size: number;
  /** Adds; returns the item's hash (`rule_…`). */
  add(item: Item | JsonObject): string;
  has(hash: string): boolean;
  get(hash: string): Item | undefined;
  /** 64-digit hashes without `rule_`, ascending. */
  bareHashes(): readonly string[];
  root(): string;
  /** §8 subtree answer; `prefix` of hex digits. */
  subtree(prefix: string): Subtree;
}

export function itemSet(items: Iterable<Item> = []): ItemSet {
  const held = new Map<string, Item>();
  let sorted: string[] | null = null;
  /** Answers by prefix, until the set grows. */
  const answers = new Map<string, Subtree>();
  const bare = (): string[] => {
    sorted ??= [...held.keys()].map((hash) => hash.slice(5)).sort();
    return sorted;
  };
  const set: ItemSet = {
    get size() {
      return held.size;
    },
    add(item) {
      const entry =
        'envelope' in item && isObject(item.envelope) && 'hash' in item
          ? (item as Item)
          : itemOf(item as JsonObject);
      held.set(entry.hash, entry);
      sorted = null;
      answers.clear();
      return entry.hash;
    },
    has: (hash) => held.has(hash),
    get: (hash) => held.get(hash),
    bareHashes: bare,
    root: () => set.subtree('').hash,
    subtree(prefix) {
      const known = answers.get(prefix) ?? subtree(bare(), prefix);
      answers.set(prefix, known);
      return known;
    },
  };
  for (const item of items) set.add(item);
  return set;
}
