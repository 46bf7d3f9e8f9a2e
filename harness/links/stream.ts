/**
 * One direction of one connection: source socket → the stages of the toxics in force → sink socket. Keeps order, counts
 * bytes live, and pauses its source instead of holding more than its bound. Knows no proxy, no API and no toxic by name.
 */

import type { Socket } from 'node:net';
import type { DueQueue } from './due.ts';
import type { Attributes, Draw, Outlet, Stage, StageSite, ToxicKind } from './toxics/toxic.ts';

/** Bytes of one direction since the proxy was made: read from the source, handed to the sink, thrown away. */
export interface StreamTotals {
  taken: number;
  passed: number;
  dropped: number;
}

/** Held by all streams of a server together. */
export interface SharedMemory {
  heldBytes: number;
}

/** A toxic as a stream sees it; the object stays the same while the toxic exists. */
export interface StreamToxic {
  readonly kind: ToxicKind;
  attributes: Attributes;
}

/** What a stream asks of the connection that it belongs to. */
export interface StreamOwner {
  /** A toxic ended this direction: the other one is to end too. */
  finish(): void;
  /** The end of this direction has been handed to its sink. */
  ended(): void;
  reset(): void;
  drawsOf(toxic: StreamToxic): Draw;
}

export interface Stream {
  /** The toxics in force here, in order: new ones are put in, missing ones are drained and taken out. */
  arrange(toxics: readonly StreamToxic[]): void;
  /** A toxic that is in force here has new attributes. */
  update(toxic: StreamToxic): void;
  /** The source has no more to say. Idempotent. */
  end(): void;
  /** The sink takes nothing any more; what still comes is thrown away. */
  loseSink(): void;
  /** The end has been handed to the sink. */
  ended(): boolean;
  heldBytes(): number;
  stop(): void;
}

/** Bound of a stream with no toxic that asks for more, and of any stream while the server as a whole holds too much. */
export const streamBytes = 64 * 1024;
export const sharedBytes = 512 * 1024 * 1024;
export const streamChunks = 16 * 1024;

export interface StreamOptions {
  source: Socket;
  sink: Socket;
  totals: StreamTotals;
  memory: SharedMemory;
  due: DueQueue;
  owner: StreamOwner;
}

/** Bytes between source and sink, and the source paused while they are too many. */
interface Gauge {
  held(): number;
  add(bytes: number): void;
  release(bytes: number): void;
  /** After new bytes have gone as far as they could. */
  check(): void;
  /** Something may have got less. */
  relieve(): void;
  bound(bytes: number): void;
  /** Nothing is held any more; how much it was. */
  empty(): number;
}

function createGauge({ source, sink, memory }: StreamOptions, crowded: () => boolean): Gauge {
  let held = 0;
  let bound = streamBytes;
  let paused = false;

  const overloaded = (): boolean => {
    const inside = held + sink.writableLength;
    if (inside > streamBytes && (inside > bound || memory.heldBytes > sharedBytes)) return true;
    return crowded();
  };
  const relieve = (): void => {
    if (!paused || held + sink.writableLength > bound / 2 || overloaded()) return;
    paused = false;
    source.resume();
  };
  return {
    held: () => held,
    add(bytes) {
      held += bytes;
      memory.heldBytes += bytes;
    },
    release(bytes) {
      held -= bytes;
      memory.heldBytes -= bytes;
      if (paused) relieve();
    },
    check() {
      if (paused || (held === 0 && sink.writableLength === 0) || !overloaded()) return;
      paused = true;
      source.pause();
    },
    relieve,
    bound(bytes) {
      bound = bytes;
      relieve();
    },
    empty() {
      const left = held;
      memory.heldBytes -= left;
      held = 0;
      paused = false;
      return left;
    },
  };
}

interface Placed {
  readonly toxic: StreamToxic;
  readonly stage: Stage;
  readonly site: StageSite;
}

/** The stages in force, one behind the other, the last one before `tail`. */
interface Chain {
  first: Outlet;
  placed: readonly Placed[];
}

const crowds = ({ stage }: Placed): boolean => stage.queued() > streamChunks;

function link(chain: Chain, placed: readonly Placed[], tail: Outlet): void {
  chain.placed = placed;
  chain.first = placed[0]?.stage ?? tail;
  placed.forEach(({ site }, i) => {
    site.next = placed[i + 1]?.stage ?? tail;
  });
}

/** What a stage sees of its stream. */
function createSite(
  { sink, totals, due, owner }: StreamOptions,
  toxic: StreamToxic,
  chain: Chain,
  gauge: Gauge,
  onClose: () => void,
): StageSite {
  let closed = false;
  let draw: Draw | null = null;
  const site: StageSite = {
    next: chain.first,
    draw() {
      draw ??= owner.drawsOf(toxic);
      return draw();
    },
    now: due.now,
    wake: due.set,
    cancel: due.cancel,
    discard(bytes) {
      totals.dropped += bytes;
      gauge.release(bytes);
    },
    blocked() {
      const behind = chain.placed.slice(chain.placed.findIndex((entry) => entry.site === site) + 1);
      return sink.writableLength > streamBytes || behind.some(crowds);
    },
    gather(pushes) {
      sink.cork();
      pushes();
      sink.uncork();
    },
    close() {
      if (closed) return;
      closed = true;
      onClose();
      site.next.end();
      owner.finish();
    },
    reset: () => owner.reset(),
  };
  return site;
}

/** The socket at the end of the stream. */
interface Tail extends Outlet {
  ended(): boolean;
  lose(): void;
}

function createTail({ sink, totals, owner }: StreamOptions, release: (bytes: number) => void): Tail {
  let ended = false;
  let lost = false;
  return {
    push(chunk) {
      release(chunk.length);
      if (lost || ended) {
        totals.dropped += chunk.length;
        return;
      }
      totals.passed += chunk.length;
      sink.write(chunk);
    },
    end() {
      if (ended) return;
      ended = true;
      if (!lost) sink.end();
      owner.ended();
    },
    ended: () => ended,
    lose() {
      lost = true;
    },
  };
}

export function openStream(options: StreamOptions): Stream {
  const { source, sink, totals } = options;
  let sourceEnded = false;
  let stopped = false;
  const gauge = createGauge(options, () => chain.placed.some(crowds));
  const tail = createTail(options, gauge.release);
  const chain: Chain = { first: tail, placed: [] };

  const take = (chunk: Buffer): void => {
    totals.taken += chunk.length;
    if (sourceEnded) {
      totals.dropped += chunk.length;
      return;
    }
    gauge.add(chunk.length);
    chain.first.push(chunk);
    gauge.check();
  };
  const end = (): void => {
    if (sourceEnded) return;
    sourceEnded = true;
    chain.first.end();
  };
  const place = (toxic: StreamToxic): Placed => {
    const site = createSite(options, toxic, chain, gauge, () => {
      sourceEnded = true;
    });
    return { toxic, site, stage: toxic.kind.start(site, toxic.attributes) };
  };
  source.on('data', take);
  source.on('end', end);
  sink.on('drain', gauge.relieve);

  return {
    arrange(toxics) {
      if (stopped) return;
      for (const gone of chain.placed.filter(({ toxic }) => !toxics.includes(toxic))) {
        gone.stage.drain();
        link(
          chain,
          chain.placed.filter((entry) => entry !== gone),
          tail,
        );
      }
      const known = new Map(chain.placed.map((entry) => [entry.toxic, entry]));
      link(
        chain,
        toxics.map((toxic) => known.get(toxic) ?? place(toxic)),
        tail,
      );
      gauge.bound(Math.max(streamBytes, ...toxics.map(({ kind }) => kind.holdBytes ?? 0)));
    },
    update(toxic) {
      chain.placed.find((entry) => entry.toxic === toxic)?.stage.update(toxic.attributes);
    },
    end,
    loseSink: tail.lose,
    ended: tail.ended,
    heldBytes: gauge.held,
    stop() {
      if (stopped) return;
      stopped = true;
      for (const { stage } of chain.placed) stage.stop();
      totals.dropped += gauge.empty();
    },
  };
}
