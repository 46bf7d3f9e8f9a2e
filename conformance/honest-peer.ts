/**
 * An honest peer beside an attack: how long its calls take, and whether that is the node's doing or the host's. Knows no attack.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../harness/wire/connection.ts';
import type { Bench } from './bench.ts';
import { fail, late } from './requirement.ts';
import { quantile } from './statistics.ts';

/**
 * Calls often, one after the other, until told to stop; the round trips in ms. Runs beside other things: whoever waits for it
 * learns how it ended, and nobody else.
 */
export function keepCalling(bench: Bench, connection: Connection, until: () => boolean): Promise<number[]> {
  const probing = roundTrips(bench, connection, until);
  probing.catch(() => {});
  return probing;
}

/**
 * The same calls to a node that nobody attacks, where there can be a second one: if it answers in time meanwhile, the host is
 * not to blame for what the attacked one takes. Null without one.
 */
export async function controlProbe(
  bench: Bench,
  name: string,
): Promise<(until: () => boolean) => Promise<number[] | null>> {
  if (!bench.target.abilities.has('instances')) return async () => null;
  const control = await (await bench.puppet(name)).join(await bench.node());
  return (until) => keepCalling(bench, control, until);
}

/** An honest peer's p95 must be below the target; by the control it is decided whether that may be the host's fault. */
export function inTime(
  latencies: readonly number[],
  control: readonly number[] | null,
  what: string,
): number {
  const p95 = Math.round(quantile(latencies, 0.95));
  if (p95 < 500) return p95;
  const beside = control === null || control.length === 0 ? null : Math.round(quantile(control, 0.95));
  const because = `${what}: an honest peer’s p95 is ${p95} ms of ${latencies.length} round trips`;
  if (beside === null) return late(because);
  const compared = `${because}, that of a node beside it which nobody attacks ${beside} ms`;
  return beside < 200 && p95 > 4 * beside ? fail(compared) : late(compared);
}

async function roundTrips(bench: Bench, connection: Connection, until: () => boolean): Promise<number[]> {
  const latencies: number[] = [];
  while (!until()) {
    const sentAt = performance.now();
    await connection.fence(30_000);
    latencies.push(performance.now() - sentAt);
    await delay(25, undefined, { signal: bench.signal });
  }
  return latencies;
}
