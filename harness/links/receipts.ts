/**
 * Proof that a fault is in force, or gone. Two witnesses: a few of the links are probed from outside, with the byte counters
 * read before and after; and the server is asked what it has set on each of them. Sets nothing.
 *
 * `evidence.proved` of a receipt: true, false where what was seen or listed speaks against it, null where nothing could be learnt;
 * `evidence.unproved` then says why, where that is our own doing.
 */

import type { Receipt } from '../engine.ts';
import type { LinkFault, Stream } from './fault-plane.ts';
import { type Expectation, expectationOf, streamsOf } from './fault-toxics.ts';
import type { LinkDialler, ProbeResult } from './probe.ts';
import type { LinkState, ToxicStream } from './toxiproxy-client.ts';

/** A link as receipts see it. */
export interface ProbedLink {
  readonly name: string;
  readonly listen: string;
  /** Everything in force on it now, base latency included; the same objects while they are in force. */
  faults(): LinkFault[];
  /** One more connection that is ours, not a node's. */
  countProbe(): void;
}

export interface Prover {
  hello: Buffer;
  /** null: no link can be dialled from here. */
  dialler: LinkDialler | null;
  /** Live counters of one link; null where the server has none. */
  counters(name: string): Promise<LinkState | null>;
  /** The same of all links that were ever used. */
  allCounters(): Promise<LinkState[] | null>;
  /** True if the server's own list of these links is what we have set on them. */
  listed(links: readonly ProbedLink[]): Promise<boolean>;
}

/** What a receipt is about. */
export interface Change {
  fault: LinkFault;
  cured: boolean;
  what: string;
  /** performance.now when the server had taken it. */
  at: number;
}

/** More would disturb the nodes: each probe is an aborted handshake to them. */
const sampleSize = 3;
/** What a busy two-core host may take to answer before we call it silence, ms; several times as much where an answer is due. */
const silenceMs = 200;
const lateMs = 2000;
/** How long a delayed close is waited for at most, ms. */
const longestCloseMs = 1500;

const apiStream: Readonly<Record<Stream, ToxicStream>> = { forth: 'upstream', back: 'downstream' };

/** First, middle and last: cheap, the same every time, and seldom all at one node in a list by node. */
export function sampleOf<T>(links: readonly T[]): T[] {
  const places = [0, (links.length - 1) >> 1, links.length - 1].slice(0, sampleSize);
  return [...new Set(places)].map((place) => links[place]).filter((link) => link !== undefined);
}

interface Sighting {
  link: string;
  expected: Expectation['outcome'];
  /** null: the dialler gave no answer. */
  seen: ProbeResult['outcome'] | null;
  roundTripMs?: number;
  closeMs?: number;
  firstPieceBytes?: number;
  /** Bytes that the still streams passed while the probe spoke; null where the server does not count. */
  passedBytes?: number | null;
  /** null: what was seen would be the same without the change, or nobody listens behind the link. */
  proved: boolean | null;
  /** Why the dialler gave none. */
  because?: string;
}

interface Look {
  change: Change;
  /** What a probe must see with the fault in force, and without it; other faults on the link included in both. */
  struck: Expectation;
  free: Expectation;
}

const round = (ms: number): number => Math.round(ms * 10) / 10;

function passedOn(
  streams: readonly Stream[],
  before: LinkState | null,
  after: LinkState | null,
): number | null {
  if (before === null || after === null) return null;
  return streams.reduce(
    (sum, s) => sum + after.bytes[apiStream[s]].passed - before.bytes[apiStream[s]].passed,
    0,
  );
}

/** A kind that leaves answers as they are, late or not, shows in another way than by the round trip. */
function judgeShape({ change }: Look, result: ProbeResult): boolean | null {
  const { fault, cured } = change;
  if (fault.kind === 'slow-close') {
    const seenMs = result.closeMs ?? longestCloseMs;
    const delayed = seenMs >= Math.min(fault.delayMs, longestCloseMs) - 1;
    // A late close after a cure may be a busy host.
    return cured ? (delayed ? null : true) : delayed;
  }
  if (fault.kind === 'slice' && streamsOf(fault).includes('back')) {
    // Pieces may arrive together, and an answer may be no larger than a piece.
    const small = result.firstPieceBytes <= fault.bytes;
    return small === cured ? null : true;
  }
  return null;
}

function judgeAnswer(look: Look, result: ProbeResult): boolean | null {
  const { struck, free, change } = look;
  // Nobody behind the link: a reset or an end without an answer says nothing about the fault.
  if (result.outcome === 'reset' || result.outcome === 'ended') return null;
  if (result.outcome === 'refused') return false;
  // Whoever is to answer may be slow or stand still.
  if (result.roundTripMs === null) return null;
  if (struck.outcome !== 'answered') return true;
  const shape = judgeShape(look, result);
  if (shape !== null || free.outcome !== 'answered') return shape;
  // One millisecond: the two ends of a round trip are timed in two threads.
  if (!change.cured && result.roundTripMs < struck.leastMs - 1) return false;
  if (struck.leastMs <= free.mostMs) return null;
  // A late answer after a cure may be a busy host.
  return change.cured && result.roundTripMs >= struck.leastMs ? null : true;
}

/** Waits long enough for what is expected, and no longer than the hung probe of a cut needs. */
function waitFor(expected: Expectation): number {
  return expected.outcome === 'answered' ? expected.mostMs + lateMs : silenceMs;
}

function judge(look: Look, expected: Expectation, result: ProbeResult, sighting: Sighting): boolean | null {
  if (look.struck.outcome === look.free.outcome && expected.outcome !== 'answered') return null;
  if (expected.outcome === 'answered') return judgeAnswer(look, result);
  // Neither taken in nor refused: a dialler that is starved.
  if (result.outcome === 'silent' && !result.connected) return null;
  if (expected.outcome === 'silent') {
    if (!result.connected || result.outcome === 'reset' || result.outcome === 'ended') return null;
    if ((sighting.passedBytes ?? 0) > 0) return false;
  }
  return result.outcome === expected.outcome;
}

async function lookAt(
  link: ProbedLink,
  prover: Prover,
  dialler: LinkDialler,
  change: Change,
): Promise<Sighting> {
  const now = link.faults();
  const others = now.filter((fault) => fault !== change.fault);
  const struck = expectationOf([...others, change.fault], prover.hello.length);
  const free = expectationOf(others, prover.hello.length);
  const look = { change, struck, free };
  const expected = change.cured ? free : struck;
  const before = await prover.counters(link.name);
  const asked = dialler.probe({
    address: link.listen,
    hello: prover.hello,
    waitMs: waitFor(expected),
    ...(change.fault.kind === 'slow-close' ? { awaitCloseMs: longestCloseMs } : {}),
  });
  const result = await asked.catch((error: unknown) => reasonOf(error));
  if (typeof result === 'string')
    return { link: link.name, expected: expected.outcome, seen: null, proved: null, because: result };
  if (result.connected) link.countProbe();
  const sighting: Sighting = {
    link: link.name,
    expected: expected.outcome,
    seen: result.outcome,
    proved: null,
  };
  if (result.roundTripMs !== null) sighting.roundTripMs = round(result.roundTripMs);
  if (result.closeMs !== null) sighting.closeMs = round(result.closeMs);
  if (change.fault.kind === 'slice') sighting.firstPieceBytes = result.firstPieceBytes;
  if (expected.outcome === 'silent') {
    sighting.passedBytes = passedOn(expected.stillStreams, before, await prover.counters(link.name));
  }
  const then = link.faults();
  const changedMeanwhile = then.length !== now.length || then.some((fault, i) => fault !== now[i]);
  if (!changedMeanwhile) sighting.proved = judge(look, expected, result, sighting);
  return sighting;
}

/** Over all links that a fault holds still: what their sources sent into them meanwhile, and what came out. */
interface Traffic {
  takenBytes: number;
  passedBytes: number;
}

async function watchTraffic(
  links: readonly ProbedLink[],
  prover: Prover,
  { fault, cured }: Change,
): Promise<() => Promise<Traffic | null>> {
  if (cured || (fault.kind !== 'cut' && fault.kind !== 'black-hole')) return async () => null;
  const names = new Set(links.map(({ name }) => name));
  const read = async (): Promise<Traffic | null> => {
    const states = (await prover.allCounters())?.filter(({ name }) => names.has(name));
    if (states === undefined) return null;
    const sum = (what: 'taken' | 'passed'): number =>
      states.reduce(
        (all, { bytes }) => streamsOf(fault).reduce((n, s) => n + bytes[apiStream[s]][what], all),
        0,
      );
    return { takenBytes: sum('taken'), passedBytes: sum('passed') };
  };
  const before = await read();
  return async () => {
    const after = await read();
    if (before === null || after === null) return null;
    return {
      takenBytes: after.takenBytes - before.takenBytes,
      passedBytes: after.passedBytes - before.passedBytes,
    };
  };
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Probes a sample of the links and asks the server about all of them. `evidence.proved`: nothing that was seen speaks
 * against it, and bytes on the links (`by` traffic) or, where they cannot tell, the server's own list says so. Never rejects: what
 * is in force has to be lifted whether or not it could be proved.
 */
export async function prove(links: readonly ProbedLink[], prover: Prover, change: Change): Promise<Receipt> {
  return witnessed(links, prover, change).catch((error: unknown) => ({
    at: change.at,
    what: change.what,
    evidence: { proved: null, unproved: reasonOf(error), links: links.length },
  }));
}

async function witnessed(links: readonly ProbedLink[], prover: Prover, change: Change): Promise<Receipt> {
  const trafficSince = await watchTraffic(links, prover, change);
  const { dialler } = prover;
  const [listed, ...probes] = await Promise.all([
    prover.listed(links),
    ...(dialler === null ? [] : sampleOf(links).map((link) => lookAt(link, prover, dialler, change))),
  ]);
  const traffic = await trafficSince();
  const seen = probes.some(({ proved }) => proved === true) || (traffic?.takenBytes ?? 0) > 0;
  const contradicted = probes.some(({ proved }) => proved === false) || (traffic?.passedBytes ?? 0) > 0;
  return {
    at: change.at,
    what: change.what,
    evidence: {
      proved: listed && !contradicted && links.length > 0,
      by: seen ? 'traffic' : 'server',
      listed,
      links: links.length,
      probes,
      ...(traffic === null ? {} : { traffic }),
    },
  };
}
