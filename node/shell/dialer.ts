/**
 * Dialling: an address becomes an upgraded connection or a reason why not, within a bound. Owns names (the `hosts` map
 * before DNS, §10), TLS and the upgrade of the dialer's side; judges the certificate, but not whose it is.
 */

import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { reasonOf } from './configuration.ts';
import { WEB_SOCKET_OPTIONS } from './connection.ts';
import { addressOf, parseAddress } from './endpoint.ts';
import { peerCertificate } from './tls.ts';

export interface DialerOptions {
  /** Made at the first dial. */
  context: () => SecureContext;
  hosts: ReadonlyMap<string, string>;
  /** The whole dial: name, TCP, TLS, upgrade. */
  timeoutMs: number;
  /** Does this DER prove a node of the network now (§1)? */
  isProof(certificate: Uint8Array): boolean;
}

export interface DialEvents {
  upgraded(webSocket: WebSocket, socket: TLSSocket, certificate: Uint8Array): void;
  failed(reason: string): void;
}

/** Starts a dial; exactly one of the events follows, later than this call, unless it is cancelled. */
export function dial(address: string, options: DialerOptions, events: DialEvents): { cancel(): void } {
  let over = false;
  let webSocket: WebSocket | undefined;
  const fail = (reason: string) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    webSocket?.terminate();
    events.failed(reason);
  };
  const timer = setTimeout(() => fail(`no connection within ${options.timeoutMs} ms`), options.timeoutMs);
  const target = parseAddress(address);
  if (!target || target.port === 0) {
    setImmediate(fail, 'not an address');
    return { cancel: () => fail('cancelled') };
  }
  try {
    const socket = openSocket(target.host, target.port, options);
    webSocket = upgrade(target.host, target.port, socket);
    webSocket.on('error', (error) => fail(reasonOf(error)));
    webSocket.on('close', () => fail('closed before the upgrade'));
    webSocket.on('open', () => {
      const certificate = peerCertificate(socket);
      if (over || !webSocket) return;
      if (!certificate || !options.isProof(certificate))
        return fail("the acceptor's certificate proves no node");
      if (webSocket.protocol !== SUBPROTOCOL) return fail(`no subprotocol ${SUBPROTOCOL}`);
      over = true;
      clearTimeout(timer);
      webSocket.removeAllListeners('close');
      events.upgraded(webSocket, socket, certificate);
    });
  } catch (error) {
    setImmediate(fail, reasonOf(error));
  }
  return {
    cancel() {
      if (over) return;
      over = true;
      clearTimeout(timer);
      webSocket?.terminate();
    },
  };
}

/** §2. */
export const SUBPROTOCOL = 'cle-net.v1';

function openSocket(name: string, port: number, options: DialerOptions): TLSSocket {
  const host = options.hosts.get(name) ?? name;
  return connect({
    host,
    port,
    secureContext: options.context(),
    // Identity is the key: no name is compared (§2), so none is sent. With one, Node.js asks whether it is an IPv6 address, and
    // compiling that question costs 4 ms, a tenth of a node's start.
    checkServerIdentity: () => undefined,
    // `isProof` is what rejects.
    rejectUnauthorized: false,
  });
}

function upgrade(host: string, port: number, socket: TLSSocket): WebSocket {
  return new WebSocket(`wss://${addressOf({ host, port })}/`, SUBPROTOCOL, {
    ...WEB_SOCKET_OPTIONS,
    createConnection: () => socket,
  });
}
