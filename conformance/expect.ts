/**
 * How verdicts are reached: twins for refusals, fences for absences, effects in place of self-reports. Each function ends the
 * row (`fail`, `late`, `inconclusive`) or returns what it saw. Plain functions over connections; no requirement is known here.
 */

import type { Connection } from '../harness/wire/connection.ts';
import { digestRequest, itemRequest } from '../harness/wire/gossip.ts';
import { describeOutcome, type HandshakeOptions, handshake } from '../harness/wire/handshake.ts';
import type { Item } from '../harness/wire/items.ts';
import { readable } from '../harness/wire/json.ts';
import { type Matcher, type Message, matches } from '../harness/wire/message.ts';
import type { DialOptions } from '../harness/wire/puppet.ts';
import type { Closed } from '../harness/wire/websocket.ts';
import type { Bench } from './bench.ts';
import type { Puppet } from './puppet.ts';
import { fail, Judged, late } from './requirement.ts';
import type { NodeUnderTest } from './target.ts';

/** What became of something that a puppet tried. */
export interface Attempt {
  accepted: boolean;
  /** `error_code` of the refusal, where there was one. */
  code: string | null;
  /** How the connection ended, if it did. */
  closed: Closed | null;
  /** In words, for verdicts. */
  detail: string;
  /** No answer, though what was sent behind it was answered: no matter of time. */
  passedOver?: boolean;
  /** Neither taken nor refused: no answer and no end within the bound. */
  isOpen?: boolean;
}

/**
 * The twin rule: a refusal counts only if the same thing with the one fault put right is accepted in the same run. `bad` and
 * `twin` are tried in this order. `code`: the error codes that the profile allows here; absent: any refusal will do (TLS).
 */
export async function refusedWithTwin(
  bench: Bench,
  attempt: {
    /** The fault, completing "a node must refuse …". */
    what: string;
    bad: () => Promise<Attempt>;
    twin: () => Promise<Attempt>;
    code?: string | readonly string[];
    /** The close code that must follow (a reset will do, silence will not); null: the connection must stay. */
    close?: number | null;
  },
): Promise<Attempt> {
  const { what, code, close } = attempt;
  bench.step(`sending ${what}`);
  const bad = await attempt.bad();
  bench.step(`sending the twin of ${what}`);
  const twin = await attempt.twin();
  // That something bad was accepted needs no twin, nor does the end of a connection that has to stay.
  if (bad.accepted) fail(`${what} was accepted: ${bad.detail}`, { bad, twin });
  if (close === null && (bad.closed !== null || (!twin.accepted && twin.closed !== null)))
    fail(`${what} also closed the connection: ${bad.detail}; then ${twin.detail}`, { bad, twin });
  if (!twin.accepted) {
    const because = `the twin of ${what} was not accepted either: ${twin.detail}`;
    // No word at all may be the host's fault: then the row is asked again.
    const timing = twin.code === null && twin.closed === null;
    throw new Judged({ verdict: 'inconclusive', because, evidence: [{ bad, twin }], timing });
  }
  const codes = code === undefined ? null : [code].flat();
  // Silence is no refusal, whatever else will do as one.
  if (bad.isOpen === true && codes === null) late(`${what} was not refused: ${bad.detail}`, { bad });
  if (codes !== null && bad.code !== null && !codes.includes(bad.code))
    fail(`${what} was refused with ${bad.code}, expected ${codes.join(' or ')}`, { bad });
  // An error before a close may be lost to a reset; where the connection stays, "the first failure is reported" (§3.2).
  if (codes !== null && bad.code === null && typeof close !== 'number' && bad.passedOver === true)
    fail(`${what} got no error ${codes.join(' or ')}, but what came behind it was answered`, { bad });
  if (codes !== null && bad.code === null && typeof close !== 'number')
    late(`${what} got no error ${codes.join(' or ')}: ${bad.detail}`, { bad });
  if (typeof close === 'number' && !endsWith(bad.closed, [close]))
    fail(`${what} must close ${close}: ${bad.detail}`, { bad });
  return bad;
}

/**
 * Waits for what the node makes of a message: an answer that names it, an error (one without request_id counts: a message that
 * broke a JSON rule could not be read), or the end of the connection. A silence of `withinMs` is a refusal without a word.
 */
export async function answerTo(
  connection: Connection,
  messageId: string | null,
  options: { withinMs?: number; awaitClose?: boolean } = {},
): Promise<Attempt> {
  const withinMs = options.withinMs ?? 5_000;
  const answer = await connection.maybe(
    (message) =>
      (messageId !== null && message.requestId === messageId) ||
      (message.type === 'error' && message.requestId === null),
    withinMs,
  );
  const closed =
    options.awaitClose === true ? await connection.closedWithin(withinMs) : (connection.ended ?? null);
  const open = closed === null && connection.seen('state_summary').length > 0;
  const passedOver = answer === null && open && (await connection.fence().catch(() => null)) !== null;
  return {
    ...(passedOver ? { passedOver } : {}),
    accepted: answer !== null && answer.type !== 'error',
    code: answer?.errorCode ?? null,
    closed,
    detail: describe(answer, closed, withinMs),
  };
}

function describe(answer: Message | null, closed: Closed | null, withinMs: number): string {
  const parts: string[] = [];
  if (answer === null) parts.push(closed === null ? `no answer within ${withinMs} ms` : 'no answer');
  else if (answer.type === 'error')
    parts.push(`error ${answer.errorCode} (${answer.payload?.error_message})`);
  else parts.push(`${answer.type} ${readable(answer.payload).slice(0, 200)}`);
  if (closed !== null) parts.push(`connection ended: ${closed.how} ${closed.code} ${closed.reason}`.trim());
  return parts.join(', ');
}

/** Longer than `handshake_timeout_s`, after which a node drops what it has not taken. */
const untilDroppedMs = 8_000;

/**
 * Dials and shakes hands; any way of not getting to CONNECTED is a refusal, but for silence (`isOpen`). An accepted connection is
 * closed again (a node allows four short-lived ones per peer) unless `keepOpen`. `connection` is no part of what an attempt shows as
 * evidence: its puppet holds a private key, and the book of the whole run.
 */
export async function tryHandshake(
  puppet: Puppet,
  node: NodeUnderTest | string,
  options: DialOptions & HandshakeOptions & { keepOpen?: boolean } = {},
): Promise<Attempt & { connection: Connection | null }> {
  const bounded = { withinMs: untilDroppedMs, ...options };
  const dialled = await puppet.dial(node, bounded);
  if (dialled.kind === 'refused') {
    const detail = `refused at ${dialled.stage}: ${dialled.detail}`;
    const isOpen = dialled.timedOut === true;
    return { accepted: false, code: null, closed: null, detail, isOpen, connection: null };
  }
  const outcome = await handshake(dialled, bounded);
  if (outcome.kind === 'connected' && options.keepOpen !== true) await dialled.close();
  const attempt = {
    accepted: outcome.kind === 'connected',
    code: outcome.kind === 'refused' ? (outcome.error?.errorCode ?? null) : null,
    closed: outcome.kind === 'refused' ? outcome.closed : null,
    detail: describeOutcome(outcome),
    isOpen: (outcome.kind === 'silent' || outcome.kind === 'incomplete') && dialled.ended === null,
  };
  return Object.defineProperty(attempt, 'connection', { value: dialled }) as typeof attempt & {
    connection: Connection;
  };
}

/**
 * Whether a connection ended in one of these ways. A close frame is lost to a reset where the node leaves something unread that
 * the puppet sent: there a reset counts, silence never.
 */
export function endsWith(closed: Closed | null, codes: readonly number[], resetCounts = true): boolean {
  if (closed === null) return false;
  if (closed.how === 'reset') return resetCounts;
  return closed.how === 'close' && codes.includes(closed.code);
}

/** How a connection ended, in words. */
export function saidOf({ how, code, reason }: Closed): string {
  return `${how} ${code} ${reason}`.trim();
}

/**
 * The node must close with one of `codes` within the bound. A TCP reset counts, unless the row says that nothing which the puppet
 * sent can be under way.
 */
export async function closedWith(
  connection: Connection,
  codes: number | readonly number[],
  withinMs = 5_000,
  options: { resetCounts?: boolean } = {},
): Promise<Closed> {
  const wanted = [codes].flat();
  const closed = await connection.closedWithin(withinMs);
  if (closed === null)
    return late(
      `${connection.label} is still open after ${withinMs} ms, expected close ${wanted.join(' or ')}`,
    );
  if (!endsWith(closed, wanted, options.resetCounts))
    fail(
      `${connection.label} ended by ${closed.how} ${closed.code} ${closed.reason}, expected close ${wanted.join(' or ')}`,
    );
  return closed;
}

/** What was sent last must end the connection so: were something behind it answered, it did not. */
export async function endedBy(
  connection: Connection,
  what: string,
  codes: number | readonly number[] | null,
  withinMs = 5_000,
): Promise<void> {
  const answered = connection.fence(withinMs).then(
    () => true,
    () => false,
  );
  if (await answered) fail(`${what} was taken: what came behind it was answered`);
  if (codes !== null) await closedWith(connection, codes, withinMs);
  else if ((await connection.closedWithin(withinMs)) === null)
    late(`${what} did not end the connection within ${withinMs} ms`);
}

/** The connection must still be there and answer: a fence on it. */
export async function stillServed(connection: Connection): Promise<void> {
  const { ended } = connection;
  if (ended !== null) fail(`${connection.label} was closed: ${ended.how} ${ended.code} ${ended.reason}`);
  await connection.fence();
}

/**
 * Nothing matching may arrive on `watched` before everything that was sent on `sources` has been handled: a fence on each source,
 * then one on each watched connection. Messages from before the call count too if `since` is given (index into `received`).
 */
export async function silentUntilFence(
  bench: Bench,
  what: string,
  check: {
    watched: readonly Connection[];
    matcher: Matcher;
    sources?: readonly Connection[];
    since?: readonly number[];
  },
): Promise<void> {
  bench.step(`a fence against ${what}`);
  const from = check.since ?? check.watched.map((connection) => connection.received.length);
  for (const source of check.sources ?? []) await source.fence();
  await Promise.all(check.watched.map((connection) => connection.fence()));
  check.watched.forEach((connection, index) => {
    const found = connection.received.slice(from[index]).find((message) => matches(check.matcher, message));
    if (found !== undefined) fail(`${what}: ${connection.label} got ${found.text.slice(0, 400)}`);
  });
}

/** Marks for `since`: everything from here on counts. */
export function marks(connections: readonly Connection[]): number[] {
  return connections.map((connection) => connection.received.length);
}

/** Sends an item as its author; the node must accept it (or know it, where `known` may be). Returns the answer. */
export async function accepted(
  connection: Connection,
  item: Item,
  status: 'accepted' | 'known' | 'either' = 'accepted',
): Promise<Message> {
  connection.sendEnvelope(item.envelope);
  const answer = await connection.answer(item.messageId);
  if (answer.type !== 'response')
    fail(`a valid ${String(item.envelope.message_type)} was answered ${describe(answer, null, 0)}`);
  const said = answer.payload?.status;
  if (status === 'either' ? said !== 'accepted' && said !== 'known' : said !== status)
    fail(
      `a ${String(item.envelope.message_type)} was answered with status ${readable(said)}, expected ${status}`,
    );
  if (answer.payload?.item_hash !== item.hash)
    fail(`the answer names ${readable(answer.payload?.item_hash)}, the item hashes to ${item.hash}`);
  return answer;
}

/** By effect, not by report: the node serves the item under its hash exactly as its author signed it (or does not). */
export async function served(connection: Connection, hash: string): Promise<Message | null> {
  const answer = await connection.request('gossip', itemRequest(connection.puppet.identity.nodeId, [hash]));
  if (answer.type !== 'gossip' || answer.payload?.gossip_type !== 'response')
    fail(`a gossip request was answered ${describe(answer, null, 0)}`);
  const items: unknown = answer.payload?.items;
  return Array.isArray(items) && items.length > 0 ? answer : null;
}

/** Waits until the node serves the item; null in place of a message is never returned. */
export function untilServed(
  bench: Bench,
  connection: Connection,
  hash: string,
  withinMs: number,
): Promise<Message> {
  return bench.waitFor(`item ${hash.slice(0, 13)}…`, withinMs, () => served(connection, hash));
}

/** The node's state now, as it says on this connection. */
export async function stateOf(
  connection: Connection,
): Promise<{ root: string; count: number; hashes: string[] | null }> {
  const set = connection.manners.items;
  const answer = await connection.request('sync_digest', digestRequest(set.root(), set.size));
  if (answer.type !== 'sync_digest') fail(`a sync_digest was answered ${describe(answer, null, 0)}`);
  return {
    root: answer.payload.root,
    count: answer.payload.count,
    hashes: answer.payload.item_hashes ?? null,
  };
}

/** A query's results; `filters` may hold anything. */
export async function query(
  connection: Connection,
  queryType: string,
  filters: Parameters<typeof JSON.stringify>[0],
  // biome-ignore lint/suspicious/noExplicitAny: foreign data that rows reach into
): Promise<{ results: any[]; totalCount: number; message: Message }> {
  const message = await connection.request('query', { query_type: queryType, filters });
  if (message.type !== 'response') fail(`a query was answered ${describe(message, null, 0)}`);
  return { results: message.payload?.results ?? [], totalCount: message.payload?.total_count, message };
}
