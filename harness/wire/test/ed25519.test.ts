/** Three implementations held to the verdicts that the vectors state: noble's points, OpenSSL with checks, libsodium with its one exception. */

import { createPublicKey, verify as opensslVerify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect } from 'chai';
import { publicKeyOf, refusedKey, signExact, signFast, spki, verify, verifyExact } from '../ed25519.ts';
import { hostileSignatures, smallOrderEncodings, torsionPoints } from '../hostile-signatures.ts';

/** It has no type declarations. */
const sodium = createRequire(import.meta.url)('sodium-native') as {
  crypto_sign_verify_detached(signature: Buffer, message: Buffer, publicKey: Buffer): boolean;
};

interface Vector {
  name: string;
  public_key: string;
  message: string;
  signature: string;
  valid: boolean;
}
const { vectors } = JSON.parse(readFileSync(new URL('../vectors/ed25519.json', import.meta.url), 'utf8')) as {
  vectors: Vector[];
};

type Verifier = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

/** OpenSSL alone, behind the profile's checks of the key. */
const verifyOpenSsl: Verifier = (publicKey, message, signature) => {
  if (refusedKey(publicKey) || signature.length !== 64) return false;
  try {
    const key = createPublicKey({ key: Buffer.from(spki(publicKey)), format: 'der', type: 'spki' });
    return opensslVerify(null, message, key, signature);
  } catch {
    return false;
  }
};

/** libsodium refuses a small-order R even where the equation holds: there OpenSSL is asked. */
const sodiumWithException: Verifier = (publicKey, message, signature) => {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const buffers = [signature, message, publicKey].map((bytes) => Buffer.from(bytes)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  if (sodium.crypto_sign_verify_detached(...buffers)) return true;
  return refusedKey(signature.subarray(0, 32)) && verifyOpenSsl(publicKey, message, signature);
};

const verifiers: Record<string, Verifier> = { verifyExact, verify, verifyOpenSsl, sodiumWithException };

describe('wire: Ed25519', () => {
  for (const [name, verifier] of Object.entries(verifiers)) {
    it(`${name} agrees with all ${vectors.length} vectors`, () => {
      expect(vectors.filter(({ valid }) => valid).length).to.be.at.least(8);
      for (const vector of vectors) {
        const [key, message, signature] = [vector.public_key, vector.message, vector.signature].map((hex) =>
          Buffer.from(hex, 'hex'),
        ) as [Buffer, Buffer, Buffer];
        expect(verifier(key, message, signature), vector.name).to.equal(vector.valid);
      }
    });
  }

  it('knows exactly the small-order keys', () => {
    const points = torsionPoints();
    expect(new Set(points.map((point) => point.toHex())).size).to.equal(8);
    for (const point of points) expect(point.isSmallOrder()).to.equal(true);
    expect(smallOrderEncodings()).to.have.length(14);
    for (const { name, bytes } of smallOrderEncodings()) expect(refusedKey(bytes), name).to.equal(true);
    expect(refusedKey(publicKeyOf(Buffer.alloc(32, 1)))).to.equal(false);
  });

  it('signs the same bytes both ways', () => {
    for (let i = 0; i < 20; i += 1) {
      const seed = Buffer.alloc(32, i);
      const message = Buffer.from(`message ${i}`);
      expect(Buffer.from(signFast(seed, message)).equals(signExact(seed, message))).to.equal(true);
    }
  });

  it('makes hostile signatures for any message', () => {
    const seed = Buffer.alloc(32, 9);
    const list = hostileSignatures(seed, publicKeyOf(seed), Buffer.from('any'));
    expect(list.length).to.be.at.least(40);
    for (const { name, signature, valid } of list) {
      expect(verifyExact(publicKeyOf(seed), Buffer.from('any'), signature), name).to.equal(valid);
    }
  });
});
