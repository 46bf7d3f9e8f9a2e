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
  let socket: TLSSocket | undefined;
  let webSocket: WebSocket | undefined;
  const end = () => {
    over = true;
    clearTimeout(timer);
    webSocket?.terminate();
    socket?.destroy();
  };
  const fail = (reason: string) => {
    if (over) return;
    end();
    events.failed(reason);
  };
  const onError = (error: Error) => fail(reasonOf(error));
  const open = (host: string, port: number) => {
    const raw = openSocket(host, port, options);
    socket = raw;
    // A name that nobody has, or a refused connection, is told here before there is an upgrade that could fail.
    raw.on('error', onError);
    const upgrading = upgrade(host, port, raw);
    webSocket = upgrading;
    upgrading.on('error', onError);
    upgrading.on('close', () => fail('closed before the upgrade'));
    upgrading.on('open', () => {
      const certificate = peerCertificate(raw);
      if (over) return;
      if (!certificate || !options.isProof(certificate))
        return fail("the acceptor's certificate proves no node");
      if (upgrading.protocol !== SUBPROTOCOL) return fail(`no subprotocol ${SUBPROTOCOL}`);
      over = true;
      clearTimeout(timer);
      upgrading.removeAllListeners('close');
      raw.off('error', onError);
      events.upgraded(upgrading, raw, certificate);
    });
  };
  const timer = setTimeout(() => fail(`no connection within ${options.timeoutMs} ms`), options.timeoutMs);
  const target = parseAddress(address);
  if (!target || target.port === 0) setImmediate(fail, 'not an address');
  else {
    try {
      open(target.host, target.port);
    } catch (error) {
      setImmediate(fail, reasonOf(error));
    }
  }
  return {
    cancel() {
      if (!over) end();
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

/** The URL names nobody: what peers call an address (`[fe80::1%lo]:9`) need not fit into one. The request says whom it is for. */
function upgrade(host: string, port: number, socket: TLSSocket): WebSocket {
  return new WebSocket('wss://cle-net/', SUBPROTOCOL, {
    ...WEB_SOCKET_OPTIONS,
    headers: { Host: addressOf({ host, port }) },
    createConnection: () => socket,
  });
}
