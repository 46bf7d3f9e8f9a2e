/** What stages and nets of nodes promise to rows, without a node: names that follow from the row, times that are kept. */

import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { itemSet } from '../../harness/wire/items.ts';
import type { Bench } from '../bench.ts';
import { untilAllHold } from '../net.ts';
import type { Joined } from '../puppet.ts';
import { setStage } from '../stage.ts';
import type { NodeUnderTest } from '../target.ts';

const node = {} as NodeUnderTest;

/** A bench of which only the names of its puppets are of interest. */
function namingBench(names: string[]): Bench {
  const puppet = async (name: string): Promise<unknown> => {
    names.push(name);
    return { peer: async () => ({}), join: async () => ({}), commit: () => ({ hash: 'rule_00' }) };
  };
  return { puppet } as unknown as Bench;
}

/** A connection to a node that tells after a while how many items it holds. */
function holding(count: number, afterMs: number): Joined {
  const request = async (): Promise<unknown> => {
    await delay(afterMs);
    return { type: 'sync_digest', payload: { root: '0'.repeat(64), count } };
  };
  return { manners: { items: itemSet() }, request } as unknown as Joined;
}

describe('stages and nets', () => {
  it('name the puppets of a row alike, whatever other rows do at the time', async () => {
    const [first, second] = [[], []] as string[][];
    const benches = [namingBench(first!), namingBench(second!)];
    for (let round = 0; round < 2; round += 1) for (const bench of benches) await setStage(bench, node, []);
    expect(first).to.deep.equal(['author-1', 'honest-1', 'observer-1', 'author-2', 'honest-2', 'observer-2']);
    expect(second).to.deep.equal(first);
  });

  it('count what all hold only while the time lasts', async () => {
    const bench = { step: () => {}, signal: new AbortController().signal } as unknown as Bench;
    expect(await untilAllHold(bench, [holding(3, 1), holding(3, 120)], 3, 60)).to.equal(null);
    expect(await untilAllHold(bench, [holding(3, 1), holding(3, 1)], 3, 5_000)).to.be.within(0, 5_000);
    expect(await untilAllHold(bench, [holding(2, 1)], 3, 50)).to.equal(null);
  });
});
