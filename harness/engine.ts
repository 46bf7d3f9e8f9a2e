/**
 * What an engine is: it turns a `Plan` into running nodes with a fault plane between them. Interfaces only.
 * Whoever uses an engine asks for abilities, never for its name; the one table of names is `engines/index.ts`.
 */

import type { FaultPlane } from './links/fault-plane.ts';
import type { Plan, PlannedNode } from './plan.ts';

/** What an engine can do to nodes and links beyond starting them. A fault names the abilities it needs. */
export type Ability =
  | 'kill'
  | 'pause'
  | 'restart'
  | 'wipe'
  | 'links'
  | 'unplug'
  | 'memory-limit'
  | 'disk-full'
  | 'upgrade'
  | 'certificate';

/** The reference node as something to start. Whoever may import `node/` builds it and hands it in. */
export interface ReferenceNode {
  /** Program and arguments. */
  command: readonly string[];
  /** The folder that holds all of it, for engines that put it into an image. */
  folder: string;
  /** Its native add-ons for another platform, to be put over those in the folder: name there → file here. */
  addonsFor?(platform: string, arch: string): { name: string; file: string }[];
}

export interface EngineOptions {
  /** Needed by plans that have nodes without a command or image of their own. */
  reference?: ReferenceNode;
  /** The run folder; logs, notes and the plan go here. */
  outDir: string;
  /** Use this Toxiproxy server (URL of its API) in place of the embedded one. */
  toxiproxyUrl?: string;
  /** Keep data folders (and containers) after the stop. */
  keep?: boolean;
  /** Gives up a start that is under way: everything is undone and `start` rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Progress lines for the live view: `node-7 is listening`, … */
  onEvent?: (event: EngineEvent) => void;
  /**
   * Called once, and awaited, when everything is prepared and no node was started yet: the same object that `start` resolves to. Observers
   * that begin only when the last node is up come too late to see how fast the first ones found each other.
   */
  onPrepared?: (testnet: RunningTestnet) => Promise<void>;
}

export type EngineEvent =
  | { kind: 'node'; node: string; state: NodeState; detail?: string }
  | { kind: 'info'; text: string }
  /** The engine lost sight of something: what it says of the nodes may be late or wrong. */
  | { kind: 'trouble'; text: string };

export interface Engine {
  readonly name: string;
  readonly abilities: ReadonlySet<Ability>;
  /**
   * Prepares everything (identities, addresses, links) and starts every node whose `startAtMs` is 0, each `startAfterMs` after the first; resolves
   * when each of them accepts TLS or has failed. Throws UsageError where nothing could be started for the user's reason.
   */
  start(plan: Plan, options: EngineOptions): Promise<RunningTestnet>;
}

export interface RunningTestnet {
  readonly nodes: ReadonlyMap<string, RunningNode>;
  readonly links: FaultPlane;
  /** The network's CA, so that observers and adversaries can be issued identities. PEM. */
  readonly ca: { certificatePem: string; keyPem: string };
  /** Monotonic instants (performance.now) of the start of each node's process and of its first TLS handshake. */
  readonly readyAtMs: ReadonlyMap<string, { startedAt: number; readyAt: number }>;
  /**
   * Does what an ability beyond the common ones names (`unplug`, `memory-limit` …) to one node; absent where there is none.
   * Rejects if it did not take effect.
   */
  perturb?(
    ability: Ability,
    node: string,
    options: Record<string, unknown>,
  ): Promise<{ receipt: Receipt; cure(): Promise<Receipt> }>;
  /** What went over the links and what went around them, where the engine can tell without the nodes' word. */
  auditLinks?(): Promise<LinkAudit>;
  /** Everything goes: processes, proxies, folders (unless kept). Idempotent. */
  stop(): Promise<void>;
}

/** Everything that nodes send has to arrive at the fault plane or at the harness. */
export interface LinkAudit {
  sentBytes: number;
  arrivedBytes: number;
  /** What the two may differ by all the same. */
  slackBytes: number;
  /** The fault plane did not keep up, in a few words; times that were missed then say nothing of the nodes. */
  saturated: string | null;
}

/** `failed`: never listened, or ended without being told to. */
export type NodeState = 'planned' | 'starting' | 'ready' | 'paused' | 'stopped' | 'failed';

export interface RunningNode {
  readonly name: string;
  readonly plan: PlannedNode;
  readonly state: NodeState;
  readonly nodeId: string;
  /** Where the harness reaches the node directly, around the fault plane: `host:port`. */
  readonly address: string;
  /** Its process on this host, for CPU figures; null while it does not run, absent where there is none to see. */
  readonly pid?: number | null;
  /** Why it is `failed`, in one line with the exit code or signal. */
  readonly failure: string | null;
  start(): Promise<void>;
  /** Resolves when it accepts TLS again, rejects after `withinMs`. */
  ready(withinMs: number): Promise<void>;
  kill(): Promise<Receipt>;
  /** SIGTERM; waits for the exit. */
  terminate(): Promise<Receipt>;
  pause(): Promise<Receipt>;
  resume(): Promise<Receipt>;
  /** Empties the data folder of a stopped node. */
  wipe(): Promise<Receipt>;
  logTail(lines: number): string[];
  readonly logFile: string;
}

/** Proof that something happened, from somebody else than ourselves where possible (kernel, engine events, bytes). */
export interface Receipt {
  /** performance.now of the moment it took effect. */
  at: number;
  what: string;
  evidence: Record<string, unknown>;
}
