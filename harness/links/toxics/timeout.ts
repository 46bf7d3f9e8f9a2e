/**
 * A black hole: data vanishes. Ends the connection after `timeout` ms without data, with 0 never, and at once when the sender ends
 * it; taking the toxic out ends it too, because bytes are missing (all as Toxiproxy).
 */

import type { Due } from '../due.ts';
import { type Attributes, attribute, type Stage, type StageSite, type ToxicKind } from './toxic.ts';

export const timeout: ToxicKind = {
  type: 'timeout',
  attributes: ['timeout'],
  start(site: StageSite, attributes: Attributes): Stage {
    let timeoutMs = 0;
    const due: Due = { at: 0, slot: -1, run: () => site.close() };
    const restart = (): void => {
      if (timeoutMs > 0) site.wake(due, site.now() + timeoutMs);
      else site.cancel(due);
    };
    const update = (changed: Attributes): void => {
      timeoutMs = attribute(changed, 'timeout');
      restart();
    };
    update(attributes);
    const close = (): void => {
      site.cancel(due);
      site.close();
    };
    return {
      push(chunk) {
        site.discard(chunk.length);
        restart();
      },
      end: close,
      queued: () => 0,
      update,
      drain: close,
      stop: () => site.cancel(due),
    };
  },
};
