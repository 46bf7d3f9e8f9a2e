/**
 * Ed25519 for `World.sign` and `World.verify`, judged exactly as profile §3.1 says: RFC 8032, cofactorless, S < L, no
 * public key with y ≥ p or of small order. libsodium does the work where its binary loads, OpenSSL elsewhere; both give
 * the same verdict on every input. Knows keys and bytes, nothing of envelopes.
 */

import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as opensslSign,
  verify as opensslVerify,
} from 'node:crypto';

export interface Signing {
  /** Which library answers, for the log. */
  readonly backend: 'libsodium' | 'openssl';
  /** 64 bytes. `seed` is the 32-byte private key of RFC 8032. */
  signer(seed: Uint8Array, publicKey: Uint8Array): (message: Uint8Array) => Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** The y coordinates of the 8 points of small order: little-endian, sign bit cleared. */
const SMALL_ORDER_Y = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** libsodium if its binary is there, else OpenSSL with the checks it lacks. `only` pins one (tests). */
export async function loadSigning(only?: 'libsodium' | 'openssl'): Promise<Signing> {
  if (only !== 'openssl') {
    const sodium = await loadSodium();
    if (sodium) return withSodium(sodium);
    if (only === 'libsodium') throw new Error('sodium-native has no binary for this platform');
  }
  return { backend: 'openssl', signer: opensslSigner, verify: opensslVerifyStrictly };
}

/** §3.1: a public key that must be refused: y ≥ p, or one of the 8 points of small order in whatever sign. */
function isRefusedKey(publicKey: Uint8Array): boolean {
  return publicKey.length !== 32 || isNonCanonicalY(publicKey) || isSmallOrder(publicKey);
}

type Sodium = typeof import('sodium-native/binding.js').default;

async function loadSodium(): Promise<Sodium | null> {
  try {
    return (await import('sodium-native/binding.js')).default;
  } catch {
    return null;
  }
}

function withSodium(sodium: Sodium): Signing {
  return {
    backend: 'libsodium',
    signer(seed, publicKey) {
      const secretKey = Buffer.concat([seed, publicKey]);
      return (message) => {
        const signature = new Uint8Array(64);
        if (sodium.crypto_sign_detached(signature, message, secretKey) !== 0)
          throw new Error('libsodium does not sign');
        return signature;
      };
    },
    verify(publicKey, message, signature) {
      if (publicKey.length !== 32 || signature.length !== 64) return false;
      if (sodiumVerify(sodium, publicKey, message, signature)) return true;
      // The one case in which libsodium refuses what §3.1 allows: R is a point of small order and the equation holds.
      return isSmallOrder(signature) && opensslVerifyStrictly(publicKey, message, signature);
    },
  };
}

function sodiumVerify(
  sodium: Sodium,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return sodium.crypto_sign_verify_detached(
    signature.buffer,
    signature.byteOffset,
    signature.length,
    message.buffer,
    message.byteOffset,
    message.length,
    publicKey.buffer,
    publicKey.byteOffset,
    publicKey.length,
  );
}

function opensslVerifyStrictly(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64 || isRefusedKey(publicKey)) return false;
  const key = importPublicKey(publicKey);
  return key !== null && opensslVerify(null, message, key, signature);
}

function opensslSigner(seed: Uint8Array, publicKey: Uint8Array): (message: Uint8Array) => Uint8Array {
  const key = createPrivateKey({
    key: { kty: 'OKP', crv: 'Ed25519', d: base64Url(seed), x: base64Url(publicKey) },
    format: 'jwk',
  });
  return (message) => opensslSign(null, message, key);
}

const IMPORTED_KEYS_LIMIT = 512;
const importedKeys = new Map<string, KeyObject>();

function importPublicKey(publicKey: Uint8Array): KeyObject | null {
  const x = base64Url(publicKey);
  const known = importedKeys.get(x);
  if (known) return known;
  let key: KeyObject;
  try {
    // As JWK: importing SPKI costs as much as a verification.
    key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  } catch {
    return null;
  }
  if (importedKeys.size >= IMPORTED_KEYS_LIMIT) importedKeys.delete(importedKeys.keys().next().value!);
  importedKeys.set(x, key);
  return key;
}

/** Of the first 32 bytes. y ≥ p = 2^255 − 19, whatever the sign bit. */
function isNonCanonicalY(point: Uint8Array): boolean {
  if ((point[31]! & 0x7f) !== 0x7f || point[0]! < 0xed) return false;
  for (let i = 1; i < 31; i++) if (point[i] !== 0xff) return false;
  return true;
}

/** Of the first 32 bytes, read as an encoded point. */
function isSmallOrder(point: Uint8Array): boolean {
  const y = Buffer.from(point.subarray(0, 32));
  y[31]! &= 0x7f;
  return SMALL_ORDER_Y.has(y.toString('hex'));
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}
