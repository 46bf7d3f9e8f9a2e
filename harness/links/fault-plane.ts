/**
 * The fault plane as scenarios see it: one proxied link per (dialer, listener) pair, faults set on pairs, cures, live
 * counters. Interfaces only; behind it stands a Toxiproxy API, embedded or real (design, "Links").
 */

import type { Receipt } from '../engine.ts';

/** dialer → listener, by node name. `link` below is `${from}>${to}`. */
export interface Pair {
  from: string;
  to: string;
}

/**
 * Which of the two byte streams of a TCP connection that `from` dialled: `forth` from dialer to listener (Toxiproxy's
 * upstream), `back` from listener to dialer (downstream).
 */
export type Stream = 'forth' | 'back';

export type LinkFault =
  /** One-way delay per stream, uniform ± jitter. */
  | { kind: 'latency'; latencyMs: number; jitterMs: number; streams?: readonly Stream[] }
  /** Bytes stop but connections stay: heals with its backlog (bandwidth rate 0). */
  | { kind: 'cut'; streams?: readonly Stream[] }
  /** Connections end and new ones are refused (`enabled: false`). */
  | { kind: 'down' }
  | { kind: 'bandwidth'; bytesPerSecond: number; streams?: readonly Stream[] }
  /** Existing connections are reset once; new ones work. */
  | { kind: 'reset' }
  /** Data vanishes; the connections end at the cure (timeout 0). */
  | { kind: 'black-hole'; streams?: readonly Stream[] }
  | { kind: 'slow-close'; delayMs: number }
  | { kind: 'slice'; bytes: number; delayUs: number };

export interface AppliedLinkFault {
  /** Proof: bytes that stopped, a measured round trip, refused connects. */
  receipt: Receipt;
  cure(): Promise<Receipt>;
}

export interface LinkCounters {
  from: string;
  to: string;
  /** Connections taken in so far, our own probes not counted; null where the server cannot tell (real Toxiproxy). */
  accepted: number | null;
  /** Connections that live now; null as above. */
  open: number | null;
  /** Delivered to the listener / to the dialer. Live, not only at the end of a connection; null as above. */
  bytesForth: number | null;
  bytesBack: number | null;
}

export interface FaultPlane {
  /** Sets a fault on all given pairs; several faults on one pair add up. */
  apply(pairs: readonly Pair[], fault: LinkFault): Promise<AppliedLinkFault>;
  counters(): Promise<LinkCounters[]>;
  /** The API's base URL, for people's own scripts. */
  readonly apiUrl: string;
  /** `embedded` or `toxiproxy 2.12.0`. */
  readonly server: string;
  /** A plane that no longer answers makes verdicts unknown: throws with the reason. */
  assertHealthy(): Promise<void>;
}
