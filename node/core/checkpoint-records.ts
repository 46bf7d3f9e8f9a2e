/**
 * What a node writes down of its checkpoints, and how it finds them again at start with the sets under their roots (§8). It owns
 * the records' form and which of them are needed; what a checkpoint is worth is `checkpoints.ts`.
 */
import { type Checkpoint, isBetter, readCheckpoint } from './checkpoint.ts';
import { areStrings } from './gossip-payload.ts';
import { isInteger, isObject, JsonError, parse } from './json.ts';
import { note } from './link.ts';
import type { NodeState } from './state.ts';
import { batchKey, type StoreRecord } from './storing.ts';
import type { BatchId, Json } from './types.ts';

/** "At least the 4 latest checkpoints of a node stay servable with their roots" (§8). */
const heldLimit = 6;

/** Room for one more: records to delete of checkpoints, and of batches, that no held one needs. */
export function dropOldest(node: NodeState): StoreRecord[] {
  const { held, adopting } = node.checkpoints;
  const records: StoreRecord[] = [];
  while (held.size >= heldLimit) {
    const oldest = held.keys().next().value!;
    held.delete(oldest);
    records.push([recordKey(oldest), null]);
  }
  const needed = Math.min(...Array.from([...held.values(), ...adopting], ({ throughBatch }) => throughBatch));
  const { recorded } = node.storing;
  let unneeded = 0;
  while (unneeded < recorded.length && recorded[unneeded]! <= needed) unneeded++;
  for (const batch of recorded.splice(0, unneeded)) records.push([batchKey(batch), null]);
  return records;
}

export const recordKey = (hash: string): string => `checkpoint:${hash}`;

interface StoredCheckpoint {
  checkpoint: Checkpoint;
  /** Of the items of earlier batches those that are not under its root. */
  absent: string[];
  through: BatchId;
}

/** Null for bytes that are no record of `adopt`: a disk may give back anything. */
function readStored(value: Uint8Array): StoredCheckpoint | null {
  const record = parsed(value);
  const checkpoint = isObject(record) ? readCheckpoint(record.checkpoint) : null;
  if (!isObject(record) || !checkpoint || !areStrings(record.absent) || !isInteger(record.through))
    return null;
  return { checkpoint, absent: record.absent, through: Number(record.through) };
}

function parsed(value: Uint8Array): Json | null {
  try {
    return parse(Buffer.from(value).toString('latin1'), 64);
  } catch (error) {
    if (error instanceof JsonError) return null;
    throw error;
  }
}

/**
 * At start, with all items restored: finds the sets under the checkpoints again. A record that no longer fits what is
 * there is dropped with a note; the items stay.
 */
export function restoreCheckpoints(node: NodeState, records: Iterable<readonly [string, Uint8Array]>): void {
  const { storing } = node;
  const batches = new Map<BatchId, string>();
  const found: StoredCheckpoint[] = [];
  for (const [key, value] of records) {
    if (key.startsWith('batch:')) batches.set(Number(key.slice(6)), Buffer.from(value).toString('hex'));
    if (!key.startsWith('checkpoint:')) continue;
    const stored = readStored(value);
    if (stored) found.push(stored);
    else note(node, 'warn', 'checkpoint-unreadable', { key });
  }
  // A batch per write for as long as the oldest checkpoint is held: more than a call takes arguments.
  for (const batch of [...batches.keys()].sort((a, b) => a - b)) storing.recorded.push(batch);
  storing.lastBatch = storing.recorded.at(-1) ?? 0;
  for (const { through } of found) storing.lastBatch = Math.max(storing.lastBatch, through);
  const all = node.tree.snapshot();
  found.sort((a, b) => (isBetter(a.checkpoint, b.checkpoint) ? 1 : -1));
  for (const { checkpoint, absent, through } of found) {
    const set = all.fork();
    for (const hash of absent) set.remove(hash);
    for (const [batch, hashes] of batches) {
      if (batch <= through) continue;
      for (let at = 0; at < hashes.length; at += 64) set.remove(hashes.slice(at, at + 64));
    }
    if (set.root() !== checkpoint.stateRoot) {
      note(node, 'warn', 'checkpoint-without-its-items', {
        hash: checkpoint.hash,
        height: checkpoint.height,
      });
      continue;
    }
    node.checkpoints.held.set(checkpoint.hash, { checkpoint, view: set.snapshot(), throughBatch: through });
  }
  node.checkpoints.own = [...node.checkpoints.held.values()].at(-1) ?? null;
  storing.recording = node.checkpoints.held.size > 0;
}
