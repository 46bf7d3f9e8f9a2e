/**
 * What a row did and saw, line by line: every message of its puppets in both directions, and the bench's own notes (which step,
 * which node started, ended). Kept as JSONL; shown in the requirements page. Knows no judgement.
 */

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

/** Where a row's transcript lies below the folder of the reports. */
export const transcriptFile = (id: string): string => `transcripts/${id}.jsonl`;

/** The text of one JSONL file. */
export function transcriptText(lines: readonly TranscriptLine[]): string {
  const text = lines.map((line) =>
    JSON.stringify({
      at_ms: Math.round(line.atMs * 10) / 10,
      who: line.who,
      direction: line.direction,
      text: line.text,
    }),
  );
  return `${text.join('\n')}\n`;
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
