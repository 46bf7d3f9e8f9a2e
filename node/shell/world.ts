/**
 * The `World` of a node on sockets: the machine's clocks, its randomness, the node's key. The only file that hands these
 * to the core.
 */

import { createHash, hash, randomFillSync, randomUUID } from 'node:crypto';
import type { World } from '../core/types.ts';
import type { Signing } from './signing.ts';

/** All of `World` that needs neither the node's key nor its store. */
export type Surroundings = Omit<World, 'sign' | 'readItem'>;

export function createSurroundings(signing: Signing): Surroundings {
  return {
    nowMs: monotonicMs,
    wallMs: () => Date.now(),
    random: createRandom(),
    uuid: () => randomUUID(),
    verify: signing.verify,
    sha256,
  };
}

/** Lower-case hex. Three times as fast as by way of a buffer where the one-shot function exists (Node 20.12). */
export const sha256: World['sha256'] =
  typeof hash === 'function'
    ? (data) => hash('sha256', data, 'hex')
    : (data) => createHash('sha256').update(data).digest('hex');

/** `performance` would load seven modules of Node's for the same clock. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** Uniform in [0, 1) from the system's generator: whom a node picks must not be foreseeable from whom it picked. */
function createRandom(): () => number {
  const pool = new Uint32Array(256);
  let next = pool.length;
  return () => {
    if (next >= pool.length) {
      randomFillSync(pool);
      next = 0;
    }
    const high = pool[next]! >>> 5;
    const low = pool[next + 1]! >>> 6;
    next += 2;
    return (high * 67_108_864 + low) / 9_007_199_254_740_992;
  };
}
