/**
 * What a toxic is to the rest: a kind (its attributes and how to start it) and the stages it puts into the streams of live
 * connections. One toxic, one file beside this one. A stage knows its stream only through `StageSite`, no socket, no API.
 */

import type { Due } from '../due.ts';

/** Uniform numbers in [0, 1). */
export type Draw = () => number;

/** Whatever takes bytes and, once, their end: the next stage, or the socket at the end of the stream. */
export interface Outlet {
  push(chunk: Buffer): void;
  end(): void;
}

/** What a stage may do to its stream. */
export interface StageSite {
  /** The next stage or the socket; changes while stages come and go, so read it each time. */
  next: Outlet;
  /** Numbers of this toxic on this connection alone. */
  readonly draw: Draw;
  now(): number;
  /** Calls `entry.run` at `atMs` (clock of `now`), in place of an earlier call. */
  wake(entry: Due, atMs: number): void;
  cancel(entry: Due): void;
  /** Bytes that were taken and will never be passed on. */
  discard(bytes: number): void;
  /** True while the receiver's socket cannot take more. */
  blocked(): boolean;
  /** Several pushes follow that may leave in one system call. */
  gather(pushes: () => void): void;
  /** Ends the connection from this stage on: what lies behind it still arrives, both directions then finish. */
  close(): void;
  /** Ends the connection now, with a TCP reset to both sides. */
  reset(): void;
}

export interface Stage extends Outlet {
  /** Held chunks, so that memory stays bounded by their number too. */
  queued(): number;
  /** The toxic's attributes changed; what is held is judged anew. */
  update(attributes: Attributes): void;
  /** The toxic is taken out: hands on what it holds, the end too, at once and in order, and is not used again. */
  drain(): void;
  /** The connection is gone. */
  stop(): void;
}

/** 64-bit integers in the API; beyond 2^53 they are rounded here. */
export type Attributes = Readonly<Record<string, number>>;

export interface ToxicKind {
  readonly type: string;
  /** Names in the order in which the API prints them; all integers, 0 where not given. */
  readonly attributes: readonly string[];
  /** How many bytes a stream may hold for it before its source is paused; `streamBytes` where it says nothing. */
  readonly holdBytes?: number;
  start(site: StageSite, attributes: Attributes): Stage;
}

export function attribute(attributes: Attributes, name: string): number {
  return attributes[name] ?? 0;
}
