/**
 * Checkpoints (profile §8): computing one from a set of items, its hash, its signature entries, and spoiling it.
 * Knows items as data; no connection.
 */

import { encodeBase64 } from './base64.ts';
import { canonicalWithout, compareCodePoints } from './canonical.ts';
import { signFast } from './ed25519.ts';
import { nowSeconds } from './envelope.ts';
import { type Identity, sha256 } from './identity.ts';
import type { ItemSet } from './items.ts';
import { float, isObject, type Json, type JsonObject, numberOf } from './json.ts';
import { emptyHash } from './tree.ts';

/** A rule is accepted when this many distinct agents committed it. */
const agentsForAcceptance = 3;

export interface CheckpointOptions {
  /** Default 1. */
  height?: number;
  /** Default 64 zeros. */
  previousHash?: string;
  /** Unix seconds. Default now. */
  timestamp?: Json;
  /** Members replaced (undefined removes) before hashing and signing: a lie that is signed. */
  members?: Record<string, Json | undefined>;
}

/** Accepted rules and statistics of exactly these items (§8), commits alone. */
export function summaryOf(items: ItemSet): { acceptedRules: string[]; statistics: JsonObject } {
  const agentsByRule = new Map<string, Set<string>>();
  const agents = new Set<string>();
  let commits = 0;
  let sum = 0;
  for (const bare of items.bareHashes()) {
    const envelope = items.get(`rule_${bare}`)!.envelope;
    const { payload, sender } = envelope;
    if (envelope.message_type !== 'commit' || !isObject(payload) || !isObject(sender)) continue;
    const agent = String(sender.agent_id);
    const rule = String(payload.rule_hash);
    agentsByRule.set(rule, (agentsByRule.get(rule) ?? new Set()).add(agent));
    agents.add(agent);
    commits += 1;
    sum += numberOf(payload.confidence);
  }
  const acceptedRules = [...agentsByRule]
    .filter(([, by]) => by.size >= agentsForAcceptance)
    .map(([rule]) => rule)
    .sort(compareCodePoints);
  const mean = commits === 0 ? 0 : sum / commits;
  return {
    acceptedRules,
    statistics: { total_commits: commits, total_agents: agents.size, avg_confidence: float(mean) },
  };
}

/** The checkpoint of `items`, signed by `signers`. */
export function buildCheckpoint(
  items: ItemSet,
  signers: readonly Identity[],
  options: CheckpointOptions = {},
): JsonObject {
  const { acceptedRules, statistics } = summaryOf(items);
  const checkpoint: JsonObject = {
    height: options.height ?? 1,
    previous_hash: options.previousHash ?? emptyHash,
    timestamp: options.timestamp ?? nowSeconds(),
    state_root: items.root(),
    accepted_rules: acceptedRules,
    statistics,
  };
  for (const [key, value] of Object.entries(options.members ?? {})) {
    if (value === undefined) delete checkpoint[key];
    else checkpoint[key] = value;
  }
  return sealedCheckpoint(checkpoint, signers);
}

/** SHA-256 hex of the canonical form without `hash` and `signature`. */
export function checkpointHash(checkpoint: JsonObject): string {
  return sha256(canonicalWithout(checkpoint, 'hash', 'signature'));
}

/** One entry of the signature: public key ‖ Ed25519 over the hash as ASCII, 96 bytes. */
export function signatureEntry(signer: Identity, hash: string): Buffer {
  return Buffer.concat([signer.publicKey, signFast(signer.secret, Buffer.from(hash, 'latin1'))]);
}

/** Hash and signature computed anew; entries strictly ascending by key. */
export function sealedCheckpoint(checkpoint: JsonObject, signers: readonly Identity[]): JsonObject {
  const hash = checkpointHash(checkpoint);
  const entries = signers.map((signer) => signatureEntry(signer, hash)).sort(Buffer.compare);
  return { ...checkpoint, hash, signature: encodeBase64(Buffer.concat(entries)) };
}
