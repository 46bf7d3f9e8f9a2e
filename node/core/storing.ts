/**
 * From a valid item to a durable one: what is on its way to the store, who waits for it, and what follows when it is
 * there. Items take effect (state root, queries, answers) when the store has them and not before. It must not know where
 * an item came from or who is told of it; it writes, per batch, which items came with it, so that the sets under older
 * checkpoint roots can be told apart again after a restart.
 */
import { addCommit } from './commits.ts';
import type { Deadline } from './deadlines.ts';
import { isBusy } from './flux.ts';
import type { Item } from './item.ts';
import { kept } from './json.ts';
import { note } from './link.ts';
import type { NodeState } from './state.ts';
import type { BatchId, StoredItem } from './types.ts';

/** Told once: durable or refused by the store. */
export type Waiter = (stored: boolean) => void;
export type StoreRecord = readonly [key: string, value: Uint8Array | null];

interface Arriving {
  readonly item: Item;
  readonly waiters: Waiter[];
}

interface Batch {
  /** No one was told, or will be at its end, that what it holds is durable. */
  relaxed: boolean;
  readonly items: Arriving[];
  readonly records: StoreRecord[];
  readonly waiters: Waiter[];
}

export interface StoringState {
  readonly arriving: Map<string, Arriving>;
  /** What this step has gathered so far. */
  gathering: Batch | null;
  /** Items that their authors wait for, gathered over several steps while the node is busy. */
  readonly commits: { batch: Batch | null; due: Deadline | null; writtenAtMs: number };
  readonly batches: Map<BatchId, Batch>;
  lastBatch: BatchId;
  /** Write down per batch which items it held: as long as there is a checkpoint whose set must be found again. */
  recording: boolean;
  /** The batches of which that was written, ascending. */
  readonly recorded: BatchId[];
  /** Stored, but perhaps not synced: no synced batch has followed. */
  readonly unsynced: Set<string>;
  /** Monotonic ms of the last refusal by the store. */
  failedAtMs: number;
}

export function createStoring(): StoringState {
  return {
    arriving: new Map(),
    gathering: null,
    commits: { batch: null, due: null, writtenAtMs: Number.NEGATIVE_INFINITY },
    batches: new Map(),
    lastBatch: 0,
    recording: false,
    recorded: [],
    unsynced: new Set(),
    failedAtMs: Number.NEGATIVE_INFINITY,
  };
}

/**
 * A busy node writes and syncs items of their authors at most so often. What becomes durable together is accepted together
 * and shares one announce (§7: "items of one type accepted within 50 ms may share one"), and an announce is what costs a
 * busy net most: each makes its way to every node three times over.
 */
const commitsEveryMs = 280;
/** Beyond these nobody is kept waiting for the sake of a larger batch. */
const commitsAtOnce = 100;

/** More relayed items than these without a sync, and one is asked for. */
const unsyncedLimit = 1000;

export const batchKey = (batch: BatchId): string => `batch:${batch}`;

/** Held and effective. `hash`: 64 digits. */
export function isHeld(node: NodeState, hash: string): boolean {
  return node.tree.has(hash);
}

export function isArriving(node: NodeState, hash: string): boolean {
  return node.storing.arriving.has(hash);
}

/** Hands a new valid item to the store. `acknowledged`: somebody will be told that it is durable. */
export function keep(node: NodeState, item: Item, acknowledged: boolean, waiter: Waiter): void {
  const arriving = node.storing.arriving.get(item.hash);
  if (arriving) {
    arriving.waiters.push(waiter);
    return;
  }
  const batch = acknowledged ? commitBatch(node) : gathering(node);
  const added = { item, waiters: [waiter] };
  batch.items.push(added);
  node.storing.arriving.set(item.hash, added);
}

/** Tells when an arriving item has taken effect, or that it did not. */
export function whenStored(node: NodeState, hash: string, waiter: Waiter): void {
  node.storing.arriving.get(hash)!.waiters.push(waiter);
}

/** Tells when an item that is held or arriving is durable beyond doubt. */
export function whenDurable(node: NodeState, hash: string, waiter: Waiter): void {
  const { arriving, unsynced } = node.storing;
  const wait = arriving.get(hash);
  if (wait) wait.waiters.push((stored) => (stored ? whenDurable(node, hash, waiter) : waiter(false)));
  else if (unsynced.has(hash)) keepRecords(node, [syncRecord(node)], waiter);
  else waiter(true);
}

/** Writes records, after everything handed over before; always synced. */
export function keepRecords(node: NodeState, records: readonly StoreRecord[], waiter: Waiter): void {
  const batch = gathering(node);
  batch.relaxed = false;
  for (const record of records) batch.records.push(record);
  batch.waiters.push(waiter);
}

/** At the end of a step: what it gathered goes to the store. */
export function handOver(node: NodeState): void {
  const { storing } = node;
  if (storing.gathering) write(node, storing.gathering);
  storing.gathering = null;
  const { commits } = storing;
  if (!commits.batch || (commits.due?.live && commits.batch.items.length < commitsAtOnce)) return;
  node.deadlines.cancel(commits.due);
  commits.writtenAtMs = node.nowMs;
  write(node, commits.batch);
  commits.batch = null;
}

function write(node: NodeState, batch: Batch): void {
  const { storing } = node;
  const id = ++storing.lastBatch;
  const items: StoredItem[] = batch.items.map(({ item }) => ({ hash: item.hash, bytes: item.bytes }));
  const records = batch.records.slice();
  if (storing.recording && items.length > 0) {
    records.push([batchKey(id), Buffer.from(items.map(({ hash }) => hash).join(''), 'hex')]);
    storing.recorded.push(id);
  }
  storing.batches.set(id, batch);
  node.turn.effects.push({ kind: 'persist', batch: id, relaxed: batch.relaxed, items, records });
}

/** The store has a batch: its items take effect. */
export function batchStored(node: NodeState, id: BatchId): void {
  const { storing } = node;
  const batch = storing.batches.get(id);
  if (!batch) return;
  storing.batches.delete(id);
  // A sync covers everything written before.
  if (!batch.relaxed) storing.unsynced.clear();
  for (const { item } of batch.items) {
    const hash = kept(item.hash);
    storing.arriving.delete(hash);
    node.tree.add(hash);
    addCommit(node.commits, item);
    if (batch.relaxed) storing.unsynced.add(hash);
    node.counters.itemsNew++;
  }
  if (storing.unsynced.size >= unsyncedLimit) keepRecords(node, [syncRecord(node)], () => {});
  if (batch.items.length > 0) node.checkpoints.stateChanged = true;
  for (const { waiters } of batch.items) for (const waiter of waiters) waiter(true);
  for (const waiter of batch.waiters) waiter(true);
}

export function batchFailed(node: NodeState, id: BatchId, reason: string): void {
  const { storing } = node;
  const batch = storing.batches.get(id);
  if (!batch) return;
  storing.batches.delete(id);
  storing.failedAtMs = node.nowMs;
  note(node, 'warn', 'store-failed', { reason, items: batch.items.length });
  for (const { item } of batch.items) storing.arriving.delete(item.hash);
  for (const { waiters } of batch.items) for (const waiter of waiters) waiter(false);
  for (const waiter of batch.waiters) waiter(false);
}

/** Relayed items are not asked for while the store has just refused some (disk full). */
export function storeIsTroubled(node: NodeState): boolean {
  return node.nowMs - node.storing.failedAtMs < 5000;
}

/** Something to write, so that there is something to sync. */
function syncRecord(node: NodeState): StoreRecord {
  return ['synced', Buffer.from(String(node.storing.lastBatch))];
}

function gathering(node: NodeState): Batch {
  const { storing } = node;
  storing.gathering ??= { relaxed: true, items: [], records: [], waiters: [] };
  return storing.gathering;
}

/** Written at the end of this step, or a little later if the node is busy and has just written. */
function commitBatch(node: NodeState): Batch {
  const { commits } = node.storing;
  if (commits.batch) return commits.batch;
  commits.batch = { relaxed: false, items: [], records: [], waiters: [] };
  const at = commits.writtenAtMs + commitsEveryMs;
  // The end of the step in which it is due finds it dead and writes.
  if (isBusy(node) && at > node.nowMs) commits.due = node.deadlines.at(at, () => {});
  return commits.batch;
}
