/**
 * A prefix tree of two million hashes that nobody has the items of, true to its own hashes at every prefix (profile §8), so that
 * whoever walks it finds nothing amiss and does not come to an end within the requests that a walk may make. Judges nothing.
 */

import { sha256 } from '../harness/wire/identity.ts';
import type { Subtree } from '../harness/wire/tree.ts';

const hexDigits = '0123456789abcdef';
/** Lists stand at prefixes of four digits: 65 536 of 32 hashes each, which is as many as hash as a list at all. */
const listDepth = 4;
const perList = 32;

/** Requests that a walk to the end would take. */
export const wideRequests = 1 + 16 + 16 ** 2 + 16 ** 3 + 16 ** listDepth;

const tail = '0'.repeat(64 - listDepth - 2);

function listAt(prefix: string): string[] {
  const hashes: string[] = [];
  for (let i = 0; i < perList; i += 1) hashes.push(prefix + i.toString(16).padStart(2, '0') + tail);
  return hashes;
}

/** The subtree of every prefix of at most four digits. Takes about a second. */
export function wideTree(): { root: () => string; subtree: (prefix: string) => Subtree } {
  const children = new Map<string, readonly string[]>();
  const hashAt = (prefix: string): string => {
    if (prefix.length === listDepth) return sha256(`L${listAt(prefix).join('')}`);
    const below = [...hexDigits].map((digit) => hashAt(prefix + digit));
    children.set(prefix, below);
    return sha256(`N${below.join('')}`);
  };
  const root = hashAt('');
  const subtree = (prefix: string): Subtree => {
    if (prefix === '') return { prefix, count: countAt(prefix), hash: root, children: children.get(prefix)! };
    const { [Number.parseInt(prefix.at(-1)!, 16)]: hash } = children.get(prefix.slice(0, -1)) ?? [];
    if (hash === undefined) return { prefix, count: 0, hash: '0'.repeat(64), itemHashes: [] };
    const below = children.get(prefix);
    const count = countAt(prefix);
    return below === undefined
      ? { prefix, count, hash, itemHashes: listAt(prefix) }
      : { prefix, count, hash, children: below };
  };
  return { root: () => root, subtree };
}

function countAt(prefix: string): number {
  return perList * 16 ** (listDepth - prefix.length);
}
