/** § 4.2 and 7.1 Gossip routing: who stands in nobody's way, and who is not chosen at all. */

import { itemRequest } from '../../harness/wire/gossip.ts';
import { sendHello } from '../../harness/wire/handshake.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import { announced, announcesOf, type Circle, circle, fenced, spread, tell } from '../gossiping.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'GRT-06',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: 'asyncio.create_task(self.send_gossip(peer, message, topic, ttl))',
    reading:
      'A peer that has stopped reading, with more in its way than any buffer holds, does not delay gossip to the others: they get it within 1 s.',
    mutants: ['gossip-waits-for-slow', 'gossip-slow-stops-all'],
    needs: ['start'],
    durationHintMs: 5_000,
    limitMs: 60_000,
    cpu: 0.5,
    test: async (bench) => {
      // So that what the stuck peer asked for is written at once and not at 1 MiB/s.
      const around = await circle(bench, 3, { node: { parameters: { bytes_per_second: 1 << 28 } } });
      const [source, stuck, other] = around.peers;
      const author = await bench.puppet('author');
      const connection = await author.join(around.node);
      const big = author.commit({ metadata: { padding: 'x'.repeat(28_000) } });
      await accepted(connection, big);
      await announced(bench, around, big.hash, 3);
      stuck!.pause();
      bench.step('asking for 12 MB on a connection that nobody reads');
      for (let i = 0; i < 450; i += 1)
        stuck!.send('gossip', itemRequest(around.puppets[1]!.nodeId, [big.hash]));
      await bench.sleep(1_500, 'the buffers on the way to the stuck peer fill up');
      await atLeisure(bench, source!);
      let slowest = 0;
      const inTime = async (what: string, there: () => boolean): Promise<void> => {
        const sentAt = performance.now();
        while (!there() && performance.now() - sentAt < 9_000)
          await bench.sleep(5, `${what} beside a stuck peer`);
        const afterMs = performance.now() - sentAt;
        if (!there()) {
          await fenced({ ...around, peers: [source!, other!] }, source!);
          if (!there()) fail(`beside a peer that does not read, ${what} did not reach the other one at all`);
        }
        if (afterMs > 1_000)
          late(
            `beside a peer that does not read, ${what} reached the other one only after ${Math.round(afterMs)} ms`,
          );
        slowest = Math.max(slowest, performance.now() - sentAt);
      };
      for (let i = 0; i < 12; i += 1) {
        const id = tell(bench, source!);
        await inTime('a gossip', () => around.copies(id).some((copy) => copy.peer === 2));
      }
      for (let i = 0; i < 6; i += 1) {
        const item = author.commit();
        await accepted(connection, item);
        await inTime('an announce', () => announcesOf(around, item.hash).some((copy) => copy.peer === 2));
      }
      stuck!.destroy();
      return pass(
        `12 gossips and 6 announces reached the other peer, at the latest after ${Math.round(slowest)} ms`,
      );
    },
  },
  {
    id: 'GRT-07',
    level: 'must',
    section: '7.1',
    role: 's',
    quote: '"Peers" in §5, §7 and §8 means peers with a CONNECTED *persistent* connection.',
    reading:
      'Gossip goes to nobody whose hello has not come or not been answered yet, and to nobody by a bootstrap, gossip or sync connection; one of these puppets gets it once it is persistent.',
    mutants: ['gossip-to-pending', 'gossip-before-own-hello', 'gossip-to-short-lived'],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const around = await circle(bench, 3);
      const [source] = around.peers;
      const [mute, ...aside] = await bench.puppets(4, 'aside');
      const pending = await mute!.mustDial(around.node);
      const types = ['sync', 'gossip', 'bootstrap'] as const;
      const beside = await Promise.all(
        aside.map((puppet, i) =>
          puppet.join(around.node, { type: types[i]!, capabilities: ['gossip', 'sync'] }),
        ),
      );
      const author = await bench.puppet('author');
      const connection = await author.join(around.node);
      const ids = Array.from({ length: 20 }, () => tell(bench, source!));
      const items = Array.from({ length: 5 }, () => author.commit());
      for (const item of items) await accepted(connection, item);
      const leaked = async (): Promise<void> => {
        await Promise.all(beside.map((one) => one.fence()));
        for (const [i, one] of beside.entries())
          if (one.seen('gossip').length > 0)
            fail(`a gossip went to a ${types[i]} connection`, one.seen('gossip')[0]!.text.slice(0, 400));
        const early = pending.received.find((message) => message.type !== 'error');
        if (early !== undefined) fail(`a ${early.type} was sent before any hello`, early.text.slice(0, 400));
      };
      await fenced(around, source!);
      await leaked();
      await spread(bench, around, ids, 2);
      for (const item of items) await announced(bench, around, item.hash, 3);
      await leaked();
      pending.destroy();
      bench.step('one of these puppets as a persistent peer');
      const joined = await circle(bench, 1, { at: around.node, prefix: 'aside' });
      const id = tell(bench, source!);
      await spread(bench, joined, [id], 1);
      await amidGossip(bench, around);
      return pass(
        '20 gossips and 5 announces went to persistent peers only, and to a fourth once it was one',
      );
    },
  },
];

/** Peers that come while gossip streams through the node: the first that each of them is sent is the node's hello. */
async function amidGossip(bench: Bench, around: Circle): Promise<void> {
  const [source] = around.peers;
  const comer = await bench.puppet('comer');
  for (let round = 0; round < 8; round += 1) {
    bench.step(`a peer that comes while gossip is on its way, ${round + 1} of 8`);
    const connection = await comer.mustDial(around.node);
    for (let i = 0; i < 10; i += 1) tell(bench, source!, { ttl: 1 });
    sendHello(connection, 'persistent', { capabilities: ['gossip'] });
    for (let i = 0; i < 20; i += 1) tell(bench, source!, { ttl: 1 });
    const first = await connection.next(() => true, 8_000);
    if (first.type !== 'hello')
      fail(`a ${first.type} was sent to a peer before the node’s hello`, first.text.slice(0, 400));
    await connection.close();
  }
}

/** Until a fence comes back at once: a slow node is through with all those requests, or has stopped reading them. */
async function atLeisure(bench: Bench, connection: Joined): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    const sentAt = performance.now();
    await connection.fence(30_000);
    if (performance.now() - sentAt < 250) return;
    await bench.sleep(100, 'the node is still busy with what it was asked for');
  }
}
