/**
 * Which items this node wants, and who says to have them (§7). It owns the wants and the line of each peer; asking and
 * taking answers is elsewhere, and why somebody wants an item matters only as far as the profile tells three origins apart.
 */
import type { Deadline } from './deadlines.ts';
import { kept } from './json.ts';
import type { Link, NodeState, Peer } from './state.ts';
import { isArriving, isHeld, storeIsTroubled, whenStored } from './storing.ts';

/** How the node learned of an item: told by an announce, by anti-entropy, or needed for a checkpoint. */
export type Origin = 'announced' | 'reconciled' | 'checkpoint';

export interface Want {
  readonly hash: string;
  /** The first; `announced` from when an announce of it was forwarded. */
  origin: Origin;
  askedOf: Peer | null;
  /** Who says to have it, and how often it answered `missing`. */
  readonly sources: Map<Peer, { link: Link; missing: number }>;
  readonly waiters: ((held: boolean) => void)[];
}

export interface FetchingState {
  readonly wants: Map<string, Want>;
  /** A busy node asks in rounds; `waiting` for the next one. */
  readonly rounds: { readonly waiting: Set<Peer>; due: Deadline | null; lastAtMs: number };
}

export interface PeerFetching {
  /** Wanted from this peer and not asked of anybody yet, oldest first. */
  readonly queue: Set<string>;
  inFlight: { readonly hashes: Set<string>; readonly hedge: Deadline } | null;
  /** Hashes under which the peer served something invalid → monotonic ms. */
  readonly refused: Map<string, number>;
}

/** "by anti-entropy not within 60 s" (§6). */
const refusedForMs = 60_000;
const queueLimit = 4096;
const sourceLimit = 16;

export function createFetching(): FetchingState {
  return {
    wants: new Map(),
    rounds: { waiting: new Set(), due: null, lastAtMs: Number.NEGATIVE_INFINITY },
  };
}

export function createPeerFetching(): PeerFetching {
  return { queue: new Set(), inFlight: null, refused: new Map() };
}

/** Has somebody said to have it, and it is not there yet? 64 digits. */
export function isWanted(node: NodeState, hash: string): boolean {
  return node.fetching.wants.has(hash);
}

/** Is an item on its way to this node? Then an answer about it may wait (§7: "A holder that is itself fetching"). */
export function isComing(node: NodeState, hash: string): boolean {
  if (isArriving(node, hash)) return true;
  const wanted = node.fetching.wants.get(hash);
  if (!wanted) return false;
  return wanted.askedOf !== null || isLinedUp(wanted);
}

function isLinedUp(wanted: Want): boolean {
  for (const source of wanted.sources.keys()) if (source.fetching.queue.has(wanted.hash)) return true;
  return false;
}

/**
 * Asks `link`'s peer for an item, or remembers it as a further source. `waiter` is told once whether the item came to be
 * held. 64-digit hash. `again`: a new announce named it, so that an earlier refusal does not count.
 */
export function want(
  node: NodeState,
  link: Link,
  wireHash: string,
  origin: Origin,
  again: boolean,
  waiter?: (held: boolean) => void,
): void {
  const { peer } = link;
  const { fetching } = peer;
  if (isHeld(node, wireHash)) {
    waiter?.(true);
    return;
  }
  if (isArriving(node, wireHash)) {
    if (waiter) whenStored(node, wireHash, waiter);
    return;
  }
  if (again) fetching.refused.delete(wireHash);
  else if (node.nowMs - (fetching.refused.get(wireHash) ?? Number.NEGATIVE_INFINITY) < refusedForMs) {
    waiter?.(false);
    return;
  }
  let wanted = node.fetching.wants.get(wireHash);
  if (!wanted) {
    if (fetching.queue.size >= queueLimit || storeIsTroubled(node)) {
      waiter?.(false);
      return;
    }
    const hash = kept(wireHash);
    wanted = { hash, origin, askedOf: null, sources: new Map(), waiters: [] };
    node.fetching.wants.set(hash, wanted);
  }
  if (waiter) wanted.waiters.push(waiter);
  if (wanted.sources.size < sourceLimit && !wanted.sources.has(peer))
    wanted.sources.set(peer, { link, missing: 0 });
  if (wanted.askedOf === null && wanted.sources.has(peer)) lineUp(node, peer, wanted);
}

/** An announce of it went on through this node: what anti-entropy showed it before need not be announced once more. */
export function toldOn(node: NodeState, hash: string): void {
  const wanted = node.fetching.wants.get(hash);
  if (wanted?.origin === 'reconciled') wanted.origin = 'announced';
}

/** The peer's last connection ended: nothing more is to be had from it. */
export function dropSource(node: NodeState, peer: Peer): void {
  const hashes = [...peer.fetching.queue];
  peer.fetching.queue.clear();
  for (const hash of hashes) giveBack(node, peer, hash, true);
}

/** `peer` did not deliver: others are asked, or with no source left the want ends. */
export function giveBack(node: NodeState, peer: Peer, hash: string, exhausted: boolean): void {
  const wanted = node.fetching.wants.get(hash);
  if (!wanted) return;
  if (wanted.askedOf === peer) wanted.askedOf = null;
  if (exhausted) wanted.sources.delete(peer);
  for (const source of wanted.sources.keys()) if (source.links.size === 0) wanted.sources.delete(source);
  if (wanted.sources.size === 0) settle(node, wanted, false);
  else if (wanted.askedOf === null) queueAtSources(node, wanted, peer);
}

/** To be asked of this peer when its turn comes; the end of the step sends what can be sent. */
export function lineUp(node: NodeState, peer: Peer, wanted: Want): void {
  peer.fetching.queue.add(wanted.hash);
  node.turn.hungry.add(peer);
}

/** Lines a want up at those who have it, but not at `except`. */
export function queueAtSources(node: NodeState, wanted: Want, except: Peer): void {
  for (const source of wanted.sources.keys()) {
    if (source === except) continue;
    lineUp(node, source, wanted);
  }
}

/** Tells when an item that is coming (`isComing`) has come or will not. */
export function whenCome(node: NodeState, hash: string, waiter: (held: boolean) => void): void {
  if (isArriving(node, hash)) whenStored(node, hash, waiter);
  else node.fetching.wants.get(hash)!.waiters.push(waiter);
}

/** The item came another way, from its author; or did, and could not be stored. */
export function settleWant(node: NodeState, hash: string, held: boolean): void {
  const wanted = node.fetching.wants.get(hash);
  if (wanted) settle(node, wanted, held);
}

export function settle(node: NodeState, wanted: Want, held: boolean): void {
  node.fetching.wants.delete(wanted.hash);
  for (const waiter of wanted.waiters) waiter(held);
}

/** Something invalid came under a hash: from this peer it is not asked for again by itself (§6). */
export function refuseHash(node: NodeState, peer: Peer, hash: string): void {
  const { refused } = peer.fetching;
  refused.delete(hash);
  refused.set(kept(hash), node.nowMs);
  if (refused.size > queueLimit) refused.delete(refused.keys().next().value!);
  giveBack(node, peer, hash, true);
}
