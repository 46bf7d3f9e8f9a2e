/**
 * What is measured, from when to when, and how the history becomes figures. The definitions are the one text that the report, the
 * documentation and the checks share, so that a stranger could measure the same again. Judges nothing.
 */

import { discoverySamples } from './discovery.ts';
import type { History } from './history.ts';
import { type Obligation, obligations } from './obligations.ts';

export type MetricId = 'discovery_ms' | 'convergence_ms' | 'sync_ms' | 'message_latency_ms' | 'start_ms';

export interface MetricDefinition {
  title: string;
  definition: string;
}

/** How often an observer asks a node that is waited for (at most), and one that is not. */
export const pollMs = { waiting: 200, idle: 1000, peers: 200, checkpoints: 2000, links: 1000 } as const;

const manyNodes = 25;

/** An interval of `pollMs` in a net of so many: the observers of a large net together ask no more often than those of 25 nodes. */
export const inNetOf = (nodes: number, ms: number): number => ms * Math.max(1, nodes / manyNodes);

const asked = `asked every ${pollMs.waiting} ms, in a net of more than ${manyNodes} nodes every ${pollMs.waiting / manyNodes} ms per node`;

export const metricDefinitions: Record<MetricId, MetricDefinition> = {
  discovery_ms: {
    title: 'Discovery',
    definition:
      'Per start of a node, the longer of two times. One from: it accepts TLS and its links work. To: its first dial of another ' +
      `node, by the counters of the links; they are read every ${pollMs.links} ms, so that it may be that much too short, never too long. ` +
      'The other from: besides, one of its bootstrap nodes names the others, so that they can be found (k: the lesser of ' +
      'target_peers and the number of other nodes then up). To: the first answer to a peer_request of an observer that names k ' +
      `nodes; asked every ${pollMs.peers} ms. Where the node's queries_per_minute are under 30 it is asked less often, and to the request ` +
      'before that one. ' +
      'A node names only peers with whom a handshake succeeded (profile §5). Starts that were late only while others than nodes ' +
      'and harness, such as a container engine that starts nodes, held a quarter of a full host are unknown.',
  },
  convergence_ms: {
    title: 'Gossip convergence',
    definition:
      'Per commit. From: the observer that sent it has read `accepted`. To: the last of all other nodes that were up ' +
      'and not cut off shows it in an answer to sync_digest; ' +
      `each is ${asked}, so that a figure may be that much too long, never too short.`,
  },
  sync_ms: {
    title: 'Sync',
    definition:
      'Per node and event (joined late, restarted, wiped, healed). From: the path works again: the node accepts TLS and the ' +
      'fault plane has proved the cure. To: the node has shown, by sync_digest, every commit that had been acknowledged ' +
      `before; ${asked}.`,
  },
  message_latency_ms: {
    title: 'Message latency',
    definition:
      'Per request. From: an observer writes a commit, sync_digest, state_sync or peer_request. To: it has read the answer ' +
      '(for a commit: after the durable write). On a direct connection, so without the link latency of the scenario; ' +
      'answers that were due while the node was held by SIGSTOP are left out. The target holds for all answers together, and ' +
      'for each node alone by those that it gave while the host had something left.',
  },
  start_ms: {
    title: 'Start',
    definition:
      'Per start of a node. From: its process is started. To: it accepts a TLS handshake. No target; for information.',
  },
};

export interface Figures {
  n: number;
  p50: number | null;
  p95: number | null;
  max: number | null;
}

/** One measured value. `value` is null where the awaited thing never came; `lookedForMs` says how long it was awaited. */
export interface Sample {
  value: number | null;
  lookedForMs: number;
  node: string;
  what: string;
  /** Start of the clock. */
  at: number;
}

/** Nearest-rank percentiles over what came; rounded to 0.1 ms. */
export function figures(values: readonly number[]): Figures {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number): number | null =>
    sorted.length === 0 ? null : tenths(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!);
  return { n: sorted.length, p50: rank(0.5), p95: rank(0.95), max: rank(1) };
}

export const tenths = (value: number): number => Math.round(value * 10) / 10;

/** Values that came, of a list of samples. */
export const valuesOf = (samples: readonly Sample[]): number[] =>
  samples.map(({ value }) => value).filter((value) => value !== null);

/** Everything measured, for checks and reports. Costs a pass over nodes × commits; ask once. */
export interface Measured {
  discovery: Sample[];
  convergence: Sample[];
  sync: Sample[];
  latency: Sample[];
  start: Sample[];
  obligations: Obligation[];
}

export function measure(history: History): Measured {
  const owed = obligations(history);
  return {
    discovery: discoverySamples(history),
    convergence: convergenceSamples(owed),
    sync: syncSamples(owed),
    latency: latencySamples(history),
    start: history.lives
      .filter((life) => life.readyAt !== null)
      .map((life) => ({
        value: life.readyAt! - life.startedAt,
        lookedForMs: life.readyAt! - life.startedAt,
        node: life.node,
        what: `start ${life.number}`,
        at: life.startedAt,
      })),
    obligations: owed,
  };
}

/** Per commit, over the obligations whose clock started at its acknowledgement. */
function convergenceSamples(owed: readonly Obligation[]): Sample[] {
  const byCommit = new Map<string, Obligation[]>();
  for (const obligation of owed) {
    if (obligation.reason !== 'fresh') continue;
    const list = byCommit.get(obligation.commit.hash);
    if (list === undefined) byCommit.set(obligation.commit.hash, [obligation]);
    else list.push(obligation);
  }
  return [...byCommit.values()].map((list) => {
    const unseen = list.filter(({ seenAt }) => seenAt === null);
    const slowest = list.reduce((a, b) => ((b.seenAt ?? 0) > (a.seenAt ?? 0) ? b : a));
    const worst = unseen[0] ?? slowest;
    return {
      value: unseen.length > 0 ? null : slowest.seenAt! - slowest.from,
      // A node that died in the meantime was looked at for a short time only.
      lookedForMs: Math.max(...(unseen.length > 0 ? unseen : list).map((o) => o.lookedUntil - o.from)),
      node: worst.node,
      what: worst.commit.hash.slice(0, 12),
      at: worst.from,
    };
  });
}

/** Per node and event: the last of the commits that it had to catch up with. */
function syncSamples(owed: readonly Obligation[]): Sample[] {
  const byEvent = new Map<string, Obligation[]>();
  for (const obligation of owed) {
    if (obligation.reason === 'fresh') continue;
    const key = `${obligation.node} ${obligation.life} ${obligation.from}`;
    const list = byEvent.get(key);
    if (list === undefined) byEvent.set(key, [obligation]);
    else list.push(obligation);
  }
  return [...byEvent.values()].map((list) => {
    const first = list[0]!;
    const complete = list.every(({ seenAt }) => seenAt !== null);
    return {
      value: complete ? list.reduce((most, o) => Math.max(most, o.seenAt! - o.from), 0) : null,
      lookedForMs: first.lookedUntil - first.from,
      node: first.node,
      what: `${first.reason}${first.cause === null ? '' : ` (${first.cause})`}, ${list.length} items`,
      at: first.from,
    };
  });
}

function latencySamples(history: History): Sample[] {
  const held = history.severings.filter(({ kind }) => kind === 'pause');
  return history.roundTrips
    .filter(
      ({ node, at, ms, kind }) =>
        // The items handed out at the end are asked for by gossip, which is not timed.
        kind !== 'gossip' &&
        !held.some(
          (pause) =>
            pause.sides.some((side) => side.includes(node)) &&
            pause.from < at &&
            (pause.until ?? Number.POSITIVE_INFINITY) > at - ms,
        ),
    )
    .map(({ node, at, ms, kind }) => ({ value: ms, lookedForMs: ms, node, what: kind, at: at - ms }));
}

/** The node that was being looked at, for texts: `node-3`, `node-3 (foreign)`. */
export function described(history: History, node: string): string {
  const group = history.plan.nodes.find(({ name }) => name === node)?.group ?? 'reference';
  return group === 'reference' ? node : `${node} (${group})`;
}
