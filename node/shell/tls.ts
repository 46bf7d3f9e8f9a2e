/**
 * TLS as profile §2 wants it: version 1.3 with `TLS_AES_256_GCM_SHA384` or nothing, both sides show a certificate, nothing is
 * ever resumed, host names mean nothing. Owns the options and the peer's certificate: TLS proves that the peer has its key,
 * what else it must prove (§1) is judged by whoever uses the connection. Knows no address and no WebSocket.
 */

import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls';
import type { OwnIdentity } from './identity.ts';

const SUITE = 'TLS_AES_256_GCM_SHA384';

/** What both roles have in common. */
export function secureOptions(pem: OwnIdentity['pem']): SecureContextOptions {
  return {
    key: pem.key,
    cert: pem.certificate,
    // None: with a CA, or without this line, Node.js first reads its 140 root certificates, which takes longer than all the rest
    // of a node's start. §1 asks for more than OpenSSL checks, so every certificate is judged by `readCertificate` anyway.
    ca: [],
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: SUITE,
    // Node.js cannot stop session tickets; with this option those that it sends are unusable (§11).
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** The dialer's context, made once: making one per dial costs half a millisecond. */
export function dialContext(pem: OwnIdentity['pem']): SecureContext {
  return createSecureContext(secureOptions(pem));
}

/** DER of the certificate that the peer showed, and whose key it has; null if it showed none or the socket is gone. */
export function peerCertificate(socket: TLSSocket): Uint8Array | null {
  return socket.getPeerX509Certificate()?.raw ?? null;
}
