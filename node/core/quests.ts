/**
 * The quests for checkpoints under way: one per hash, places shared out among the peers on whose word they were begun, and which
 * peer's word was refused lately. What is asked and judged is `state-sync.ts`.
 */
import { kept } from './json.ts';
import type { Link, NodeState, Peer } from './state.ts';

/** One checkpoint on its way to this node. */
export interface Quest {
  readonly hash: string;
  /** On whose word it was begun: places are shared out by that. */
  readonly opener: Peer;
  /** Who has it, besides the one that is asked now. */
  readonly sources: { readonly link: Link; readonly announced: boolean }[];
  /** Asked now. */
  link: Link | null;
  announced: boolean;
  /** Over all sources: where forwards outrun fetches, each of eight may be asked before it has what it tells of. */
  unknownAnswers: number;
  /** Told once it is adopted or given up. */
  readonly waiters: (() => void)[];
  /** Adopted, given up or made room: what still comes for it is for nobody. */
  over: boolean;
  /** Ends the walk under way. */
  endWalk: (() => void) | null;
}

/** More than a node has peers: one place for each, whatever the others do. */
const questLimit = 64;
const questsPerPeer = 3;
const sourceLimit = 8;
const refusedForMs = 60_000;
const refusedLimit = 256;

/** Null if there is one for this checkpoint already (then the peer is a further source of it) or no place for another. */
export function openQuest(node: NodeState, link: Link, hash: string, announced: boolean): Quest | null {
  const { quests } = node.checkpoints;
  const running = quests.get(hash);
  if (running) {
    const isThere =
      running.link?.peer === link.peer || running.sources.some((source) => source.link === link);
    if (!isThere && running.sources.length < sourceLimit) running.sources.push({ link, announced });
    return null;
  }
  if (!makeRoom(node, link.peer)) return null;
  const quest: Quest = {
    hash: kept(hash),
    opener: link.peer,
    sources: [],
    link: null,
    announced,
    unknownAnswers: 0,
    waiters: [],
    over: false,
    endWalk: null,
  };
  quests.set(quest.hash, quest);
  return quest;
}

/**
 * Is there a place for one more on this peer's word? Of a full house the oldest goes whose opener has most: a few peers with
 * invented hashes keep nobody out.
 */
function makeRoom(node: NodeState, peer: Peer): boolean {
  const all = node.checkpoints.quests;
  const counts = new Map<Peer, number>();
  for (const { opener } of all.values()) counts.set(opener, (counts.get(opener) ?? 0) + 1);
  const own = counts.get(peer) ?? 0;
  if (own >= questsPerPeer) return false;
  if (all.size < questLimit) return true;
  const most = Math.max(...counts.values());
  if (most <= own + 1) return false;
  for (const quest of all.values()) {
    if (counts.get(quest.opener) !== most) continue;
    close(node, quest);
    break;
  }
  return true;
}

export function isRefused(node: NodeState, link: Link, hash: string): boolean {
  const atMs = link.peer.refusedCheckpoints.get(hash);
  return atMs !== undefined && node.nowMs - atMs < refusedForMs;
}

/** This peer's word for it is not asked for again for a while. */
export function refused(node: NodeState, link: Link, hash: string): void {
  const { refusedCheckpoints } = link.peer;
  refusedCheckpoints.delete(hash);
  refusedCheckpoints.set(hash, node.nowMs);
  if (refusedCheckpoints.size > refusedLimit)
    refusedCheckpoints.delete(refusedCheckpoints.keys().next().value!);
}

export function close(node: NodeState, quest: Quest): void {
  if (node.checkpoints.quests.get(quest.hash) !== quest) return;
  node.checkpoints.quests.delete(quest.hash);
  quest.over = true;
  quest.endWalk?.();
  for (const waiter of quest.waiters) waiter();
}
