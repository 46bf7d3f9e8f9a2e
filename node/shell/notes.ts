/**
 * What the node writes to its log: one JSON object a line (NDJSON) on stdout. Owns the form of a line and the buffering;
 * knows nothing of what is noted. Never given a secret.
 */

import { writeSync } from 'node:fs';

export type NoteLevel = 'debug' | 'info' | 'warn';
export type Note = (level: NoteLevel, event: string, detail?: Record<string, unknown>) => void;

/** Lines kept while stdout takes none; beyond it the oldest go, so that a stuck reader cannot fill our memory. */
const WAITING_LINES = 1000;

export interface Notes {
  note: Note;
  /** Writes what waits; called at the end of each turn of the event loop and before the process ends. */
  flush(): void;
}

/** Notes on a file descriptor. `{"ts":Unix seconds,"level":…,"event":…, …detail}` */
export function createNotes(fileDescriptor: number, wallMs: () => number, withDebug: boolean): Notes {
  let waiting: string[] = [];
  let scheduled = false;
  const flush = () => {
    scheduled = false;
    if (waiting.length === 0) return;
    let rest = Buffer.from(waiting.join(''));
    waiting = [];
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(fileDescriptor, rest));
    } catch (error) {
      // A pipe whose reader is slow (EAGAIN) gets the rest later; one whose reader is gone takes no more lines.
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
        waiting.unshift(rest.toString());
        scheduled = true;
        setTimeout(flush, 50).unref();
      }
    }
  };
  const note: Note = (level, event, detail) => {
    if (level === 'debug' && !withDebug) return;
    if (waiting.length >= WAITING_LINES) waiting.shift();
    waiting.push(`${lineOf(wallMs() / 1000, level, event, detail)}\n`);
    if (!scheduled) {
      scheduled = true;
      setImmediate(flush);
    }
  };
  return { note, flush };
}

function lineOf(
  ts: number,
  level: NoteLevel,
  event: string,
  detail: Record<string, unknown> | undefined,
): string {
  return JSON.stringify({ ts, level, event, ...detail }, (_key, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}
