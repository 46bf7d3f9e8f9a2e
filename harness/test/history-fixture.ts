/** A made-up history of a healthy run, to be spoiled by tests: what nodes held and when, without any node. */

import { createHash } from 'node:crypto';
import type { History, Life } from '../history.ts';
import { parseManifest } from '../manifest.ts';
import { resolve } from '../resolve.ts';

export const hashNamed = (name: string): string => createHash('sha256').update(name).digest('hex');

export interface Shape {
  nodes?: number;
  commits?: number;
  /** YAML lines of the scenario's faults and late joiners. */
  extra?: string;
}

/** All nodes ready at 1 s, commits every 500 ms from 2 s on, each seen by all others 300 ms later; ends 40 s after the last. */
export function healthyHistory({ nodes = 6, commits = 20, extra = '' }: Shape = {}): History {
  const plan = resolve(
    parseManifest(`nodes: {count: ${nodes}, bootstrap: 2}\nduration_s: 30\n${extra}`, 'made-up.yaml'),
    { seed: 1 },
  );
  plan.load.commitsPerSecond = 20 / 30;
  const first = plan.nodes.filter(({ startAtMs }) => startAtMs === 0).map(({ name }) => name);
  const endedAt = 2_000 + commits * 500 + 40_000;
  const history: History = {
    plan,
    engine: 'none',
    abilities: ['kill', 'links', 'restart', 'wipe', 'pause'],
    startedAt: '2026-01-01T00:00:00.000Z',
    endedAt,
    stages: [
      { stage: 'start', at: 0 },
      { stage: 'load', at: 2_000 },
      { stage: 'converge', at: endedAt - 10_000 },
    ],
    lives: first.map((node) => lifeOf(node)),
    commits: [],
    sightings: [],
    peerLists: [],
    roundTrips: [],
    checkpoints: [],
    rebuffs: [],
    census: [],
    faults: [],
    severings: [],
    adversaries: [],
    violations: [],
    monitored: { 'SIG-01': 100, 'ENV-01': 100 },
    linkSamples: [],
    host: {
      facts: { cores: 2, cpu: 'x', memoryMiB: 1, kernel: 'k', node: 'v', load1m: 0 },
      seconds: [],
      overloaded: false,
      because: 'The host kept up.',
    },
    trouble: [],
    notes: [],
  };
  for (let n = 0; n < commits; n += 1)
    addCommit(history, `c${n}`, first[n % first.length]!, 2_000 + n * 500, 300);
  for (const node of first) {
    const peers = first.filter((other) => other !== node);
    history.peerLists.push({ node, life: 0, at: 1_200, since: 1_000, peers });
    for (let i = 0; i < 60; i += 1) {
      history.roundTrips.push({ node, life: 0, at: 2_000 + i * 400, ms: 5, kind: 'sync_digest' });
    }
    history.census.push({
      node,
      life: 0,
      at: endedAt,
      items: commits,
      lacks: [],
      forbidden: [],
      handedOut: [{ hash: hashNamed('c0'), whole: true }],
    });
  }
  const links = first.flatMap((from) =>
    first
      .filter((to) => to !== from)
      .map((to) => ({ from, to, accepted: 1, open: from < to ? 1 : 0, bytesForth: 1, bytesBack: 1 })),
  );
  for (const at of [endedAt - 3_000, endedAt - 2_000, endedAt - 1_000])
    history.linkSamples.push({ at, links });
  return history;
}

export function lifeOf(node: string, changes: Partial<Life> = {}): Life {
  return {
    node,
    number: 0,
    startedAt: 500,
    readyAt: 1_000,
    endedAt: null,
    end: null,
    wiped: false,
    reachableAt: 1_000,
    ...changes,
  };
}

/** A commit acknowledged at `at`, and seen `after` ms later by every life of another node that was up; null: by nobody. */
export function addCommit(
  history: History,
  name: string,
  node: string,
  at: number,
  after: number | null,
  skip: readonly string[] = [],
): string {
  const hash = hashNamed(name);
  history.commits.push({
    hash,
    node,
    life: 0,
    author: 'agent_a',
    purpose: 'load',
    sentAt: at - 5,
    answeredAt: at,
    outcome: 'accepted',
    detail: null,
  });
  if (after === null) return hash;
  for (const life of history.lives) {
    if (life.node === node || skip.includes(life.node)) continue;
    const from = Math.max(at, life.reachableAt ?? Number.POSITIVE_INFINITY);
    if (from === Number.POSITIVE_INFINITY) continue;
    history.sightings.push({
      hash,
      node: life.node,
      life: life.number,
      at: from + after,
      since: from + after - 200,
    });
  }
  return hash;
}
