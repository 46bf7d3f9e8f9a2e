/**
 * The capacity of a gossip net: the highest offered rate at which every member gets every message and the p95 of all
 * deliveries stays below 500 ms (§9.1). Doubles until a step fails, then narrows. Knows nets only through `net.ts`.
 */

import { type Net, type NetSpec, type Report, startNet } from './net.ts';

export interface Step {
  ratePerSecond: number;
  published: number;
  delivered: number;
  expected: number;
  p50Ms: number;
  p95Ms: number;
  /** Deliveries per second between the first publication and the end of the offered load. */
  deliveriesPerSecond: number;
  cpuUsPerDelivery: number;
  holds: boolean;
}

export interface Capacity {
  name: string;
  deliveriesPerSecond: number;
  best: Step | null;
  steps: Step[];
  /** Counters of all members together, over the whole life of the net. */
  counters: Record<string, number>;
}

export interface Search {
  firstRate: number;
  stepMs: number;
  warmUpMs: number;
  /** Narrowing steps once a rate has held and one has failed. */
  narrowing: number;
  /** How long stragglers (repair) may take after the offered load ends. */
  drainMs: number;
}

const p95BarMs = 500;
/** Where a net holds no rate, the search ends here. */
const leastRate = 10;

function percentile(reports: readonly Report[], q: number): number {
  const merged = new Map<number, number>();
  let total = 0;
  for (const report of reports) {
    for (const [ms, count] of report.histogram) {
      merged.set(ms, (merged.get(ms) ?? 0) + count);
      total += count;
    }
  }
  let seen = 0;
  for (const [ms, count] of [...merged].sort(([a], [b]) => a - b)) {
    seen += count;
    if (seen >= q * total) return ms;
  }
  return Number.POSITIVE_INFINITY;
}

const delivered = (reports: readonly Report[]): number => reports.reduce((sum, r) => sum + r.delivered, 0);
const cpuUs = (reports: readonly Report[]): number => reports.reduce((sum, r) => sum + r.cpuUs, 0);

async function runStep(net: Net, step: number, ratePerSecond: number, search: Search): Promise<Step> {
  const before = cpuUs(await net.report(step));
  const published = await net.publish(step, ratePerSecond, search.stepMs);
  const expected = published * (net.spec.members - 1);
  const deadline = performance.now() + search.drainMs;
  let reports = await net.report(step);
  while (delivered(reports) < expected && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    reports = await net.report(step);
  }
  const arrived = delivered(reports);
  const p95Ms = percentile(reports, 0.95);
  return {
    ratePerSecond,
    published,
    delivered: arrived,
    expected,
    p50Ms: percentile(reports, 0.5),
    p95Ms,
    deliveriesPerSecond: Math.round((expected / search.stepMs) * 1000),
    cpuUsPerDelivery: Math.round((cpuUs(reports) - before) / Math.max(1, arrived)),
    holds: arrived >= expected && p95Ms < p95BarMs,
  };
}

/** Measures one net from start to stop. */
export async function measureCapacity(
  spec: NetSpec,
  search: Search,
  onStep: (step: Step) => void,
): Promise<Capacity> {
  const net = await startNet(spec);
  const steps: Step[] = [];
  const take = async (rate: number, ms: number): Promise<Step> => {
    const step = await runStep(net, steps.length + 1, Math.round(rate), { ...search, stepMs: ms });
    steps.push(step);
    onStep(step);
    return step;
  };
  try {
    await take(search.firstRate / 2, search.warmUpMs);
    let [low, high] = [0, Number.POSITIVE_INFINITY];
    let rate = search.firstRate;
    for (let narrowed = 0; narrowed <= search.narrowing; ) {
      // One bad step on a shared machine is not the net's limit: it gets a second chance.
      const held = (await take(rate, search.stepMs)).holds || (await take(rate, search.stepMs)).holds;
      if (held) low = rate;
      else high = rate;
      if (low === 0 && high < leastRate) break;
      if (high === Number.POSITIVE_INFINITY) rate = low * 1.6;
      else {
        if (low > 0) narrowed += 1;
        rate = low === 0 ? high / 2 : (low + high) / 2;
      }
    }
    const held = steps.slice(1).filter((step) => step.holds);
    const best = held.sort((a, b) => b.ratePerSecond - a.ratePerSecond)[0] ?? null;
    const counters: Record<string, number> = {};
    for (const report of await net.report(0)) {
      for (const [name, value] of Object.entries(report.counters)) {
        counters[name] = (counters[name] ?? 0) + value;
      }
    }
    return { name: spec.name, deliveriesPerSecond: best?.deliveriesPerSecond ?? 0, best, steps, counters };
  } finally {
    await net.stop();
  }
}
