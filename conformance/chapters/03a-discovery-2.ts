/** § 3.1, 3.2 Discovery where bootstrap nodes are dead, lying or somebody else. */

import type { Connection } from '../../harness/wire/connection.ts';
import { errorPayload, type PeerEntry, peerExchange, stateSummary } from '../../harness/wire/gossip.ts';
import { sendHello } from '../../harness/wire/handshake.ts';
import { type Listener, listenTcp } from '../../harness/wire/listener.ts';
import { splitAddress } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { endsWith, saidOf } from '../expect.ts';
import { dialled, firstRequest, listenAsBootstrap } from '../peer-lists.ts';
import type { Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { BootstrapEntry } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'DSC-05',
    level: 'must',
    section: '3.2',
    role: 'c',
    quote: 'response = await self.query_bootstrap(bootstrap)',
    reading: 'Whatever a bootstrap node does, those after it are asked and their peers used.',
    ruling:
      'Profile §5: "Dead or lying ones do not stop discovery, and with none reachable the node stays up."',
    mutants: ['discovery-aborts-on-failure', 'discovery-crashes-on-list', 'discovery-stops-at-bad-answer'],
    needs: ['start', 'dial-back'],
    durationHintMs: 4_000,
    limitMs: 75_000,
    test: async (bench) => {
      const bad = await badBootstraps(bench);
      const [good, peer] = await Promise.all([bench.puppet('good'), bench.puppet('peer')]);
      const listener = await good.listen({ manners: { answerPeerRequest: false } });
      const peerListens = await peer.listen();
      const node = await bench.node({ bootstrap: [...bad, good.bootstrap] });
      const { connection, request } = await firstRequest(bench, listener, 40_000);
      await bench.sleep(500, 'the bad bootstrap nodes have their say first');
      connection.send('peer_exchange', peerExchange([peer.entry], request.id));
      await dialled(bench, 'the peer that the good one names', peerListens, 20_000);
      const observer = await (await bench.puppet('observer')).join(node);
      await observer.fence();
      return pass(`${bad.length} bad bootstrap nodes did not keep the node from the good one's peer`);
    },
  },
  {
    id: 'DSC-06',
    level: 'must',
    section: '3.1',
    role: 'c',
    quote: 'public_key: "base64-key-1"',
    reading:
      'A bootstrap node that proves another key than the configured one is closed with 4401 before any hello, its peers stay unused, and it is asked again later.',
    ruling:
      'Profile §4: "A dialled address must prove the node_id (and a bootstrap node\'s `public_key`) under which it was learned; else close 4401 before any hello, … (that of a configured bootstrap node is asked again after its delay)".',
    mutants: [
      'bootstrap-key-ignored',
      'bootstrap-any-configured-key',
      'bootstrap-key-checked-after-hello',
      'bootstrap-wrong-key-closed-1000',
      'bootstrap-wrong-key-given-up',
    ],
    needs: ['start', 'dial-back'],
    durationHintMs: 5_000,
    limitMs: 60_000,
    test: async (bench) => {
      const [first, second, good, victim, peer] = await bench.puppets(5);
      const victimListens = await victim!.listen();
      const peerListens = await peer!.listen();
      const wrong = await Promise.all([
        listenAsBootstrap(first!, [victim!.entry]),
        listenAsBootstrap(second!, [victim!.entry]),
      ]);
      await listenAsBootstrap(good!, [peer!.entry]);
      const [one, two] = [first!.bootstrap, second!.bootstrap];
      await bench.node({
        bootstrap: [
          { ...one, publicKey: two.publicKey },
          { ...two, publicKey: one.publicKey },
          good!.bootstrap,
        ],
      });
      await dialled(bench, 'the peer that the right bootstrap node names', peerListens, 20_000);
      await bench.waitFor('second attempt at both wrong keys', 20_000, () =>
        wrong.every((listener) => listener.attempts.length >= 2),
      );
      for (const listener of wrong) await refusedBeforeHello(listener);
      if (victimListens.attempts.length > 0)
        fail('the node dialled a peer that only bootstrap nodes with wrong keys had named');
      return pass('two bootstrap nodes with swapped keys got no hello, 4401, and were tried again');
    },
  },
  {
    id: 'DSC-09',
    level: 'should',
    section: '3.1',
    role: 'c',
    quote: '- **Bootstrap nodes**: Fixed entry points (DNS or well-known IPs)',
    reading:
      'With no bootstrap node reachable the node stays up and tries again at growing intervals; it asks one that comes up, and asks again when no peer is left.',
    ruling:
      'Profile §5: "Each is asked at start and, until it has once answered, again after 0.5 s, doubling to 60 s, jittered; all again when no peer is left."',
    mutants: [
      'discovery-exits-when-alone',
      'discovery-tight-loop',
      'discovery-never-retries',
      'discovery-closed-is-answered',
      'discovery-not-again-when-alone',
    ],
    needs: ['start', 'dial-back'],
    durationHintMs: 16_000,
    limitMs: 90_000,
    cpu: 0.05,
    test: async (bench) => {
      const [bootstrap, peer, mean] = await bench.puppets(3);
      const { host, port } = splitAddress(bootstrap!.address);
      const dead = await listenTcp(host, port, (socket) => socket.resetAndDestroy());
      bench.onClose(() => dead.close());
      const meanListens = await mean!.listen({ handshake: null, onConnection: closeAtHello });
      await bench.node({ bootstrap: [bootstrap!.bootstrap, mean!.bootstrap] });
      await bench.waitFor('first attempt', 10_000, () => dead.accepts.length > 0);
      await bench.sleep(7_000, 'the delays 0.5, 1, 2 s pass');
      const times = [...dead.accepts, performance.now()].map((at) => Math.round(at - dead.accepts[0]!));
      const gaps = times.slice(1).map((at, index) => at - times[index]!);
      if (gaps.length < 3) late(`${gaps.length} attempts in 7 s, expected about 4`, times);
      if (gaps.length > 12) fail(`${gaps.length} attempts in 7 s at delays of 0.5 s doubling`, times);
      // Jitter may shorten any one delay, but not all of them.
      if (Math.max(...gaps) < 1_200) fail(`the delays do not grow: ${gaps.join(', ')} ms`, times);
      const others = meanListens.attempts.length;
      if (others < 3) late(`one that closes instead of a hello was tried ${others} times in 7 s`);
      if (others > 14) fail(`one that closes instead of a hello was tried ${others} times in 7 s`);
      await dead.close();
      const peerListens = await peer!.listen();
      const listener = await listenFull(bootstrap!, [peer!.entry]);
      const requests = (): number =>
        listener.accepted.reduce((sum, connection) => sum + connection.seen('peer_request').length, 0);
      await bench.waitFor('peer_request at the bootstrap node that came up', 30_000, () => requests() >= 1);
      const joined = await dialled(bench, 'its peer', peerListens, 15_000);
      // A peer that goes before the node has taken its hello in was none: nobody was lost.
      await bench.waitFor('end of the handshake', 5_000, () => joined.seen('peer_exchange').length > 0);
      const before = requests();
      await peerListens.close();
      await bench.waitFor('end of the only peer', 5_000, () => joined.ended !== null);
      await bench.waitFor('peer_request when no peer is left', 20_000, () => requests() > before);
      return pass(
        `attempts after ${times.slice(0, -1).join(', ')} ms, then the one that came up was asked, and again`,
      );
    },
  },
];

/** A node with wrong key must be refused in TLS or closed 4401, and has heard no hello in any attempt. */
async function refusedBeforeHello(listener: Listener): Promise<void> {
  for (const connection of listener.accepted) {
    const [said] = connection.received;
    if (said !== undefined)
      fail(`a bootstrap node with another key than configured got a ${said.type || 'message'}`, said.text);
  }
  const first = listener.accepted[0];
  if (first === undefined) return;
  const closed = await first.closedWithin(5_000);
  if (closed === null) return late('a bootstrap node with another key is still connected after 5 s');
  if (!endsWith(closed, [4401]))
    fail(`a bootstrap node with another key ended by ${saidOf(closed)}, expected close 4401`);
}

function closeAtHello(connection: Connection): void {
  connection.onMessage((message) => {
    if (message.type === 'hello') void connection.close(1011);
  });
}

/** Plays a bootstrap node that answers requests, but has no place for another persistent peer. */
function listenFull(puppet: Puppet, peers: readonly PeerEntry[]): Promise<Listener> {
  return puppet.listen({
    handshake: null,
    manners: { peers: [...peers] },
    onConnection: (connection) => {
      connection.onMessage((message) => {
        if (message.type !== 'hello') return;
        const type = message.payload?.connection_type;
        if (type === 'persistent') {
          const details = { request_id: message.id };
          connection.send('error', errorPayload('TOO_MANY_PEERS', 'no place', details));
          connection.send('peer_exchange', peerExchange([]));
          void connection.close(4429);
          return;
        }
        sendHello(connection, type, { capabilities: ['v1', 'gossip', 'sync'], address: puppet.address });
        connection.send('state_summary', stateSummary(connection.manners.items.root(), 0));
      });
    },
  });
}

/** Bootstrap nodes that are of no use, each in another way. */
async function badBootstraps(bench: Bench): Promise<BootstrapEntry[]> {
  const puppets = await bench.puppets(10, 'bad');
  const [refusing, resetting, mute, garbage, http, closing, noJson, noList, nulls, error] = puppets;
  const bare = async (puppet: Puppet, onSocket: Parameters<typeof listenTcp>[2]): Promise<void> => {
    const { host, port } = splitAddress(puppet.address);
    const listener = await listenTcp(host, port, onSocket);
    bench.onClose(() => listener.close());
  };
  void refusing!.address;
  await bare(resetting!, (socket) => socket.resetAndDestroy());
  await bare(mute!, () => {});
  await bare(garbage!, (socket) => void socket.end('SSH-2.0-OpenSSH_9.6\r\n'));
  await http!.listen({ refuseWith: 500 });
  await closing!.listen({ onConnection: (connection) => void connection.close(1011) });
  const answering = (
    puppet: Puppet,
    answer: (connection: Connection, id: string) => void,
  ): Promise<Listener> =>
    puppet.listen({
      manners: { answerPeerRequest: false },
      onConnection: (connection) => {
        connection.onMessage((message) => {
          if (message.type === 'peer_request') answer(connection, message.id);
        });
      },
    });
  await answering(noJson!, (connection) => connection.sendText('{"peers": ['));
  await answering(noList!, (connection, id) => {
    connection.send('peer_exchange', { peers: 7, request_id: id });
    connection.send('peer_exchange', { request_id: id });
  });
  await answering(nulls!, (connection, id) => {
    connection.send('peer_exchange', peerExchange([null, 'x', [], {}, { node_id: null, address: 1 }], id));
  });
  await answering(error!, (connection, id) => {
    connection.send('error', errorPayload('RATE_LIMIT', 'not now', { request_id: id, retry_after: 1 }));
  });
  return puppets.map((puppet) => puppet.bootstrap);
}
