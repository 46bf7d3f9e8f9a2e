/** § 3.1, 3.2 Discovery: how a node finds others from its bootstrap list. */

import { fail, pass, type Requirement } from '../requirement.ts';

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
        fail(`${missed.length} of 3 bootstrap nodes got no peer_request within 5 s`, missed);
      return pass('all 3 bootstrap nodes got a peer_request');
    },
  },
];
