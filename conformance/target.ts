/**
 * What the suite judges: one node at somebody's address, or as many as a row likes of somebody's command. Interfaces only, so
 * that an image can be a target too. A target hands out leases; who holds one is told if the node ends by itself.
 */

import type { Authority } from '../harness/wire/authority.ts';
import type { Need } from './requirement.ts';
import type { Crash } from './summary.ts';

/** A node as a row sees it. Addresses are `host:port`. */
export interface NodeUnderTest {
  readonly name: string;
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly agentId: string;
  readonly nodeId: string;
  /** Base64 of the raw key. */
  readonly publicKey: string;
  /** What it tells others as its address, or null where we do not know (somebody's address). */
  readonly advertise: string | null;
  /** Parameters it was started with, in the names of profile §10; absent ones are the defaults. */
  readonly parameters: Readonly<Record<string, number>>;
  /** Start, stop and files; null where the target is not ours to handle (needs `restart` or `data-dir`). */
  readonly control: NodeControl | null;
  logTail(lines: number): string[];
}

export interface NodeControl {
  readonly pid: number | null;
  /** Where its files are for us; a container knows them by other paths. */
  readonly dataDir: string;
  readonly configFile: string;
  readonly keyFile: string;
  /** performance.now of the start and of the first TLS handshake of the present life. */
  readonly startedAt: number;
  readonly readyAt: number;
  /** SIGKILL; resolves when the kernel has said so. */
  kill(): Promise<void>;
  /** SIGTERM; how it ended and how long it took. Throws if it does not end within `withinMs` (and kills it). */
  terminate(withinMs?: number): Promise<{ code: number | null; signal: string | null; afterMs: number }>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Starts it again with the same identity, files and address; resolves when it accepts TLS. */
  start(): Promise<void>;
  wipe(): Promise<void>;
}

export interface BootstrapEntry {
  host: string;
  port: number;
  /** Base64 of the raw key that it must prove. */
  publicKey: string;
}

/** How a node is started. Everything is optional; with nothing given any running node will do. */
export interface NodeOptions {
  parameters?: Readonly<Record<string, number>>;
  bootstrap?: readonly BootstrapEntry[];
  hosts?: Readonly<Record<string, string>>;
  /** Told to others verbatim; default: the address it listens on. */
  advertise?: string;
  agentId?: string;
  /** Changes the text of the configuration before the start, for tests of bad ones; told the node's own key (base64). */
  configText?: (text: string, publicKey: string) => string;
  /** Other rows' peers do it no harm, nor it to theirs: where there is one node for all, it need not be alone with it. */
  company?: boolean;
  /** What others did to it before may harm the row: where there is one node for all, its turn comes before theirs. */
  fresh?: boolean;
  /** Do not wait until it accepts TLS (rows that time the start, or expect it to fail). */
  readyWithinMs?: number;
  /** Its answers are timed against a target of the design: it does not step back behind the tester and other rows' nodes. */
  isTimed?: boolean;
}

/** A use of a node by one row. */
export interface Lease {
  node: NodeUnderTest;
  release(): Promise<void>;
}

/** How a start of a node ended that was not meant to succeed. */
export interface FailedStart {
  code: number | null;
  signal: string | null;
  afterMs: number;
  stderr: string[];
}

/** How a node may find a puppet on this host other than by an IPv4 literal. Hosts without port. */
export interface Ways {
  /** A name that its resolver knows, and every host here that the name may mean to it. */
  readonly name: string;
  readonly meaning: readonly string[];
  /** A literal in brackets, or null where nodes have no IPv6. */
  readonly six: string | null;
}

export interface Target {
  /** As it stands in reports: the command, the address or `reference node`. */
  readonly description: string;
  /** Flags that name this target on the command line, shell-quoted; empty for the default. */
  readonly flags: string;
  readonly abilities: ReadonlySet<Need>;
  /** Mixed into the seeds of puppets: a node that outlives the run must not meet them again. */
  readonly salt: string;
  /** Issues the identities of all puppets. */
  readonly authority: Authority;
  /** Free `host:port` addresses where puppets may listen so that the node can reach them. */
  nextAddress(): string;
  readonly ways: Ways;
  /** A node that other rows use at the same time, with default parameters. */
  shared(row: string, onCrash: (crash: Crash) => void): Promise<Lease>;
  /** A node for this row alone. Throws `Judged` not-applicable where the options ask for more than the target can do. */
  own(row: string, options: NodeOptions, onCrash: (crash: Crash) => void): Promise<Lease>;
  /** Starts a node that is expected to exit by itself; resolves when it has, or null if it still runs after `withinMs`. */
  startAndExit(row: string, options: NodeOptions, withinMs: number): Promise<FailedStart | null>;
  /** Name → pid of every node of ours that runs now, for the watch on the host. */
  pids(): ReadonlyMap<string, number>;
  /**
   * Where the node lives on after a row: sees to it that the node gives up this address of a puppet that has left.
   * Null where nodes go with their rows.
   */
  readonly abandon: ((address: string) => Promise<void>) | null;
  /** Has more than one row used the one node that there is? Never, where every row can have a node of its own. */
  isWorn(): boolean;
  /** Every unexpected end so far. */
  readonly crashes: readonly Crash[];
  /** Ends everything and leaves nothing. Idempotent. */
  close(): Promise<void>;
}
