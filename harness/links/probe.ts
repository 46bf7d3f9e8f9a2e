/**
 * A connection of our own through a link, to see what a node would see there. It says what a TLS client says first and
 * hangs up at the answer, so any TLS listener (and any echo) serves as the far end. Knows no faults.
 */

import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { parseHostPort } from './addresses.ts';

export interface ProbeResult {
  /**
   * `refused`: nobody listens. `reset`, `ended`: a RST (perhaps before we knew of the connection) or FIN without an answer.
   * `silent`: nothing within the wait.
   */
  outcome: 'refused' | 'reset' | 'ended' | 'silent' | 'answered';
  connected: boolean;
  /** From our first byte to the first byte back, ms; null unless answered. */
  roundTripMs: number | null;
  /** Bytes of the first piece of the answer. */
  firstPieceBytes: number;
  /** From our FIN to the other side's, ms; null unless asked for and seen. */
  closeMs: number | null;
}

/** The ClientHello of this Node's TLS, taken from a handshake with nobody. */
export function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(Buffer.from(chunk));
        done();
        setImmediate(() => tls.destroy());
      },
    });
    const tls = connectTls({ socket: wire, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
    tls.on('error', () => {});
  });
}

export interface ProbeOptions {
  /** `host:port` of the link. */
  address: string;
  hello: Buffer;
  /** How long the answer may take after the connect, ms. */
  waitMs: number;
  /** Also hang up with a FIN and wait this long for the other side's, ms. */
  awaitCloseMs?: number;
}

/** Never rejects; bounded by `waitMs` + `awaitCloseMs` + 1 s for the connect. */
export function probeLink(options: ProbeOptions): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const { host, port } = parseHostPort(options.address);
    const socket = connect({ host, port, noDelay: true });
    const result: ProbeResult = {
      outcome: 'refused',
      connected: false,
      roundTripMs: null,
      firstPieceBytes: 0,
      closeMs: null,
    };
    let timer = setTimeout(() => finish('silent'), 1000);
    let saidAt = 0;
    let hungUpAt: number | null = null;

    const finish = (outcome: ProbeResult['outcome']): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.destroy();
      resolve({ ...result, outcome });
    };
    const hangUp = (): void => {
      hungUpAt = performance.now();
      socket.end();
      clearTimeout(timer);
      timer = setTimeout(() => finish('answered'), options.awaitCloseMs);
    };
    socket.once('connect', () => {
      result.connected = true;
      saidAt = performance.now();
      socket.write(options.hello);
      clearTimeout(timer);
      timer = setTimeout(() => finish('silent'), options.waitMs);
    });
    socket.on('data', (chunk: Buffer) => {
      if (result.roundTripMs !== null) return;
      result.roundTripMs = performance.now() - saidAt;
      result.firstPieceBytes = chunk.length;
      if (options.awaitCloseMs === undefined) finish('answered');
      else hangUp();
    });
    socket.on('end', () => {
      if (hungUpAt !== null) result.closeMs = performance.now() - hungUpAt;
      finish(result.roundTripMs === null ? 'ended' : 'answered');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (hungUpAt !== null) result.closeMs = performance.now() - hungUpAt;
      if (result.roundTripMs !== null) finish('answered');
      else finish(error.code === 'ECONNREFUSED' ? 'refused' : 'reset');
    });
  });
}

/** A connection that only stands there, to see how it ends. */
export interface HeldConnection {
  /** How it ended: an error code or `closed`. */
  ended: Promise<string>;
  isOpen(): boolean;
  close(): void;
}

/** Whoever can dial links: this process, or somebody who stands where the nodes stand. */
export interface LinkDialler {
  probe(options: ProbeOptions): Promise<ProbeResult>;
  /** Rejects where no connection can be made. */
  hold(address: string): Promise<HeldConnection>;
}

export const ownDialler: LinkDialler = { probe: probeLink, hold: holdConnection };

function holdConnection(address: string): Promise<HeldConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...parseHostPort(address), noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.resume();
      const ended = new Promise<string>((tell) => {
        socket.once('error', (error: NodeJS.ErrnoException) => tell(error.code ?? error.message));
        socket.once('close', () => tell('closed'));
      });
      socket.on('error', () => {});
      resolve({ ended, isOpen: () => !socket.destroyed, close: () => socket.destroy() });
    });
  });
}
