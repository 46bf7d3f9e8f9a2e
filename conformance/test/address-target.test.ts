/** How rows share the one node at somebody's address. */

import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { readersAndWriters } from '../target-address.ts';

describe('one node for all rows', () => {
  /** Rows that ask in this order, each for a few ms; what began and ended, in order. */
  const trace = async (
    asked: readonly [hold: 'fresh' | 'shared' | 'alone', id: string][],
  ): Promise<string[]> => {
    const holds = readersAndWriters(1);
    const log: string[] = [];
    await Promise.all(
      asked.map(async ([hold, id]) => {
        const leave = await holds[hold]();
        log.push(`+${id}`);
        await delay(5);
        log.push(`-${id}`);
        await leave();
        await leave();
      }),
    );
    return log;
  };

  it('is shared by those who share, and had alone by the others', async () => {
    expect(
      await trace([
        ['shared', 'a'],
        ['shared', 'b'],
        ['alone', 'c'],
        ['alone', 'd'],
      ]),
    ).to.deep.equal(['+a', '+b', '-a', '-b', '+c', '-c', '+d', '-d']);
  });

  it('is had by those first who want it as it came, and last by those who want it alone', async () => {
    expect(
      await trace([
        ['alone', 'first come'],
        ['alone', 'c'],
        ['shared', 'a'],
        ['fresh', 'x'],
        ['shared', 'b'],
        ['fresh', 'y'],
      ]),
    ).to.deep.equal([
      ...['+first come', '-first come', '+x', '-x', '+y', '-y'],
      ...['+a', '+b', '-a', '-b', '+c', '-c'],
    ]);
  });
});
