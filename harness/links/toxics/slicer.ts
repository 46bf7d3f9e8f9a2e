/**
 * Cuts data into pieces of `average_size` ± `size_variation` bytes and waits `delay` µs after each. Pieces are cut when they
 * leave, so that a hostile size of one byte holds no more memory than the chunk itself.
 */

import type { Due } from '../due.ts';
import { chunkQueue } from './chunk-queue.ts';
import { type Attributes, attribute, type Stage, type StageSite, type ToxicKind } from './toxic.ts';

/** How soon a full receiver is tried again, ms. */
const retryMs = 2;
/** The most pieces that leave in one turn of the event loop; other links and the API have to live too. */
const piecesPerTurn = 256;

export const slicer: ToxicKind = {
  type: 'slicer',
  attributes: ['average_size', 'size_variation', 'delay'],
  start(site: StageSite, attributes: Attributes): Stage {
    const held = chunkQueue();
    let holdsEnd = false;
    let current = attributes;
    /** When the wait after the last piece is over. */
    let freeAt = 0;

    const pieceBytes = (): number => {
      const variation = Math.max(0, attribute(current, 'size_variation'));
      const spread = variation === 0 ? 0 : Math.round((site.draw() * 2 - 1) * variation);
      return Math.max(1, attribute(current, 'average_size') + spread);
    };

    const passPiece = (): void => {
      freeAt += Math.max(0, attribute(current, 'delay')) / 1000;
      site.next.push(held.take(pieceBytes()));
    };

    const pass = (nowMs: number): void => {
      for (let n = 0; n < piecesPerTurn && held.length > 0 && freeAt <= nowMs && !site.blocked(); n += 1) {
        passPiece();
      }
      if (held.length > 0) {
        const busy = freeAt <= nowMs;
        site.wake(due, busy ? nowMs + (site.blocked() ? retryMs : 0.01) : freeAt);
        return;
      }
      if (holdsEnd) site.next.end();
      holdsEnd = false;
    };

    const due: Due = { at: 0, slot: -1, run: pass };

    return {
      push(chunk) {
        held.push(chunk);
        if (held.length > 1) return;
        const nowMs = site.now();
        freeAt = Math.max(freeAt, nowMs);
        pass(nowMs);
      },
      end() {
        if (held.length === 0) site.next.end();
        else holdsEnd = true;
      },
      queued: () => held.length,
      update(changed) {
        current = changed;
      },
      drain() {
        site.cancel(due);
        for (const chunk of held.takeAll()) site.next.push(chunk);
        if (holdsEnd) site.next.end();
      },
      stop: () => site.cancel(due),
    };
  },
};
