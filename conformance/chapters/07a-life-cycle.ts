/** § 7.1 Connection life cycle: states, slots, redials, restarts. */

import { accepted, stateOf } from '../expect.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'LIF-10',
    level: 'must',
    section: '7.1',
    role: 'n',
    quote: 'After `kill -9` everything acknowledged is still in `data_dir`',
    reading:
      'A node that is killed and started again has its identity and its state, takes its peers back and lists each once.',
    mutants: ['store-forgets-on-restart'],
    needs: ['start', 'restart'],
    durationHintMs: 3_000,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node();
      const peer = await bench.puppet('peer');
      const before = await peer.peer(node, { address: peer.address });
      for (let i = 0; i < 5; i++) await accepted(before, peer.commit());
      const digest = await stateOf(before);
      bench.step('kill -9 and start');
      await node.control!.kill();
      await node.control!.start();
      const after = await peer.peer(node, { address: peer.address });
      if (typeof after.peer === 'string')
        fail(`after the restart its certificate proves nothing: ${after.peer}`);
      const now = await stateOf(after);
      if (now.root !== digest.root)
        fail(
          `state ${now.root} of ${now.count} items after kill -9, ${digest.root} of ${digest.count} before`,
        );
      const asker = await (await bench.puppet('asker')).join(node);
      const list = await asker.request('peer_request', {
        node_id: asker.puppet.identity.nodeId,
        capabilities: [],
      });
      const entries = (list.payload?.peers ?? []).filter(
        (entry: { node_id: string }) => entry.node_id === peer.nodeId,
      );
      if (entries.length !== 1)
        fail(`the peer that came back is listed ${entries.length} times`, list.payload);
      return pass(
        `${digest.count} items and the identity survived kill -9; the peer was taken back and is listed once`,
      );
    },
  },
];
