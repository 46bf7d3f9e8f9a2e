/**
 * Who had to hold which item, from when on, and when it did: the pure arithmetic under convergence, sync and durability. Reads the
 * history; judges nothing.
 *
 * An accepted commit obliges every life of every other node. The clock starts when the item was acknowledged, or when that
 * life's links first worked, or when a severing ended that kept the node from everybody who held the item: "heal time is
 * measured from the moment the path works again".
 */

import { type CommitSent, type History, type Life, type Severing, separates } from './history.ts';

export type Reason = 'fresh' | 'late' | 'restarted' | 'wiped' | 'healed';

export interface Obligation {
  commit: CommitSent;
  node: string;
  life: number;
  /** Start of the clock. */
  from: number;
  /** First seen there; null: never. */
  seenAt: number | null;
  /** How long was looked for it: the end of that life or of the run. */
  lookedUntil: number;
  reason: Reason;
  /** The fault whose end started the clock, for `healed`. */
  cause: string | null;
}

/** Items that a node could know of: accepted ones. */
export function acceptedCommits(history: History): CommitSent[] {
  return history.commits.filter((commit) => commit.outcome === 'accepted' && commit.answeredAt !== null);
}

/** By item: the nodes that were known to hold it, each with the last life in which it was. */
function knownHolders(history: History): Map<string, Map<string, number>> {
  const holders = new Map<string, Map<string, number>>();
  for (const { hash, node, life } of [...acceptedCommits(history), ...history.sightings]) {
    const lives = holders.get(hash) ?? new Map<string, number>();
    lives.set(node, Math.max(life, lives.get(node) ?? 0));
    holders.set(hash, lives);
  }
  return holders;
}

const wipedAfter = (history: History, node: string, life: number): boolean =>
  history.lives.some((other) => other.node === node && other.number > life && other.wiped);

/**
 * Hashes of acknowledged items that nobody can be asked for any more: every node that was known to hold one had its disk wiped
 * afterwards, and no node has it at the end. What a wipe takes before it could spread is the fault's doing.
 */
export function goneWithTheirDisks(history: History): Set<string> {
  const gone = new Set<string>();
  if (history.census.length === 0) return gone;
  const lacks = history.census.map((census) => new Set(census.lacks));
  const holders = knownHolders(history);
  for (const { hash } of acceptedCommits(history)) {
    if (!lacks.every((set) => set.has(hash))) continue;
    if ([...holders.get(hash)!].every(([node, life]) => wipedAfter(history, node, life))) gone.add(hash);
  }
  return gone;
}

/**
 * Acknowledged items that nobody who was asked at the end holds, while the disk of a node that held one was not asked: hash → such
 * nodes. Whether one of these is lost, nobody knows.
 */
export function onDisksNotAsked(history: History): Map<string, string[]> {
  const asked = new Set(history.census.map(({ node }) => node));
  const lacks = history.census.map((census) => new Set(census.lacks));
  const holders = knownHolders(history);
  const found = new Map<string, string[]>();
  for (const { hash } of acceptedCommits(history)) {
    if (!lacks.every((set) => set.has(hash))) continue;
    const unasked = [...holders.get(hash)!]
      .filter(([node, life]) => !asked.has(node) && !wipedAfter(history, node, life))
      .map(([node]) => node);
    if (unasked.length > 0) found.set(hash, unasked);
  }
  return found;
}

export const sightingKey = (hash: string, node: string, life: number): string => `${hash} ${node} ${life}`;

/** Every obligation of the run that was not cut short by a severing without end. */
export function obligations(history: History): Obligation[] {
  const seen = new Map(history.sightings.map((s) => [sightingKey(s.hash, s.node, s.life), s]));
  const holders = holdersByItem(history);
  const severings = [...history.severings].sort((a, b) => a.from - b.from);
  const gone = goneWithTheirDisks(history);
  const found: Obligation[] = [];
  for (const commit of acceptedCommits(history)) {
    if (gone.has(commit.hash)) continue;
    for (const life of history.lives) {
      if (life.reachableAt === null) continue;
      // The node that took it holds it: that is durability, and only in its later lives worth a look here.
      if (life.node === commit.node && life.number === commit.life) continue;
      const sighting = seen.get(sightingKey(commit.hash, life.node, life.number)) ?? null;
      const lookedUntil = life.endedAt ?? history.endedAt;
      const start = clock(commit, life, sighting?.at ?? null, holders.get(commit.hash) ?? [], severings);
      if (start === null || start.from >= lookedUntil) continue;
      found.push({
        commit,
        node: life.node,
        life: life.number,
        from: start.from,
        seenAt: sighting?.at ?? null,
        lookedUntil,
        reason: start.reason,
        cause: start.cause,
      });
    }
  }
  return found;
}

interface Holder {
  node: string;
  at: number;
}

function holdersByItem(history: History): Map<string, Holder[]> {
  const holders = new Map<string, Holder[]>();
  for (const commit of acceptedCommits(history)) {
    holders.set(commit.hash, [{ node: commit.node, at: commit.answeredAt! }]);
  }
  for (const { hash, node, at } of history.sightings) holders.get(hash)?.push({ node, at });
  return holders;
}

function clock(
  commit: CommitSent,
  life: Life,
  seenAt: number | null,
  holders: readonly Holder[],
  severings: readonly Severing[],
): { from: number; reason: Reason; cause: string | null } | null {
  const acknowledged = commit.answeredAt!;
  let from = acknowledged;
  let reason: Reason = 'fresh';
  let cause: string | null = null;
  if (life.reachableAt! > acknowledged) {
    from = life.reachableAt!;
    reason = life.number === 0 ? 'late' : life.wiped ? 'wiped' : 'restarted';
  }
  for (const severing of severings) {
    const until = severing.until ?? Number.POSITIVE_INFINITY;
    if (until <= from || severing.from >= (seenAt ?? Number.POSITIVE_INFINITY)) continue;
    const able = holders.some(
      (holder) =>
        holder.node !== life.node &&
        holder.at <= Math.max(severing.from, acknowledged) &&
        !separates(severing, holder.node, life.node),
    );
    // Who could still hear it from somebody has no excuse.
    if (able) continue;
    if (severing.until === null) return null;
    from = severing.until;
    reason = 'healed';
    cause = severing.fault;
  }
  return { from, reason, cause };
}
