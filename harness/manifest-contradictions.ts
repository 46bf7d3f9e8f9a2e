/**
 * What a schema cannot say of a scenario: keys whose values bound each other. Pure; knows the meaning of no key beyond that, and
 * neither files nor lines.
 */

import type { Manifest } from './manifest-schema.ts';

/** The first one as a path of keys and half a sentence, or null. */
export function contradiction(manifest: Manifest): { path: (string | number)[]; text: string } | null {
  const delays: { path: (string | number)[]; latency_ms?: number; jitter_ms?: number }[] = [
    { path: ['links'], ...manifest.links },
  ];
  manifest.faults.forEach((fault, at) => {
    if (fault.kind === 'slow') delays.push({ ...fault, path: ['faults', at] });
  });
  for (const { path, latency_ms = 0, jitter_ms = 0 } of delays) {
    // A delay below zero is none: the delays would be neither uniform nor, on average, latency_ms.
    if (jitter_ms > latency_ms)
      return { path: [...path, 'jitter_ms'], text: `${jitter_ms} is more than latency_ms, ${latency_ms}` };
  }
  return null;
}
