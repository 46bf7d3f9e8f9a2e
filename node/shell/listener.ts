/**
 * Accepting: a TCP connection becomes an upgraded one within the time of §2, or ends. Owns the listening socket, TLS and
 * the upgrade of the acceptor's side, and the bound on those that are neither; judges the certificate, but not whose it is.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { ConfigurationError } from './configuration.ts';
import { WEB_SOCKET_OPTIONS } from './connection.ts';
import { SUBPROTOCOL } from './dialer.ts';
import { type Endpoint, whyNot } from './endpoint.ts';
import type { OwnIdentity } from './identity.ts';
import { peerCertificate, secureOptions } from './tls.ts';

/** Connections that are not upgraded yet. One more and the oldest goes: an honest one needs a few milliseconds. */
const HALF_OPEN_LIMIT = 256;

export interface ListenerOptions {
  /** Names the configuration in messages. */
  source: string;
  endpoint: Endpoint;
  pem: OwnIdentity['pem'];
  handshakeTimeoutMs: number;
  isProof(certificate: Uint8Array): boolean;
  accepted(webSocket: WebSocket, socket: TLSSocket, certificate: Uint8Array): void;
}

export interface Listener {
  /** The port in use, where any free one was asked for. */
  readonly port: number;
  /** Stops accepting and ends what is not upgraded. Upgraded connections are their owner's. */
  close(): void;
}

/** Resolves when it accepts TLS handshakes; a port in use or a foreign address is a ConfigurationError. */
export function listen(options: ListenerOptions): Promise<Listener> {
  const server = createServer({
    ...secureOptions(options.pem),
    requestCert: true,
    // `isProof` is what rejects.
    rejectUnauthorized: false,
    handshakeTimeout: options.handshakeTimeoutMs,
    // Our own bound runs from the accept to the upgrade; these would only be timers beside it.
    headersTimeout: 0,
    requestTimeout: 0,
    connectionsCheckingInterval: 86_400_000,
    maxHeaderSize: 8192,
  });
  const webSockets = new WebSocketServer({
    ...WEB_SOCKET_OPTIONS,
    noServer: true,
    clientTracking: false,
    handleProtocols: () => SUBPROTOCOL,
  });
  const halfOpen = limitHalfOpen(server, options.handshakeTimeoutMs);

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const status = pathOf(request) === '/' ? 426 : 404;
    response.writeHead(status, { Connection: 'close', 'Content-Length': '0' }).end();
  });
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const socket = stream as TLSSocket;
    socket.on('error', () => {});
    const certificate = peerCertificate(socket);
    if (pathOf(request) !== '/') return refuse(socket, '404 Not Found');
    if (!offers(request, SUBPROTOCOL)) return refuse(socket, '400 Bad Request');
    if (!certificate || !options.isProof(certificate)) return refuse(socket, '403 Forbidden');
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      halfOpen.upgraded(socket);
      options.accepted(webSocket, socket, certificate);
    });
  });
  server.on('clientError', (_error, stream) => stream.destroy());

  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new ConfigurationError(`${options.source}: listen: ${whyNot(error, options.endpoint)}`));
    });
    server.listen(options.endpoint.port, options.endpoint.host, 511, () => {
      // An accept that failed for want of descriptors: the next one may succeed.
      server.on('error', () => {});
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address ? address.port : options.endpoint.port,
        close() {
          server.close();
          halfOpen.endAll();
        },
      });
    });
  });
}

/** "From TCP accept to upgraded: `handshake_timeout_s`, else the connection is dropped" (§2), and a bound on their number. */
function limitHalfOpen(server: Server, timeoutMs: number) {
  // By address and port of the peer: the upgraded TLS socket does not tell which TCP socket it stands on.
  const waiting = new Map<string, { socket: Socket; timer: NodeJS.Timeout }>();
  const nameOf = (socket: Socket) => `${socket.remoteAddress} ${socket.remotePort}`;
  const forget = (name: string, socket?: Socket) => {
    const entry = waiting.get(name);
    if (!entry || (socket && entry.socket !== socket)) return;
    clearTimeout(entry.timer);
    waiting.delete(name);
  };
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    const timer = setTimeout(() => socket.destroy(), timeoutMs);
    waiting.set(name, { socket, timer });
    socket.once('close', () => forget(name, socket));
    if (waiting.size > HALF_OPEN_LIMIT) waiting.values().next().value?.socket.destroy();
  });
  return {
    upgraded: (socket: TLSSocket) => forget(nameOf(socket)),
    endAll() {
      for (const { socket } of [...waiting.values()]) socket.destroy();
    },
  };
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function offers(request: IncomingMessage, subprotocol: string): boolean {
  const header = request.headers['sec-websocket-protocol'] ?? '';
  return header.split(',').some((offer) => offer.trim() === subprotocol);
}

function refuse(socket: TLSSocket, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  // Who does not close either is cut by the bound on half-open connections.
}
