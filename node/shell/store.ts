/**
 * What survives a kill −9: items by hash and the core's records, in LevelDB, every write synced before it is reported.
 * Owns group commit, the repair of what a crash or a bad disk left, and the way back after a full disk. Knows bytes and
 * keys; what they mean is the core's.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ClassicLevel } from 'classic-level';
import type { Restored, StoredItem } from '../core/types.ts';
import { ConfigurationError, reasonOf } from './configuration.ts';
import type { Note } from './notes.ts';

type Level = ClassicLevel<string, Uint8Array>;
type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string };
type Outcome = (reason: string | null) => void;
type Waiting = { operations: Operation[]; relaxed: boolean; done: Outcome };

/** The core's `persist` effect without its number. */
export interface Batch {
  items: readonly StoredItem[];
  records: readonly (readonly [key: string, value: Uint8Array | null])[];
  /** Nobody was or will be told that it is durable: it is written, but a sync is left to whatever comes after it. */
  relaxed: boolean;
}

export interface Store {
  /** What is there now. Values are read one by one while the result is iterated. */
  restore(): Promise<Restored>;
  /** Synchronous. null: not held, or not to be had now. `hash`: 64 hex digits. */
  readItem(hash: string): Uint8Array | null;
  /**
   * Durable when `done(null)` is called; `done(reason)`: nothing of it was taken. What arrives while a synced write is
   * under way goes into the next one together.
   */
  persist(batch: Batch, done: Outcome): void;
  /** Waits for the write under way. */
  close(): Promise<void>;
}

/** Small, as memory is counted per node: a memtable, a block cache, open tables. */
const LEVEL_OPTIONS = { cacheSize: 524_288, writeBufferSize: 1_048_576, maxOpenFiles: 64 } as const;
/** A write of one group; what exceeds it waits for the next. */
const GROUP_OPERATIONS = 2000;
/** Free space that a store which ran into a full disk wants to see before it tries again. */
const SPACE_TO_REOPEN = 4 * LEVEL_OPTIONS.writeBufferSize;

const ITEM = 'i:';
const RECORD = 'r:';

/** Opens or makes the store in `dataDir`; what cannot be opened nor repaired is a ConfigurationError. */
export async function openStore(dataDir: string, source: string, note: Note): Promise<Store> {
  try {
    makeFolder(dataDir);
  } catch (error) {
    throw new ConfigurationError(`${source}: data_dir: ${reasonOf(error)}`);
  }
  const location = join(dataDir, 'store');
  const level = await openRepairing(location, source, note);
  reportDropped(location, note);
  return createStore(level, location, note);
}

/** Node's own `recursive` never returns where a parent is there but refuses every child with ENOENT, such as /proc. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error;
    makeFolder(dirname(folder));
    mkdirSync(folder);
  }
}

async function openRepairing(location: string, source: string, note: Note): Promise<Level> {
  const { ClassicLevel } = await import('classic-level');
  const open = async () => {
    const options = { ...LEVEL_OPTIONS, keyEncoding: 'utf8', valueEncoding: 'view' } as const;
    const level: Level = new ClassicLevel(location, options);
    await level.open();
    return level;
  };
  const damage = lostCurrent(location) ? 'CURRENT is missing' : null;
  const opened = damage ?? (await open().catch((error) => damageOf(error, location, source)));
  if (typeof opened !== 'string') return opened;
  note('warn', 'store-corrupt', { location, reason: opened, action: 'repairing' });
  try {
    await ClassicLevel.repair(location);
    const level = await open();
    note('warn', 'store-repaired', { location });
    return level;
  } catch (error) {
    const { message } = causeOf(error);
    throw new ConfigurationError(`${source}: data_dir: ${location} is corrupt beyond repair: ${message}`);
  }
}

/** What a repair may mend, in LevelDB's words; throws what it cannot. */
function damageOf(error: unknown, location: string, source: string): string {
  const { code, message } = causeOf(error);
  if (code === 'LEVEL_LOCKED') {
    throw new ConfigurationError(`${source}: data_dir: ${location} is in use by another node`);
  }
  if (code === 'LEVEL_CORRUPTION' || /corrupt|missing files|no such file|invalid argument/i.test(message)) {
    return message;
  }
  throw new ConfigurationError(`${source}: data_dir: ${location} cannot be opened: ${message}`);
}

/** LevelDB would take a store without its CURRENT file for a new one and delete the tables of the old. */
function lostCurrent(location: string): boolean {
  if (!existsSync(location)) return false;
  const names = readdirSync(location);
  return !names.includes('CURRENT') && names.some((name) => /\.(ldb|sst|log)$/.test(name));
}

/** LevelDB drops a torn or damaged record of its log when it opens, and says so only in its own LOG file. */
function reportDropped(location: string, note: Note): void {
  let log: string;
  try {
    log = readFileSync(join(location, 'LOG'), 'utf8');
  } catch {
    return;
  }
  for (const [, bytes, reason] of log.matchAll(/dropping (\d+) bytes; (.*)/g)) {
    note('warn', 'store-tail-dropped', { location, bytes: Number(bytes), reason });
  }
}

function createStore(level: Level, location: string, note: Note): Store {
  let waiting: Waiting[] = [];
  let writing: Promise<void> | null = null;
  /** Set after a failed write: LevelDB takes none until it was opened anew. */
  let broken: string | null = null;

  const writeGroup = async () => {
    while (waiting.length > 0) {
      const group = takeGroup(waiting);
      waiting = waiting.slice(group.length);
      let failure: string | null = null;
      try {
        if (broken !== null) await reopen();
        await level.batch(
          group.flatMap(({ operations }) => operations),
          { sync: !group.every(({ relaxed }) => relaxed) },
        );
      } catch (error) {
        failure = causeOf(error).message;
        if (broken === null) note('warn', 'store-failed', { reason: failure });
        broken = failure;
      }
      for (const { done } of group) done(failure);
    }
    writing = null;
  };

  const reopen = async () => {
    const { bavail, bsize } = statfsSync(location);
    if (bavail * bsize < SPACE_TO_REOPEN) throw new Error(broken!);
    await level.close();
    await level.open();
    broken = null;
    note('info', 'store-recovered', { location });
  };

  return {
    restore: () => restore(level),
    readItem(hash) {
      // Closed for a moment while it comes back from a full disk.
      if (level.status !== 'open') return null;
      try {
        return level.getSync(ITEM + hash) ?? null;
      } catch (error) {
        note('warn', 'item-unreadable', { hash, reason: causeOf(error).message });
        return null;
      }
    },
    persist({ items, records, relaxed }, done) {
      const operations: Operation[] = [];
      for (const { hash, bytes } of items) operations.push({ type: 'put', key: ITEM + hash, value: bytes });
      for (const [name, value] of records) {
        operations.push(
          value === null ? { type: 'del', key: RECORD + name } : { type: 'put', key: RECORD + name, value },
        );
      }
      waiting.push({ operations, relaxed, done });
      writing ??= Promise.resolve().then(writeGroup);
    },
    async close() {
      while (writing) await writing;
      await level.close();
    },
  };
}

function takeGroup(waiting: readonly Waiting[]): Waiting[] {
  let count = 0;
  let operations = 0;
  while (count < waiting.length && (count === 0 || operations < GROUP_OPERATIONS)) {
    operations += waiting[count++]!.operations.length;
  }
  return waiting.slice(0, count);
}

async function restore(level: Level): Promise<Restored> {
  // Iterators are asynchronous and the core is not: the keys first, then each value when its turn comes.
  const itemKeys = await keysOf(level, ITEM);
  const records: [string, Uint8Array][] = [];
  for (const key of await keysOf(level, RECORD)) {
    const value = level.getSync(key);
    if (value) records.push([key.slice(RECORD.length), value]);
  }
  return { items: itemsOf(level, itemKeys), records };
}

function* itemsOf(level: Level, keys: readonly string[]): Iterable<StoredItem> {
  for (const key of keys) {
    const bytes = level.getSync(key, { fillCache: false });
    if (bytes) yield { hash: key.slice(ITEM.length), bytes };
  }
}

function keysOf(level: Level, prefix: string): Promise<string[]> {
  return level.keys({ gte: prefix, lt: `${prefix}\uffff`, fillCache: false }).all();
}

function causeOf(error: unknown): { code: string | undefined; message: string } {
  const { cause } = error as { cause?: unknown };
  const inner = (cause instanceof Error ? cause : error) as NodeJS.ErrnoException;
  return { code: inner.code, message: reasonOf(inner) };
}
