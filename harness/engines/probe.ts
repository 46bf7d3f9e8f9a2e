/**
 * Is a node ready? Profile §10: "Ready = it accepts a TLS handshake." A probe connects, shakes hands with an identity of the
 * network's CA and goes away. It sends no message and judges nothing else; what is wrong with a node is for others to say.
 */

import { connect, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, connect as tlsConnect } from 'node:tls';

/** Identity and trust of whoever probes, PEM. */
export interface ProbeIdentity {
  keyPem: string;
  certificatePem: string;
  caPem: string;
}

export type ProbeOutcome =
  | { kind: 'ready' }
  /** Nobody listens (yet). */
  | { kind: 'refused' }
  /** Somebody listens, but there is no TLS 1.3 with the one suite: `detail` says what came instead. */
  | { kind: 'no-tls'; detail: string };

/** The context is made once per run: loading a certificate costs half a millisecond. */
export function probeContext(identity: ProbeIdentity): SecureContext {
  return createSecureContext({
    key: identity.keyPem,
    cert: identity.certificatePem,
    ca: identity.caPem,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_256_GCM_SHA384',
  });
}

/** One attempt. `withinMs` bounds TCP and TLS together. */
export async function probe(
  address: string,
  context: SecureContext,
  withinMs: number,
): Promise<ProbeOutcome> {
  const deadline = performance.now() + withinMs;
  const socket = await reach(address, withinMs);
  if (socket === null) return { kind: 'refused' };
  return shakeHands(socket, context, Math.max(1, deadline - performance.now()));
}

/** Plain TCP first: a refused connect is the common case while nodes come up and must cost little. */
function reach(address: string, withinMs: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(hostAndPort(address));
    const finish = (result: Socket | null): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      if (result === null) socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => finish(null), withinMs);
    socket.once('connect', () => finish(socket));
    socket.once('error', () => finish(null));
  });
}

function shakeHands(tcp: Socket, context: SecureContext, withinMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    // Whose certificate it is does not matter here; observers check it when they dial.
    const tls = tlsConnect({ socket: tcp, secureContext: context, rejectUnauthorized: false });
    const finish = (outcome: ProbeOutcome): void => {
      clearTimeout(timer);
      tls.removeAllListeners();
      tls.on('error', () => {});
      tls.end();
      // A node that leaves the connection half open must not keep it.
      setTimeout(() => {
        tls.destroy();
        tcp.destroy();
      }, 50).unref();
      resolve(outcome);
    };
    const timer = setTimeout(
      () => finish({ kind: 'no-tls', detail: 'no answer to the ClientHello' }),
      withinMs,
    );
    tls.once('secureConnect', () => finish({ kind: 'ready' }));
    tls.once('error', (error) => finish({ kind: 'no-tls', detail: readable(error) }));
    tls.once('close', () => finish({ kind: 'no-tls', detail: 'closed the connection during the handshake' }));
  });
}

/** What a TLS listener shows of itself; null where no handshake comes about. */
export async function presentedCertificate(
  address: string,
  context: SecureContext,
  withinMs: number,
): Promise<{ serialNumber: string; validTo: string } | null> {
  const tcp = await reach(address, withinMs);
  if (tcp === null) return null;
  return new Promise((resolve) => {
    const tls = tlsConnect({ socket: tcp, secureContext: context, rejectUnauthorized: false });
    const finish = (found: { serialNumber: string; validTo: string } | null): void => {
      clearTimeout(timer);
      tls.destroy();
      resolve(found);
    };
    const timer = setTimeout(() => finish(null), withinMs);
    tls.on('error', () => finish(null));
    tls.once('secureConnect', () => {
      const { serialNumber, valid_to: validTo } = tls.getPeerCertificate();
      finish({ serialNumber, validTo });
    });
  });
}

/** OpenSSL's reason without its file and line. */
function readable(error: Error & { code?: string; reason?: string }): string {
  return error.reason ?? error.code ?? error.message;
}

/** `host:port`, IPv6 as `[addr]:port`. */
export function hostAndPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return {
    host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
    port: Number(address.slice(colon + 1)),
  };
}
