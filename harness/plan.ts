/**
 * The resolved testnet: what `Manifest` + seed become before anything is started. Pure data, byte-identical on every
 * machine (design, "Running a scenario"): no addresses of this host, no clock, no ambient randomness.
 */

import type { LinkFault, Pair } from './links/fault-plane.ts';

export interface Plan {
  scenario: string;
  seed: number;
  nodes: PlannedNode[];
  /** Base fault of every link from the scenario (latency), applied before the first node starts. */
  linkLatency: { latencyMs: number; jitterMs: number };
  load: PlannedLoad;
  faults: PlannedFault[];
  expectations: Expectations;
  /** How long the load runs, ms from the end of the settling. */
  durationMs: number;
  /** How long nodes have to find each other before the load starts, and to converge after the cures. */
  settleMs: number;
}

export interface PlannedNode {
  /** `node-1` … in order; the first `bootstrap` ones are bootstrap nodes. */
  name: string;
  index: number;
  agentId: string;
  /** PKCS#8 PEM of the node key, derived from the seed. */
  keyPem: string;
  publicKeyBase64: string;
  nodeId: string;
  bootstrap: boolean;
  /** The names of the bootstrap nodes this node is configured with. */
  bootstrapNames: string[];
  group: string;
  /** null: the reference node. */
  command: string | null;
  image: string | null;
  /** 0: with the others; otherwise ms after the start of the load. */
  startAtMs: number;
  /** Of those with `startAtMs` 0: so long after the first one, so that a small host can carry the start. */
  startAfterMs: number;
  /** Parameters of profile §10 in wire names, merged from scenario and group. */
  parameters: Record<string, number>;
}

export interface PlannedLoad {
  /** Commits per second over the whole net, spread over observers evenly in a seeded order. */
  commitsPerSecond: number;
  payloadBytes: number;
}

/** One timed fault; `atMs` and `forMs` count from the start of the load. */
export type PlannedFault = { id: string; atMs: number; forMs: number } & (
  | { kind: 'link'; pairs: Pair[]; fault: LinkFault; label: string }
  | { kind: 'partition'; groups: string[][]; label: string }
  | { kind: 'kill'; node: string }
  | { kind: 'pause'; node: string }
  | { kind: 'restart'; node: string }
  | { kind: 'wipe'; node: string }
  | { kind: 'adversary'; behaviour: 'flood' | 'duplicates' | 'bad-signatures' | 'garbage'; target: string }
  | { kind: 'engine'; ability: string; node: string; options: Record<string, unknown> }
);

/** The targets of §9 unless the scenario says otherwise. */
export interface Expectations {
  discoveryMs: number;
  convergenceMs: number;
  syncMs: number;
  messageLatencyP95Ms: number;
  maxPeers: number;
}
