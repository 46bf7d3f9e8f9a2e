/**
 * The handshake of profile §4, from either side: hello, state_summary, on persistent connections peer_exchange. What the
 * other side does is an outcome, not an exception.
 */

import type { Connection, SendOptions } from './connection.ts';
import {
  type Changes,
  type ConnectionType,
  hello,
  type PeerEntry,
  peerExchange,
  stateSummary,
} from './gossip.ts';
import type { Json, JsonObject } from './json.ts';
import { keepAlive } from './manners.ts';
import type { Message } from './message.ts';
import type { Closed } from './websocket.ts';

export interface HandshakeOptions {
  /** Dialer only; an acceptor repeats what it was told. Default `sync`. */
  type?: ConnectionType;
  /** Default none: an observer. */
  capabilities?: readonly string[];
  /** Default null: accepts no connections and is never dialled. */
  address?: string | null;
  /** Sent in our own peer_exchange on a persistent connection. Default none. */
  peers?: readonly (PeerEntry | Json)[];
  /** Members of the hello payload replaced (undefined removes). */
  changes?: Changes;
  /** How the hello's envelope deviates. */
  overrides?: SendOptions;
  /** What our state_summary says. Default: the item set of the manners, and their latest checkpoint. */
  summary?: JsonObject;
  /** Bound of each step, ms. Default 5 000. */
  withinMs?: number;
}

export type HandshakeOutcome =
  | {
      kind: 'connected';
      hello: Message;
      stateSummary: Message;
      /** On persistent connections, else null. */
      peerExchange: Message | null;
    }
  /** The hello was accepted, but something that must follow it did not come. */
  | { kind: 'incomplete'; hello: Message; stateSummary: Message | null; peerExchange: Message | null }
  /** An error or an end in place of a hello. */
  | { kind: 'refused'; error: Message | null; peerExchange: Message | null; closed: Closed | null }
  /** Nothing within the bound. */
  | { kind: 'silent' };

/** Plays our side to its end. Never rejects. */
export async function handshake(
  connection: Connection,
  options: HandshakeOptions = {},
): Promise<HandshakeOutcome> {
  const withinMs = options.withinMs ?? 5_000;
  if (connection.role === 'dialer') sendHello(connection, options.type ?? 'sync', options);
  const first = await connection.maybe(
    (message) => message.type === 'hello' || message.type === 'error',
    withinMs,
  );
  if (first === null && connection.ended === null) return { kind: 'silent' };
  if (first === null || first.type === 'error') return refusal(connection, first, withinMs);
  const theirs = first.payload?.connection_type as ConnectionType;
  const type = connection.role === 'dialer' ? (options.type ?? 'sync') : theirs;
  if (connection.role === 'acceptor') sendHello(connection, theirs, options);
  sendSummary(connection, options);
  if (type === 'persistent') {
    connection.manners.pulledFrom = (options.capabilities ?? []).includes('sync');
    connection.send('peer_exchange', peerExchange(options.peers ?? []));
    keepAlive(connection);
  }
  const stateSummary = await connection.maybe('state_summary', withinMs);
  const exchange =
    type === 'persistent' && stateSummary !== null
      ? await connection.maybe(
          (message) => message.type === 'peer_exchange' && message.requestId === null,
          withinMs,
        )
      : null;
  if (stateSummary === null || (type === 'persistent' && exchange === null)) {
    return { kind: 'incomplete', hello: first, stateSummary, peerExchange: exchange };
  }
  return { kind: 'connected', hello: first, stateSummary, peerExchange: exchange };
}

/** Sends a hello alone; returns its message_id. */
export function sendHello(
  connection: Connection,
  type: ConnectionType,
  options: HandshakeOptions = {},
): string {
  const { nodeId } = connection.puppet.identity;
  const payload = hello(nodeId, type, options.capabilities ?? [], options.address ?? null, options.changes);
  return connection.send('hello', payload, options.overrides);
}

function sendSummary(connection: Connection, options: HandshakeOptions): void {
  const { items, checkpoints } = connection.manners;
  const latest = checkpoints.at(-1);
  const stands = latest === undefined ? null : { height: Number(latest.height), hash: String(latest.hash) };
  connection.send('state_summary', options.summary ?? stateSummary(items.root(), items.size, stands));
}

async function refusal(
  connection: Connection,
  error: Message | null,
  withinMs: number,
): Promise<HandshakeOutcome> {
  const closed = await connection.closedWithin(withinMs);
  const peerExchange = connection.seen('peer_exchange').at(-1) ?? null;
  return { kind: 'refused', error: error ?? connection.seen('error').at(-1) ?? null, peerExchange, closed };
}

/** An outcome in a few words, for messages. */
export function describeOutcome(outcome: HandshakeOutcome): string {
  if (outcome.kind === 'connected' || outcome.kind === 'silent') return outcome.kind;
  if (outcome.kind === 'incomplete') {
    return outcome.stateSummary === null
      ? 'no state_summary after the hello'
      : 'no peer_exchange after the hello';
  }
  const { error, closed } = outcome;
  const code = error === null ? '' : ` with ${error.errorCode} (${String(error.payload?.error_message)})`;
  return `refused${code}${closed === null ? ', not closed' : `, ${closed.how} ${closed.code} ${closed.reason}`.trimEnd()}`;
}
