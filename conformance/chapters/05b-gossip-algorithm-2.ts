/** § 5.3 Gossip algorithm: how far a gossip goes, and what of it is handed on. */

import { expect } from 'chai';
import type { Bench } from '../bench.ts';
import { accepted, untilServed } from '../expect.ts';
import { announced, circle, expectCopies, fenced, spread, tell } from '../gossiping.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

const sevenMembers = ['gossip_id', 'gossip_type', 'item_hashes', 'origin', 'topic', 'topics', 'ttl'];

export const rows: readonly Requirement[] = [
  {
    id: 'GAL-06',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: 'process, and if ttl > 0 forward with **ttl − 1**',
    reading: 'A gossip that comes with ttl 2 goes on with 1, one with 1 goes on with 0.',
    mutants: ['ttl-not-reduced', 'ttl-minus-two', 'ttl-reset'],
    needs: [],
    durationHintMs: 1_200,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const [source] = around.peers;
      const sent = [2, 1, 2, 1].map((ttl) => ({ ttl, id: tell(bench, source!, { ttl }) }));
      await fenced(around, source!);
      // Looked at before the copies are counted: a copy with a wrong ttl says more than one that is missing.
      const check = (): void => {
        for (const { ttl, id } of sent)
          for (const { message } of around.copies(id))
            if (message.payload.ttl !== ttl - 1)
              fail(`a gossip with ttl ${ttl} went on with ${message.payload.ttl}, expected ${ttl - 1}`);
      };
      check();
      const ids = sent.map(({ id }) => id);
      await spread(bench, around, ids, 3);
      check();
      return pass('gossips with ttl 2 went on with 1, those with 1 went on with 0');
    },
  },
  {
    id: 'GAL-07',
    level: 'must',
    section: '5.3',
    role: 's',
    quote: 'a copy with 0 is processed\n  and not forwarded',
    reading: 'A gossip with ttl 0 is cached and its item fetched, but it is not forwarded.',
    mutants: ['ttl-zero-forwarded', 'ttl-zero-dropped', 'ttl-zero-uncached'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const [source, second] = around.peers;
      const item = (await bench.puppet('writer')).commit();
      source!.manners.items.add(item);
      const id = tell(bench, source!, { ttl: 0, hashes: [item.hash], topic: 'new_commit' });
      await untilServed(bench, second!, item.hash, 8_000);
      await fenced(around, source!);
      expectCopies(around, id, 0, 'a gossip with ttl 0');
      tell(bench, second!, { id, ttl: 2 });
      await fenced(around, second!);
      expectCopies(around, id, 0, 'a gossip_id that was seen with ttl 0 before');
      const fresh = tell(bench, second!, { ttl: 2 });
      await spread(bench, around, [fresh], 3);
      return pass('the item of a gossip with ttl 0 was fetched, the gossip cached and not forwarded');
    },
  },
  {
    id: 'GAL-08',
    level: 'must',
    section: '5.3',
    role: 's',
    quote: 'A forwarder sends exactly the seven members, all but `ttl` unchanged, in an envelope of its own.',
    reading:
      'A forward has the gossip_id, gossip_type, topic, topics, item_hashes and origin that came, in an envelope of the forwarder.',
    mutants: [
      'forward-new-id',
      'forward-origin-rewritten',
      'forward-topics-lost',
      'forward-hashes-sorted',
      'forward-hashes-once',
      'forward-lacking-only',
      'forward-same-envelope',
      'forward-not-checkpoints',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const around = await circle(bench, 5);
      const [source] = around.peers;
      const author = await bench.puppet('author');
      const connection = await author.join(around.node);
      const [known, unknown] = [author.commit(), (await bench.puppet('writer')).commit()];
      await accepted(connection, known);
      await announced(bench, around, known.hash, 3);
      source!.manners.items.add(unknown);
      // Neither ascending nor without repetition, the held one among them.
      const [low, high] = [known.hash, unknown.hash].sort() as [string, string];
      const hashes = [high, low, high];
      const origins = [around.puppets[4]!.nodeId, around.puppets[0]!.nodeId, `node_${'a1'.repeat(20)}`];
      const variants = [
        { hashes, topic: 'new_commit', topics: ['zeta', 'new_commit', 'alpha'] },
        { hashes: [known.hash], topic: 'challenge', topics: [] },
        { hashes: [], topic: 'été 😀\u007f"\\/', topics: ['été 😀\u007f"\\/', 'b', 'a', 'b'] },
        { hashes, topic: 'confirm', topics: ['challenge'] },
        { hashes: [bareHash(bench)], topic: 'checkpoint', topics: ['checkpoint'] },
      ];
      const sent = variants.flatMap(({ topics, ...variant }) =>
        origins.map((origin) => {
          const id = tell(bench, source!, { ...variant, origin, changes: { topics } });
          return { id, payload: sentPayload({ ...variant, topics, origin, id }) };
        }),
      );
      await spread(
        bench,
        around,
        sent.map(({ id }) => id),
        3,
      );
      for (const { id, payload } of sent) {
        for (const { message } of around.copies(id)) {
          expect(message.payload, 'a forwarded gossip').to.deep.equal(payload);
          const sender = message.object.sender as { node_id?: unknown };
          if (sender.node_id !== around.node.nodeId)
            fail('a forward has not the forwarder as its sender', message.text.slice(0, 600));
        }
      }
      return pass(`${sent.length} gossips went on with all members but ttl unchanged`);
    },
  },
  {
    id: 'GAL-13',
    level: 'must',
    section: '5.3',
    role: 's',
    quote: 'A forwarder sends exactly the seven members, all but `ttl` unchanged, in an envelope of its own.',
    reading: 'What else stands in a gossip (10 KB of it) is not carried on.',
    ruling: 'Profile: "Unknown members are allowed in every object"; so the gossip itself is forwarded.',
    mutants: ['forward-carries-members', 'gossip-extra-refused'],
    needs: [],
    durationHintMs: 1_200,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const [source] = around.peers;
      const extras: Record<string, string | number | object>[] = [
        { padding: 'x'.repeat(10_000) },
        { items: [{ rule_hash: 'rule_0' }], missing: [], hops: 7 },
        { ttl_: 9, Topic: 'news', payload: { gossip_id: bench.uuid() }, ['__proto__']: 1 },
      ];
      const ids = extras.map((changes) => tell(bench, source!, { changes: changes as never }));
      await spread(bench, around, ids, 3);
      for (const id of ids)
        for (const { message } of around.copies(id))
          expect(Object.keys(message.payload).sort(), 'members of a forward').to.deep.equal(
            [...sevenMembers].sort(),
          );
      return pass('3 gossips with further members went on with exactly seven');
    },
  },
];

/** Of a checkpoint that nobody has. */
const bareHash = (bench: Bench): string => (bench.uuid() + bench.uuid()).replaceAll('-', '');

/** What every copy of an announce that came with ttl 2 must hold. */
function sentPayload(of: { id: string; hashes: string[]; topic: string; topics: string[]; origin: string }) {
  return {
    gossip_id: of.id,
    gossip_type: 'announce',
    topic: of.topic,
    topics: of.topics,
    item_hashes: of.hashes,
    ttl: 1,
    origin: of.origin,
  };
}
