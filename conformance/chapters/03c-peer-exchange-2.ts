/** § 3.3 Peer exchange: long lists, poisoned ones, and addresses of all forms. */

import type { PeerEntry } from '../../harness/wire/gossip.ts';
import type { Json } from '../../harness/wire/json.ts';
import { type Listener, listenTcp, type TcpListener } from '../../harness/wire/listener.ts';
import { splitAddress } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { addressesOf, askForPeers, helloed, madeUp, refusing, silent } from '../peer-lists.ts';
import type { Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'PEX-06',
    level: 'should',
    section: '3.3',
    role: 's',
    quote: 'At most 20 dials of learned addresses start in any 10 s.',
    reading:
      'Of a list of 450 made-up peers only the first 50 entries count, ten bad ones among them, and at most 20 dials start in 10 s; own lists have at most 50 entries.',
    ruling:
      'Profile §5: "of a longer list the first 50 entries count, good or bad"; "A list has at most 50 entries".',
    mutants: ['dials-unlimited', 'dials-whole-list', 'dials-first-good', 'peer-list-oversize'],
    needs: ['start', 'instances', 'dial-back'],
    fresh: false,
    durationHintMs: 14_000,
    limitMs: 115_000,
    cpu: 0.2,
    test: async (bench) => {
      const [node, crowded] = await bench.nodes(2, (index) =>
        index === 0 ? {} : { parameters: { bucket_size: 200, target_peers: 1 } },
      );
      const head = await refusing(bench, 40, 'head');
      const bads: Json[] = [
        null,
        'no entry',
        { node_id: madeUp(bench), address: 7 },
        { node_id: 'no id', address: null },
      ];
      const tail = await refusing(bench, 20, 'tail');
      const fake = (listener: TcpListener): PeerEntry => ({
        node_id: madeUp(bench),
        address: listener.address,
      });
      // A bad one in five: they count among the first 50 as the good ones do.
      const firsts = head.flatMap((listener, index): (PeerEntry | Json)[] =>
        index % 4 === 3 ? [fake(listener), bads[index % bads.length]!] : [fake(listener)],
      );
      const list = [
        ...firsts,
        ...Array.from({ length: 400 }, (_, index) => fake(tail[index % tail.length]!)),
      ];
      const longest = await longestListOf(bench, crowded!);
      await (await bench.puppet('liar')).peer(node!, { peers: list });
      await bench.waitFor('dial of a listed address', 10_000, () => startsAt(head).length > 0);
      await bench.sleep(11_000, 'a window of 10 s passes');
      const starts = startsAt(head);
      // An accept may be noticed late: of two that are 10 s apart the first.
      const most = Math.max(
        ...starts.map((at) => starts.filter((each) => each >= at && each < at + 9_000).length),
      );
      if (startsAt(tail).length > 0)
        fail(`${startsAt(tail).length} dials of entries beyond the first 50 of a list`, {
          head: starts.length,
        });
      if (most > 20) late(`${most} dials of learned addresses within 10 s, at most 20 are allowed`, starts);
      return pass(`${most} dials in 10 s, none beyond the first 50 entries; the longest list had ${longest}`);
    },
  },
  {
    id: 'PEX-07',
    level: 'should',
    section: '3.3',
    role: 's',
    quote:
      'A list has at most 50 entries, never the asker or oneself, only peers with whom a handshake succeeded and, if they were dialled since, answered.',
    reading:
      'Neither somebody only heard of nor a peer that did not answer a later dial is passed on, nor the asker and the node itself.',
    mutants: ['peer-list-unverified', 'peer-list-unreachable', 'peer-list-with-asker', 'peer-list-with-self'],
    needs: ['dial-back'],
    durationHintMs: 4_000,
    limitMs: 60_000,
    test: async (bench) => {
      const node = await bench.node();
      const [good, gone, hidden, liar, asker, nobody] = await bench.puppets(6);
      const [left] = await refusing(bench, 1, 'left');
      // A dial of it neither succeeds nor fails until the first list was looked at.
      const { listener: dead, release } = await silent(bench, nobody!);
      const fake = { node_id: madeUp(bench), address: dead.address };
      await good!.peer(node, { address: good!.address });
      await hidden!.peer(node, { address: null });
      const connection = await gone!.join(node, { address: left!.address });
      const observer = await asker!.peer(node, { address: asker!.address });
      await liar!.peer(node, { peers: [fake] });
      await observer.fence();
      const look = async (): Promise<PeerEntry[]> => {
        const peers = await askForPeers(observer);
        if (addressesOf(peers, { nodeId: fake.node_id }).length > 0)
          fail('the list holds a node that the node has only heard of', peers);
        if (addressesOf(peers, asker!).length > 0) fail('the list holds the asker', peers);
        if (addressesOf(peers, node).length > 0) fail('the list holds the node itself', peers);
        if (addressesOf(peers, hidden!).length > 0) fail('the list holds a peer that gave no address', peers);
        if (addressesOf(peers, good!).length !== 1) fail('the list lacks a peer that is connected', peers);
        return peers;
      };
      await look();
      release();
      await connection.close();
      await bench.waitFor('dial of somebody only heard of', 20_000, () => dead.accepts.length > 0);
      await bench.waitFor('dial of a peer that left', 20_000, () => left!.accepts.length > 0);
      let asked = 0;
      let peers = await look();
      // What became of the dial is known to the node a moment after we reset it.
      while (addressesOf(peers, gone!).length > 0 && asked++ < 12) {
        await bench.sleep(250, 'the failed dial is noticed');
        peers = await look();
      }
      if (addressesOf(peers, gone!).length > 0)
        fail('the list still holds a peer that did not answer a dial', peers);
      return pass('only the peer that is there was listed, before and after the dials of the others failed');
    },
  },
  {
    id: 'PEX-08',
    level: 'should',
    section: '3.3',
    role: 'c',
    quote: 'IPv6 as `[addr]:port`.',
    reading:
      'Addresses with an IPv6 literal, a DNS name and a name of the configured map are dialled, port and all.',
    ruling:
      'Profile §10 hosts: "optional dial map from name to address, consulted before DNS; the port stays".',
    mutants: [
      'address-split-at-first-colon',
      'address-no-names',
      'address-map-ignored',
      'address-no-dots-in-six',
    ],
    needs: ['start', 'dial-back'],
    durationHintMs: 3_000,
    limitMs: 60_000,
    test: async (bench) => {
      const [source, plain, named, mapped, six, within, asker] = await bench.puppets(7, 'p');
      const port = (puppet: { address: string }): number => splitAddress(puppet.address).port;
      const told: [Puppet, string, Listener[]][] = [
        [plain!, plain!.address, [await plain!.listen()]],
        [mapped!, `peer.cle-net.example:${port(mapped!)}`, [await mapped!.listen()]],
      ];
      const { name, meaning, six: sixHost } = bench.target.ways;
      const byName = await listenEverywhere(bench, named!, meaning);
      told.push([named!, `${name}:${byName[0]!.port}`, byName]);
      const overSix = sixHost === null ? [] : await listenEverywhere(bench, six!, [sixHost]);
      if (overSix.length > 0) {
        told.push([six!, overSix[0]!.address, overSix]);
        // An IPv4 address as IPv6 writes it (RFC 4291 §2.5.5.2), dotted end and all.
        told.push([
          within!,
          `[::ffff:${splitAddress(within!.address).host}]:${port(within!)}`,
          [await within!.listen()],
        ]);
      }
      const node = await bench.node({
        hosts: { 'peer.cle-net.example': splitAddress(mapped!.address).host },
      });
      await source!.peer(node, {
        peers: told.map(([{ nodeId }, address]) => ({ node_id: nodeId, address })),
      });
      for (const [, address, listeners] of told) {
        await bench.waitFor(`dial of ${address}`, 20_000, () =>
          listeners.some((listener) => helloed(listener).length > 0),
        );
      }
      const peers = await askForPeers(await asker!.join(node));
      for (const [puppet, address, listeners] of told) {
        const said = addressesOf(peers, puppet)[0] ?? 'nowhere';
        // As it was told, or as the peer itself said in its hello.
        const known = [address, puppet.address, ...listeners.map((listener) => listener.address)];
        if (!known.includes(said)) fail(`a peer dialled at ${address} is listed at ${said}`, peers);
      }
      return pass(`dialled: ${told.map(([, address]) => address).join(', ')}`);
    },
  },
];

/** Listeners of one puppet on one free port of several addresses; those that this host does not have are left out. */
async function listenEverywhere(bench: Bench, owner: Puppet, hosts: readonly string[]): Promise<Listener[]> {
  const probe = await listenTcp('127.0.0.1', 0);
  const { port } = splitAddress(probe.address);
  await probe.close();
  const listeners: Listener[] = [];
  for (const host of hosts) {
    const options = { identity: owner.identity, address: `${host}:${port}` };
    const puppet = await bench.puppet(`${owner.name}@${host}`, options);
    const listener = await puppet.listen().catch(() => null);
    if (listener !== null) listeners.push(listener);
  }
  return listeners;
}

function startsAt(listeners: readonly TcpListener[]): number[] {
  return listeners.flatMap((listener) => [...listener.accepts]).sort((a, b) => a - b);
}

/** The list of a node that knows 55 peers and wants no more than the one it has. */
async function longestListOf(bench: Bench, node: NodeUnderTest): Promise<number> {
  await (await bench.puppet('holder')).peer(node);
  const puppets = await bench.puppets(55, 'known');
  for (const puppet of puppets) await puppet.join(node, { address: puppet.address });
  return (await askForPeers(await (await bench.puppet('asker')).join(node))).length;
}
