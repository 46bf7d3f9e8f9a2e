/** What is undone when the engine gives no word for what it did; with an engine that is none, because a real one does so only by chance. */

import { expect } from 'chai';
import { listen } from '../../../links/test/servers.ts';
import type { FleetNode } from '../fleet-node.ts';
import { type ContainerLife, freeze } from '../life.ts';
import { type PerturbGround, perturb } from '../perturb.ts';
import { answersInTime } from '../toxiproxy.ts';

const refused = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => '',
    (error: Error) => error.message,
  );

describe("docker: without the engine's word", () => {
  const calls: string[] = [];
  const does = (what: string) => async (): Promise<void> => void calls.push(what);
  beforeEach(() => calls.splice(0));

  it('a node is plugged in again', async () => {
    const network = { disconnect: does('disconnect'), connect: does('connect') };
    const ground = {
      docker: { getNetwork: () => network },
      words: { mark: () => 0, expect: async () => null },
    } as unknown as PerturbGround;
    const node = { make: {}, life: { name: 'node-1', ip: '10.0.0.1', container: { id: 'c' } } };
    const words = await refused(perturb(ground, node as unknown as FleetNode, { ability: 'unplug' }));
    expect(words).to.equal('the engine never said "disconnect" of node-1');
    expect(calls).to.deep.equal(['disconnect', 'connect']);
  });

  it('a paused container goes on', async () => {
    const inspect = async (): Promise<never> => {
      throw new Error('server error');
    };
    const container = { id: 'c', pause: does('pause'), unpause: does('unpause'), inspect };
    const life = { name: 'node-1', running: true, container } as unknown as ContainerLife;
    expect(await refused(freeze(life, true))).to.equal('server error');
    expect(calls).to.deep.equal(['pause', 'unpause']);
  });

  it('a Toxiproxy that refuses is gone, one that is silent is frozen', async () => {
    const silent = await listen(() => {});
    const url = `http://${silent.address}`;
    expect(await refused(answersInTime(url, 50))).to.match(/is frozen: no answer at \S+ within 50 ms$/);
    await silent.close();
    expect(await refused(answersInTime(url))).to.match(/is gone: http:\S+: connect ECONNREFUSED [\d.:]+$/);
  });
});
