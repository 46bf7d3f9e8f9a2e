/**
 * Lets `rate` × 1000 bytes per second through, on each connection apart, in pieces of at most 100 ms. Rate 0 (or less)
 * holds everything, the end of the stream too: a cut that heals with its backlog.
 */

import type { Due } from '../due.ts';
import { chunkQueue } from './chunk-queue.ts';
import { type Attributes, attribute, type Stage, type StageSite, type ToxicKind } from './toxic.ts';

const pieceMs = 100;

export const bandwidth: ToxicKind = {
  type: 'bandwidth',
  attributes: ['rate'],
  start(site: StageSite, attributes: Attributes): Stage {
    const held = chunkQueue();
    let holdsEnd = false;
    /** Bytes per millisecond, which is what a rate in kB/s is. */
    let rate = attribute(attributes, 'rate');
    /** When the line has sent what went before. */
    let freeAt = 0;

    const pieceBytes = (): number => Math.min(held.first().length, rate * pieceMs);

    const next = (): void => {
      if (rate <= 0) {
        site.cancel(due);
        return;
      }
      if (held.length > 0) {
        site.wake(due, freeAt + pieceBytes() / rate);
        return;
      }
      if (holdsEnd) site.next.end();
      holdsEnd = false;
    };

    const passPiece = (): void => {
      const bytes = pieceBytes();
      freeAt += bytes / rate;
      site.next.push(held.take(bytes));
    };

    const due: Due = {
      at: 0,
      slot: -1,
      run(nowMs) {
        while (held.length > 0 && freeAt + pieceBytes() / rate <= nowMs) passPiece();
        next();
      },
    };

    return {
      push(chunk) {
        held.push(chunk);
        if (held.length > 1) return;
        freeAt = Math.max(freeAt, site.now());
        next();
      },
      end() {
        if (held.length === 0 && rate > 0) site.next.end();
        else holdsEnd = true;
      },
      queued: () => held.length,
      update(changed) {
        rate = attribute(changed, 'rate');
        freeAt = site.now();
        next();
      },
      drain() {
        site.cancel(due);
        for (const chunk of held.takeAll()) site.next.push(chunk);
        if (holdsEnd) site.next.end();
      },
      stop() {
        site.cancel(due);
      },
    };
  },
};
