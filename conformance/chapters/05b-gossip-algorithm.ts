/** § 5.3 Gossip algorithm: the duplicate window, ttl, and what may be cached. */

import { announce } from '../../harness/wire/gossip.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'GAL-03',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: '| Cache TTL | 60s | Duplicate detection window |',
    reading: 'A gossip_id is a duplicate 55 s after first sight and new again 65 s after it.',
    ruling: 'Profile §7: "check cache (60 s from first sight, keyed by `gossip_id` alone)".',
    mutants: ['gossip-cache-thirty-seconds', 'gossip-cache-for-ever'],
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
      const until = (seconds: number): Promise<void> =>
        bench.sleep(
          firstAt + seconds * 1000 - performance.now(),
          `waiting until ${seconds} s after first sight`,
        );
      await until(55);
      send();
      await source.fence();
      await watcher.fence();
      if (copies() !== 1) fail('the same gossip_id was forwarded again 55 s after first sight');
      await until(65);
      send();
      await source.fence();
      await watcher.fence();
      if (copies() !== 2) fail('the same gossip_id was not forwarded again 65 s after first sight');
      return pass('dropped at 55 s (fence), forwarded again at 65 s (fence)');
    },
  },
];
