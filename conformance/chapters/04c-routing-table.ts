/** § 4.3 Routing table: who stays in a bucket and who makes way, seen in the lists that the node gives. */

import { closedWith } from '../expect.ts';
import { addressesOf, askForPeers } from '../peer-lists.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
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
    mutants: ['routing-duplicates', 'routing-first-address', 'routing-null-keeps-address'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.node();
      const [moving, still, asker] = await bench.puppets(3);
      await still!.peer(node, { address: still!.address });
      const observer = await asker!.join(node);
      let last = await moving!.peer(node, { address: 'one.cle-net.example:8888' });
      for (const address of ['two.cle-net.example:8888', 'one.cle-net.example:8889', '[2001:db8::7]:8888']) {
        const next = await moving!.peer(node, { address });
        await closedWith(last, 4409);
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
