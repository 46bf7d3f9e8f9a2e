/**
 * The contract of both fault servers, what each toxic and the end of a proxy do to bytes. Tolerances are for a busy machine with
 * two cores.
 */

import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { contract } from './contract.ts';
import { dial, hear, listen, roundTripMs } from './servers.ts';

contract('bytes', (stage) => {
  /** Sends `bytes` through an echo and gives back what returned. */
  const throughEcho = async (bytes: Buffer, forMs = 15_000): Promise<Buffer> => {
    const socket = await dial(stage.address);
    const heard = hear(socket, forMs, bytes.length);
    socket.write(bytes);
    const { bytes: back } = await heard;
    socket.destroy();
    return back;
  };
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

  it('pass unchanged, 8 MiB each way at once', async () => {
    const sent = randomBytes(8 << 20);
    expect(digest(await throughEcho(sent))).to.equal(digest(sent));
  });

  it('pass unchanged while toxics come, change and go', async () => {
    const sent = randomBytes(6 << 20);
    const done = throughEcho(sent);
    for (let i = 0; i < 6; i += 1) {
      await stage.toxic('latency', { latency: 10, jitter: 5 }, 'upstream');
      await stage.toxic('bandwidth', { rate: 50_000 }, 'upstream');
      await stage.toxic('slicer', { average_size: 5000, size_variation: 500, delay: 10 });
      await stage.client.updateToxic('p', 'latency_upstream', { attributes: { latency: 2 } });
      await stage.client.removeToxic('p', 'bandwidth_upstream');
      await stage.client.removeToxic('p', 'latency_upstream');
      await stage.client.removeToxic('p', 'slicer_downstream');
    }
    expect(digest(await done)).to.equal(digest(sent));
  });

  it('latency delays each way, at once on live connections, and not the connect', async () => {
    const live = await dial(stage.address);
    await roundTripMs(live);
    await stage.toxic('latency', { latency: 60 }, 'upstream');
    await stage.toxic('latency', { latency: 60 });
    expect(await roundTripMs(live)).to.be.within(119, 2000);
    const startedAt = performance.now();
    const fresh = await dial(stage.address);
    expect(performance.now() - startedAt).to.be.lessThan(110);
    expect(await roundTripMs(fresh)).to.be.within(119, 2000);
  });

  it('latency is uniform in ± jitter', async () => {
    await stage.toxic('latency', { latency: 60, jitter: 40 });
    const socket = await dial(stage.address);
    const times: number[] = [];
    for (let i = 0; i < 25; i += 1) times.push(await roundTripMs(socket));
    expect(Math.min(...times)).to.be.within(19, 60);
    expect(Math.max(...times)).to.be.greaterThan(70);
  });

  it('latency does not add up along a pipeline, and keeps order', async () => {
    await stage.toxic('latency', { latency: 150, jitter: 50 }, 'upstream');
    const socket = await dial(stage.address);
    const heard = hear(socket, 5000, 40);
    for (let i = 0; i < 20; i += 1) {
      socket.write(String(i + 10));
      await sleep(5);
    }
    const { bytes, firstMs } = await heard;
    expect(bytes.toString()).to.equal(Array.from({ length: 20 }, (_, i) => i + 10).join(''));
    expect(firstMs).to.be.greaterThan(95);
  });

  it('latency taken out releases what it holds', async () => {
    await stage.toxic('latency', { latency: 20_000 });
    const socket = await dial(stage.address);
    const heard = hear(socket, 5000, 3);
    socket.write('abc');
    await sleep(100);
    await stage.client.removeToxic('p', 'latency_downstream');
    expect((await heard).bytes.toString()).to.equal('abc');
  });

  it('two latencies on one stream add up', async () => {
    await stage.toxic('latency', { latency: 60 });
    await stage.toxic('latency', { latency: 80 }, 'downstream', { name: 'second' });
    expect(await roundTripMs(await dial(stage.address))).to.be.within(139, 2000);
  });

  it('bandwidth holds its rate', async () => {
    await stage.toxic('bandwidth', { rate: 100 });
    const startedAt = performance.now();
    const back = await throughEcho(Buffer.alloc(60_000, 'r'));
    expect(back.length).to.equal(60_000);
    expect(performance.now() - startedAt).to.be.within(500, 2500);
  });

  it('bandwidth 0 stops one way only, keeps the connection, and heals with its backlog', async () => {
    const got: Buffer[] = [];
    const clock = await listen((socket) => {
      const tick = setInterval(() => socket.write('t'), 10);
      socket.on('close', () => clearInterval(tick));
      socket.on('data', (chunk) => got.push(chunk));
    });
    const proxy = await stage.client.create({ name: 'cut', listen: '127.0.0.1:0', upstream: clock.address });
    const socket = await dial(proxy.listen);
    await stage.client.addToxic('cut', {
      name: 'cut',
      type: 'bandwidth',
      stream: 'upstream',
      attributes: { rate: 0 },
    });
    for (let i = 0; i < 10; i += 1) {
      socket.write(String(i));
      await sleep(5);
    }
    const ticks = await hear(socket, 200);
    expect(ticks.how).to.equal('open');
    expect(ticks.bytes.length).to.be.greaterThan(3);
    expect(Buffer.concat(got).toString()).to.equal('');
    await stage.client.removeToxic('cut', 'cut');
    await hear(socket, 3000, 20);
    expect(Buffer.concat(got).toString()).to.equal('0123456789');
    socket.destroy();
    await clock.close();
  });

  it('bandwidth 0 changed to a rate lets the backlog go', async () => {
    await stage.toxic('bandwidth', { rate: 0 }, 'upstream');
    const socket = await dial(stage.address);
    const heard = hear(socket, 5000, 4000);
    socket.write(Buffer.alloc(4000, 'b'));
    await sleep(150);
    await stage.client.updateToxic('p', 'bandwidth_upstream', { attributes: { rate: 1_000_000 } });
    expect((await heard).bytes.length).to.equal(4000);
  });

  it('slow_close delays the end of its stream', async () => {
    await stage.toxic('slow_close', { delay: 300 });
    const socket = await dial(stage.address);
    await roundTripMs(socket);
    const heard = hear(socket, 5000);
    socket.end('bye');
    const { how, endMs } = await heard;
    expect(how).to.equal('end');
    expect(endMs).to.be.within(298, 2500);
  });

  it('timeout 0 drops data, and ends the connection when it is taken out', async () => {
    await stage.toxic('timeout', { timeout: 0 });
    const socket = await dial(stage.address);
    const heard = hear(socket, 200);
    socket.write('lost');
    expect(await heard).to.include({ how: 'open', firstMs: null });
    const end = hear(socket, 5000);
    await stage.client.removeToxic('p', 'timeout_downstream');
    expect((await end).how).to.equal('end');
  });

  for (const timeout of [0, 20_000]) {
    it(`timeout ${timeout} passes the end of its stream at once, and ends the other one`, async () => {
      let seen: (how: string) => void = () => {};
      const ended = new Promise<string>((resolve) => {
        seen = resolve;
      });
      const far = await listen((socket) => {
        socket.resume();
        socket.on('end', () => seen('end'));
      });
      const proxy = { name: 'hole', listen: '127.0.0.1:0', upstream: far.address };
      const { listen: address } = await stage.client.create(proxy);
      const attributes = { timeout };
      await stage.client.addToxic('hole', { name: 't', type: 'timeout', stream: 'upstream', attributes });
      const socket = await dial(address);
      const heard = hear(socket, 5000);
      socket.end('lost');
      expect(await Promise.race([ended, sleep(5000, 'open')])).to.equal('end');
      expect((await heard).how).to.equal('end');
      await far.close();
    });
  }

  it('timeout ends a silent connection, and starts anew with each chunk', async () => {
    await stage.toxic('timeout', { timeout: 400 }, 'upstream');
    const socket = await dial(stage.address);
    const heard = hear(socket, 8000);
    for (let i = 0; i < 6; i += 1) {
      socket.write('x');
      await sleep(100);
    }
    const { how, bytes, endMs } = await heard;
    expect([how, bytes.length]).to.deep.equal(['end', 0]);
    expect(endMs).to.be.within(850, 4000);
  });

  it('reset_peer resets new connections', async () => {
    await stage.toxic('reset_peer', { timeout: 0 });
    const socket = await dial(stage.address);
    const heard = hear(socket, 5000);
    socket.write('x');
    expect((await heard).how).to.equal('ECONNRESET');
  });

  it('reset_peer waits its timeout', async () => {
    await stage.toxic('reset_peer', { timeout: 300 });
    const socket = await dial(stage.address);
    const heard = hear(socket, 5000);
    socket.write('x');
    const { how, endMs } = await heard;
    expect(how).to.equal('ECONNRESET');
    expect(endMs).to.be.within(280, 2500);
  });

  it('slicer cuts into pieces with a pause after each, and loses nothing', async () => {
    await stage.toxic('slicer', { average_size: 50, size_variation: 10, delay: 2000 });
    const sent = randomBytes(2000);
    const socket = await dial(stage.address);
    const heard = hear(socket, 8000, sent.length);
    const startedAt = performance.now();
    socket.write(sent);
    const { bytes, pieces } = await heard;
    expect(bytes.equals(sent)).to.equal(true);
    expect(performance.now() - startedAt).to.be.greaterThan(40);
    expect(pieces.length).to.be.greaterThan(5);
    expect(pieces[0]).to.be.within(20, 70);
  });

  it('limit_data passes exactly its bytes and ends; the count lives through an update', async () => {
    await stage.toxic('limit_data', { bytes: 5000 });
    const socket = await dial(stage.address);
    const first = hear(socket, 5000, 3000);
    socket.write(Buffer.alloc(3000, 'a'));
    await first;
    await stage.client.updateToxic('p', 'limit_data_downstream', { attributes: { bytes: 5500 } });
    const rest = hear(socket, 5000);
    socket.write(Buffer.alloc(4000, 'b'));
    const { bytes, how } = await rest;
    expect([bytes.length, how]).to.deep.equal([2500, 'end']);
  });

  it('noop leaves everything as it is', async () => {
    await stage.toxic('noop', {});
    await stage.toxic('noop', {}, 'upstream');
    const sent = randomBytes(1 << 20);
    expect(digest(await throughEcho(sent))).to.equal(digest(sent));
  });

  it('toxicity strikes whole connections: none, about half, all', async () => {
    const struck = async (toxicity: number): Promise<number> => {
      await stage.toxic('limit_data', { bytes: 0 }, 'downstream', { toxicity });
      let count = 0;
      for (let i = 0; i < 40; i += 1) {
        const socket = await dial(stage.address);
        if ((await roundTripMs(socket)) === Number.POSITIVE_INFINITY) count += 1;
        socket.destroy();
      }
      await stage.client.removeToxic('p', 'limit_data_downstream');
      return count;
    };
    expect(await struck(0)).to.equal(0);
    expect(await struck(0.5)).to.be.within(5, 35);
    expect(await struck(1)).to.equal(40);
  });

  it('disabled: refuses new connections, ends live ones, keeps toxics', async () => {
    await stage.toxic('latency', { latency: 60 });
    const socket = await dial(stage.address);
    const heard = hear(socket, 5000);
    await stage.client.setEnabled('p', false);
    expect((await heard).how).to.be.oneOf(['end', 'ECONNRESET', 'close']);
    const refused = await dial(stage.address).then(
      () => 'connected',
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect(refused).to.equal('ECONNREFUSED');
    await stage.client.setEnabled('p', true);
    expect(await roundTripMs(await dial(stage.address))).to.be.within(59, 2000);
  });

  it('deleted: refuses new connections and ends live ones', async () => {
    const socket = await dial(stage.address);
    const heard = hear(socket, 5000);
    await stage.client.remove('p');
    expect((await heard).how).to.be.oneOf(['end', 'ECONNRESET', 'close']);
    const refused = await dial(stage.address).then(
      () => 'connected',
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect(refused).to.equal('ECONNREFUSED');
  });
});
