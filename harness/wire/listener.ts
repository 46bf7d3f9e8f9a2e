/**
 * A puppet that is dialled: a TLS listener with our own upgrade, honest or not, that remembers every attempt. Connections
 * are the same as those of `dial`. Also a bare TCP listener for worse company.
 */

import { constants } from 'node:crypto';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { type Proof, proofOf } from './certificate.ts';
import { type Connection, type ConnectionOptions, openConnection } from './connection.ts';
import { describeOutcome, type HandshakeOptions, type HandshakeOutcome, handshake } from './handshake.ts';
import { Unseen, within } from './inbox.ts';
import { credentialsOf, type Puppet } from './puppet.ts';
import {
  acceptFor,
  failureOf,
  parseHead,
  readHead,
  splitAddress,
  subprotocol,
  type TlsSettings,
  tlsSuite,
} from './transport.ts';

export interface ListenOptions extends ConnectionOptions {
  tls?: Omit<TlsSettings, 'session' | 'anonymous'>;
  /** Plays the acceptor's handshake on each connection with these options; null: only upgrades. Default `{}`. */
  handshake?: HandshakeOptions | null;
  /** Sends tickets and resumes sessions, which §2 forbids. */
  resumes?: boolean;
  /** Answer the upgrade with this HTTP status in place of 101. */
  refuseWith?: number;
  /** In the 101; null: none. Default `cle-net.v1`. */
  protocol?: string | null;
  /** Do this with a connection's TLS socket in place of any HTTP. */
  afterTls?: (socket: TLSSocket) => void;
  onConnection?: (connection: Connection) => void;
}

/** One attempt to connect to the listener, however far it came. */
export interface Attempt {
  /** performance.now of the TCP accept. */
  readonly at: number;
  readonly remote: string;
  stage: 'tcp' | 'tls' | 'http' | 'connected';
  /** Why it went no further. */
  failure: string | null;
  /** What the dialer's certificate proves, once TLS is up; null where it presented none. */
  peer: Proof | string | null;
  /** TLS 1.3 suite and version, once up. */
  tls: { protocol: string | null; cipher: string } | null;
  /** Request line and headers of its upgrade. */
  request: { first: string; headers: ReadonlyMap<string, string> } | null;
  connection: Connection | null;
}

export interface Listener {
  readonly puppet: Puppet;
  /** `host:port` with the true port. */
  readonly address: string;
  readonly port: number;
  readonly attempts: readonly Attempt[];
  /** Upgraded connections in order. */
  readonly accepted: readonly Connection[];
  /** The handshake's outcome per connection; empty with `handshake: null`. */
  readonly outcomes: ReadonlyMap<Connection, Promise<HandshakeOutcome>>;
  /** The earliest connection not yet taken by `next`; rejects with `Unseen`. */
  next(withinMs?: number): Promise<Connection>;
  /** `next`, and its handshake done; rejects with `Unseen`. */
  nextJoined(withinMs?: number): Promise<Connection>;
  /** Ends all connections (without close frames) and stops listening. */
  close(): Promise<void>;
}

/** Listens on `host` (IPv6 without brackets); port 0 takes a free one. Throws where the address cannot be bound. */
export async function listen(
  puppet: Puppet,
  host: string,
  port: number,
  options: ListenOptions = {},
): Promise<Listener> {
  const server = tlsServer(puppet, options);
  const attempts: Attempt[] = [];
  const outcomes = new Map<Connection, Promise<HandshakeOutcome>>();
  const arrivals = queue<Connection>();
  const open = watchSockets(server, attempts, (socket, tcp, attempt) =>
    onSecure(puppet, options, { socket, tcp, attempt }, (connection) => {
      if (options.handshake !== null) outcomes.set(connection, handshake(connection, options.handshake));
      options.onConnection?.(connection);
      arrivals.push(connection);
    }),
  );
  await listening(server, host, port);
  const address = addressOf(server, host);

  const next = async (withinMs = 5_000): Promise<Connection> => {
    const connection = await arrivals.shift(withinMs);
    if (connection !== null) return connection;
    throw new Unseen(`${puppet.name}: nobody connected to ${address} within ${withinMs} ms`, null);
  };
  return {
    puppet,
    address,
    port: splitAddress(address).port,
    attempts,
    accepted: arrivals.all,
    outcomes,
    next,
    async nextJoined(withinMs = 5_000) {
      const connection = await next(withinMs);
      const outcome = await outcomes.get(connection);
      if (outcome?.kind === 'connected') return connection;
      const how = outcome === undefined ? 'not played' : describeOutcome(outcome);
      throw new Unseen(`${connection.label}: handshake ${how}`, connection.ended);
    },
    close() {
      for (const connection of arrivals.all) connection.destroy();
      for (const tcp of open.keys()) tcp.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function tlsServer(puppet: Puppet, options: ListenOptions): TlsServer {
  const credentials = credentialsOf(puppet);
  return createTlsServer({
    key: credentials.keyPem,
    cert: credentials.chainPem,
    ca: credentials.caPem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: options.tls?.minVersion ?? 'TLSv1.3',
    maxVersion: options.tls?.maxVersion ?? 'TLSv1.3',
    ciphers: options.tls?.ciphers ?? tlsSuite,
    // Node.js sends tickets in any case; with this option they cannot be used (§11).
    secureOptions: options.resumes ? 0 : constants.SSL_OP_NO_TICKET,
    noDelay: true,
    allowHalfOpen: false,
  });
}

interface OpenAttempt {
  socket: TLSSocket;
  tcp: Socket;
  attempt: Attempt;
}

/** Records every attempt from its TCP accept on; returns the open TCP sockets. */
function watchSockets(
  server: TlsServer,
  attempts: Attempt[],
  secured: (socket: TLSSocket, tcp: Socket, attempt: Attempt) => Promise<void>,
): Map<Socket, Attempt> {
  const open = new Map<Socket, Attempt>();
  // A TLS socket and the TCP socket below it are told to be one by the remote end they share.
  const below = (socket: TLSSocket): [Socket, Attempt] | undefined =>
    [...open].find(
      ([tcp]) => tcp.remotePort === socket.remotePort && tcp.remoteAddress === socket.remoteAddress,
    );
  server.on('connection', (tcp: Socket) => {
    const attempt: Attempt = {
      at: performance.now(),
      remote: `${tcp.remoteAddress}|${tcp.remotePort}`,
      stage: 'tcp',
      failure: null,
      peer: null,
      tls: null,
      request: null,
      connection: null,
    };
    attempts.push(attempt);
    open.set(tcp, attempt);
    tcp.on('error', () => {});
    tcp.on('close', () => {
      open.delete(tcp);
      if (attempt.stage !== 'connected') attempt.failure ??= 'ended';
    });
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const entry = below(socket);
    if (entry !== undefined) entry[1].failure = failureOf(error).detail;
    socket.destroy();
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const entry = below(socket);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (entry !== undefined) entry[1].failure ??= failureOf(error).detail;
    });
    if (entry === undefined) socket.destroy();
    else void secured(socket, ...entry);
  });
  return open;
}

async function onSecure(
  puppet: Puppet,
  options: ListenOptions,
  { socket, tcp, attempt }: OpenAttempt,
  upgradedTo: (connection: Connection) => void,
): Promise<void> {
  attempt.stage = 'tls';
  attempt.tls = { protocol: socket.getProtocol(), cipher: socket.getCipher()?.standardName ?? '' };
  const der = socket.getPeerX509Certificate()?.raw;
  attempt.peer = der === undefined ? null : proofOf(der, puppet.caPem);
  if (options.afterTls !== undefined) {
    options.afterTls(socket);
    return;
  }
  const upgraded = await answerUpgrade(socket, attempt, options);
  if (upgraded === null) return;
  attempt.stage = 'connected';
  const label = options.label ?? `${puppet.name}<${attempt.remote.split('|')[1]}`;
  const below = { socket, tcp, session: () => undefined };
  const connection = openConnection(puppet, 'acceptor', below, upgraded, { ...options, label });
  attempt.connection = connection;
  upgradedTo(connection);
}

/** First in, first out; `shift` waits with a bound. */
function queue<T>(): { all: T[]; push(entry: T): void; shift(withinMs: number): Promise<T | null> } {
  const all: T[] = [];
  const untaken: T[] = [];
  const waiting: ((entry: T) => void)[] = [];
  return {
    all,
    push(entry) {
      all.push(entry);
      const waiter = waiting.shift();
      if (waiter === undefined) untaken.push(entry);
      else waiter(entry);
    },
    async shift(withinMs) {
      const there = untaken.shift();
      if (there !== undefined) return there;
      let give: (entry: T) => void = () => {};
      const coming = new Promise<T>((resolve) => {
        give = resolve;
        waiting.push(resolve);
      });
      const entry = await within(coming, withinMs);
      if (entry === null) waiting.splice(waiting.indexOf(give), 1);
      return entry;
    },
  };
}

function addressOf(server: Server, host: string): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the listener has no port');
  return `${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}

/** Reads the dialer's upgrade and answers it; null where there will be no WebSocket. */
async function answerUpgrade(
  socket: TLSSocket,
  attempt: Attempt,
  options: ListenOptions,
): Promise<{ rest: Buffer; headers: ReadonlyMap<string, string> } | null> {
  const read = await readHead(socket, 10_000);
  if ('kind' in read) {
    attempt.failure ??= read.detail;
    socket.destroy();
    return null;
  }
  attempt.stage = 'http';
  attempt.request = parseHead(read.head);
  const key = attempt.request.headers.get('sec-websocket-key');
  if (options.refuseWith !== undefined || key === undefined) {
    socket.end(
      `HTTP/1.1 ${options.refuseWith ?? 400} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    );
    attempt.failure = `answered ${options.refuseWith ?? 400}`;
    return null;
  }
  const protocol = options.protocol === undefined ? subprotocol : options.protocol;
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptFor(key)}`,
    ...(protocol === null ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  return { rest: read.rest, headers: attempt.request.headers };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

export interface TcpListener {
  readonly address: string;
  /** performance.now of each accept. */
  readonly accepts: readonly number[];
  close(): Promise<void>;
}

/** Accepts TCP and leaves each socket to `onSocket`; without it a black hole that never says a word. */
export async function listenTcp(
  host: string,
  port: number,
  onSocket: (socket: Socket) => void = () => {},
): Promise<TcpListener> {
  const sockets = new Set<Socket>();
  const accepts: number[] = [];
  const server = createTcpServer((socket) => {
    accepts.push(performance.now());
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  await listening(server, host, port);
  return {
    address: addressOf(server, host),
    accepts,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
