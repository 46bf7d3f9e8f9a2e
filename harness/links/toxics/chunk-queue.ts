/**
 * Chunks that a stage holds, first in, first out. A chunk that has left is let go of at once, also where the queue never runs empty.
 * Knows no toxic.
 */

export interface ChunkQueue {
  /** How many are held. */
  readonly length: number;
  push(chunk: Buffer): void;
  /** The one that came first; there must be one. */
  first(): Buffer;
  /** Takes so many bytes from the first chunk, at most all of it. */
  take(bytes: number): Buffer;
  /** Everything, in order; nothing is held then. */
  takeAll(): Buffer[];
}

/** So many empty places in front are borne, so that moving the others up costs little per chunk. */
const mostEmpty = 1024;
const gone = Buffer.alloc(0);

export function chunkQueue(): ChunkQueue {
  let chunks: Buffer[] = [];
  let head = 0;

  const leave = (): void => {
    chunks[head] = gone;
    head += 1;
    if (head < mostEmpty && head < chunks.length) return;
    chunks.splice(0, head);
    head = 0;
  };

  return {
    get length() {
      return chunks.length - head;
    },
    push: (chunk) => void chunks.push(chunk),
    first: () => chunks[head]!,
    take(bytes) {
      const chunk = chunks[head]!;
      if (bytes >= chunk.length) {
        leave();
        return chunk;
      }
      chunks[head] = chunk.subarray(bytes);
      return chunk.subarray(0, bytes);
    },
    takeAll() {
      const rest = chunks.slice(head);
      chunks = [];
      head = 0;
      return rest;
    },
  };
}
