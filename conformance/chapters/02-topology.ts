/** § 2.1, 2.2, 9.2 Topology: how many peers a node keeps, and how long the four types of connection last. */

import type { Listener } from '../../harness/wire/listener.ts';
import type { Bench } from '../bench.ts';
import { closedWith, stillServed, tryHandshake } from '../expect.ts';
import { addressesOf, dialled, entriesOf, helloed, listenAsBootstrap } from '../peer-lists.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'TOP-01',
    level: 'should',
    section: '2.1',
    role: 'c',
    quote: 'Each node maintains connections to ~10 peers',
    reading: 'Of 21 known nodes about 10 become persistent peers, and lost ones are made up for.',
    ruling:
      'Profile §4: "target 10, at most 50 in both directions together"; "While it has fewer than `target_peers` a node dials more".',
    mutants: ['peers-dials-one', 'peers-dials-all', 'peers-never-refilled', 'peers-counts-own-dials-only'],
    needs: ['start', 'instances', 'dial-back'],
    durationHintMs: 12_000,
    limitMs: 75_000,
    cpu: 0.4,
    test: async (bench) => {
      const bootstrap = await bench.puppet('bootstrap');
      const puppets = await bench.puppets(20);
      const listeners = await Promise.all(puppets.map((puppet) => puppet.listen()));
      listeners.push(
        await listenAsBootstrap(
          bootstrap,
          puppets.map((puppet) => puppet.entry),
        ),
      );
      await bench.node({ bootstrap: [bootstrap.bootstrap] });
      const settledAt = await settledPeers(bench, listeners);
      const lost = listeners.filter((listener) => openPeers([listener]) > 0).slice(0, 5);
      for (const listener of lost) await listener.close();
      const again = await settledPeers(
        bench,
        listeners.filter((listener) => !lost.includes(listener)),
      );
      const toCrowded = await dialsOfCrowded(bench);
      if (toCrowded > 2) fail(`a node with 10 inbound peers dialled ${toCrowded} more`);
      return pass(`${settledAt} peers of 21 known, and ${again} again after 5 of them were lost`);
    },
  },
  {
    id: 'TOP-02',
    level: 'must',
    section: '9.2',
    role: 's',
    quote:
      'The 51st persistent peer (duplicates aside) gets, instead of a hello, `TOO_MANY_PEERS`, a `peer_exchange`, close 4429.',
    reading:
      'Of 60 persistent peers 50 are taken and go on as before; the others get an error, a list and 4429. Only persistent ones count, a place that falls free is given again.',
    mutants: [
      'peers-uncapped',
      'peers-cap-fifty-one',
      'peers-cap-forty',
      'peers-full-evicts-all',
      'peers-full-evicts-oldest',
      'peers-full-crash',
      'peers-full-silent',
      'peers-full-without-list',
      'peers-full-hello-first',
      'peers-full-resets',
      'peers-full-refuses-sync',
      'peers-full-refuses-duplicate',
      'peers-place-not-freed',
    ],
    needs: [],
    fresh: false,
    durationHintMs: 6_000,
    cpu: 0.7,
    test: async (bench) => {
      const node = await bench.node();
      const puppets = await bench.puppets(60);
      const peers: Joined[] = [];
      const listed = puppets.slice(0, 3);
      for (const puppet of listed) peers.push(await puppet.peer(node, { address: puppet.address }));
      bench.step('47 more persistent peers');
      for (let i = 3; i < 50; i += 1) peers.push(await puppets[i]!.peer(node));
      bench.step('the 51st and nine more at once');
      await Promise.all(puppets.slice(50).map((puppet) => refusedAsFull(bench, node, puppet, listed)));
      bench.step('the first 50 still answer');
      for (const peer of peers) await stillServed(peer);
      const observer = await puppets[59]!.join(node);
      await stillServed(observer);
      const doubled = await puppets[0]!.peer(node, { address: puppets[0]!.address });
      await closedWith(peers[0]!, 4409);
      await stillServed(doubled);
      await peers[49]!.close();
      let taken = await tryHandshake(puppets[58]!, node, { type: 'persistent', keepOpen: true });
      for (let i = 0; i < 10 && !taken.accepted; i += 1) {
        await bench.sleep(500, 'the node notices that a peer has left');
        taken = await tryHandshake(puppets[58]!, node, { type: 'persistent', keepOpen: true });
      }
      if (!taken.accepted) fail(`the place of a peer that left is not given again: ${taken.detail}`);
      await refusedAsFull(bench, node, puppets[57]!, listed);
      for (const peer of peers.slice(1, 49)) await stillServed(peer);
      return pass(
        '50 peers kept, 11 refused with TOO_MANY_PEERS, a list and 4429, one taken in place of one that left',
      );
    },
  },
  {
    id: 'TOP-03',
    level: 'should',
    section: '2.2',
    role: 'c',
    quote: '| Bootstrap | Initial discovery | Ephemeral |',
    reading:
      'The bootstrap connection is closed with 1000 once it has been answered, with an empty list too.',
    ruling:
      'Profile §4: "dialer closes after the answer; acceptor after 10 s"; §5: "asked at start and, until it has once answered, again".',
    mutants: [
      'bootstrap-connection-kept',
      'bootstrap-connection-dropped',
      'bootstrap-connection-kept-when-empty',
      'bootstrap-asked-for-ever',
    ],
    needs: ['start', 'dial-back'],
    durationHintMs: 6_000,
    limitMs: 45_000,
    cpu: 0.05,
    test: async (bench) => {
      const [helpful, empty, peer] = await bench.puppets(3);
      const peerListens = await peer!.listen();
      const bootstraps = [
        await listenAsBootstrap(helpful!, [peer!.entry]),
        await listenAsBootstrap(empty!, []),
      ];
      await bench.node({ bootstrap: [helpful!.bootstrap, empty!.bootstrap] });
      await dialled(bench, 'the peer that a bootstrap node names', peerListens, 15_000);
      for (const listener of bootstraps) {
        const connection = await bench.waitFor('peer_request over `bootstrap`', 5_000, () =>
          helloed(listener, 'bootstrap').find((each) => each.seen('peer_request').length > 0),
        );
        const closed = await connection.closedWithin(9_000);
        if (closed === null) {
          await connection.fence();
          return fail('the bootstrap connection is still there, and answers, 9 s after its list came');
        }
        if (closed.how !== 'close' || closed.code !== 1000)
          fail(`the bootstrap connection ended by ${closed.how} ${closed.code}, expected close 1000`);
      }
      await bench.sleep(4_000, 'the delays of 0.5, 1 and 2 s pass');
      for (const listener of bootstraps) {
        const count = helloed(listener, 'bootstrap').length;
        if (count > 1) fail(`a bootstrap node that had answered was asked ${count} times`);
      }
      return pass('both bootstrap connections were closed 1000 after the answer, and no second one came');
    },
  },
  {
    id: 'TOP-04',
    level: 'should',
    section: '2.2',
    role: 's',
    quote: '| Persistent | Regular communication | Long-lived |',
    reading: 'A persistent connection on which only heartbeats pass is still there after three intervals.',
    mutants: ['persistent-idle-close', 'persistent-idle-minute'],
    needs: ['start'],
    durationHintMs: 78_000,
    limitMs: 110_000,
    cpu: 0,
    test: async (bench) => {
      const node = await bench.node({ parameters: { heartbeat_interval_s: 25 } });
      const [a, b] = await bench.puppets(2);
      const peers = [await a!.peer(node), await b!.peer(node, { capabilities: [] })];
      await bench.sleep(77_000, 'three heartbeat intervals of 25 s');
      for (const peer of peers) await stillServed(peer);
      return pass('2 persistent connections were still there after 77 s of heartbeats alone');
    },
  },
];

/** Persistent connections that stand. */
function openPeers(listeners: readonly Listener[]): number {
  return listeners
    .map((listener) => helloed(listener).filter((connection) => connection.ended === null).length)
    .reduce((sum, count) => sum + Math.min(1, count), 0);
}

/** Waits for 8 peers, then until dials have come to rest; 8 to 12 is about 10. */
async function settledPeers(bench: Bench, listeners: readonly Listener[]): Promise<number> {
  await bench.waitFor('8 persistent peers', 25_000, () => openPeers(listeners) >= 8);
  await bench.sleep(2_500, 'no more dials follow');
  const count = openPeers(listeners);
  if (count < 8) late(`${count} persistent peers, expected about 10`);
  if (count > 12) fail(`${count} persistent peers, expected about 10`);
  return count;
}

/** How many of 8 listed peers a node dials that has 10 peers already. */
async function dialsOfCrowded(bench: Bench): Promise<number> {
  const node = await bench.node();
  const inbound = await bench.puppets(10, 'inbound');
  for (const puppet of inbound.slice(1)) await puppet.peer(node);
  const listed = await bench.puppets(8, 'listed');
  const listeners = await Promise.all(listed.map((puppet) => puppet.listen()));
  const last = await inbound[0]!.peer(node, { peers: listed.map((puppet) => puppet.entry) });
  await last.fence();
  await bench.sleep(2_000, 'dials would come');
  return listeners.filter((listener) => listener.attempts.length > 0).length;
}

/** The 51st persistent peer: an error and a list of peers in place of a hello, then 4429. */
async function refusedAsFull(
  bench: Bench,
  node: NodeUnderTest,
  puppet: Puppet,
  listed: readonly Puppet[],
): Promise<void> {
  const attempt = await tryHandshake(puppet, node, { type: 'persistent', keepOpen: true });
  const { connection } = attempt;
  if (attempt.accepted) fail(`${puppet.name} was taken as the 51st persistent peer`);
  if (connection === null) return fail(`${puppet.name} was refused before the hello: ${attempt.detail}`);
  const list = connection.seen('peer_exchange')[0];
  if (attempt.code !== 'TOO_MANY_PEERS')
    fail(
      `the 51st persistent peer got ${attempt.code ?? 'no error'}, expected TOO_MANY_PEERS: ${attempt.detail}`,
    );
  if (list === undefined) return fail('the 51st persistent peer got no peer_exchange');
  // How many it names is its affair, nobody has asked; whom it names must have given that address.
  const peers = entriesOf(list);
  for (const each of listed)
    if (addressesOf(peers, each).some((address) => address !== each.address))
      fail(`the list for the 51st peer has ${each.name} at an address that it did not give`, peers);
  const strangers = peers.filter((entry) => !listed.some(({ nodeId }) => nodeId === entry.node_id));
  // A node that was there before us may rightly know others.
  if (strangers.length > 0 && bench.target.abilities.has('instances'))
    fail('the list for the 51st peer names nodes that gave no address', strangers);
  // Our hello was read, and we have sent nothing since: no close frame can be lost.
  await closedWith(connection, 4429, 5_000, { resetCounts: false });
}
