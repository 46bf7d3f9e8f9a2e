/**
 * Signatures and keys on the border of profile §3.1: right but for one thing, or strange and yet right. Each with the
 * verdict that the profile demands. Made on @noble/ed25519's points; used by the vectors and by conformance rows that wrap
 * them into envelopes and items.
 */

import { createHash } from 'node:crypto';
import { etc, Point, utils } from '@noble/ed25519';
import { groupOrder, signExact } from './ed25519.ts';

export interface HostileSignature {
  name: string;
  signature: Uint8Array;
  /** What §3.1 says of it under the honest public key. */
  valid: boolean;
}

const fieldPrime = 2n ** 255n - 19n;

/** Little-endian, 32 bytes unless told otherwise; the number must fit. */
export function encodeScalar(value: bigint, length = 32): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex').reverse();
}

export function decodeScalar(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

/** k of the equation: SHA-512(R ‖ A ‖ M) modulo L. */
export function challengeOf(r: Uint8Array, publicKey: Uint8Array, message: Uint8Array): bigint {
  return etc.mod(
    decodeScalar(createHash('sha512').update(r).update(publicKey).update(message).digest()),
    groupOrder,
  );
}

/** The eight points of small order: i·T for a generator T of the torsion, i = 0 … 7. */
export function torsionPoints(): Point[] {
  const generator = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
  const points = [Point.ZERO];
  for (let i = 1; i < 8; i += 1) points.push(points[i - 1]!.add(generator));
  return points;
}

/** All 32-byte texts that lax decoders read as a point of small order: 8 canonical ones and those with y ≥ p or −0. */
export function smallOrderEncodings(): { name: string; bytes: Buffer }[] {
  const canonical = torsionPoints().map((point, i) => ({
    name: `small order, ${i}·T`,
    bytes: Buffer.from(point.toBytes()),
  }));
  const signBit = 1n << 255n;
  const odd: [string, bigint][] = [
    ['y = 1 with the sign bit', 1n | signBit],
    ['y = −1 with the sign bit', (fieldPrime - 1n) | signBit],
    ['y = p (0)', fieldPrime],
    ['y = p (0) with the sign bit', fieldPrime | signBit],
    ['y = p + 1 (1)', fieldPrime + 1n],
    ['y = p + 1 (1) with the sign bit', (fieldPrime + 1n) | signBit],
  ];
  return [...canonical, ...odd.map(([name, value]) => ({ name, bytes: encodeScalar(value) }))];
}

/** R = r·B, S = r: fits any small-order key under cofactored rules, and under plain ones where k·A is the identity. */
export function signatureForSmallOrderKey(key: Uint8Array, message: Uint8Array, tries = 64): Uint8Array {
  let last: Buffer = Buffer.alloc(64);
  for (let i = 1; i <= tries; i += 1) {
    const r = etc.mod(decodeScalar(createHash('sha512').update(key).update(String(i)).digest()), groupOrder);
    const encoded = Buffer.from(Point.BASE.multiply(r).toBytes());
    last = Buffer.concat([encoded, encodeScalar(r)]);
    if (challengeOf(encoded, key, message) % 8n === 0n) return last;
  }
  return last;
}

/** Signs with a chosen R = r·B + torsion; S = r + k·a. Holds cofactorless only without torsion. */
function signWithR(
  secret: Uint8Array,
  publicKey: Uint8Array,
  message: Uint8Array,
  r: bigint,
  torsion: Point,
): Buffer {
  const { scalar } = utils.getExtendedPublicKey(Uint8Array.from(secret));
  const encoded = Buffer.from(Point.BASE.multiply(r, false).add(torsion).toBytes());
  const k = challengeOf(encoded, publicKey, message);
  return Buffer.concat([encoded, encodeScalar(etc.mod(r + k * scalar, groupOrder))]);
}

/** A key pair whose public key has a torsion part: A + T. Not of small order, so §3.1 does not refuse the key. */
export function mixedOrderKey(secret: Uint8Array): { publicKey: Buffer; scalar: bigint; torsion: Point } {
  const { scalar, point } = utils.getExtendedPublicKey(Uint8Array.from(secret));
  const torsion = torsionPoints()[1]!;
  return { publicKey: Buffer.from(point.add(torsion).toBytes()), scalar, torsion };
}

/**
 * Under a mixed-order key: valid iff k is a multiple of 8 (`holds`), which is searched for. Whether k is taken modulo L or as
 * SHA-512 gave it matters under such a key alone, and the profile does not say: both agree here.
 */
export function mixedOrderSignature(secret: Uint8Array, message: Uint8Array, holds: boolean): Uint8Array {
  const { publicKey, scalar } = mixedOrderKey(secret);
  for (let i = 1n; ; i += 1n) {
    const encoded = Buffer.from(Point.BASE.multiply(i).toBytes());
    const k = challengeOf(encoded, publicKey, message);
    const whole = createHash('sha512').update(encoded).update(publicKey).update(message).digest();
    if ((k % 8n === 0n) === holds && (whole[0]! % 8 === 0) === holds)
      return Buffer.concat([encoded, encodeScalar(etc.mod(i + k * scalar, groupOrder))]);
  }
}

/** One way to deviate: the signature it makes over a message of whoever holds the secret. */
export interface HostileKind {
  name: string;
  valid: boolean;
  sign(secret: Uint8Array, publicKey: Uint8Array, message: Uint8Array): Uint8Array;
}

type Parts = { honest: Buffer; r: Buffer; s: bigint };

function partsOf(secret: Uint8Array, message: Uint8Array): Parts {
  const honest = Buffer.from(signExact(secret, message));
  return { honest, r: honest.subarray(0, 32), s: decodeScalar(honest.subarray(32)) };
}

function bad(name: string, sign: HostileKind['sign']): HostileKind {
  return { name, valid: false, sign };
}

/** Made of the honest signature alone. */
function changed(name: string, change: (parts: Parts) => Uint8Array): HostileKind {
  return bad(name, (secret, _publicKey, message) => change(partsOf(secret, message)));
}

const withS = (name: string, of: (s: bigint) => bigint): HostileKind =>
  changed(name, ({ r, s }) => Buffer.concat([r, encodeScalar(of(s))]));

const flipped = (bit: number): HostileKind =>
  changed(`bit ${bit} flipped`, ({ honest }) => {
    const copy = Buffer.from(honest);
    copy[bit >> 3] = copy[bit >> 3]! ^ (1 << (bit & 7));
    return copy;
  });

const strangeR = (name: string, r: bigint, torsion: number): HostileKind =>
  bad(name, (secret, publicKey, message) =>
    signWithR(secret, publicKey, message, r, torsionPoints()[torsion]!),
  );

/** About fifty; `hostileSignatures` makes them all over one message. */
export const hostileKinds: readonly HostileKind[] = [
  { name: 'honest', valid: true, sign: (secret, _publicKey, message) => signExact(secret, message) },
  // S < L, so S + 14·L is below 2^256.
  ...[1n, 2n, 3n, 4n, 7n, 8n, 14n].map((times) => withS(`S + ${times}·L`, (s) => s + times * groupOrder)),
  withS('S = L', () => groupOrder),
  withS('S = 0', () => 0n),
  withS('S = 1', () => 1n),
  withS('S = L − 1', () => groupOrder - 1n),
  withS('S negated', (s) => groupOrder - s),
  withS('S = 2^256 − 1', () => 2n ** 256n - 1n),
  withS('S with bit 255', (s) => s | (1n << 255n)),
  withS('S with bit 253', (s) => s | (1n << 253n)),
  changed('S byte order reversed', ({ honest, r }) =>
    Buffer.concat([r, Buffer.from(honest.subarray(32)).reverse()]),
  ),
  changed('R all zeros', ({ honest }) => Buffer.concat([Buffer.alloc(32), honest.subarray(32)])),
  changed('R all ones', ({ honest }) => Buffer.concat([Buffer.alloc(32, 255), honest.subarray(32)])),
  changed('R and S exchanged', ({ honest, r }) => Buffer.concat([honest.subarray(32), r])),
  bad('all zeros', () => Buffer.alloc(64)),
  bad('all ones', () => Buffer.alloc(64, 255)),
  ...[0, 7, 8, 100, 254, 255, 256, 263, 300, 504, 511].map(flipped),
  changed('63 bytes', ({ honest }) => honest.subarray(0, 63)),
  changed('65 bytes', ({ honest }) => Buffer.concat([honest, Buffer.alloc(1)])),
  changed('32 bytes', ({ r }) => r),
  bad('empty', () => Buffer.alloc(0)),
  changed('twice', ({ honest }) => Buffer.concat([honest, honest])),
  bad('of another message', (secret, _publicKey, message) =>
    signExact(secret, Buffer.concat([message, Buffer.from(' ')])),
  ),
  bad('by another key', (secret, _publicKey, message) =>
    signExact(createHash('sha256').update(secret).digest(), message),
  ),
  ...[1, 2, 4].map((i) => strangeR(`R with torsion ${i}·T (cofactored rules take it)`, 7n, i)),
  { ...strangeR('small-order R (identity) for which the equation holds', 0n, 0), valid: true },
  strangeR('small-order R (2-torsion)', 0n, 4),
  bad('identity R written with y = p + 1', (secret, publicKey, message) =>
    unusualIdentity(secret, publicKey, message, fieldPrime + 1n),
  ),
  bad('identity R written with the sign bit', (secret, publicKey, message) =>
    unusualIdentity(secret, publicKey, message, 1n | (1n << 255n)),
  ),
];

/** All kinds over `message`, to be judged under the honest key of `secret`. */
export function hostileSignatures(
  secret: Uint8Array,
  publicKey: Uint8Array,
  message: Uint8Array,
): HostileSignature[] {
  return hostileKinds.map(({ name, valid, sign }) => ({
    name,
    valid,
    signature: sign(secret, publicKey, message),
  }));
}

/** R is the identity in a spelling that is not canonical: a decoder would take it, a byte comparison does not. */
function unusualIdentity(
  secret: Uint8Array,
  publicKey: Uint8Array,
  message: Uint8Array,
  spelling: bigint,
): Buffer {
  const { scalar } = utils.getExtendedPublicKey(Uint8Array.from(secret));
  const encoded = encodeScalar(spelling);
  const k = challengeOf(encoded, publicKey, message);
  return Buffer.concat([encoded, encodeScalar(etc.mod(k * scalar, groupOrder))]);
}
