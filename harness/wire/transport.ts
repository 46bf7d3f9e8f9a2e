/**
 * From an address to an upgraded WebSocket: TCP, TLS 1.3 with both certificates, HTTP upgrade (profile §2), each step with
 * whatever deviation a test asks for. Refusals are values. Knows no frames and no envelopes.
 */

import { createHash, randomBytes } from 'node:crypto';
import { type Socket, connect as tcpConnect } from 'node:net';
import {
  createSecureContext,
  type SecureContext,
  type SecureVersion,
  type TLSSocket,
  type ConnectionOptions as TlsConnectionOptions,
  connect as tlsConnect,
} from 'node:tls';

export const tlsSuite = 'TLS_AES_256_GCM_SHA384';
export const subprotocol = 'cle-net.v1';
const webSocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const longestHead = 16_384;

/** A connection that did not come about: a value, because for a judge it is an observation like any other. */
export interface Refused {
  kind: 'refused';
  /** `tcp`: nobody there; `tls`: alert or handshake failure; `http`: an answer other than a proper 101; `closed`: it just ended. */
  stage: 'tcp' | 'tls' | 'http' | 'closed';
  detail: string;
  /** performance.now of the moment it was known. */
  at: number;
  httpStatus?: number;
  /** OpenSSL's words for the alert received, e.g. `tlsv13 alert certificate required`. */
  alert?: string;
  /** Nobody refused: nothing came within the bound. */
  timedOut?: true;
}

export interface TlsSettings {
  minVersion?: SecureVersion;
  maxVersion?: SecureVersion;
  /** OpenSSL names, TLS 1.3 suites included. Default the one suite. */
  ciphers?: string;
  /** Present no certificate. */
  anonymous?: boolean;
  /** A session of an earlier connection (`Connection.session()`), to see whether it is resumed. */
  session?: Buffer;
}

export interface UpgradeSettings {
  /** Default `/`. */
  path?: string;
  /** Default `cle-net.v1`; null: none offered. */
  protocol?: string | null;
  /** A `Sec-WebSocket-Extensions` offer, e.g. `permessage-deflate`. */
  extensions?: string;
  /** Further header lines, verbatim. */
  headers?: readonly string[];
}

export interface Credentials {
  keyPem: string;
  /** Leaf first. */
  chainPem: string;
  caPem: string;
}

/** An open TLS connection before any HTTP. */
export interface OpenTls {
  kind: 'tls';
  socket: TLSSocket;
  /** The TCP socket below, for a true reset. */
  tcp: Socket;
  /** The latest session ticket that the server sent. */
  session(): Buffer | undefined;
}

/** An upgraded connection; `rest` came with the answer. */
export interface Upgraded {
  kind: 'upgraded';
  rest: Buffer;
  status: number;
  /** Lower-case names. */
  headers: ReadonlyMap<string, string>;
}

/** `host:port`, IPv6 as `[addr]:port` (§5). */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
  if (match === null) throw new Error(`no host:port: ${address}`);
  return { host: (match[1] ?? match[2]) as string, port: Number(match[3]) };
}

function refused(stage: Refused['stage'], detail: string, more: Partial<Refused> = {}): Refused {
  return { kind: 'refused', stage, detail, at: performance.now(), ...more };
}

/** How a socket error reads to a judge. */
export function failureOf(error: NodeJS.ErrnoException & { reason?: string }): {
  how: 'reset' | 'tls-alert' | 'error';
  detail: string;
  alert?: string;
} {
  const code = error.code ?? '';
  const detail = `${code} ${error.reason ?? error.message}`.trim();
  if (/ALERT/.test(code)) return { how: 'tls-alert', detail, alert: error.reason ?? code };
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNABORTED') return { how: 'reset', detail };
  return { how: 'error', detail };
}

export async function openTcp(
  address: string,
  { withinMs = 5_000, localAddress }: { withinMs?: number; localAddress?: string } = {},
): Promise<Socket | Refused> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve) => {
    const socket = tcpConnect({ host, port, noDelay: true, ...(localAddress ? { localAddress } : {}) });
    const settle = (outcome: Socket | Refused): void => {
      clearTimeout(timer);
      socket.off('error', onError);
      if (outcome !== socket) socket.on('error', () => {}).destroy();
      resolve(outcome);
    };
    const onError = (error: NodeJS.ErrnoException): void => settle(refused('tcp', failureOf(error).detail));
    const timer = setTimeout(
      () => settle(refused('tcp', `no TCP connection within ${withinMs} ms`, { timedOut: true })),
      withinMs,
    );
    socket.once('error', onError);
    socket.once('connect', () => settle(socket));
  });
}

/** TCP and TLS. With TLS 1.3 a server's refusal of our certificate is not seen here but at the first read. */
export async function openTls(
  credentials: Credentials,
  address: string,
  settings: TlsSettings & { withinMs?: number; localAddress?: string } = {},
): Promise<OpenTls | Refused> {
  const withinMs = settings.withinMs ?? 5_000;
  const tcp = await openTcp(address, settings);
  if ('kind' in tcp) return tcp;
  const options: TlsConnectionOptions = {
    socket: tcp,
    secureContext: contextOf(credentials, settings),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(settings.session ? { session: settings.session } : {}),
  };
  return new Promise((resolve) => {
    const socket = tlsConnect(options);
    let ticket: Buffer | undefined;
    socket.on('session', (session: Buffer) => {
      ticket = session;
    });
    const settle = (outcome: OpenTls | Refused): void => {
      clearTimeout(timer);
      socket.off('error', onError).off('close', onClose);
      if (outcome.kind === 'refused') socket.on('error', () => {}).destroy();
      resolve(outcome);
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      const failure = failureOf(error);
      const stage = failure.how === 'reset' ? 'closed' : 'tls';
      settle(refused(stage, failure.detail, failure.alert === undefined ? {} : { alert: failure.alert }));
    };
    const onClose = (): void => settle(refused('closed', 'ended during the TLS handshake'));
    const timer = setTimeout(
      () => settle(refused('tls', `no TLS within ${withinMs} ms`, { timedOut: true })),
      withinMs,
    );
    tcp.on('error', () => {});
    socket.once('error', onError).once('close', onClose);
    socket.once('secureConnect', () => settle({ kind: 'tls', socket, tcp, session: () => ticket }));
  });
}

/** Of credentials that dial again and again: to read key and certificates costs more than the handshake (0.6 ms). */
const contexts = new WeakMap<Credentials, SecureContext>();

function contextOf(credentials: Credentials, settings: TlsSettings): SecureContext {
  const { minVersion, maxVersion, ciphers, anonymous } = settings;
  const isUsual = [minVersion, maxVersion, ciphers, anonymous].every((setting) => setting === undefined);
  const known = isUsual ? contexts.get(credentials) : undefined;
  if (known !== undefined) return known;
  const made = createSecureContext({
    minVersion: minVersion ?? 'TLSv1.3',
    maxVersion: maxVersion ?? 'TLSv1.3',
    ciphers: ciphers ?? tlsSuite,
    ca: credentials.caPem,
    ...(anonymous ? {} : { key: credentials.keyPem, cert: credentials.chainPem }),
  });
  if (isUsual) contexts.set(credentials, made);
  return made;
}

/** Reads an HTTP head; resolves with it and what followed, or with why there was none. */
export function readHead(
  socket: TLSSocket,
  withinMs: number,
): Promise<{ head: string; rest: Buffer } | Refused> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const settle = (outcome: { head: string; rest: Buffer } | Refused): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('end', onEnd).off('close', onEnd);
      socket.pause();
      resolve(outcome);
    };
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0) settle({ head: bytes.toString('latin1', 0, end), rest: bytes.subarray(end + 4) });
      else if (bytes.length > longestHead) settle(refused('http', 'endless HTTP head'));
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      const failure = failureOf(error);
      const stage = failure.how === 'tls-alert' ? 'tls' : 'closed';
      settle(refused(stage, failure.detail, failure.alert === undefined ? {} : { alert: failure.alert }));
    };
    const onEnd = (): void => settle(refused('closed', `ended after ${bytes.length} bytes of an HTTP head`));
    const timer = setTimeout(
      () => settle(refused('http', `no HTTP head within ${withinMs} ms`, { timedOut: true })),
      withinMs,
    );
    socket.on('data', onData).once('error', onError).once('end', onEnd).once('close', onEnd);
  });
}

/** First line and headers (lower-case names; the last of a repeated one). */
export function parseHead(head: string): { first: string; headers: Map<string, string> } {
  const [first = '', ...lines] = head.split('\r\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return { first, headers };
}

/** What RFC 6455 §4.2.2 asks of `Sec-WebSocket-Accept`. */
export function acceptFor(key: string): string {
  return createHash('sha1')
    .update(key + webSocketGuid)
    .digest('base64');
}

/** The dialer's upgrade. A 101 with a wrong accept hash or without the subprotocol is refused at stage `http`, too. */
export async function upgrade(
  socket: TLSSocket,
  host: string,
  settings: UpgradeSettings = {},
  withinMs = 5_000,
): Promise<Upgraded | Refused> {
  const key = randomBytes(16).toString('base64');
  const protocol = settings.protocol === undefined ? subprotocol : settings.protocol;
  const lines = [
    `GET ${settings.path ?? '/'} HTTP/1.1`,
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    ...(protocol === null ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ...(settings.extensions === undefined ? [] : [`Sec-WebSocket-Extensions: ${settings.extensions}`]),
    ...(settings.headers ?? []),
  ];
  const answer = readHead(socket, withinMs);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  const read = await answer;
  if ('kind' in read) return read;
  const { first, headers } = parseHead(read.head);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) return refused('http', `no HTTP answer: ${first.slice(0, 100)}`);
  if (status !== 101) return refused('http', first, { httpStatus: status });
  if (headers.get('sec-websocket-accept') !== acceptFor(key)) {
    return refused('http', '101 with a wrong Sec-WebSocket-Accept', { httpStatus: 101 });
  }
  if (protocol === subprotocol && headers.get('sec-websocket-protocol') !== subprotocol) {
    return refused('http', `101 without the subprotocol ${subprotocol}`, { httpStatus: 101 });
  }
  return { kind: 'upgraded', rest: read.rest, status, headers };
}
