/**
 * Checkpoints (§8): their form, hash, signatures and the rules of the chain, as pure functions. When to cut one, whom to
 * ask and when to adopt is decided elsewhere; the set under a root comes in as statistics.
 */
import { decodeBase64, encodeBase64 } from './base64.ts';
import { canonical, comparePoints } from './canonical.ts';
import { asciiBytes } from './envelope.ts';
import { isDigest } from './forms.ts';
import { float, isInteger, isNumber, isObject, numberOf } from './json.ts';
import type { Statistics } from './statistics.ts';
import { zeros } from './tree.ts';
import type { Json, JsonObject, World } from './types.ts';

/** A checkpoint in the form of §8; nothing is verified by having one. */
export interface Checkpoint {
  /** As it was received or built; `accepted_rules` may be null (in transit). */
  readonly object: JsonObject;
  /** 1 … 2^53 − 1. */
  readonly height: number;
  /** As claimed, 64 hex digits. */
  readonly hash: string;
  readonly previousHash: string;
  /** Unix seconds, the nearest double of what was written. */
  readonly timestamp: number;
  readonly stateRoot: string;
  /** Null in transit, where they would not have fitted. */
  readonly acceptedRules: readonly string[] | null;
  readonly signature: string;
}

/** Bytes of one entry of `signature`: a public key and a signature over the hash as ASCII. */
const entryBytes = 32 + 64;

/** The form of a received checkpoint; null is `MALFORMED`. Unknown members are kept: the hash covers them. */
export function readCheckpoint(value: Json | undefined): Checkpoint | null {
  if (!isObject(value)) return null;
  const { height, hash, previous_hash, timestamp, state_root, accepted_rules, statistics, signature } = value;
  // Greater integers were read as bigint.
  if (!isInteger(height) || typeof height !== 'number' || height < 1) return null;
  if (!isDigest(hash) || !isDigest(previous_hash) || !isDigest(state_root)) return null;
  if (!isNumber(timestamp) || typeof signature !== 'string' || !isObject(statistics)) return null;
  const { total_commits, total_agents, avg_confidence } = statistics;
  if (!isNumber(total_commits) || !isNumber(total_agents) || !isNumber(avg_confidence)) return null;
  const isList = Array.isArray(accepted_rules) && accepted_rules.every((rule) => typeof rule === 'string');
  if (accepted_rules !== null && !isList) return null;
  return {
    object: value,
    height,
    hash,
    previousHash: previous_hash,
    timestamp: numberOf(timestamp),
    stateRoot: state_root,
    acceptedRules: accepted_rules as readonly string[] | null,
    signature,
  };
}

/** SHA-256 of the canonical form without `hash` and `signature`. Throws on a checkpoint without its rules. */
export function checkpointHash(object: JsonObject, sha256: World['sha256']): string {
  if (object.accepted_rules === null) throw new Error('a checkpoint in transit has no hash yet');
  const { hash: _hash, signature: _signature, ...covered } = object;
  return sha256(canonical(covered));
}

/** The checkpoint as its maker meant it: `accepted_rules` computed where transit left them out (§8). */
export function withRules(checkpoint: Checkpoint, statistics: Statistics): Checkpoint {
  if (checkpoint.acceptedRules !== null) return checkpoint;
  const acceptedRules = statistics.acceptedRules;
  return {
    ...checkpoint,
    acceptedRules,
    object: { ...checkpoint.object, accepted_rules: acceptedRules },
  };
}

/** One or more `public_key(32) ‖ signature(64)`, strictly ascending by key; whose keys they are is not judged (§8). */
export function hasGoodSignatures(
  checkpoint: Pick<Checkpoint, 'hash' | 'signature'>,
  verify: World['verify'],
): boolean {
  const entries = decodeBase64(checkpoint.signature);
  if (!entries || entries.length === 0 || entries.length % entryBytes !== 0) return false;
  const message = asciiBytes(checkpoint.hash);
  for (let at = entryBytes; at < entries.length; at += entryBytes) {
    const order = Buffer.compare(entries.subarray(at - entryBytes, at - 64), entries.subarray(at, at + 32));
    if (order >= 0) return false;
  }
  for (let at = 0; at < entries.length; at += entryBytes) {
    const key = entries.subarray(at, at + 32);
    if (!verify(key, message, entries.subarray(at + 32, at + entryBytes))) return false;
  }
  return true;
}

/** Are rules and statistics those of the set under its root? Statistics are compared as numbers (§8). */
export function describes(checkpoint: Checkpoint, actual: Statistics): boolean {
  const claimed = checkpoint.object.statistics as JsonObject;
  const rules = checkpoint.acceptedRules;
  return (
    rules !== null &&
    rules.length === actual.acceptedRules.length &&
    rules.every((rule, i) => rule === actual.acceptedRules[i]) &&
    isSameNumber(claimed.total_commits, actual.totalCommits) &&
    isSameNumber(claimed.total_agents, actual.totalAgents) &&
    isSameNumber(claimed.avg_confidence, actual.avgConfidence)
  );
}

/** Equal as numbers, however written. A bigint is beyond 2^53, where none of ours is. */
function isSameNumber(written: Json | undefined, actual: number): boolean {
  return isNumber(written) && typeof written !== 'bigint' && numberOf(written) === actual;
}

/** "Greater height, or equal height and lower hash" (§8). Anything is better than nothing. */
export function isBetter(
  candidate: Pick<Checkpoint, 'height' | 'hash'>,
  own: Pick<Checkpoint, 'height' | 'hash'> | null,
): boolean {
  if (own === null || candidate.height !== own.height) return own === null || candidate.height > own.height;
  return comparePoints(candidate.hash, own.hash) < 0;
}

/** What the chain rule of §8 looks at besides the checkpoint itself. */
export interface ChainContext {
  /** The checkpoint that the receiver stands on. */
  readonly own: Checkpoint | null;
  /** The one under `previous_hash`, if the receiver holds it. */
  readonly predecessor: Checkpoint | null;
  /** The receiver's wall clock. */
  readonly nowSeconds: number;
  /** notBefore of the CA's certificate. */
  readonly authorityNotBeforeMs: number;
  /** `checkpoint_interval_s` in ms; for 0, 60 s count. */
  readonly checkpointIntervalMs: number;
}

/** Why the chain rule of §8 refuses it, or null. */
export function chainRefusal(checkpoint: Checkpoint, context: ChainContext): string | null {
  const { height, previousHash, timestamp } = checkpoint;
  const { own, predecessor } = context;
  if ((previousHash === zeros) !== (height === 1)) return 'previous_hash is 64 zeros iff height is 1';
  if (predecessor) {
    if (predecessor.height !== height - 1) return 'height is not one above its predecessor';
    if (predecessor.timestamp > timestamp) return 'older than its predecessor';
  }
  if (timestamp > context.nowSeconds + 300) return 'more than 300 s in the future';
  const intervalS = context.checkpointIntervalMs === 0 ? 60 : context.checkpointIntervalMs / 1000;
  const ageS = timestamp - context.authorityNotBeforeMs / 1000;
  if (height > 2 + (2 * ageS) / intervalS) return 'height beyond what the age of the network allows';
  if (own && height > own.height + 2 + (2 * Math.max(0, timestamp - own.timestamp)) / intervalS) {
    return 'height beyond what the time since our checkpoint allows';
  }
  return null;
}

/** Cuts the checkpoint after `previous` over a state. `publicKey` belongs to `sign`. */
export function cutCheckpoint(cut: {
  previous: Pick<Checkpoint, 'height' | 'hash'> | null;
  /** Unix seconds. */
  timestamp: number;
  stateRoot: string;
  statistics: Statistics;
  publicKey: Uint8Array;
  world: Pick<World, 'sha256' | 'sign'>;
}): Checkpoint {
  const { statistics } = cut;
  const covered: JsonObject = {
    height: (cut.previous?.height ?? 0) + 1,
    previous_hash: cut.previous?.hash ?? zeros,
    timestamp: float(cut.timestamp),
    state_root: cut.stateRoot,
    accepted_rules: statistics.acceptedRules,
    statistics: {
      total_commits: statistics.totalCommits,
      total_agents: statistics.totalAgents,
      avg_confidence: float(statistics.avgConfidence),
    },
  };
  const hash = checkpointHash(covered, cut.world.sha256);
  const signature = encodeBase64(Buffer.concat([cut.publicKey, cut.world.sign(asciiBytes(hash))]));
  return readCheckpoint({ ...covered, hash, signature })!;
}

/** What is sent: with its rules if it is at most `roomBytes` in canonical form, else with null in their place (§8). */
export function inTransit(checkpoint: Checkpoint, roomBytes: number): JsonObject {
  if (canonical(checkpoint.object).length <= roomBytes) return checkpoint.object;
  return { ...checkpoint.object, accepted_rules: null };
}
