/**
 * What each link fault is in Toxiproxy's terms, and what a probe through a link must then see. Pure: pairs, names and
 * servers are the plane's matter.
 */

import type { LinkFault, Stream } from './fault-plane.ts';
import type { ToxicSettings, ToxicStream } from './toxiproxy-client.ts';

const apiStream: Readonly<Record<Stream, ToxicStream>> = { forth: 'upstream', back: 'downstream' };
const bothStreams: readonly Stream[] = ['forth', 'back'];

export function streamsOf(fault: LinkFault): readonly Stream[] {
  return 'streams' in fault && fault.streams !== undefined ? fault.streams : bothStreams;
}

/** Whole kB/s, at least one: the API knows no finer rate, and 0 would be a cut. */
const kilobytesPerSecond = (bytesPerSecond: number): number => Math.max(1, Math.round(bytesPerSecond / 1000));

function typeAndAttributes(fault: LinkFault): { type: string; attributes: Record<string, number> } | null {
  switch (fault.kind) {
    case 'latency':
      return {
        type: 'latency',
        attributes: { latency: Math.round(fault.latencyMs), jitter: Math.round(fault.jitterMs) },
      };
    case 'cut':
      return { type: 'bandwidth', attributes: { rate: 0 } };
    case 'bandwidth':
      return { type: 'bandwidth', attributes: { rate: kilobytesPerSecond(fault.bytesPerSecond) } };
    case 'black-hole':
      return { type: 'timeout', attributes: { timeout: 0 } };
    case 'slow-close':
      return { type: 'slow_close', attributes: { delay: Math.round(fault.delayMs) } };
    case 'slice':
      return {
        type: 'slicer',
        attributes: { average_size: Math.max(1, fault.bytes), size_variation: 0, delay: fault.delayUs },
      };
    case 'down':
    case 'reset':
      return null;
  }
}

/** The toxics of a fault, named `<label>_<stream>`; none for faults that are not toxics (`down`, `reset`). */
export function toxicsOf(fault: LinkFault, label: string): ToxicSettings[] {
  const made = typeAndAttributes(fault);
  if (made === null) return [];
  return streamsOf(fault).map((stream) => {
    const name = `${label}_${apiStream[stream]}`;
    return { name, type: made.type, stream: apiStream[stream], toxicity: 1, attributes: made.attributes };
  });
}

/** One toxic per fault and stream, named by the fault's id: faults on one pair add up by standing one behind the other. */
export function separateToxics(inForce: ReadonlyMap<number, LinkFault>): ToxicSettings[] {
  return [...inForce].flatMap(([id, fault]) => toxicsOf(fault, id === baseId ? 'base' : `f${id}`));
}

/** The id of the base latency among the faults in force. */
export const baseId = 0;

/** What each kind would be if it did nothing. */
const neutral: Readonly<Record<string, Record<string, number>>> = {
  latency: { latency: 0, jitter: 0 },
  bandwidth: { rate: 1_000_000_000 },
  slow_close: { delay: 0 },
  slicer: { average_size: 1_000_000_000, size_variation: 0, delay: 0 },
};

/** How two faults of a kind on one stream become one: delays add up, of limits the narrower holds. */
const joined: Readonly<Record<string, (a: number, b: number) => number>> = {
  latency: (a, b) => a + b,
  jitter: (a, b) => a + b,
  rate: Math.min,
  delay: (a, b) => a + b,
  average_size: Math.min,
  size_variation: Math.max,
  timeout: Math.min,
};

/**
 * A cut of a real Toxiproxy: later than any run lasts. Its `bandwidth` with rate 0 holds bytes as well, but cuts what it holds into
 * pieces of the rate that is set at that moment, so a cure that raises the rate can make the whole server panic (seen with 2.12.0 on a
 * busy host: `slice bounds out of range` in bandwidth.go). For the same reason a rate in force is never raised to cure it.
 */
const neverMs = 1_000_000_000;

const onRealServer = (fault: LinkFault): LinkFault =>
  fault.kind === 'cut'
    ? { kind: 'latency', latencyMs: neverMs, jitterMs: 0, streams: streamsOf(fault) }
    : fault;

/**
 * At most one toxic of a kind per stream, and one that was `set` once stays, with toxicity 0, when its faults are cured. For a real
 * Toxiproxy: taking a toxic out of a chain can hang its API, and leaves dying connections in a state in which the next
 * toxic makes the whole server panic (seen with 2.12.0: `index out of range` in link.go, AddToxic). A timeout toxic has to
 * go all the same, because only that ends the connections it robbed.
 */
export function mergedToxics(
  inForce: ReadonlyMap<number, LinkFault>,
  set: readonly ToxicSettings[],
): ToxicSettings[] {
  const merged = new Map<string, ToxicSettings>();
  for (const toxic of set) {
    if (neutral[toxic.type] !== undefined) merged.set(toxic.name, { ...toxic, toxicity: 0 });
  }
  for (const fault of inForce.values()) {
    for (const toxic of toxicsOf(onRealServer(fault), 'fault')) {
      const name = `${toxic.type}_${toxic.stream}`;
      const held = merged.get(name);
      const asleep = held === undefined || held.toxicity === 0;
      const other = asleep ? (neutral[toxic.type] ?? toxic.attributes) : held.attributes;
      const attributes = Object.fromEntries(
        Object.entries(toxic.attributes).map(([key, value]) => [key, joined[key]!(value, other[key]!)]),
      );
      merged.set(name, { ...toxic, name, attributes });
    }
  }
  return [...merged.values()];
}

/** What a connection through a link with these faults in force must do. */
export type Expectation =
  | { outcome: 'refused' }
  /** Connects, then nothing comes back; these streams pass no byte. */
  | { outcome: 'silent'; stillStreams: readonly Stream[] }
  /** An answer to `helloBytes` bytes comes no earlier than `leastMs`; jitter and slicing end by `mostMs` on an idle host. */
  | { outcome: 'answered'; leastMs: number; mostMs: number };

export function expectationOf(faults: readonly LinkFault[], helloBytes: number): Expectation {
  if (faults.some(({ kind }) => kind === 'down')) return { outcome: 'refused' };
  const still = faults.filter(({ kind }) => kind === 'cut' || kind === 'black-hole').flatMap(streamsOf);
  if (still.length > 0)
    return { outcome: 'silent', stillStreams: bothStreams.filter((s) => still.includes(s)) };
  let leastMs = 0;
  let mostMs = 0;
  let narrowestMs = 0;
  for (const fault of faults) {
    const streams = streamsOf(fault);
    if (fault.kind === 'latency') {
      // In whole ms, as the server is told.
      const [latencyMs, jitterMs] = [Math.round(fault.latencyMs), Math.round(fault.jitterMs)];
      leastMs += streams.length * Math.max(0, latencyMs - jitterMs);
      mostMs += streams.length * (latencyMs + jitterMs);
    } else if (fault.kind === 'bandwidth') {
      const perByte = 1 / kilobytesPerSecond(fault.bytesPerSecond);
      // Two narrow places are passed side by side, or are one on a real server.
      if (streams.includes('forth')) narrowestMs = Math.max(narrowestMs, helloBytes * perByte);
      mostMs += (helloBytes + answerBytes) * perByte;
    } else if (fault.kind === 'slice') {
      mostMs += ((helloBytes + answerBytes) / Math.max(1, fault.bytes)) * (fault.delayUs / 1000);
    }
  }
  return { outcome: 'answered', leastMs: leastMs + narrowestMs, mostMs };
}

/** About what a TLS listener answers to a ClientHello. */
const answerBytes = 2000;

/** A short label for receipts: `latency 200 ± 20 ms forth+back`. */
export function describeFault(fault: LinkFault): string {
  const streams = 'streams' in fault && fault.streams !== undefined ? ` ${fault.streams.join('+')}` : '';
  switch (fault.kind) {
    case 'latency':
      return `latency ${fault.latencyMs} ± ${fault.jitterMs} ms${streams}`;
    case 'bandwidth':
      return `bandwidth ${kilobytesPerSecond(fault.bytesPerSecond)} kB/s${streams}`;
    case 'slow-close':
      return `close delayed by ${fault.delayMs} ms`;
    case 'slice':
      return `sliced into ${fault.bytes} bytes, ${fault.delayUs} µs apart`;
    default:
      return `${fault.kind}${streams}`;
  }
}
