/** The contract of both fault servers, what their API does: proxies, toxics, populate, reset, and the clients that drive it. */

import { expect } from 'chai';
import { Toxiproxy } from 'toxiproxy-node-client';
import { contract } from './contract.ts';
import { dial, hear, listenEcho, roundTripMs } from './servers.ts';

contract('API', (stage) => {
  it('says its version', async () => {
    const reply = await stage.call('GET', '/version');
    expect(reply).to.deep.equal({
      status: 200,
      text: '{"version": "2.12.0"}\n',
      type: 'application/json;charset=utf-8',
    });
  });

  it('answers with the proxy as bound, by name in the list', async () => {
    const reply = await stage.call(
      'POST',
      '/proxies',
      '{"NAME":"q r","listen":"localhost:0","upstream":"x:1","other":1} trailing',
    );
    expect(reply.status).to.equal(201);
    const made = JSON.parse(reply.text);
    expect(made).to.include({ name: 'q r', upstream: 'x:1', enabled: true });
    expect(made.listen).to.match(/^127\.0\.0\.1:[1-9]\d*$/);
    expect(made.toxics).to.deep.equal([]);
    const list = JSON.parse((await stage.call('GET', '/proxies')).text);
    expect(Object.keys(list).sort()).to.deep.equal(['p', 'q r']);
    expect((await stage.call('GET', '/proxies/q%20r')).status).to.equal(200);
    expect((await stage.call('DELETE', '/proxies/q%20r')).status).to.equal(204);
    expect((await stage.call('GET', '/proxies/q%20r')).status).to.equal(404);
  });

  it('keeps what it cannot bind out, and says why', async () => {
    const taken = stage.echo.address;
    const reply = await stage.call(
      'POST',
      '/proxies',
      JSON.stringify({ name: 'q', upstream: 'x:1', listen: taken }),
    );
    expect(JSON.parse(reply.text)).to.deep.equal({
      error: `listen tcp ${taken}: bind: address already in use`,
      status: 500,
    });
    expect((await stage.call('GET', '/proxies/q')).status).to.equal(404);
  });

  it('leaves a proxy that cannot move disabled at its new address', async () => {
    const reply = await stage.call('PATCH', '/proxies/p', JSON.stringify({ listen: stage.echo.address }));
    expect(reply.status).to.equal(500);
    expect(await stage.client.proxy('p')).to.include({ enabled: false, listen: stage.echo.address });
  });

  it('changes only what a change names, and keeps toxics through it', async () => {
    await stage.toxic('noop', {});
    const socket = await dial(stage.address);
    expect((await stage.call('POST', '/proxies/p', '{}')).status).to.equal(200);
    expect(await roundTripMs(socket)).to.be.lessThan(3000);
    const ended = hear(socket, 5000);
    const other = await listenEcho();
    await stage.call('PATCH', '/proxies/p', JSON.stringify({ upstream: other.address, name: 'zz' }));
    expect((await ended).how).to.not.equal('open');
    const state = await stage.client.proxy('p');
    expect(state).to.include({ name: 'p', upstream: other.address, enabled: true, listen: stage.address });
    expect(state.toxics).to.have.length(1);
    await other.close();
  });

  it('names toxics after type and stream, upstream ones first', async () => {
    const post = (body: string) => stage.call('POST', '/proxies/p/toxics', body);
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
    const names = (await stage.client.proxy('p')).toxics.map(({ name }) => name);
    expect(names).to.deep.equal(['slicer_UPSTREAM', 'latency_downstream', 'noop_downstream']);
    expect(JSON.parse((await post('{"type":"noop"}')).text)).to.deep.equal({
      error: 'toxic already exists',
      status: 409,
    });
    const latency = JSON.parse((await stage.call('GET', '/proxies/p/toxics/latency_downstream')).text);
    expect(latency.attributes).to.deep.equal({ latency: 5, jitter: 0 });
  });

  it('merges updates of a toxic field by field', async () => {
    await stage.toxic('latency', { latency: 5, jitter: 1 });
    for (const method of ['POST', 'PATCH']) {
      const body = '{"attributes":{"jitter":2},"toxicity":0.5,"name":"zz","stream":"upstream","type":"noop"}';
      const reply = await stage.call(method, '/proxies/p/toxics/latency_downstream', body);
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
    await stage.client.populate([
      { name: 'a', listen: '127.0.0.1:0', upstream: 'x:1' },
      { name: 'b', listen: '127.0.0.1:0', upstream: 'x:1' },
    ]);
    const { a, b } = await stage.client.proxies();
    const noop = { name: 'n', type: 'noop', stream: 'upstream' as const, attributes: {} };
    await stage.client.addToxic('a', noop);
    await stage.client.addToxic('b', noop);
    const again = await stage.client.populate([
      { name: 'a', listen: a!.listen.replace('127.0.0.1', 'localhost'), upstream: 'x:1', enabled: false },
      { name: 'b', listen: b!.listen, upstream: 'y:1' },
    ]);
    expect(again.map(({ name, enabled, toxics }) => [name, enabled, toxics.length])).to.deep.equal([
      ['a', true, 1],
      ['b', true, 0],
    ]);
    expect(Object.keys(await stage.client.proxies()).sort()).to.deep.equal(['a', 'b', 'p']);
  });

  it('populates nothing with a faulty list, and up to the faulty entry with a faulty address', async () => {
    const missing = await stage.call(
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
      { name: 'b', upstream: 'x:1', listen: stage.echo.address },
      { name: 'c', upstream: 'x:1', listen: '127.0.0.1:0' },
    ];
    const half = await stage.call('POST', '/populate', JSON.stringify(body));
    expect(half.status).to.equal(500);
    expect(JSON.parse(half.text).proxies.map(({ name }: { name: string }) => name)).to.deep.equal(['a']);
    expect(Object.keys(await stage.client.proxies()).sort()).to.deep.equal(['a', 'p']);
    expect(await stage.call('POST', '/populate', '[]')).to.include({ status: 201, text: '{"proxies":null}' });
  });

  it('populates: what cannot take the place of a proxy leaves it there, disabled, with its toxics', async () => {
    await stage.toxic('noop', {});
    const body = [{ name: 'p', upstream: 'y:1', listen: stage.echo.address }];
    expect((await stage.call('POST', '/populate', JSON.stringify(body))).status).to.equal(500);
    const { toxics, ...left } = await stage.client.proxy('p');
    expect(left).to.deep.include({ listen: stage.address, upstream: stage.echo.address, enabled: false });
    expect(toxics.map(({ name }) => name)).to.deep.equal(['noop_downstream']);
    expect((await stage.client.setEnabled('p', true)).enabled).to.equal(true);
  });

  it('resets: all enabled, no toxics', async () => {
    await stage.toxic('latency', { latency: 5 });
    await stage.client.setEnabled('p', false);
    expect((await stage.call('POST', '/reset')).status).to.equal(204);
    const state = await stage.client.proxy('p');
    expect([state.enabled, state.toxics]).to.deep.equal([true, []]);
    expect(await roundTripMs(await dial(state.listen))).to.be.lessThan(3000);
  });

  it('is driven by toxiproxy-node-client', async () => {
    const toxiproxy = new Toxiproxy(stage.server.url);
    expect(await toxiproxy.getVersion()).to.contain('2.12.0');
    const proxy = await toxiproxy.createProxy({
      name: 'n',
      listen: '127.0.0.1:0',
      upstream: stage.echo.address,
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
      { name: 'm', listen: '127.0.0.1:0', upstream: stage.echo.address },
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
    const text = await stage.client.proxy('none').then(
      () => '',
      (error: Error) => error.message,
    );
    expect(text).to.equal(`${stage.server.url}: GET /proxies/none: 404 proxy not found`);
  });
});
