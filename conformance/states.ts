/**
 * States and checkpoints as rows hold them: bringing items into a node, listing what it holds, offering it a checkpoint and
 * seeing on which one it stands. Reaches verdicts only where a node does not play along; knows no requirement.
 */

import { buildCheckpoint, type CheckpointOptions } from '../harness/wire/checkpoint.ts';
import type { Connection } from '../harness/wire/connection.ts';
import { announce, digestRequest, itemRequest, stateSyncRequest } from '../harness/wire/gossip.ts';
import type { Identity } from '../harness/wire/identity.ts';
import { type Item, type ItemSet, itemOf } from '../harness/wire/items.ts';
import { isObject, type JsonObject } from '../harness/wire/json.ts';
import type { Message } from '../harness/wire/message.ts';
import { stateRoot } from '../harness/wire/tree.ts';
import type { Bench } from './bench.ts';
import type { Joined, Puppet } from './puppet.ts';
import { fail, Judged } from './requirement.ts';
import type { NodeUnderTest } from './target.ts';

/** Hashes of one announce or request, at most (§7). */
const hashesAtOnce = 100;

/** What the node answers about a prefix; an error fails the row. */
export async function digest(
  connection: Connection,
  prefix = '',
  root: string | null = null,
): Promise<Message> {
  const { items } = connection.manners;
  const payload = digestRequest(items.root(), items.size, { prefix, root });
  const answer = await connection.request('sync_digest', payload);
  if (answer.type !== 'sync_digest')
    fail(`sync_digest of prefix "${prefix}" was answered ${answer.type} ${answer.errorCode ?? ''}`);
  return answer;
}

/** All hashes that the node holds (64 digits, ascending), walked from its digests over an observer's connection. */
export async function hashesOf(connection: Connection, root: string | null = null): Promise<string[]> {
  const found: string[] = [];
  const walk = async (prefix: string): Promise<void> => {
    const { payload } = await digest(connection, prefix, root);
    if (Array.isArray(payload.item_hashes)) {
      for (const hash of payload.item_hashes) found.push(String(hash).slice(5));
      return;
    }
    if (prefix.length >= 8) fail(`a subtree of more than 500 items below the prefix ${prefix}`);
    for (const digit of '0123456789abcdef') await walk(prefix + digit);
  };
  await walk('');
  return found;
}

/** The node's state root now. */
export async function rootOf(connection: Connection): Promise<string> {
  return String((await digest(connection, 'f')).payload.root);
}

/** Puts the items into the peer's set and announces them; the node fetches them from it. */
export function announceItems(peer: Joined, items: readonly Item[], topic = 'new_commit'): void {
  for (const item of items) peer.manners.items.add(item);
  const hashes = items.map((item) => item.hash);
  for (let at = 0; at < hashes.length; at += hashesAtOnce)
    peer.send(
      'gossip',
      announce(peer.puppet.identity.nodeId, hashes.slice(at, at + hashesAtOnce), { topic }),
    );
}

/**
 * Brings items into the node through `peer` and waits until an observer sees the state of exactly `before` and these.
 * Returns all hashes that the node then holds.
 */
export async function fill(
  bench: Bench,
  peer: Joined,
  observer: Connection,
  items: readonly Item[],
  withinMs = 15_000,
): Promise<string[]> {
  const before = await hashesOf(observer);
  announceItems(peer, items);
  const all = [...new Set([...before, ...items.map((item) => item.hash.slice(5))])].sort();
  const expected = stateRoot(all);
  await reached(bench, observer, `state of ${items.length} announced items`, withinMs, async () => {
    return (await rootOf(observer)) === expected;
  });
  return all;
}

/** Which of these hashes (`rule_…`) the node serves. */
export async function heldOf(connection: Connection, hashes: readonly string[]): Promise<Set<string>> {
  const held = new Set<string>();
  let left = [...hashes];
  while (left.length > 0) {
    const asked = left.slice(0, hashesAtOnce);
    const origin = connection.puppet.identity.nodeId;
    const answer = await connection.request('gossip', itemRequest(origin, asked));
    const { payload } = answer;
    if (answer.type !== 'gossip' || !Array.isArray(payload?.item_hashes) || !Array.isArray(payload.missing))
      fail(`a gossip request was answered ${answer.type} ${answer.errorCode ?? answer.text.slice(0, 200)}`);
    const settled = new Set<string>([...payload.item_hashes, ...payload.missing]);
    for (const hash of payload.item_hashes) held.add(hash);
    const rest = left.filter((hash) => !settled.has(hash));
    if (rest.length === left.length) fail('a gossip response settled none of the hashes asked for');
    left = rest;
  }
  return held;
}

/** The node's checkpoint under this hash (null: its latest), with number forms; null where it says UNKNOWN_HASH. */
export async function checkpointOf(connection: Connection, hash: string | null): Promise<JsonObject | null> {
  const answer = await connection.request('state_sync', stateSyncRequest(hash));
  if (answer.errorCode === 'UNKNOWN_HASH') return null;
  const payload = answer.object.payload;
  if (answer.type !== 'state_sync' || !isObject(payload) || !isObject(payload.checkpoint))
    return fail(`a state_sync request was answered ${answer.type} ${answer.errorCode ?? ''}`, answer.text);
  return payload.checkpoint;
}

/** The hash of the checkpoint that the node stands on, or null. */
export async function standingOn(connection: Connection): Promise<string | null> {
  const checkpoint = await checkpointOf(connection, null);
  return checkpoint === null ? null : String(checkpoint.hash);
}

/** A peer that shows no checkpoint yet, holds `items` and serves them. */
export async function stander(puppet: Puppet, node: NodeUnderTest, items: ItemSet): Promise<Joined> {
  return puppet.peer(node, { manners: { items } });
}

/** Announces a checkpoint from now on served by `peer`. Returns its hash. */
export function offer(peer: Joined, checkpoint: JsonObject): string {
  const hash = String(checkpoint.hash);
  peer.manners.checkpoints.push(checkpoint);
  peer.send('gossip', announce(peer.puppet.identity.nodeId, [hash], { topic: 'checkpoint' }));
  return hash;
}

/** Waits until the node stands on this checkpoint. */
export async function untilStandingOn(
  bench: Bench,
  observer: Connection,
  hash: string,
  withinMs = 10_000,
): Promise<void> {
  await reached(bench, observer, `adoption of the checkpoint ${hash.slice(0, 12)}…`, withinMs, async () => {
    return (await standingOn(observer)) === hash;
  });
}

/** Whether the node asked this peer for the checkpoint by its hash. */
export function wasAskedFor(peer: Joined, hash: string): boolean {
  return peer.seen((m) => m.type === 'state_sync' && m.payload?.checkpoint_hash === hash).length > 0;
}

/** Waits until the node has asked for an offered checkpoint, has read the answer, and had a while to make something of it. */
export async function untilJudged(bench: Bench, peer: Joined, hash: string): Promise<void> {
  await bench.waitFor(`question for the checkpoint ${hash.slice(0, 12)}…`, 10_000, () =>
    wasAskedFor(peer, hash),
  );
  await peer.fence();
  await bench.sleep(250, 'a node that would adopt the checkpoint walks its tree');
  await peer.fence();
}

/** A checkpoint of `items` whose hash is below (or above) another one. */
export function checkpointBeside(
  items: ItemSet,
  signers: readonly Identity[],
  options: CheckpointOptions & { than: string; order: 'lower' | 'higher' },
): JsonObject {
  for (let i = 0; i < 10_000; i += 1) {
    const checkpoint = buildCheckpoint(items, signers, {
      ...options,
      members: { ...options.members, variant: i },
    });
    if (String(checkpoint.hash) < options.than === (options.order === 'lower')) return checkpoint;
  }
  throw new Error('no checkpoint with such a hash in 10 000 draws');
}

/**
 * Questions of one walk, at most: §8 says 10 000, and whoever counts the first one apart, or the last ones in flight, is not wrong
 * by them.
 */
export const mostQuestions = 10_100;

/** Questions about the whole state, as a round asks them (and not answers). */
export const isRound = (message: Message): boolean =>
  message.type === 'sync_digest' && message.requestId === null && message.payload?.prefix === '';

/** The node's items, fetched from it. */
export async function itemsOf(observer: Connection): Promise<Item[]> {
  const items: Item[] = [];
  let left = (await hashesOf(observer)).map((hash) => `rule_${hash}`);
  while (left.length > 0) {
    const answer = await observer.request(
      'gossip',
      itemRequest(observer.puppet.identity.nodeId, left.slice(0, 100)),
    );
    const bodies = (answer.object.payload as { items?: unknown }).items;
    if (!Array.isArray(bodies) || bodies.length === 0) return fail('a node serves nothing of what it lists');
    const got = bodies.map((body) => itemOf(body));
    items.push(...got);
    const served = new Set(got.map((item) => item.hash));
    left = left.filter((hash) => !served.has(hash));
  }
  return items;
}

/** A node of its own with a round of anti-entropy every 0.2 s; at somebody's address the rounds are as they are. */
export function quickRounds(bench: Bench): Promise<NodeUnderTest> {
  const canStart = bench.target.abilities.has('start');
  return bench.node(canStart ? { parameters: { anti_entropy_interval_s: 0.2 } } : {});
}

/** A busy host may delay a node, but not one that answers like this. */
const promptMs = 400;

/** As `bench.waitFor`; where the node answers an observer promptly all the while, a busy host is no excuse. */
export async function reached(
  bench: Bench,
  observer: Connection,
  what: string,
  withinMs: number,
  look: () => Promise<boolean>,
): Promise<void> {
  try {
    await bench.waitFor(what, withinMs, look);
  } catch (error) {
    if (!(error instanceof Judged)) throw error;
    const answers: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      const sentAt = performance.now();
      await observer.fence();
      answers.push(Math.round(performance.now() - sentAt));
    }
    if (answers.some((ms) => ms > promptMs)) throw error;
    fail(`no ${what} within ${withinMs} ms, though the node answers in ${Math.max(...answers)} ms`);
  }
}
