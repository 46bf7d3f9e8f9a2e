/** Delays the end of its stream by `delay` ms; data passes. */

import type { Due } from '../due.ts';
import { type Attributes, attribute, type Stage, type StageSite, type ToxicKind } from './toxic.ts';

export const slowClose: ToxicKind = {
  type: 'slow_close',
  attributes: ['delay'],
  start(site: StageSite, attributes: Attributes): Stage {
    let delayMs = attribute(attributes, 'delay');
    let endedAt: number | null = null;
    const due: Due = { at: 0, slot: -1, run: () => site.next.end() };
    return {
      push: (chunk) => site.next.push(chunk),
      end() {
        endedAt = site.now();
        site.wake(due, endedAt + delayMs);
      },
      queued: () => 0,
      update(changed) {
        delayMs = attribute(changed, 'delay');
        if (endedAt !== null && due.slot >= 0) site.wake(due, endedAt + delayMs);
      },
      drain() {
        if (due.slot < 0) return;
        site.cancel(due);
        site.next.end();
      },
      stop: () => site.cancel(due),
    };
  },
};
