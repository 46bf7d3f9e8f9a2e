/** § 6.1 Adopting: nothing before all is verified, only what is missing, nothing half, and only what is better. */

import { encodeBase64 } from '../../harness/wire/base64.ts';
import { buildCheckpoint, signatureEntry } from '../../harness/wire/checkpoint.ts';
import { flippedBit } from '../../harness/wire/envelope.ts';
import { sha256 } from '../../harness/wire/identity.ts';
import { commitOfSize, type Item, type ItemSet, itemOf, itemSet } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import { serveItems } from '../../harness/wire/manners.ts';
import type { Message } from '../../harness/wire/message.ts';
import { stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
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
  checkpointOf,
  hashesOf,
  heldOf,
  offer,
  reached,
  rootOf,
  standingOn,
  untilJudged,
  untilStandingOn,
} from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

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
    id: 'SYN-04',
    level: 'must',
    section: '6.1',
    role: 'c',
    quote: 'fetches what it lacks in batches ≤ 100',
    reading:
      'Of the 260 items under a checkpoint a node that holds 60 asks for the other 200, at most 100 at once and one request at a time; what it serves itself is in messages of 64 KiB at most.',
    ruling: 'Profile §7: "One request in flight per peer, ≤ 100 hashes."',
    mutants: ['fetch-all-items', 'fetch-two-hundred', 'fetch-two-requests', 'response-without-bound'],
    needs: ['start'],
    durationHintMs: 3_000,
    cpu: 0.5,
    test: async (bench) => {
      const stage = await setStage(bench, await bench.node({ parameters: still }), []);
      const { author, honest, observer } = stage;
      const items = Array.from({ length: 260 }, () => author.commit());
      // 40 of 3 000 bytes: more than fits into one message.
      for (let i = 0; i < 40; i += 1) items.push(commitOfSize(author, 3_000));
      const first = [...items.slice(0, 60)];
      for (const item of first) stage.items.add(item);
      await adopts(stage, checkpointOn(stage), 20_000);
      const from = honest.received.length;
      const watch = servingSlowly(honest);
      for (const item of items.slice(60)) stage.items.add(item);
      await adopts(stage, checkpointOn(stage), 30_000);
      const asked = requests(honest.received.slice(from));
      const lacking = new Set(items.slice(60).map((item) => item.hash));
      const needless = asked.flat().filter((hash) => !lacking.has(hash));
      if (needless.length > 0) fail(`asked for ${needless.length} items that it held`);
      const distinct = new Set(asked.flat());
      if (distinct.size !== lacking.size) fail(`asked for ${distinct.size} of ${lacking.size} missing items`);
      const most = Math.max(...asked.map((hashes) => hashes.length));
      if (most > 100) fail(`asked for ${most} items at once`);
      if (watch.most > 1) fail(`had ${watch.most} requests for items in flight at one peer`);
      const large = items.slice(260).map((item) => item.hash);
      const held = await heldOf(observer, large);
      if (held.size !== large.length) fail(`serves ${held.size} of ${large.length} items of 3 000 bytes`);
      const longest = Math.max(...[...observer.received, ...honest.received].map((message) => message.size));
      if (longest > 65_536) fail(`sent a message of ${longest} bytes`);
      return pass(
        `${distinct.size} missing items in ${asked.length} requests of at most ${most}; the longest message has ${longest} bytes`,
      );
    },
  },
  {
    id: 'SYN-05',
    level: 'must',
    section: '6.1',
    role: 'c',
    quote: 'any mismatch discards the checkpoint (valid items stay) and another peer is tried',
    reading:
      'While the items under a checkpoint are being fetched, and after the connection broke in the middle, the node shows no checkpoint; it fetches the rest later, and only the rest.',
    mutants: [
      'checkpoint-adopted-first',
      'checkpoint-items-unawaited',
      'fetch-all-items',
      'sync-never-again',
    ],
    needs: ['start'],
    durationHintMs: 4_000,
    cpu: 0.4,
    test: async (bench) => {
      const node = await bench.node({ parameters: still });
      const observer = await (await bench.puppet('observer')).join(node);
      const puppet = await bench.puppet('holder');
      const items = Array.from({ length: 300 }, () => puppet.commit());
      const set = itemSet(items);
      const checkpoint = buildCheckpoint(set, [puppet.identity]);
      const hash = String(checkpoint.hash);
      const half = await brokenOff(bench, {
        node,
        holder: await puppet.peer(node, { manners: { items: set } }),
        checkpoint,
        observer,
      });
      const before = new Set(half.map((bare) => `rule_${bare}`));
      bench.step('the holder comes back');
      const back = await puppet.peer(node, { manners: { items: set } });
      offer(back, checkpoint);
      await untilStandingOn(bench, observer, hash, 20_000);
      const again = requests(back.received)
        .flat()
        .filter((each) => before.has(each));
      if (again.length > 0) fail(`asked again for ${again.length} items that it held`);
      const root = await rootOf(observer);
      if (root !== set.root()) fail(`stands on a checkpoint over ${set.root()} with the state ${root}`);
      return pass(
        `broken off with ${before.size} of 300 items, nothing shown; adopted after the other ${300 - before.size}`,
      );
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

/** The hashes of each request for items. */
const requests = (messages: readonly Message[]): string[][] =>
  messages
    .filter((message) => message.type === 'gossip' && message.payload?.gossip_type === 'request')
    .map((message) => message.payload.item_hashes as string[]);

/** Serves items a moment later, so that a second request in flight shows. */
function servingSlowly(peer: Joined): { most: number } {
  const watch = { most: 0 };
  let pending = 0;
  peer.manners.serveItems = false;
  peer.onMessage((message) => {
    if (message.type !== 'gossip' || message.payload?.gossip_type !== 'request') return;
    pending += 1;
    watch.most = Math.max(watch.most, pending);
    setTimeout(() => {
      pending -= 1;
      if (peer.ended === null) serveItems(peer, message.id, message.payload.item_hashes);
    }, 40);
  });
  return watch;
}

/** Serves two requests and breaks the connection at the third; the node must not show the checkpoint. Returns what it holds. */
async function brokenOff(
  bench: Bench,
  given: { node: NodeUnderTest; holder: Joined; checkpoint: JsonObject; observer: Joined },
): Promise<string[]> {
  const { node, holder, checkpoint, observer } = given;
  const hash = String(checkpoint.hash);
  let count = 0;
  holder.manners.serveItems = false;
  holder.onMessage((message) => {
    if (message.type !== 'gossip' || message.payload?.gossip_type !== 'request') return;
    count += 1;
    if (count <= 2) serveItems(holder, message.id, message.payload.item_hashes);
  });
  const nothingShown = async (when: string): Promise<void> => {
    if ((await standingOn(observer)) !== null) fail(`${when} the node stands on a checkpoint`);
    if ((await checkpointOf(observer, hash)) !== null) fail(`${when} the node serves the checkpoint`);
    const late = await (await bench.puppet('late')).join(node);
    const { height, checkpoint_hash, state_root } = late.outcome.stateSummary.payload;
    if (height !== 0 || checkpoint_hash !== null)
      fail(`${when} the state_summary shows height ${height}, hash ${checkpoint_hash}`);
    const root = stateRoot(await hashesOf(observer));
    if (state_root !== root)
      fail(`${when} the state_summary shows the root ${state_root}, the items ${root}`);
    await late.close();
  };
  offer(holder, checkpoint);
  await bench.waitFor('third request for items', 15_000, () => count >= 3);
  await nothingShown('with half of the items');
  holder.reset();
  await bench.sleep(300, 'the reset reaches the node');
  await nothingShown('after the connection broke');
  const half = await hashesOf(observer);
  if (half.length === 0) fail('of the items served before the connection broke none is held');
  return half;
}
