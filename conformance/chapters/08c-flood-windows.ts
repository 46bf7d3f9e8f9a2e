/** § 8.3 Flood prevention, the window: a place is free again 60 s after it was taken, whatever was tried meanwhile. */

import type { Connection } from '../../harness/wire/connection.ts';
import type { Item } from '../../harness/wire/items.ts';
import { byHash, limited, submit, useUpItems, useUpQueries } from '../limits.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement, unseen } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'FLD-06',
    level: 'must',
    section: '8.3',
    role: 's',
    quote: 'over any sliding 60 s',
    reading:
      'Each item and query frees its place 60 s after it came, not earlier and not later: no burst at a minute’s boundary, no longer ban for those who tried meanwhile.',
    mutants: [
      'window-fixed',
      'window-calendar',
      'window-refilled',
      'window-thirty-seconds',
      'window-for-ever',
      'window-tries-counted',
      'limited-remembered',
      'retry-after-floored',
    ],
    needs: [],
    durationHintMs: 65_000,
    limitMs: 90_000,
    cpu: 0,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('patient');
      const once = async <T>(use: (connection: Connection) => Promise<T>): Promise<T> => {
        // An idle sync connection ends after 30 s: a new one for every look, which resets nothing.
        const connection = await puppet.join(node);
        const result = await use(connection);
        await connection.close();
        return result;
      };
      let begunAt = 0;
      await once(async (connection) => {
        begunAt = performance.now();
        await useUpItems(connection, puppet, 5);
        await useUpQueries(connection, 15);
      });
      const firstDoneAt = performance.now();
      await bench.sleep(begunAt + 20_000 - performance.now(), 'the first third of a minute');
      await once(async (connection) => {
        await useUpItems(connection, puppet, 5);
        await useUpQueries(connection, 15);
      });
      const tries = async (connection: Connection, when: string): Promise<Item> => {
        const item = puppet.commit();
        const [commit, asked] = [await submit(connection, item), await connection.request('query', byHash)];
        if (performance.now() > begunAt + 59_900)
          unseen(
            `what was sent ${when} was answered at ${Math.round(performance.now() - begunAt)} ms, too late`,
          );
        limited(commit, `commit 11 ${when}`);
        limited(asked, `query 31 ${when}`);
        return item;
      };
      const refused = (when: string): Promise<Item> => once((connection) => tries(connection, when));
      for (let i = 0; i < 5; i += 1) await refused('after 20 s');
      await bench.sleep(begunAt + 40_000 - performance.now(), 'the second third of a minute');
      for (let i = 0; i < 3; i += 1) await refused('after 40 s');
      await bench.sleep(begunAt + 56_000 - performance.now(), 'the end of the minute');
      // One connection for both looks: a handshake may take longer than what is left of the minute.
      const tried = await once(async (connection) => {
        await bench.sleep(begunAt + 58_500 - performance.now(), 'a second and a half to go');
        await tries(connection, 'after 58.5 s');
        // In its last second a wait told in whole seconds would be none.
        await bench.sleep(begunAt + 59_200 - performance.now(), 'less than a second to go');
        return tries(connection, 'after 59.2 s');
      });
      await bench.sleep(firstDoneAt + 61_200 - performance.now(), 'the first five leave the window');
      await once((connection) => reopened(connection, puppet, tried));
      return pass(
        '5 + 5 items and 15 + 15 queries: limited until 59.2 s, and at 61.2 s exactly 5 and 15 more',
      );
    },
  },
];

/** Exactly half of each budget is free again; the item that was refused is taken now, as if it had never been seen. */
async function reopened(connection: Connection, puppet: Puppet, tried: Item): Promise<void> {
  const answer = await submit(connection, tried);
  if (answer.payload?.status !== 'accepted')
    fail(`after 61.2 s the commit that was over the limit was answered ${answer.errorCode ?? answer.text}`);
  await useUpItems(connection, puppet, 4);
  limited(await submit(connection, puppet.commit()), 'a sixth commit while five of the minute before count');
  await useUpQueries(connection, 15);
  limited(await connection.request('query', byHash), 'a 16th query while 15 of the minute before count');
}
