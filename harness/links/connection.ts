/**
 * One accepted TCP connection and the one dialled for it: two streams, half-close kept. Decides which toxics strike this
 * connection (toxicity, seeded) and when both sockets go. Knows nothing of listeners and of the API.
 */

import { connect, type Socket } from 'node:net';
import { rng } from '../rng.ts';
import type { HostPort } from './addresses.ts';
import type { DueQueue } from './due.ts';
import {
  openStream,
  type SharedMemory,
  type Stream,
  type StreamOwner,
  type StreamTotals,
  type StreamToxic,
} from './stream.ts';
import type { Draw } from './toxics/toxic.ts';

export type Direction = 'upstream' | 'downstream';

/** A toxic of a proxy. `born` counts how often the proxy has had a toxic of that name: a new one draws anew. */
export interface Toxic extends StreamToxic {
  readonly name: string;
  readonly direction: Direction;
  /** The direction as the client wrote it; echoed. */
  readonly streamText: string;
  readonly born: number;
  toxicity: number;
}

/** What all connections of a server share. */
export interface Ground {
  readonly seed: number;
  readonly due: DueQueue;
  readonly memory: SharedMemory;
}

export interface ConnectionOptions {
  ground: Ground;
  proxyName: string;
  /** Number of the connection on its proxy, from 1: with the seed it decides every draw. */
  serial: number;
  client: Socket;
  upstream: HostPort;
  totals: Record<Direction, StreamTotals>;
  toxics: readonly Toxic[];
  onDialFailed(): void;
  onClosed(): void;
}

export interface Connection {
  /** Toxics came, went, or have another toxicity. */
  arrange(toxics: readonly Toxic[]): void;
  update(toxic: Toxic): void;
  heldBytes(): number;
  /** Both sockets are closed at once; what is held is lost. */
  destroy(): void;
}

/** A TCP reset, now. Where a FIN is under way the kernel refuses one, and where nothing is connected there is none. */
function abort(socket: Socket): void {
  if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy();
  else socket.resetAndDestroy();
}

export function openConnection(options: ConnectionOptions): Connection {
  const { ground, client, serial, proxyName, totals } = options;
  const upstream = connect({ ...options.upstream, allowHalfOpen: true, noDelay: true });
  let connected = false;
  let clientGone = false;
  let upstreamGone = false;
  let finishing = false;

  /** A draw is named by what it decides, so that another toxic or another proxy never shifts it. */
  const drawsFor = (toxic: Toxic, purpose: 'strike' | 'stage'): Draw =>
    rng(ground.seed, proxyName, String(serial), toxic.direction, toxic.name, String(toxic.born), purpose)
      .float;
  const strikes = (toxic: Toxic): boolean =>
    toxic.toxicity >= 1 || (toxic.toxicity > 0 && drawsFor(toxic, 'strike')() < toxic.toxicity);

  const reset = (): void => {
    abort(client);
    abort(upstream);
  };

  /** Closes what nothing more can come for. Runs whenever a direction has ended or a socket has gone. */
  const settle = (): void => {
    const both = finishing && forth.ended() && back.ended();
    if (both || (upstreamGone && back.ended())) client.destroySoon();
    if (both || (clientGone && forth.ended())) upstream.destroySoon();
  };

  const owner = (other: () => Stream): StreamOwner => ({
    finish() {
      finishing = true;
      other().end();
      settle();
    },
    ended: settle,
    reset,
    drawsOf: (toxic) => drawsFor(toxic as Toxic, 'stage'),
  });
  const common = { memory: ground.memory, due: ground.due };
  const forth = openStream({
    ...common,
    source: client,
    sink: upstream,
    totals: totals.upstream,
    owner: owner(() => back),
  });
  const back: Stream = openStream({
    ...common,
    source: upstream,
    sink: client,
    totals: totals.downstream,
    owner: owner(() => forth),
  });

  /** The socket is gone for good: what it said still goes on in order, what was meant for it is thrown away. */
  const lost = (out: Stream, into: Stream): void => {
    into.loseSink();
    out.end();
    settle();
    if (!clientGone || !upstreamGone) return;
    forth.stop();
    back.stop();
    options.onClosed();
  };

  upstream.once('connect', () => {
    connected = true;
  });
  upstream.on('error', () => {
    if (connected) return;
    options.onDialFailed();
    abort(client);
  });
  client.on('error', () => {});
  client.on('close', () => {
    clientGone = true;
    lost(forth, back);
  });
  upstream.on('close', () => {
    upstreamGone = true;
    lost(back, forth);
  });

  const arrange = (toxics: readonly Toxic[]): void => {
    const struck = toxics.filter(strikes);
    forth.arrange(struck.filter(({ direction }) => direction === 'upstream'));
    back.arrange(struck.filter(({ direction }) => direction === 'downstream'));
  };
  arrange(options.toxics);

  return {
    arrange,
    update(toxic) {
      (toxic.direction === 'upstream' ? forth : back).update(toxic);
    },
    heldBytes: () => forth.heldBytes() + back.heldBytes(),
    destroy() {
      client.destroy();
      upstream.destroy();
    },
  };
}
