/**
 * Anti-entropy (§8), the asking side: walking a peer's prefix tree where it differs from a set of ours. It owns the pulls and
 * the walks; checkpoints use the same walk at their own roots. It must not know how items are fetched.
 */
import type { Deadline } from './deadlines.ts';
import { flux, isBusy } from './flux.ts';
import { isDigest, isItemHash, isPrefix } from './forms.ts';
import { isInteger } from './json.ts';
import { note, pickRandom } from './link.ts';
import { ask } from './requests.ts';
import type { Link, NodeState } from './state.ts';
import { isArriving, storeIsTroubled } from './storing.ts';
import { hashOfList, type TreeView, zeros } from './tree.ts';
import type { JsonObject } from './types.ts';
import { isWanted, want } from './wants.ts';

/** §8: an answer lists up to so many hashes, beyond them it names the 16 subtrees. */
export const listedHashes = 500;
const walkRequests = 10_000;
/** Requests of one walk in flight together. */
const walkWindow = 6;
/** More hashes than these wanted from a peer, and the walk through its tree waits. */
const wantedAtOnce = 1000;
const answerMs = 10_000;
const rememberedRoots = 256;
/** Before there were answers, and how much each counts. */
const unknownAnswerMs = 1000;
const answerWeight = 1 / 4;
/** Then a pull looks at one of the subtrees that differ, into all of them only so often, and leaves gossip so long. */
const sparseSubtrees = 1;
const wholeEveryMs = 2000;
const busyGraceMs = 400;
/**
 * A slow net leaves gossip longer, by the round trip that the pull saw: whoever fetches what gossip is about to bring has to
 * announce it anew (§7), which makes a slow net slower.
 */
const graceRoundTrips = 2;
const longestGraceMs = 2000;

/** Going down a peer's tree. One of `done` and `failed` is called at its end, once. */
export interface Walk {
  readonly link: Link;
  /** The root that is walked; null for the peer's state, which may move meanwhile. */
  readonly root: string | null;
  /** The set to compare with. */
  readonly mine: TreeView;
  /** Prefixes to ask about, with the hash that the answer must have (null where the state may move). */
  readonly frontier: { readonly prefix: string; readonly hash: string | null }[];
  asked: number;
  inFlight: number;
  ended: boolean;
  /** Go down into a few subtrees that differ, at random, and not into all. */
  isSparse: boolean;
  /** All of the peer's hashes below a prefix under which the two differ. */
  readonly found: (prefix: string, hashes: readonly string[]) => void;
  readonly done: () => void;
  readonly failed: (why: string) => void;
}

export interface PeerReconciling {
  /** "one pull per peer at a time" (§8). */
  pull: Walk | null;
  /** The roots between which the last pull went, as the peer's request and as its answer said. */
  asked: Roots | null;
  answered: Roots | null;
  /** A pull in turn that waits for its second to pass. */
  turnDue: Deadline | null;
}

export interface ReconcilingState {
  /** Monotonic ms of the last pull that looked everywhere. */
  wholeAtMs: number;
  /** What the first answer of a pull took lately, on average. */
  usualAnswerMs: number;
  /** Roots that this node had, as far as it told peers of them; oldest first, at most `rememberedRoots`. */
  readonly formerRoots: Set<string>;
  /** Peers to be pulled from in turn, oldest first; `taken`: one of them is asked now. */
  readonly turns: { readonly line: Map<Link, SeenRoot>; taken: Deadline | null };
}

/** A root that a peer told, and when, monotonic ms. */
export interface SeenRoot {
  readonly theirs: string;
  readonly cameAtMs: number;
}

export function createReconciling(): ReconcilingState {
  return {
    wholeAtMs: Number.NEGATIVE_INFINITY,
    usualAnswerMs: unknownAnswerMs,
    formerRoots: new Set(),
    turns: { line: new Map(), taken: null },
  };
}

export interface Roots {
  readonly mine: string;
  readonly theirs: string;
  readonly atMs: number;
}

export function createPeerReconciling(): PeerReconciling {
  return { pull: null, asked: null, answered: null, turnDue: null };
}

/** The root now, to be told to a peer. */
export function toldRoot(node: NodeState): string {
  const root = node.tree.root();
  const { formerRoots } = node.reconciling;
  formerRoots.add(root);
  if (formerRoots.size > rememberedRoots) formerRoots.delete(formerRoots.values().next().value!);
  return root;
}

/** Walks the peer's present state and fetches what this node lacks. `whenEnded`: the walk ended, well or not. */
export function pull(node: NodeState, link: Link, whenEnded: () => void = () => {}): void {
  const { reconciling } = link.peer;
  if (reconciling.pull || storeIsTroubled(node)) {
    whenEnded();
    return;
  }
  const mineAtStart = toldRoot(node);
  const askedAtMs = node.nowMs;
  let isOnItsWay = false;
  let graceMs = 0;
  const ended = () => {
    reconciling.pull = null;
    whenEnded();
  };
  const walk = startWalk(node, {
    link,
    root: null,
    mine: node.tree,
    top: null,
    answeredRoot: (theirs, count) => {
      reconciling.answered = { mine: mineAtStart, theirs, atMs: node.nowMs };
      node.reconciling.usualAnswerMs +=
        answerWeight * (node.nowMs - askedAtMs - node.reconciling.usualAnswerMs);
      isOnItsWay = isMostlyOnItsWay(node, count);
      graceMs = Math.min(
        longestGraceMs,
        isOnItsWay ? busyGraceMs : graceRoundTrips * (node.nowMs - askedAtMs),
      );
      const isSparse = isOnItsWay && node.nowMs - node.reconciling.wholeAtMs < wholeEveryMs;
      if (!isSparse) node.reconciling.wholeAtMs = node.nowMs;
      return isSparse;
    },
    found: (_prefix, hashes) => {
      // Wanted already, perhaps of a peer behind a cut link: this one is a further source.
      for (const hash of hashes) if (isWanted(node, hash)) want(node, link, hash, 'reconciled', false);
      const lacking = hashes.filter((hash) => isLacking(node, hash));
      if (lacking.length > 0)
        node.deadlines.at(node.nowMs + graceMs, () => fetchStillLacking(node, link, lacking));
    },
    done: ended,
    failed: (why) => {
      ended();
      if (why !== 'closed') note(node, 'debug', 'pull-failed', { peer: link.peer.nodeId, why });
    },
  });
  if (!walk.ended) reconciling.pull = walk;
}

/**
 * While many items come by gossip two states always differ a little, and a walk through all of that difference would cost
 * more than the items: each node would list its whole state to each other, time and again.
 */
function isMostlyOnItsWay(node: NodeState, theirCount: number): boolean {
  return isBusy(node) && Math.abs(theirCount - node.tree.size) < 2 * flux(node);
}

function isLacking(node: NodeState, hash: string): boolean {
  return !(node.tree.has(hash) || isArriving(node, hash) || isWanted(node, hash));
}

/** What gossip has not brought meanwhile. */
function fetchStillLacking(node: NodeState, link: Link, hashes: readonly string[]): void {
  if (link.phase !== 'open') return;
  for (const hash of hashes) if (isLacking(node, hash)) want(node, link, hash, 'reconciled', false);
}

interface WalkOrder extends Pick<Walk, 'link' | 'root' | 'mine' | 'found' | 'done' | 'failed'> {
  /** What the whole tree must hash to, or null. */
  readonly top: string | null;
  /** Told of the peer's root and number of items; true for a sparse walk. */
  readonly answeredRoot?: (root: string, count: number) => boolean;
}

export function startWalk(node: NodeState, order: WalkOrder): Walk {
  const { link, root, mine, found, done, failed } = order;
  const frontier = [{ prefix: '', hash: order.top }];
  const counts = { asked: 0, inFlight: 0, ended: false, isSparse: false };
  const walk: Walk = { link, root, mine, frontier, ...counts, found, done, failed };
  stepWalk(node, walk, order.answeredRoot);
  return walk;
}

function endWalk(walk: Walk, failure: string | null): void {
  if (walk.ended) return;
  walk.ended = true;
  if (failure === null) walk.done();
  else walk.failed(failure);
}

function stepWalk(node: NodeState, walk: Walk, answeredRoot?: WalkOrder['answeredRoot']): void {
  while (!walk.ended && walk.inFlight < walkWindow && walk.frontier.length > 0) {
    if (walk.asked >= walkRequests) {
      endWalk(walk, 'too many requests');
      return;
    }
    if (walk.inFlight === 0 && walk.link.peer.fetching.queue.size > wantedAtOnce) {
      // What was found already is fetched first, so that a walk never holds more than one list too many.
      node.deadlines.at(node.nowMs + 50, () => stepWalk(node, walk, answeredRoot));
      return;
    }
    if (walk.inFlight > 0 && walk.link.peer.fetching.queue.size > wantedAtOnce) return;
    const { prefix, hash } = walk.frontier.pop()!;
    walk.asked++;
    walk.inFlight++;
    const root = walk.root === null ? 'null' : `"${walk.root}"`;
    const payload = `{"item_count": ${node.tree.size}, "prefix": "${prefix}", "root": ${root}, "state_root": "${node.tree.root()}"}`;
    const isSent = ask(
      node,
      walk.link,
      { messageType: 'sync_digest', payload, kind: 'sync_digest', withinMs: answerMs },
      (answer) => {
        walk.inFlight--;
        if (walk.ended) return;
        if (prefix === '')
          walk.isSparse = answeredRoot?.(answer.root as string, Number(answer.count)) ?? false;
        const lie = takeSubtree(node, walk, prefix, hash, answer);
        if (lie !== null) return endWalk(walk, lie);
        stepWalk(node, walk, answeredRoot);
      },
      (why) => {
        walk.inFlight--;
        endWalk(walk, why);
      },
    );
    if (!isSent) {
      endWalk(walk, 'closed');
      return;
    }
  }
  if (walk.frontier.length === 0 && walk.inFlight === 0) endWalk(walk, null);
}

/** Judges an answer and goes on below; returns what is wrong with it, or null. */
function takeSubtree(
  node: NodeState,
  walk: Walk,
  prefix: string,
  expected: string | null,
  answer: JsonObject,
): string | null {
  const { hash } = answer;
  if (answer.prefix !== prefix || (walk.root !== null && answer.root !== walk.root))
    return 'answer to another question';
  if (expected !== null && hash !== expected) return 'subtree does not hash to what was said above it';
  if (hash === walk.mine.hash(prefix)) return null;
  const { sha256 } = node.world;
  if ((answer.count as number) <= listedHashes) {
    const hashes = (answer.item_hashes as string[]).map((wire) => wire.slice(5));
    let last = '';
    for (const item of hashes) {
      if (!item.startsWith(prefix) || item <= last) return 'hashes out of order or place';
      last = item;
    }
    if (hashes.length !== Number(answer.count) || hashOfList(hashes, prefix.length, sha256) !== hash) {
      return 'list does not hash to its hash';
    }
    walk.found(prefix, hashes);
    return null;
  }
  const children = answer.children as string[];
  if (prefix.length >= 64 || sha256(`N${children.join('')}`) !== hash)
    return 'children do not hash to their parent';
  const differing: string[] = [];
  for (let digit = 0; digit < 16; digit++) {
    const child = prefix + digit.toString(16);
    const theirs = children[digit]!;
    if (theirs === walk.mine.hash(child)) continue;
    if (theirs === zeros) walk.found(child, []);
    else differing.push(child);
  }
  const entered = walk.isSparse ? pickRandom(node, differing, sparseSubtrees) : differing.reverse();
  for (const child of entered) {
    const expectedHash = walk.root === null ? null : children[Number.parseInt(child.at(-1)!, 16)]!;
    walk.frontier.push({ prefix: child, hash: expectedHash });
  }
  return null;
}

/** Check 11 for an answer; whether it is true is for the walk. */
export function isDigestAnswer(payload: JsonObject): boolean {
  const { root, prefix, count, hash, item_hashes, children } = payload;
  if (!isDigest(root) || !isPrefix(prefix) || !isDigest(hash) || !isInteger(count) || count < 0) return false;
  if (count <= listedHashes) {
    return Array.isArray(item_hashes) && item_hashes.length <= listedHashes && item_hashes.every(isItemHash);
  }
  return (
    item_hashes === undefined && Array.isArray(children) && children.length === 16 && children.every(isDigest)
  );
}
