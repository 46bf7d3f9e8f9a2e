/** The embedded server under what it must survive: slow receivers, thousands of links, requests from hell. */

import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type FaultServer, startFaultServer } from '../fault-server.ts';
import { streamBytes } from '../stream.ts';
import { createToxiproxyClient, type ToxiproxyClient } from '../toxiproxy-client.ts';
import { dial, hear, type Listener, listen, listenEcho, roundTripMs } from './servers.ts';

/** One read of Node's sockets, at most. */
const readBytes = 64 * 1024;

describe('fault server bounds', function () {
  this.timeout(60_000);
  let server: FaultServer;
  let client: ToxiproxyClient;
  let echo: Listener;

  before(async () => {
    server = await startFaultServer({ seed: 1 });
    client = createToxiproxyClient(server.url);
    echo = await listenEcho();
  });
  after(async () => {
    client.close();
    await server.close();
    await echo.close();
  });
  afterEach(async () => {
    for (const name of Object.keys(await client.proxies())) await client.remove(name);
  });

  /** Writes until the socket takes no more for a while; how much the kernel and the proxy took. */
  async function flood(address: string, bytes: number): Promise<number> {
    const socket = await dial(address);
    const block = Buffer.alloc(64 * 1024, 'f');
    for (let sent = 0; sent < bytes; sent += block.length) {
      if (socket.write(block)) continue;
      const drained = await Promise.race([
        new Promise((resolve) => socket.once('drain', () => resolve(true))),
        sleep(300, false),
      ]);
      if (drained === false) break;
    }
    return socket.bytesWritten - socket.writableLength;
  }

  it('a cut holds no more than its bound of a flood, the sender is made to wait', async () => {
    const { listen: address } = await client.create({
      name: 'p',
      listen: '127.0.0.1:0',
      upstream: echo.address,
    });
    await client.addToxic('p', {
      name: 'cut',
      type: 'bandwidth',
      stream: 'upstream',
      attributes: { rate: 0 },
    });
    const taken = await flood(address, 64 << 20);
    expect(taken).to.be.lessThan(32 << 20);
    const link = await client.link('p');
    expect(link!.held_bytes).to.be.within(1, streamBytes + readBytes);
  });

  it('a receiver that never reads makes the sender wait', async () => {
    const deaf = await listen((socket) => socket.pause());
    const { listen: address } = await client.create({
      name: 'p',
      listen: '127.0.0.1:0',
      upstream: deaf.address,
    });
    expect(await flood(address, 64 << 20)).to.be.lessThan(48 << 20);
    await deaf.close();
  });

  it('a long latency holds its bound of bytes', async () => {
    const { listen: address } = await client.create({
      name: 'p',
      listen: '127.0.0.1:0',
      upstream: echo.address,
    });
    const attributes = { latency: 60_000, jitter: 0 };
    await client.addToxic('p', { name: 'l', type: 'latency', stream: 'upstream', attributes });
    await flood(address, 64 << 20);
    expect((await client.link('p'))!.held_bytes).to.be.within(4 << 20, (8 << 20) + readBytes);
  });

  it('an abandoned connection is forgotten, with what it held', async () => {
    const { listen: address } = await client.create({
      name: 'p',
      listen: '127.0.0.1:0',
      upstream: echo.address,
    });
    await client.addToxic('p', {
      name: 'l',
      type: 'latency',
      stream: 'downstream',
      attributes: { latency: 100 },
    });
    for (let i = 0; i < 20; i += 1) {
      const socket = await dial(address);
      socket.write('x');
      socket.resetAndDestroy();
    }
    for (let i = 0; i < 100 && (await client.link('p'))!.open > 0; i += 1) await sleep(20);
    expect(await client.link('p')).to.include({ open: 0, held_bytes: 0 });
  });

  it('carries 2 500 links with latency, all in use at once', async function () {
    if (process.platform !== 'linux') this.skip();
    const count = 2500;
    const wanted = Array.from({ length: count }, (_, i) => ({
      name: `l-${i}`,
      listen: `127.91.${i >> 8}.${i & 255}:0`,
      upstream: echo.address,
    }));
    const made = await client.populate(wanted);
    const add = (['upstream', 'downstream'] as const).map((stream) => ({
      name: stream,
      type: 'latency',
      stream,
      attributes: { latency: 40, jitter: 10 },
    }));
    await client.change(made.map(({ name }) => ({ name, add })));
    const sockets = await Promise.all(made.map(({ listen: address }) => dial(address)));
    const times = await Promise.all(sockets.map((socket) => roundTripMs(socket, 20_000)));
    expect(Math.min(...times)).to.be.at.least(60);
    expect(Math.max(...times)).to.be.lessThan(20_000);
    const links = (await client.usedLinks())!;
    expect(links.filter(({ open, bytes }) => open === 1 && bytes.downstream.passed === 1)).to.have.length(
      count,
    );
    await client.change(made.map(({ name }) => ({ name, enabled: false })));
    expect((await client.usedLinks())!.every(({ open, enabled }) => open === 0 && !enabled)).to.equal(true);
    for (const socket of sockets) socket.destroy();
  });

  describe('requests from hell', () => {
    const raw = async (text: string | Buffer, end = true): Promise<string> => {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(text);
      const heard = hear(socket, 1000);
      if (end) socket.end();
      const { bytes } = await heard;
      socket.destroy();
      return bytes.toString();
    };
    const alive = async (): Promise<void> => {
      expect((await client.version()).version).to.equal('2.12.0');
    };

    for (const [what, text] of [
      ['no HTTP', 'rubbish\r\n\r\n'],
      ['TLS', Buffer.from('1603010200010001fc0303', 'hex')],
      ['a header without end', `GET /version HTTP/1.1\r\nX: ${'y'.repeat(100_000)}`],
      ['a path without end', `GET /${'p'.repeat(100_000)} HTTP/1.1\r\n\r\n`],
      ['a broken escape', 'GET /proxies/%zz HTTP/1.1\r\nHost: x\r\n\r\n'],
      ['a prototype name', 'GET /proxies/__proto__/toxics/constructor HTTP/1.1\r\nHost: x\r\n\r\n'],
      ['a body that stops', 'POST /proxies HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"name"'],
      [
        'a chunked body that stops',
        'POST /populate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n[',
      ],
    ] as const) {
      it(`survives ${what}`, async () => {
        await raw(text);
        await alive();
      });
    }

    it('survives deep, odd and huge JSON', async () => {
      const bodies = [
        '['.repeat(200_000),
        `${'['.repeat(200_000)}${']'.repeat(200_000)}`,
        '{"__proto__":{"name":"x"},"constructor":1}',
        `{"name":"${'n'.repeat(1 << 20)}","upstream":""}`,
        '{"name":"big","upstream":"x:1","listen":"[::1"}',
        '{"name":"big","upstream":"x:1","listen":"1.2.3.4.5:6:7"}',
      ];
      for (const body of bodies) {
        for (const path of ['/proxies', '/populate', '/links']) {
          const reply = await fetch(`${server.url}${path}`, { method: 'POST', body });
          expect(reply.status).to.be.within(400, 500);
        }
      }
      await alive();
    });

    it('can address a proxy whose name was no Unicode', async () => {
      const body = '{"name":"\\ud800","upstream":"x:1","listen":"127.0.0.1:0"}';
      const reply = await fetch(`${server.url}/proxies`, { method: 'POST', body });
      expect(reply.status).to.equal(201);
      expect((await client.proxy('\ufffd')).enabled).to.equal(true);
    });

    it('refuses a body beyond its bound without keeping it', async () => {
      const reply = await fetch(`${server.url}/populate`, {
        method: 'POST',
        body: Buffer.alloc(33 << 20, ' '),
      });
      expect(reply.status).to.equal(413);
      await alive();
    });

    it('survives an upstream of any form, and a proxy that dials itself', async () => {
      for (const upstream of [
        'nonsense',
        ':0',
        '127.0.0.1:1',
        '[::1]:1',
        '999.1.1.1:80',
        'no.such.host.invalid:80',
        '-1:-1',
      ]) {
        const { listen: address } = await client.create({ name: 'odd', listen: '127.0.0.1:0', upstream });
        const heard = await hear(await dial(address), 15_000);
        expect(heard.how, upstream).to.equal('ECONNRESET');
        expect((await client.link('odd'))!.dial_failures).to.equal(1);
        await client.remove('odd');
      }
      await alive();
    });

    it('survives absurd attributes', async () => {
      const { listen: address } = await client.create({
        name: 'p',
        listen: '127.0.0.1:0',
        upstream: echo.address,
      });
      const absurd = [-1, 0, 2 ** 53, -(2 ** 62), 2 ** 62];
      for (const [type, names] of [
        ['latency', ['latency', 'jitter']],
        ['bandwidth', ['rate']],
        ['slow_close', ['delay']],
        ['timeout', ['timeout']],
        ['slicer', ['average_size', 'size_variation', 'delay']],
        ['limit_data', ['bytes']],
        ['reset_peer', ['timeout']],
      ] as const) {
        for (const value of absurd) {
          const socket = await dial(address);
          const attributes = Object.fromEntries(names.map((name) => [name, value]));
          await client.addToxic('p', { name: 't', type, stream: 'upstream', attributes });
          socket.write('some bytes');
          await client.removeToxic('p', 't');
          socket.destroy();
        }
      }
      await alive();
      expect(await roundTripMs(await dial(address))).to.be.lessThan(5000);
    });
  });
});
