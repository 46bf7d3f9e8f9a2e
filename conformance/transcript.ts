/**
 * What a row did and saw, line by line: every message of its puppets in both directions, and the bench's own notes (which step,
 * which node started, ended). Written as JSONL; shown in the requirements page. Knows no judgement.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface TranscriptLine {
  /** ms since the row began. */
  atMs: number;
  /** Puppet connection or `bench`, e.g. `alice>node-3#1`. */
  who: string;
  /** `out`: the tester sent it. `in`: the node sent it. */
  direction: 'out' | 'in' | 'note';
  /** The text as it was on the wire, or the note. */
  text: string;
}

/** Writes one JSONL file and returns its path relative to `outDir`. */
export function writeTranscript(outDir: string, id: string, lines: readonly TranscriptLine[]): string {
  const relative = join('transcripts', `${id}.jsonl`);
  mkdirSync(join(outDir, 'transcripts'), { recursive: true });
  const text = lines.map((line) =>
    JSON.stringify({
      at_ms: Math.round(line.atMs * 10) / 10,
      who: line.who,
      direction: line.direction,
      text: line.text,
    }),
  );
  writeFileSync(join(outDir, relative), `${text.join('\n')}\n`);
  return relative;
}

/** At most `lines` of it, the middle left out, each text cut: for pages that hold many rows. */
export function shortened(
  all: readonly TranscriptLine[],
  lines: number,
  characters: number,
): TranscriptLine[] {
  const cut = (line: TranscriptLine): TranscriptLine =>
    line.text.length <= characters
      ? line
      : { ...line, text: `${line.text.slice(0, characters)}… (${line.text.length} characters)` };
  if (all.length <= lines) return all.map(cut);
  const half = Math.floor(lines / 2);
  const gap: TranscriptLine = {
    atMs: all[half]!.atMs,
    who: '',
    direction: 'note',
    text: `… ${all.length - 2 * half} lines left out …`,
  };
  return [...all.slice(0, half).map(cut), gap, ...all.slice(all.length - half).map(cut)];
}
