/**
 * Seeded randomness of the harness: small, ours, the same on every machine. A stream is named by the seed and a key, so that
 * what one part draws (or that it is removed) never shifts what another part draws. Knows nothing of what is drawn for.
 */

import { createHash } from 'node:crypto';

/** One stream of draws. */
export interface Rng {
  /** Uniform integer in [0, 2^32). */
  next(): number;
  /** Uniform in [0, 1), 32 bits. */
  float(): number;
  /** Uniform integer in [0, limit); limit 1 … 2^32. */
  below(limit: number): number;
  /** One element; throws on an empty list. */
  pick<T>(list: readonly T[]): T;
  /** A new list in random order. */
  shuffle<T>(list: readonly T[]): T[];
}

/** The stream of `seed` under a key such as `('fault', 'kill-1')`. Equal arguments give equal streams. */
export function rng(seed: number | string, ...key: string[]): Rng {
  const digest = createHash('sha256')
    .update(JSON.stringify([String(seed), ...key]))
    .digest();
  const next = sfc32(digest);
  const below = (limit: number): number => {
    if (!(limit >= 1 && limit <= 2 ** 32)) throw new Error(`rng: no number below ${limit}`);
    const bound = 2 ** 32 - (2 ** 32 % limit);
    let value = next();
    while (value >= bound) value = next();
    return value % limit;
  };
  const shuffle = <T>(list: readonly T[]): T[] => {
    const order = [...list];
    for (let i = order.length - 1; i > 0; i -= 1) {
      const j = below(i + 1);
      [order[i], order[j]] = [order[j] as T, order[i] as T];
    }
    return order;
  };
  const pick = <T>(list: readonly T[]): T => {
    if (list.length === 0) throw new Error('rng: nothing to pick from');
    return list[below(list.length)] as T;
  };
  return { next, float: () => next() / 2 ** 32, below, pick, shuffle };
}

/** `length` ≤ 32 bytes derived from the seed and a key: private keys, nonces. */
export function seededBytes(seed: number | string, length: number, ...key: string[]): Buffer {
  const digest = createHash('sha256')
    .update(JSON.stringify(['bytes', String(seed), ...key]))
    .digest();
  return digest.subarray(0, length);
}

/** A UUID version 4 drawn from a stream. */
export function seededUuid(stream: Rng): string {
  const bytes = Buffer.alloc(16);
  for (let i = 0; i < 16; i += 4) bytes.writeUInt32BE(stream.next(), i);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Chris Doty-Humphrey's small fast counter generator on four 32-bit words. */
function sfc32(seed: Buffer): () => number {
  let a = seed.readUInt32LE(0) | 0;
  let b = seed.readUInt32LE(4) | 0;
  let c = seed.readUInt32LE(8) | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i += 1) next();
  return next;
}
