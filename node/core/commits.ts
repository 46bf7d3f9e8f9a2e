/**
 * The index of commits: what queries, statistics and `accepted_rules` are computed from (§6, §8). Challenges and confirms
 * change no result and do not come here. Columns instead of an object per commit, texts held once, long texts left on disk:
 * a node holds every commit of the network.
 */

import type { Item } from './item.ts';
import { kept, numberOf } from './json.ts';
import type { Json } from './types.ts';

/** A row's number; rows are numbered in order of arrival. */
export type Row = number;

/** The commits of one rule. `rows` ascend by item hash after `inHashOrder`. */
export interface Group {
  readonly ruleHash: string;
  /** In order of arrival. */
  readonly number: number;
  rows: Row[];
  sorted: boolean;
}

/** Texts of more UTF-16 units than this are read back from the store when they are needed. */
const longText = 1024;
/** In the place of the number of a text that is not held. */
const onDisk = -1;

/** A growing list of distinct strings and their numbers. */
interface Texts {
  readonly numbers: Map<string, number>;
  readonly list: string[];
}

export interface CommitIndex {
  size: number;
  /** 8 words per row, big-endian: the item hash. */
  hashes: Uint32Array;
  confidence: Float64Array;
  /** Unix seconds; exact, for no certificate proves an author at an instant beyond 2^53. */
  timestamp: Float64Array;
  /** The number of its group. */
  rule: Int32Array;
  agent: Int32Array;
  /** Number in `contexts`, or `onDisk`. */
  context: Int32Array;
  /** Number in `logics`, or `onDisk`. */
  logic: Int32Array;
  readonly agents: Texts;
  readonly contexts: Texts;
  readonly logics: Texts;
  readonly groups: Map<string, Group>;
  /** All rows, ascending by item hash up to `inOrder`. */
  order: Row[];
  inOrder: number;
  /** Texts of an item by its 64 digits, for what is not held. */
  readonly readTexts: (hash: string) => CommitTexts | null;
}

export interface CommitTexts {
  readonly contextSignature: string;
  readonly logicSignature: string;
}

const texts = (): Texts => ({ numbers: new Map(), list: [] });

/** A long text that the store could not give back. */
export class UnreadableText extends Error {
  override readonly name = 'UnreadableText';
}

/** An empty index. `readTexts` is asked for the long texts of durable items, synchronously; null: not to be had now. */
export function createCommitIndex(readTexts: CommitIndex['readTexts']): CommitIndex {
  return {
    size: 0,
    hashes: new Uint32Array(0),
    confidence: new Float64Array(0),
    timestamp: new Float64Array(0),
    rule: new Int32Array(0),
    agent: new Int32Array(0),
    context: new Int32Array(0),
    logic: new Int32Array(0),
    agents: texts(),
    contexts: texts(),
    logics: texts(),
    groups: new Map(),
    order: [],
    inOrder: 0,
    readTexts,
  };
}

/** Adds a valid commit that is not in the index yet; items of other types are ignored. */
export function addCommit(index: CommitIndex, item: Item): void {
  if (item.type !== 'commit') return;
  const { payload } = item;
  const row = index.size;
  if (row === index.confidence.length) grow(index, Math.max(64, Math.ceil(row * 1.5)));
  for (let word = 0; word < 8; word++) {
    index.hashes[row * 8 + word] = Number.parseInt(item.hash.slice(word * 8, word * 8 + 8), 16);
  }
  index.confidence[row] = numberOf(payload.confidence as number);
  index.timestamp[row] = item.timestamp;
  index.agent[row] = numberIn(index.agents, item.agentId);
  index.context[row] = shortNumberIn(index.contexts, payload.context_signature as string);
  index.logic[row] = shortNumberIn(index.logics, payload.logic_signature as string);
  const ruleHash = payload.rule_hash as string;
  let group = index.groups.get(ruleHash);
  if (!group) {
    group = { ruleHash: kept(ruleHash), number: index.groups.size, rows: [], sorted: true };
    index.groups.set(group.ruleHash, group);
  }
  index.rule[row] = group.number;
  const last = group.rows.at(-1);
  group.sorted &&= last === undefined || compareRows(index, last, row) < 0;
  group.rows.push(row);
  index.order.push(row);
  index.size++;
}

/** The rows of a group, ascending by item hash. */
export function rowsOf(index: CommitIndex, group: Group): readonly Row[] {
  if (!group.sorted) {
    group.rows.sort((a, b) => compareRows(index, a, b));
    group.sorted = true;
  }
  return group.rows;
}

/** All rows, ascending by item hash. */
export function allRows(index: CommitIndex): readonly Row[] {
  if (index.inOrder < index.order.length) {
    // Mostly sorted already: the sort merges the new tail in, it does not start over.
    index.order.sort((a, b) => compareRows(index, a, b));
    index.inOrder = index.order.length;
  }
  return index.order;
}

function compareRows(index: CommitIndex, a: Row, b: Row): number {
  const { hashes } = index;
  for (let word = 0; word < 8; word++) {
    const difference = hashes[a * 8 + word]! - hashes[b * 8 + word]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The 64 digits of a row's item hash. */
function hashOfRow(index: CommitIndex, row: Row): string {
  let text = '';
  for (let word = 0; word < 8; word++) text += index.hashes[row * 8 + word]!.toString(16).padStart(8, '0');
  return text;
}

/** Throws `UnreadableText`. */
export function contextOfRow(index: CommitIndex, row: Row): string {
  const number = index.context[row]!;
  return number === onDisk ? readBack(index, row).contextSignature : index.contexts.list[number]!;
}

/** Throws `UnreadableText`. */
export function logicOfRow(index: CommitIndex, row: Row): string {
  const number = index.logic[row]!;
  return number === onDisk ? readBack(index, row).logicSignature : index.logics.list[number]!;
}

function readBack(index: CommitIndex, row: Row): CommitTexts {
  const hash = hashOfRow(index, row);
  const found = index.readTexts(hash);
  if (!found) throw new UnreadableText(`item ${hash} cannot be read now`);
  return found;
}

export function agentOfRow(index: CommitIndex, row: Row): string {
  return index.agents.list[index.agent[row]!]!;
}

/** The texts of a durable commit, read back: for `createCommitIndex`. */
export function textsOf(item: Json): CommitTexts {
  const { payload } = item as { payload: { context_signature: string; logic_signature: string } };
  return { contextSignature: payload.context_signature, logicSignature: payload.logic_signature };
}

function numberIn(known: Texts, text: string): number {
  const number = known.numbers.get(text);
  if (number !== undefined) return number;
  const own = kept(text);
  known.numbers.set(own, known.list.length);
  return known.list.push(own) - 1;
}

function shortNumberIn(known: Texts, text: string): number {
  return text.length > longText ? onDisk : numberIn(known, text);
}

function grow(index: CommitIndex, rows: number): void {
  const enlarged = <T extends Uint32Array | Float64Array | Int32Array>(next: T, old: T): T => {
    next.set(old);
    return next;
  };
  index.hashes = enlarged(new Uint32Array(rows * 8), index.hashes);
  index.confidence = enlarged(new Float64Array(rows), index.confidence);
  index.timestamp = enlarged(new Float64Array(rows), index.timestamp);
  index.rule = enlarged(new Int32Array(rows), index.rule);
  index.agent = enlarged(new Int32Array(rows), index.agent);
  index.context = enlarged(new Int32Array(rows), index.context);
  index.logic = enlarged(new Int32Array(rows), index.logic);
}
