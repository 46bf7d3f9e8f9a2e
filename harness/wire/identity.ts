/**
 * Who a puppet is: an Ed25519 key made from a seed, and the ids that follow from it (profile §1). Certificates are
 * `authority.ts`.
 */

import { createHash, randomBytes } from 'node:crypto';
import { encodeBase64 } from './base64.ts';
import { privateKeyOf, publicKeyOf } from './ed25519.ts';

export interface Identity {
  /** 32-byte RFC 8032 secret. */
  readonly secret: Uint8Array;
  /** Raw 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly publicKeyBase64: string;
  readonly nodeId: string;
  readonly agentId: string;
  /** PKCS#8 PEM. */
  readonly keyPem: string;
}

/** Lower-case hex SHA-256; a string is hashed as UTF-8. */
export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** `node_` + first 40 hex digits of SHA-256(raw public key) (§1). */
export function nodeIdOf(publicKey: Uint8Array): string {
  return `node_${sha256(publicKey).slice(0, 40)}`;
}

/**
 * Deterministic: one seed, one identity. A string seed is hashed; 32 bytes are the secret itself. `agentId` defaults to
 * `agent_` + 12 hex digits of the node id.
 */
export function identityFrom(seed: string | Uint8Array, agentId?: string): Identity {
  const secret =
    typeof seed === 'string'
      ? new Uint8Array(createHash('sha256').update(seed).digest())
      : Uint8Array.from(seed);
  if (secret.length !== 32) throw new Error(`a seed has 32 bytes, not ${secret.length}`);
  const publicKey = publicKeyOf(secret);
  const nodeId = nodeIdOf(publicKey);
  return {
    secret,
    publicKey,
    publicKeyBase64: encodeBase64(publicKey),
    nodeId,
    agentId: agentId ?? `agent_${nodeId.slice(5, 17)}`,
    keyPem: privateKeyOf(secret).export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

/** An identity nobody has had before. */
export function freshIdentity(agentId?: string): Identity {
  return identityFrom(new Uint8Array(randomBytes(32)), agentId);
}
