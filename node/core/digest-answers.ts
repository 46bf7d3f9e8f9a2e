/**
 * Anti-entropy (§8), the answering side: a `sync_digest` request is answered from the state or from the set under an older root
 * that is still held, and asked back where the two states differ. It must not know how a tree is walked.
 */
import { type Refusal, refuse } from './error-code.ts';
import { isDigest, isPrefix } from './forms.ts';
import { list } from './gossip-payload.ts';
import { isInteger } from './json.ts';
import { listedHashes, pull, type Roots, type SeenRoot, toldRoot } from './reconcile.ts';
import { send } from './sending.ts';
import type { Link, NodeState } from './state.ts';
import { type TreeView, zeros } from './tree.ts';
import type { JsonObject } from './types.ts';

/** "not again within 1 s for the same two roots" (§8); for other roots the next pull in turn waits as long. */
const inTurnMs = 1000;
const turnMs = 1000;

/** A `sync_digest` request: the answer, and a pull in turn. `viewAt`: the set under an older root that is still held. */
export function answerDigest(
  node: NodeState,
  link: Link,
  requestId: string,
  payload: JsonObject,
  viewAt: (root: string) => TreeView | null,
): Refusal | null {
  const { root, prefix, state_root, item_count } = payload;
  if (root === undefined || (root !== null && !isDigest(root))) return refuse('MALFORMED', 'root');
  if (!isPrefix(prefix)) return refuse('MALFORMED', 'prefix');
  if (!isDigest(state_root)) return refuse('MALFORMED', 'state_root');
  if (!isInteger(item_count) || item_count < 0) return refuse('MALFORMED', 'item_count');
  const own = toldRoot(node);
  const view = root === null || root === own ? node.tree : viewAt(root);
  if (!view) return refuse('UNKNOWN_HASH', 'root is not held');
  send(node, link, 'sync_digest', subtreeText(view, root ?? own, prefix, requestId));
  if (prefix === '' && root === null && state_root !== own) pullInTurn(node, link, own, state_root);
  return null;
}

function subtreeText(view: TreeView, root: string, prefix: string, requestId: string): string {
  const count = view.count(prefix);
  const isListed = count <= listedHashes;
  const children = isListed ? '' : `"children": ${list(view.children(prefix))}, `;
  const hashes = isListed
    ? `"item_hashes": ${list(view.hashes(prefix).map((hash) => `rule_${hash}`))}, `
    : '';
  return `{${children}"count": ${count}, "hash": "${view.hash(prefix)}", ${hashes}"prefix": "${prefix}", "request_id": "${requestId}", "root": "${root}"}`;
}

/** "A receiver of a request with prefix "" and root null from a peer with `sync` whose root differs pulls in turn" (§8). */
function pullInTurn(node: NodeState, link: Link, mine: string, theirs: string): void {
  const { reconciling } = link.peer;
  if (link.peer.persistent !== link || !link.syncs || reconciling.pull) return;
  if (reconciling.turnDue?.live || isBehind(node, theirs)) return;
  const sinceMs = (last: Roots | null) => (last ? node.nowMs - last.atMs : Number.POSITIVE_INFINITY);
  const isRepeat = (last: Roots | null) =>
    last?.mine === mine && last.theirs === theirs && sinceMs(last) < inTurnMs;
  if (isRepeat(reconciling.asked) || isRepeat(reconciling.answered)) return;
  const waitMs = inTurnMs - sinceMs(reconciling.asked);
  const seen = { theirs, cameAtMs: node.nowMs };
  if (waitMs > 0) {
    // Under load the roots are others each time; answering every pull by a pull would never end.
    reconciling.turnDue = node.deadlines.at(node.nowMs + waitMs, () => waitForTurn(node, link, seen));
    return;
  }
  waitForTurn(node, link, seen);
}

function waitForTurn(node: NodeState, link: Link, seen: SeenRoot): void {
  node.reconciling.turns.line.set(link, seen);
  nextTurn(node);
}

/**
 * One pull in turn after the other: where each takes a second, all of them at once (and their peers, asked thereby, in turn)
 * would be what makes them slow. A pull that is not answered holds up the others for `turnMs` at most.
 */
function nextTurn(node: NodeState): void {
  const { turns } = node.reconciling;
  for (const [link, { theirs, cameAtMs }] of turns.line) {
    if (turns.taken?.live) return;
    turns.line.delete(link);
    const { reconciling } = link.peer;
    const isAsked = reconciling.pull !== null || (reconciling.answered?.atMs ?? 0) > cameAtMs;
    if (link.phase !== 'open' || isAsked || isBehind(node, theirs)) continue;
    reconciling.asked = { mine: toldRoot(node), theirs, atMs: node.nowMs };
    const taken = node.deadlines.at(node.nowMs + turnMs, () => nextTurn(node));
    turns.taken = taken;
    pull(node, link, () => {
      node.deadlines.cancel(taken);
      nextTurn(node);
    });
  }
}

/** Items are never removed: who stands where this node stands or once stood holds nothing that it lacks. */
function isBehind(node: NodeState, theirs: string): boolean {
  return theirs !== zeros && (theirs === node.tree.root() || node.reconciling.formerRoots.has(theirs));
}
