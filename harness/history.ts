/**
 * What happened in a run, as plain data: the only thing that checks read. Written by the observers and by whoever applied the
 * faults; holds no sockets, no judgement. All instants (`at`, `…At`) are ms from the start of the run, of one monotonic clock.
 */

import type { LinkAudit } from './engine.ts';
import type { HostFacts, HostSecond } from './host.ts';
import type { LinkCounters } from './links/fault-plane.ts';
import type { Plan } from './plan.ts';

export type Stage = 'start' | 'settle' | 'load' | 'cure' | 'converge' | 'judge' | 'stop';

/** A node from one start of its process to its end. */
export interface Life {
  node: string;
  /** 0, 1 …: the n-th start of this node. */
  number: number;
  startedAt: number;
  /** First TLS handshake; null: never. */
  readyAt: number | null;
  endedAt: number | null;
  /** `killed`, `terminated`, `failed` with why, or null while it runs. */
  end: string | null;
  /** The data folder was empty at its start though an earlier life had written to it. */
  wiped: boolean;
  /** When its links worked: the later of `readyAt` and the end of the fault that stopped it; null: never. */
  reachableAt: number | null;
}

export type CommitPurpose =
  /** The steady load. */
  | 'load'
  /** Given to a node whose links are already down, just before it is killed: only its own disk can know it. */
  | 'witness';

/** One commit that an observer sent to a node. */
export interface CommitSent {
  /** 64 hex digits. */
  hash: string;
  node: string;
  life: number;
  author: string;
  purpose: CommitPurpose;
  sentAt: number;
  answeredAt: number | null;
  outcome: 'accepted' | 'refused' | 'unanswered';
  /** Error code of a refusal; why there was no answer. */
  detail: string | null;
}

/** An item was seen at a node for the first time in that life. It arrived after `since` and not after `at`. */
export interface Sighting {
  hash: string;
  node: string;
  life: number;
  /** The answer that showed it was complete. */
  at: number;
  /** The request before it, whose answer did not show it, was sent (or the life began). */
  since: number;
}

/** Asked for peers, a node named these. */
export interface PeerList {
  node: string;
  life: number;
  at: number;
  since: number;
  /** Node names; strangers by node id. */
  peers: string[];
}

/** From the writing of a request to the reading of its answer, on a direct connection. */
export interface RoundTrip {
  node: string;
  life: number;
  at: number;
  ms: number;
  kind: 'commit' | 'sync_digest' | 'state_sync' | 'peer_request' | 'gossip';
}

export interface CheckpointSeen {
  node: string;
  life: number;
  at: number;
  /** 0 and null: none yet. */
  height: number;
  hash: string | null;
}

/** An observer's connection ended or its request failed although it had kept all rules. */
export interface Rebuff {
  node: string;
  life: number;
  at: number;
  what: 'refused' | 'closed' | 'error' | 'silence';
  /** WebSocket close code, where there was one. */
  code: number | null;
  detail: string;
}

/** A planned fault as it went. */
export interface FaultRecord {
  id: string;
  label: string;
  outcome: 'applied' | 'skipped' | 'failed';
  because: string;
  appliedAt: number | null;
  curedAt: number | null;
  receipt: { what: string; evidence: Record<string, unknown> } | null;
  cure: { what: string; evidence: Record<string, unknown> } | null;
}

/** For some time a node could not reach, or not be reached by, those of other sides. */
export interface Severing {
  fault: string;
  kind: 'partition' | 'outage' | 'pause' | 'links';
  from: number;
  /** The path worked again; null: not before the end. */
  until: number | null;
  /** Nodes on different sides are separated; those on no side are together. */
  sides: string[][];
}

export interface AdversaryRecord {
  fault: string;
  behaviour: string;
  target: string;
  from: number;
  until: number;
  /** How many of each kind were sent, where each is to be answered; what came of the rest nobody knows. */
  offered: Partial<Record<AttackKind, number>>;
  /** Answers by what was sent: class → outcome → instants. */
  outcomes: { kind: AttackKind; at: number; outcome: string; bytes: number }[];
  /** Hashes that were refused, so that no node may ever hold them. */
  forbidden: string[];
  /** Persistent connections of this adversary that were open at a time, at most. */
  mostPeers: number;
  /** How many of them were open from when on; how further ones were turned away stands among the outcomes. */
  peersOpen: { at: number; open: number }[];
  detail: Record<string, unknown>;
}

export type AttackKind = 'commit' | 'query' | 'bytes' | 'peer' | 'duplicate' | 'forged' | 'garbage';

/** A rule of the wire that a node broke, as the monitors of our own connections saw it. */
export interface Violation {
  row: string;
  node: string;
  at: number;
  detail: string;
}

/** Everything a node held at the end, compared with what was sent. */
export interface Census {
  node: string;
  life: number;
  at: number;
  items: number;
  /** Accepted items it does not hold. */
  lacks: string[];
  /** Refused items that it holds all the same. */
  forbidden: string[];
  /** A few of the items that it shows, asked for one by one at the end; null: it gave no answer in time. */
  handedOut: { hash: string; whole: boolean | null }[];
}

export interface LinkSample {
  at: number;
  links: LinkCounters[];
}

export interface History {
  plan: Plan;
  engine: string;
  abilities: string[];
  /** ISO 8601. */
  startedAt: string;
  /** When the run ended; everything open then stays open. */
  endedAt: number;
  stages: { stage: Stage; at: number }[];
  lives: Life[];
  commits: CommitSent[];
  sightings: Sighting[];
  peerLists: PeerList[];
  roundTrips: RoundTrip[];
  checkpoints: CheckpointSeen[];
  rebuffs: Rebuff[];
  census: Census[];
  faults: FaultRecord[];
  severings: Severing[];
  adversaries: AdversaryRecord[];
  violations: Violation[];
  /** Messages that the monitors judged, by row. */
  monitored: Record<string, number>;
  linkSamples: LinkSample[];
  /** By the engine's own counters; absent where it has none. */
  linkAudit?: LinkAudit;
  host: { facts: HostFacts; seconds: HostSecond[]; overloaded: boolean; because: string };
  /** Trouble of the harness itself: makes verdicts unknown. */
  trouble: string[];
  notes: { at: number; text: string }[];
}

/** Why a receipt is no proof, as half a sentence, or null. Links are proved in degrees; of all else an engine gives its word or none. */
export function doubtOf({ what, evidence }: NonNullable<FaultRecord['receipt']>): string | null {
  if (evidence.proved === false) return `what was seen speaks against "${what}"`;
  return typeof evidence.unproved === 'string' ? `"${what}" could not be proved: ${evidence.unproved}` : null;
}

/** The life that a node led at an instant; null between lives and before the first. */
export function lifeAt(history: Pick<History, 'lives'>, node: string, at: number): Life | null {
  return (
    history.lives.find(
      (life) => life.node === node && life.startedAt <= at && (life.endedAt === null || at < life.endedAt),
    ) ?? null
  );
}

/** The last life of each node that runs at the end. */
export function livesAtEnd(history: History): Life[] {
  return history.lives.filter((life) => life.endedAt === null && life.readyAt !== null);
}

/** When the load begins; the end of the run if it never did. */
export function loadStartsAt(history: History): number {
  return history.stages.find(({ stage }) => stage === 'load')?.at ?? history.endedAt;
}

/** Whether a severing separates two nodes. */
export function separates(severing: Severing, a: string, b: string): boolean {
  if (a === b) return false;
  const side = (node: string): number => severing.sides.findIndex((names) => names.includes(node));
  const [sideA, sideB] = [side(a), side(b)];
  return sideA !== sideB;
}
