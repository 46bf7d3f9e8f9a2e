/** Passes exactly `bytes` bytes of each connection, then ends it. The count lives through updates of the toxic. */

import { type Attributes, attribute, type Stage, type StageSite, type ToxicKind } from './toxic.ts';

export const limitData: ToxicKind = {
  type: 'limit_data',
  attributes: ['bytes'],
  start(site: StageSite, attributes: Attributes): Stage {
    let limit = attribute(attributes, 'bytes');
    let passed = 0;
    let closed = false;
    return {
      push(chunk) {
        const room = closed ? 0 : Math.max(0, limit - passed);
        const head = chunk.length <= room ? chunk : chunk.subarray(0, room);
        passed += head.length;
        site.discard(chunk.length - head.length);
        if (head.length > 0) site.next.push(head);
        if (closed || passed < limit) return;
        closed = true;
        site.close();
      },
      end() {
        if (!closed) site.next.end();
      },
      queued: () => 0,
      update(changed) {
        limit = attribute(changed, 'bytes');
      },
      drain: () => {},
      stop: () => {},
    };
  },
};
