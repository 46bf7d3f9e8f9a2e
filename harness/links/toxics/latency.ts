/**
 * Delays data by `latency` ± `jitter` ms, uniform, counted from when the chunk came in, so that a pipeline is not slowed
 * down. Order is kept; the end follows the last byte without a delay of its own (as Toxiproxy).
 */

import type { Due } from '../due.ts';
import { type Attributes, attribute, type Stage, type StageSite, type ToxicKind } from './toxic.ts';

interface Waiting {
  /** Empty once it has left: its place may stand for a while. */
  chunk: Buffer;
  cameAt: number;
  /** The chunk's own number in [−1, 1), kept so that an update does not draw again. */
  spread: number;
  dueAt: number;
}

const gone = Buffer.alloc(0);

export const latency: ToxicKind = {
  type: 'latency',
  attributes: ['latency', 'jitter'],
  holdBytes: 8 * 1024 * 1024,
  start(site: StageSite, attributes: Attributes): Stage {
    const waiting: Waiting[] = [];
    let head = 0;
    let holdsEnd = false;
    let latencyMs = attribute(attributes, 'latency');
    let jitterMs = attribute(attributes, 'jitter');
    let lastDueAt = 0;

    const dueAt = (cameAt: number, spread: number): number => {
      lastDueAt = Math.max(lastDueAt, cameAt + Math.max(0, latencyMs + spread * jitterMs));
      return lastDueAt;
    };

    const release = (untilMs: number): void => {
      while (head < waiting.length && waiting[head]!.dueAt <= untilMs) {
        const entry = waiting[head]!;
        const { chunk } = entry;
        entry.chunk = gone;
        head += 1;
        site.next.push(chunk);
      }
    };

    const settle = (): void => {
      if (head < waiting.length) {
        if (head > 1024) {
          waiting.splice(0, head);
          head = 0;
        }
        site.wake(due, waiting[head]!.dueAt);
        return;
      }
      waiting.length = 0;
      head = 0;
      if (holdsEnd) site.next.end();
      holdsEnd = false;
    };

    const due: Due = {
      at: 0,
      slot: -1,
      run(nowMs) {
        const several = head + 1 < waiting.length && waiting[head + 1]!.dueAt <= nowMs;
        if (several) site.gather(() => release(nowMs));
        else release(nowMs);
        settle();
      },
    };

    return {
      push(chunk) {
        const cameAt = site.now();
        const spread = jitterMs === 0 ? 0 : site.draw() * 2 - 1;
        const entry = { chunk, cameAt, spread, dueAt: dueAt(cameAt, spread) };
        if (entry.dueAt <= cameAt && waiting.length === 0) {
          site.next.push(chunk);
          return;
        }
        waiting.push(entry);
        if (waiting.length === head + 1) site.wake(due, entry.dueAt);
      },
      end() {
        if (head === waiting.length) site.next.end();
        else holdsEnd = true;
      },
      queued: () => waiting.length - head,
      update(changed) {
        latencyMs = attribute(changed, 'latency');
        jitterMs = attribute(changed, 'jitter');
        lastDueAt = 0;
        for (let i = head; i < waiting.length; i += 1) {
          const entry = waiting[i]!;
          entry.dueAt = dueAt(entry.cameAt, entry.spread);
        }
        if (head < waiting.length) site.wake(due, waiting[head]!.dueAt);
      },
      drain() {
        site.cancel(due);
        site.gather(() => release(Number.POSITIVE_INFINITY));
        settle();
      },
      stop() {
        site.cancel(due);
      },
    };
  },
};
