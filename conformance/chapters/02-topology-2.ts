/** § 2.1 Topology: many nodes without any one of them, and no favourites. */

import type { Connection } from '../../harness/wire/connection.ts';
import { announce } from '../../harness/wire/gossip.ts';
import type { Bench } from '../bench.ts';
import { accepted, served } from '../expect.ts';
import { dialled, helloed, listenAsBootstrap } from '../peer-lists.ts';
import type { Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import { binomial, chiSquare, logGamma } from '../statistics.ts';
import type { NodeUnderTest } from '../target.ts';

const nodes = 20;

export const rows: readonly Requirement[] = [
  {
    id: 'TOP-05',
    level: 'should',
    section: '2.1',
    role: 'n',
    quote: '- **Partial mesh overall**: Network remains connected through multiple paths',
    reading:
      'Of 20 nodes with one bootstrap node, what is committed at any of them reaches all others right after the bootstrap node was killed, and after three more. With --thorough each of the 20 is killed in turn, and started again before the next one is.',
    mutants: ['star-through-bootstrap'],
    needs: ['instances', 'restart'],
    durationHintMs: 26_000,
    limitMs: 120_000,
    cpu: 0.4,
    thorough: { durationHintMs: 60_000, limitMs: 500_000 },
    test: async (bench) => {
      const first = await bench.node();
      const { host, port, publicKey } = first;
      const others = await bench.nodes(nodes - 1, () => ({ bootstrap: [{ host, port, publicKey }] }));
      const all = [first, ...others];
      const observer = await bench.puppet('observer');
      const watched = new Map<NodeUnderTest, Connection>();
      for (const node of all) watched.set(node, await observer.join(node));
      await bench.sleep(4_000, 'the nodes find each other');
      const times = [await broadcast(bench, watched, 'whole')];
      if (bench.thorough) {
        for (const lost of all) times.push(await killedInTurn(bench, watched, lost, observer));
        return pass(`a commit reached the other 19 whichever was killed, within ${Math.max(...times)} ms`);
      }
      // The centre of a star would be the one that all were told of; the others are drawn.
      for (const lost of [first, ...bench.random.shuffle(others).slice(0, 3)]) {
        watched.delete(lost);
        await lost.control!.kill();
        times.push(await broadcast(bench, watched, lost.name));
      }
      return pass(`a commit reached all of 20, 19, 18, 17 and 16 nodes within ${times.join(', ')} ms`);
    },
  },
  {
    id: 'TOP-06',
    level: 'should',
    section: '2.1',
    role: 'b',
    quote: '- **No supernodes**: All peers have equal status',
    reading:
      'A bootstrap node gets as many gossips as any other peer, and of 10 bootstrap nodes and 60 others the 10 peers are chosen alike.',
    ruling:
      'Profile §4: "Persistent peers are chosen **at random** among all known nodes; a bootstrap node has no preference."',
    mutants: [
      'gossip-always-to-bootstrap',
      'gossip-never-to-bootstrap',
      'peers-prefer-bootstrap',
      'peers-lowest-ids',
      'gossip-to-the-oldest-three',
    ],
    needs: ['start', 'instances', 'dial-back'],
    durationHintMs: 7_000,
    limitMs: 75_000,
    cpu: 0.6,
    test: async (bench) => {
      const gossip = await gossipShares(bench);
      const chosen = await chosenPeers(bench);
      return pass(`gossip: ${gossip}; peers: ${chosen}`);
    },
  },
];

/** What is committed without `lost` reaches all others; ms. It is started again, and has that commit too before the next one goes. */
async function killedInTurn(
  bench: Bench,
  watched: Map<NodeUnderTest, Connection>,
  lost: NodeUnderTest,
  observer: Puppet,
): Promise<number> {
  watched.delete(lost);
  await lost.control!.kill();
  const tookMs = await broadcast(bench, watched, lost.name);
  await lost.control!.start();
  watched.set(lost, await observer.join(lost));
  await broadcast(bench, watched, `${lost.name}-back`);
  return tookMs;
}

/** Commits at a node that is left and waits until all others serve the item; ms. */
async function broadcast(
  bench: Bench,
  watched: ReadonlyMap<NodeUnderTest, Connection>,
  name: string,
): Promise<number> {
  const author = await bench.puppet(`author-${name}`);
  const item = author.commit();
  await accepted(await author.join(bench.random.pick([...watched.keys()])), item);
  const startedAt = performance.now();
  const without = new Map(watched);
  while (without.size > 0) {
    await Promise.all(
      [...without].map(async ([node, connection]) => {
        if ((await served(connection, item.hash)) !== null) without.delete(node);
      }),
    );
    const ms = Math.round(performance.now() - startedAt);
    if (without.size > 0 && ms > 20_000)
      late(`${without.size} of ${watched.size} nodes have not got a commit after ${ms} ms (${name} killed)`);
    if (without.size > 0) await bench.sleep(300, `a commit reaches ${watched.size} nodes`);
  }
  return Math.round(performance.now() - startedAt);
}

/** One bootstrap node and seven puppets are peers; who gets the gossips of one of them? */
async function gossipShares(bench: Bench): Promise<string> {
  const bootstrap = await bench.puppet('bootstrap');
  const listener = await listenAsBootstrap(bootstrap, []);
  const node = await bench.node({ bootstrap: [bootstrap.bootstrap] });
  const favoured = await dialled(bench, 'the only known node as a peer', listener, 15_000);
  await bench.waitFor('its handshake', 5_000, () => favoured.seen('peer_exchange').length > 0);
  const puppets = await bench.puppets(7);
  const [source, ...rest] = await Promise.all(puppets.map((puppet) => puppet.peer(node)));
  const eligible: Connection[] = [favoured, ...rest];
  const ids = Array.from({ length: 140 }, () => bench.uuid());
  for (const id of ids)
    source!.send('gossip', announce(puppets[0]!.nodeId, [], { topic: 'news', changes: { gossip_id: id } }));
  await source!.fence(20_000);
  await Promise.all(eligible.map((connection) => connection.fence(20_000)));
  const sent = new Set(ids);
  const copies = (): number[] =>
    eligible.map((connection) => connection.seen((message) => sent.has(message.payload?.gossip_id)).length);
  // A node may pass on a moment after it has answered what came behind.
  const isThrough = (): boolean => copies().reduce((sum, count) => sum + count, 0) >= 3 * ids.length;
  for (let look = 0; look < 40 && !isThrough(); look += 1) await bench.sleep(50, 'the last gossips go on');
  const counts = copies();
  const share = binomial({
    n: ids.length,
    successes: counts[0]!,
    p: 3 / 7,
    alpha: 1e-7,
    mutants: { always: 1, never: 0 },
  });
  if (!share.holds) fail(`the bootstrap node got ${share.text} gossips`, counts);
  const alike = chiSquare({ counts, alpha: 1e-7, scale: 6 / 4 });
  if (!alike.holds) fail(`the peers do not get gossips alike: ${alike.text}`, counts);
  return share.text;
}

/** As many as a list may hold: who begins with the first answer has most of the 70 to choose from. */
const listed = 50;

/** Ten bootstrap nodes that know fifty of sixty others each: which of the 70 become peers? */
async function chosenPeers(bench: Bench): Promise<string> {
  const others = await bench.puppets(60, 'other');
  const bootstraps = await bench.puppets(10, 'boot');
  const otherListens = await Promise.all(others.map((puppet) => puppet.listen()));
  const bootListens = await Promise.all(
    bootstraps.map((puppet, i) =>
      listenAsBootstrap(
        puppet,
        [...others, ...others].slice(6 * i, 6 * i + listed).map((each) => each.entry),
      ),
    ),
  );
  await bench.node({
    parameters: { bucket_size: 200 },
    bootstrap: bootstraps.map((puppet) => puppet.bootstrap),
  });
  const all = [...bootListens, ...otherListens];
  const chosen = (): typeof all => all.filter((listener) => helloed(listener).length > 0);
  await bench.waitFor('8 peers', 20_000, () => chosen().length >= 8);
  await bench.sleep(1_500, 'the last dials');
  const byId = [...all].sort((a, b) => (a.puppet.identity.nodeId < b.puppet.identity.nodeId ? -1 : 1));
  const favourites: [string, typeof all][] = [
    ['bootstrap nodes', bootListens],
    ['nodes at the heads of lists', otherListens.filter((_, i) => i % 6 === 0)],
    ['nodes at the ends of lists', otherListens.filter((_, i) => i % 6 === (listed - 1) % 6)],
    ['lowest ids', byId.slice(0, 10)],
    ['highest ids', byId.slice(-10)],
  ];
  const peers = chosen();
  const texts = favourites.map(([what, ten]) => {
    const among = peers.filter((listener) => ten.includes(listener)).length;
    const chance = atLeast(among, peers.length);
    const text = `${among} of the 10 ${what} among ${peers.length} peers of 70 known, p = ${chance.toExponential(1)}`;
    if (chance < 1e-6) fail(`${what} are preferred as peers: ${text}`);
    return text;
  });
  return `${texts[0]}; α = 1e-6`;
}

/** The chance that at least `favoured` of `drawn` nodes are among the 10 when they are drawn from 70. */
function atLeast(favoured: number, drawn: number): number {
  const choose = (n: number, k: number): number =>
    k < 0 || k > n ? 0 : Math.exp(logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1));
  let sum = 0;
  for (let k = favoured; k <= 10; k += 1) sum += choose(10, k) * choose(60, drawn - k);
  return Math.min(1, sum / choose(70, drawn));
}
