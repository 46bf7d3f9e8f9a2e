/**
 * The sentence index of the design document: every sentence, list item, table row and line of pseudo-code is either tested by
 * rows or listed as not testable with the reason (sentences.json). Each entry is found by the hash of its text, so a sentence
 * that changes leaves its entry behind: the entry's rows become UNREVIEWED and the gate fails.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readDocument } from './catalogue.ts';
import { flattened, unquoted } from './register.ts';
import type { Requirement } from './requirement.ts';

export interface Sentence {
  section: string;
  text: string;
  /** 12 hex digits of SHA-256 over section and text; a text that is there n times gets `#n`. */
  hash: string;
}

/** One reviewed sentence. Exactly one of `rows` (not empty) and `notTestable`. */
export interface IndexEntry {
  section: string;
  hash: string;
  text: string;
  rows?: readonly string[];
  notTestable?: string;
}

/** What the gate says of documents, index and rows together; nothing in it means that all is reviewed. */
export interface Review {
  /** Sentences of the document that the index does not know: new or changed. */
  unindexed: readonly Sentence[];
  /** Entries whose sentence is gone or changed. */
  stale: readonly IndexEntry[];
  /** Rows to be read again: of stale entries, or whose own quote stands in no document any more. */
  unreviewed: readonly string[];
  /** Entries that name a row which does not exist, or both or neither of rows and reason. */
  malformed: readonly string[];
}

export function readIndex(): IndexEntry[] {
  return JSON.parse(readFileSync(new URL('./sentences.json', import.meta.url), 'utf8')) as IndexEntry[];
}

export function review(
  rows: readonly Requirement[],
  known: ReadonlySet<string>,
  sentences: readonly Sentence[] = sentencesOf(readDocument('seed/p2p_network_layer.md')),
  index: readonly IndexEntry[] = readIndex(),
): Review {
  const indexed = new Set(index.map((entry) => entry.hash));
  const present = new Set(sentences.map((sentence) => sentence.hash));
  const stale = index.filter((entry) => !present.has(entry.hash));
  const malformed = index.flatMap((entry) => {
    const tested = (entry.rows ?? []).length > 0;
    const strangers = (entry.rows ?? []).filter((id) => !known.has(id));
    if (strangers.length > 0) return [`§ ${entry.section} "${entry.text}" names ${strangers.join(', ')}`];
    if (tested === ((entry.notTestable ?? '') !== ''))
      return [`§ ${entry.section} "${entry.text}" needs rows or a reason, and not both`];
    return [];
  });
  const unreviewed = new Set([...stale.flatMap((entry) => entry.rows ?? []), ...unquoted(rows)]);
  return {
    unindexed: sentences.filter((sentence) => !indexed.has(sentence.hash)),
    stale,
    unreviewed: [...unreviewed].sort(),
    malformed,
  };
}

/** Cuts the document into sentences. Headings, fences, table heads and lines of brackets alone say nothing testable. */
export function sentencesOf(markdown: string): Sentence[] {
  const found: { section: string; text: string }[] = [];
  let section = '';
  let fence: string | null = null;
  let drawing: string[] = [];
  const lines = markdown.split('\n');
  lines.forEach((line, index) => {
    if (line.startsWith('```')) {
      if (fence === '' && drawing.length > 0) found.push({ section, text: flattened(drawing.join(' ')) });
      drawing = [];
      fence = fence === null ? line.slice(3).trim() : null;
      return;
    }
    if (fence !== null) {
      if (fence === '') drawing.push(line.replace(/[^\p{L}\p{N}→()\-, ]/gu, ' '));
      else if (/[\p{L}\p{N}]/u.test(line)) found.push({ section, text: flattened(line) });
      return;
    }
    const heading = line.match(/^#+ (\d+(?:\.\d+)?)?/);
    if (heading) {
      section = heading[1] ?? section;
      return;
    }
    if (/^\|[\s\-|]+\|$/.test(line) || /^\|[\s\-|]+\|$/.test(lines[index + 1] ?? '')) return;
    if (line.trim() === '' || /^-+$/.test(line.trim())) return;
    for (const text of splitProse(flattened(line))) found.push({ section, text });
  });
  return hashed(found);
}

function splitProse(line: string): string[] {
  if (line.startsWith('|') || line.startsWith('- ')) return [line];
  return line.split(/(?<=[.!?])\s+(?=[\p{Lu}*])/u);
}

function hashed(found: readonly { section: string; text: string }[]): Sentence[] {
  const times = new Map<string, number>();
  return found.map(({ section, text }) => {
    const hash = createHash('sha256').update(`${section}\n${text}`).digest('hex').slice(0, 12);
    const time = (times.get(hash) ?? 0) + 1;
    times.set(hash, time);
    return { section, text, hash: time === 1 ? hash : `${hash}#${time}` };
  });
}
