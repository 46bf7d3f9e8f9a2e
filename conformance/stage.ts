/**
 * A node that stands on a known checkpoint over known items, and offers of further ones: bad ones by a puppet each, good ones by
 * an honest peer. What was adopted shows in what the node stands on and serves, never in what it says about it.
 */

import { buildCheckpoint, type CheckpointOptions } from '../harness/wire/checkpoint.ts';
import { sha256 } from '../harness/wire/identity.ts';
import { type Item, type ItemSet, itemSet } from '../harness/wire/items.ts';
import type { JsonObject } from '../harness/wire/json.ts';
import type { Manners } from '../harness/wire/manners.ts';
import { emptyHash } from '../harness/wire/tree.ts';
import type { Bench } from './bench.ts';
import { accepted } from './expect.ts';
import type { Joined, Puppet } from './puppet.ts';
import { fail } from './requirement.ts';
import { checkpointOf, offer, reached, standingOn, untilStandingOn, wasAskedFor } from './states.ts';
import type { NodeUnderTest } from './target.ts';

/** Neither cuts nor rounds of its own: what changes is the tester's doing. */
export const still = { checkpoint_interval_s: 0, anti_entropy_interval_s: 0 } as const;
/** A node alone cuts every second; what its peers have does not reach it by rounds. */
export const cutting = { checkpoint_interval_s: 1, anti_entropy_interval_s: 0 } as const;

export interface Stage {
  readonly bench: Bench;
  readonly node: NodeUnderTest;
  readonly observer: Joined;
  readonly honest: Joined;
  readonly author: Puppet;
  /** What the node's checkpoint is over. */
  readonly items: ItemSet;
  /** Of what the node stands on; 0 and zeros at first. */
  height: number;
  hash: string;
  /** What it stands on; null at first. */
  stands: JsonObject | null;
  /** What it stood on before, oldest first. */
  readonly before: JsonObject[];
}

/** Someone offers what must not be adopted. */
export interface BadOffer {
  what: string;
  checkpoint: JsonObject;
  /** How its peer behaves besides; it holds the stage's items by default. */
  manners?: Partial<Manners>;
}

/** Counted per row: the same row has the same names, and so the same keys and hashes, at a second hearing and in a replay. */
const puppets = new WeakMap<Bench, number>();

function nextNumber(bench: Bench): number {
  const number = (puppets.get(bench) ?? 0) + 1;
  puppets.set(bench, number);
  return number;
}

/** An honest peer and an observer on `node`; nothing is offered yet. */
export async function setStage(
  bench: Bench,
  node: NodeUnderTest,
  items: readonly Item[] | null = null,
): Promise<Stage> {
  const number = nextNumber(bench);
  const author = await bench.puppet(`author-${number}`);
  const set = itemSet(items ?? Array.from({ length: 6 }, () => author.commit()));
  const honest = await (await bench.puppet(`honest-${number}`)).peer(node, { manners: { items: set } });
  const observer = await (await bench.puppet(`observer-${number}`)).join(node);
  return {
    bench,
    node,
    observer,
    honest,
    author,
    items: set,
    height: 0,
    hash: emptyHash,
    stands: null,
    before: [],
  };
}

/** A good checkpoint one above what the node stands on (its successor while that is of height 0, else with a stranger before it). */
export function checkpointOn(stage: Stage, options: CheckpointOptions = {}): JsonObject {
  const height = options.height ?? stage.height + 1;
  const previousHash = options.previousHash ?? (height === 1 ? emptyHash : sha256(stage.bench.uuid()));
  return buildCheckpoint(stage.items, [stage.author.identity], { ...options, height, previousHash });
}

/** The honest peer offers a good one; the node must stand on it. */
export async function adopts(stage: Stage, checkpoint: JsonObject, withinMs = 10_000): Promise<void> {
  const hash = offer(stage.honest, checkpoint);
  await untilStandingOn(stage.bench, stage.observer, hash, withinMs);
  stage.height = Number(checkpoint.height);
  stage.hash = hash;
  if (stage.stands !== null) stage.before.push(stage.stands);
  stage.stands = checkpoint;
}

/** One peer offers one checkpoint and the node asks for it. */
export async function offered(stage: Stage, bad: BadOffer): Promise<Joined> {
  const { bench, node, items } = stage;
  bench.step(`offering ${bad.what}`);
  const puppet = await bench.puppet(`liar-${nextNumber(bench)}`);
  const liar = await puppet.peer(node, { manners: { items, ...bad.manners } });
  const hash = offer(liar, bad.checkpoint);
  await bench.waitFor(`question for ${bad.what}`, 10_000, () => wasAskedFor(liar, hash));
  await liar.fence();
  return liar;
}

/**
 * None of these is adopted, though the node asked for each; then the twin is. The bad ones are no higher than the twin, so that
 * a node which took one of them can take the twin too, and is found out by what it serves.
 */
export async function refusesAll(
  stage: Stage,
  bads: readonly BadOffer[],
  twin: JsonObject | null = null,
): Promise<void> {
  const { bench, observer } = stage;
  const liars: Joined[] = [];
  for (const bad of bads) liars.push(await offered(stage, bad));
  await bench.sleep(300, 'a node that would adopt one of them gets that done');
  for (const liar of liars) await liar.fence();
  const stands = await standingOn(observer);
  const taken = bads.find((bad) => bad.checkpoint.hash === stands);
  if (taken !== undefined) fail(`${taken.what} was adopted`, taken.checkpoint);
  bench.step('the twin from an honest peer');
  await adopts(stage, twin ?? checkpointOn(stage, { height: stage.height + 2 }));
  for (const bad of bads) {
    const kept = await checkpointOf(observer, String(bad.checkpoint.hash));
    if (kept !== null) fail(`${bad.what} is served as a checkpoint of the node`, bad.checkpoint);
  }
  for (const liar of liars) liar.destroy();
}

/** What a node cut, oldest first, with the hashes (64 digits, ascending) of the items of that time. */
export type Chain = readonly { hash: string; checkpoint: JsonObject; hashes: readonly string[] }[];

/** Sends an item, waits for the checkpoint over it, and so on: `count` of them. The node cuts at short intervals and has no peers. */
export async function grow(
  bench: Bench,
  node: NodeUnderTest,
  observer: Joined,
  count: number,
  item: (author: Puppet, index: number) => Item = (author) => author.commit(),
): Promise<Chain> {
  const author = await bench.puppet('grower');
  const connection = await author.join(node);
  const hashes: string[] = [];
  const chain: { hash: string; checkpoint: JsonObject; hashes: readonly string[] }[] = [];
  for (let i = 0; i < count; i += 1) {
    const made = item(author, i);
    await accepted(connection, made);
    hashes.push(made.hash.slice(5));
    const before = chain.at(-1)?.hash ?? null;
    let checkpoint: JsonObject = {};
    await reached(bench, observer, `checkpoint ${i + 1} as the latest one`, 15_000, async () => {
      const latest = await checkpointOf(observer, null);
      if (latest === null || latest.hash === before) return false;
      checkpoint = latest;
      return true;
    });
    chain.push({ hash: String(checkpoint.hash), checkpoint, hashes: [...hashes].sort() });
  }
  return chain;
}
