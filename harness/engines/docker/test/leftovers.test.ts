/** What becomes of a network that the engine will not let go; with an engine that is none, because a real one does so only by chance. */

import { expect } from 'chai';
import type Docker from 'dockerode';
import { removeNetwork } from '../leftovers.ts';

const held = Object.assign(new Error('has active endpoints'), { statusCode: 403 });
const gone = Object.assign(new Error('no such network'), { statusCode: 404 });

/** An engine with one network: refuses its removal `refusals` times, and says who is connected. */
function engine(refusals: number, connected: readonly string[], final: Error | null = null) {
  const calls: string[] = [];
  let left = refusals;
  const network = {
    async remove() {
      calls.push('remove');
      if (left-- > 0) throw held;
      if (final !== null) throw final;
    },
    inspect: async () => ({ Containers: Object.fromEntries(connected.map((id) => [id, {}])) }),
    async disconnect({ Container }: { Container: string }) {
      calls.push(`disconnect ${Container}`);
    },
  };
  return { calls, docker: { getNetwork: () => network } as unknown as Docker };
}

describe('docker: a network that stays', () => {
  it('is removed once what it still holds is cut off', async () => {
    const { calls, docker } = engine(1, ['c1']);
    expect(await removeNetwork(docker, 'n')).to.equal(true);
    expect(calls).to.deep.equal(['remove', 'disconnect c1', 'remove']);
  });

  it('is gone if somebody else removed it meanwhile', async () => {
    expect(await removeNetwork(engine(1, [], gone).docker, 'n')).to.equal(true);
  });

  it('is given up, and said so, where the engine counts a container that is gone', async () => {
    expect(await removeNetwork(engine(Number.POSITIVE_INFINITY, []).docker, 'n')).to.equal(false);
  });

  it('is an error of ours while containers are in it that cannot be cut off', async () => {
    const outcome = await removeNetwork(engine(Number.POSITIVE_INFINITY, ['c1']).docker, 'n').catch(
      (error: Error) => error.message,
    );
    expect(outcome).to.match(/the containers c1 cannot be cut off/);
  });
});
