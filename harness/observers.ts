/**
 * The observers of a run: one on every living node, all of them peers without capabilities. They carry the load in (commits, over
 * the wire, within the limits of one peer) and watch it arrive everywhere. Knows no faults and no engine.
 */

import type { CommitPurpose, CommitSent, Life } from './history.ts';
import type { PlannedNode } from './plan.ts';
import type { Recorder } from './recorder.ts';
import { rng } from './rng.ts';
import { openSession, type Session } from './session.ts';
import { type Watch, watchLife } from './watch.ts';
import type { Authority } from './wire/authority.ts';
import { encodeBase64 } from './wire/base64.ts';
import { buildEnvelope, resigned } from './wire/envelope.ts';
import { type Item, itemOf, ruleHash } from './wire/items.ts';
import { float, type JsonObject } from './wire/json.ts';
import type { MonitorBook } from './wire/monitors.ts';
import { createPuppet, type Puppet } from './wire/puppet.ts';

export interface ObserverOptions {
  recorder: Recorder;
  authority: Authority;
  book: MonitorBook;
}

export interface Observers {
  readonly watches: ReadonlyMap<string, Watch>;
  /** The life accepts TLS at this address: watch it. */
  attach(life: Life, address: string): void;
  /** The node is about to be stopped; what its connections do now is nobody's fault. */
  expectEnd(node: string): void;
  /** The life is over. */
  detach(node: string): void;
  /** Nobody else is still starting: from now on a node has to find those who are there. */
  allStarted(): void;
  /** Sends one commit to a node; resolves when it was answered or never will be. null: nobody is connected there. */
  commit(node: string, purpose: CommitPurpose): Promise<CommitSent | null>;
  /** Items some node has not shown yet, by node; only those with any. */
  lacking(): Record<string, number>;
  /** How many nodes name as many peers as they have to find. */
  foundPeers(): { done: number; of: number };
  /** Asks every node for everything it holds and compares it with what was sent. */
  census(): Promise<void>;
  close(): void;
}

/** Profile §9: 10 commits of one peer in any sliding 60 s, or what the node's parameters say; one is left for the unforeseen. */
const commitsOfOne = ({ parameters }: PlannedNode): number =>
  Math.max(1, Math.min(9, (parameters.commits_per_minute ?? 10) - 1));
const minuteMs = 61_000;
const defaultTargetPeers = 10;

interface Seat {
  life: Life;
  plan: PlannedNode;
  address: string;
  watch: Watch;
  /** The watching session first; more where one identity may not commit as much as is to be sent. */
  sessions: { session: Session; sent: number[] }[];
}

export async function createObservers({ recorder, authority, book }: ObserverOptions): Promise<Observers> {
  const { plan } = recorder.history;
  const perNode = (plan.load.commitsPerSecond * 60) / Math.max(1, plan.nodes.length);
  // A restarted node may or may not remember whom it has counted: no identity comes back in the next life. So many are enough for
  // a dozen lives and a minute's load.
  const least = Math.min(6, ...plan.nodes.map(commitsOfOne));
  const puppets = await makePuppets(plan.seed, 12 + Math.ceil(perNode / least), authority, book);
  /** How many sessions each node had, over all its lives. */
  const opened = new Map<string, number>();
  const names = new Map(plan.nodes.map((node) => [node.nodeId, node.name]));
  const seats = new Map<string, Seat>();
  const draw = rng(plan.seed, 'load', 'content');
  let starting = true;
  let serial = 0;

  const watches = new Map<string, Watch>();
  const others = (node: string): Seat[] => [...seats.values()].filter(({ life }) => life.node !== node);
  const wantedPeers = (node: PlannedNode): number => {
    const target = node.parameters.target_peers ?? defaultTargetPeers;
    const there = others(node.name);
    const planned = starting
      ? plan.nodes.filter(({ startAtMs }) => startAtMs === 0).length - 1
      : there.length;
    const wanted = Math.min(target, planned);
    // Who is the only bootstrap node is found by the others.
    const alone = node.bootstrapNames.every((name) => name === node.name);
    const bootstrap = alone || there.some(({ life }) => node.bootstrapNames.includes(life.node));
    return bootstrap && there.length >= wanted ? wanted : 0;
  };
  const newSession = (seat: Pick<Seat, 'life' | 'plan' | 'address'>): Seat['sessions'][number] => {
    const { node, number } = seat.life;
    const before = opened.get(node) ?? 0;
    opened.set(node, before + 1);
    const puppet = puppets[(seat.plan.index + before) % puppets.length]!;
    return {
      session: openSession({ puppet, node, life: number, address: seat.address, recorder }),
      sent: [],
    };
  };
  const sessionWithSpare = (seat: Seat): Seat['sessions'][number] | null => {
    for (const entry of seat.sessions) {
      while (entry.sent.length > 0 && recorder.now() - entry.sent[0]! > minuteMs) entry.sent.shift();
      if (entry.sent.length < commitsOfOne(seat.plan)) return entry;
    }
    if (seat.sessions.length >= puppets.length) return null;
    const entry = newSession(seat);
    seat.sessions.push(entry);
    return entry;
  };
  const accepted = (): CommitSent[] =>
    recorder.history.commits.filter(({ outcome }) => outcome === 'accepted');
  let acceptedCount = 0;

  return {
    watches,
    attach(life, address) {
      const node = plan.nodes.find(({ name }) => name === life.node)!;
      const seat = { life, plan: node, address };
      const first = newSession(seat);
      const watch = watchLife({
        life,
        session: first.session,
        recorder,
        names,
        wantedPeers: () => wantedPeers(node),
        queriesPerMinute: node.parameters.queries_per_minute ?? 30,
        accepted: () => acceptedCount,
      });
      for (const { hash } of accepted()) watch.want(hash);
      seats.set(life.node, { ...seat, watch, sessions: [first] });
      watches.set(life.node, watch);
    },
    expectEnd(node) {
      for (const { session } of seats.get(node)?.sessions ?? []) session.expectEnd();
    },
    detach(node) {
      const seat = seats.get(node);
      if (seat === undefined) return;
      seats.delete(node);
      watches.delete(node);
      seat.watch.stop();
      for (const { session } of seat.sessions) session.stop();
    },
    allStarted() {
      starting = false;
    },
    async commit(node, purpose) {
      const seat = seats.get(node);
      const entry = seat === undefined ? null : sessionWithSpare(seat);
      if (seat === undefined || entry === null) return null;
      const item = loadItem(entry.session.puppet, serial, plan.load.payloadBytes, draw.below(1000) / 1000);
      serial += 1;
      entry.sent.push(recorder.now());
      const { sentAt, answer, connected } = await entry.session.commit(item);
      if (!connected) return null;
      const status: unknown = answer?.payload?.status;
      const taken = answer?.type === 'response' && (status === 'accepted' || status === 'known');
      const sent: CommitSent = {
        hash: item.hash.slice(5),
        node,
        life: seat.life.number,
        author: entry.session.puppet.identity.agentId,
        purpose,
        sentAt,
        answeredAt: answer === null ? null : recorder.at(answer.at),
        outcome: answer === null ? 'unanswered' : taken ? 'accepted' : 'refused',
        detail: answer === null ? 'no answer' : taken ? null : (answer.errorCode ?? answer.type),
      };
      recorder.history.commits.push(sent);
      if (!taken) return sent;
      acceptedCount += 1;
      for (const watch of watches.values()) {
        if (watch.life.node !== node || watch.life.number !== seat.life.number) watch.want(sent.hash);
      }
      return sent;
    },
    lacking() {
      const found = [...watches].map(([node, { wanted }]) => [node, wanted.size] as const);
      return Object.fromEntries(found.filter(([, count]) => count > 0));
    },
    foundPeers() {
      const all = [...seats.values()];
      const done = all.filter(({ watch, plan: node }) => {
        const wanted = wantedPeers(node);
        return wanted > 0 && watch.peers.length >= wanted;
      });
      return { done: done.length, of: all.length };
    },
    async census() {
      const [good, forbidden] = [
        accepted().map(({ hash }) => hash),
        recorder.history.adversaries.flatMap((record) => record.forbidden),
      ];
      await Promise.all(
        [...watches.values()].map(async (watch) => {
          const held = await watch.census();
          if (held === null) return;
          recorder.history.census.push({
            node: watch.life.node,
            life: watch.life.number,
            at: recorder.now(),
            items: held.size,
            lacks: good.filter((hash) => !held.has(hash)),
            forbidden: forbidden.filter((hash) => held.has(hash)),
            handedOut: await watch.handOut([...held].sort()),
          });
        }),
      );
    },
    close() {
      for (const seat of seats.values()) {
        seat.watch.stop();
        for (const { session } of seat.sessions) session.stop();
      }
      seats.clear();
      watches.clear();
    },
  };
}

function makePuppets(
  seed: number,
  count: number,
  authority: Authority,
  book: MonitorBook,
): Promise<Puppet[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) => {
      const name = `observer-${index + 1}`;
      return createPuppet(authority, {
        name,
        seed: `testnet/${seed}/${name}`,
        agentId: `agent_${name}`,
        book,
      });
    }),
  );
}

/** So many items in a row lie under the same first hex digit. */
const itemsPerDigit = 8;
/** So many items in a row speak of the same rule, by different agents where they can. */
const itemsPerRule = 3;

/**
 * A commit of the load. Its nonce is chosen so that items sent one after another share the first digit of their hash: then one
 * short subtree shows all that is waited for. Any digit costs 16 attempts.
 */
export function loadItem(author: Puppet, serial: number, payloadBytes: number, confidence: number): Item {
  const digit = '0123456789abcdef'[Math.floor(serial / itemsPerDigit) % 16]!;
  const rule = Math.floor(serial / itemsPerRule);
  const payload = {
    rule_hash: ruleHash(`testnet rule ${rule}`),
    logic_signature: `logic ${rule}`,
    context_signature: `context ${rule}`,
    confidence: float(confidence),
    evidence_count: serial,
    metadata: { padding: 'x'.repeat(Math.max(0, payloadBytes - 220)) },
  };
  for (let nonce = 0; ; nonce += 1) {
    const metadata: JsonObject = { ...payload.metadata, nonce };
    const envelope = buildEnvelope(
      author.identity,
      'commit',
      { ...payload, metadata },
      { senderMembers: { certificate: encodeBase64(author.certificate.der) }, signature: '' },
    );
    const unsigned = itemOf(envelope);
    if (unsigned.hash[5] === digit) return { ...unsigned, envelope: resigned(envelope, author.identity) };
  }
}
