/**
 * TLS as profile §2 wants it: version 1.3 with `TLS_AES_256_GCM_SHA384` or nothing, both sides show a certificate of the
 * network's CA, nothing is ever resumed, host names mean nothing. Owns the options and the peer's certificate; knows no
 * address and no WebSocket.
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
    ca: pem.ca,
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

/** DER of the certificate that the peer showed, whose chain TLS has verified; null if the socket is already gone. */
export function peerCertificate(socket: TLSSocket): Uint8Array | null {
  return socket.getPeerX509Certificate()?.raw ?? null;
}
