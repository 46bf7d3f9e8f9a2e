/**
 * How results get onto a disk: each file whole or not at all, and one line where the disk does not take them. Knows names and texts,
 * not what they mean.
 */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { complaintOf } from '../run-record.ts';
import { TroubleError } from '../trouble-error.ts';

/** Writes under another name and renames, so that nobody ever reads half of it. Throws what the file system says. */
export function writeWhole(file: string, text: string): void {
  const unfinished = `${file}.${process.pid}.unfinished`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/**
 * Writes them all below `folder`, in their order: names (with `/`) → texts, or what makes one. What does not fit is left out, the
 * others are written all the same; TroubleError in one line then names what is missing. A text that cannot be made is our bug, and is
 * thrown when the others are written.
 */
export function writeResults(folder: string, texts: ReadonlyMap<string, string | (() => string)>): void {
  const missing: string[] = [];
  const bugs: unknown[] = [];
  let why = '';
  for (const [name, given] of texts) {
    const file = join(folder, name);
    let text = '';
    try {
      text = typeof given === 'string' ? given : given();
    } catch (error) {
      bugs.push(error);
      continue;
    }
    try {
      mkdirSync(dirname(file), { recursive: true });
      writeWhole(file, text);
    } catch (error) {
      missing.push(name);
      why ||= complaintOf(error);
    }
  }
  if (bugs.length > 0) throw bugs[0];
  if (missing.length === 0) return;
  const names =
    missing.length <= 8
      ? missing.join(', ')
      : `${missing.slice(0, 8).join(', ')} and ${missing.length - 8} more`;
  throw new TroubleError(`${folder}: ${why}; not written: ${names}`);
}
