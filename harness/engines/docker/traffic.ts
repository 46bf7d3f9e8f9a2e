/**
 * The bypass check without anybody's cooperation, and whether Toxiproxy keeps up: all that nodes send must arrive at Toxiproxy or at
 * this host (whose observers they answer), by the counters of their network interfaces. Reads counters, again and again, because those
 * of a container end with it; judges nothing.
 */

import { readFileSync } from 'node:fs';
import type Docker from 'dockerode';
import type { LinkAudit } from '../../engine.ts';
import { within } from '../life.ts';

export interface TrafficSources {
  docker: Docker;
  networkId: string;
  toxiproxy: string;
  /** The nodes' containers as they are now: id, and the first process as the engine says. */
  nodes(): { id: string; pid: number | null }[];
}

export interface TrafficWatch {
  /** Reads once more and says what came of it. Rejects where the counters cannot be read: an old figure would accuse somebody. */
  audit(): Promise<LinkAudit>;
  stop(): void;
}

const intervalMs = 5_000;
/** Broadcasts, and what was on its way between two readings, per container. */
const slackPerNode = 4_096;
/** Above this share of one core its delays are no longer those that were asked for (measured: 20 000 messages/s with jitter). */
const busyShare = 0.6;
const ethernetHeader = 14;
const readsAtOnce = 4;
const statsWithinMs = 10_000;

interface Stats {
  networks?: Record<string, { rx_bytes: number; tx_bytes: number }>;
  cpu_stats?: { cpu_usage?: { total_usage?: number }; throttling_data?: { throttled_time?: number } };
}

export function watchTraffic(sources: TrafficSources): TrafficWatch {
  const counters = openCounters();
  let cpu: { at: number; ns: number; throttled: number } | null = null;
  let worst = { share: 0, throttledMs: 0 };
  const readProxy = async (): Promise<void> => {
    const at = performance.now();
    const stats = await statsOf(sources.docker, sources.toxiproxy);
    // The first interface carries the API, the second one the links.
    const links = Object.keys(stats?.networks ?? {})
      .sort()
      .at(-1);
    if (stats === null || links === undefined) throw new Error('the Toxiproxy container has no counters');
    counters.read('proxy', stats.networks![links]!.rx_bytes);
    const now = {
      at,
      ns: stats.cpu_stats?.cpu_usage?.total_usage ?? 0,
      throttled: stats.cpu_stats?.throttling_data?.throttled_time ?? 0,
    };
    if (cpu !== null && now.at - cpu.at > intervalMs / 2) {
      worst = {
        share: Math.max(worst.share, (now.ns - cpu.ns) / 1e6 / (now.at - cpu.at)),
        throttledMs: Math.max(worst.throttledMs, (now.throttled - cpu.throttled) / 1e6),
      };
    }
    cpu = now;
  };
  // Who sends first, then who receives: what is on its way counts for the receivers.
  const readAll = async (): Promise<void> => {
    const waiting = sources.nodes();
    let busy = false;
    const readNext = async (): Promise<void> => {
      for (let node = waiting.pop(); node !== undefined && !busy; node = waiting.pop()) {
        const { id, pid } = node;
        const networks = sentHere(id, pid) ?? sentOf(await statsOf(sources.docker, id));
        for (const [name, bytes] of networks) counters.read(`node ${id} ${name}`, bytes);
      }
    };
    await Promise.all(
      Array.from({ length: readsAtOnce }, () =>
        readNext().catch((error: unknown) => {
          busy = true;
          throw error;
        }),
      ),
    );
    await readProxy();
    counters.read('host', bridgeBytes(sources.networkId));
  };
  let reading: Promise<void> | null = null;
  // Never more than one at a time: on a busy host a reading may take longer than the time to the next.
  const next = (): Promise<void> => {
    reading ??= readAll().finally(() => {
      reading = null;
    });
    return reading;
  };
  const timer = setInterval(() => void next().catch(() => {}), intervalMs);
  timer.unref();
  return {
    async audit() {
      await reading?.catch(() => {});
      await next();
      return {
        sentBytes: counters.sum('node '),
        arrivedBytes: counters.sum('proxy') + counters.sum('host'),
        slackBytes: slackPerNode * (sources.nodes().length + 1),
        saturated: complaint(worst),
      };
    },
    stop: () => clearInterval(timer),
  };
}

type Sent = [networkInterface: string, bytes: number][];

const sentOf = (stats: Stats | null): Sent =>
  Object.entries(stats?.networks ?? {}).map(([name, { tx_bytes }]) => [name, tx_bytes]);

/**
 * What a container has sent, as this host's own kernel says: at once, where the engine takes a second for each. null: the process
 * is not here (an engine in a virtual machine), not to be seen, or not the container's any more.
 */
export function sentHere(id: string, pid: number | null): Sent | null {
  if (pid === null) return null;
  try {
    if (!readFileSync(`/proc/${pid}/cgroup`, 'latin1').includes(id)) return null;
    const lines = readFileSync(`/proc/${pid}/net/dev`, 'latin1').split('\n').slice(2);
    const rows = lines
      .map((line) => line.trim().split(/[:\s]+/))
      .filter(([name]) => name !== '' && name !== 'lo');
    return rows.map((row) => [row[0]!, Number(row[9])]);
  } catch {
    return null;
  }
}

/** null: a container that is not there just now has said its last. Rejects where the engine gives no answer. */
async function statsOf(docker: Docker, id: string): Promise<Stats | null> {
  const asked = docker
    .getContainer(id)
    .stats({ stream: false, 'one-shot': true })
    .then(
      (stats) => ({ stats: stats as unknown as Stats }),
      () => ({ stats: null }),
    );
  const answer = await within(asked, statsWithinMs);
  if (answer === null) throw new Error(`the engine gave no counters within ${statsWithinMs} ms`);
  return answer.stats;
}

function complaint({ share, throttledMs }: { share: number; throttledMs: number }): string | null {
  if (throttledMs > 0) return `Toxiproxy was throttled for ${Math.round(throttledMs)} ms`;
  return share > busyShare ? `Toxiproxy used ${Math.round(share * 100)} % of a core` : null;
}

/** Counters that begin anew with their container or their cable; the sum never falls. */
function openCounters(): { read(key: string, value: number): void; sum(beginning: string): number } {
  const all = new Map<string, { before: number; last: number }>();
  return {
    read(key, value) {
      const known = all.get(key) ?? { before: 0, last: 0 };
      const before = value < known.last ? known.before + known.last : known.before;
      all.set(key, { before, last: value });
    },
    sum: (beginning) =>
      [...all]
        .filter(([key]) => key.startsWith(beginning))
        .reduce((sum, [, { before, last }]) => sum + before + last, 0),
  };
}

/** What came up from the bridge to this host. The kernel counts it there without Ethernet headers. */
function bridgeBytes(networkId: string): number {
  const read = (name: string): number =>
    Number(readFileSync(`/sys/class/net/br-${networkId.slice(0, 12)}/statistics/${name}`, 'latin1'));
  return read('rx_bytes') + ethernetHeader * read('rx_packets');
}
