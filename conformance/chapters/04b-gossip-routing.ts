/** § 4.2 Gossip routing: to whom a node forwards, and what its own announces look like. */

import { announce } from '../../harness/wire/gossip.ts';
import { accepted } from '../expect.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export const rows: readonly Requirement[] = [
  {
    id: 'GRT-01',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: 'peers = self.get_random_peers(k=3)  # Fanout factor',
    reading: 'Each gossip with ttl > 0 goes on to exactly 3 distinct peers when at least 4 are eligible.',
    ruling:
      'Profile §7: "to 3 distinct random peers that have `gossip`, never the node it came from nor its `origin`".',
    mutants: ['gossip-fanout-two', 'gossip-fanout-all'],
    needs: [],
    durationHintMs: 2_000,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node();
      const puppets = await bench.puppets(8);
      const peers = await Promise.all(puppets.map((puppet) => puppet.peer(node)));
      const [source, ...others] = peers;
      const ids = Array.from({ length: 40 }, () => bench.uuid());
      bench.step('40 gossips from one of 8 peers');
      for (const id of ids)
        source!.send(
          'gossip',
          announce(puppets[0]!.nodeId, [], { topic: 'news', changes: { gossip_id: id } }),
        );
      await source!.fence();
      await Promise.all(others.map((peer) => peer.fence()));
      for (const id of ids) {
        const copies = others.flatMap((peer) => peer.seen((message) => message.payload?.gossip_id === id));
        const receivers = others.filter((peer) => peer.seen((m) => m.payload?.gossip_id === id).length > 0);
        if (copies.length !== 3 || receivers.length !== 3)
          fail(
            `gossip ${id}: ${copies.length} copies to ${receivers.length} of 7 eligible peers, expected 3 to 3`,
          );
      }
      return pass('40 gossips went to exactly 3 of 7 eligible peers each');
    },
  },
  {
    id: 'GRT-05',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: "So the origin's copies carry 2, a copy with 0 is processed",
    reading:
      'The announce of an item that came from its author has ttl 2 in its first copies, the node as origin, and a fresh UUID version 4.',
    mutants: ['announce-ttl-three', 'announce-without-origin'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.node();
      const [author, ...watchers] = await bench.puppets(5);
      const peers = await Promise.all(watchers.map((puppet) => puppet.peer(node)));
      const connection = await author!.join(node);
      const seen = new Set<string>();
      for (let round = 0; round < 3; round++) {
        const item = author!.commit();
        await accepted(connection, item);
        const copies = await bench.waitFor('announce of a new commit', 5_000, () => {
          const found = peers.flatMap((peer) =>
            peer.seen(
              (m) =>
                m.payload?.item_hashes?.includes(item.hash) === true && m.payload.gossip_type === 'announce',
            ),
          );
          return found.length > 0 && found;
        });
        for (const { payload } of copies) {
          if (payload.ttl !== 2)
            fail(`an own announce came with ttl ${payload.ttl} on its first hop, expected 2`);
          if (payload.origin !== node.nodeId)
            fail(`an own announce has origin ${payload.origin}, expected ${node.nodeId}`);
          if (!uuid4.test(payload.gossip_id)) fail(`gossip_id ${payload.gossip_id} is no UUID version 4`);
        }
        const id = String(copies[0]!.payload.gossip_id);
        if (seen.has(id)) fail(`gossip_id ${id} was used for two announces`);
        seen.add(id);
      }
      return pass('3 announces, each in first copies with ttl 2, own origin and an id of its own');
    },
  },
];
