/**
 * One upgraded connection as the runtime drives it: whole text messages in, texts out, one close, one end. Owns the
 * WebSocket's buffers and both directions of back-pressure; knows nothing of what a message says.
 */

import type { TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import type { Turns } from './turns.ts';

/** §2: at most this many bytes in a message. */
export const MESSAGE_LIMIT = 65_536;

/** What ws is told about every connection, whoever dialled it (§2). */
export const WEB_SOCKET_OPTIONS = {
  perMessageDeflate: false,
  maxPayload: MESSAGE_LIMIT,
  // A longest message may come in frames of one byte each; empty frames beside them have to end somewhere.
  maxFragments: 2 * MESSAGE_LIMIT,
  // The bound is ours (`close`); this one is only the last resort.
  closeTimeout: 10_000,
} as const;

/**
 * Bytes waiting to be sent. Above `PRESSED` the core is asked to hold back, below `RELIEVED` to go on; above `HOPELESS` the
 * connection is cut: whatever a peer makes us answer, it cannot make us keep.
 */
const PRESSED = 131_072;
const RELIEVED = 32_768;
const HOPELESS = 4_194_304;

/**
 * Messages of one connection that are taken in one turn of the event loop. After a cut heals, every peer's backlog is there at
 * once; whoever asks something then shall wait for a few messages of each peer and not for all of them.
 */
const MESSAGES_PER_TURN = 2;

export interface ConnectionEvents {
  /** A whole message: valid UTF-8 of `size` bytes. */
  text(text: string, size: number): void;
  binary(): void;
  /** The send buffer rose above the high-water mark. */
  pressed(): void;
  /** It fell below the low-water mark again. */
  drained(): void;
  /** Once, whoever closed. 1006 without a close frame from the peer. */
  closed(code: number): void;
}

export interface Connection {
  /** Buffered until `flush`, so that what one turn of the event loop sends travels as one TLS write. */
  send(text: string): void;
  flush(): void;
  /** Close frame, then at the latest `abortAfterMs` later the end of the socket. No message is reported afterwards. */
  close(code: number, reason: string, abortAfterMs: number): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

/** Takes over an open WebSocket and the TLS socket under it. */
export function openConnection(
  webSocket: WebSocket,
  socket: TLSSocket,
  events: ConnectionEvents,
  turns: Turns,
): Connection {
  /** What came and is not reported yet: no more than was read before the reading stopped, less than 64 KiB. */
  const held: { data: Buffer; isBinary: boolean }[] = [];
  let paused = false;
  let pressed = false;
  let closing = false;
  let corked = false;
  let abortTimer: NodeJS.Timeout | undefined;
  let turn = -1;
  let takenInTurn = 0;
  let isTurnAwaited = false;

  const applyReading = () => {
    const stopped = !closing && (paused || held.length > 0);
    if (stopped !== webSocket.isPaused) stopped ? webSocket.pause() : webSocket.resume();
  };
  const deliver = (data: Buffer) => events.text(data.toString('utf8'), data.length);
  const report = ({ data, isBinary }: { data: Buffer; isBinary: boolean }) => {
    if (isBinary) events.binary();
    else deliver(data);
  };
  const mayTake = (): boolean => {
    if (paused || closing) return false;
    if (turn !== turns.now()) {
      turn = turns.now();
      takenInTurn = 0;
    }
    return takenInTurn < MESSAGES_PER_TURN;
  };
  const takeHeld = () => {
    isTurnAwaited = false;
    while (held.length > 0 && mayTake()) {
      takenInTurn++;
      report(held.shift()!);
    }
    awaitTurn();
    applyReading();
  };
  const awaitTurn = () => {
    if (isTurnAwaited || paused || closing || held.length === 0) return;
    isTurnAwaited = true;
    turns.next(takeHeld);
  };
  const relieve = () => {
    if (!pressed || webSocket.bufferedAmount > RELIEVED) return;
    pressed = false;
    events.drained();
  };

  webSocket.on('message', (data: Buffer, isBinary: boolean) => {
    if (closing) return;
    if (held.length === 0 && mayTake()) {
      takenInTurn++;
      report({ data, isBinary });
      return;
    }
    held.push({ data, isBinary });
    awaitTurn();
    applyReading();
  });
  // A broken frame or socket: ws closes with the right code (1002, 1007, 1009) by itself and `close` follows.
  webSocket.on('error', () => {});
  webSocket.on('close', (code) => {
    // What the peer said before it went still counts.
    while (held.length > 0 && !paused && !closing) report(held.shift()!);
    closing = true;
    held.length = 0;
    if (abortTimer) clearTimeout(abortTimer);
    events.closed(code);
  });
  socket.on('drain', relieve);

  return {
    send(text) {
      if (closing) return;
      if (!corked) {
        corked = true;
        socket.cork();
      }
      webSocket.send(text);
      if (webSocket.bufferedAmount > HOPELESS) webSocket.terminate();
      else if (!pressed && webSocket.bufferedAmount > PRESSED) {
        pressed = true;
        events.pressed();
      }
    },
    flush() {
      if (!corked) return;
      corked = false;
      socket.uncork();
      relieve();
    },
    close(code, reason, abortAfterMs) {
      if (closing) return;
      closing = true;
      held.length = 0;
      webSocket.close(code, reason);
      // Read on, so that the peer's close frame is seen.
      applyReading();
      abortTimer = setTimeout(() => webSocket.terminate(), abortAfterMs);
    },
    pause() {
      paused = true;
      applyReading();
    },
    resume() {
      paused = false;
      takeHeld();
    },
    destroy: () => webSocket.terminate(),
  };
}
