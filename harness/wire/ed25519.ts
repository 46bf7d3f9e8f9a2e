/**
 * Ed25519 as profile §3.1 wants it: RFC 8032, cofactorless, S < L, R compared byte for byte, no public key with y ≥ p or
 * of small order. Knows bytes only. Two checkers: `verifyExact` is the judge, on @noble/ed25519's points (about 1.2 ms);
 * `verify` lets OpenSSL say yes (about 0.1 ms) and asks the judge whenever OpenSSL says no.
 */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  verify as opensslVerify,
  sign,
} from 'node:crypto';
import { etc, hashes, sign as nobleSign, Point } from '@noble/ed25519';

hashes.sha512 = (message) => new Uint8Array(createHash('sha512').update(message).digest());

const fieldPrime = 2n ** 255n - 19n;
/** The order of the prime-order subgroup. */
export const groupOrder = 2n ** 252n + 27742317777372353535851937790883648493n;

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

/** y (sign bit cleared) of the eight points of small order; a test derives them again. */
const smallOrderYs: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  fieldPrime - 1n,
  littleEndian(Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex')),
  littleEndian(Buffer.from('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'hex')),
]);

/** Whether §3.1 refuses the key before any equation: wrong length, y ≥ p, or small order. */
export function refusedKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== 32) return true;
  const y = littleEndian(publicKey) & (2n ** 255n - 1n);
  return y >= fieldPrime || smallOrderYs.has(y);
}

/**
 * The judge: encode(S·B − k·A) equals R byte for byte, with k reduced modulo L (as libsodium and OpenSSL do; it matters
 * only for keys with a torsion part). A small-order R is taken if the equation holds. Never throws.
 */
export function verifyExact(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64 || refusedKey(publicKey)) return false;
  const s = littleEndian(signature.subarray(32));
  if (s >= groupOrder) return false;
  let a: Point;
  try {
    a = Point.fromBytes(Uint8Array.from(publicKey), false);
  } catch {
    return false;
  }
  const r = signature.subarray(0, 32);
  const digest = createHash('sha512').update(r).update(publicKey).update(message).digest();
  const k = etc.mod(littleEndian(digest), groupOrder);
  const point = Point.BASE.multiply(s, false).add(a.multiply(k, false).negate());
  return Buffer.from(point.toBytes()).equals(r);
}

const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

const keysKept = 4096;
const openKeys = new Map<string, KeyObject | null>();

/** The key for OpenSSL, or null where §3.1 or OpenSSL refuses it. Kept, because making one costs as much as using it. */
function openKey(publicKey: Uint8Array): KeyObject | null {
  const name = Buffer.from(publicKey).toString('latin1');
  const kept = openKeys.get(name);
  if (kept !== undefined) return kept;
  let key: KeyObject | null = null;
  if (!refusedKey(publicKey)) {
    try {
      key = createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' });
    } catch {
      key = null;
    }
  }
  if (openKeys.size >= keysKept) openKeys.clear();
  openKeys.set(name, key);
  return key;
}

/**
 * For monitors, at high volume. After the key checks OpenSSL's yes stands: it is cofactorless and compares bytes as well
 * (the vectors hold it to that). Its no is judged again by `verifyExact`, so that nobody is accused on OpenSSL's word.
 */
export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  const key = openKey(publicKey);
  if (key !== null && opensslVerify(null, message, key, signature)) return true;
  return verifyExact(publicKey, message, signature);
}

const signingKeys = new Map<string, KeyObject>();

/** PKCS#8 DER of a 32-byte seed. */
export function pkcs8(seed: Uint8Array): Buffer {
  return Buffer.concat([pkcs8Prefix, seed]);
}

/** X.509 SubjectPublicKeyInfo DER of a raw public key. */
export function spki(publicKey: Uint8Array): Buffer {
  return Buffer.concat([spkiPrefix, publicKey]);
}

/** RFC 8032 signature, 64 bytes, by OpenSSL: deterministic, so the same bytes as `signExact`, and thirty times faster. */
export function signFast(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return sign(null, message, privateKeyOf(seed));
}

/** The key object of a 32-byte seed, made once: an identity is asked for it several times. */
export function privateKeyOf(seed: Uint8Array): KeyObject {
  const name = Buffer.from(seed).toString('latin1');
  let key = signingKeys.get(name);
  if (key === undefined) {
    key = createPrivateKey({ key: pkcs8(seed), format: 'der', type: 'pkcs8' });
    if (signingKeys.size >= keysKept) signingKeys.clear();
    signingKeys.set(name, key);
  }
  return key;
}

/** RFC 8032 signature by @noble/ed25519. */
export function signExact(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return nobleSign(Uint8Array.from(message), Uint8Array.from(seed));
}

/** The raw public key of a 32-byte seed. */
export function publicKeyOf(seed: Uint8Array): Uint8Array {
  const key = createPublicKey(privateKeyOf(seed));
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-32));
}
