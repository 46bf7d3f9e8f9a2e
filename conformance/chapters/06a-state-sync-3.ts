/** § 6.1 and 9.1 Newcomers: how fast they have everything, and that serving them holds nobody up. */

import { buildCheckpoint } from '../../harness/wire/checkpoint.ts';
import { announce, itemRequest } from '../../harness/wire/gossip.ts';
import { emptyHash } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import type { Joined } from '../puppet.ts';
import { late, pass, type Requirement } from '../requirement.ts';
import { fill, heldOf, reached, rootOf, standingOn } from '../states.ts';
import { quantile } from '../statistics.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'SYN-07',
    level: 'should',
    section: '9.1',
    role: 'c',
    quote: '| Sync latency | < 30 seconds |',
    reading:
      'A node that meets a peer with 1 000 items and a checkpoint over them has all and stands on it within 30 s.',
    mutants: ['fetch-one-by-one'],
    needs: [],
    durationHintMs: 5_000,
    limitMs: 60_000,
    cpu: 0.8,
    test: async (bench) => {
      const node = await bench.node();
      const observer = await (await bench.puppet('observer')).join(node);
      const puppet = await bench.puppet('holder');
      for (let i = 0; i < 1_000; i += 1) puppet.items.add(puppet.commit());
      const checkpoints = [buildCheckpoint(puppet.items, [puppet.identity])];
      const isFresh = (await rootOf(observer)) === emptyHash;
      const since = performance.now();
      await puppet.peer(node, { manners: { checkpoints } });
      const hashes = puppet.items.bareHashes().map((hash) => `rule_${hash}`);
      await reached(bench, observer, 'synchronisation of 1 000 items', 30_000, async () => {
        if (isFresh) return (await rootOf(observer)) === puppet.items.root();
        return (await heldOf(observer, hashes.slice(-100))).size === 100;
      });
      const tookMs = Math.round(performance.now() - since);
      if (isFresh)
        await reached(bench, observer, 'adoption of the checkpoint over them', 30_000 - tookMs, async () => {
          return (await standingOn(observer)) !== null;
        });
      return pass(`1 000 items in ${tookMs} ms`);
    },
  },
  {
    id: 'SYN-08',
    level: 'should',
    section: '9.1',
    role: 's',
    quote: '| Message latency (p95) | < 500 ms |',
    reading:
      'While three peers fetch all they can, queries are answered and gossip is forwarded within 500 ms (p95).',
    mutants: ['serving-blocks'],
    needs: [],
    durationHintMs: 8_000,
    limitMs: 60_000,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node();
      const [author, from, to] = await bench.puppets(3);
      const observer = await (await bench.puppet('observer')).join(node);
      const source = await author!.peer(node);
      const items = Array.from({ length: 600 }, () => author!.commit());
      await fill(bench, source, observer, items, 30_000);
      const hashes = items.map((item) => item.hash);
      const sender = await from!.peer(node);
      const receiver = await to!.peer(node);
      source.destroy();
      bench.step('three peers fetch, one asks and gossips');
      const until = performance.now() + 5_000;
      const fetching = (await bench.puppets(3, 'fetcher')).map(async (puppet) =>
        fetchOn(await puppet.join(node), hashes, until),
      );
      const answers: number[] = [];
      const forwards: number[] = [];
      while (performance.now() < until && answers.length < 29) {
        answers.push(
          await timed(() =>
            sender.request('query', { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } }),
          ),
        );
        const gossip = announce(from!.nodeId, [], { topic: 'news' });
        const id = gossip.gossip_id;
        forwards.push(
          await timed(async () => {
            sender.send('gossip', gossip);
            await receiver.next((message) => message.payload?.gossip_id === id, 10_000);
          }),
        );
        await bench.sleep(120, 'between two questions');
      }
      const served = (await Promise.all(fetching)).reduce((a, b) => a + b, 0);
      const figures = `p95 of ${answers.length} queries ${p95(answers)} ms, of ${forwards.length} gossips ${p95(forwards)} ms beside ${served} item requests`;
      if (p95(answers) > 500 || p95(forwards) > 500) late(figures);
      return pass(figures);
    },
  },
  {
    id: 'SYN-09',
    level: 'must',
    section: '6.1',
    role: 'n',
    quote: 'At least the 4 latest checkpoints of a node stay servable',
    reading:
      'A node that joins late comes to the state of the others, items of before it came included, stands on a checkpoint of theirs and is a full member.',
    ruling: 'Profile §8, state_sync: "A node asks when a state_summary … shows it a better one".',
    mutants: ['late-joiner-skips-backlog', 'state-sync-never'],
    needs: ['start', 'instances'],
    durationHintMs: 7_000,
    limitMs: 80_000,
    cpu: 0.3,
    test: async (bench) => {
      const parameters = { checkpoint_interval_s: 2 };
      const first = await bench.node({ parameters });
      const bootstrap = [{ host: first.host, port: first.port, publicKey: first.publicKey }];
      const second = await bench.node({ parameters, bootstrap });
      const authors = await bench.puppets(2, 'author');
      const hashes: string[] = [];
      for (const [index, node] of [first, second].entries()) {
        const author = authors[index]!;
        const connection = await author.join(node);
        for (let i = 0; i < 8; i += 1) {
          const item = i === 0 ? author.challenge() : author.commit();
          await accepted(connection, item);
          hashes.push(item.hash);
        }
      }
      const watcher = await bench.puppet('observer');
      const seen = [await watcher.join(first), await watcher.join(second)];
      await areEqual(bench, seen, 'the first two nodes');
      await reached(
        bench,
        seen[0]!,
        'checkpoint of the first two nodes',
        20_000,
        async () => (await standingOn(seen[0]!)) !== null,
      );
      const joiner = await bench.node({ parameters, bootstrap });
      const third = await watcher.join(joiner);
      const since = performance.now();
      await areEqual(bench, [...seen, third], 'the late joiner and the others');
      const tookMs = Math.round(performance.now() - since);
      const held = await heldOf(third, hashes);
      if (held.size < hashes.length) late(`the late joiner serves ${held.size} of ${hashes.length} items`);
      await reached(bench, third, 'common checkpoint of all three', 30_000, async () => {
        const stands = await Promise.all([...seen, third].map((observer) => standingOn(observer)));
        return stands[0] !== null && stands.every((hash) => hash === stands[0]);
      });
      await memberNow(bench, joiner, seen[1]!);
      return pass(
        `${hashes.length} items of before it came in ${tookMs} ms, a common checkpoint, and its own item reached the others`,
      );
    },
  },
];

async function areEqual(bench: Bench, observers: readonly Joined[], who: string): Promise<void> {
  await reached(bench, observers.at(-1)!, `equal states of ${who}`, 30_000, async () => {
    const roots = await Promise.all(observers.map((observer) => rootOf(observer)));
    return roots[0] !== emptyHash && roots.every((root) => root === roots[0]);
  });
}

async function memberNow(bench: Bench, joiner: NodeUnderTest, other: Joined): Promise<void> {
  const author = await bench.puppet('late-author');
  const item = author.commit();
  await accepted(await author.join(joiner), item);
  await reached(bench, other, 'item of the late joiner at another node', 20_000, async () => {
    return (await heldOf(other, [item.hash])).size === 1;
  });
}

/** Asks for 100 items at a time until then, at most 150 times; returns how often it was answered. */
async function fetchOn(connection: Joined, hashes: readonly string[], until: number): Promise<number> {
  let count = 0;
  while (performance.now() < until && count < 150) {
    const at = (count * 100) % hashes.length;
    const asked = hashes.slice(at, at + 100);
    await connection.request('gossip', itemRequest(connection.puppet.identity.nodeId, asked), {
      withinMs: 20_000,
    });
    count += 1;
  }
  return count;
}

async function timed(what: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await what();
  return Math.round(performance.now() - since);
}

const p95 = (values: readonly number[]): number => quantile(values, 0.95);
