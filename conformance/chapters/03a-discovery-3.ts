/** § 3.2, 9.1 Discovery: how fast it is, what it makes of bad entries, and that it goes on while there are too few peers. */

import { peerExchange } from '../../harness/wire/gossip.ts';
import type { Json } from '../../harness/wire/json.ts';
import { listenTcp } from '../../harness/wire/listener.ts';
import { splitAddress } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { dialled, firstRequest, listenAsBootstrap, refuse } from '../peer-lists.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'DSC-07',
    level: 'should',
    section: '9.1',
    role: 'c',
    quote: 'Every bootstrap node is queried, **in parallel**, with `peer_request`',
    reading:
      'From the start (it accepts TLS, or has tried a bootstrap node before) to the first dial of a listed peer pass less than 2 s, also if one of four bootstrap nodes never says a word and one refuses; the silent one keeps no other waiting, neither for its first question nor, where it refused that, for the next.',
    ruling:
      'Profile §5: "Each is asked at start and, until it has once answered, again after 0.5 s, doubling to 60 s, jittered". Allowed are 2 s to the first question and 3 s to the second.',
    mutants: [
      'discovery-sequential',
      'discovery-slow',
      'discovery-begins-late',
      'discovery-waits-to-ask-again',
    ],
    needs: ['start', 'instances', 'dial-back'],
    durationHintMs: 3_000,
    limitMs: 60_000,
    test: async (bench) => {
      const all = await discoveryMs(bench, 'all', 3, 0, 0);
      const fewer = await discoveryMs(bench, 'fewer', 2, 1, 1);
      if (all > 2_000) late(`with 3 bootstrap nodes discovery took ${all} ms, expected less than 2 000`);
      if (fewer > 2_000)
        late(
          `with 1 of 4 bootstrap nodes black-holed and 1 refusing discovery took ${fewer} ms, expected less than 2 000`,
        );
      return pass(
        `${all} ms with three bootstrap nodes, ${fewer} ms with one of four black-holed and one refusing`,
      );
    },
  },
  {
    id: 'DSC-08',
    level: 'should',
    section: '3.2',
    role: 'c',
    quote:
      'Bad entries are skipped, good ones kept; of a longer list the first 50 entries count, good or bad.',
    reading:
      'Of a list with bad entries between good ones, and with addresses that are well formed and lead nowhere, the good ones are dialled, in an answer and after a handshake.',
    mutants: [
      'discovery-stops-at-bad-answer',
      'list-voided-by-bad-entry',
      'list-cut-at-bad-entry',
      'list-bad-ids-taken',
      'dial-ends-the-node',
    ],
    needs: ['start', 'dial-back'],
    durationHintMs: 4_000,
    limitMs: 75_000,
    test: async (bench) => {
      const [bootstrap, first, second, third, fourth, wrong] = await bench.puppets(6);
      const nowhere = await bench.puppets(oddAddresses.length, 'nowhere');
      const [firstListens, secondListens, thirdListens, fourthListens] = await Promise.all(
        [first!, second!, third!, fourth!].map((puppet) => puppet.listen()),
      );
      const wrongListens = await wrong!.listen();
      const listener = await bootstrap!.listen({
        manners: { answerPeerRequest: false },
        handshake: {
          capabilities: ['v1', 'gossip', 'sync'],
          address: bootstrap!.address,
          peers: [...badEntries(wrong!), third!.entry, ...badEntries(wrong!), fourth!.entry],
        },
      });
      const node = await bench.node({ bootstrap: [bootstrap!.bootstrap] });
      const { connection, request } = await firstRequest(bench, listener);
      const odd = oddAddresses.map((address, index) => ({ ...nowhere[index]!.entry, address }));
      const list = [
        ...odd,
        first!.entry,
        ...badEntries(wrong!),
        { ...second!.entry, region: 'eu', weight: 3 },
      ];
      connection.send('peer_exchange', peerExchange(list, request.id));
      await dialled(bench, 'the good entry before the bad ones', firstListens!, 15_000);
      await dialled(bench, 'the good entry after them', secondListens!, 15_000);
      await dialled(bench, 'a good entry in the list of a peer', thirdListens!, 20_000);
      await dialled(bench, 'the last entry in the list of a peer', fourthListens!, 20_000);
      if (wrongListens.attempts.length > 0)
        fail('the node dialled an entry whose node_id has not the form node_ + 40 lower-case hex digits');
      await (await (await bench.puppet('observer')).join(node)).fence();
      return pass(`4 good entries among ${badEntries(wrong!).length} kinds of bad ones were dialled`);
    },
  },
  {
    id: 'DSC-10',
    level: 'should',
    section: '3.2',
    role: 'c',
    quote:
      'While it has fewer than `target_peers` a node dials more and repeats `peer_request` to a peer after 2 s, 4 s … 60 s.',
    reading:
      'A peer that learns of somebody only after it was asked once is asked again, and the newcomer dialled; and it is asked less and less often.',
    mutants: [
      'peers-asked-never',
      'peers-asked-once',
      'peers-answer-ignored',
      'peers-asked-every-two-seconds',
    ],
    needs: ['dial-back'],
    durationHintMs: 16_000,
    limitMs: 70_000,
    cpu: 0.05,
    test: async (bench) => {
      const node = await bench.node();
      const [peer, newcomer] = await bench.puppets(2);
      const newcomerListens = await newcomer!.listen();
      const connection = await peer!.peer(node, { address: peer!.address });
      await bench.waitFor(
        'first peer_request to a peer',
        10_000,
        () => connection.seen('peer_request').length >= 1,
      );
      await bench.sleep(300, 'the first answer, an empty list, arrives');
      connection.manners.peers = [newcomer!.entry];
      const learnt = performance.now();
      await dialled(bench, 'a newcomer', newcomerListens, 12_000);
      const afterMs = Math.round(performance.now() - learnt);
      const asked = connection.seen('peer_request').length;
      // Anew after the newcomer has come, the doubling takes 2, 4 and 8 s: no four of its gaps are alike.
      await bench.sleep(12_500, 'how often the peer is asked');
      const times = connection.seen('peer_request').map((message) => message.at);
      const gaps = times.slice(1).map((at, index) => Math.round(at - times[index]!));
      const quick = gaps.map((gap) => (gap < 3_200 ? 'q' : 's')).join('');
      if (quick.includes('qqqq'))
        fail(`a peer was asked again and again after ${gaps.join(', ')} ms: the gaps do not grow`);
      return pass(
        `the newcomer was dialled ${afterMs} ms after the peer knew it, at peer_request ${asked}; gaps of ${gaps.join(', ')} ms`,
      );
    },
  },
];

/** ms from the first attempt at a bootstrap node to the first dial of the peer that the good ones list. */
async function discoveryMs(
  bench: Bench,
  name: string,
  good: number,
  mute: number,
  refusals: number,
): Promise<number> {
  const peer = await bench.puppet(`${name}-peer`);
  const listener = await peer.listen();
  const mutes = await bench.puppets(mute, `${name}-mute`);
  const accepts: (() => number | undefined)[] = [];
  for (const puppet of mutes) {
    const { host, port } = splitAddress(puppet.address);
    const hole = await listenTcp(host, port);
    bench.onClose(() => hole.close());
    accepts.push(() => hole.accepts[0]);
  }
  const refusers = await bench.puppets(refusals, `${name}-refusing`);
  const refused = await Promise.all(refusers.map((puppet) => refuse(bench, puppet)));
  accepts.push(...refused.map((listens) => () => listens.accepts[0]));
  const goods = await bench.puppets(good, `${name}-good`);
  for (const puppet of goods) {
    const listens = await listenAsBootstrap(puppet, [peer.entry]);
    accepts.push(() => listens.attempts[0]?.at);
  }
  await bench.node({ bootstrap: [...mutes, ...refusers, ...goods].map((puppet) => puppet.bootstrap) });
  const readyAt = performance.now();
  await bench.waitFor(
    `dial of the peer that bootstrap nodes list (${name})`,
    25_000,
    () => listener.attempts[0],
  );
  const first = Math.min(readyAt, ...accepts.map((at) => at() ?? Number.POSITIVE_INFINITY));
  const tookMs = Math.round(listener.attempts[0]!.at - first);
  const leftMs = (ms: number): number => Math.max(0, Math.round(first + ms - performance.now()));
  await bench.waitFor(`question to every bootstrap node (${name})`, leftMs(2_000), () =>
    accepts.every((at) => at() !== undefined),
  );
  await bench.waitFor(`second question to who refused the first (${name})`, leftMs(3_000), () =>
    refused.every((listens) => listens.accepts.length > 1),
  );
  return tookMs;
}

/** Well formed by §5, no names that anybody would ask DNS for, and nobody can be there: a scope in it fits into no URL. */
const oddAddresses = ['[fe80::1%lo]:9', '[::::]:9'] as const;

/** Entries that a node must skip; those with an address that exists have a node_id of another form. */
function badEntries(wrong: { nodeId: string; address: string }): Json[] {
  const { nodeId, address } = wrong;
  const host = splitAddress(address).host;
  return [
    { node_id: nodeId, address: `${host}:0` },
    { node_id: nodeId, address: `${host}:70000` },
    { node_id: nodeId, address: `${host}:-1` },
    { node_id: nodeId, address: host },
    { node_id: nodeId, address: `${address}x` },
    { node_id: nodeId, address: `:${splitAddress(address).port}` },
    { node_id: nodeId, address: 8_888 },
    { node_id: nodeId, address: null },
    { node_id: nodeId, address: [address] },
    { node_id: nodeId },
    { address },
    { node_id: nodeId.slice(0, -1), address },
    { node_id: `${nodeId}0`, address },
    { node_id: `node_${'G'.repeat(40)}`, address },
    { node_id: 7, address },
    { node_id: null, address },
    null,
    42,
    address,
    [nodeId, address],
    { node_id: { node_id: nodeId, address }, address: { node_id: nodeId, address } },
  ];
}
