/**
 * One upgraded WebSocket on an open TLS socket: whole messages in, any frames out, and how it ended. Reassembles
 * fragments; answers nothing by itself except where told to. Knows no JSON.
 */

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { closePayload, encodeFrame, type Frame, frameReader, type OutgoingFrame, opcodes } from './frames.ts';
import { failureOf } from './transport.ts';

/** How a connection ended, as far as we could see it. */
export interface Closed {
  /** The peer's close frame, else 1006; our own code where we closed and nothing came back. */
  code: number;
  reason: string;
  /** `close`: a close frame came; `fin`: TCP ended without one; `reset`: TCP RST; `tls-alert`; `self`: we ended it. */
  how: 'close' | 'fin' | 'reset' | 'tls-alert' | 'self';
  /** performance.now. */
  at: number;
  detail: string;
}

export interface SocketEvents {
  text(text: string, size: number, at: number): void;
  control(kind: 'close' | 'ping' | 'pong', payload: Buffer, at: number): void;
  /** Something that no peer may send: binary, bad UTF-8, reserved bits, a wrong mask, … */
  offence(because: string, at: number): void;
  closed(closed: Closed): void;
}

export interface WebSocketLine {
  readonly socket: TLSSocket;
  writeFrame(frame: OutgoingFrame): void;
  /** One write, and so one TLS record, per byte. */
  writeFrameByteWise(frame: OutgoingFrame): void;
  writeRaw(bytes: Uint8Array): void;
  /** Begins to read; `rest`: what came with the upgrade. */
  start(rest: Buffer): void;
  /** Sends a close frame and ends the socket when the peer has, or after `lingerMs`. */
  close(code: number, reason: string, lingerMs?: number): void;
  /** Ends TCP without a close frame, within 200 ms. */
  destroy(): void;
  /** TCP RST. */
  reset(): void;
}

/** Takes over the socket. `dialer` masks what it sends. `answersClose`: echo the peer's close frame and end. */
export function openLine(
  socket: TLSSocket,
  tcp: Socket,
  dialer: boolean,
  events: SocketEvents,
  answersClose: () => boolean,
): WebSocketLine {
  const reader = frameReader();
  let fragments: Buffer[] | null = null;
  const trickle: Uint8Array[] = [];
  let over = false;
  let closeSent = false;
  let selfClosed: { code: number; reason: string } | null = null;
  let linger: NodeJS.Timeout | null = null;

  const end = (closed: Omit<Closed, 'at'>): void => {
    if (over) return;
    over = true;
    events.closed({ ...closed, at: performance.now() });
  };
  const ended = (how: Closed['how'], detail: string): void => {
    if (selfClosed !== null) end({ code: selfClosed.code, reason: selfClosed.reason, how: 'self', detail });
    else end({ code: 1006, reason: '', how, detail });
  };
  const lingerThenDestroy = (ms: number): void => {
    linger ??= setTimeout(() => socket.destroy(), ms);
  };

  const onClose = (payload: Buffer, at: number): void => {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    const reason = payload.subarray(2).toString('utf8');
    events.control('close', payload, at);
    end({ code, reason, how: 'close', detail: '' });
    if (!answersClose()) return;
    if (!closeSent) writeFrame({ opcode: opcodes.close, payload: payload.subarray(0, 2) });
    socket.end();
    lingerThenDestroy(1_000);
  };

  const onData = (payload: Buffer, at: number): void => {
    const text = payload.toString('utf8');
    if (text.includes('\ufffd') && !Buffer.from(text, 'utf8').equals(payload)) {
      events.offence('a text message that is no UTF-8', at);
    } else events.text(text, payload.length, at);
  };

  const onFrame = (frame: Frame, at: number): void => {
    if (frame.rsv !== 0) events.offence(`reserved bits ${frame.rsv}`, at);
    if (frame.masked === dialer)
      events.offence(dialer ? 'a masked frame from a server' : 'an unmasked frame', at);
    if (frame.opcode >= 8) {
      if (!frame.fin || frame.payload.length > 125) events.offence('a fragmented or long control frame', at);
      if (frame.opcode === opcodes.close) onClose(frame.payload, at);
      else if (frame.opcode === opcodes.ping) events.control('ping', frame.payload, at);
      else if (frame.opcode === opcodes.pong) events.control('pong', frame.payload, at);
      else events.offence(`opcode ${frame.opcode}`, at);
    } else if (frame.opcode === opcodes.text) {
      if (frame.fin) onData(frame.payload, at);
      else fragments = [frame.payload];
    } else if (frame.opcode === opcodes.continuation && fragments !== null) {
      fragments.push(frame.payload);
      if (!frame.fin) return;
      const whole = Buffer.concat(fragments);
      fragments = null;
      onData(whole, at);
    } else {
      events.offence(frame.opcode === opcodes.binary ? 'a binary message' : `opcode ${frame.opcode}`, at);
    }
  };

  const onBytes = (chunk: Buffer): void => {
    const at = performance.now();
    for (const frame of reader.push(chunk)) onFrame(frame, at);
  };

  const writeRaw = (bytes: Uint8Array): void => {
    if (trickle.length > 0) trickle.push(bytes);
    else if (!socket.destroyed && socket.writable) socket.write(bytes);
  };
  /** Each part is handed over when the one before has left this process, so that no two share a TLS record. */
  const trickleOn = (): void => {
    const next = trickle[0];
    if (next === undefined || socket.destroyed || !socket.writable) {
      trickle.length = 0;
      return;
    }
    socket.write(next, () => {
      trickle.shift();
      trickleOn();
    });
  };
  const writeFrame = (frame: OutgoingFrame): void =>
    writeRaw(encodeFrame({ ...frame, mask: frame.mask ?? dialer }));

  tcp.on('error', () => {});
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const failure = failureOf(error);
    ended(failure.how === 'error' ? 'reset' : failure.how, failure.detail);
  });
  socket.on('end', () => {
    ended('fin', 'TCP ended without a close frame');
    if (!selfClosed) socket.end();
    lingerThenDestroy(1_000);
  });
  socket.on('close', () => {
    if (linger !== null) clearTimeout(linger);
    ended('fin', 'the socket closed');
  });

  return {
    socket,
    writeFrame,
    writeFrameByteWise(frame) {
      const idle = trickle.length === 0;
      const bytes = encodeFrame({ ...frame, mask: frame.mask ?? dialer });
      for (const byte of bytes) trickle.push(Uint8Array.of(byte));
      if (idle) trickleOn();
    },
    start(rest) {
      socket.on('data', onBytes);
      if (rest.length > 0) onBytes(rest);
      socket.resume();
    },
    writeRaw,
    close(code, reason, lingerMs = 1_000) {
      selfClosed ??= { code, reason };
      closeSent = true;
      writeFrame({ opcode: opcodes.close, payload: closePayload(code, reason) });
      lingerThenDestroy(lingerMs);
    },
    destroy() {
      selfClosed ??= { code: 1006, reason: '' };
      if (socket.writableLength > 0) socket.destroy();
      else socket.end();
      lingerThenDestroy(200);
    },
    reset() {
      selfClosed ??= { code: 1006, reason: '' };
      if (!tcp.destroyed) tcp.resetAndDestroy();
      socket.destroy();
    },
  };
}
