/** § 2.2 Topology: connections that are meant to be short, how many of them a peer may have and how they end. */

import type { Connection } from '../../harness/wire/connection.ts';
import { peerRequest } from '../../harness/wire/gossip.ts';
import type { Bench } from '../bench.ts';
import { closedWith, stillServed, tryHandshake } from '../expect.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'TOP-07',
    level: 'should',
    section: '2.2',
    role: 's',
    quote:
      'At most 4 connections of the other types per peer, in both directions together, beside its persistent one',
    reading:
      'A fifth short-lived connection of a peer is closed with 4429 and without a hello; idle `sync` ends with 1000 after 30 s, `gossip` and `bootstrap` after 10 s.',
    ruling:
      'Profile §4: "an acceptor closes it with 4429 instead of a hello, without an `error`"; "Ends (ordinary expiry: 1000, by either side)".',
    mutants: [
      'short-lived-unbounded',
      'short-lived-three',
      'short-lived-bound-counts-persistent',
      'short-lived-bound-for-all',
      'short-lived-place-not-freed',
      'short-lived-place-kept-by-reset',
      'short-lived-bound-for-sync-alone',
      'sync-never-expires',
      'sync-expires-busy',
      'gossip-never-expires',
      'expiry-closes-4408',
      'expiry-resets',
    ],
    needs: [],
    durationHintMs: 38_000,
    limitMs: 75_000,
    cpu: 0,
    test: async (bench) => {
      const node = await bench.node({ company: true });
      const [puppet, other, timed] = await bench.puppets(3);
      const ends = expiries(bench, node, timed!);
      // Awaited at the end: if the row fails before, nobody else hears of it.
      ends.catch(() => {});
      const persistent = await puppet!.peer(node);
      const short: Connection[] = [];
      for (let i = 0; i < 4; i += 1) short.push(await puppet!.join(node));
      for (const type of ['sync', 'gossip', 'bootstrap'] as const) {
        const fifth = await tryHandshake(puppet!, node, { type, keepOpen: true });
        if (fifth.accepted) fail(`a fifth short-lived connection, a \`${type}\`, was taken`);
        if (fifth.connection === null) continue;
        if (fifth.code !== null)
          fail(`the fifth connection got an error ${fifth.code}, expected a close alone`);
        await closedWith(fifth.connection, 4429, 5_000, { resetCounts: false });
      }
      for (const connection of [persistent, ...short]) await stillServed(connection);
      await (await other!.join(node)).fence();
      await short.pop()!.close();
      await short.pop()!.close();
      const mixed = await takenAgain(bench, node, puppet!, ['gossip', 'bootstrap']);
      const sixth = await tryHandshake(puppet!, node, { keepOpen: true });
      if (sixth.accepted && mixed.every((connection) => connection.ended === null))
        fail('`gossip` and `bootstrap` connections do not count among the four');
      bench.step('connections that broke give their places back');
      for (const connection of [...short, ...mixed]) connection.reset();
      await takenAgain(bench, node, puppet!, ['sync', 'sync', 'sync', 'sync']);
      return pass(`a fifth was closed 4429 in each of 3 types; ${await ends}`);
    },
  },
];

/** Places that fell free go to connections of these types. */
async function takenAgain(
  bench: Bench,
  node: NodeUnderTest,
  puppet: Puppet,
  types: readonly ('gossip' | 'bootstrap' | 'sync')[],
): Promise<Connection[]> {
  const taken: Connection[] = [];
  for (const type of types) {
    const connection = await bench.waitFor('place for another after one has ended', 5_000, async () => {
      const attempt = await tryHandshake(puppet, node, { type, keepOpen: true });
      return attempt.accepted && attempt.connection;
    });
    taken.push(connection);
  }
  return taken;
}

/** How short-lived connections of one peer end that it leaves open; one `sync` is kept busy. */
async function expiries(bench: Bench, node: NodeUnderTest, puppet: Puppet): Promise<string> {
  // Each from its own beginning: a node may take a while for a handshake.
  const after = (connection: Connection, withinMs: number): Promise<number> => {
    const openedAt = performance.now();
    const ending = connection.closedWithin(withinMs).then(async (ended) => {
      // Who answers is not merely slow.
      if (ended === null) await connection.fence();
      if (ended === null) fail(`${connection.label} is still there, and answers, after ${withinMs} ms`);
      // Nothing of ours is under way when it ends: a reset is no expiry.
      return closedWith(connection, 1000, 0, { resetCounts: false });
    });
    const tookMs = ending.then((closed) => Math.round(closed.at - openedAt));
    // Awaited at the end.
    tookMs.catch(() => {});
    return tookMs;
  };
  const idle = after(await puppet.join(node), 37_000);
  const busy = await puppet.join(node);
  const gossip = after(await puppet.join(node, { type: 'gossip' }), 14_000);
  const asking = await puppet.join(node, { type: 'bootstrap' });
  const bootstrap = after(asking, 14_000);
  const openedAt = performance.now();
  await asking.request('peer_request', peerRequest(puppet.nodeId, ['v1']));
  for (let second = 4; second <= 32; second += 4) {
    await bench.sleep(openedAt + second * 1_000 - performance.now(), 'one connection is kept busy');
    await stillServed(busy);
  }
  const [gossipMs, bootstrapMs, idleMs] = await Promise.all([gossip, bootstrap, idle]);
  if (bootstrapMs! < 8_000)
    fail(`a \`bootstrap\` connection was closed after ${bootstrapMs} ms, expected 10 s`);
  if (idleMs! < 27_000) fail(`an idle \`sync\` connection was closed after ${idleMs} ms, expected 30 s`);
  await stillServed(busy);
  return `idle: gossip ended after ${gossipMs} ms, bootstrap ${bootstrapMs}, sync ${idleMs}`;
}
