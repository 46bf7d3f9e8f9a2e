/**
 * What the trivial nodes do with a connection and with a message. Each is the least program that could fool a suite which asks
 * for absences, for refusals without their twins, or for well-formed answers without their effect.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import { canonical } from '../../../harness/wire/canonical.ts';
import { buildEnvelope } from '../../../harness/wire/envelope.ts';
import { errorPayload, hello, peerExchange, stateSummary } from '../../../harness/wire/gossip.ts';
import type { Identity } from '../../../harness/wire/identity.ts';
import type { JsonObject } from '../../../harness/wire/json.ts';
import { emptyHash } from '../../../harness/wire/tree.ts';

export interface Self {
  identity: Identity;
  address: string;
  /** Texts that came in on any connection, for the replayer. */
  remembered: string[];
}

export interface Behaviour {
  /** Whether TLS refuses strangers: without it TLS rows are trivially red. */
  authenticates: boolean;
  connected?: (socket: TLSSocket) => void;
  opened?: (socket: WebSocket, self: Self) => void;
  received?: (socket: WebSocket, text: string, self: Self) => void;
}

interface Seen {
  message_type?: unknown;
  message_id?: unknown;
  payload?: { connection_type?: unknown; gossip_type?: unknown };
}

const hex = (bytes: number): string => randomBytes(bytes).toString('hex');

function send(socket: WebSocket, self: Self, type: string, payload: JsonObject): void {
  socket.send(canonical(buildEnvelope(self.identity, type, payload)));
}

function read(text: string): Seen | null {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? (value as Seen) : null;
  } catch {
    return null;
  }
}

/** Shakes hands like a node, so that rows get beyond the handshake. */
function greet(socket: WebSocket, seen: Seen, self: Self): boolean {
  if (seen.message_type !== 'hello') return false;
  const type = String(seen.payload?.connection_type ?? 'sync') as Parameters<typeof hello>[1];
  send(socket, self, 'hello', hello(self.identity.nodeId, type, ['v1', 'gossip', 'sync'], self.address));
  send(socket, self, 'state_summary', stateSummary(emptyHash, 0));
  if (type === 'persistent') send(socket, self, 'peer_exchange', peerExchange([]));
  return true;
}

/** Says yes to whatever asks for an answer. */
function accept(socket: WebSocket, seen: Seen, self: Self): void {
  const id = String(seen.message_id ?? '');
  const answers: Record<string, () => void> = {
    commit: () =>
      send(socket, self, 'response', { request_id: id, status: 'accepted', item_hash: `rule_${hex(32)}` }),
    query: () => send(socket, self, 'response', { request_id: id, results: [], total_count: 0 }),
    peer_request: () => send(socket, self, 'peer_exchange', { request_id: id, peers: [] }),
    sync_digest: () =>
      send(socket, self, 'sync_digest', {
        request_id: id,
        root: emptyHash,
        prefix: '',
        count: 0,
        hash: emptyHash,
        item_hashes: [],
      }),
    state_sync: () => send(socket, self, 'error', errorPayload('UNKNOWN_HASH', 'none', { request_id: id })),
  };
  const type = String(seen.message_type);
  (answers[type === 'challenge' || type === 'confirm' ? 'commit' : type] ?? (() => {}))();
}

/** An answer of the right shape with nothing right in it. */
function guess(socket: WebSocket, seen: Seen, self: Self): void {
  const id = Math.random() < 0.5 ? String(seen.message_id ?? '') : randomUUID();
  const kinds: (() => void)[] = [
    () =>
      send(socket, self, 'response', { request_id: id, status: 'accepted', item_hash: `rule_${hex(32)}` }),
    () =>
      send(socket, self, 'response', {
        request_id: id,
        results: [],
        total_count: Math.floor(Math.random() * 9),
      }),
    () => send(socket, self, 'error', errorPayload('MALFORMED', hex(8), { request_id: id })),
    () =>
      send(socket, self, 'peer_exchange', {
        request_id: id,
        peers: [{ node_id: `node_${hex(20)}`, address: `127.0.0.1:${9}` }],
      }),
    () =>
      send(socket, self, 'sync_digest', {
        request_id: id,
        root: hex(32),
        prefix: '',
        count: 1,
        hash: hex(32),
        item_hashes: [`rule_${hex(32)}`],
      }),
    () => socket.send(hex(64)),
  ];
  kinds[Math.floor(Math.random() * kinds.length)]!();
}

export const behaviours: Readonly<Record<string, Behaviour>> = {
  silent: { authenticates: true },
  closing: { authenticates: true, opened: (socket) => socket.close(4400) },
  'reject-all': {
    authenticates: true,
    received: (socket, text, self) => {
      const id = read(text)?.message_id;
      send(
        socket,
        self,
        'error',
        errorPayload('MALFORMED', 'no', { request_id: typeof id === 'string' ? id : null }),
      );
      socket.close(4400);
    },
  },
  'accept-all': {
    authenticates: false,
    received: (socket, text, self) => {
      const seen = read(text);
      if (seen !== null && !greet(socket, seen, self)) accept(socket, seen, self);
    },
  },
  echo: { authenticates: true, received: (socket, text) => socket.send(text) },
  random: {
    authenticates: true,
    received: (socket, text, self) => {
      const seen = read(text);
      if (seen === null || !greet(socket, seen, self)) guess(socket, seen ?? {}, self);
    },
  },
  /** Good manners until the first thing that is not: then the process is gone. */
  'crash-on-bad': {
    authenticates: true,
    received: (socket, text, self) => {
      const seen = read(text);
      if (seen === null || typeof seen.message_type !== 'string' || typeof seen.message_id !== 'string')
        process.exit(1);
      if (!greet(socket, seen, self)) accept(socket, seen, self);
    },
  },
  replay: {
    authenticates: true,
    received: (socket, text, self) => {
      const seen = read(text);
      if (seen !== null) greet(socket, seen, self);
      for (const old of self.remembered.slice(-20)) socket.send(old);
      if (self.remembered.length < 200) self.remembered.push(text);
    },
  },
};
