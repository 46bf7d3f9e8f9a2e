/**
 * How long each start of a node took to find the others: to its own first dial, by the counters of its links, and to as many peers
 * as there were to be found. What the others did late is not its fault: each is measured from when it could act. Judges nothing.
 */

import { type History, type Life, loadStartsAt, type PeerList, separates } from './history.ts';
import type { Sample } from './metrics.ts';
import type { PlannedNode } from './plan.ts';

const defaultTargetPeers = 10;
const defaultQueries = 30;

const planOf = (history: History, { node }: Life): PlannedNode =>
  history.plan.nodes.find(({ name }) => name === node)!;

/** Nodes that behave well enough to be found: an observer got an answer, and some other node has named it. */
export function soundNodes(history: History): Set<string> {
  const answering = new Set(history.peerLists.map(({ node }) => node));
  const named = new Set(
    history.peerLists.flatMap(({ node, peers }) => peers.filter((peer) => peer !== node)),
  );
  return new Set([...answering].filter((node) => named.has(node)));
}

export function discoverySamples(history: History): Sample[] {
  const sound = soundNodes(history);
  const lists = new Map<string, PeerList[]>();
  for (const list of history.peerLists) {
    const key = `${list.node} ${list.life}`;
    lists.set(key, [...(lists.get(key) ?? []), list]);
  }
  const samples: Sample[] = [];
  for (const life of history.lives) {
    if (!sound.has(life.node)) continue;
    const peers = enoughPeers(history, life, sound, lists.get(`${life.node} ${life.number}`) ?? []);
    const dial = firstDial(history, life);
    // A node that was cut off again before it could be done says nothing.
    const told = [peers, dial].filter(
      (sample) =>
        sample !== null &&
        !disturbed(history, life.node, sample.at, sample.at + (sample.value ?? sample.lookedForMs)),
    ) as Sample[];
    if (told.length > 0) samples.push(told.reduce(longer));
  }
  return samples;
}

const longer = (a: Sample, b: Sample): Sample => {
  if (a.value === null || b.value === null) return b.value === null ? b : a;
  return b.value > a.value ? b : a;
};

/** From when so many others can be found to when the node names so many; null: they never could be. */
function enoughPeers(
  history: History,
  life: Life,
  sound: ReadonlySet<string>,
  lists: readonly PeerList[],
): Sample | null {
  const can = discoverable(history, life, sound);
  if (can === null) return null;
  const mine = [...lists].sort((a, b) => a.at - b.at);
  const done = mine.find(({ peers }) => peers.filter((peer) => sound.has(peer)).length >= can.wanted);
  const lookedUntil = mine.at(-1)?.at ?? can.from;
  // Under a lower limit it is asked so seldom that what it found long before would count as late.
  const seldom = (planOf(history, life).parameters.queries_per_minute ?? defaultQueries) < defaultQueries;
  const found = done === undefined ? null : seldom ? done.since : done.at;
  return {
    value: found === null ? null : Math.max(0, found - can.from),
    lookedForMs: Math.max(0, lookedUntil - can.from),
    node: life.node,
    what: `${can.wanted} peers`,
    at: can.from,
  };
}

/**
 * From when its links work to its first dial of anybody (profile §5: "Each is asked at start"): until the last reading of the
 * counters that showed none. null: it has no other bootstrap node to ask, or nobody counts what it dials.
 */
function firstDial(history: History, life: Life): Sample | null {
  const plan = planOf(history, life);
  if (life.reachableAt === null || plan.bootstrapNames.every((name) => name === life.node)) return null;
  const from = life.reachableAt;
  const endsAt = life.endedAt ?? Number.POSITIVE_INFINITY;
  let before: number | null = 0;
  let noneUntil = from;
  for (const { at, links } of history.linkSamples) {
    if (at > endsAt) break;
    const dials = links.filter((link) => link.from === life.node).map(({ accepted }) => accepted);
    if (dials.some((accepted) => accepted === null)) return null;
    const count = dials.reduce<number>((sum, accepted) => sum + accepted!, 0);
    if (at <= life.startedAt) before = count;
    else if (count > before) return { ...dialOf(life, from, noneUntil), value: noneUntil - from };
    else noneUntil = Math.max(noneUntil, at);
  }
  return noneUntil === from ? null : dialOf(life, from, noneUntil);
}

const dialOf = (life: Life, from: number, noneUntil: number): Sample => ({
  value: null,
  lookedForMs: noneUntil - from,
  node: life.node,
  what: 'first dial',
  at: from,
});

/** How many peers a node has to find, and from when on it can. null: it never could. */
function discoverable(
  history: History,
  life: Life,
  sound: ReadonlySet<string>,
): { from: number; wanted: number } | null {
  const base = life.reachableAt;
  if (base === null) return null;
  const plan = planOf(history, life);
  const target = plan.parameters.target_peers ?? defaultTargetPeers;
  const latest = Math.max(base, loadStartsAt(history));
  const available = (node: string): number | null => {
    const lives = history.lives.filter((other) => other.node === node && other.reachableAt !== null);
    const starts = lives
      .filter((other) => (other.endedAt ?? history.endedAt) > base)
      .map((other) => Math.max(base, other.reachableAt!))
      .filter((at) => at <= latest && !severedAt(history, life.node, node, at));
    return starts.length === 0 ? null : Math.min(...starts);
  };
  const others = history.plan.nodes
    .filter((other) => other.name !== life.node && sound.has(other.name))
    .map((other) => ({ other, at: available(other.name) }))
    .filter((entry): entry is { other: (typeof entry)['other']; at: number } => entry.at !== null)
    .sort((a, b) => a.at - b.at);
  const wanted = Math.min(target, others.length);
  if (wanted === 0) return null;
  const up = others[wanted - 1]!.at;
  const findable = named(history, plan.bootstrapNames, life.node, wanted, sound);
  return findable === null ? null : { from: Math.max(base, up, findable), wanted };
}

/** When a bootstrap node of a node first named so many others to an observer; null: never, also for who is the only one. */
function named(
  history: History,
  bootstrapNames: readonly string[],
  node: string,
  wanted: number,
  sound: ReadonlySet<string>,
): number | null {
  const enough = history.peerLists.filter(
    (list) =>
      list.node !== node &&
      bootstrapNames.includes(list.node) &&
      list.peers.filter((peer) => peer !== node && peer !== list.node && sound.has(peer)).length >=
        wanted - 1,
  );
  return enough.length === 0
    ? null
    : enough.reduce((first, { at }) => Math.min(first, at), Number.POSITIVE_INFINITY);
}

const severedAt = (history: History, a: string, b: string, at: number): boolean =>
  history.severings.some(
    (severing) =>
      severing.from <= at && at < (severing.until ?? Number.POSITIVE_INFINITY) && separates(severing, a, b),
  );

/** Whether something kept a node from the others, or others down, between two instants. */
function disturbed(history: History, node: string, from: number, to: number): boolean {
  return history.severings.some(
    (severing) =>
      severing.from < to &&
      (severing.until ?? Number.POSITIVE_INFINITY) > from &&
      history.plan.nodes.some((other) => separates(severing, node, other.name)),
  );
}
