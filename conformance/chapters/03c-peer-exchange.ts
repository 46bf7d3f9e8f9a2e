/** § 3.3 Peer exchange: the lists that nodes give each other, and what a node makes of those it gets. */

import type { Connection } from '../../harness/wire/connection.ts';
import { errorPayload, type PeerEntry, peerExchange } from '../../harness/wire/gossip.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { endsWith, saidOf, stillServed, tryHandshake } from '../expect.ts';
import {
  addressesOf,
  askForPeers,
  dialled,
  entriesOf,
  listenAsBootstrap,
  madeUp,
  refuse,
} from '../peer-lists.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'PEX-01',
    level: 'must',
    section: '3.3',
    role: 'b',
    quote: 'When nodes connect, they exchange peer lists:',
    reading:
      'On a persistent connection, whoever dialled it, the node sends one peer_exchange without request_id after its state_summary; on those of the other types none that was not asked for.',
    ruling:
      'Profile §4: "On a persistent connection both then send one `peer_exchange` (`request_id` absent)."',
    mutants: [
      'peer-exchange-never',
      'peer-exchange-only-as-acceptor',
      'peer-exchange-only-as-dialer',
      'peer-exchange-with-request-id',
      'peer-exchange-before-summary',
      'peer-exchange-twice',
      'peer-exchange-on-all-types',
    ],
    needs: ['start', 'dial-back'],
    durationHintMs: 2_000,
    test: async (bench) => {
      const [bootstrap, listening, dialling] = await bench.puppets(3);
      await listenAsBootstrap(bootstrap!, [listening!.entry]);
      const listener = await listening!.listen();
      const node = await bench.node({ bootstrap: [bootstrap!.bootstrap] });
      // The whole of our own side: a node may send its list after it has had the peer's summary.
      const tried = await tryHandshake(dialling!, node, {
        type: 'persistent',
        capabilities: ['gossip', 'sync'],
        keepOpen: true,
      });
      const asAcceptor = tried.connection;
      if (asAcceptor === null) return fail(`a persistent peer was not taken: ${tried.detail}`);
      await checkOneExchange(asAcceptor, await unasked(bench, asAcceptor, 'as acceptor'));
      const asDialer = await dialled(bench, 'a listed peer', listener, 15_000);
      await checkOneExchange(asDialer, await unasked(bench, asDialer, 'as dialer'));
      for (const type of ['sync', 'gossip', 'bootstrap'] as const) {
        const other = await dialling!.join(node, { type });
        await other.fence();
        const [exchange] = other.seen('peer_exchange');
        if (exchange !== undefined)
          fail(`a peer_exchange that nobody asked for came on a ${type} connection`, exchange.text);
        await other.close();
      }
      return pass('one peer_exchange after the state_summary, as acceptor and as dialer, on persistent ones');
    },
  },
  {
    id: 'PEX-02',
    level: 'must',
    section: '3.3',
    role: 'b',
    quote: '{"node_id": "node_xxx", "address": "1.2.3.4:8888"},',
    reading:
      'peer_exchange has payload.peers, an array of objects with node_id and address, "host:port" exactly as the peer said it.',
    ruling: 'Profile §5: "IPv6 as `[addr]:port`"; §10 advertise: "the address it tells others, verbatim".',
    mutants: [
      'peer-exchange-known-peers',
      'peer-exchange-split-port',
      'peer-exchange-type-for-message-type',
      'peer-exchange-id-for-node-id',
      'peer-list-empty',
      'peer-list-guessed-address',
    ],
    needs: ['dial-back'],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.node();
      const [plain, named, six, asker, listening] = await bench.puppets(5);
      const told = new Map([
        [plain!, plain!.address],
        [named!, 'peer-2.cle-net.example:18888'],
        [six!, '[2001:db8::2]:8888'],
      ]);
      for (const [puppet, address] of told) await puppet.peer(node, { address });
      const listener = await listening!.listen();
      const joined = await asker!.peer(node, { peers: [listening!.entry] });
      const asDialer = await dialled(bench, 'a listed peer', listener, 20_000);
      for (const [connection, role] of [
        [joined, 'acceptor'],
        [asDialer, 'dialer'],
      ] as const) {
        const unaskedFor = entriesOf(await unasked(bench, connection, `as ${role}`));
        // How many of its peers a list holds that nobody asked for is the node's affair (§5: "at most 50 entries").
        const isWhole = [...told.keys()].every((puppet) => addressesOf(unaskedFor, puppet).length > 0);
        const peers = isWhole ? unaskedFor : await askForPeers(connection);
        for (const [puppet, address] of told) {
          const [listed] = addressesOf(peers, puppet);
          if (listed === undefined) fail(`as ${role} the list lacks a connected peer`, peers);
          if (listed !== address) fail(`a peer that said it is at ${address} is listed at ${listed}`, peers);
        }
      }
      return pass('3 peers were listed as acceptor and as dialer, a name, IPv4 and IPv6 as they were told');
    },
  },
  {
    id: 'PEX-03',
    level: 'must',
    section: '3.3',
    role: 'b',
    quote: '"message_type": "peer_exchange",',
    reading:
      'A node with too few peers dials those that it learns of from a list, whoever dialled, and from a refusal.',
    ruling:
      'Profile §4: "Persistent peers are chosen at random among all known nodes"; "a dialer accepts, instead of the hello, an `error` and after `TOO_MANY_PEERS` one `peer_exchange`".',
    mutants: [
      'peer-list-ignored',
      'peer-list-ignored-as-dialer',
      'peer-list-of-refusal-ignored',
      'peer-dialled-as-sync',
    ],
    needs: ['dial-back'],
    durationHintMs: 3_000,
    limitMs: 60_000,
    test: async (bench) => {
      const node = await bench.node();
      const [source, second, third, full, fourth] = await bench.puppets(5);
      const fourthListens = await fourth!.listen();
      await full!.listen({
        handshake: null,
        onConnection: (connection) => refuseAsFull(connection, fourth!.entry),
      });
      const thirdListens = await third!.listen();
      const secondListens = await second!.listen({
        handshake: {
          capabilities: ['v1', 'gossip', 'sync'],
          address: second!.address,
          peers: [third!.entry, full!.entry],
        },
      });
      await source!.peer(node, { peers: [second!.entry] });
      const direct = await dialled(
        bench,
        'a peer in the list of who dialled the node',
        secondListens,
        20_000,
      );
      if (direct.peer === null || typeof direct.peer === 'string')
        fail(`the node dialled without a certificate that proves it: ${direct.peer}`);
      await dialled(bench, 'a peer in the list of whom the node dialled', thirdListens, 20_000);
      await dialled(bench, 'a peer in the list of one that had no place', fourthListens, 20_000);
      return pass('peers in 3 lists were dialled: of a dialer, of one dialled, of one that was full');
    },
  },
  {
    id: 'PEX-04',
    level: 'must',
    section: '3.3/8.1',
    role: 'c',
    quote: '{"node_id": "node_yyy", "address": "5.6.7.8:8888"}',
    reading:
      'Who proves another node_id at a learned address than the listed one gets no hello and 4401, and the address is forgotten.',
    ruling:
      'Profile §4: "A dialled address must prove the node_id … under which it was learned; else close 4401 before any hello, and the address is forgotten".',
    mutants: [
      'dialled-anybody',
      'dialled-other-hello-first',
      'dialled-other-closed-1000',
      'dialled-other-kept',
    ],
    needs: ['dial-back'],
    durationHintMs: 9_000,
    cpu: 0.1,
    limitMs: 60_000,
    test: async (bench) => {
      const node = await bench.node();
      const [source, claimed, impostor, honest] = await bench.puppets(4);
      const impostorListens = await impostor!.listen();
      const honestListens = await honest!.listen();
      const lie = { node_id: claimed!.nodeId, address: impostor!.address };
      const mirror = { node_id: madeUp(bench), address: node.address };
      await source!.peer(node, { peers: [lie, mirror, honest!.entry] });
      await dialled(bench, 'the honest peer', honestListens, 20_000);
      await bench.waitFor(
        'dial of the address of the lie',
        20_000,
        () => impostorListens.attempts.length > 0,
      );
      await bench.sleep(4_500, 'redials with delays of 1 and 2 s would come');
      for (const connection of impostorListens.accepted) {
        if (connection.received.length > 0)
          fail(
            'a peer that proved another node_id than the listed one got a message',
            connection.received[0]?.text,
          );
        const closed = await connection.closedWithin(5_000);
        if (closed === null)
          return late('a peer that proved another node_id than the listed one stays connected');
        if (!endsWith(closed, [4401]))
          fail(
            `a peer that proved another node_id than the listed one ended by ${saidOf(closed)}, expected close 4401`,
          );
      }
      const count = impostorListens.attempts.length;
      if (count > 1) fail(`the address of the lie was dialled ${count} times: it is to be forgotten`);
      const back = await claimed!.peer(node);
      await stillServed(back);
      const peers = await askForPeers(back);
      if (addressesOf(peers, { nodeId: mirror.node_id }).length > 0)
        fail('the node lists itself under the id that a list gave to its own address', peers);
      return pass(
        'one dial, no hello, closed 4401; the honest peer of the list was taken, and the claimed one later',
      );
    },
  },
  {
    id: 'PEX-05',
    level: 'must',
    section: '3.3',
    role: 's',
    quote: '"peers": [',
    reading:
      'What others say of a peer that shook hands itself changes neither its connection nor its address, also if it has none.',
    ruling:
      'Profile §5: "an unverified newcomer never alters or evicts a verified entry"; §4: "`address` null: … never advertised or dialled, whatever others said of it".',
    mutants: [
      'peer-list-overwrites',
      'peer-list-overwrites-failed',
      'peer-list-overwrites-null',
      'peer-list-disconnects',
    ],
    needs: ['dial-back'],
    durationHintMs: 4_000,
    limitMs: 60_000,
    test: async (bench) => {
      const node = await bench.node();
      const [a, hidden, liar, trap, asker, last] = await bench.puppets(6);
      const trapListens = await trap!.listen();
      const aListens = await a!.listen();
      const lastListens = await last!.listen();
      const connection = await a!.peer(node, { address: a!.address });
      const concealed = await hidden!.peer(node, { address: null });
      const [lie, other] = [a!, hidden!].map(({ nodeId }) => ({ node_id: nodeId, address: trap!.address }));
      const lying = await liar!.peer(node, { peers: [lie!, other!, last!.entry] });
      await dialled(bench, 'the true entry of the list', lastListens, 20_000);
      await stillServed(connection);
      await stillServed(concealed);
      const observer = await asker!.join(node);
      const peers = await askForPeers(observer);
      const listed = addressesOf(peers, a!);
      if (listed.join() !== a!.address)
        fail(`a peer at ${a!.address} is listed at ${listed.join(' and ')}`, peers);
      if (addressesOf(peers, hidden!).length > 0)
        fail('a peer without an address is listed under one', peers);
      await connection.close();
      await concealed.close();
      const back = await dialled(bench, 'the peer at its own address, after it left', aListens, 20_000);
      // A peer that is lost before the node has taken its hello in was only a dial that failed: nobody need dial it again soon.
      await back.fence();
      if (trapListens.attempts.length > 0)
        fail('the node dialled the address that a third party gave for a peer it had met');
      bench.step('the same lie, once a dial of the peer has failed');
      await aListens.close();
      const nobody = await refuse(bench, a!);
      await bench.waitFor('dial of the peer that is gone', 20_000, () => nobody.accepts.length > 0);
      await lying.close();
      // Not of the one without an address: it is gone and need not be remembered (its place in the table is optional).
      await (await liar!.peer(node, { peers: [lie!] })).fence();
      const before = nobody.accepts.length;
      const misled = (): boolean => trapListens.attempts.length > 0;
      await bench.waitFor('another dial of it', 20_000, () => nobody.accepts.length > before || misled());
      if (misled()) fail('the node dialled where a third party said, because the peer had not answered');
      return pass('neither connection, listed address nor the next two dials followed the lie');
    },
  },
];

/** The peer_exchange after the handshake: none of our puppets has asked for one here. */
async function unasked(bench: Bench, connection: Connection, role: string): Promise<Message> {
  const deadline = performance.now() + 5_000;
  const exchange = (): Message | undefined => connection.seen('peer_exchange')[0];
  while (exchange() === undefined && performance.now() < deadline)
    await bench.sleep(50, `a peer_exchange ${role} comes`);
  // Who answers what was said later is not merely slow.
  if (exchange() === undefined) await connection.fence();
  return exchange() ?? fail(`no peer_exchange after the handshake ${role}`);
}

async function checkOneExchange(connection: Connection, exchange: Message): Promise<void> {
  await connection.fence();
  if (exchange.payload !== null && Object.hasOwn(exchange.payload, 'request_id'))
    fail('the peer_exchange after the handshake has a request_id', exchange.payload);
  const [summary] = connection.seen('state_summary');
  if (summary === undefined || summary.index > exchange.index)
    fail('the peer_exchange came before the state_summary');
  const count = connection.seen('peer_exchange').length;
  if (count !== 1) fail(`${count} peer_exchanges after the handshake, expected one`);
}

/** A full node: an error and a list in place of a hello. */
function refuseAsFull(connection: Connection, entry: PeerEntry): void {
  connection.onMessage((message) => {
    if (message.type !== 'hello') return;
    connection.send('error', errorPayload('TOO_MANY_PEERS', 'no place', { request_id: message.id }));
    connection.send('peer_exchange', peerExchange([entry]));
    void connection.close(4429);
  });
}
