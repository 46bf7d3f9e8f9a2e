/** § 5.4 Anti-entropy with peers that hold less, and across a cut: nothing is removed, and all comes back together. */

import { connect, createServer, type Socket } from 'node:net';
import { buildCheckpoint } from '../../harness/wire/checkpoint.ts';
import { digestRequest } from '../../harness/wire/gossip.ts';
import { itemSet } from '../../harness/wire/items.ts';
import { splitAddress } from '../../harness/wire/transport.ts';
import { emptyHash, stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import {
  checkpointOf,
  fill,
  heldOf,
  isRound,
  offer,
  quickRounds,
  reached,
  rootOf,
  stander,
  untilStandingOn,
} from '../states.ts';

export const rows: readonly Requirement[] = [
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
