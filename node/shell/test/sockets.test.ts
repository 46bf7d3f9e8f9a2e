/** The shell on real sockets, around a core that only records: TLS, upgrade, frames, bounds, back-pressure (§2). */

import { readFileSync } from 'node:fs';
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import WebSocket from 'ws';
import type { ThrowawayIdentity } from '../../throwaway-net.ts';
import {
  type BareShell,
  type BareShellOptions,
  createTestNet,
  startBareShell,
  type TestNet,
} from './fixtures/shell-net.ts';

describe('shell: sockets', () => {
  let net: TestNet;
  let a: ThrowawayIdentity;
  let b: ThrowawayIdentity;
  const shells: BareShell[] = [];
  const start = async (identity: ThrowawayIdentity, options?: BareShellOptions) => {
    const shell = await startBareShell(identity, options);
    shells.push(shell);
    return shell;
  };

  before(async () => {
    net = await createTestNet();
    a = await net.issue('a');
    b = await net.issue('b');
  });
  afterEach(async () => {
    await Promise.all(shells.splice(0).map((shell) => shell.stop()));
  });
  after(() => net.end());

  const tlsOptions = (identity: ThrowawayIdentity, port: number): ConnectionOptions => ({
    host: '127.0.0.1',
    port,
    key: readFileSync(identity.keyFile),
    cert: readFileSync(identity.certificateFile),
    ca: readFileSync(identity.caFile),
    checkServerIdentity: () => undefined,
  });
  const client = (
    identity: ThrowawayIdentity,
    port: number,
    path = '/',
    protocols: string[] = ['cle-net.v1'],
  ) =>
    new WebSocket(`wss://127.0.0.1:${port}${path}`, protocols, {
      ...(tlsOptions(identity, port) as object),
      perMessageDeflate: true,
    });
  const opened = (socket: WebSocket) =>
    new Promise<WebSocket>((resolve, reject) => {
      socket.on('open', () => resolve(socket));
      socket.on('error', reject);
    });
  const closed = (socket: WebSocket) =>
    new Promise<number>((resolve) => {
      socket.on('error', () => {});
      socket.on('close', (code) => resolve(code));
    });

  it('connects two shells, carries texts both ways in order, and closes with the code asked for', async () => {
    const [one, two] = [await start(a), await start(b)];
    one.perform({ kind: 'dial', dial: 7, address: `127.0.0.1:${two.port}` });
    const dialed = await one.input('dialed');
    const accepted = await two.input('accepted');
    expect(dialed.dial).to.equal(7);
    const sends = Array.from({ length: 500 }, (_, i) => ({
      kind: 'send' as const,
      link: dialed.link,
      text: `${i} é😀`,
    }));
    one.perform(...sends);
    two.perform({ kind: 'send', link: accepted.link, text: 'back' });
    await two.input('text', ({ text }) => text.startsWith('499 '));
    const texts = two.inputs.flatMap((input) => (input.kind === 'text' ? [input] : []));
    expect(texts.map(({ text }) => text)).to.deep.equal(sends.map(({ text }) => text));
    expect(texts[0]!.size).to.equal(Buffer.byteLength('0 é😀'));
    expect((await one.input('text')).text).to.equal('back');
    one.perform(
      { kind: 'send', link: dialed.link, text: 'last' },
      { kind: 'close', link: dialed.link, code: 4409, reason: 'twice' },
    );
    expect((await two.input('closed')).code).to.equal(4409);
    expect((await one.input('closed')).code).to.equal(4409);
    expect(two.inputs.at(-2)).to.include({ kind: 'text', text: 'last' });
  });

  it('takes turns: who asks while another has a backlog waits for a few of its messages', async () => {
    const two = await start(b);
    const [busy, brief] = [await opened(client(a, two.port)), await opened(client(a, two.port))];
    // Both arrive while the event loop stands still.
    for (let i = 0; i < 300; i++) busy.send(`backlog ${i}`);
    brief.send('question');
    const until = performance.now() + 200;
    while (performance.now() < until) {
      // The kernel delivers meanwhile.
    }
    await two.input('text', ({ text }) => text === 'backlog 299');
    const texts = two.inputs.flatMap((input) => (input.kind === 'text' ? [input.text] : []));
    expect(texts).to.have.length(301);
    expect(texts.indexOf('question')).to.be.below(150);
    expect(texts.filter((text) => text !== 'question')).to.deep.equal(
      Array.from({ length: 300 }, (_, i) => `backlog ${i}`),
    );
    busy.terminate();
    brief.terminate();
  });

  it('takes what a peer said before it went', async () => {
    const two = await start(b);
    const one = await opened(client(a, two.port));
    for (let i = 0; i < 50; i++) one.send(`last words ${i}`);
    one.send(Buffer.from([0]));
    one.close();
    await two.input('closed');
    const kinds = two.inputs.map(({ kind }) => kind).filter((kind) => kind !== 'wake');
    expect(kinds.slice(-52)).to.deep.equal([...Array(50).fill('text'), 'binary', 'closed']);
  });

  it('dials by the hosts map before DNS', async () => {
    const two = await start(b);
    const one = await start(a, { hosts: new Map([['node-2.invalid', '127.0.0.1']]) });
    one.perform({ kind: 'dial', dial: 1, address: `node-2.invalid:${two.port}` });
    await one.input('dialed');
  });

  it('reports dials that fail: nobody there, no address, no TLS, cancelled ones not at all', async () => {
    const one = await start(a, { handshakeTimeoutMs: 400 });
    const silent = createTcpServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    one.perform(
      { kind: 'dial', dial: 1, address: '127.0.0.1:1' },
      { kind: 'dial', dial: 2, address: 'no address' },
      { kind: 'dial', dial: 3, address: `127.0.0.1:${port}` },
      { kind: 'dial', dial: 4, address: `127.0.0.1:${port}` },
      { kind: 'cancel-dial', dial: 4 },
    );
    expect((await one.input('dial-failed', ({ dial }) => dial === 1)).reason).to.match(/ECONNREFUSED/);
    await one.input('dial-failed', ({ dial }) => dial === 2);
    expect((await one.input('dial-failed', ({ dial }) => dial === 3)).reason).to.match(/within 400 ms/);
    expect(one.inputs.some((input) => input.kind === 'dial-failed' && input.dial === 4)).to.equal(false);
    silent.close();
  });

  const refusals: [
    what: string,
    options: (port: number) => ConnectionOptions | Promise<ConnectionOptions>,
  ][] = [
    ['TLS 1.2', (port) => ({ ...tlsOptions(b, port), maxVersion: 'TLSv1.2' })],
    [
      'only TLS_AES_128_GCM_SHA256',
      (port) => ({ ...tlsOptions(b, port), ciphers: 'TLS_AES_128_GCM_SHA256' }),
    ],
    ['only ChaCha20', (port) => ({ ...tlsOptions(b, port), ciphers: 'TLS_CHACHA20_POLY1305_SHA256' })],
    ['no client certificate', (port) => ({ ...tlsOptions(b, port), key: undefined, cert: undefined })],
    [
      'an expired certificate',
      async (port) => tlsOptions(await net.issue('late', { notAfterMs: Date.now() - 60_000 }), port),
    ],
    [
      'a future certificate',
      async (port) => tlsOptions(await net.issue('early', { notBeforeMs: Date.now() + 60_000 }), port),
    ],
    [
      'no clientAuth',
      async (port) => tlsOptions(await net.issue('usage', { usages: ['1.3.6.1.5.5.7.3.1'] }), port),
    ],
    [
      'no serverAuth',
      async (port) => tlsOptions(await net.issue('usage2', { usages: ['1.3.6.1.5.5.7.3.2'] }), port),
    ],
    ['no agent id', async (port) => tlsOptions(await net.issue('none', { uris: ['urn:other:thing'] }), port)],
    [
      'two agent ids',
      async (port) =>
        tlsOptions(
          await net.issue('two', { uris: ['urn:cle-net:agent:agent_x', 'urn:cle-net:agent:agent_y'] }),
          port,
        ),
    ],
  ];
  for (const [what, options] of refusals) {
    it(`refuses ${what}`, async () => {
      const shell = await start(a);
      const outcome = await upgrade(connect(await options(shell.port)));
      expect(outcome, outcome).to.not.match(/ 101 /);
      expect(shell.inputs.some(({ kind }) => kind === 'accepted')).to.equal(false);
      const twin = await upgrade(connect(tlsOptions(b, shell.port)));
      expect(twin).to.match(/^HTTP\/1.1 101 /);
      expect(twin).to.match(/sec-websocket-protocol: cle-net.v1/i);
    });
  }

  it('refuses a foreign CA from both sides', async () => {
    const foreign = await createTestNet();
    try {
      const stranger = await start(await foreign.issue('s'));
      const shell = await start(a);
      shell.perform({ kind: 'dial', dial: 1, address: `127.0.0.1:${stranger.port}` });
      stranger.perform({ kind: 'dial', dial: 1, address: `127.0.0.1:${shell.port}` });
      await Promise.all([shell.input('dial-failed'), stranger.input('dial-failed')]);
      expect([...shell.inputs, ...stranger.inputs].some(({ kind }) => kind === 'accepted')).to.equal(false);
    } finally {
      foreign.end();
    }
  });

  it('never resumes a session', async () => {
    const shell = await start(a);
    const first = connect(tlsOptions(b, shell.port));
    const session = await new Promise<Buffer>((resolve) => first.on('session', resolve));
    first.destroy();
    const second = connect({ ...tlsOptions(b, shell.port), session });
    await new Promise((resolve) => second.once('secureConnect', resolve));
    expect(second.isSessionReused()).to.equal(false);
    second.destroy();
  });

  it('answers another path with 404, no subprotocol with 400, and negotiates no extension', async () => {
    const shell = await start(a);
    const status = (socket: WebSocket) =>
      new Promise<number | undefined>((resolve) => {
        socket.on('unexpected-response', (request, response) => {
          resolve(response.statusCode);
          request.destroy();
        });
        socket.on('error', () => {});
        socket.on('open', () => resolve(101));
      });
    expect(await status(client(b, shell.port, '/other'))).to.equal(404);
    expect(await status(client(b, shell.port, '/', []))).to.equal(400);
    expect(await status(client(b, shell.port, '/', ['cle-net.v2']))).to.equal(400);
    const good = await opened(client(b, shell.port, '/', ['x', 'cle-net.v1']));
    expect(good.protocol).to.equal('cle-net.v1');
    expect(good.extensions).to.equal('');
    good.terminate();
  });

  it('takes 65 536 bytes, closes 1009 above, 1007 for bad UTF-8, and hands binary to the core', async () => {
    const shell = await start(a);
    const good = await opened(client(b, shell.port));
    good.send('x'.repeat(65_536));
    good.send(Buffer.from([1, 2]));
    expect((await shell.input('text')).size).to.equal(65_536);
    await shell.input('binary');
    good.send('x'.repeat(65_537));
    expect(await closed(good)).to.equal(1009);
    const bad = await opened(client(b, shell.port));
    bad.send(Buffer.from([0xff, 0xfe, 0xfd]), { binary: false });
    expect(await closed(bad)).to.equal(1007);
    expect(shell.inputs.filter(({ kind }) => kind === 'text')).to.have.length(1);
  });

  it('reassembles a longest message out of frames of one byte, with pings between them', async () => {
    const shell = await start(a);
    const socket = await opened(client(b, shell.port));
    const pong = new Promise((resolve) => socket.once('pong', resolve));
    for (let i = 0; i < 65_536; i++) {
      socket.send('y', { fin: i === 65_535 });
      if (i % 8192 === 0) socket.ping();
    }
    expect((await shell.input('text')).text).to.equal('y'.repeat(65_536));
    await pong;
    socket.terminate();
  });

  it('drops who has not upgraded within the handshake time, and the oldest of too many', async () => {
    const shell = await start(a, { handshakeTimeoutMs: 600 });
    const ended = (socket: ReturnType<typeof connectTcp>) =>
      new Promise<void>((resolve) => socket.on('error', () => {}).on('close', () => resolve()));
    const startedAt = performance.now();
    const tcp = connectTcp(shell.port, '127.0.0.1');
    const tls = connect(tlsOptions(b, shell.port));
    const half = connect(tlsOptions(b, shell.port), () => half.write('GET / HTTP/1.1\r\nUpgrade: webso'));
    await Promise.all([tcp, tls, half].map((socket) => ended(socket)));
    expect(performance.now() - startedAt).to.be.within(500, 3000);
    const many = Array.from({ length: 300 }, () => connectTcp(shell.port, '127.0.0.1'));
    await Promise.all(many.slice(0, 20).map(ended));
    const honest = await opened(client(b, shell.port));
    honest.terminate();
    for (const socket of many) socket.destroy();
  });

  it('stops reading on pause, holds what it had read, and goes on in order', async () => {
    let link = 0;
    const shell = await start(a, {
      answer: (input) =>
        input.kind === 'text' && input.text === '9' ? [{ kind: 'pause', link: input.link }] : [],
    });
    const socket = await opened(client(b, shell.port));
    link = (await shell.input('accepted')).link;
    for (let i = 0; i < 2000; i++) socket.send(`${i}`);
    await shell.input('text', ({ text }) => text === '9');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const texts = () => shell.inputs.flatMap((input) => (input.kind === 'text' ? [input.text] : []));
    expect(texts()).to.have.length(10);
    shell.perform({ kind: 'resume', link });
    await shell.input('text', ({ text }) => text === '1999');
    expect(texts()).to.deep.equal(Array.from({ length: 2000 }, (_, i) => `${i}`));
    socket.terminate();
  });

  it('reports pressure from a peer that does not read, relief when it does, and cuts off a hopeless one', async () => {
    const shell = await start(a);
    const socket = await opened(client(b, shell.port));
    const { link } = await shell.input('accepted');
    socket.pause();
    const text = 'z'.repeat(60_000);
    // The kernel's buffers take some megabytes before ours fill.
    const fill = async (kind: 'pressed' | 'closed') => {
      for (let i = 0; i < 400 && !shell.inputs.some((input) => input.kind === kind); i++) {
        shell.perform({ kind: 'send', link, text });
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await fill('pressed');
    await shell.input('pressed');
    expect(shell.inputs.some(({ kind }) => kind === 'drained')).to.equal(false);
    socket.resume();
    await shell.input('drained');
    socket.pause();
    await fill('closed');
    await shell.input('closed');
    socket.terminate();
  });

  it('aborts a close that the peer does not answer', async () => {
    const shell = await start(a);
    const socket = await opened(client(b, shell.port));
    const { link } = await shell.input('accepted');
    socket.pause();
    const startedAt = performance.now();
    shell.perform({ kind: 'close', link, code: 4408, reason: 'silent', abortAfterMs: 300 });
    await shell.input('closed');
    expect(performance.now() - startedAt).to.be.within(250, 1500);
    socket.terminate();
  });

  it('a port in use is one line that names it', async () => {
    const shell = await start(a);
    const { listen } = await import('../listener.ts');
    const outcome = await listen({
      source: 'node.yaml',
      endpoint: { host: '127.0.0.1', port: shell.port },
      pem: {
        key: readFileSync(a.keyFile, 'utf8'),
        certificate: readFileSync(a.certificateFile, 'utf8'),
      },
      handshakeTimeoutMs: 1000,
      isProof: () => true,
      accepted: () => {},
    }).catch((error: Error) => error);
    expect(outcome).to.be.instanceOf(Error);
    expect((outcome as Error).message).to.equal(`node.yaml: listen: 127.0.0.1:${shell.port} is in use`);
  });
});

/** Sends an upgrade request by hand; resolves with the head of the answer, or how it was refused. */
function upgrade(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const end = (outcome: string) => {
      resolve(outcome);
      socket.destroy();
    };
    socket.on('error', (error) => end(`refused: ${error.message}`));
    socket.on('close', () => end(answer || 'refused: closed'));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.includes('\r\n\r\n')) end(answer);
    });
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: cle-net.v1\r\n\r\n',
    );
  });
}
