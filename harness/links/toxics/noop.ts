/** Passes everything on. */

import type { ToxicKind } from './toxic.ts';

export const noop: ToxicKind = {
  type: 'noop',
  attributes: [],
  start: (site) => ({
    push: (chunk) => site.next.push(chunk),
    end: () => site.next.end(),
    queued: () => 0,
    update: () => {},
    drain: () => {},
    stop: () => {},
  }),
};
