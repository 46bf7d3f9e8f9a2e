/** § 7.1 Connection life cycle: who is not dialled again for how long after the close code with which it ended its connection. */

import type { Connection } from '../../harness/wire/connection.ts';

import { dialled } from '../peer-lists.ts';
import { fail, pass, type Requirement, unseen } from '../requirement.ts';
import { reached } from '../states.ts';
import { advertise, capabilities, persistentDials } from './07a-life-cycle-dials.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'LIF-11',
    level: 'should',
    section: '7.1',
    role: 'c',
    quote:
      'After 4401 and 4426 it neither redials nor chooses that node again until the node itself connects; after 4409 not while another connection to it stands; after 4429 not before 60 s.',
    reading:
      'Peers that ended their connection with 4401, 4426 or 4429 are not dialled while one that was lost is, though a peer goes on naming them: the last not within 60 s, the first two not before they connect themselves.',
    mutants: [
      'redials-after-4401',
      'redials-after-4426',
      'redials-after-4429',
      'redials-4429-after-half-a-minute',
      'redials-never',
      'barred-for-ever',
    ],
    needs: ['dial-back'],
    durationHintMs: 64_000,
    limitMs: 140_000,
    cpu: 0,
    test: async (bench) => {
      const node = await bench.node();
      const puppets = await bench.puppets(5, 'far');
      const listeners = await Promise.all(puppets.map((puppet) => puppet.listen()));
      const peers = puppets.map((puppet) => puppet.entry);
      const witness = await advertise(bench, node, puppets);
      const teller = await bench.puppet('teller');
      const codes = [4401, 4426, 4429, 4401] as const;
      const connections: Connection[] = [];
      for (const [index, listener] of listeners.entries())
        connections.push(await dialled(bench, puppets[index]!.name, listener, 20_000));
      const from = performance.now();
      await Promise.all(codes.map((code, index) => connections[index]!.close(code, 'told to')));
      const before = listeners.map(persistentDials);
      connections[4]!.reset();
      const named = async (untilMs: number, judged: readonly number[]): Promise<void> => {
        while (performance.now() < from + untilMs - 1_000) {
          const again = await teller.peer(node, { capabilities: [], peers });
          await bench.sleep(1_000, 'whom it dials again');
          await again.close();
        }
        const elapsed = Math.round((performance.now() - from) / 1000);
        for (const index of judged) {
          const dials = persistentDials(listeners[index]!) - before[index]!;
          // A tester that looks too late cannot tell when it was.
          if (dials > 0 && elapsed >= 60)
            unseen(`whom it dials again was looked at after ${elapsed} s, which is too late`);
          if (dials > 0)
            fail(`a peer that closed with ${codes[index]} was dialled again ${dials} times in ${elapsed} s`);
        }
      };
      await named(9_000, [0, 1, 2, 3]);
      await bench.waitFor(
        'redial of the peer that was lost',
        12_000,
        () => persistentDials(listeners[4]!) > before[4]!,
      );
      bench.step('one that had closed with 4401 connects itself');
      const back = await puppets[3]!.peer(node, { capabilities, address: puppets[3]!.address });
      await back.fence();
      back.reset();
      await named(57_000, [0, 1, 2]);
      await reached(
        bench,
        witness,
        'dial of a peer that had closed with 4401 and has connected itself since',
        12_000,
        async () => persistentDials(listeners[3]!) > before[3]!,
      );
      return pass(
        'dialled again were the lost peer and one that connected itself after 4401, in 57 s none else that closed with 4401, 4426 or 4429',
      );
    },
  },
];
