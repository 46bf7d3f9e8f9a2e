/**
 * Peer lists and dials as rows of discovery look at them: a list is asked for and judged by its form, a dial is what a listening
 * puppet saw of it. Knows the profile's form of a list; what a list should hold is for rows.
 */

import type { Socket } from 'node:net';
import type { Connection } from '../harness/wire/connection.ts';
import { type PeerEntry, type peerExchange, peerRequest } from '../harness/wire/gossip.ts';
import { sha256 } from '../harness/wire/identity.ts';
import { type Listener, listenTcp, type TcpListener } from '../harness/wire/listener.ts';
import type { Message } from '../harness/wire/message.ts';
import { splitAddress } from '../harness/wire/transport.ts';
import type { Bench } from './bench.ts';
import type { Puppet } from './puppet.ts';
import { fail } from './requirement.ts';

const nodeId = /^node_[0-9a-f]{40}$/;
/** `host:port`, the host without colons or in brackets. */
const address = /^(?:\[[0-9A-Fa-f:.%A-Za-z]+\]|[^\s:[\]]+):([1-9][0-9]{0,4})$/;

/** The entries of a `peer_exchange`; fails the row where it has not the form of profile §5. */
export function entriesOf(message: Message): PeerEntry[] {
  if (message.type !== 'peer_exchange')
    fail(`expected a peer_exchange, got ${message.type} ${message.errorCode ?? ''}`.trim(), message.payload);
  const peers: unknown = message.payload?.peers;
  if (!Array.isArray(peers)) return fail('a peer_exchange has no array `peers`', message.payload);
  if (peers.length > 50) fail(`a peer_exchange lists ${peers.length} peers, at most 50 are allowed`);
  for (const entry of peers) {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
      fail('an entry of a peer_exchange is no object', entry);
    if (typeof entry.node_id !== 'string' || !nodeId.test(entry.node_id))
      fail('an entry of a peer_exchange has no node_id of the form node_ + 40 hex digits', entry);
    const port = typeof entry.address === 'string' ? Number(address.exec(entry.address)?.[1]) : Number.NaN;
    if (!(port <= 65_535)) fail('an entry of a peer_exchange has no address of the form "host:port"', entry);
  }
  const ids = peers.map((entry) => entry.node_id);
  if (new Set(ids).size !== ids.length) fail('a peer_exchange lists a node twice', peers);
  return peers;
}

/** Asks for peers; the answer's entries. Counts against the limit of 30 queries and peer_requests a minute. */
export async function askForPeers(connection: Connection): Promise<PeerEntry[]> {
  const request = peerRequest(connection.puppet.identity.nodeId, ['v1']);
  return entriesOf(await connection.request('peer_request', request));
}

/** The addresses under which a list has this node. */
export function addressesOf(peers: readonly PeerEntry[], puppet: { nodeId: string }): string[] {
  return peers.filter((entry) => entry.node_id === puppet.nodeId).map((entry) => entry.address);
}

/** The connections on which the node has said hello, of the type given. */
export function helloed(listener: Listener, type = 'persistent'): Connection[] {
  return listener.accepted.filter((connection) =>
    connection.seen('hello').some((message) => message.payload?.connection_type === type),
  );
}

/** Waits for the node's persistent hello at a listening puppet. */
export function dialled(
  bench: Bench,
  what: string,
  listener: Listener,
  withinMs: number,
): Promise<Connection> {
  return bench.waitFor(`dial of ${what}`, withinMs, () => helloed(listener)[0]);
}

/** The node's first peer_request at a bootstrap puppet that does not answer it by itself. */
export async function firstRequest(
  bench: Bench,
  listener: Listener,
  withinMs = 15_000,
): Promise<{ connection: Connection; request: Message }> {
  return bench.waitFor(`peer_request at ${listener.puppet.name}`, withinMs, () => {
    for (const connection of listener.accepted) {
      const [request] = connection.seen('peer_request');
      if (request !== undefined) return { connection, request };
    }
    return null;
  });
}

/** Listens as a bootstrap node that hands out `peers` to whoever asks. */
export function listenAsBootstrap(
  puppet: Puppet,
  peers: Parameters<typeof peerExchange>[0],
): Promise<Listener> {
  return puppet.listen({ manners: { peers: [...peers] } });
}

/** TCP listeners that reset whoever comes. */
export async function refusing(bench: Bench, count: number, prefix: string): Promise<TcpListener[]> {
  const puppets = await bench.puppets(count, prefix);
  return Promise.all(puppets.map((puppet) => refuse(bench, puppet)));
}

/** The address of this puppet, with nobody there but a reset. */
export async function refuse(bench: Bench, puppet: Puppet): Promise<TcpListener> {
  const { host, port } = splitAddress(puppet.address);
  const listener = await listenTcp(host, port, (socket) => socket.resetAndDestroy());
  bench.onClose(() => listener.close());
  return listener;
}

/** A TCP listener where nobody says a word until `release`, which resets whoever waits and whoever comes. */
export async function silent(
  bench: Bench,
  puppet: Puppet,
): Promise<{ listener: TcpListener; release: () => void }> {
  const { host, port } = splitAddress(puppet.address);
  const waiting: Socket[] = [];
  let isOver = false;
  const listener = await listenTcp(host, port, (socket) => {
    socket.on('error', () => {});
    if (isOver) socket.resetAndDestroy();
    else waiting.push(socket);
  });
  const release = (): void => {
    isOver = true;
    for (const socket of waiting.splice(0)) socket.resetAndDestroy();
  };
  bench.onClose(() => {
    release();
    listener.close();
  });
  return { listener, release };
}

/** The id of a node that does not exist. */
export function madeUp(bench: Bench): string {
  return `node_${sha256(bench.uuid()).slice(0, 40)}`;
}
