/**
 * One contract for the embedded fault server and the real Toxiproxy: what the API answers, what each toxic does to bytes, and
 * every row of the table of deliberate differences on both sides. Tolerances are for a busy machine with two cores.
 */

import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Toxiproxy } from 'toxiproxy-node-client';
import { createToxiproxyClient, type ToxicSettings, type ToxiproxyClient } from '../toxiproxy-client.ts';
import {
  contestants,
  dial,
  hear,
  type Listener,
  listen,
  listenEcho,
  Missing,
  roundTripMs,
  type ServerUnderTest,
} from './servers.ts';

type Stream = 'upstream' | 'downstream';

interface Reply {
  status: number;
  text: string;
  type: string;
}

for (const contestant of contestants) {
  describe(`fault server contract: ${contestant.name}`, function () {
    this.timeout(30_000);
    let server: ServerUnderTest;
    let client: ToxiproxyClient;
    let echo: Listener;
    let address: string;

    before(async function () {
      this.timeout(320_000);
      try {
        server = await contestant.start();
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        console.log(`      skipped: ${error.message}`);
        this.skip();
      }
      client = createToxiproxyClient(server.url);
      echo = await listenEcho();
    });
    after(async () => {
      client?.close();
      await server?.stop();
      await echo?.close();
    });
    beforeEach(async () => {
      address = (await client.create({ name: 'p', listen: '127.0.0.1:0', upstream: echo.address })).listen;
    });
    afterEach(async () => {
      for (const name of Object.keys(await client.proxies())) await client.remove(name);
    });

    const call = async (method: string, path: string, body?: string): Promise<Reply> => {
      const response = await fetch(
        `${server.url}${path}`,
        body === undefined ? { method } : { method, body },
      );
      return {
        status: response.status,
        text: await response.text(),
        type: response.headers.get('content-type') ?? '',
      };
    };
    const toxic = (
      type: string,
      attributes: Record<string, number>,
      stream: Stream = 'downstream',
      more: Partial<ToxicSettings> = {},
    ) => client.addToxic('p', { name: `${type}_${stream}`, type, stream, attributes, ...more });

    describe('API', () => {
      const refusals: [
        what: string,
        method: string,
        path: string,
        body: string | undefined,
        status: number,
        text: string,
      ][] = [
        ['an unknown path', 'GET', '/nope', undefined, 404, '404 page not found\n'],
        ['a trailing slash', 'GET', '/proxies/', undefined, 404, '404 page not found\n'],
        ['a wrong method', 'PUT', '/proxies', '', 405, ''],
        ['OPTIONS', 'OPTIONS', '/version', undefined, 405, ''],
        ['an empty body', 'POST', '/proxies', '', 400, 'bad request body: EOF'],
        ['a body cut short', 'POST', '/proxies', '{"name":"x"', 400, 'bad request body: unexpected EOF'],
        [
          'a body that is an array',
          'POST',
          '/proxies',
          '[]',
          400,
          'bad request body: json: cannot unmarshal array into Go value of type toxiproxy.Proxy',
        ],
        [
          'a name that is a number',
          'POST',
          '/proxies',
          '{"name":3}',
          400,
          'bad request body: json: cannot unmarshal number into Go struct field Proxy.name of type string',
        ],
        ['null as a body', 'POST', '/proxies', 'null', 400, 'missing required field: name'],
        ['no name', 'POST', '/proxies', '{"upstream":"x:1"}', 400, 'missing required field: name'],
        ['no upstream', 'POST', '/proxies', '{"name":"q"}', 400, 'missing required field: upstream'],
        ['a proxy twice', 'POST', '/proxies', '{"name":"p","upstream":"x:1"}', 409, 'proxy already exists'],
        [
          'an address without a port',
          'POST',
          '/proxies',
          '{"name":"q","upstream":"x:1","listen":"garbage"}',
          500,
          'listen tcp: address garbage: missing port in address',
        ],
        [
          'a port out of range',
          'POST',
          '/proxies',
          '{"name":"q","upstream":"x:1","listen":"127.0.0.1:99999"}',
          500,
          'listen tcp: address 99999: invalid port',
        ],
        [
          'a foreign address',
          'POST',
          '/proxies',
          '{"name":"q","upstream":"x:1","listen":"203.0.113.1:80"}',
          500,
          'listen tcp 203.0.113.1:80: bind: cannot assign requested address',
        ],
        [
          'a changed address without a port',
          'POST',
          '/proxies/p',
          '{"listen":"garbage"}',
          500,
          'address garbage: missing port in address',
        ],
        [
          'enabled as a text',
          'POST',
          '/proxies/p',
          '{"enabled":"yes"}',
          400,
          'bad request body: json: cannot unmarshal string into Go struct field Proxy.enabled of type bool',
        ],
        ['an unknown proxy', 'GET', '/proxies/none', undefined, 404, 'proxy not found'],
        ['toxics of an unknown proxy', 'GET', '/proxies/none/toxics', undefined, 404, 'proxy not found'],
        ['an unknown toxic', 'GET', '/proxies/p/toxics/none', undefined, 404, 'toxic not found'],
        ['deleting an unknown toxic', 'DELETE', '/proxies/p/toxics/none', undefined, 404, 'toxic not found'],
        ['an unknown type', 'POST', '/proxies/p/toxics', '{"type":"down"}', 400, 'invalid toxic type'],
        ['no type', 'POST', '/proxies/p/toxics', '{}', 400, 'invalid toxic type'],
        [
          'an empty stream',
          'POST',
          '/proxies/p/toxics',
          '{"type":"latency","stream":""}',
          400,
          'stream was invalid, can be either upstream or downstream',
        ],
        [
          'a wrong stream before a wrong type',
          'POST',
          '/proxies/p/toxics',
          '{"type":"nope","stream":"x"}',
          400,
          'stream was invalid, can be either upstream or downstream',
        ],
        [
          'a fraction as an integer',
          'POST',
          '/proxies/p/toxics',
          '{"type":"latency","attributes":{"latency":1.5}}',
          400,
          'bad request body: json: cannot unmarshal number 1.5 into Go struct field LatencyToxic.attributes.latency of type int64',
        ],
        [
          'a text as an integer',
          'POST',
          '/proxies/p/toxics',
          '{"type":"latency","attributes":{"latency":"5"}}',
          400,
          'bad request body: json: cannot unmarshal string into Go struct field LatencyToxic.attributes.latency of type int64',
        ],
        [
          'a text as a toxicity',
          'POST',
          '/proxies/p/toxics',
          '{"type":"latency","toxicity":"x"}',
          400,
          'bad request body: json: cannot unmarshal string into Go struct field ToxicWrapper.toxicity of type float32',
        ],
      ];
      for (const [what, method, path, body, status, text] of refusals) {
        it(`refuses ${what}`, async () => {
          const reply = await call(method, path, body);
          expect(reply.status).to.equal(status);
          if (!text.endsWith('\n') && text !== '') {
            expect(JSON.parse(reply.text)).to.deep.equal({ error: text, status });
            expect(reply.type).to.equal('text/plain; charset=utf-8');
          } else expect(reply.text).to.equal(text);
        });
      }

      it('refuses browsers', async () => {
        const response = await fetch(`${server.url}/version`, { headers: { 'User-Agent': 'Mozilla/5.0' } });
        expect([response.status, await response.text()]).to.deep.equal([403, 'User agent not allowed\n']);
      });

      it('says its version', async () => {
        const reply = await call('GET', '/version');
        expect(reply).to.deep.equal({
          status: 200,
          text: '{"version": "2.12.0"}\n',
          type: 'application/json;charset=utf-8',
        });
      });

      it('answers with the proxy as bound, by name in the list', async () => {
        const reply = await call(
          'POST',
          '/proxies',
          '{"NAME":"q r","listen":"localhost:0","upstream":"x:1","other":1} trailing',
        );
        expect(reply.status).to.equal(201);
        const made = JSON.parse(reply.text);
        expect(made).to.include({ name: 'q r', upstream: 'x:1', enabled: true });
        expect(made.listen).to.match(/^127\.0\.0\.1:[1-9]\d*$/);
        expect(made.toxics).to.deep.equal([]);
        const list = JSON.parse((await call('GET', '/proxies')).text);
        expect(Object.keys(list).sort()).to.deep.equal(['p', 'q r']);
        expect((await call('GET', '/proxies/q%20r')).status).to.equal(200);
        expect((await call('DELETE', '/proxies/q%20r')).status).to.equal(204);
        expect((await call('GET', '/proxies/q%20r')).status).to.equal(404);
      });

      it('keeps what it cannot bind out, and says why', async () => {
        const taken = echo.address;
        const reply = await call(
          'POST',
          '/proxies',
          JSON.stringify({ name: 'q', upstream: 'x:1', listen: taken }),
        );
        expect(JSON.parse(reply.text)).to.deep.equal({
          error: `listen tcp ${taken}: bind: address already in use`,
          status: 500,
        });
        expect((await call('GET', '/proxies/q')).status).to.equal(404);
      });

      it('leaves a proxy that cannot move disabled at its new address', async () => {
        const reply = await call('PATCH', '/proxies/p', JSON.stringify({ listen: echo.address }));
        expect(reply.status).to.equal(500);
        expect(await client.proxy('p')).to.include({ enabled: false, listen: echo.address });
      });

      it('changes only what a change names, and keeps toxics through it', async () => {
        await toxic('noop', {});
        const socket = await dial(address);
        expect((await call('POST', '/proxies/p', '{}')).status).to.equal(200);
        expect(await roundTripMs(socket)).to.be.lessThan(3000);
        const ended = hear(socket, 5000);
        const other = await listenEcho();
        await call('PATCH', '/proxies/p', JSON.stringify({ upstream: other.address, name: 'zz' }));
        expect((await ended).how).to.not.equal('open');
        const state = await client.proxy('p');
        expect(state).to.include({ name: 'p', upstream: other.address, enabled: true, listen: address });
        expect(state.toxics).to.have.length(1);
        await other.close();
      });

      it('names toxics after type and stream, upstream ones first', async () => {
        const post = (body: string) => call('POST', '/proxies/p/toxics', body);
        expect((await post('{"type":"latency","attributes":{"Latency":5,"z":1}}')).status).to.equal(200);
        expect(
          JSON.parse((await post('{"type":"slicer","stream":"UPSTREAM","toxicity":0.25}')).text),
        ).to.deep.equal({
          attributes: { average_size: 0, size_variation: 0, delay: 0 },
          name: 'slicer_UPSTREAM',
          type: 'slicer',
          stream: 'UPSTREAM',
          toxicity: 0.25,
        });
        expect((await post('{"type":"noop","attributes":null}')).status).to.equal(200);
        const names = (await client.proxy('p')).toxics.map(({ name }) => name);
        expect(names).to.deep.equal(['slicer_UPSTREAM', 'latency_downstream', 'noop_downstream']);
        expect(JSON.parse((await post('{"type":"noop"}')).text)).to.deep.equal({
          error: 'toxic already exists',
          status: 409,
        });
        const latency = JSON.parse((await call('GET', '/proxies/p/toxics/latency_downstream')).text);
        expect(latency.attributes).to.deep.equal({ latency: 5, jitter: 0 });
      });

      it('merges updates of a toxic field by field', async () => {
        await toxic('latency', { latency: 5, jitter: 1 });
        for (const method of ['POST', 'PATCH']) {
          const body =
            '{"attributes":{"jitter":2},"toxicity":0.5,"name":"zz","stream":"upstream","type":"noop"}';
          const reply = await call(method, '/proxies/p/toxics/latency_downstream', body);
          expect(reply.status).to.equal(200);
          expect(JSON.parse(reply.text)).to.deep.equal({
            attributes: { latency: 5, jitter: 2 },
            name: 'latency_downstream',
            type: 'latency',
            stream: 'downstream',
            toxicity: 0.5,
          });
        }
      });

      it('populates: same stays, other restarts without toxics, unlisted stays', async () => {
        await client.populate([
          { name: 'a', listen: '127.0.0.1:0', upstream: 'x:1' },
          { name: 'b', listen: '127.0.0.1:0', upstream: 'x:1' },
        ]);
        const { a, b } = await client.proxies();
        const noop = { name: 'n', type: 'noop', stream: 'upstream' as const, attributes: {} };
        await client.addToxic('a', noop);
        await client.addToxic('b', noop);
        const again = await client.populate([
          { name: 'a', listen: a!.listen.replace('127.0.0.1', 'localhost'), upstream: 'x:1', enabled: false },
          { name: 'b', listen: b!.listen, upstream: 'y:1' },
        ]);
        expect(again.map(({ name, enabled, toxics }) => [name, enabled, toxics.length])).to.deep.equal([
          ['a', true, 1],
          ['b', true, 0],
        ]);
        expect(Object.keys(await client.proxies()).sort()).to.deep.equal(['a', 'b', 'p']);
      });

      it('populates nothing with a faulty list, and up to the faulty entry with a faulty address', async () => {
        const missing = await call(
          'POST',
          '/populate',
          '[{"name":"a","upstream":"x:1","listen":"127.0.0.1:0"},{"upstream":"x"}]',
        );
        expect(missing.type).to.equal('application/json');
        expect([missing.status, JSON.parse(missing.text)]).to.deep.equal([
          400,
          { error: 'missing required field: name at proxy 2', status: 400, proxies: null },
        ]);
        const body = [
          { name: 'a', upstream: 'x:1', listen: '127.0.0.1:0' },
          { name: 'b', upstream: 'x:1', listen: echo.address },
          { name: 'c', upstream: 'x:1', listen: '127.0.0.1:0' },
        ];
        const half = await call('POST', '/populate', JSON.stringify(body));
        expect(half.status).to.equal(500);
        expect(JSON.parse(half.text).proxies.map(({ name }: { name: string }) => name)).to.deep.equal(['a']);
        expect(Object.keys(await client.proxies()).sort()).to.deep.equal(['a', 'p']);
        expect(await call('POST', '/populate', '[]')).to.include({ status: 201, text: '{"proxies":null}' });
      });

      it('resets: all enabled, no toxics', async () => {
        await toxic('latency', { latency: 5 });
        await client.setEnabled('p', false);
        expect((await call('POST', '/reset')).status).to.equal(204);
        const state = await client.proxy('p');
        expect([state.enabled, state.toxics]).to.deep.equal([true, []]);
        expect(await roundTripMs(await dial(state.listen))).to.be.lessThan(3000);
      });

      it('is driven by toxiproxy-node-client', async () => {
        const toxiproxy = new Toxiproxy(server.url);
        expect(await toxiproxy.getVersion()).to.contain('2.12.0');
        const proxy = await toxiproxy.createProxy({
          name: 'n',
          listen: '127.0.0.1:0',
          upstream: echo.address,
        });
        const made = await proxy.addToxic({
          name: 'slow',
          type: 'latency',
          stream: 'upstream',
          toxicity: 1,
          attributes: { latency: 60, jitter: 0 },
        });
        const socket = await dial(proxy.listen);
        expect(await roundTripMs(socket)).to.be.within(59, 2000);
        await made.update({ ...made.toJson(), attributes: { latency: 150, jitter: 0 } });
        expect((await proxy.getToxic('slow')).attributes).to.deep.equal({ latency: 150, jitter: 0 });
        expect(await roundTripMs(socket)).to.be.within(149, 2000);
        await made.remove();
        const off = await proxy.update({ enabled: false, listen: proxy.listen, upstream: proxy.upstream });
        expect(off.enabled).to.equal(false);
        expect(Object.keys(await toxiproxy.getAll()).sort()).to.deep.equal(['n', 'p']);
        expect((await toxiproxy.get('n')).enabled).to.equal(false);
        const populated = await toxiproxy.populate([
          { name: 'm', listen: '127.0.0.1:0', upstream: echo.address },
        ]);
        expect(populated.m?.enabled).to.equal(true);
        await toxiproxy.reset();
        expect((await toxiproxy.get('n')).enabled).to.equal(true);
        await proxy.remove();
        const gone = await toxiproxy.get('n').then(
          () => 'found',
          (error: Error) => error.message,
        );
        expect(gone).to.equal('Request failed with status code 404');
      });

      it('gives our client the text of an error', async () => {
        const text = await client.proxy('none').then(
          () => '',
          (error: Error) => error.message,
        );
        expect(text).to.equal(`${server.url}: GET /proxies/none: 404 proxy not found`);
      });
    });

    describe('bytes', () => {
      /** Sends `bytes` through an echo and gives back what returned. */
      const throughEcho = async (bytes: Buffer, forMs = 15_000): Promise<Buffer> => {
        const socket = await dial(address);
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
          await toxic('latency', { latency: 10, jitter: 5 }, 'upstream');
          await toxic('bandwidth', { rate: 50_000 }, 'upstream');
          await toxic('slicer', { average_size: 5000, size_variation: 500, delay: 10 });
          await client.updateToxic('p', 'latency_upstream', { attributes: { latency: 2 } });
          await client.removeToxic('p', 'bandwidth_upstream');
          await client.removeToxic('p', 'latency_upstream');
          await client.removeToxic('p', 'slicer_downstream');
        }
        expect(digest(await done)).to.equal(digest(sent));
      });

      it('latency delays each way, at once on live connections, and not the connect', async () => {
        const live = await dial(address);
        await roundTripMs(live);
        await toxic('latency', { latency: 60 }, 'upstream');
        await toxic('latency', { latency: 60 });
        expect(await roundTripMs(live)).to.be.within(119, 2000);
        const startedAt = performance.now();
        const fresh = await dial(address);
        expect(performance.now() - startedAt).to.be.lessThan(110);
        expect(await roundTripMs(fresh)).to.be.within(119, 2000);
      });

      it('latency is uniform in ± jitter', async () => {
        await toxic('latency', { latency: 60, jitter: 40 });
        const socket = await dial(address);
        const times: number[] = [];
        for (let i = 0; i < 25; i += 1) times.push(await roundTripMs(socket));
        expect(Math.min(...times)).to.be.within(19, 60);
        expect(Math.max(...times)).to.be.greaterThan(70);
      });

      it('latency does not add up along a pipeline, and keeps order', async () => {
        await toxic('latency', { latency: 150, jitter: 50 }, 'upstream');
        const socket = await dial(address);
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
        await toxic('latency', { latency: 20_000 });
        const socket = await dial(address);
        const heard = hear(socket, 5000, 3);
        socket.write('abc');
        await sleep(100);
        await client.removeToxic('p', 'latency_downstream');
        expect((await heard).bytes.toString()).to.equal('abc');
      });

      it('two latencies on one stream add up', async () => {
        await toxic('latency', { latency: 60 });
        await toxic('latency', { latency: 80 }, 'downstream', { name: 'second' });
        expect(await roundTripMs(await dial(address))).to.be.within(139, 2000);
      });

      it('bandwidth holds its rate', async () => {
        await toxic('bandwidth', { rate: 100 });
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
        const proxy = await client.create({ name: 'cut', listen: '127.0.0.1:0', upstream: clock.address });
        const socket = await dial(proxy.listen);
        await client.addToxic('cut', {
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
        await client.removeToxic('cut', 'cut');
        await hear(socket, 3000, 20);
        expect(Buffer.concat(got).toString()).to.equal('0123456789');
        socket.destroy();
        await clock.close();
      });

      it('bandwidth 0 changed to a rate lets the backlog go', async () => {
        await toxic('bandwidth', { rate: 0 }, 'upstream');
        const socket = await dial(address);
        const heard = hear(socket, 5000, 4000);
        socket.write(Buffer.alloc(4000, 'b'));
        await sleep(150);
        await client.updateToxic('p', 'bandwidth_upstream', { attributes: { rate: 1_000_000 } });
        expect((await heard).bytes.length).to.equal(4000);
      });

      it('slow_close delays the end of its stream', async () => {
        await toxic('slow_close', { delay: 300 });
        const socket = await dial(address);
        await roundTripMs(socket);
        const heard = hear(socket, 5000);
        socket.end('bye');
        const { how, endMs } = await heard;
        expect(how).to.equal('end');
        expect(endMs).to.be.within(298, 2500);
      });

      it('timeout 0 drops data, and ends the connection when it is taken out', async () => {
        await toxic('timeout', { timeout: 0 });
        const socket = await dial(address);
        const heard = hear(socket, 200);
        socket.write('lost');
        expect(await heard).to.include({ how: 'open', firstMs: null });
        const end = hear(socket, 5000);
        await client.removeToxic('p', 'timeout_downstream');
        expect((await end).how).to.equal('end');
      });

      it('timeout ends a silent connection, and starts anew with each chunk', async () => {
        await toxic('timeout', { timeout: 400 }, 'upstream');
        const socket = await dial(address);
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
        await toxic('reset_peer', { timeout: 0 });
        const socket = await dial(address);
        const heard = hear(socket, 5000);
        socket.write('x');
        expect((await heard).how).to.equal('ECONNRESET');
      });

      it('reset_peer waits its timeout', async () => {
        await toxic('reset_peer', { timeout: 300 });
        const socket = await dial(address);
        const heard = hear(socket, 5000);
        socket.write('x');
        const { how, endMs } = await heard;
        expect(how).to.equal('ECONNRESET');
        expect(endMs).to.be.within(280, 2500);
      });

      it('slicer cuts into pieces with a pause after each, and loses nothing', async () => {
        await toxic('slicer', { average_size: 50, size_variation: 10, delay: 2000 });
        const sent = randomBytes(2000);
        const socket = await dial(address);
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
        await toxic('limit_data', { bytes: 5000 });
        const socket = await dial(address);
        const first = hear(socket, 5000, 3000);
        socket.write(Buffer.alloc(3000, 'a'));
        await first;
        await client.updateToxic('p', 'limit_data_downstream', { attributes: { bytes: 5500 } });
        const rest = hear(socket, 5000);
        socket.write(Buffer.alloc(4000, 'b'));
        const { bytes, how } = await rest;
        expect([bytes.length, how]).to.deep.equal([2500, 'end']);
      });

      it('noop leaves everything as it is', async () => {
        await toxic('noop', {});
        await toxic('noop', {}, 'upstream');
        const sent = randomBytes(1 << 20);
        expect(digest(await throughEcho(sent))).to.equal(digest(sent));
      });

      it('toxicity strikes whole connections: none, about half, all', async () => {
        const struck = async (toxicity: number): Promise<number> => {
          await toxic('limit_data', { bytes: 0 }, 'downstream', { toxicity });
          let count = 0;
          for (let i = 0; i < 40; i += 1) {
            const socket = await dial(address);
            if ((await roundTripMs(socket)) === Number.POSITIVE_INFINITY) count += 1;
            socket.destroy();
          }
          await client.removeToxic('p', 'limit_data_downstream');
          return count;
        };
        expect(await struck(0)).to.equal(0);
        expect(await struck(0.5)).to.be.within(5, 35);
        expect(await struck(1)).to.equal(40);
      });

      it('disabled: refuses new connections, ends live ones, keeps toxics', async () => {
        await toxic('latency', { latency: 60 });
        const socket = await dial(address);
        const heard = hear(socket, 5000);
        await client.setEnabled('p', false);
        expect((await heard).how).to.be.oneOf(['end', 'ECONNRESET', 'close']);
        const refused = await dial(address).then(
          () => 'connected',
          (error: NodeJS.ErrnoException) => error.code,
        );
        expect(refused).to.equal('ECONNREFUSED');
        await client.setEnabled('p', true);
        expect(await roundTripMs(await dial(address))).to.be.within(59, 2000);
      });

      it('deleted: refuses new connections and ends live ones', async () => {
        const socket = await dial(address);
        const heard = hear(socket, 5000);
        await client.remove('p');
        expect((await heard).how).to.be.oneOf(['end', 'ECONNRESET', 'close']);
        const refused = await dial(address).then(
          () => 'connected',
          (error: NodeJS.ErrnoException) => error.code,
        );
        expect(refused).to.equal('ECONNREFUSED');
      });
    });
  });
}
