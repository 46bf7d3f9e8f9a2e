/** § 6.1 Adopting: nothing before all is verified, and only what is better. */

import { encodeBase64 } from '../../harness/wire/base64.ts';
import { buildCheckpoint, signatureEntry } from '../../harness/wire/checkpoint.ts';
import { flippedBit } from '../../harness/wire/envelope.ts';
import { sha256 } from '../../harness/wire/identity.ts';
import { type Item, type ItemSet, itemOf, itemSet } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
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
import { checkpointBeside, heldOf, reached, rootOf, standingOn, untilJudged } from '../states.ts';

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
      for (const bad of bads) await offered(stage, bad);
      await bench.sleep(300, 'a node that would adopt one of them gets that done');
      const now = await rootOf(stage.observer);
      if (now !== root) fail(`offers of bad checkpoints changed the state from ${root} to ${now}`);
      const item = stage.author.commit();
      stage.items.add(item);
      await refusesAll(stage, tampered(stage));
      const after = await rootOf(stage.observer);
      if (after !== stage.items.root())
        fail(`the twin’s state has the root ${stage.items.root()}, the node’s ${after}`);
      await fromAnother(stage);
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
  const good = checkpointOn(stage);
  const spoiled = { ...good, signature: flippedBit(String(good.signature), 600) };
  const liar = await offered(stage, { what: 'a checkpoint with a spoiled signature', checkpoint: spoiled });
  await adopts(stage, good);
  liar.destroy();
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
