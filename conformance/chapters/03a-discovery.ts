/** § 3.1, 3.2 Discovery: how a node asks its bootstrap nodes, answers as one, and takes what they say. */

import { type PeerEntry, peerExchange, peerRequest } from '../../harness/wire/gossip.ts';
import type { Manners } from '../../harness/wire/manners.ts';
import { answerTo, refusedWithTwin } from '../expect.ts';
import { addressesOf, askForPeers, dialled, entriesOf, firstRequest, helloed } from '../peer-lists.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'DSC-01',
    level: 'must',
    section: '3.1',
    role: 'c',
    quote: 'Nodes maintain a list of bootstrap addresses:',
    reading: 'Every configured bootstrap node gets a peer_request.',
    ruling: 'Profile §5: "Every bootstrap node is queried, in parallel, with peer_request".',
    mutants: ['discovery-first-bootstrap-only'],
    needs: ['start', 'dial-back'],
    durationHintMs: 2_000,
    test: async (bench) => {
      const bootstraps = await bench.puppets(3, 'bootstrap');
      const listeners = await Promise.all(bootstraps.map((puppet) => puppet.listen()));
      await bench.node({ bootstrap: bootstraps.map((puppet) => puppet.bootstrap) });
      const asked = (index: number): boolean =>
        listeners[index]!.accepted.some((connection) => connection.seen('peer_request').length > 0);
      const deadline = performance.now() + 5_000;
      while (![0, 1, 2].every(asked) && performance.now() < deadline)
        await bench.sleep(50, 'waiting for three peer_requests');
      const missed = [0, 1, 2].filter((index) => !asked(index));
      if (missed.length > 0)
        late(`${missed.length} of 3 bootstrap nodes got no peer_request within 5 s`, missed);
      return pass('all 3 bootstrap nodes got a peer_request');
    },
  },
  {
    id: 'DSC-02',
    level: 'must',
    section: '3.2',
    role: 'c',
    quote: '"type": "peer_request",',
    reading:
      'A bootstrap node is asked with exactly one peer_request that holds node_id (that of the hello) and capabilities, an array of strings.',
    ruling:
      'Profile §5: "`peer_request` `{"node_id":own,"capabilities":[…]}`"; §4: a bootstrap connection carries "one `peer_request`".',
    mutants: [
      'peer-request-without-node-id',
      'peer-request-random-node-id',
      'peer-request-capabilities-string',
      'peer-request-capabilities-mixed',
      'peer-request-twice',
    ],
    needs: ['start', 'dial-back'],
    durationHintMs: 1_500,
    test: async (bench) => {
      const bootstrap = await bench.puppet('bootstrap');
      const listener = await bootstrap.listen({ manners: { answerPeerRequest: false } });
      const node = await bench.node({ bootstrap: [bootstrap.bootstrap] });
      const { connection, request } = await firstRequest(bench, listener);
      const [hello] = connection.seen('hello');
      const { node_id, capabilities } = request.payload ?? {};
      if (hello === undefined) return fail('a peer_request came without a hello');
      if (typeof node_id !== 'string') fail('the peer_request has no string node_id', request.payload);
      if (node_id !== hello.payload?.node_id)
        fail(`the peer_request has node_id ${node_id}, the hello ${hello.payload?.node_id}`);
      if (node_id !== node.nodeId)
        fail(`the peer_request has node_id ${node_id}, the node is ${node.nodeId}`);
      if (!Array.isArray(capabilities) || capabilities.some((each) => typeof each !== 'string'))
        fail('capabilities of the peer_request are no array of strings', request.payload);
      if (hello.payload.connection_type === 'bootstrap') {
        // Who asks for peers need not answer anything here: the end tells that no second question comes, or the time.
        await bench.sleep(300, 'a second peer_request would come');
        connection.send('peer_exchange', peerExchange([], request.id));
        await connection.closedWithin(5_000);
        const count = connection.seen('peer_request').length;
        if (count !== 1) fail(`a bootstrap connection carried ${count} peer_requests, expected one`);
      }
      return pass(`peer_request with node_id of the hello and ${capabilities.length} capabilities`);
    },
  },
  {
    id: 'DSC-03',
    level: 'must',
    section: '3.2',
    role: 's',
    quote: 'peers.extend(response.known_peers)',
    reading:
      'A peer_request is answered on its connection with the peers that the node shook hands with, under the addresses that they gave, without asker and itself.',
    ruling:
      'Profile §5: "`peer_exchange` `{"request_id":id of the request,"peers":[…]}`"; "(another\'s node_id: `MALFORMED`)"; "never the asker or oneself".',
    mutants: [
      'peer-list-empty',
      'peer-list-fabricated',
      'peer-list-wrong-request-id',
      'peer-list-last-request-id',
      'peer-list-with-asker',
      'peer-list-with-self',
      'peer-list-without-inbound',
      'peer-request-for-others',
      'peer-list-guessed-address',
    ],
    needs: [],
    fresh: true,
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.node();
      const [a, b, c] = await bench.puppets(3);
      const dialOptions = (puppet: { address: string }) => ({ address: puppet.address });
      await a!.peer(node, dialOptions(a!));
      const told = new Map([
        [a!, a!.address],
        [b!, 'peer-b.cle-net.example:18888'],
      ]);
      await b!.peer(node, { address: told.get(b!)! });
      const persistent = await c!.peer(node, dialOptions(c!));
      const asker = await c!.join(node, { type: 'bootstrap', ...dialOptions(c!) });
      const ids = [1, 2, 3].map(() => asker.send('peer_request', peerRequest(c!.nodeId, ['v1'])));
      await asker.fence();
      const lists: PeerEntry[][] = [];
      for (const id of ids) {
        const answer = await asker.maybe((message) => message.requestId === id, 3_000);
        if (answer === null)
          return fail('a peer_request was not answered under its request_id, though a later message was', {
            asked: ids,
            answered: asker.seen('peer_exchange').map((message) => message.requestId),
          });
        lists.push(entriesOf(answer));
      }
      await asker.fence();
      const answers = asker.seen('peer_exchange');
      if (answers.length !== ids.length) fail(`3 peer_requests got ${answers.length} peer_exchanges`);
      lists.push(await askForPeers(persistent));
      const strangers = new Set<string>();
      for (const peers of lists) {
        for (const [puppet, address] of told) {
          const [known] = addressesOf(peers, puppet);
          if (known === undefined) fail(`${puppet.name} has shaken hands, but is not in the list`, peers);
          if (known !== address) fail(`${puppet.name} said it is at ${address}, the list says ${known}`);
        }
        if (addressesOf(peers, c!).length > 0) fail('the list holds the asker', peers);
        if (addressesOf(peers, node).length > 0) fail('the list holds the node itself', peers);
        for (const { node_id } of peers)
          if (node_id !== a!.nodeId && node_id !== b!.nodeId) strangers.add(node_id);
      }
      // A node that was there before us may rightly know others.
      if (bench.target.abilities.has('instances') && strangers.size > 0)
        fail('a fresh node lists nodes that it has never met', [...strangers]);
      const request = (nodeId: string) => async () =>
        answerTo(asker, asker.send('peer_request', peerRequest(nodeId, ['v1'])));
      await refusedWithTwin(bench, {
        what: 'a peer_request with the node_id of another',
        bad: request(a!.nodeId),
        twin: request(c!.nodeId),
        code: 'MALFORMED',
        close: null,
      });
      return pass('3 requests on one connection each got A and B, and neither asker nor node');
    },
  },
  {
    id: 'DSC-04',
    level: 'must',
    section: '3.2',
    role: 'c',
    quote: '# Filter and deduplicate',
    reading:
      'A peer that three bootstrap nodes name is connected to once; the node dials itself neither from a list nor from its configuration.',
    ruling: 'Profile §5: "The list of bootstrap nodes may hold the node itself (skipped by its key)".',
    mutants: ['discovery-no-dedupe', 'discovery-dials-itself', 'bootstrap-dials-itself'],
    needs: ['start', 'dial-back'],
    durationHintMs: 4_000,
    test: async (bench) => {
      const bootstraps = await bench.puppets(3, 'bootstrap');
      const manners: Partial<Manners> = { answerPeerRequest: false, peers: [] };
      const listeners = await Promise.all(bootstraps.map((puppet) => puppet.listen({ manners })));
      const [peer, last, mirror, ownEntry] = await Promise.all(
        ['peer', 'last', 'mirror', 'own-entry'].map((name) => bench.puppet(name)),
      );
      const [peerListens, lastListens, mirrorListens, ownListens] = await Promise.all(
        [peer!, last!, mirror!, ownEntry!].map((puppet) => puppet.listen()),
      );
      const node = await bench.node({
        bootstrap: [ownEntry!.bootstrap, ...bootstraps.map((puppet) => puppet.bootstrap)],
        configText: (text, ownKey) => text.replaceAll(ownEntry!.identity.publicKeyBase64, ownKey),
      });
      const itself = { node_id: node.nodeId, address: mirror!.address };
      for (const listener of listeners) {
        const { connection, request } = await firstRequest(bench, listener);
        connection.send(
          'peer_exchange',
          peerExchange([itself, peer!.entry, itself, peer!.entry], request.id),
        );
      }
      const joined = await dialled(bench, 'the peer that all three name', peerListens!, 15_000);
      await bench.waitFor('end of the handshake', 5_000, () => joined.seen('peer_exchange').length > 0);
      // Whom a later list names is dialled after all that earlier lists brought about.
      manners.answerPeerRequest = true;
      manners.peers = [last!.entry];
      const accepted = [...listeners, peerListens!].flatMap((listener) => listener.accepted);
      for (const connection of accepted) Object.assign(connection.manners, manners);
      await dialled(bench, 'a peer named later', lastListens!, 20_000);
      const dials = helloed(peerListens!).length;
      if (dials !== 1) fail(`the peer that three lists name got ${dials} persistent connections`);
      if (mirrorListens!.attempts.length > 0) fail('the node dialled an address that a list gave as its own');
      if (ownListens!.attempts.length > 0)
        fail('the node dialled the bootstrap entry that holds its own key', ownListens!.attempts.length);
      return pass('one connection to a peer named six times, none to itself');
    },
  },
];
