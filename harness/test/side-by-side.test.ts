import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { sideBySide } from '../side-by-side.ts';

describe('works side by side', () => {
  it('are so many at a time, and end before the first failure is thrown', async () => {
    let running = 0;
    let most = 0;
    const done: number[] = [];
    const work = async (n: number): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await sleep(5);
      running -= 1;
      if (n === 4) throw new Error('four');
      done.push(n);
    };
    await sideBySide(3, [0, 1, 2], work);
    expect([most, done]).to.deep.equal([3, [0, 1, 2]]);
    const failed = await sideBySide(2, [3, 4, 5, 6, 7, 8], work).catch((error: Error) => error.message);
    expect([failed, running]).to.deep.equal(['four', 0]);
    expect(done).to.not.include(7);
    await sideBySide(2, [], work);
  });
});
