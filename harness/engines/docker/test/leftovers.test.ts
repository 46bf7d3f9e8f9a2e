/** What becomes of things that the engine will not let go, and of things of others; with an engine that is none, because a real one does so only by chance. */

import { expect } from 'chai';
import type Docker from 'dockerode';
import { machineFacts } from '../../../run-record.ts';
import { removeFound, removeNetwork, sweepEngine } from '../leftovers.ts';
import { removeWatched } from '../watchdog.ts';

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

/** An engine with two containers, a network and a volume, all with the same labels; `stubborn` are not removed. */
function fullEngine(Labels: Record<string, string>, stubborn: string[] = [], gateway?: string) {
  const tried: string[] = [];
  const thing = (name: string) => ({
    async remove() {
      tried.push(name);
      if (stubborn.includes(name)) throw Object.assign(new Error(`${name} is busy`), { statusCode: 500 });
    },
    inspect: async () => ({}),
  });
  const docker = {
    listContainers: async () => ['c1', 'c2'].map((Id) => ({ Id, Labels })),
    listNetworks: async ({ filters }: { filters: { driver?: string[] } }) => {
      if (filters.driver === undefined) return [{ Id: 'n', Name: 'n', Labels }];
      return gateway === undefined ? [] : [{ IPAM: { Config: [{ Gateway: gateway }] } }];
    },
    listVolumes: async () => ({ Volumes: [{ Name: 'v', Labels }] }),
    getContainer: thing,
    getNetwork: thing,
    getVolume: thing,
  } as unknown as Docker;
  return { docker, tried };
}

describe('docker: the things of a run', () => {
  it('all go but the one that will not, and that one is told', async () => {
    const { docker, tried } = fullEngine({}, ['c1']);
    const outcome = await removeFound(docker, '1-1-1').catch((error: Error) => error.message);
    expect(outcome).to.equal('c1 is busy');
    expect(tried).to.have.members(['c1', 'c2', 'n', 'v']);
  });

  it('are left to the watchdog if one of them stays', async () => {
    const dismissed: string[] = [];
    const dismiss = async (): Promise<void> => void dismissed.push('dismissed');
    await removeWatched(fullEngine({}, ['v']).docker, '1-1-1', { dismiss }).catch(() => {});
    expect(dismissed).to.deep.equal([]);
    await removeWatched(fullEngine({}).docker, '1-1-1', { dismiss });
    expect(dismissed).to.deep.equal(['dismissed']);
  });
});

describe('docker: a sweep beside other machines', () => {
  const labelled = (machine: string): Record<string, string> => ({
    'cle-testnet.run': `${process.pid}-1-1`,
    'cle-testnet.machine': machine,
  });
  const otherBoot = labelled('another-boot pid:[1]');
  const nowhere = '203.0.113.1';

  it('leaves what another boot has made, unless the engine is on this very machine', async () => {
    const remote = fullEngine(otherBoot);
    expect((await sweepEngine({ docker: remote.docker, local: false })).runs).to.deep.equal([]);
    const virtual = fullEngine(otherBoot, [], nowhere);
    expect((await sweepEngine({ docker: virtual.docker, local: true })).runs).to.deep.equal([]);
    expect([...remote.tried, ...virtual.tried]).to.deep.equal([]);
    const here = fullEngine(otherBoot, [], '127.0.0.1');
    expect((await sweepEngine({ docker: here.docker, local: true })).runs).to.have.length(1);
  });

  it('removes what its own machine has made, wherever the engine is', async () => {
    const { bootId, pidNamespace } = machineFacts();
    const { docker } = fullEngine(labelled(`${bootId} ${pidNamespace}`), [], nowhere);
    expect((await sweepEngine({ docker, local: false })).runs).to.have.length(1);
  });
});
