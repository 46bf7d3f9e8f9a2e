/**
 * The steady load: commits at an even rate, each to the next node of a seeded order that can take one. Knows the observers that carry
 * it; does not wait for answers before it sends the next.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Observers } from './observers.ts';
import type { Recorder } from './recorder.ts';
import { rng } from './rng.ts';

/** Runs for `durationMs` or until aborted; resolves when every commit was answered or given up. */
export async function runLoad(recorder: Recorder, observers: Observers, signal: AbortSignal): Promise<void> {
  const { plan } = recorder.history;
  const { commitsPerSecond } = plan.load;
  const order = rng(plan.seed, 'load', 'order').shuffle(plan.nodes.map(({ name }) => name));
  const count = Math.floor((commitsPerSecond * plan.durationMs) / 1000);
  const began = performance.now();
  const sends: Promise<unknown>[] = [];
  const tally = { sent: 0, accepted: 0, refused: 0 };
  let next = 0;
  for (let n = 0; n < count && !signal.aborted; n += 1) {
    const due = began + ((n + 0.5) * 1000) / commitsPerSecond;
    await delay(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {});
    for (let tries = 0; tries < order.length && !signal.aborted; tries += 1) {
      const node = order[next % order.length]!;
      next += 1;
      if (!observers.watches.has(node)) continue;
      tally.sent += 1;
      const send = observers.commit(node, 'load').then((sent) => {
        if (sent === null) tally.sent -= 1;
        else if (sent.outcome === 'accepted') tally.accepted += 1;
        else tally.refused += 1;
        recorder.emit({ kind: 'load', ...tally, at: recorder.now() });
      });
      sends.push(send);
      break;
    }
  }
  const left = began + plan.durationMs - performance.now();
  if (left > 0) await delay(left, undefined, { signal }).catch(() => {});
  await Promise.all(sends);
}
