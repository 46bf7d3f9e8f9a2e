/**
 * What the rows about gossip have in common: puppets around one node, announces, and a count of the copies that each puppet
 * gets of each. The peers say `gossip` only: nothing reaches them, or the node from them, by anti-entropy. Knows no requirement.
 */

import { canonical } from '../harness/wire/canonical.ts';
import { announce, type Changes } from '../harness/wire/gossip.ts';
import type { Item } from '../harness/wire/items.ts';
import type { Json } from '../harness/wire/json.ts';
import type { Message } from '../harness/wire/message.ts';
import type { Bench } from './bench.ts';
import type { Joined, Puppet } from './puppet.ts';
import { fail } from './requirement.ts';
import type { NodeOptions, NodeUnderTest } from './target.ts';

/** One copy of a gossip, and which of the circle's peers got it. */
export interface Copy {
  peer: number;
  message: Message;
}

export interface Circle {
  node: NodeUnderTest;
  puppets: readonly Puppet[];
  /** Persistent connections, in the order of the puppets. */
  peers: readonly Joined[];
  /** Copies of an announce so far, by gossip_id. */
  copies(id: string): readonly Copy[];
}

export interface CircleOptions {
  node?: NodeOptions;
  /** Default: a fresh one. */
  at?: NodeUnderTest;
  prefix?: string;
  capabilities?: readonly string[];
}

/** `count` persistent peers around a node of the row's own. */
export async function circle(bench: Bench, count: number, options: CircleOptions = {}): Promise<Circle> {
  const node = options.at ?? (await bench.node(options.node));
  const puppets = await bench.puppets(count, options.prefix ?? 'peer');
  const capabilities = options.capabilities ?? ['gossip'];
  const peers = await Promise.all(puppets.map((puppet) => puppet.peer(node, { capabilities })));
  const copies = new Map<string, Copy[]>();
  for (const [peer, connection] of peers.entries())
    connection.onMessage((message) => {
      if (message.type !== 'gossip' || message.payload?.gossip_type !== 'announce') return;
      const id = String(message.payload.gossip_id);
      const known = copies.get(id);
      if (known === undefined) copies.set(id, [{ peer, message }]);
      else known.push({ peer, message });
    });
  return { node, puppets, peers, copies: (id) => copies.get(id) ?? [] };
}

export interface Telling {
  /** `rule_` + 64 digits; default none. */
  hashes?: readonly string[];
  topic?: string;
  ttl?: number;
  id?: string;
  /** Default: who sends. */
  origin?: string;
  changes?: Changes;
}

/** Sends an announce; returns its gossip_id. */
export function tell(bench: Bench, from: Joined, options: Telling = {}): string {
  const { hashes = [], topic = 'new_commit', ttl = 2, id = bench.uuid(), changes = {} } = options;
  const origin = options.origin ?? from.puppet.identity.nodeId;
  from.send('gossip', announce(origin, hashes, { topic, ttl, changes: { gossip_id: id, ...changes } }));
  return id;
}

/** Waits until each of these gossips has come to the circle in `count` copies; what is still missing then is named. */
export async function spread(
  bench: Bench,
  around: Circle,
  ids: readonly string[],
  count: number,
  withinMs = 8_000,
): Promise<void> {
  bench.step(`waiting for ${count} copies of each of ${ids.length} gossips`);
  const deadline = performance.now() + withinMs;
  for (const id of ids) {
    while (around.copies(id).length < count) {
      if (performance.now() < deadline) {
        await bench.sleep(20, `waiting for ${count} copies of each of ${ids.length} gossips`);
        continue;
      }
      // The host may be slow; the fences show that the node is not: what has not come by now does not come.
      await fenced(around);
      if (around.copies(id).length < count)
        fail(
          `gossip ${id} went on to ${around.copies(id).length} peers, expected ${count}`,
          around.copies(id).map((copy) => around.peers[copy.peer]!.label),
        );
    }
  }
}

/** Everything that was sent on `sources` has been handled, and whatever the node sent to the circle by then is here. */
export async function fenced(around: Circle, ...sources: readonly Joined[]): Promise<void> {
  for (const source of sources) await source.fence();
  await Promise.all(around.peers.filter((peer) => peer.ended === null).map((peer) => peer.fence()));
}

/** After `fenced`: exactly these counts, and no peer got two copies. */
export function expectCopies(around: Circle, id: string, count: number, what: string): void {
  const copies = around.copies(id);
  const receivers = new Set(copies.map((copy) => copy.peer));
  if (copies.length === count && receivers.size === count) return;
  fail(
    `${what}: ${copies.length} copies to ${receivers.size} peers, expected ${count}`,
    copies.map(({ peer, message }) => [around.peers[peer]!.label, message.text.slice(0, 300)]),
  );
}

/** Announces that name the item, started or forwarded by the node, at any peer of the circle. */
export function announcesOf(around: Circle, hash: string): Copy[] {
  return around.peers.flatMap((connection, peer) =>
    connection
      .seen(
        ({ type, payload }) =>
          type === 'gossip' &&
          payload?.gossip_type === 'announce' &&
          Array.isArray(payload.item_hashes) &&
          payload.item_hashes.includes(hash),
      )
      .map((message) => ({ peer, message })),
  );
}

/** Waits until `count` peers have been told of an item; resolves with the copies. */
export async function announced(
  bench: Bench,
  around: Circle,
  hash: string,
  count: number,
  withinMs = 8_000,
): Promise<Copy[]> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const copies = announcesOf(around, hash);
    const told = new Set(copies.map((copy) => copy.peer)).size;
    if (told >= count) return copies;
    if (performance.now() > deadline) {
      await fenced(around);
      fail(
        `an item that the node took from its author was announced to ${told} peers, expected ${count}`,
        hash,
      );
    }
    await bench.sleep(20, `waiting for the announce of ${hash.slice(0, 13)}… to ${count} peers`);
  }
}

/** Announces items and waits for the first request that names one of them. */
export async function requestFor(bench: Bench, from: Joined, items: readonly Item[]): Promise<Message> {
  tell(bench, from, { hashes: items.map(({ hash }) => hash), topic: 'new_commit', ttl: 0 });
  const request = await from.maybe(
    (m) =>
      m.payload?.gossip_type === 'request' &&
      items.some(({ hash }) => m.payload.item_hashes?.includes?.(hash) === true),
    8_000,
  );
  return request ?? fail('announced items were not asked for within 8 s');
}

/** What is served is the item as its author signed it. */
export function expectSame(answer: Message, item: Item, what: string): void {
  const bodies = (answer.object.payload as { items?: readonly Json[] }).items ?? [];
  const text = canonical(bodies[0] ?? null);
  const signed = canonical(item.envelope);
  if (text !== signed) fail(`${what} comes out otherwise than it was signed`, { signed, got: text });
}
