/**
 * Both backends give the verdict of profile §3.1, against a judge of its own: the equation computed on points with
 * @noble/ed25519, cofactorless, bytes compared.
 */

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import * as ed from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';
import { expect } from 'chai';
import { loadSigning, type Signing } from '../signing.ts';

ed.hashes.sha512 = sha512;

const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const P = 2n ** 255n - 19n;

const littleEndian = (bytes: Uint8Array): bigint => {
  let n = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) n = (n << 8n) | BigInt(bytes[i]!);
  return n;
};
const encoded = (n: bigint): Buffer => {
  const bytes = Buffer.alloc(32);
  for (let i = 0; i < 32; i++) bytes[i] = Number((n >> BigInt(8 * i)) & 0xffn);
  return bytes;
};

/** The 8 points of small order, canonically encoded: multiples of one of order 8. */
const torsion = (() => {
  const generator = ed.Point.fromBytes(
    Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex'),
    true,
  );
  const points: ed.Point[] = [];
  let point = ed.Point.ZERO;
  for (let i = 0; i < 8; i++) {
    points.push(point);
    point = point.add(generator);
  }
  return points;
})();
const torsionText = new Set(torsion.map((point) => Buffer.from(point.toBytes()).toString('hex')));

/** §3.1 to the letter. */
function judge(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const y = littleEndian(publicKey) & (2n ** 255n - 1n);
  if (y >= P) return false;
  let key: ed.Point;
  try {
    key = ed.Point.fromBytes(publicKey, true);
  } catch {
    return false;
  }
  if (torsionText.has(Buffer.from(key.toBytes()).toString('hex'))) return false;
  const r = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= L) return false;
  const k = littleEndian(sha512(Buffer.concat([r, publicKey, message]))) % L;
  const left = s === 0n ? ed.Point.ZERO : ed.Point.BASE.multiply(s);
  const right = k === 0n ? ed.Point.ZERO : key.multiply(k);
  return Buffer.from(left.subtract(right).toBytes()).equals(r);
}

interface Case {
  what: string;
  publicKey: Uint8Array;
  message: Uint8Array;
  signature: Uint8Array;
}

function cases(): Case[] {
  const found: Case[] = [];
  const add = (what: string, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
    found.push({ what, publicKey, message, signature });
  for (let round = 0; round < 4; round++) {
    const pair = generateKeyPairSync('ed25519');
    const publicKey = Buffer.from(pair.publicKey.export({ format: 'jwk' }).x!, 'base64url');
    const message = randomBytes(round * 100);
    const good = sign(null, message, pair.privateKey);
    add('good', publicKey, message, good);
    add('another message', publicKey, Buffer.concat([message, Buffer.of(1)]), good);
    add(
      'S + L',
      publicKey,
      message,
      Buffer.concat([good.subarray(0, 32), encoded(littleEndian(good.subarray(32)) + L)]),
    );
    add('truncated', publicKey, message, good.subarray(0, 63));
    add('long', publicKey, message, Buffer.concat([good, Buffer.of(0)]));
    for (let bit = 0; bit < 512; bit += 61) {
      const bad = Buffer.from(good);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      add(`bit ${bit}`, publicKey, message, bad);
    }
    // R with torsion added: the cofactored equation would hold.
    for (const point of torsion.slice(1)) {
      const r = ed.Point.fromBytes(good.subarray(0, 32), true).add(point);
      add('torsion in R', publicKey, message, Buffer.concat([r.toBytes(), good.subarray(32)]));
    }
    addSmallOrderR(add, round);
  }
  for (const point of torsion) {
    const key = Buffer.from(point.toBytes());
    for (const sign of [0, 0x80]) {
      const publicKey = Buffer.from(key);
      publicKey[31]! ^= sign;
      // S = 0 and R of small order: under a small-order key this holds for one in eight messages.
      for (let i = 0; i < 24; i++) {
        const r = torsion[i % 8]!.toBytes();
        add('small-order key', publicKey, Buffer.of(i), Buffer.concat([r, Buffer.alloc(32)]));
      }
    }
  }
  for (let low = 0; low < 19; low++) {
    // y = p + low: a second encoding of low.
    const key = encoded(P + BigInt(low));
    for (const sign of [0, 0x80]) {
      const publicKey = Buffer.from(key);
      publicKey[31]! |= sign;
      add('y ≥ p', publicKey, Buffer.of(1), Buffer.concat([torsion[0]!.toBytes(), Buffer.alloc(32)]));
    }
  }
  return found;
}

/** R = the identity or another small-order point, with S so that the equation holds: §3.1 allows it, libsodium does not. */
function addSmallOrderR(
  add: (...args: [string, Uint8Array, Uint8Array, Uint8Array]) => void,
  round: number,
): void {
  const a = (littleEndian(randomBytes(32)) % (L - 1n)) + 1n;
  const plain = ed.Point.BASE.multiply(a);
  for (const [what, key] of [
    ['small-order R', plain],
    ['small-order R, key with torsion', plain.add(torsion[1 + round]!)],
  ] as const) {
    const publicKey = key.toBytes();
    for (let i = 0; i < 16; i++) {
      const message = Buffer.of(i, round);
      const r = torsion[i % 8]!.toBytes();
      const k = littleEndian(sha512(Buffer.concat([r, publicKey, message]))) % L;
      // S·B = R + k·A holds where the torsion of R cancels that of k·A; elsewhere the case must be refused.
      add(what, publicKey, message, Buffer.concat([r, encoded((k * a) % L)]));
    }
  }
}

describe('shell: signing', () => {
  const backends: Signing[] = [];
  before(async () => {
    backends.push(await loadSigning('libsodium'), await loadSigning('openssl'));
  });

  it('both backends agree with §3.1 on honest, hostile and odd signatures', function () {
    this.timeout(60_000);
    const counts = { accepted: 0, refused: 0, smallOrderR: 0 };
    for (const { what, publicKey, message, signature } of cases()) {
      const expected = judge(publicKey, message, signature);
      if (expected) counts.accepted++;
      else counts.refused++;
      if (expected && what.startsWith('small-order R')) counts.smallOrderR++;
      for (const backend of backends) {
        const verdict = backend.verify(publicKey, message, signature);
        expect(verdict, `${backend.backend}: ${what} ${Buffer.from(signature).toString('hex')}`).to.equal(
          expected,
        );
      }
    }
    // The odd ones must have been there.
    expect(counts.accepted).to.be.greaterThan(10);
    expect(counts.smallOrderR).to.be.greaterThan(4);
    expect(counts.refused).to.be.greaterThan(400);
  });

  it('both backends sign alike', () => {
    const pair = generateKeyPairSync('ed25519');
    const { d, x } = pair.privateKey.export({ format: 'jwk' });
    const [seed, publicKey] = [Buffer.from(d!, 'base64url'), Buffer.from(x!, 'base64url')];
    const message = randomBytes(333);
    const [one, two] = backends.map((backend) => Buffer.from(backend.signer(seed, publicKey)(message)));
    expect(one).to.deep.equal(two);
    expect(one).to.deep.equal(sign(null, message, pair.privateKey));
  });
});
