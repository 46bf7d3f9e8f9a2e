/** § 5.4 Anti-entropy between a node and a peer: what it asks for, what it refuses, and that it never loses anything. */

import { digestRequest } from '../../harness/wire/gossip.ts';
import type { Item } from '../../harness/wire/items.ts';
import { stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, inconclusive, pass, type Requirement } from '../requirement.ts';
import { fill, hashesOf, isRound, itemsOf, mostQuestions, quickRounds, reached, rootOf } from '../states.ts';
import { wideRequests, wideTree } from '../wide-tree.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'AEN-04',
    level: 'must',
    section: '5.4',
    role: 's',
    quote: 'walks down where hashes differ,\nat most 10 000 requests, and requests what it lacks',
    reading:
      'A node that shares 13 of a peer’s 20 items asks for exactly the other 7 and ends with all; beyond 500 items it goes down only where the hashes differ. With --thorough a walk through two million hashes ends after 10 000 requests.',
    mutants: ['pull-nothing', 'pull-everything', 'pull-lists-only', 'walk-everywhere', 'walk-to-the-end'],
    needs: [],
    durationHintMs: 5_000,
    limitMs: 60_000,
    cpu: 0.6,
    thorough: { durationHintMs: 40_000, limitMs: 400_000, cpu: 1 },
    test: async (bench) => {
      const node = await bench.node();
      const [author, holder, watcher] = await bench.puppets(3);
      const observer = await watcher!.join(node);
      const isFresh = (await hashesOf(observer)).length === 0;
      const source = await author!.peer(node);
      const few = Array.from({ length: 20 }, () => author!.commit());
      const held = await fill(bench, source, observer, few.slice(0, 13));
      source.destroy();
      await reconcile(bench, { holder: holder!, node, observer, all: few, held, only: null });
      // Beyond 500 items only the children that differ matter: all that lacks is below one digit.
      const many = Array.from({ length: 620 }, () => author!.commit());
      const digit = '7';
      const lacking = many.filter((item) => item.hash[5] === digit);
      const again = await author!.peer(node);
      const base = many.filter((item) => item.hash[5] !== digit);
      const before = await fill(bench, again, observer, base);
      again.destroy();
      const other = await bench.puppet('other-holder');
      const all = [...few, ...many];
      await reconcile(bench, {
        holder: other,
        node,
        observer,
        all,
        held: before,
        only: isFresh ? digit : null,
      });
      const canWalk = bench.thorough && bench.target.abilities.has('start');
      const walked = canWalk ? `; ${await walkWithoutEnd(bench)}` : '';
      return pass(
        `7 of 20 and ${lacking.length} of ${all.length} items were asked for, no other one${walked}`,
      );
    },
  },
  {
    id: 'AEN-05',
    level: 'must',
    section: '5.4',
    role: 's',
    quote: 'equal roots end it after one exchange',
    reading: 'With a peer whose root is its own a node asks for no subtree and for no item.',
    mutants: ['rounds-always-fetch', 'round-root-of-nothing', 'round-count-zero'],
    needs: [],
    durationHintMs: 3_000,
    limitMs: 40_000,
    cpu: 0.1,
    test: async (bench) => {
      const node = await quickRounds(bench);
      const [author, watcher] = await bench.puppets(2);
      const observer = await watcher!.join(node);
      if ((await hashesOf(observer)).length > 0) {
        bench.note('the node has items of its own: they are not this puppet’s');
      }
      const peer = await author!.peer(node);
      await fill(
        bench,
        peer,
        observer,
        Array.from({ length: 20 }, () => author!.commit()),
      );
      const holder = await bench.puppet('equal');
      for (const item of await itemsOf(observer)) holder.items.add(item);
      const equal = await holder.peer(node);
      peer.destroy();
      const root = await rootOf(observer);
      if (holder.items.root() !== root) fail('the node serves other items than it lists');
      bench.step('four rounds with a peer that holds the same');
      const rounds = (): number => equal.seen(isRound).length;
      await bench.waitFor('four rounds with the only peer', 12_000, () => rounds() >= 4);
      equal.send('sync_digest', digestRequest(root, holder.items.size));
      await equal.fence();
      await bench.waitFor('another round', 6_000, () => rounds() >= 5);
      await equal.fence();
      const asked = equal.seen('gossip:request');
      if (asked.length > 0)
        fail('a node asked a peer with the same state for items', asked[0]!.text.slice(0, 300));
      const { state_root, item_count } = equal.seen(isRound).at(-1)!.payload;
      if (state_root !== root || item_count !== holder.items.size)
        fail(
          `a round says ${item_count} items under ${state_root}; there are ${holder.items.size} under ${root}`,
        );
      const below = equal.seen(
        (message) => message.type === 'sync_digest' && message.requestId === null && !isRound(message),
      );
      if (below.length > 0)
        fail(`a node went down the tree of a peer with the same root: ${below[0]!.payload.prefix}`);
      return pass(`${rounds()} rounds with a peer of the same state, no further question`);
    },
  },
];

/** A peer with more to walk through than a walk may ask: one walk, begun by its own question, ends by the bound. */
async function walkWithoutEnd(bench: Bench): Promise<string> {
  bench.step('a walk through two million hashes');
  const parameters = { anti_entropy_interval_s: 0, checkpoint_interval_s: 0, bytes_per_second: 100_000_000 };
  const node = await bench.node({ parameters });
  const puppet = await bench.puppet('wide', { unrecorded: true });
  const tree = wideTree();
  const peer = await puppet.peer(node, { manners: { items: { ...puppet.items, ...tree } } });
  const asker = await (await bench.puppet('beside', { unrecorded: true })).join(node);
  let questions = 0;
  let lastAt = performance.now();
  peer.onMessage((message) => {
    if (message.type !== 'sync_digest' || message.requestId !== null) return;
    questions += 1;
    lastAt = performance.now();
  });
  peer.send('sync_digest', digestRequest(tree.root(), 2 ** 21));
  await bench.waitFor('end of the walk', 300_000, async () => {
    await asker.fence(30_000);
    return questions > mostQuestions || performance.now() - lastAt > 5_000;
  });
  if (questions > mostQuestions) fail(`one walk made more than 10 000 of the ${wideRequests} requests`);
  if (questions < 2) inconclusive('nobody walked through the two million hashes');
  return `a walk of ${wideRequests} requests ended after ${questions}`;
}

/** A peer that holds more: what the node asks it for, and where it goes down. */
async function reconcile(
  bench: Bench,
  given: {
    holder: Puppet;
    node: Parameters<Puppet['peer']>[0];
    observer: Joined;
    all: readonly Item[];
    held: readonly string[];
    only: string | null;
  },
): Promise<void> {
  const { holder, observer, all, only } = given;
  for (const item of all) holder.items.add(item);
  const before = new Set(given.held);
  const lacking = all.map((item) => item.hash).filter((hash) => !before.has(hash.slice(5)));
  const peer = await holder.peer(given.node);
  const expected = stateRoot([...before, ...all.map((item) => item.hash.slice(5))]);
  await reached(bench, observer, `${lacking.length} missing items by anti-entropy`, 15_000, async () => {
    return (await rootOf(observer)) === expected;
  });
  const asked = new Set(peer.seen('gossip:request').flatMap((m) => m.payload.item_hashes as string[]));
  const needless = [...asked].filter((hash) => !lacking.includes(hash));
  if (needless.length > 0) fail(`asked for ${needless.length} items that it held, or that nobody has`);
  const most = Math.max(...peer.seen('gossip:request').map((m) => m.payload.item_hashes.length));
  if (most > 100) fail(`asked for ${most} items at once`);
  for (const question of peer.seen((m) => m.type === 'sync_digest' && m.requestId === null)) {
    const { root, prefix, state_root, item_count } = question.payload;
    // An asker may hold on to the root of the first answer: "else a root it still holds" (§8).
    const isRoot = root === null || /^[0-9a-f]{64}$/.test(String(root));
    const isWhole = isRoot && /^[0-9a-f]*$/.test(String(prefix)) && Number.isInteger(item_count);
    if (!isWhole || typeof state_root !== 'string')
      fail('a sync_digest without all its members', question.text);
  }
  const never = lacking.filter((hash) => !asked.has(hash));
  if (never.length > 0) fail(`${never.length} items came that were not asked for`);
  if (only !== null) {
    const questions = peer.seen((m) => m.type === 'sync_digest' && m.requestId === null);
    const astray = questions.find((m) => m.payload.prefix !== '' && !m.payload.prefix.startsWith(only));
    if (astray !== undefined)
      fail(`went down to prefix ${astray.payload.prefix}, where the two trees are equal`);
  }
  peer.destroy();
}
