/** § 7.1 Connection life cycle, in numbers: connections that come and go leave nothing behind, and the end of a node is orderly. */

import { readdirSync } from 'node:fs';
import { membersOf } from '../../harness/os-process.ts';
import { credentialsOf } from '../../harness/wire/puppet.ts';
import { openTcp, openTls } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { accepted, stillServed } from '../expect.ts';
import type { Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

/** One coming and going of each kind, in the order in which they are tried. */
type Cycle = (puppet: Puppet, node: NodeUnderTest) => Promise<void>;

const cycles: readonly Cycle[] = [
  async (puppet, node) => {
    const connection = await puppet.join(node, { withinMs: 15_000 });
    await connection.close();
  },
  async (puppet, node) => {
    const connection = await puppet.peer(node, { withinMs: 15_000 });
    connection.reset();
  },
  async (puppet, node) => {
    const connection = await puppet.mustDial(node, { withinMs: 15_000 });
    connection.destroy();
  },
  async (puppet, node) => {
    const tls = await openTls(credentialsOf(puppet), node.address, { withinMs: 15_000 });
    if (tls.kind === 'refused') fail(`TLS was refused: ${tls.detail}`);
    tls.socket.on('error', () => {}).destroy();
  },
  plainTcp,
  plainTcp,
  plainTcp,
];

async function plainTcp(_: Puppet, node: NodeUnderTest): Promise<void> {
  const tcp = await openTcp(node.address, { withinMs: 15_000 });
  if ('kind' in tcp) fail(`TCP was refused: ${tcp.detail}`);
  tcp.on('error', () => {}).destroy();
}

/** Open descriptors of the node, where we can see them: of all its processes, for what we started may be a shell around it. */
function descriptors(node: NodeUnderTest): number | null {
  const pid = node.control?.pid ?? null;
  if (pid === null) return null;
  const members = [...membersOf(pid).keys()];
  const open = members.map((member) => {
    try {
      return readdirSync(`/proc/${member}/fd`).length;
    } catch {
      return null;
    }
  });
  // One that has just ended holds none.
  const seen = open.filter((count) => count !== null);
  return seen.length === 0 ? null : seen.reduce((sum, count) => sum + count, 0);
}

async function comeAndGo(
  bench: Bench,
  node: NodeUnderTest,
  puppets: readonly Puppet[],
  count: number,
): Promise<void> {
  let done = 0;
  await Promise.all(
    puppets.map(async (puppet, lane) => {
      for (let i = lane; i < count; i += puppets.length) {
        await cycles[Math.floor(i / puppets.length) % cycles.length]!(puppet, node);
        done += 1;
        if (done % 100 === 0) bench.step(`after ${done} connections`);
      }
    }),
  );
}

export const rows: readonly Requirement[] = [
  {
    id: 'LIF-09',
    level: 'must',
    section: '7.1',
    role: 's',
    quote: 'CONNECTED → CLOSING → DISCONNECTED',
    reading:
      'After 500 connections that came and went in five ways the node still accepts, has all its places, and no more open descriptors than before.',
    mutants: [
      'connections-leak-descriptors',
      'reset-peer-keeps-slot',
      'short-lived-keep-place',
      'silent-keep-place',
    ],
    needs: [],
    durationHintMs: 6_000,
    limitMs: 90_000,
    cpu: 1,
    test: async (bench) => {
      const node = await bench.node();
      const puppets = await bench.puppets(4, 'visitor', { unrecorded: true });
      await comeAndGo(bench, node, puppets, 28);
      const before = descriptors(node);
      await comeAndGo(bench, node, puppets, 500);
      bench.step('whether all places are free');
      for (const puppet of puppets)
        await Promise.all([1, 2, 3, 4].map(() => puppet.join(node, { withinMs: 15_000 })));
      const newcomers = await bench.puppets(12, 'peer');
      const peers = await Promise.all(newcomers.map((puppet) => puppet.peer(node, { withinMs: 15_000 })));
      await Promise.all(peers.map((peer) => stillServed(peer)));
      await accepted(peers[0]!, newcomers[0]!.commit());
      if (before === null) return pass('500 connections came and went, all places are free again');
      const ours = 4 * puppets.length + peers.length;
      let after = descriptors(node) ?? 0;
      // What was just closed may still be on its way out.
      for (let i = 0; i < 40 && after > before + ours + 20; i += 1) {
        await bench.sleep(250, 'descriptors on their way out');
        after = descriptors(node) ?? 0;
      }
      if (after > before + ours + 20)
        fail(`${after} descriptors are open with ${ours} connections after 500, ${before} before them`);
      return pass(
        `500 connections came and went: ${before} descriptors before, ${after} with ${ours} connections now`,
      );
    },
  },
  {
    id: 'LIF-08',
    level: 'should',
    section: '7.1',
    role: 's',
    quote: 'SIGTERM: close 1001 to all, exit within 5 s.',
    reading:
      'A node that is told to stop closes every connection with 1001 and ends within 5 s, also where a peer neither reads nor answers the close or is half connected; what it acknowledged is there at the next start.',
    mutants: ['stop-without-close', 'stop-code-1000', 'stop-waits-for-peers', 'stop-never'],
    needs: ['start', 'restart'],
    durationHintMs: 7_000,
    cpu: 0.1,
    test: async (bench) => {
      const node = await bench.node();
      const [one, two, stubborn, deaf, silent] = await bench.puppets(5);
      const joined = [await one!.peer(node), await two!.join(node), await stubborn!.peer(node)];
      joined[2]!.manners.closeBack = false;
      const unread = await deaf!.peer(node);
      unread.pause();
      const unsaid = await silent!.mustDial(node);
      const bare = await openTls(credentialsOf(silent!), node.address);
      if (bare.kind === 'tls') bare.socket.on('error', () => {});
      const item = one!.commit();
      await accepted(joined[0]!, item);
      bench.step('SIGTERM');
      const stopped = await node.control!.terminate(15_000);
      for (const connection of [...joined, unsaid]) {
        const closed = await connection.closedWithin(2_000);
        const how = closed === null ? 'stayed open' : `${closed.how} ${closed.code}`;
        if (closed?.how !== 'close' || closed.code !== 1001)
          fail(`at SIGTERM ${connection.label} ended by ${how}, expected close 1001`);
      }
      const afterMs = Math.round(stopped.afterMs);
      if (afterMs > 5_500) late(`SIGTERM took ${afterMs} ms, at most 5 000 are allowed`);
      bench.step('starting again');
      await node.control!.start();
      const again = await one!.join(node);
      await accepted(again, item, 'known');
      return pass(`4 connections closed 1001, gone after ${afterMs} ms, back with what it had acknowledged`);
    },
  },
];
