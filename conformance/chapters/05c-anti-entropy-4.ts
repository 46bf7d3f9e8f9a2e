/** § 5.4 What anti-entropy sets off: announces of fresh items, and pulls in turn. */

import { digestRequest } from '../../harness/wire/gossip.ts';
import type { Item } from '../../harness/wire/items.ts';
import { float } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { accepted, untilServed } from '../expect.ts';
import type { Joined } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { adopts, checkpointOn, setStage, still } from '../stage.ts';
import { heldOf, isRound, quickRounds, reached, rootOf } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'AEN-09',
    level: 'should',
    section: '5.4',
    role: 's',
    quote:
      'announces those whose timestamp is within 60 s of its clock, in either direction, as if it had accepted them itself',
    reading:
      'Items that a round of anti-entropy brought are announced if they are at most 60 s old or ahead, with the node as origin; older and later ones, and those fetched for a checkpoint, are not.',
    mutants: ['fresh-never-announced', 'fresh-all-announced', 'fresh-only-past', 'fresh-of-checkpoints'],
    needs: [],
    durationHintMs: 3_500,
    cpu: 0.3,
    test: async (bench) => {
      const node = await quickRounds(bench);
      const watchers = await watching(bench, node, 'watcher');
      const long = { notBeforeMs: Date.now() - 3_600_000 };
      const author = await bench.puppet('author', { certificate: long });
      const at = Date.now() / 1000;
      const dated = (byS: number): Item => author.commit({}, { timestamp: float(at + byS) });
      const fresh = [dated(-1), dated(-10), dated(-40), dated(40), author.confirm()];
      const stale = [dated(-80), dated(-300), dated(80), dated(300)];
      const holder = await bench.puppet('holder');
      for (const item of [...fresh, ...stale]) holder.items.add(item);
      await holder.peer(node, { capabilities: ['sync'] });
      const observer = await (await bench.puppet('observer')).join(node);
      for (const item of [...fresh, ...stale]) await untilServed(bench, observer, item.hash, 15_000);
      for (const item of fresh)
        await reached(bench, observer, 'announce of each fresh item at three peers', 8_000, async () =>
          watchers.every((watcher) => announcesOf(watcher, item).length > 0),
        );
      await fencedByCommit(bench, node, watchers, 'fence');
      for (const watcher of watchers) {
        const old = stale.find((item) => announcesOf(watcher, item).length > 0);
        if (old !== undefined) fail('an item of another time was announced', old.envelope);
        const odd = announcesOf(watcher, fresh[0]!).find(
          ({ payload }) => payload.origin !== node.nodeId || payload.ttl !== 2,
        );
        if (odd !== undefined)
          fail('the announce is not as of an item that the node accepted itself', odd.text);
      }
      if (bench.target.abilities.has('instances')) await silentCheckpoint(bench);
      return pass('5 fresh items were announced to 3 peers, 4 of another time were not');
    },
  },
  {
    id: 'AEN-10',
    level: 'should',
    section: '5.4',
    role: 's',
    quote: 'pulls in turn: one pull per peer at a time, and not again within 1 s for the same two roots',
    reading:
      'Asked for its whole state by a peer with sync whose root differs, a node asks that peer in turn; where a difference stays, once a second at most. Peers without sync, other prefixes and equal roots make it ask nothing.',
    mutants: [
      'pull-in-turn-never',
      'pull-in-turn-always',
      'pull-in-turn-without-sync',
      'pull-in-turn-for-prefixes',
      'pull-in-turn-for-roots',
    ],
    needs: ['start'],
    durationHintMs: 7_000,
    limitMs: 50_000,
    cpu: 0.2,
    test: async (bench) => {
      const node = await bench.node({ parameters: { anti_entropy_interval_s: 0, checkpoint_interval_s: 0 } });
      const observer = await (await bench.puppet('observer')).join(node);
      const [one, mute] = await bench.puppets(2, 'peer');
      const item = one!.commit();
      one!.items.add(item);
      const peer = await one!.peer(node);
      await peer.fence();
      await peer.fence();
      const root = await rootOf(observer);
      peer.send('sync_digest', digestRequest(one!.items.root(), 1, { root }));
      await peer.fence();
      if (peer.seen(isRound).length > 0)
        fail('pulled in turn for a question about a part of the tree, or about a root that the asker names');
      ask(peer);
      await reached(bench, observer, 'item by a pull in turn', 10_000, async () => {
        return (await heldOf(observer, [item.hash])).size === 1;
      });
      const after = peer.seen(isRound).length;
      ask(peer);
      await peer.fence();
      if (peer.seen(isRound).length > after) fail('pulled in turn though the roots are equal');
      const lone = mute!.commit();
      mute!.items.add(lone);
      const without = await mute!.peer(node, { capabilities: ['gossip'] });
      ask(without);
      await bench.sleep(300, 'a node that pulled in turn would ask by now');
      await without.fence();
      if (without.seen(isRound).length > 0) fail('pulled in turn from a peer without `sync`');
      return pass(
        `an item by a pull in turn; ${await lasting(bench, node)} pulls in 5 s of a lasting difference`,
      );
    },
  },
];

function ask(peer: Joined): void {
  const { items } = peer.manners;
  peer.send('sync_digest', digestRequest(items.root(), items.size));
}

const announcesOf = (watcher: Joined, item: Item): Message[] =>
  watcher.seen(
    (m) =>
      m.type === 'gossip' &&
      m.payload?.gossip_type === 'announce' &&
      m.payload.item_hashes?.includes(item.hash),
  );

/** Three peers that only gossip: each own announce of the node goes to all of them. */
async function watching(bench: Bench, node: NodeUnderTest, prefix: string): Promise<Joined[]> {
  const joined: Joined[] = [];
  for (const puppet of await bench.puppets(3, prefix))
    joined.push(await puppet.peer(node, { capabilities: ['gossip'] }));
  return joined;
}

/** A commit on its author's connection whose announce has come: all that was to be announced before has come too. */
async function fencedByCommit(
  bench: Bench,
  node: NodeUnderTest,
  watchers: readonly Joined[],
  name: string,
): Promise<void> {
  const author = await bench.puppet(name);
  const item = author.commit();
  await accepted(await author.join(node), item);
  await bench.waitFor(
    'announce of a later commit',
    5_000,
    () => watchers.filter((watcher) => announcesOf(watcher, item).length > 0).length >= 2,
  );
  for (const watcher of watchers) await watcher.fence();
}

/** Items that are fetched for a checkpoint are nobody's news. */
async function silentCheckpoint(bench: Bench): Promise<void> {
  const stage = await setStage(bench, await bench.node({ parameters: still }));
  const watchers = await watching(bench, stage.node, 'checkpoint-watcher');
  await adopts(stage, checkpointOn(stage));
  await bench.sleep(100, 'what is announced may be gathered for 50 ms');
  await fencedByCommit(bench, stage.node, watchers, 'checkpoint-fence');
  const hashes = stage.items.bareHashes().map((hash) => stage.items.get(`rule_${hash}`)!);
  const told = hashes.find((item) => watchers.some((watcher) => announcesOf(watcher, item).length > 0));
  if (told !== undefined) fail('an item that was fetched for a checkpoint was announced', told.envelope);
}

/** A peer that lists an item which it never serves, and asks ten times a second: how often the node pulls. */
async function lasting(bench: Bench, node: NodeUnderTest): Promise<number> {
  const puppet = await bench.puppet('lister');
  const observer = await (await bench.puppet('second-observer')).join(node);
  const absent = puppet.commit();
  puppet.items.add(absent);
  const set = { ...puppet.items, has: () => false, get: () => undefined };
  const peer = await puppet.peer(node, { manners: { items: set } });
  const since = performance.now();
  while (performance.now() - since < 5_000) {
    ask(peer);
    await bench.sleep(100, 'a lasting difference');
  }
  await peer.fence();
  const pulls = peer.seen(isRound).length;
  if (pulls > 7) fail(`pulled in turn ${pulls} times in 5 s for the same two roots`);
  if (pulls === 0) fail('a peer whose root differs is not pulled from');
  if ((await heldOf(observer, [absent.hash])).size > 0) fail('holds an item that nobody served');
  return pulls;
}
