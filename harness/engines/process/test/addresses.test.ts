import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { UsageError } from '../../../usage-error.ts';
import { type Addresses, claimAddresses, isFree, mostNodes } from '../addresses.ts';

describe('loopback addresses of a run', () => {
  const claimed: Addresses[] = [];
  const claim = async (scheme?: Addresses['scheme']): Promise<Addresses> => {
    const addresses = await claimAddresses(scheme);
    claimed.push(addresses);
    return addresses;
  };
  afterEach(async () => {
    for (const addresses of claimed.splice(0)) await addresses.release();
  });

  for (const scheme of ['aliases', 'ports'] as const) {
    it(`are another run's never, and each is given once (${scheme})`, async () => {
      const [one, two] = [await claim(scheme), await claim(scheme)];
      const given: string[] = [];
      for (const addresses of [one, two]) {
        for (let index = 1; index <= 20; index += 1) given.push(addresses.node(index));
        for (let index = 1; index <= 20; index += 1) {
          given.push(addresses.link(scheme === 'ports' ? null : 21 - index, index));
          given.push(addresses.next());
        }
      }
      expect(new Set(given).size).to.equal(given.length);
      for (const address of given) expect(await isFree(address), address).to.equal(true);
    });
  }

  it('never clash among nodes, links and single instances of one slice', async () => {
    const addresses = await claim('aliases');
    const given = new Set<string>();
    let count = 0;
    const take = (address: string): void => {
      given.add(address);
      count += 1;
    };
    for (let from = 1; from <= mostNodes; from += 1) {
      take(addresses.node(from));
      for (let to = 1; to <= mostNodes; to += 1) if (from !== to) take(addresses.link(from, to));
    }
    for (let index = 0; index < 1000; index += 1) take(addresses.next());
    expect(given.size).to.equal(count);
    expect(() => addresses.node(mostNodes + 1)).to.throw(UsageError, /enough for 250 nodes/);
  });

  it('are on another port where somebody listens on the first one of all addresses', async () => {
    const everywhere = createServer();
    everywhere.listen(23_571, '0.0.0.0');
    await once(everywhere, 'listening');
    try {
      const addresses = await claimAddresses('aliases', [23_571, 23_572]);
      claimed.push(addresses);
      expect(addresses.node(1)).to.match(/:23572$/);
      expect(await isFree(addresses.node(1))).to.equal(true);
      const error = await claimAddresses('aliases', [23_571]).then(
        () => null,
        (reason: unknown) => reason as Error,
      );
      expect(error).to.be.instanceOf(UsageError);
      expect(error!.message).to.match(/something listens on all of 127/);
    } finally {
      await new Promise((resolve) => everywhere.close(resolve));
    }
  });

  it('tell a taken address from a free one', async () => {
    const address = (await claim()).next();
    const server = createServer();
    const [host, port] = address.split(':');
    server.listen(Number(port), host);
    await once(server, 'listening');
    expect(await isFree(address)).to.equal(false);
    await new Promise((resolve) => server.close(resolve));
    expect(await isFree(address)).to.equal(true);
  });
});
