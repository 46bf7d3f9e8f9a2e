/** § 5.4 Anti-entropy against liars, against smaller sets, and across a cut. */

import { connect, createServer, type Socket } from 'node:net';
import { buildCheckpoint } from '../../harness/wire/checkpoint.ts';
import { flippedBit } from '../../harness/wire/envelope.ts';
import { digestRequest, itemResponse } from '../../harness/wire/gossip.ts';
import { sha256 } from '../../harness/wire/identity.ts';
import { type Item, itemOf, itemSet } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { splitAddress } from '../../harness/wire/transport.ts';
import { emptyHash, type Subtree, stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import {
  checkpointOf,
  fill,
  hashesOf,
  heldOf,
  isRound,
  offer,
  quickRounds,
  reached,
  rootOf,
  stander,
  untilStandingOn,
} from '../states.ts';
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
      for (const liar of [lister.peer, server.peer, endless])
        await bench.waitFor(`four rounds with ${liar.label}`, 40_000, () => liar.seen(isRound).length >= 4);
      for (const liar of [lister.peer, server.peer, endless]) await liar.fence();
      const wrongly = lister.peer.seen('gossip:request');
      if (wrongly.length > 0)
        fail('asked for items of a list that does not hash to its hash', wrongly[0]!.text);
      const deep = endless.seen(isQuestion).find((m) => String(m.payload.prefix).length > 64);
      if (deep !== undefined) fail('went below 64 digits of a tree without end');
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
  {
    id: 'AEN-07',
    level: 'must',
    section: '5.4',
    role: 's',
    quote: 'Anti-entropy never removes items.',
    reading:
      'Peers that hold a part of the node’s items or none, and a checkpoint over a part of them, take nothing from its state.',
    ruling: 'Profile §6: "Items are immutable and never deleted."',
    mutants: ['pull-removes', 'checkpoint-removes'],
    needs: [],
    durationHintMs: 4_000,
    limitMs: 60_000,
    cpu: 0.1,
    test: async (bench) => {
      const node = await quickRounds(bench);
      const [author, watcher, part, none] = await bench.puppets(4);
      const observer = await watcher!.join(node);
      const source = await author!.peer(node);
      const items = Array.from({ length: 20 }, () => author!.commit());
      const all = await fill(bench, source, observer, items);
      source.destroy();
      const root = stateRoot(all);
      for (const item of items.slice(0, 5)) part!.items.add(item);
      const smaller = [await part!.peer(node), await none!.peer(node)];
      for (const peer of smaller) peer.send('sync_digest', digestRequest(peer.manners.items.root(), 5));
      bench.step('rounds with peers that hold less');
      for (const peer of smaller)
        await bench.waitFor('three rounds with each', 30_000, () => peer.seen(isRound).length >= 3);
      await bench.sleep(200, 'the last exchange is over');
      const stillRoot = async (after: string): Promise<void> => {
        const now = await rootOf(observer);
        if (now !== root) fail(`${after} the root is ${now}, it was ${root}`);
      };
      await stillRoot('after rounds with peers that hold 5 and 0 of 20 items');
      const own = await checkpointOf(observer, null);
      const previousHash = own === null ? emptyHash : String(own.hash);
      const height = own === null ? 1 : Number(own.height) + 1;
      const peer = await stander(await bench.puppet('stander'), node, itemSet(items.slice(0, 5)));
      const hash = offer(
        peer,
        buildCheckpoint(peer.manners.items, [part!.identity], { height, previousHash }),
      );
      await untilStandingOn(bench, observer, hash);
      await stillRoot('standing on a checkpoint over 5 of its 20 items');
      const held = await heldOf(
        observer,
        items.map((item) => item.hash),
      );
      if (held.size < 20) fail(`${20 - held.size} of 20 items are gone`);
      return pass('20 items after rounds with peers of 5 and 0 items, and under a checkpoint over 5');
    },
  },
  {
    id: 'AEN-08',
    level: 'must',
    section: '5.4',
    role: 'n',
    quote: 'Every 1 s a node does so with one random peer that has `sync`',
    reading:
      'Two nodes that took items while the link between them was cut hold all of them after it healed, without gossip or checkpoints.',
    mutants: ['rounds-never', 'pull-nothing'],
    needs: ['start', 'instances'],
    durationHintMs: 9_000,
    limitMs: 110_000,
    cpu: 0.2,
    test: async (bench) => {
      const through = bench.target.nextAddress();
      const parameters = { checkpoint_interval_s: 0 };
      const far = await bench.node({ parameters, advertise: through });
      const link = await relay(bench, through, far.address);
      const bootstrap = [{ ...splitAddress(through), publicKey: far.publicKey }];
      // Both say to be behind a relay: who dials for its rounds gets there, and there is no way around a cut.
      const back = bench.target.nextAddress();
      const near = await bench.node({ parameters, bootstrap, advertise: back });
      const links = [link, await relay(bench, back, near.address)];
      const watcher = await bench.puppet('observer');
      const observers = [await watcher.join(near), await watcher.join(far)];
      const [left, right] = await bench.puppets(2, 'author');
      const authors = [await left!.join(near), await right!.join(far)];
      await accepted(authors[0]!, left!.commit());
      const roots = async (): Promise<string[]> => [await rootOf(observers[0]!), await rootOf(observers[1]!)];
      const areEqual = async (): Promise<boolean> => {
        const [a, b] = await roots();
        return a === b && a !== emptyHash;
      };
      await bench.waitFor('first item on both sides', 30_000, areEqual);
      for (const each of links) each.cut();
      await bench.sleep(500, 'both sides see that the link is cut');
      const items = [];
      for (const [index, author] of [left!, right!].entries())
        for (let i = 0; i < 5; i += 1) {
          const item = author.commit();
          items.push(item);
          await accepted(authors[index]!, item);
        }
      const [a, b] = await roots();
      if (a === b) fail('the two nodes are equal though the link between them is cut');
      for (const each of links) each.heal();
      await reached(bench, observers[0]!, 'equal states after the cut', 45_000, areEqual);
      const hashes = items.map((item) => item.hash);
      for (const observer of observers) {
        const held = await heldOf(observer, hashes);
        if (held.size < hashes.length) fail(`${observer.label}: ${held.size} of ${hashes.length} items`);
      }
      return pass('5 items on each side of a cut were on both sides after it healed');
    },
  },
];

const isQuestion = (message: Message): boolean =>
  message.type === 'sync_digest' && message.requestId === null;

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
  peer.onMessage((message) => {
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
  });
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

/** A TCP path that can be cut. */
async function relay(bench: Bench, from: string, to: string): Promise<{ cut(): void; heal(): void }> {
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const { host, port } = splitAddress(to);
    const far = connect(port, host);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  const { host, port } = splitAddress(from);
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const cut = (): void => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  bench.onClose(() => {
    cut();
    server.close();
  });
  return {
    cut,
    heal: () => {
      isCut = false;
    },
  };
}
