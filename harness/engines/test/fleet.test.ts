import { expect } from 'chai';
import type { RunningTestnet } from '../../engine.ts';
import { UsageError } from '../../usage-error.ts';
import { standUp } from '../fleet.ts';

describe('a testnet that does not come up', () => {
  it('says why, also where it cannot be taken down', async () => {
    const said: string[] = [];
    const outcome = await standUp(
      { outDir: '/nowhere', onEvent: (event) => event.kind === 'info' && said.push(event.text) },
      {
        prepare: async () => ({}) as RunningTestnet,
        start: () => Promise.reject(new UsageError('node-1 ended at once')),
        tearDown: () => Promise.reject(new Error('the engine is gone')),
      },
    ).catch((error: unknown) => error);
    expect(outcome).to.be.instanceOf(UsageError);
    expect((outcome as Error).message).to.equal('node-1 ended at once');
    expect(said).to.deep.equal(['left behind: the engine is gone (the next start removes what it can)']);
  });
});
