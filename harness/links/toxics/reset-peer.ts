/**
 * Resets the connection (RST to both sides) `timeout` ms after the toxic takes effect on it, whether it is new, old or
 * idle. Until then data vanishes. Taken out earlier, it ends a connection that has lost bytes.
 */

import type { Due } from '../due.ts';
import { type Attributes, attribute, type Stage, type StageSite, type ToxicKind } from './toxic.ts';

export const resetPeer: ToxicKind = {
  type: 'reset_peer',
  attributes: ['timeout'],
  start(site: StageSite, attributes: Attributes): Stage {
    const beganAt = site.now();
    let ended = false;
    let lost = false;
    const due: Due = { at: 0, slot: -1, run: () => site.reset() };
    const update = (changed: Attributes): void => {
      site.wake(due, beganAt + Math.max(0, attribute(changed, 'timeout')));
    };
    update(attributes);
    return {
      push(chunk) {
        lost = true;
        site.discard(chunk.length);
      },
      end() {
        ended = true;
      },
      queued: () => 0,
      update,
      drain() {
        site.cancel(due);
        if (lost) site.close();
        else if (ended) site.next.end();
      },
      stop: () => site.cancel(due),
    };
  },
};
