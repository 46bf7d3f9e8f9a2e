/**
 * Which nodes this one dials, and when (§4, §5): enough persistent peers, chosen at random among all known nodes, with
 * back-off and within the limit on dials. It owns attempts; it must not know what is said on a connection.
 */
import type { Deadline } from './deadlines.ts';
import type { BootstrapQuery } from './discovery.ts';
import { pickRandom } from './link.ts';
import type { NodeState } from './state.ts';
import type { DialId } from './types.ts';

/** What a dial is for. */
export type Errand =
  | { readonly kind: 'persistent'; readonly nodeId: string; readonly address: string }
  | { readonly kind: 'bootstrap'; readonly query: BootstrapQuery };

interface Dial {
  readonly errand: Errand;
  readonly due: Deadline;
}

/** Why a node is not dialled now. */
interface Patience {
  failures: number;
  notBeforeMs: number;
  /** Its connection was lost: a redial is coming, its place among the target's is kept free until then. */
  isLost: boolean;
}

export interface DialingState {
  readonly dials: Map<DialId, Dial>;
  lastDial: DialId;
  /** Persistent errands that are not CONNECTED yet: node ids. */
  readonly underWay: Set<string>;
  /** Starts of the last dials of learned addresses. */
  readonly startsAtMs: number[];
  readonly patience: Map<string, Patience>;
  /** After 4401 and 4426: not again "until the node itself connects" (§4). */
  readonly barred: Set<string>;
  /** Until then the bootstrap nodes' answers are awaited, so that the choice is among all known nodes. */
  gatherUntilMs: number;
  lookDue: Deadline | null;
}

/** "At most 20 dials of learned addresses start in any 10 s" (§5). */
const startsLimit = 20;
const startsWindowMs = 10_000;
/**
 * Half of the target at a time, and then a breath: where many nodes start together the others' dials fill the rest, and
 * each connection is made once. Dialling all at once gives everybody half as many again as it wants.
 */
const waveMs = 400;
const waveOf = (targetPeers: number): number => Math.ceil(targetPeers / 2);
const leastBackoffMs = 1000;
const greatestBackoffMs = 60_000;
/** An address that never proved its node and failed so often is forgotten. */
const unverifiedFailures = 4;
const rememberedNodes = 4096;
/** TCP, TLS and upgrade of an own dial. */
const dialMs = 10_000;

export function createDialing(): DialingState {
  return {
    dials: new Map(),
    lastDial: 0,
    underWay: new Set(),
    startsAtMs: [],
    patience: new Map(),
    barred: new Set(),
    gatherUntilMs: Number.NEGATIVE_INFINITY,
    lookDue: null,
  };
}

/** Starts a dial; its end comes as `dialed` or `dial-failed`, or is made by `failed` when it takes too long. */
export function dial(
  node: NodeState,
  errand: Errand,
  address: string,
  failed: (errand: Errand) => void,
): void {
  const id = ++node.dialing.lastDial;
  const due = node.deadlines.at(node.nowMs + dialMs, () => {
    node.dialing.dials.delete(id);
    node.turn.effects.push({ kind: 'cancel-dial', dial: id });
    failed(errand);
  });
  node.dialing.dials.set(id, { errand, due });
  node.turn.effects.push({ kind: 'dial', dial: id, address });
}

/** The errand of a dial that has ended; null if it was given up before. */
export function dialEnded(node: NodeState, id: DialId): Errand | null {
  const ended = node.dialing.dials.get(id);
  if (!ended) return null;
  node.dialing.dials.delete(id);
  node.deadlines.cancel(ended.due);
  return ended.errand;
}

/** Dials lost peers again and new ones until there are enough; looks again when waiting is over. */
export function tendDials(node: NodeState): void {
  const { dialing } = node;
  node.deadlines.cancel(dialing.lookDue);
  if (node.stopped || !node.started) return;
  if (node.nowMs < dialing.gatherUntilMs) {
    lookAt(node, dialing.gatherUntilMs);
    return;
  }
  while (dialing.startsAtMs.length > 0 && node.nowMs - dialing.startsAtMs[0]! >= startsWindowMs) {
    dialing.startsAtMs.shift();
  }
  let nextAt = Number.POSITIVE_INFINITY;
  let kept = 0;
  const redials: string[] = [];
  for (const [nodeId, patience] of dialing.patience) {
    if (!patience.isLost) continue;
    if (!mayDial(node, nodeId)) patience.isLost = false;
    else if (patience.notBeforeMs <= node.nowMs) redials.push(nodeId);
    else {
      nextAt = Math.min(nextAt, patience.notBeforeMs);
      // Only the first redial keeps a place free: somebody else takes it if that fails.
      if (patience.failures === 0) kept++;
    }
  }
  const lacking = () => node.parameters.targetPeers - node.persistent.length - dialing.underWay.size;
  for (const nodeId of redials) {
    if (lacking() <= 0) dialing.patience.get(nodeId)!.isLost = false;
    else if (!start(node, nodeId)) {
      lookAt(node, dialing.startsAtMs[0]! + startsWindowMs);
      return;
    }
  }
  const wave = waveOf(node.parameters.targetPeers);
  const lately = dialing.startsAtMs.filter((startedAtMs) => node.nowMs - startedAtMs < waveMs);
  const wanted = Math.min(lacking() - kept, wave - lately.length);
  if (lacking() - kept > wanted) nextAt = Math.min(nextAt, (lately[0] ?? node.nowMs) + waveMs);
  if (wanted > 0) {
    const candidates: string[] = [];
    for (const { nodeId } of node.routing.all()) {
      if (!mayDial(node, nodeId)) continue;
      const notBeforeMs = dialing.patience.get(nodeId)?.notBeforeMs ?? 0;
      if (notBeforeMs <= node.nowMs) candidates.push(nodeId);
      else nextAt = Math.min(nextAt, notBeforeMs);
    }
    for (const nodeId of pickRandom(node, candidates, wanted)) {
      if (!start(node, nodeId)) {
        lookAt(node, dialing.startsAtMs[0]! + startsWindowMs);
        return;
      }
    }
  }
  if (nextAt < Number.POSITIVE_INFINITY) lookAt(node, nextAt);
}

/** A persistent errand failed before it was CONNECTED, or its connection ended; `code` 0 for a failed dial. */
export function errandEnded(node: NodeState, nodeId: string, wasOpen: boolean, code: number): void {
  const { dialing, routing } = node;
  dialing.underWay.delete(nodeId);
  node.turn.dialsWanted = true;
  if (code === 4401 || code === 4426) {
    if (dialing.barred.size >= rememberedNodes) dialing.barred.delete(dialing.barred.values().next().value!);
    dialing.barred.add(nodeId);
    return;
  }
  // "after 4409 not while another connection to it stands"
  if (code === 4409 && node.peers.get(nodeId)?.persistent) return;
  const patience = patienceWith(node, nodeId);
  if (code === 4429) {
    patience.notBeforeMs = node.nowMs + greatestBackoffMs;
    patience.isLost = false;
    return;
  }
  if (wasOpen) {
    patience.failures = 0;
    patience.isLost = true;
  } else {
    patience.failures++;
    // "only peers with whom a handshake succeeded and, if they were dialled since, answered" are told of (§5)
    routing.dialFailed(nodeId);
    const entry = routing.get(nodeId);
    if (entry && !entry.verified && patience.failures >= unverifiedFailures) forget(node, nodeId);
  }
  const exponent = Math.max(0, patience.failures - (patience.isLost ? 0 : 1));
  patience.notBeforeMs = node.nowMs + backoffMs(node, leastBackoffMs * 2 ** exponent);
}

/** A node was reached or has connected itself. */
export function nodeConnected(
  node: NodeState,
  nodeId: string,
  isPersistent: boolean,
  byItself: boolean,
): void {
  const { underWay, patience, barred } = node.dialing;
  if (isPersistent) patience.delete(nodeId);
  if (byItself) barred.delete(nodeId);
  else if (isPersistent) underWay.delete(nodeId);
}

/** What was learned about a node proved wrong. */
export function forget(node: NodeState, nodeId: string): void {
  node.routing.forget(nodeId);
  node.dialing.patience.delete(nodeId);
  node.dialing.underWay.delete(nodeId);
}

/** At most 60 s, and up to a quarter more or less than asked, but never under the least. */
export function backoffMs(node: NodeState, delayMs: number): number {
  const capped = Math.min(greatestBackoffMs, delayMs);
  return Math.min(greatestBackoffMs, capped * (1 + node.world.random() / 4));
}

function mayDial(node: NodeState, nodeId: string): boolean {
  const { dialing, routing } = node;
  const address = routing.get(nodeId)?.address;
  if (!address || address === node.config.advertise || nodeId === node.me.nodeId) return false;
  return !dialing.underWay.has(nodeId) && !dialing.barred.has(nodeId) && !node.peers.get(nodeId)?.persistent;
}

/** False if the limit on dials is reached. */
function start(node: NodeState, nodeId: string): boolean {
  const { dialing } = node;
  if (dialing.startsAtMs.length >= startsLimit) return false;
  dialing.startsAtMs.push(node.nowMs);
  dialing.underWay.add(nodeId);
  const patience = dialing.patience.get(nodeId);
  if (patience) patience.isLost = false;
  const { address } = node.routing.get(nodeId)!;
  const errand: Errand = { kind: 'persistent', nodeId, address };
  dial(node, errand, address, () => errandEnded(node, nodeId, false, 0));
  return true;
}

function patienceWith(node: NodeState, nodeId: string): Patience {
  const { patience } = node.dialing;
  let with_ = patience.get(nodeId);
  if (!with_) {
    if (patience.size >= rememberedNodes) patience.delete(patience.keys().next().value!);
    with_ = { failures: 0, notBeforeMs: 0, isLost: false };
    patience.set(nodeId, with_);
  }
  return with_;
}

function lookAt(node: NodeState, atMs: number): void {
  node.dialing.lookDue = node.deadlines.at(Math.max(atMs, node.nowMs + 1), () => {
    node.turn.dialsWanted = true;
  });
}
