/** What passed over one connection, in both directions, ready to be written as JSONL. Keeps no more than its bound. */

export interface TranscriptEntry {
  /** performance.now. */
  at: number;
  direction: 'in' | 'out';
  /** `raw`: bytes below the frames; `frame`: a data frame that was sent by hand. */
  kind: 'text' | 'binary' | 'close' | 'ping' | 'pong' | 'frame' | 'raw' | 'end';
  /** The message as on the wire; of very long or late ones only the beginning. */
  text: string;
  /** Bytes of the whole. */
  size: number;
  /** Received texts: did the signature verify under our own codec? */
  verified?: boolean;
}

export interface Transcript {
  readonly entries: readonly TranscriptEntry[];
  add(entry: TranscriptEntry): void;
  /** One JSON object per line. */
  jsonl(): string;
}

/** Texts are kept whole until `boundBytes` of them are held, then cut to 200 characters; entries are kept up to 20 000. */
export function createTranscript(
  boundBytes = 2_097_152,
  onEntry?: (entry: TranscriptEntry) => void,
): Transcript {
  const entries: TranscriptEntry[] = [];
  let held = 0;
  return {
    entries,
    add(entry) {
      onEntry?.(entry);
      if (entries.length >= 20_000) return;
      const text = held > boundBytes ? entry.text.slice(0, 200) : entry.text;
      held += text.length;
      entries.push(text === entry.text ? entry : { ...entry, text });
    },
    jsonl: () => entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''),
  };
}
