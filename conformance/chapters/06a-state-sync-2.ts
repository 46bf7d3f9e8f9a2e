/** § 6.1 Adopting: nothing before all is verified, and only what is better. */

import { encodeBase64 } from '../../harness/wire/base64.ts';
import { buildCheckpoint, signatureEntry } from '../../harness/wire/checkpoint.ts';
import { flippedBit } from '../../harness/wire/envelope.ts';
import { stateSyncResponse } from '../../harness/wire/gossip.ts';
import { sha256 } from '../../harness/wire/identity.ts';
import { type Item, type ItemSet, itemOf, itemSet } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { childHashes } from '../../harness/wire/tree.ts';
import type { Joined } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import {
  adopts,
  type BadOffer,
  checkpointOn,
  offered,
  refusesAll,
  type Stage,
  setStage,
  still,
} from '../stage.ts';
import {
  checkpointBeside,
  heldOf,
  offer,
  reached,
  rootOf,
  standingOn,
  untilJudged,
  untilStandingOn,
  wasAskedFor,
} from '../states.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'SYN-03',
    level: 'must',
    section: '6.1',
    role: 'c',
    quote: 'recomputes state_root, accepted_rules and statistics, and **only then** adopts',
    reading:
      'A checkpoint whose hash, root or signature is not right, or under which an item is bad or not to be had, changes nothing: neither what the node stands on nor its state.',
    mutants: [
      'checkpoint-hash-unchecked',
      'checkpoint-signature-unchecked',
      'checkpoint-root-unchecked',
      'checkpoint-adopted-first',
      'checkpoint-items-unawaited',
      'item-signature-unchecked',
      'refused-checkpoint-everywhere',
      'checkpoint-bad-item-spoils-all',
      'checkpoint-root-not-recomputed',
      'checkpoint-items-not-to-be-had',
      'checkpoint-one-source-only',
    ],
    needs: ['start'],
    durationHintMs: 3_000,
    limitMs: 60_000,
    cpu: 0.4,
    test: async (bench) => {
      const stage = await setStage(bench, await bench.node({ parameters: still }));
      await adopts(stage, checkpointOn(stage));
      const root = await rootOf(stage.observer);
      const bads = tampered(stage);
      const liars = [];
      for (const bad of bads) liars.push(await offered(stage, bad));
      await bench.sleep(300, 'a node that would adopt one of them gets that done');
      const stands = await standingOn(stage.observer);
      const taken = bads.find((bad) => bad.checkpoint.hash === stands);
      if (taken !== undefined) fail(`${taken.what} was adopted`, taken.checkpoint);
      const now = await rootOf(stage.observer);
      if (now !== root) fail(`offers of bad checkpoints changed the state from ${root} to ${now}`);
      const item = stage.author.commit();
      stage.items.add(item);
      await refusesAll(stage, tampered(stage));
      const after = await rootOf(stage.observer);
      if (after !== stage.items.root())
        fail(`the twin’s state has the root ${stage.items.root()}, the node’s ${after}`);
      // Which other peer is tried is the node's affair (§8), and what it refused "need not be asked for again": let there be one.
      for (const liar of liars) liar.destroy();
      await bench.sleep(300, 'the node sees that all liars have left');
      await fromAnother(stage);
      // Twice: the question for the latest that a node asks every 10 s may explain one.
      await fromBoth(stage);
      await fromBoth(stage);
      await goodBesideBad(stage);
      return pass(`${bads.length} spoiled checkpoints changed nothing; the twin and its item were taken`);
    },
  },
  {
    id: 'SYN-06',
    level: 'must',
    section: '6.1',
    role: 'c',
    quote: 'A node adopts a verified checkpoint that is better than the one it stands on, and no other.',
    reading:
      'A lower height, and the same height with a higher hash, leave the node where it stands; the same height with a lower hash and a greater height do not.',
    ruling: 'Profile §8: "*Better* = greater height, or equal height and lower hash."',
    mutants: [
      'fork-first-wins',
      'fork-last-wins',
      'fork-higher-wins',
      'checkpoint-last-wins',
      'checkpoint-rollback',
    ],
    needs: ['start'],
    durationHintMs: 3_000,
    limitMs: 60_000,
    cpu: 0.3,
    test: async (bench) => {
      const stage = await setStage(bench, await bench.node({ parameters: still }));
      const { observer, items, author } = stage;
      await adopts(stage, checkpointOn(stage, { height: 5 }));
      const beside = (order: 'lower' | 'higher'): JsonObject =>
        checkpointBeside(items, [author.identity], {
          height: 5,
          previousHash: sha256('before'),
          than: stage.hash,
          order,
        });
      const worse = [
        { what: 'a checkpoint of lower height', checkpoint: checkpointOn(stage, { height: 4 }) },
        { what: 'a checkpoint of height 1', checkpoint: checkpointOn(stage, { height: 1 }) },
        { what: 'a checkpoint of equal height and higher hash', checkpoint: beside('higher') },
      ];
      for (const bad of worse) {
        const peer = await offered(stage, bad);
        await untilJudged(bench, peer, String(bad.checkpoint.hash));
        const stands = await standingOn(observer);
        if (stands !== stage.hash) fail(`${bad.what} was adopted`, bad.checkpoint);
      }
      await adopts(stage, beside('lower'));
      await adopts(stage, checkpointOn(stage, { height: 6 }));
      await adopts(stage, checkpointOn(stage, { height: 8 }));
      return pass(
        '3 worse checkpoints left it where it stood; a lower hash and greater heights were adopted',
      );
    },
  },
];

/** The very checkpoint whose signature one peer spoiled is adopted from another. */
async function fromAnother(stage: Stage): Promise<void> {
  stage.bench.step('a checkpoint whose first teller spoils it');
  const good = checkpointOn(stage);
  const liar = await askedFor(stage, good);
  // Whoever is tried next may be the honest one, before it has announced anything: it must not be found without. Not sooner:
  // a poll for the latest would find it there, and nobody would ask the liar.
  stage.honest.manners.checkpoints.push(good);
  answerSpoiled(liar, good);
  await liar.fence();
  await adopts(stage, good);
  liar.destroy();
}

/** "another peer is tried": two have announced a checkpoint, and the one that was asked first spoils it. */
async function fromBoth(stage: Stage): Promise<void> {
  const { bench, observer, honest } = stage;
  bench.step('a checkpoint that two peers announced, and the first one spoils');
  const good = checkpointOn(stage, { height: stage.height + 1 });
  const hash = String(good.hash);
  const liar = await askedFor(stage, good);
  offer(honest, good);
  await honest.fence();
  answerSpoiled(liar, good);
  await untilStandingOn(bench, observer, hash, 7_000);
  stage.height += 1;
  stage.hash = hash;
  if (stage.stands !== null) stage.before.push(stage.stands);
  stage.stands = good;
  liar.destroy();
}

/** A new peer that has announced a spoiled copy of the checkpoint and was asked for it; it has not answered yet. */
async function askedFor(stage: Stage, good: JsonObject): Promise<Joined> {
  const { bench, node, items } = stage;
  const hash = String(good.hash);
  const puppet = await bench.puppet(`spoiler-of-${hash.slice(0, 8)}`);
  const liar = await puppet.peer(node, { manners: { items, answerStateSync: false } });
  offer(liar, spoiledCopy(good));
  await bench.waitFor('question for it', 10_000, () => wasAskedFor(liar, hash));
  return liar;
}

const spoiledCopy = (good: JsonObject): JsonObject => ({
  ...good,
  signature: flippedBit(String(good.signature), 600),
});

function answerSpoiled(liar: Joined, good: JsonObject): void {
  const isQuestion = (m: Message): boolean => m.payload?.checkpoint_hash === good.hash;
  for (const { id } of liar.seen((m) => m.type === 'state_sync' && isQuestion(m)))
    liar.send('state_sync', stateSyncResponse(id, spoiledCopy(good)));
}

/** "valid items stay": of a checkpoint over a good and a bad new item the good one is held. */
async function goodBesideBad(stage: Stage): Promise<void> {
  const { bench, author, items, observer } = stage;
  const [good, bad] = [author.commit(), author.commit()];
  const forged = itemOf({ ...bad.envelope, signature: flippedBit(String(bad.envelope.signature), 9) });
  const set = itemSet([...listed(items), good, forged]);
  await offered(stage, {
    what: 'a checkpoint over a good and a bad item',
    checkpoint: over(stage, set),
    manners: { items: set },
  });
  await reached(bench, observer, 'good item beside a bad one under a checkpoint', 10_000, async () => {
    return (await heldOf(observer, [good.hash])).size === 1;
  });
  if ((await heldOf(observer, [forged.hash])).size > 0) fail('holds an item whose signature does not verify');
}

/** All at the next height, over the stage's items and, where it says so, one more. */
function tampered(stage: Stage): BadOffer[] {
  const { items, author } = stage;
  const good = (): JsonObject => checkpointOn(stage);
  const signed = good();
  const hashed = good();
  const falseHash = sha256(`not ${String(hashed.hash)}`);
  const misnamed = {
    ...hashed,
    hash: falseHash,
    signature: encodeBase64(signatureEntry(author.identity, falseHash)),
  };
  const root = sha256(`root ${String(signed.hash)}`);
  const rooted = checkpointOn(stage, { members: { state_root: root } });
  const spoiled = author.commit();
  const forged = itemOf({
    ...spoiled.envelope,
    signature: flippedBit(String(spoiled.envelope.signature), 9),
  });
  const more = itemSet([...listed(items), forged]);
  const absent = itemSet([...listed(items), author.commit()]);
  // Confirms change neither rules nor statistics: only the items themselves show that one is not to be had.
  const unheard = itemSet([...listed(items), author.confirm()]);
  const deep = withChildren(items);
  return [
    { what: 'a checkpoint under a false hash', checkpoint: misnamed },
    {
      what: 'a checkpoint with a flipped bit in its signature',
      checkpoint: { ...signed, signature: flippedBit(String(signed.signature), 700) },
    },
    {
      what: 'a checkpoint whose root is not that of the items served',
      checkpoint: rooted,
      manners: { items: { ...items, root: () => root } },
    },
    {
      what: 'a checkpoint whose root the peer vouches for with a false list',
      checkpoint: checkpointOn(stage, { members: { state_root: root, again: 1 } }),
      manners: { items: withRoot(items, root) },
    },
    {
      what: 'a checkpoint over an item with a false signature',
      checkpoint: over(stage, more),
      manners: { items: more },
    },
    {
      what: 'a checkpoint over an item that its peer does not serve',
      checkpoint: over(stage, absent),
      manners: { items: { ...absent, has: (hash) => items.has(hash), get: (hash) => items.get(hash) } },
    },
    {
      what: 'a checkpoint over a confirm that its peer does not serve',
      checkpoint: over(stage, unheard),
      manners: { items: { ...unheard, has: (hash) => items.has(hash), get: (hash) => items.get(hash) } },
    },
    {
      what: 'a checkpoint whose root is that of 16 children over fewer than 33 items',
      checkpoint: checkpointOn(stage, { members: { state_root: deep.root() } }),
      manners: { items: deep },
    },
  ];
}

const listed = (items: ItemSet): Item[] => items.bareHashes().map((hash) => items.get(`rule_${hash}`)!);

function over(stage: Stage, items: ItemSet): JsonObject {
  const { height, author, bench } = stage;
  const previousHash = sha256(bench.uuid());
  return buildCheckpoint(items, [author.identity], { height: height + 1, previousHash });
}

/** Says of its whole tree that it has this root, whatever it lists. */
function withRoot(items: ItemSet, root: string): ItemSet {
  return {
    ...items,
    root: () => root,
    subtree: (prefix) => ({ ...items.subtree(prefix), ...(prefix === '' ? { hash: root } : {}) }),
  };
}

/**
 * A tree of the same items that every answer about it bears out, save that its top is 16 children where it has to be a list:
 * only who recomputes the root of the set finds that out.
 */
function withChildren(items: ItemSet): ItemSet {
  const children = childHashes(items.bareHashes(), '');
  const hash = sha256(`N${children.join('')}`);
  return {
    ...items,
    root: () => hash,
    subtree: (prefix) => (prefix === '' ? { prefix, count: 501, hash, children } : items.subtree(prefix)),
  };
}
