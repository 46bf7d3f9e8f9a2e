/**
 * Lets `rate` × 1000 bytes per second through, on each connection apart, in pieces of at most 100 ms. Rate 0 (or less)
 * holds everything, the end of the stream too: a cut that heals with its backlog.
 */

import type { Due } from '../due.ts';
import { type Attributes, attribute, type Stage, type StageSite, type ToxicKind } from './toxic.ts';

const pieceMs = 100;

export const bandwidth: ToxicKind = {
  type: 'bandwidth',
  attributes: ['rate'],
  start(site: StageSite, attributes: Attributes): Stage {
    let chunks: Buffer[] = [];
    let head = 0;
    let holdsEnd = false;
    /** Bytes per millisecond, which is what a rate in kB/s is. */
    let rate = attribute(attributes, 'rate');
    /** When the line has sent what went before. */
    let freeAt = 0;

    const pieceBytes = (): number => Math.min(chunks[head]!.length, rate * pieceMs);

    const next = (): void => {
      if (rate <= 0) {
        site.cancel(due);
        return;
      }
      if (head < chunks.length) {
        site.wake(due, freeAt + pieceBytes() / rate);
        return;
      }
      chunks = [];
      head = 0;
      if (holdsEnd) site.next.end();
      holdsEnd = false;
    };

    const passPiece = (): void => {
      const bytes = pieceBytes();
      freeAt += bytes / rate;
      const chunk = chunks[head]!;
      if (bytes === chunk.length) {
        head += 1;
        site.next.push(chunk);
      } else {
        chunks[head] = chunk.subarray(bytes);
        site.next.push(chunk.subarray(0, bytes));
      }
    };

    const due: Due = {
      at: 0,
      slot: -1,
      run(nowMs) {
        while (head < chunks.length && freeAt + pieceBytes() / rate <= nowMs) passPiece();
        next();
      },
    };

    return {
      push(chunk) {
        chunks.push(chunk);
        if (chunks.length > head + 1) return;
        freeAt = Math.max(freeAt, site.now());
        next();
      },
      end() {
        if (head === chunks.length && rate > 0) site.next.end();
        else holdsEnd = true;
      },
      queued: () => chunks.length - head,
      update(changed) {
        rate = attribute(changed, 'rate');
        freeAt = site.now();
        next();
      },
      drain() {
        site.cancel(due);
        const rest = chunks.slice(head);
        chunks = [];
        head = 0;
        for (const chunk of rest) site.next.push(chunk);
        if (holdsEnd) site.next.end();
      },
      stop() {
        site.cancel(due);
      },
    };
  },
};
