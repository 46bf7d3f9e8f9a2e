/**
 * The state root of profile §8, computed the naive way, straight from the definition, so that it is obviously right.
 * Hashes here are 64 hex digits without `rule_`.
 */

import { sha256 } from './identity.ts';

export const emptyHash = '0'.repeat(64);
const leafSize = 32;
/** A digest answer lists up to this many hashes, beyond it 16 children. */
const listedAtMost = 500;
const hexDigits = '0123456789abcdef';

/** What `sync_digest` says of one subtree; `itemHashes` xor `children`. */
export interface Subtree {
  prefix: string;
  count: number;
  hash: string;
  /** Without `rule_`, ascending. */
  itemHashes?: readonly string[];
  children?: readonly string[];
}

/** D(p) of ascending hashes. */
export function below(sorted: readonly string[], prefix: string): string[] {
  return sorted.filter((hash) => hash.startsWith(prefix));
}

/** hash(p) of D(p): zeros, `"L"` + hashes up to 32 of them, else `"N"` + the 16 children's hashes. */
export function nodeHash(members: readonly string[], prefix: string): string {
  if (members.length === 0) return emptyHash;
  if (members.length <= leafSize) return sha256(`L${members.join('')}`);
  return sha256(`N${childHashes(members, prefix).join('')}`);
}

export function childHashes(members: readonly string[], prefix: string): string[] {
  return [...hexDigits].map((digit) => nodeHash(below(members, prefix + digit), prefix + digit));
}

/** The root of any iterable of 64-digit hashes, in any order. */
export function stateRoot(hashes: Iterable<string>): string {
  return nodeHash([...new Set(hashes)].sort(), '');
}

/** The answer about one prefix. `sorted` ascends and holds no hash twice. */
export function subtree(sorted: readonly string[], prefix: string): Subtree {
  const members = below(sorted, prefix);
  const answer: Subtree = { prefix, count: members.length, hash: nodeHash(members, prefix) };
  if (members.length <= listedAtMost) answer.itemHashes = members;
  else answer.children = childHashes(members, prefix);
  return answer;
}
