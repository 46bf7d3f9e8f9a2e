/**
 * Getting a checkpoint from peers and answering for one's own (§8 `state_sync`): ask, verify, walk the tree at its root,
 * fetch what lacks, recompute, and only then adopt. Which quests there are is `quests.ts`.
 */
import {
  type Checkpoint,
  checkpointHash,
  describes,
  hasGoodSignatures,
  readCheckpoint,
  withRules,
} from './checkpoint.ts';
import { adopt, refusalOf, statisticsUnder, viewAt } from './checkpoints.ts';
import { kept } from './json.ts';
import { note, pickRandom } from './link.ts';
import { close, isRefused, openQuest, type Quest, refused } from './quests.ts';
import { startWalk, type Walk } from './reconcile.ts';
import { ask } from './requests.ts';
import type { Link, NodeState } from './state.ts';
import type { TreeView } from './tree.ts';
import type { JsonObject } from './types.ts';
import { want } from './wants.ts';

const answerMs = 10_000;
const retryMs = 250;
const retries = 3;
/** "every 10 s a random peer that has `sync` for its latest". */
const roundMs = 10_000;
/** How long one source may take for the items while others wait that have them too. */
const sourceMs = 30_000;

/** Asks a random peer for its latest checkpoint every 10 s, so that forks end in a quiet net too. */
export function scheduleStateSync(node: NodeState): void {
  const round = () => {
    if (node.stopped) return;
    node.deadlines.at(node.nowMs + roundMs, round);
    const [link] = pickRandom(
      node,
      node.persistent.filter((each) => each.syncs),
      1,
    );
    if (link) askLatest(node, link);
  };
  node.deadlines.at(node.nowMs + roundMs * (0.5 + node.world.random() / 2), round);
}

function askLatest(node: NodeState, link: Link): void {
  request(node, link, null, (object) => {
    const checkpoint = readCheckpoint(object);
    if (!checkpoint || isRefused(node, link, checkpoint.hash)) return;
    if (node.checkpoints.held.has(checkpoint.hash) || refusalOf(node, checkpoint) !== null) return;
    const quest = openQuest(node, link, checkpoint.hash, false);
    if (!quest) return;
    quest.link = link;
    judge(node, quest, link, checkpoint);
  });
}

/** How a node was told of a checkpoint: by a `state_summary`, an announce of its origin, or one that was passed on. */
export type Word = 'summary' | 'origin' | 'forward';

/** A peer names a checkpoint that this node does not hold. */
export function seek(node: NodeState, link: Link, hash: string, word: Word): void {
  const announced = word !== 'summary';
  if (node.checkpoints.held.has(hash)) return;
  // A new announce is worth a new question; else "one refused before need not be asked for again".
  if (announced) link.peer.refusedCheckpoints.delete(hash);
  else if (isRefused(node, link, hash)) return;
  const quest = openQuest(node, link, hash, announced);
  if (!quest) return;
  quest.sources.push({ link, announced });
  // Forwards outrun fetches: whoever passed it on is mostly asked in vain at once.
  if (word === 'forward') node.deadlines.at(node.nowMs + retryMs, () => askNext(node, quest));
  else askNext(node, quest);
}

function askNext(node: NodeState, quest: Quest): void {
  if (quest.over) return;
  const source = quest.sources.shift();
  if (!source) {
    close(node, quest);
    return;
  }
  quest.link = source.link;
  quest.announced = source.announced;
  askFor(node, quest, source.link);
}

function askFor(node: NodeState, quest: Quest, link: Link): void {
  request(
    node,
    link,
    quest.hash,
    (object) => {
      const checkpoint = readCheckpoint(object);
      if (checkpoint?.hash === quest.hash) judge(node, quest, link, checkpoint);
      else giveUp(node, quest, link, 'not what was asked for');
    },
    (why) => {
      if (why !== 'UNKNOWN_HASH' || !quest.announced) return askNext(node, quest);
      // "told `UNKNOWN_HASH` by the announcer, again after 250 ms, at most three times", and others before it.
      if (++quest.unknownAnswers <= retries) quest.sources.push({ link, announced: true });
      node.deadlines.at(node.nowMs + retryMs, () => askNext(node, quest));
    },
  );
}

function request(
  node: NodeState,
  link: Link,
  hash: string | null,
  answered: (checkpoint: JsonObject) => void,
  failed: (why: string) => void = () => {},
): void {
  const height = node.checkpoints.own?.checkpoint.height ?? 0;
  const asked = hash === null ? 'null' : `"${hash}"`;
  const payload = `{"checkpoint_hash": ${asked}, "last_known_height": ${height}, "sync_type": "request"}`;
  const isSent = ask(
    node,
    link,
    { messageType: 'state_sync', payload, kind: 'state_sync', withinMs: answerMs },
    (answer) => answered(answer.checkpoint as JsonObject),
    failed,
  );
  if (!isSent) failed('closed');
}

/** What can be verified without the items, and then the items. */
function judge(node: NodeState, quest: Quest, link: Link, checkpoint: Checkpoint): void {
  if (quest.over) return;
  const refusal = refusalOf(node, checkpoint);
  // Not better than what the node stands on by now: nobody's fault.
  if (refusal === 'not better') {
    close(node, quest);
    return;
  }
  if (refusal !== null) {
    giveUp(node, quest, link, refusal);
    return;
  }
  if (checkpoint.acceptedRules && checkpointHash(checkpoint.object, node.world.sha256) !== checkpoint.hash) {
    giveUp(node, quest, link, 'hash');
    return;
  }
  if (!hasGoodSignatures(checkpoint, node.world.verify)) {
    giveUp(node, quest, link, 'signature');
    return;
  }
  const root = checkpoint.stateRoot;
  const view = root === node.tree.root() ? node.tree.snapshot() : viewAt(node, root);
  if (view) finish(node, quest, link, checkpoint, view);
  else gather(node, quest, link, checkpoint);
}

/** Walks the peer's tree at the checkpoint's root: makes that set out of ours, and fetches what lacks. */
function gather(node: NodeState, quest: Quest, link: Link, checkpoint: Checkpoint): void {
  const mine = node.tree.snapshot();
  const set = mine.fork();
  let lacking = 0;
  let isWalked = false;
  let isOver = false;
  let walk: Walk | null = null;
  const end = () => {
    isOver = true;
    node.deadlines.cancel(due);
    quest.endWalk = null;
    if (walk) walk.ended = true;
  };
  const fail = (why: string, isFault: boolean) => {
    if (isOver) return;
    end();
    if (isFault && link.phase === 'open') giveUp(node, quest, link, why);
    else askNext(node, quest);
  };
  const goOn = () => {
    if (isOver || !isWalked || lacking > 0) return;
    end();
    finish(node, quest, link, checkpoint, set.snapshot());
  };
  // A source that answers just in time, request by request, keeps the others waiting for hours; what it brought stays.
  const tooLong = () => {
    if (quest.sources.length > 0) fail('slow', false);
    else due = node.deadlines.at(node.nowMs + sourceMs, tooLong);
  };
  let due = node.deadlines.at(node.nowMs + sourceMs, tooLong);
  quest.endWalk = end;
  walk = startWalk(node, {
    link,
    root: checkpoint.stateRoot,
    mine,
    top: checkpoint.stateRoot,
    found: (prefix, hashes) => {
      const theirs = new Set(hashes);
      for (const hash of mine.hashes(prefix)) if (!theirs.has(hash)) set.remove(hash);
      for (const hash of hashes) {
        set.add(kept(hash));
        if (node.tree.has(hash)) continue;
        lacking++;
        want(node, link, hash, 'checkpoint', quest.announced, (held) => {
          lacking--;
          if (held) goOn();
          else fail('an item under it is not to be had', true);
        });
      }
    },
    done: () => {
      isWalked = true;
      goOn();
    },
    failed: (why) => fail(why, why !== 'closed' && why !== 'timeout'),
  });
}

/** All items are held: recompute root, rules and statistics, and adopt (§8 "only then"). */
function finish(node: NodeState, quest: Quest, link: Link, received: Checkpoint, view: TreeView): void {
  if (view.root() !== received.stateRoot) {
    giveUp(node, quest, link, 'state_root');
    return;
  }
  const statistics = statisticsUnder(node, view);
  const checkpoint = withRules(received, statistics);
  if (checkpointHash(checkpoint.object, node.world.sha256) !== checkpoint.hash) {
    giveUp(node, quest, link, 'hash with the rules computed');
    return;
  }
  if (!describes(checkpoint, statistics)) {
    giveUp(node, quest, link, 'accepted_rules or statistics');
    return;
  }
  // The node may stand elsewhere by now.
  const refusal = refusalOf(node, checkpoint);
  if (refusal === 'not better') {
    close(node, quest);
    return;
  }
  if (refusal !== null) {
    giveUp(node, quest, link, refusal);
    return;
  }
  adopt(node, checkpoint, view, () => close(node, quest));
}

/** This peer's word is refused; another one is tried. */
function giveUp(node: NodeState, quest: Quest, link: Link, why: string): void {
  refused(node, link, quest.hash);
  note(node, 'info', 'checkpoint-refused', { hash: quest.hash, peer: link.peer.nodeId, why });
  askNext(node, quest);
}
