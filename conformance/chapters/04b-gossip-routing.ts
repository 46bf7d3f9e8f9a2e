/** § 4.2 Gossip routing: to whom a node forwards, and what its own announces look like. */

import { readable } from '../../harness/wire/json.ts';
import { accepted } from '../expect.ts';
import {
  announced,
  announcesOf,
  type Circle,
  circle,
  expectCopies,
  fenced,
  spread,
  tell,
} from '../gossiping.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { binomial, chiSquare } from '../statistics.ts';

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const chosen =
  'Profile §7: "to 3 distinct random peers that have `gossip`, never the node it came from nor its `origin` (all of them if fewer than 3 are eligible)".';

export const rows: readonly Requirement[] = [
  {
    id: 'GRT-01',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: 'peers = self.get_random_peers(k=3)  # Fanout factor',
    reading:
      'Each gossip with ttl > 0, foreign or own, goes to exactly 3 distinct peers when at least 4 are eligible.',
    ruling: chosen,
    mutants: [
      'gossip-fanout-two',
      'gossip-fanout-four',
      'gossip-fanout-all',
      'gossip-repeats',
      'announce-to-all',
    ],
    needs: [],
    durationHintMs: 2_500,
    cpu: 0.5,
    test: async (bench) => {
      const around = await circle(bench, 8);
      const [source] = around.peers;
      bench.step('40 gossips from one of 8 peers');
      const ids = Array.from({ length: 40 }, () => tell(bench, source!));
      await spread(bench, around, ids, 3);
      await fenced(around, source!);
      for (const id of ids) expectCopies(around, id, 3, `gossip ${id} with 7 eligible peers`);
      const author = await bench.puppet('author');
      const connection = await author.join(around.node);
      for (let i = 0; i < 6; i += 1) {
        const item = author.commit();
        await accepted(connection, item);
        const first = await announced(bench, around, item.hash, 3);
        await fenced(around);
        for (const id of new Set(first.map((copy) => String(copy.message.payload.gossip_id))))
          expectCopies(around, id, 3, `an own announce with 8 eligible peers`);
      }
      return pass('40 gossips went to exactly 3 of 7 eligible peers each, 6 own announces to 3 of 8');
    },
  },
  {
    id: 'GRT-02',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: '(all of them if fewer than 3 are eligible)',
    reading: 'With one, two or three eligible peers a gossip, foreign or own, goes to all of them.',
    ruling: chosen,
    mutants: ['gossip-few-none', 'gossip-few-one'],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const around = await circle(bench, 1);
      const [source] = around.peers;
      const circles = [around];
      const author = await bench.puppet('author');
      const connection = await author.join(around.node);
      const lonely = tell(bench, source!);
      await fenced(around, source!);
      expectCopies(around, lonely, 0, 'a gossip of the only peer');
      for (let eligible = 1; eligible <= 3; eligible += 1) {
        bench.step(`gossips with ${eligible} eligible peers`);
        circles.push(await circle(bench, 1, { at: around.node, prefix: `joins-${eligible}` }));
        const all = together(circles);
        const ids = Array.from({ length: 5 }, () => tell(bench, source!));
        await spread(bench, all, ids, eligible);
        await fenced(all, source!);
        for (const id of ids) expectCopies(all, id, eligible, `a gossip with ${eligible} eligible peers`);
        const item = author.commit();
        await accepted(connection, item);
        await announced(bench, all, item.hash, Math.min(3, all.peers.length));
      }
      return pass('gossips and own announces reached all of 1, 2 and 3 eligible peers');
    },
  },
  {
    id: 'GRT-03',
    level: 'should',
    section: '4.2',
    role: 's',
    quote: 'forward with **ttl − 1** to 3 distinct random peers',
    reading: 'The 3 of 7 eligible peers are chosen anew and uniformly for each of 200 gossips.',
    mutants: ['gossip-first-three', 'gossip-sticky', 'gossip-rotating'],
    needs: [],
    durationHintMs: 3_000,
    cpu: 0.75,
    test: async (bench) => {
      const around = await circle(bench, 8);
      const [source] = around.peers;
      const ids: string[] = [];
      for (let batch = 0; batch < 4; batch += 1) {
        const sent = Array.from({ length: 50 }, () => tell(bench, source!));
        await spread(bench, around, sent, 3);
        ids.push(...sent);
      }
      const counts = new Array<number>(7).fill(0);
      const sets = ids.map((id) => {
        const receivers = [...new Set(around.copies(id).map((copy) => copy.peer))].sort();
        for (const peer of receivers) counts[peer - 1]! += 1;
        return receivers.join(' ');
      });
      // 3 distinct cells per draw vary less than independent ones: (7 − 1) / (7 − 3).
      const spreadOut = chiSquare({ counts, alpha: 1e-9, scale: 6 / 4 });
      if (!spreadOut.holds) fail(`the peers are not chosen uniformly: ${spreadOut.text}`);
      const repeats = sets.filter((set, i) => i > 0 && set === sets[i - 1]).length;
      const again = binomial({ n: 199, successes: repeats, p: 1 / 35, alpha: 1e-9, mutants: { sticky: 1 } });
      if (!again.holds) fail(`the choice follows the one before it: the same three ${again.text}`);
      const distinct = new Set(sets).size;
      // 200 draws leave 8 of the 35 sets out with a probability below 1e-15.
      if (distinct < 28)
        fail(`200 gossips went to ${distinct} different sets of three peers, expected about 35`);
      return pass(`${spreadOut.text}; same three twice running ${again.text}; ${distinct} of 35 sets`);
    },
  },
  {
    id: 'GRT-04',
    level: 'must',
    section: '4.2',
    role: 's',
    quote: 'never the node it came from nor its `origin`',
    reading:
      'A gossip does not go back to the node it came from, on whichever of its connections it came, nor to the node that it names as origin.',
    mutants: ['gossip-echo-sender', 'gossip-echo-origin', 'gossip-echo-connection'],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const around = await circle(bench, 5);
      const [source, origin] = around.peers;
      // The same node by a second connection: it is the node that counts, not the connection.
      const aside = await around.puppets[0]!.join(around.node, { type: 'gossip', capabilities: ['gossip'] });
      const named = Array.from({ length: 20 }, () =>
        tell(bench, source!, { origin: around.puppets[1]!.nodeId }),
      );
      const byAside = Array.from({ length: 10 }, () =>
        tell(bench, aside, { origin: around.puppets[1]!.nodeId }),
      );
      const strange = Array.from({ length: 10 }, () =>
        tell(bench, source!, { origin: `node_${'0'.repeat(40)}` }),
      );
      const ids = [...named, ...byAside, ...strange];
      await spread(bench, around, ids, 3);
      await aside.fence();
      await fenced(around, source!);
      for (const id of ids) {
        const to = around.copies(id).map((copy) => copy.peer);
        if (to.includes(0))
          fail(`a gossip went back to ${source!.label}, from which it came`, around.copies(id));
        if (to.includes(1) && !strange.includes(id))
          fail(`a gossip went to ${origin!.label}, which it names as origin`, around.copies(id));
        expectCopies(around, id, 3, 'a gossip with at least 3 eligible peers');
      }
      if (aside.seen((message) => ids.includes(String(message.payload?.gossip_id))).length > 0)
        fail('a gossip went back to its node by another connection');
      return pass(
        `${ids.length} gossips went to 3 of the others each, none to where it came from or its origin`,
      );
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
    mutants: [
      'announce-ttl-three',
      'announce-ttl-zero',
      'announce-without-origin',
      'announce-origin-author',
      'announce-same-id',
      'announce-uuid-one',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const { node } = around;
      const author = await bench.puppet('author');
      const connection = await author.join(node);
      const seen = new Set<string>();
      const items = [author.commit(), author.challenge(), author.confirm(), author.commit()];
      for (const item of items) {
        await accepted(connection, item);
        await announced(bench, around, item.hash, 3);
        await fenced(around);
        const ids = new Set<string>();
        for (const { message } of announcesOf(around, item.hash)) {
          const { ttl, origin, gossip_id: id } = message.payload;
          if (ttl !== 2) fail(`an own announce came with ttl ${ttl} on its first hop, expected 2`);
          if (origin !== node.nodeId)
            fail(`an own announce has origin ${readable(origin)}, expected ${node.nodeId}`);
          if (typeof id !== 'string' || !uuid4.test(id))
            fail(`gossip_id ${readable(id)} is no UUID version 4`);
          ids.add(id);
        }
        for (const id of ids) {
          if (seen.has(id)) fail(`gossip_id ${id} was used for two announces`);
          seen.add(id);
        }
      }
      return pass(`${seen.size} announces, each in first copies with ttl 2, own origin and an id of its own`);
    },
  },
];

/** Circles of one peer each, around one node, as one. */
function together(circles: readonly Circle[]): Circle {
  return {
    ...circles[0]!,
    puppets: circles.flatMap(({ puppets }) => puppets),
    peers: circles.flatMap(({ peers }) => peers),
    copies: (id) => circles.flatMap((one, peer) => one.copies(id).map(({ message }) => ({ peer, message }))),
  };
}
