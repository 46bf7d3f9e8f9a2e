/**
 * What one verification per delivered item allows: how many Ed25519 signatures over an item of this size one process checks
 * in a second, by the node's own means. Run once per core at the same time; prints the rate.
 */

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { loadSigning } from '../../node/shell/signing.ts';

const message = randomBytes(Number(process.argv[2]));
const forMs = Number(process.argv[3]);
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
const signature = new Uint8Array(sign(null, message, privateKey));
const { verify } = await loadSigning();

const startedAt = performance.now();
let checked = 0;
while (performance.now() - startedAt < forMs) {
  for (let i = 0; i < 50; i += 1) {
    if (!verify(raw, message, signature)) throw new Error('the signature is good');
  }
  checked += 50;
}
console.log((checked / (performance.now() - startedAt)) * 1000);
