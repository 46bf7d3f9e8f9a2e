/**
 * Writes `ed25519.json`: keys, messages and signatures with the verdict that profile §3.1 demands. Run it with
 * `node --import tsx harness/wire/vectors/make-ed25519.ts`; its output is deterministic. The verdicts are stated by
 * construction, not by a verifier; the tests hold three verifiers to them.
 */

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { publicKeyOf, signExact } from '../ed25519.ts';
import {
  hostileSignatures,
  mixedOrderKey,
  mixedOrderSignature,
  signatureForSmallOrderKey,
  smallOrderEncodings,
} from '../hostile-signatures.ts';

interface Vector {
  name: string;
  public_key: string;
  message: string;
  signature: string;
  valid: boolean;
}

const vectors: Vector[] = [];
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const seedOf = (name: string): Buffer => createHash('sha256').update(name).digest();

function add(
  name: string,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  valid: boolean,
): void {
  vectors.push({
    name,
    public_key: hex(publicKey),
    message: hex(message),
    signature: hex(signature),
    valid,
  });
}

// RFC 8032 §7.1, tests 1 to 3: secret, message.
const rfc8032: [string, string][] = [
  ['9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', ''],
  ['4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', '72'],
  ['c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7', 'af82'],
];
for (const [secret, message] of rfc8032) {
  const seed = Buffer.from(secret, 'hex');
  const bytes = Buffer.from(message, 'hex');
  add(`RFC 8032 message of ${bytes.length} bytes`, publicKeyOf(seed), bytes, signExact(seed, bytes), true);
}

for (const [i, message] of [Buffer.from(''), Buffer.from('{"a": 1}'), Buffer.alloc(1_000, 'x')].entries()) {
  const seed = seedOf(`vector ${i}`);
  const publicKey = publicKeyOf(seed);
  for (const { name, signature, valid } of hostileSignatures(seed, publicKey, message)) {
    add(`${name}, message of ${message.length} bytes`, publicKey, message, signature, valid);
  }
}

const message = Buffer.from('small-order keys are refused whatever the equation says');
for (const { name, bytes } of smallOrderEncodings()) {
  add(`key of ${name}`, bytes, message, signatureForSmallOrderKey(bytes, message), false);
}

const mixed = seedOf('mixed order');
const { publicKey: mixedKey } = mixedOrderKey(mixed);
add(
  'key with a torsion part, equation holds',
  mixedKey,
  message,
  mixedOrderSignature(mixed, message, true),
  true,
);
add(
  'key with a torsion part, equation holds only times 8',
  mixedKey,
  message,
  mixedOrderSignature(mixed, message, false),
  false,
);

const seed = seedOf('keys of wrong form');
const key = Buffer.from(publicKeyOf(seed));
const honest = signExact(seed, message);
const highY = Buffer.from('f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'hex');
const offCurve = Buffer.from('0200000000000000000000000000000000000000000000000000000000000000', 'hex');
add('key of 31 bytes', key.subarray(0, 31), message, honest, false);
add('key of 33 bytes', Buffer.concat([key, Buffer.alloc(1)]), message, honest, false);
add(
  'key with the sign bit flipped',
  Buffer.concat([key.subarray(0, 31), Buffer.of(key[31]! ^ 128)]),
  message,
  honest,
  false,
);
add('key with y = p + 3', highY, message, honest, false);
add('key that is no point', offCurve, message, honest, false);
add('key all ones', Buffer.alloc(32, 255), message, honest, false);

writeFileSync(new URL('ed25519.json', import.meta.url), `${JSON.stringify({ vectors }, null, 1)}\n`);
process.stdout.write(
  `${vectors.length} vectors, ${vectors.filter(({ valid }) => valid).length} of them valid\n`,
);
