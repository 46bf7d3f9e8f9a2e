/**
 * Every row of the table of deliberate differences, shown on both servers: what the table says of Toxiproxy must be so, or the
 * row has to go; what it says of ours must be so, or ours is broken. And the docs print the table as it is.
 */

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { lacks } from '../../test/prerequisite.ts';
import { differences } from '../differences.ts';
import { createToxiproxyClient, type ToxiproxyClient } from '../toxiproxy-client.ts';
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

interface Stage {
  ours: boolean;
  start: (seed?: number) => Promise<ServerUnderTest>;
  server: ServerUnderTest;
  client: ToxiproxyClient;
  echo: Listener;
  /** A fresh proxy `p` to the echo or to `upstream`; its address. */
  proxy: (upstream?: string) => Promise<string>;
}

const half = { name: 'half', type: 'limit_data', stream: 'downstream' as const, toxicity: 0.5 };

/** Which of `count` connections, dialled one after the other, a toxic of toxicity ½ strikes. */
async function pattern({ start, echo }: Stage, seed: number, count: number): Promise<string> {
  const server = await start(seed);
  const client = createToxiproxyClient(server.url);
  const { listen: address } = await client.create({
    name: 'p',
    listen: '127.0.0.1:0',
    upstream: echo.address,
  });
  await client.addToxic('p', { ...half, attributes: { bytes: 0 } });
  let seen = '';
  for (let i = 0; i < count; i += 1) {
    const socket = await dial(address);
    seen += (await roundTripMs(socket)) === Number.POSITIVE_INFINITY ? '1' : '0';
    socket.destroy();
  }
  client.close();
  await server.stop();
  return seen;
}

/** An address that takes no connection and refuses none: its backlog is full and nobody accepts. */
async function blackHole(): Promise<{ address: string; stop: () => Promise<unknown> }> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60000), 0);
     });`,
    { eval: true },
  );
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  const address = `127.0.0.1:${port}`;
  await sleep(50);
  const fillers: Socket[] = [];
  for (let i = 0; i < 4; i += 1) {
    const filler = await Promise.race([dial(address), sleep(200, null)]);
    if (filler !== null) fillers.push(filler);
  }
  return {
    address,
    stop() {
      for (const filler of fillers) filler.destroy();
      return worker.terminate();
    },
  };
}

const cases: Record<string, (stage: Stage) => Promise<void>> = {
  async seeded(stage) {
    const one = await pattern(stage, 7, 32);
    const two = await pattern(stage, 7, 32);
    expect(one === two).to.equal(stage.ours);
    if (stage.ours) expect(await pattern(stage, 8, 32)).to.not.equal(one);
  },

  async 'rolled-once'({ ours, client, proxy }) {
    const address = await proxy();
    await client.addToxic('p', {
      ...half,
      type: 'latency',
      attributes: { latency: 300 },
    });
    const sockets = await Promise.all(Array.from({ length: 24 }, () => dial(address)));
    const struck = async (): Promise<string> => {
      const times = await Promise.all(sockets.map((socket) => roundTripMs(socket)));
      return times.map((ms) => (ms > 290 ? '1' : '0')).join('');
    };
    const before = await struck();
    await client.addToxic('p', { name: 'next', type: 'noop', stream: 'downstream', attributes: {} });
    const after = await struck();
    await client.removeToxic('p', 'next');
    const again = await struck();
    expect(before === after && after === again).to.equal(ours);
  },

  async 'half-close'({ ours, proxy }) {
    const late = await listen((socket) => {
      socket.resume();
      socket.on('end', () => setTimeout(() => socket.end('answer'), 50));
    });
    const socket = await dial(await proxy(late.address));
    const heard = hear(socket, 5000);
    socket.end('question');
    expect((await heard).bytes.toString()).to.equal(ours ? 'answer' : '');
    await late.close();
  },

  async 'reset-is-reset'({ ours, client, proxy }) {
    const socket = await dial(await proxy());
    await roundTripMs(socket);
    const idle = hear(socket, 400);
    await client.addToxic('p', {
      name: 'r',
      type: 'reset_peer',
      stream: 'downstream',
      attributes: { timeout: 0 },
    });
    expect((await idle).how).to.equal(ours ? 'ECONNRESET' : 'open');
    if (ours) return;
    const busy = hear(socket, 5000);
    socket.write('x');
    expect((await busy).how).to.equal('end');
  },

  async 'dead-upstream-resets'({ ours, proxy }) {
    const gone = await listen(() => {});
    await gone.close();
    const socket = await dial(await proxy(gone.address));
    const { how, bytes } = await hear(socket, 5000);
    expect([how, bytes.length]).to.deep.equal([ours ? 'ECONNRESET' : 'end', 0]);
  },

  async 'cut-holds-the-end'({ ours, client, proxy }) {
    let ended = false;
    const far = await listen((socket) => {
      socket.resume();
      socket.on('end', () => {
        ended = true;
        socket.end();
      });
    });
    const socket = await dial(await proxy(far.address));
    await client.addToxic('p', {
      name: 'cut',
      type: 'bandwidth',
      stream: 'upstream',
      attributes: { rate: 0 },
    });
    await sleep(50);
    const heard = hear(socket, 5000);
    socket.end();
    await sleep(250);
    expect(ended).to.equal(!ours);
    await client.removeToxic('p', 'cut');
    expect((await heard).how).to.equal('end');
    expect(ended).to.equal(true);
    await far.close();
  },

  async 'accepts-side-by-side'({ ours, start }) {
    const hole = await blackHole();
    const server = await start();
    const client = createToxiproxyClient(server.url);
    const { listen: address } = await client.create({
      name: 'h',
      listen: '127.0.0.1:0',
      upstream: hole.address,
    });
    const sockets = [await dial(address), await dial(address)];
    await sleep(100);
    if (ours) expect((await client.usedLinks())![0]).to.include({ accepted: 2, open: 2 });
    const answered = (what: Promise<unknown>): Promise<string> =>
      Promise.race([what.then(() => 'answered', String), sleep(1500, 'hangs', { ref: false })]);
    const deleted = answered(client.remove('h'));
    await sleep(50);
    const listed = answered(client.proxies());
    expect([await deleted, await listed]).to.deep.equal(ours ? ['answered', 'answered'] : ['hangs', 'hangs']);
    for (const socket of sockets) socket.destroy();
    client.close();
    await server.stop();
    await hole.stop();
  },

  async 'live-counters'({ ours, server, client, proxy }) {
    const socket = await dial(await proxy());
    await roundTripMs(socket);
    const all = await fetch(`${server.url}/links`);
    const one = await fetch(`${server.url}/links/p`);
    expect([all.status, one.status]).to.deep.equal(ours ? [200, 200] : [404, 404]);
    if (!ours) return;
    const passing = { taken: 1, passed: 1, dropped: 0 };
    const expected = { accepted: 1, open: 1, dial_failures: 0, held_bytes: 0 };
    expect(await one.json()).to.deep.include({
      ...expected,
      bytes: { upstream: passing, downstream: passing },
    });
    await client.addToxic('p', { name: 'hole', type: 'timeout', stream: 'downstream', attributes: {} });
    await client.addToxic('p', { name: 'cut', type: 'bandwidth', stream: 'upstream', attributes: {} });
    socket.write('four');
    await sleep(100);
    expect((await client.link('p'))!.held_bytes).to.equal(4);
    await client.removeToxic('p', 'cut');
    await sleep(100);
    expect(await client.link('p')).to.deep.include({
      held_bytes: 0,
      bytes: {
        upstream: { taken: 5, passed: 5, dropped: 0 },
        downstream: { taken: 5, passed: 1, dropped: 4 },
      },
    });
  },

  async 'many-at-once'({ ours, server, client, proxy }) {
    await proxy();
    const noop = { name: 'n', type: 'noop', stream: 'upstream', attributes: {} };
    const post = async (changes: unknown): Promise<number> =>
      (await fetch(`${server.url}/links`, { method: 'POST', body: JSON.stringify({ changes }) })).status;
    expect(await post([{ name: 'p', add: [noop], enabled: false }])).to.equal(ours ? 200 : 404);
    if (!ours) return;
    expect(await client.proxy('p')).to.deep.include({ enabled: false });
    await client.create({ name: 'q', listen: '127.0.0.1:0', upstream: 'x:1' });
    // The second change is impossible, so the first must not happen either.
    expect(
      await post([
        { name: 'q', add: [noop] },
        { name: 'p', add: [noop] },
      ]),
    ).to.equal(409);
    expect(
      await post([
        { name: 'q', add: [noop] },
        { name: 'p', remove: ['m'] },
      ]),
    ).to.equal(404);
    expect(await post([{ name: 'q', add: [noop] }, { name: 'none' }])).to.equal(404);
    expect(await post([{ name: 'q', add: [{ type: 'nope' }] }])).to.equal(400);
    expect(await post([{ name: 'q' }, { name: 'q' }])).to.equal(400);
    for (const nonsense of [null, {}, [3], [{}], [{ name: 'q', add: 3 }], [{ name: 'q', remove: [3] }]]) {
      expect(await post(nonsense)).to.equal(400);
    }
    expect((await client.proxy('q')).toxics).to.deep.equal([]);
    expect(await post([{ name: 'p', remove: ['n'], enabled: true }])).to.equal(200);
    expect(await client.proxy('p')).to.deep.include({ enabled: true, toxics: [] });
  },

  async 'populate-any-address'({ ours, client }) {
    const free = await listen(() => {});
    const port = free.address.split(':')[1];
    await free.close();
    const wanted = [{ name: 'any', listen: `:${port}`, upstream: 'x:1' }];
    const [made] = await client.populate(wanted);
    expect(made!.listen).to.equal(`[::]:${port}`);
    await client.addToxic('any', { name: 'n', type: 'noop', stream: 'upstream', attributes: {} });
    const [again] = await client.populate(wanted);
    expect(again!.toxics.length).to.equal(ours ? 1 : 0);
  },

  async 'reset-goes-on'({ ours, client, echo }) {
    const noop = { name: 'n', type: 'noop', stream: 'upstream' as const, attributes: {} };
    await client.create({ name: 'bad', listen: echo.address, upstream: 'x:1', enabled: false });
    for (let i = 0; i < 8; i += 1) {
      await client.create({ name: `good-${i}`, listen: '127.0.0.1:0', upstream: 'x:1' });
      await client.addToxic(`good-${i}`, noop);
    }
    const refusal = await client.reset().then(
      () => '',
      (error: Error) => error.message,
    );
    expect(refusal).to.contain('500').and.to.contain('address already in use');
    // The real server goes through its proxies in a random order, so that nothing can be said of the others there.
    if (!ours) return;
    const left = Object.values(await client.proxies()).filter(({ toxics }) => toxics.length > 0);
    expect(left).to.deep.equal([]);
  },

  async 'integers-by-value'({ ours, server, proxy }) {
    await proxy();
    const body = '{"type":"latency","attributes":{"latency":1e3}}';
    const reply = await fetch(`${server.url}/proxies/p/toxics`, { method: 'POST', body });
    expect(reply.status).to.equal(ours ? 200 : 400);
  },
};

/** As `docs/fault-plane.md` prints them. */
function differencesTable(): string {
  const rows = differences.map((row) => `| ${row.id} | ${row.toxiproxy} | ${row.embedded} | ${row.why} |`);
  return ['| id | Toxiproxy 2.12.0 | embedded | why |', '|---|---|---|---|', ...rows].join('\n');
}

describe('deliberate differences', () => {
  it('each has a case, and each case a row', () => {
    expect(Object.keys(cases).sort()).to.deep.equal(differences.map(({ id }) => id).sort());
  });

  it('are printed in the docs as they are', () => {
    const docs = readFileSync(
      fileURLToPath(new URL('../../../docs/fault-plane.md', import.meta.url)),
      'utf8',
    );
    expect(docs).to.contain(differencesTable());
  });
});

for (const contestant of contestants) {
  describe(`deliberate differences: ${contestant.name}`, function () {
    this.timeout(30_000);
    let stage: Stage;

    before(async function () {
      this.timeout(320_000);
      let server: ServerUnderTest;
      try {
        server = await contestant.start();
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        return lacks(this, error.message, installer);
      }
      const client = createToxiproxyClient(server.url);
      const echo = await listenEcho();
      const proxy = async (upstream = echo.address): Promise<string> =>
        (await client.create({ name: 'p', listen: '127.0.0.1:0', upstream })).listen;
      stage = { ours: contestant.name === 'embedded', start: contestant.start, server, client, echo, proxy };
    });
    after(async () => {
      stage?.client.close();
      await stage?.server.stop();
      await stage?.echo.close();
    });
    afterEach(async () => {
      for (const name of Object.keys(await stage.client.proxies())) await stage.client.remove(name);
    });

    for (const { id, toxiproxy, embedded } of differences) {
      it(`${id}: ${contestant.name === 'embedded' ? embedded : toxiproxy}`, () => cases[id]!(stage));
    }
  });
}
