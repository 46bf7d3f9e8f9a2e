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

/** Under a mixed-order key: valid iff k is a multiple of 8 (`holds`), which is searched for. */
export function mixedOrderSignature(secret: Uint8Array, message: Uint8Array, holds: boolean): Uint8Array {
  const { publicKey, scalar } = mixedOrderKey(secret);
  for (let i = 1n; ; i += 1n) {
    const encoded = Buffer.from(Point.BASE.multiply(i).toBytes());
    const k = challengeOf(encoded, publicKey, message);
    if ((k % 8n === 0n) === holds)
      return Buffer.concat([encoded, encodeScalar(etc.mod(i + k * scalar, groupOrder))]);
  }
}

/** About forty signatures over `message` that are to be judged under the honest key of `secret`. */
export function hostileSignatures(
  secret: Uint8Array,
  publicKey: Uint8Array,
  message: Uint8Array,
): HostileSignature[] {
  const honest = Buffer.from(signExact(secret, message));
  const r = honest.subarray(0, 32);
  const s = decodeScalar(honest.subarray(32));
  const withS = (value: bigint): Buffer => Buffer.concat([r, encodeScalar(value)]);
  const flipped = (bit: number): Buffer => {
    const copy = Buffer.from(honest);
    copy[bit >> 3] = copy[bit >> 3]! ^ (1 << (bit & 7));
    return copy;
  };
  const bad = (name: string, signature: Uint8Array): HostileSignature => ({ name, signature, valid: false });
  const list: HostileSignature[] = [{ name: 'honest', signature: honest, valid: true }];

  for (const times of [1n, 2n, 3n, 4n, 7n, 8n, 14n]) {
    const value = s + times * groupOrder;
    if (value < 2n ** 256n) list.push(bad(`S + ${times}·L`, withS(value)));
  }
  list.push(bad('S = L', withS(groupOrder)));
  list.push(bad('S = 0', withS(0n)));
  list.push(bad('S = 1', withS(1n)));
  list.push(bad('S = L − 1', withS(groupOrder - 1n)));
  list.push(bad('S negated', withS(groupOrder - s)));
  list.push(bad('S = 2^256 − 1', withS(2n ** 256n - 1n)));
  list.push(bad('S with bit 255', withS(s | (1n << 255n))));
  list.push(bad('S with bit 253', withS(s | (1n << 253n))));
  list.push(bad('S byte order reversed', Buffer.concat([r, Buffer.from(honest.subarray(32)).reverse()])));
  list.push(bad('R all zeros', Buffer.concat([Buffer.alloc(32), honest.subarray(32)])));
  list.push(bad('R all ones', Buffer.concat([Buffer.alloc(32, 255), honest.subarray(32)])));
  list.push(bad('R and S exchanged', Buffer.concat([honest.subarray(32), r])));
  list.push(bad('all zeros', Buffer.alloc(64)));
  list.push(bad('all ones', Buffer.alloc(64, 255)));
  for (const bit of [0, 7, 8, 100, 254, 255, 256, 263, 300, 504, 511])
    list.push(bad(`bit ${bit} flipped`, flipped(bit)));
  list.push(bad('63 bytes', honest.subarray(0, 63)));
  list.push(bad('65 bytes', Buffer.concat([honest, Buffer.alloc(1)])));
  list.push(bad('32 bytes', r));
  list.push(bad('empty', Buffer.alloc(0)));
  list.push(bad('twice', Buffer.concat([honest, honest])));
  list.push(bad('of another message', signExact(secret, Buffer.concat([message, Buffer.from(' ')]))));
  list.push(bad('by another key', signExact(createHash('sha256').update(secret).digest(), message)));

  const points = torsionPoints();
  for (const i of [1, 2, 4]) {
    list.push(
      bad(
        `R with torsion ${i}·T (cofactored rules take it)`,
        signWithR(secret, publicKey, message, 7n, points[i]!),
      ),
    );
  }
  list.push({
    name: 'small-order R (identity) for which the equation holds',
    signature: signWithR(secret, publicKey, message, 0n, Point.ZERO),
    valid: true,
  });
  list.push(bad('small-order R (2-torsion)', signWithR(secret, publicKey, message, 0n, points[4]!)));
  list.push(
    bad('identity R written with y = p + 1', unusualIdentity(secret, publicKey, message, fieldPrime + 1n)),
  );
  list.push(
    bad(
      'identity R written with the sign bit',
      unusualIdentity(secret, publicKey, message, 1n | (1n << 255n)),
    ),
  );
  return list;
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
