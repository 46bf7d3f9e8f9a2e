/** § 4.3 Routing table: who stays in a bucket and who makes way, seen in lists that the node gives and in its dials. */

import { readFileSync } from 'node:fs';
import { type Identity, identityFrom } from '../../harness/wire/identity.ts';
import type { Listener, TcpListener } from '../../harness/wire/listener.ts';
import type { Bench } from '../bench.ts';
import { closedWith } from '../expect.ts';
import { addressesOf, askForPeers, dialled, madeUp, refuse } from '../peer-lists.ts';
import type { Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import { reached } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'RTB-01',
    level: 'should',
    section: '4.3',
    role: 's',
    quote: 'bucket.move_to_head(peer)',
    reading:
      'In a full bucket the least recently seen entry makes way: not the one that entered first, and not another that failed too.',
    ruling:
      'Profile §5: "seen peers move to the head"; "A newcomer replaces the least recently seen entry only if that entry failed its last dial, …".',
    mutants: ['routing-first-in-first-out', 'routing-evicts-any-failed', 'routing-never-replaces'],
    needs: ['start', 'dial-back'],
    durationHintMs: 7_000,
    limitMs: 60_000,
    cpu: 0.05,
    test: async (bench) => {
      const node = await bench.node({ parameters: { bucket_size: 3 } });
      const [oldest, second, third, newcomer] = await sameBucket(bench, node, 4);
      const oldestListens = await oldest!.listen();
      const kept = await oldest!.peer(node, { address: oldest!.address });
      const secondRefuses = await meetAndLeave(bench, node, second!);
      const thirdRefuses = await leave(bench, third!, await meetAndBeDialled(bench, node, third!));
      await bench.waitFor('dials of both that left', 20_000, () =>
        [secondRefuses, thirdRefuses].every((listener) => listener.accepts.length > 0),
      );
      // Who is seen all the time need not be noted as such more often than now and then.
      await bench.sleep(1_500, 'the failed dials are noticed, and the oldest entry was seen before');
      await kept.fence();
      const newcomerRefuses = await meetAndLeave(bench, node, newcomer!);
      await bench.waitFor(
        'dial of the newcomer: no entry made way',
        12_000,
        () => newcomerRefuses.accepts.length > 0,
      );
      const before = thirdRefuses.accepts.length;
      await reached(
        bench,
        kept,
        'another dial of one seen later than the least recently seen',
        25_000,
        async () => thirdRefuses.accepts.length > before,
      );
      await kept.close();
      await dialled(bench, 'the oldest entry, seen again before', oldestListens, 20_000);
      return pass('the newcomer took the place of the least recently seen, both others are still known');
    },
  },
  {
    id: 'RTB-02',
    level: 'should',
    section: '4.3',
    role: 's',
    quote: 'elif len(bucket) < bucket_size:',
    reading:
      'Of 30 nodes in one bucket at most 20 are listed; thousands of made-up ids change neither lists nor answers nor memory much.',
    ruling: 'Profile §5: "160 buckets by XOR distance of node ids, 20 entries each".',
    mutants: ['routing-unbounded', 'routing-keeps-all-heard-of'],
    needs: ['start'],
    durationHintMs: 6_000,
    limitMs: 100_000,
    cpu: 0.6,
    thorough: { durationHintMs: 15_000, limitMs: 120_000 },
    test: async (bench) => {
      const lists = bench.thorough ? 200 : 60;
      const many = `${lists * 50} made-up nodes`;
      const node = await bench.node({ parameters: { target_peers: 1 } });
      await (await bench.puppet('holder')).peer(node);
      const crowd = await sameBucket(bench, node, 30);
      for (const puppet of crowd) await (await puppet.join(node, { address: puppet.address })).close();
      const observer = await (await bench.puppet('asker')).join(node);
      const listed = async (): Promise<number> => {
        const peers = await askForPeers(observer);
        const strangers = peers.filter(({ node_id }) => !crowd.some(({ nodeId }) => nodeId === node_id));
        if (strangers.length > 0) fail('the list holds nodes that do not exist', strangers);
        return peers.length;
      };
      const before = await listed();
      if (before > 20) fail(`${before} of 30 nodes of one bucket are listed, a bucket has 20 entries`);
      if (before === 0) fail('none of 30 nodes that were met is listed');
      const memory = residentMb(node);
      bench.step(many);
      const liar = await bench.puppet('liar');
      for (let i = 0; i < lists; i += 1) {
        const peers = Array.from({ length: 50 }, (_, j) => ({
          node_id: madeUp(bench),
          address: `10.${i}.${j}.1:8888`,
        }));
        await liar.peer(node, { peers });
      }
      const after = await listed();
      if (after !== before) fail(`after ${many} ${after} are listed, before ${before}`);
      const startedAt = performance.now();
      await observer.fence();
      const answerMs = Math.round(performance.now() - startedAt);
      if (answerMs > 2_000) late(`after ${many} an answer took ${answerMs} ms`);
      const grown = residentMb(node) - memory;
      if (grown > 96) fail(`${many} cost ${Math.round(grown)} MB of memory`);
      return pass(`${before} of 30 nodes of one bucket listed; after ${many} an answer took ${answerMs} ms`);
    },
  },
  {
    id: 'RTB-03',
    level: 'should',
    section: '4.3',
    role: 's',
    quote: 'if self.should_replace(bucket.lru):',
    reading:
      'A full bucket of live entries takes no newcomer; a dead least recent one makes way for a newcomer that was met, not for one only heard of; so does one that was silent for 90 s.',
    ruling:
      'Profile §5: "A newcomer replaces the least recently seen entry only if that entry failed its last dial, was silent for 90 s, or was never verified; an unverified newcomer never alters or evicts a verified entry."',
    mutants: [
      'routing-always-replaces',
      'routing-never-replaces',
      'routing-unverified-evicts',
      'routing-silent-stay',
    ],
    needs: ['start', 'dial-back', 'instances'],
    durationHintMs: 94_000,
    limitMs: 160_000,
    cpu: 0,
    test: async (bench) => {
      const silent = silentMakesWay(bench);
      let misjudged: unknown = null;
      silent.catch((error: unknown) => {
        misjudged = error;
      });
      const node = await bench.node({ parameters: { bucket_size: 3 } });
      const [a, b, c, late_, heard, heardLater, taken] = await sameBucket(bench, node, 7);
      const mark = async (name: string): Promise<Puppet> => sameBucketNot(bench, node, name);
      const [first, second, third] = [await mark('mark-1'), await mark('mark-2'), await mark('mark-3')];
      const dying = await meetAndBeDialled(bench, node, b!);
      const alive = [
        await a!.peer(node, { address: a!.address }),
        await c!.peer(node, { address: c!.address }),
      ];

      bench.step('a bucket of three live entries');
      const lateRefuses = await meetAndLeave(bench, node, late_!);
      const heardRefuses = await refuse(bench, heard!);
      const secondRefuses = await refuse(bench, second);
      await first.peer(node, { peers: [heard!.entry, second.entry] });
      await bench.waitFor(
        'dial of an entry of another bucket',
        20_000,
        () => secondRefuses.accepts.length > 0,
      );
      if (lateRefuses.accepts.length > 0) fail('a newcomer replaced a live entry of a full bucket');
      if (heardRefuses.accepts.length > 0)
        fail('a node only heard of replaced a live entry of a full bucket');

      bench.step('one of the three is dead');
      const deadRefuses = await leave(bench, b!, dying);
      await bench.waitFor('dial of the entry that died', 20_000, () => deadRefuses.accepts.length > 0);
      await bench.sleep(200, 'the failed dial is noticed');
      for (const peer of alive) await peer.fence();
      const laterRefuses = await refuse(bench, heardLater!);
      const thirdRefuses = await refuse(bench, third);
      await (await mark('mark-4')).peer(node, { peers: [heardLater!.entry, third.entry] });
      await bench.waitFor(
        'dial of an entry of another bucket',
        20_000,
        () => thirdRefuses.accepts.length > 0,
      );
      const before = deadRefuses.accepts.length;
      await reached(
        bench,
        alive[0]!,
        'another dial of the dead entry: it was evicted by one only heard of',
        25_000,
        async () => deadRefuses.accepts.length > before,
      );
      if (laterRefuses.accepts.length > 0) fail('a node only heard of replaced a verified entry');
      const takenRefuses = await meetAndLeave(bench, node, taken!);
      await bench.waitFor(
        'dial of a newcomer that was met: the dead entry did not make way',
        15_000,
        () => takenRefuses.accepts.length > 0,
      );
      if (misjudged !== null) throw misjudged;
      await silent;
      return pass(
        'live entries stayed; a dead one and one silent for 90 s made way for a newcomer that was met, for no other',
      );
    },
  },
  {
    id: 'RTB-04',
    level: 'must',
    section: '4.3',
    role: 's',
    quote: 'self.peers: Dict[NodeId, PeerInfo] = {}',
    reading:
      'A node that comes back under another address is known once, under the newest; told that it has none it is not listed.',
    ruling:
      'Profile §4: "`address` null: the peer accepts no connections and is never advertised or dialled".',
    mutants: [
      'routing-duplicates',
      'routing-first-address',
      'routing-null-keeps-address',
      'routing-hearsay-first',
      'duplicate-resets',
    ],
    needs: [],
    fresh: true,
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.node();
      const [moving, still, asker, liar] = await bench.puppets(4);
      await liar!.peer(node, {
        peers: [{ node_id: moving!.nodeId, address: 'hearsay.cle-net.example:8888' }],
      });
      await still!.peer(node, { address: still!.address });
      const observer = await asker!.join(node);
      // Without capabilities and manners nothing of it is under way when the node closes an older connection.
      const quiet = { capabilities: [], manners: { answerPeerRequest: false, heartbeatMs: 0 } };
      let last = await moving!.peer(node, { address: 'one.cle-net.example:8888', ...quiet });
      const [own] = addressesOf(await askForPeers(observer), moving!);
      if (own !== 'one.cle-net.example:8888') fail(`a node is listed at ${own}, it said another address`);
      for (const address of ['two.cle-net.example:8888', 'one.cle-net.example:8889', '[2001:db8::7]:8888']) {
        await last.fence();
        const next = await moving!.peer(node, { address, ...quiet });
        await closedWith(last, 4409, 5_000, { resetCounts: false });
        const listed = addressesOf(await askForPeers(observer), moving!);
        if (listed.length !== 1) fail(`a node that moved is listed ${listed.length} times`, listed);
        if (listed[0] !== address) fail(`a node that moved to ${address} is listed at ${listed[0]}`);
        last = next;
      }
      await moving!.peer(node, { address: null });
      const peers = await askForPeers(observer);
      if (addressesOf(peers, moving!).length > 0)
        fail('a node that said it has no address any more is still listed', peers);
      if (addressesOf(peers, still!).length !== 1) fail('another peer is not listed once', peers);
      return pass(
        'after each of 3 moves a node was listed once, at its newest address, and not when it had none',
      );
    },
  },
];

/** The first bit in which node ids differ from the node's decides: half of all ids share one bucket. */
function farFrom(node: NodeUnderTest, nodeId: string): boolean {
  return Number.parseInt(nodeId[5]!, 16) >> 3 !== Number.parseInt(node.nodeId[5]!, 16) >> 3;
}

/** Puppets whose ids fall into the bucket of greatest distance. */
async function sameBucket(bench: Bench, node: NodeUnderTest, count: number): Promise<Puppet[]> {
  const puppets: Puppet[] = [];
  for (let i = 0; puppets.length < count; i += 1) {
    const identity = drawn(bench, `far-${i}`);
    if (farFrom(node, identity.nodeId)) puppets.push(await bench.puppet(`far-${i}`, { identity }));
  }
  return puppets;
}

/** A puppet of another bucket. */
async function sameBucketNot(bench: Bench, node: NodeUnderTest, name: string): Promise<Puppet> {
  for (let i = 0; ; i += 1) {
    const identity = drawn(bench, `${name}-${i}`);
    if (!farFrom(node, identity.nodeId)) return bench.puppet(name, { identity });
  }
}

function drawn(bench: Bench, name: string): Identity {
  return identityFrom(`${bench.target.salt}/${bench.seed}/${bench.row.id}/${name}`);
}

/** Shakes hands, says where it is, and is gone: who knows it will dial and find nobody. */
async function meetAndLeave(bench: Bench, node: NodeUnderTest, puppet: Puppet): Promise<TcpListener> {
  const listener = await refuse(bench, puppet);
  const connection = await puppet.join(node, { address: puppet.address });
  await connection.fence();
  await connection.close();
  return listener;
}

/**
 * Shakes hands, says where it is, and is dialled there. Once it leaves, the node is the dialer of a lost connection, who redials for
 * as long as it knows the address (§4); how soon one that it never reached is tried again is its affair.
 */
async function meetAndBeDialled(bench: Bench, node: NodeUnderTest, puppet: Puppet): Promise<Listener> {
  const listener = await puppet.listen();
  await (await puppet.join(node, { address: puppet.address })).close();
  const connection = await dialled(bench, 'a node that was met', listener, 20_000);
  await bench.waitFor('end of the handshake', 5_000, () => connection.seen('peer_exchange').length > 0);
  await connection.fence();
  return listener;
}

/** Is gone, and its address refuses from now on. */
async function leave(bench: Bench, puppet: Puppet, listener: Listener): Promise<TcpListener> {
  await listener.close();
  return refuse(bench, puppet);
}

/** In a bucket of one entry: who was met and said nothing for 90 s makes way, though no dial of it ever failed. */
async function silentMakesWay(bench: Bench): Promise<void> {
  // One peer is enough for it: nobody is dialled, so the entry can fail no dial.
  const node = await bench.node({ parameters: { bucket_size: 1, target_peers: 1 } });
  await (await sameBucketNot(bench, node, 'holder')).peer(node);
  const [entered, newcomer] = await sameBucket(bench, node, 2);
  const asker = await sameBucketNot(bench, node, 'asker');
  const meet = async (puppet: Puppet): Promise<void> => {
    const connection = await puppet.join(node, { address: puppet.address });
    await connection.fence();
    await connection.close();
  };
  const isListed = async (puppet: Puppet): Promise<boolean> => {
    const observer = await asker.join(node);
    const peers = await askForPeers(observer);
    await observer.close();
    return addressesOf(peers, puppet).length > 0;
  };
  await meet(entered!);
  const from = performance.now();
  if (!(await isListed(entered!))) fail('a node that was met is not listed');
  await bench.sleep(from + 90_700 - performance.now(), 'an entry is silent for 90 s');
  for (let i = 0; i < 4; i += 1) {
    await meet(newcomer!);
    if (await isListed(newcomer!)) return;
    await bench.sleep(700, 'a busy node may have heard of the end of the connection later');
  }
  fail('a newcomer that was met does not take the place of an entry that was silent for 90 s');
}

/** Resident memory of the node's process; 0 where it cannot be read. */
function residentMb(node: NodeUnderTest): number {
  const pid = node.control?.pid;
  if (pid === null || pid === undefined) return 0;
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
