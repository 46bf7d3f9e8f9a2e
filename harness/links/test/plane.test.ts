/**
 * The fault plane over both servers: base latency, each fault with a receipt that its effect was seen, faults that add up and
 * are cured in any order, counters, health, and a clear word where a given server cannot do it.
 */

import { once } from 'node:events';
import { expect } from 'chai';
import type { Receipt } from '../../engine.ts';
import { lacks } from '../../test/prerequisite.ts';
import { UsageError } from '../../usage-error.ts';
import type { AppliedLinkFault, LinkFault, Pair } from '../fault-plane.ts';
import { type LinkPlane, openFaultPlane } from '../plane.ts';
import { createToxiproxyClient } from '../toxiproxy-client.ts';
import {
  contestants,
  dial,
  hear,
  installer,
  type Listener,
  listen,
  listenEcho,
  Missing,
  roundTripMs,
  type ServerUnderTest,
} from './servers.ts';

const names = ['a', 'b', 'c'];
const evidence = (receipt: Receipt) =>
  receipt.evidence as {
    proved: boolean;
    by: string;
    probes: { proved: boolean | null; roundTripMs?: number }[];
  };

/** Free loopback ports, so that the tests need no aliases. */
async function freeAddresses(count: number): Promise<string[]> {
  const held = await Promise.all(Array.from({ length: count }, () => listen(() => {})));
  const addresses = held.map(({ address }) => address);
  await Promise.all(held.map((listener) => listener.close()));
  return addresses;
}

for (const contestant of contestants) {
  const real = contestant.name === 'toxiproxy';
  describe(`fault plane: ${real ? 'a given Toxiproxy' : 'embedded'}`, function () {
    this.timeout(30_000);
    let server: ServerUnderTest | null = null;
    let nodes: Map<string, Listener>;
    let plane: LinkPlane;
    /** Of the plane that was opened last. */
    let addresses: Map<string, string>;

    let opened = 0;
    /** What a test left in force when it failed would be in the way of its next try and of every test behind it. */
    let inForce: AppliedLinkFault[] = [];
    const noting = (made: LinkPlane): LinkPlane => ({
      ...made,
      async apply(pairs, fault) {
        const applied = await made.apply(pairs, fault);
        inForce.push(applied);
        return applied;
      },
    });
    const open = async (baseLatency = { latencyMs: 20, jitterMs: 5 }): Promise<LinkPlane> => {
      const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => ({ from, to })));
      opened += 1;
      const free = await freeAddresses(pairs.length);
      addresses = new Map(pairs.map(({ from, to }, i) => [`${from}>${to}`, free[i]!]));
      const made = await openFaultPlane({
        pairs: pairs.map((pair, i) => ({ ...pair, listen: free[i]!, upstream: nodes.get(pair.to)!.address })),
        baseLatency,
        server: server === null ? 'embedded' : { url: server.url },
        seed: 5,
        ...(server === null ? {} : { namePrefix: `run-${opened}-` }),
      });
      return noting(made);
    };
    const all = (): Pair[] => plane.pairs.map(({ from, to }) => ({ from, to }));
    const ab: Pair[] = [{ from: 'a', to: 'b' }];
    const through = (link: string): Promise<Awaited<ReturnType<typeof dial>>> => dial(addresses.get(link)!);

    before(async function () {
      this.timeout(320_000);
      try {
        server = real ? await contestant.start() : null;
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        return lacks(this, error.message, installer);
      }
      nodes = new Map(await Promise.all(names.map(async (name) => [name, await listenEcho()] as const)));
      plane = await open();
    });
    after(async () => {
      await plane?.close();
      await server?.stop();
      for (const node of nodes?.values() ?? []) await node.close();
    });
    afterEach(async () => {
      const left = inForce;
      inForce = [];
      await plane.assertHealthy();
      await Promise.all(left.map(({ cure }) => cure()));
    });

    it('makes every link with its base latency, both ways', async () => {
      for (const link of ['a>b', 'c>a'])
        expect(await roundTripMs(await through(link))).to.be.within(29, 1500);
      expect(plane.server).to.equal(real ? 'toxiproxy 2.12.0' : 'embedded');
      expect(Object.keys(await createToxiproxyClient(plane.apiUrl).proxies()).sort()[0]).to.equal(
        real ? 'run-1-a>b' : 'a>b',
      );
    });

    const faults: LinkFault[] = [
      { kind: 'latency', latencyMs: 150, jitterMs: 10 },
      { kind: 'latency', latencyMs: 120, jitterMs: 0, streams: ['back'] },
      { kind: 'cut' },
      { kind: 'cut', streams: ['forth'] },
      { kind: 'cut', streams: ['back'] },
      { kind: 'down' },
      { kind: 'bandwidth', bytesPerSecond: 2000 },
      { kind: 'black-hole' },
      { kind: 'black-hole', streams: ['back'] },
      { kind: 'slow-close', delayMs: 200 },
      // So far apart that a test process which stands still for a moment does not read several pieces as one.
      { kind: 'slice', bytes: 40, delayUs: 30_000 },
    ];
    for (const fault of faults) {
      const streams = 'streams' in fault && fault.streams !== undefined ? ` ${fault.streams.join()}` : '';
      it(`${fault.kind}${streams}: receipt and cure both saw it`, async () => {
        const applied = await plane.apply(all(), fault);
        expect(applied.receipt.evidence, JSON.stringify(applied.receipt)).to.include({
          proved: true,
          by: 'traffic',
          links: 6,
        });
        await plane.assertHealthy();
        const cured = await applied.cure();
        expect(cured.evidence, JSON.stringify(cured)).to.include({ proved: true, by: 'traffic' });
        expect(cured.at).to.be.greaterThan(applied.receipt.at);
        expect(await applied.cure()).to.equal(cured);
        expect(await roundTripMs(await through('a>b'))).to.be.lessThan(1500);
      });
    }

    it('reset ends what lives and nothing later', async () => {
      const socket = await through('a>b');
      await roundTripMs(socket);
      const heard = hear(socket, 5000);
      const { receipt, cure } = await plane.apply(ab, { kind: 'reset' });
      expect(receipt.evidence).to.include({ proved: true });
      expect((await heard).how).to.be.oneOf(real ? ['end', 'ECONNRESET'] : ['ECONNRESET']);
      await cure();
      expect(await roundTripMs(await through('a>b'))).to.be.lessThan(1500);
    });

    it('a fault strikes its pairs only', async () => {
      const applied = await plane.apply(ab, { kind: 'cut' });
      expect(await roundTripMs(await through('a>b'), 150)).to.equal(Number.POSITIVE_INFINITY);
      for (const link of ['b>a', 'a>c', 'c>b'])
        expect(await roundTripMs(await through(link))).to.be.lessThan(1500);
      await applied.cure();
    });

    it('several faults on one pair add up and are cured in any order', async () => {
      const lag: LinkFault = { kind: 'latency', latencyMs: 100, jitterMs: 0, streams: ['forth'] };
      const one = await plane.apply(ab, lag);
      const two = await plane.apply(ab, lag);
      expect(await roundTripMs(await through('a>b'))).to.be.within(228, 2500);
      const cuts = [await plane.apply(ab, { kind: 'cut' }), await plane.apply(ab, { kind: 'cut' })];
      const downs = [await plane.apply(ab, { kind: 'down' }), await plane.apply(ab, { kind: 'down' })];
      // Under another cut, or down, a cure cannot be seen: the receipt then rests on what the server lists.
      for (const applied of [downs[0]!, cuts[0]!]) {
        expect(evidence(await applied.cure())).to.include({ proved: true, by: 'server' });
      }
      await one.cure();
      const refused = await through('a>b').then(
        () => 'connected',
        (error: NodeJS.ErrnoException) => error.code,
      );
      expect(refused).to.equal('ECONNREFUSED');
      expect(evidence(await downs[1]!.cure())).to.include({ proved: true, by: 'traffic' });
      expect(await roundTripMs(await through('a>b'), 150)).to.equal(Number.POSITIVE_INFINITY);
      expect(evidence(await cuts[1]!.cure())).to.include({ proved: true, by: 'traffic' });
      expect(await roundTripMs(await through('a>b'))).to.be.within(128, 2500);
      expect(evidence(await two.cure())).to.include({ proved: true, by: 'traffic' });
    });

    it('faults and cures side by side leave the links as they were', async () => {
      const kinds: LinkFault[] = [
        { kind: 'cut' },
        { kind: 'down' },
        { kind: 'latency', latencyMs: 50, jitterMs: 5 },
      ];
      const applied = await Promise.all([...kinds, ...kinds].map((fault) => plane.apply(all(), fault)));
      await plane.assertHealthy();
      await Promise.all(applied.map(({ cure }) => cure()));
      expect(await roundTripMs(await through('a>b'))).to.be.within(29, 1500);
    });

    it('a fault on a link to a dead node is proved by the server alone', async () => {
      await nodes.get('b')!.close();
      const applied = await plane.apply(ab, { kind: 'latency', latencyMs: 300, jitterMs: 0 });
      expect(evidence(applied.receipt)).to.include({ proved: true, by: 'server' });
      await applied.cure();
      const [host, port] = nodes.get('b')!.address.split(':') as [string, string];
      nodes.get('b')!.server.listen(Number(port), host);
      await once(nodes.get('b')!.server, 'listening');
    });

    it('knows its links', async () => {
      const wrong = await plane.apply([{ from: 'a', to: 'z' }], { kind: 'cut' }).then(
        () => '',
        (error: Error) => error.message,
      );
      expect(wrong).to.equal('there is no link a>z');
    });

    it('counts what nodes do and not its own probes', async () => {
      const fresh = await open();
      await fresh.apply(all(), { kind: 'reset' });
      await (await fresh.apply(all(), { kind: 'cut' })).cure();
      const socket = await through('c>b');
      await roundTripMs(socket);
      const counters = await fresh.counters();
      expect(counters).to.have.length(6);
      const used = counters.find(({ from, to }) => from === 'c' && to === 'b')!;
      if (real) {
        expect(used).to.deep.equal({
          from: 'c',
          to: 'b',
          accepted: null,
          open: null,
          bytesForth: null,
          bytesBack: null,
        });
      } else {
        expect(used.accepted).to.equal(1);
        expect(used.bytesForth).to.be.at.least(1);
        expect(counters.filter(({ accepted }) => accepted !== 0)).to.deep.equal([used]);
      }
      const ended = hear(socket, 3000);
      await fresh.close();
      await fresh.close();
      expect((await ended).how).to.not.equal('open');
    });

    it('says what somebody else did to its links', async () => {
      const fresh = await open();
      const client = createToxiproxyClient(fresh.apiUrl);
      const complaint = (): Promise<string> =>
        fresh.assertHealthy().then(
          () => 'healthy',
          (error: Error) => error.message.replace(/^the fault server \S+: the link (run-\d+-)?/, ''),
        );
      const name = `${real ? `run-${opened}-` : ''}a>b`;
      const latency = real ? 'latency_upstream' : 'base_upstream';
      expect(await complaint()).to.equal('healthy');
      await client.setEnabled(name, false);
      expect(await complaint()).to.equal('a>b is down, and we did not set that');
      await client.setEnabled(name, true);
      if (!real) {
        const cut = await fresh.apply(ab, { kind: 'cut' });
        const [toxic] = (await client.proxy(name)).toxics.filter(({ type }) => type === 'bandwidth');
        await cut.cure();
        await client.addToxic(name, toxic!);
        expect(await complaint()).to.equal(`a>b has a toxic ${toxic!.name}, which we took out`);
        await client.removeToxic(name, toxic!.name);
      }
      await client.updateToxic(name, latency, { attributes: { latency: 1 } });
      expect(await complaint()).to.equal(`a>b has other settings in its toxic ${latency}`);
      await client.removeToxic(name, latency);
      expect(await complaint()).to.equal(`a>b has lost its toxic ${latency}`);
      await client.remove(name);
      expect(await complaint()).to.equal('a>b is gone: was the server restarted?');
      client.close();
      await fresh.close();
    });

    if (!real) return;

    it('removes its proxies, and only those, from a server that is not its own', async () => {
      const client = createToxiproxyClient(server!.url);
      await client.create({ name: 'theirs', listen: '127.0.0.1:0', upstream: 'x:1' });
      const fresh = await open();
      const before = Object.keys(await client.proxies()).length;
      await fresh.close();
      const left = Object.keys(await client.proxies());
      expect(left).to.include('theirs');
      expect(left.length).to.be.lessThan(before);
      await client.remove('theirs');
      client.close();
    });
  });
}

describe('fault plane: a server that cannot do it', () => {
  const attempt = async (url: string, listenAt = '127.0.0.1:0'): Promise<Error> =>
    openFaultPlane({
      pairs: [{ from: 'a', to: 'b', listen: listenAt, upstream: '127.0.0.1:9' }],
      baseLatency: { latencyMs: 0, jitterMs: 0 },
      server: { url },
      seed: 1,
    }).then(
      () => new Error('opened'),
      (error: Error) => error,
    );

  it('is named in one line', async () => {
    const [free] = await freeAddresses(1);
    const nobody = await attempt(`http://${free}`);
    expect(nobody).to.be.instanceOf(UsageError);
    expect(nobody.message).to.match(/^--toxiproxy http:\/\/[^ ]+: no Toxiproxy answers there .*ECONNREFUSED/);
    const noUrl = await attempt('localhost');
    expect(noUrl).to.be.instanceOf(UsageError);
    expect(noUrl.message).to.contain('must be the URL of a Toxiproxy API');
    const other = await listen((socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'));
    const wrong = await attempt(`http://${other.address}`);
    expect(wrong).to.be.instanceOf(UsageError);
    await other.close();
  });

  it('is named when it cannot listen where the links are to be', async () => {
    const embedded = await contestants[0]!.start();
    const error = await attempt(embedded.url, '203.0.113.7:8888');
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message)
      .to.contain('cannot make the links')
      .and.to.contain('cannot assign requested address');
    await embedded.stop();
  });
});
