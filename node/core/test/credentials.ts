/**
 * Who somebody is in the tiny network: keys, certificates of a test authority, signatures. A signature is a keyed hash that
 * everybody could make: what is tested is the protocol. Knows no message.
 */
import { createHash } from 'node:crypto';
import { canonical } from '../canonical.ts';
import type { Identity, JsonObject } from '../types.ts';

const sha256Bytes = (...parts: (Uint8Array | string)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');

export function signWith(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = sha256Bytes(publicKey, message);
  return Buffer.concat([half, sha256Bytes(half)]);
}

export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return Buffer.compare(signWith(publicKey, message), signature) === 0;
}

/** Seconds at the beginning of every test; the authority is a day older. */
export const epochS = 1_750_000_000;

const der = (tag: number, ...parts: (Uint8Array | readonly number[])[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = body;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
};
const oid = (hex: string) => der(6, Buffer.from(hex, 'hex'));
const ed25519 = der(0x30, oid('2b6570'));
const name = (text: string) =>
  der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(text.padEnd(40, '.'))))));
const time = (seconds: number) =>
  der(0x17, Buffer.from(`${new Date(seconds * 1000).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));

function certificate(subject: string, publicKey: Uint8Array, agentId: string | null): Uint8Array {
  const extension = (id: string, value: Uint8Array) => der(0x30, oid(id), der(4, value));
  const extensions =
    agentId === null
      ? []
      : [
          extension('551d25', der(0x30, oid('2b06010505070301'), oid('2b06010505070302'))),
          extension('551d11', der(0x30, der(0x86, Buffer.from(`urn:cle-net:agent:${agentId}`)))),
        ];
  const tbs = der(
    0x30,
    der(0xa0, der(2, [2])),
    der(2, [1]),
    ed25519,
    name('test authority'),
    der(0x30, time(epochS - 86_400), time(epochS + 86_400 * 30)),
    name(subject),
    der(0x30, ed25519, der(3, [0], publicKey)),
    der(0xa3, der(0x30, ...extensions)),
  );
  return der(0x30, tbs, ed25519, der(3, [0], signWith(authorityKey, tbs)));
}

const authorityKey = sha256Bytes('authority');
export const authorityCertificate = certificate('test authority', authorityKey, null);

export interface Credentials {
  readonly identity: Identity;
  readonly certificate: Uint8Array;
}

export function credentials(label: string, agentId = `agent_${label}`): Credentials {
  const publicKey = sha256Bytes('key', label);
  const identity = {
    publicKey,
    publicKeyBase64: Buffer.from(publicKey).toString('base64'),
    nodeId: `node_${sha256(publicKey).slice(0, 40)}`,
    agentId,
  };
  return { identity, certificate: certificate(label, publicKey, agentId) };
}

export function sign(own: Credentials, unsigned: JsonObject): JsonObject {
  const bytes = Buffer.from(canonical(unsigned), 'latin1');
  return { ...unsigned, signature: Buffer.from(signWith(own.identity.publicKey, bytes)).toString('base64') };
}
