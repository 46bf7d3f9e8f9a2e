/**
 * The checkpoints a node stands on and keeps (§8): which it holds with the sets under their roots, the records of them on
 * disk, what it says about them, and when it cuts the next. Getting one from a peer is elsewhere.
 */
import { announce } from './announce.ts';
import { canonical } from './canonical.ts';
import { type Checkpoint, chainRefusal, cutCheckpoint, inTransit, isBetter } from './checkpoint.ts';
import { dropOldest, recordKey } from './checkpoint-records.ts';
import type { Deadline } from './deadlines.ts';
import { asciiBytes, maxPayloadBytes } from './envelope.ts';
import { note } from './link.ts';
import type { Quest } from './quests.ts';
import { send } from './sending.ts';
import type { Link, NodeState } from './state.ts';
import { type Statistics, statisticsOf } from './statistics.ts';
import { keepRecords } from './storing.ts';
import { type TreeView, zeros } from './tree.ts';
import type { BatchId } from './types.ts';

export interface HeldCheckpoint {
  readonly checkpoint: Checkpoint;
  /** The set under its root. */
  readonly view: TreeView;
  /** Items of later batches are not in the set; of earlier ones all but those that its record names. */
  readonly throughBatch: BatchId;
}

export interface CheckpointState {
  /** What the node stands on. */
  own: HeldCheckpoint | null;
  /** By hash, in order of adoption; the last ones with their roots. */
  readonly held: Map<string, HeldCheckpoint>;
  /** Items came since the last look. */
  stateChanged: boolean;
  /** Since when the state differs from that of the checkpoint it stands on (monotonic ms), or null. */
  differsSinceMs: number | null;
  /** Last cut or adoption, or start. */
  standsSinceMs: number;
  cutDue: Deadline | null;
  isCutting: boolean;
  /** Being written down: what their records count on must stay on disk too. */
  readonly adopting: Set<HeldCheckpoint>;
  /** Of the roots looked at last: a root says all of its statistics, however often checkpoints over it are made up. */
  readonly statistics: Map<string, Statistics>;
  /** Checkpoints being fetched, by hash. */
  readonly quests: Map<string, Quest>;
}

const greatestRank = 10;
const rememberedStatistics = 8;
/** Of a `state_sync` answer, without the checkpoint. */
const answerFrameBytes = 200;

export function createCheckpoints(): CheckpointState {
  return {
    own: null,
    held: new Map(),
    stateChanged: false,
    differsSinceMs: null,
    standsSinceMs: 0,
    cutDue: null,
    isCutting: false,
    adopting: new Set(),
    statistics: new Map(),
    quests: new Map(),
  };
}

/** Payload of a `state_summary` (§4). */
export function summaryText(node: NodeState): string {
  const own = node.checkpoints.own?.checkpoint;
  const hash = own ? `"${own.hash}"` : 'null';
  return `{"checkpoint_hash": ${hash}, "height": ${own?.height ?? 0}, "item_count": ${node.tree.size}, "state_root": "${node.tree.root()}"}`;
}

/** The set under an older root that is still held (§8 `sync_digest`). */
export function viewAt(node: NodeState, root: string): TreeView | null {
  for (const { checkpoint, view } of node.checkpoints.held.values())
    if (checkpoint.stateRoot === root) return view;
  return null;
}

/** Of exactly the items in the set. Time O(items), unless its root was among the last ones. */
export function statisticsUnder(node: NodeState, view: TreeView): Statistics {
  const known = node.checkpoints.statistics;
  const root = view.root();
  const found = known.get(root);
  if (found) return found;
  const statistics = statisticsOf(node.commits, view);
  if (known.size >= rememberedStatistics) known.delete(known.keys().next().value!);
  known.set(root, statistics);
  return statistics;
}

export function sendCheckpoint(node: NodeState, link: Link, requestId: string, checkpoint: Checkpoint): void {
  const object = inTransit(checkpoint, maxPayloadBytes - answerFrameBytes);
  send(
    node,
    link,
    'state_sync',
    `{"checkpoint": ${canonical(object)}, "request_id": "${requestId}", "sync_type": "response"}`,
  );
}

/** Would it be adopted, as far as it shows? Null, or why not. */
export function refusalOf(node: NodeState, checkpoint: Checkpoint): string | null {
  const { own, held } = node.checkpoints;
  if (!isBetter(checkpoint, own?.checkpoint ?? null)) return 'not better';
  return chainRefusal(checkpoint, {
    own: own?.checkpoint ?? null,
    predecessor: held.get(checkpoint.previousHash)?.checkpoint ?? null,
    nowSeconds: node.world.wallMs() / 1000,
    authorityNotBeforeMs: node.authority.notBeforeMs,
    checkpointIntervalMs: node.parameters.checkpointIntervalMs,
  });
}

/** Stands on a checkpoint whose everything was verified, once its record is on disk. `then` is told whether. */
export function adopt(
  node: NodeState,
  checkpoint: Checkpoint,
  view: TreeView,
  then: (adopted: boolean) => void,
): void {
  const { storing } = node;
  const absent = node.tree.without(view);
  for (const hash of storing.arriving.keys()) if (!view.has(hash)) absent.push(hash);
  const wasRecording = storing.recording;
  // From here on batches say what they hold: this record counts on it.
  storing.recording = true;
  const throughBatch = storing.lastBatch;
  const record = `{"absent": ${canonical(absent)}, "checkpoint": ${canonical(checkpoint.object)}, "through": ${throughBatch}}`;
  const held = { checkpoint, view, throughBatch };
  node.checkpoints.adopting.add(held);
  keepRecords(node, [[recordKey(checkpoint.hash), asciiBytes(record)], ...dropOldest(node)], (stored) => {
    node.checkpoints.adopting.delete(held);
    if (!stored) {
      storing.recording = wasRecording || node.checkpoints.held.size > 0;
      return then(false);
    }
    node.checkpoints.held.set(checkpoint.hash, held);
    const isStill = isBetter(checkpoint, node.checkpoints.own?.checkpoint ?? null);
    if (isStill) stand(node, held);
    then(isStill);
  });
}

function stand(node: NodeState, held: HeldCheckpoint): void {
  const state = node.checkpoints;
  state.own = held;
  state.standsSinceMs = node.nowMs;
  state.differsSinceMs = differs(node) ? node.nowMs : null;
  const { height, hash } = held.checkpoint;
  note(node, 'info', 'checkpoint', { height, hash, items: held.view.size });
  scheduleCut(node);
}

/** At start, and at the end of a step in which items took effect. */
export function tendCheckpoints(node: NodeState): void {
  const state = node.checkpoints;
  if (!state.stateChanged) return;
  state.stateChanged = false;
  // The state holds all that its checkpoint holds, so once it has more it differs until another one is adopted.
  if (state.differsSinceMs !== null || !differs(node)) return;
  state.differsSinceMs = node.nowMs;
  scheduleCut(node);
}

/** "A node whose state is not empty and whose state_root differs from that of the checkpoint it stands on" (§8). */
function differs(node: NodeState): boolean {
  return node.tree.size > 0 && node.tree.root() !== node.checkpoints.own?.checkpoint.stateRoot;
}

/** Due an interval after the last cut or adoption (or start), or when the state began to differ, whichever is later. */
function scheduleCut(node: NodeState): void {
  const state = node.checkpoints;
  const { checkpointIntervalMs } = node.parameters;
  node.deadlines.cancel(state.cutDue);
  state.cutDue = null;
  if (checkpointIntervalMs === 0 || state.differsSinceMs === null) return;
  const dueMs = Math.max(state.standsSinceMs + checkpointIntervalMs, state.differsSinceMs);
  state.cutDue = node.deadlines.at(Math.max(dueMs, node.nowMs), () => {
    // The rank is taken when it is due, among the peers there are then.
    const waitMs = (ownRank(node) * checkpointIntervalMs) / 60;
    state.cutDue = node.deadlines.at(node.nowMs + waitMs, () => cut(node));
  });
}

/** 0 the nearest "by XOR distance of node id to the first 160 bits of `previous_hash` among itself and its peers" (§8). */
function ownRank(node: NodeState): number {
  const target = (node.checkpoints.own?.checkpoint.hash ?? zeros).slice(0, 40);
  const own = distance(node.me.nodeId, target);
  let nearer = 0;
  for (const { peer } of node.persistent) if (distance(peer.nodeId, target) < own) nearer++;
  return Math.min(nearer, greatestRank);
}

/** Comparable as text: one character per hex digit. */
function distance(nodeId: string, target: string): string {
  let text = '';
  for (let i = 0; i < 40; i++) {
    text += (Number.parseInt(nodeId[i + 5]!, 16) ^ Number.parseInt(target[i]!, 16)).toString(16);
  }
  return text;
}

function cut(node: NodeState): void {
  const state = node.checkpoints;
  state.cutDue = null;
  if (node.stopped || state.isCutting || !differs(node)) return;
  const previous = state.own?.checkpoint ?? null;
  const view = node.tree.snapshot();
  const checkpoint = cutCheckpoint({
    previous,
    // A clock set back must not break the chain.
    timestamp: Math.max(node.world.wallMs() / 1000, previous?.timestamp ?? 0),
    stateRoot: view.root(),
    statistics: statisticsUnder(node, view),
    publicKey: node.me.publicKey,
    world: node.world,
  });
  const again = (why: string) => {
    note(node, 'info', 'no-cut', { why });
    state.standsSinceMs = node.nowMs;
    scheduleCut(node);
  };
  // What others would refuse is not cut: e.g. the age of the network does not allow the height yet.
  const refusal = refusalOf(node, checkpoint);
  if (refusal !== null) {
    again(refusal);
    return;
  }
  state.isCutting = true;
  adopt(node, checkpoint, view, (adopted) => {
    state.isCutting = false;
    if (adopted) announce(node, 'checkpoint', checkpoint.hash, null);
    else if (state.own?.checkpoint === previous) again('not stored');
  });
}
