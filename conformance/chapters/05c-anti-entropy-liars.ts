/** § 5.4 Anti-entropy against liars: false lists, false bodies, and a tree without end. */

import { flippedBit } from '../../harness/wire/envelope.ts';
import { itemResponse } from '../../harness/wire/gossip.ts';
import { sha256 } from '../../harness/wire/identity.ts';
import { type Item, itemOf, itemSet } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { emptyHash, type Subtree, stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { hashesOf, heldOf, isRound, mostQuestions, quickRounds, reached, rootOf } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

/** How long a node is watched that must not ask for 60 s: whoever forgets sooner forgets after a second, or ten. */
const refusalMs = 16_000;

export const rows: readonly Requirement[] = [
  {
    id: 'AEN-06',
    level: 'must',
    section: '5.4',
    role: 's',
    quote: 'The asker checks the list against `hash`',
    reading:
      'A list that does not hash to its hash, a body that is not the item asked for and a tree without end are refused and end the exchange; the node goes on with others and takes the true items from them.',
    ruling:
      'Profile §6: "From the same peer a refused hash is asked for again … by anti-entropy not within 60 s".',
    mutants: [
      'digest-list-unchecked',
      'walk-endless',
      'item-signature-unchecked',
      'refused-asked-for-ever',
      'refused-everywhere',
      'refused-for-ten-seconds',
    ],
    needs: [],
    durationHintMs: 20_000,
    limitMs: 100_000,
    cpu: 0.4,
    test: async (bench) => {
      const node = await quickRounds(bench);
      const observer = await (await bench.puppet('observer')).join(node);
      const before = await hashesOf(observer);
      const author = await bench.puppet('author');
      const items = Array.from({ length: 6 }, () => author.commit());
      const astray = Array.from({ length: 3 }, () => author.commit());
      const lister = await falseList(bench, node, astray);
      const server = await falseBodies(bench, node, items.slice(0, 2), author);
      const endless = await endlessTree(bench, node);
      const mute = await (await bench.puppet('mute')).peer(node, { manners: { answerDigest: false } });
      bench.step('four rounds with each liar');
      for (const liar of [lister.peer, server.peer])
        await bench.waitFor(`four rounds with ${liar.label}`, 40_000, () => liar.seen(isRound).length >= 4);
      await walksEnd(bench, endless);
      for (const liar of [lister.peer, server.peer, endless]) await liar.fence();
      const wrongly = lister.peer.seen('gossip:request');
      if (wrongly.length > 0)
        fail('asked for items of a list that does not hash to its hash', wrongly[0]!.text);
      const asked = (): number =>
        server.peer
          .seen('gossip:request')
          .filter((m) => (m.payload.item_hashes as string[]).includes(items[0]!.hash)).length;
      const askedAgain = (): void => {
        if (asked() > 1) fail(`asked ${asked()} times for an item that the same peer had served wrongly`);
      };
      const refusedAt = performance.now();
      askedAgain();
      const held = await heldOf(
        observer,
        items.slice(0, 2).map((item) => item.hash),
      );
      if (held.size > 0) fail('holds an item that nobody served rightly');
      bench.step('an honest peer beside the liars');
      const honest = await bench.puppet('honest');
      for (const item of items.slice(1)) honest.items.add(item);
      await honest.peer(node);
      const arrival = async (what: string, arrived: readonly Item[]): Promise<void> => {
        const expected = [...before, ...arrived.map((item) => item.hash.slice(5))];
        // The body under another item's hash is a valid item itself: "nothing else may be a reason to refuse it" (§6).
        const roots = [stateRoot(expected), stateRoot([...expected, server.stranger.slice(5)])];
        await reached(bench, observer, what, 20_000, async () => roots.includes(await rootOf(observer)));
      };
      await arrival('arrival of the honest peer’s items', items.slice(1));
      for (const liar of [lister.peer, endless, mute]) liar.destroy();
      await bench.sleep(
        refusedAt + refusalMs - performance.now(),
        'whether the refused item is asked for again',
      );
      askedAgain();
      honest.items.add(items[0]!);
      await arrival('the true item under a refused hash', items);
      return pass('three liars and a silent peer refused; the 6 items of the honest one arrived');
    },
  },
];

const isQuestion = (message: Message): boolean =>
  message.type === 'sync_digest' && message.requestId === null;

/**
 * No walk through a tree without end takes more than the 10 000 requests of §8. That no hash has more than 64 digits is reason to
 * end it sooner, and four rounds of which each ended there are enough; whoever goes on is watched to its end.
 */
async function walksEnd(bench: Bench, endless: Joined): Promise<void> {
  let ofThisWalk = 0;
  let rounds = 0;
  let isDeep = false;
  let lastAt = performance.now();
  for (const message of endless.seen(isQuestion)) count(message);
  endless.onMessage((message) => isQuestion(message) && count(message));
  function count(message: Message): void {
    lastAt = performance.now();
    ofThisWalk = isRound(message) ? 1 : ofThisWalk + 1;
    if (isRound(message)) rounds += 1;
    if (String(message.payload.prefix).length > 65) isDeep = true;
  }
  await bench.waitFor('end of the walk through a tree without end', 70_000, () => {
    if (ofThisWalk > mostQuestions) fail(`asked ${ofThisWalk} questions of one tree without end`);
    return rounds >= 4 || (isDeep && performance.now() - lastAt > 3_000);
  });
}

/** Lists items under a hash that is not theirs; would serve them. */
async function falseList(
  bench: Bench,
  node: NodeUnderTest,
  items: readonly Item[],
): Promise<{ peer: Joined }> {
  const puppet = await bench.puppet('false-list');
  for (const item of items) puppet.items.add(item);
  const claimed = sha256(bench.uuid());
  const { items: set } = puppet;
  // From the first question on: a round may come before the handshake is over on our side.
  const lying = { ...set, root: () => claimed, subtree: () => ({ ...set.subtree(''), hash: claimed }) };
  const peer = await puppet.peer(node, { manners: { items: lying } });
  return { peer };
}

/** Lists two items rightly; serves the one with a bit of its signature flipped, and another item in place of the second. */
async function falseBodies(
  bench: Bench,
  node: NodeUnderTest,
  items: readonly Item[],
  author: Puppet,
): Promise<{ peer: Joined; stranger: string }> {
  const puppet = await bench.puppet('false-bodies');
  const set = itemSet(items);
  const stranger = author.commit();
  const [first, second] = items;
  const forged = { ...first!.envelope, signature: flippedBit(String(first!.envelope.signature), 77) };
  const peer = await puppet.peer(node, { manners: { items: set, serveItems: false } });
  const answer = (message: Message): void => {
    if (message.type !== 'gossip' || message.payload?.gossip_type !== 'request') return;
    const asked = message.payload.item_hashes as string[];
    const bodies: [string, JsonObject][] = [
      [first!.hash, itemOf(forged).envelope],
      [second!.hash, stranger.envelope],
    ];
    const served = bodies.filter(([hash]) => asked.includes(hash));
    const named = served.map(([hash]) => hash);
    const missing = asked.filter((hash) => !named.includes(hash));
    const response = itemResponse(
      puppet.nodeId,
      message.id,
      served.map(([, body]) => body),
      named,
      missing,
    );
    peer.send('gossip', response);
  };
  // It may have asked before its side of the handshake was over.
  for (const message of peer.seen('gossip:request')) answer(message);
  peer.onMessage(answer);
  return { peer, stranger: stranger.hash };
}

/** Says below each prefix that there are 1 000 items below its digit a: a tree as deep as one goes down. */
async function endlessTree(bench: Bench, node: NodeUnderTest): Promise<Joined> {
  const puppet = await bench.puppet('endless');
  const root = sha256(bench.uuid());
  const subtree = (prefix: string): Subtree => {
    const children = [...'0123456789abcdef'].map((digit) =>
      digit === 'a' ? sha256(`${prefix}${bench.uuid()}`) : emptyHash,
    );
    return { prefix, count: 1_000, hash: sha256(`N${children.join('')}`), children };
  };
  const peer = await puppet.peer(node, {
    manners: { items: { ...puppet.items, root: () => root, subtree } },
  });
  return peer;
}
