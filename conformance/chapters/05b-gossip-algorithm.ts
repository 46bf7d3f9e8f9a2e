/** § 5.3 Gossip algorithm: what counts as a duplicate, and for how long. */

import { announce } from '../../harness/wire/gossip.ts';
import type { Bench } from '../bench.ts';
import { circle, expectCopies, fenced, spread, tell } from '../gossiping.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

const key = 'Profile §7: "check cache (60 s from first sight, keyed by `gossip_id` alone)".';

export const rows: readonly Requirement[] = [
  {
    id: 'GAL-01',
    level: 'must',
    section: '5.3',
    role: 's',
    quote: '# Check cache for duplicates',
    reading:
      'A gossip_id that was seen less than 60 s ago is not forwarded again: not from another peer, not from the same one by another or a new connection.',
    ruling: key,
    mutants: ['gossip-no-cache', 'gossip-cache-per-peer', 'gossip-cache-per-connection'],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const around = await circle(bench, 7);
      const [first, second, third] = around.peers;
      const ids = Array.from({ length: 10 }, () => bench.uuid());
      bench.step('10 gossips from one peer, then from two others');
      for (const id of ids) tell(bench, first!, { id });
      await spread(bench, around, ids, 3);
      for (const id of ids) {
        tell(bench, second!, { id });
        tell(bench, third!, { id, origin: around.puppets[0]!.nodeId });
        tell(bench, first!, { id });
      }
      await fenced(around, first!, second!, third!);
      for (const id of ids) expectCopies(around, id, 3, 'a gossip_id that 3 peers sent');
      bench.step('two peers send the same gossips at the same time');
      const shared = Array.from({ length: 10 }, () => bench.uuid());
      for (const id of shared) for (const peer of [second!, third!]) tell(bench, peer, { id });
      await spread(bench, around, shared, 3);
      await fenced(around, second!, third!);
      for (const id of shared) expectCopies(around, id, 3, 'a gossip_id that 2 peers sent at once');
      bench.step('the first peer again, by a gossip connection and after a reconnect');
      const aside = await around.puppets[0]!.join(around.node, { type: 'gossip', capabilities: ['gossip'] });
      for (const id of ids) tell(bench, aside, { id });
      await aside.fence();
      first!.reset();
      const back = await around.puppets[0]!.peer(around.node, { capabilities: ['gossip'] });
      for (const id of ids) tell(bench, back, { id });
      await back.fence();
      await fenced(around, second!);
      for (const id of ids) expectCopies(around, id, 3, 'a gossip_id sent again by other connections');
      const fresh = tell(bench, back);
      await spread(bench, around, [fresh], 3);
      return pass('20 gossip ids sent up to 6 times by 3 peers over 5 connections went out 3 times each');
    },
  },
  {
    id: 'GAL-02',
    level: 'must',
    section: '5.3',
    role: 's',
    quote: 'message_id = message.gossip_id',
    reading:
      'The same gossip_id in a new message with other content is a duplicate; the same content under a new gossip_id is none.',
    ruling: key,
    mutants: ['gossip-cache-by-message', 'gossip-cache-by-content', 'gossip-cache-by-id-and-content'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const around = await circle(bench, 5);
      const [source, other] = around.peers;
      const held = (await bench.puppet('author')).commit();
      const connection = await (await bench.puppet('author')).join(around.node);
      connection.sendEnvelope(held.envelope);
      await connection.answer(held.messageId);
      const id = tell(bench, source!, { topic: 'news', hashes: [held.hash] });
      await spread(bench, around, [id], 3);
      bench.step('the same gossip_id with other content');
      tell(bench, source!, { id, topic: 'other' });
      tell(bench, source!, { id, hashes: [held.hash], ttl: 1 });
      tell(bench, other!, { id, topic: 'third', origin: around.puppets[4]!.nodeId });
      await fenced(around, source!, other!);
      expectCopies(around, id, 3, 'one gossip_id in four messages');
      bench.step('the same content with new ids');
      const again = Array.from({ length: 4 }, () =>
        tell(bench, source!, { topic: 'news', hashes: [held.hash] }),
      );
      again.push(tell(bench, other!, { hashes: [held.hash], origin: around.puppets[0]!.nodeId }));
      await spread(bench, around, again, 3);
      return pass(
        'one gossip_id in four messages went out once; the same content under five other ids each time',
      );
    },
  },
  {
    id: 'GAL-03',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: '| Cache TTL | 60s | Duplicate detection window |',
    reading: 'A gossip_id is a duplicate 55 s after first sight and new again 65 s after it.',
    ruling: key,
    mutants: [
      'gossip-cache-thirty-seconds',
      'gossip-cache-for-ever',
      'gossip-cache-two-minutes',
      'gossip-cache-sliding',
    ],
    needs: [],
    durationHintMs: 67_000,
    cpu: 0,
    test: async (bench) => {
      const node = await bench.node();
      const [from, to] = await bench.puppets(2);
      const source = await from!.peer(node);
      const watcher = await to!.peer(node);
      const id = bench.uuid();
      const send = (): string =>
        source.send('gossip', announce(from!.nodeId, [], { topic: 'news', changes: { gossip_id: id } }));
      const copies = (): number => watcher.seen((message) => message.payload?.gossip_id === id).length;
      const firstAt = performance.now();
      send();
      await bench.waitFor('first copy', 5_000, () => copies() === 1);
      const until = waiting(bench, firstAt);
      await until(55);
      send();
      await source.fence();
      await watcher.fence();
      if (copies() !== 1) fail('the same gossip_id was forwarded again 55 s after first sight');
      await until(65);
      send();
      await watcher.maybe((message) => message.payload?.gossip_id === id && copies() === 2, 5_000);
      await source.fence();
      await watcher.fence();
      if (copies() !== 2) fail('the same gossip_id was not forwarded again 65 s after first sight');
      return pass('dropped at 55 s (fence), forwarded again at 65 s');
    },
  },
  {
    id: 'GAL-04',
    level: 'info',
    section: '5.3',
    role: 's',
    quote: 'self.cache.add(message_id, ttl=60)',
    reading: 'Whether a duplicate within the window makes the window longer is recorded.',
    ruling: 'Profile §7: "60 s from first sight".',
    mutants: [],
    needs: ['start'],
    durationHintMs: 9_000,
    cpu: 0,
    thorough: { durationHintMs: 66_000, limitMs: 180_000 },
    test: async (bench) => {
      const [windowS, againS, lateS] = bench.thorough ? [60, 40, 65] : [6, 4, 8];
      const around = await circle(bench, 2, { node: { parameters: { cache_ttl_s: windowS } } });
      const [source] = around.peers;
      const firstAt = performance.now();
      const until = waiting(bench, firstAt);
      const id = tell(bench, source!);
      await spread(bench, around, [id], 1);
      await until(againS);
      tell(bench, source!, { id });
      await fenced(around, source!);
      expectCopies(around, id, 1, `a window of ${windowS} s, ${againS} s after first sight`);
      await until(lateS);
      tell(bench, source!, { id });
      await fenced(around, source!);
      await bench.sleep(300, 'the copy of a gossip that is new again');
      if (around.copies(id).length === 1)
        fail(`a duplicate ${againS} s after first sight extended a window of ${windowS} s`);
      return pass(`with a window of ${windowS} s a duplicate after ${againS} s did not extend it`);
    },
  },
];

/** Sleeps until so many seconds after `from`. */
const waiting =
  (bench: Bench, from: number) =>
  (seconds: number): Promise<void> =>
    bench.sleep(from + seconds * 1_000 - performance.now(), `waiting until ${seconds} s after first sight`);
