/** The listener on real sockets, around a core that only records: who gets in, by TLS, upgrade and in time (§2). */

import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import type WebSocket from 'ws';
import { client, onSockets, opened, tlsOptions } from './fixtures/sockets.ts';

onSockets('listener', (stage) => {
  const refusals: [
    what: string,
    options: (port: number) => ConnectionOptions | Promise<ConnectionOptions>,
  ][] = [
    ['TLS 1.2', (port) => ({ ...tlsOptions(stage.b, port), maxVersion: 'TLSv1.2' })],
    [
      'only TLS_AES_128_GCM_SHA256',
      (port) => ({ ...tlsOptions(stage.b, port), ciphers: 'TLS_AES_128_GCM_SHA256' }),
    ],
    ['only ChaCha20', (port) => ({ ...tlsOptions(stage.b, port), ciphers: 'TLS_CHACHA20_POLY1305_SHA256' })],
    ['no client certificate', (port) => ({ ...tlsOptions(stage.b, port), key: undefined, cert: undefined })],
    [
      'an expired certificate',
      async (port) => tlsOptions(await stage.net.issue('late', { notAfterMs: Date.now() - 60_000 }), port),
    ],
    [
      'a future certificate',
      async (port) => tlsOptions(await stage.net.issue('early', { notBeforeMs: Date.now() + 60_000 }), port),
    ],
    [
      'no clientAuth',
      async (port) => tlsOptions(await stage.net.issue('usage', { usages: ['1.3.6.1.5.5.7.3.1'] }), port),
    ],
    [
      'no serverAuth',
      async (port) => tlsOptions(await stage.net.issue('usage2', { usages: ['1.3.6.1.5.5.7.3.2'] }), port),
    ],
    [
      'no agent id',
      async (port) => tlsOptions(await stage.net.issue('none', { uris: ['urn:other:thing'] }), port),
    ],
    [
      'two agent ids',
      async (port) =>
        tlsOptions(
          await stage.net.issue('two', { uris: ['urn:cle-net:agent:agent_x', 'urn:cle-net:agent:agent_y'] }),
          port,
        ),
    ],
  ];
  for (const [what, options] of refusals) {
    it(`refuses ${what}`, async () => {
      const shell = await stage.start(stage.a);
      const outcome = await upgrade(connect(await options(shell.port)));
      expect(outcome, outcome).to.not.match(/ 101 /);
      expect(shell.inputs.some(({ kind }) => kind === 'accepted')).to.equal(false);
      const twin = await upgrade(connect(tlsOptions(stage.b, shell.port)));
      expect(twin).to.match(/^HTTP\/1.1 101 /);
      expect(twin).to.match(/sec-websocket-protocol: cle-net.v1/i);
    });
  }

  it('never resumes a session', async () => {
    const shell = await stage.start(stage.a);
    const first = connect(tlsOptions(stage.b, shell.port));
    const session = await new Promise<Buffer>((resolve) => first.on('session', resolve));
    first.destroy();
    const second = connect({ ...tlsOptions(stage.b, shell.port), session });
    await new Promise((resolve) => second.once('secureConnect', resolve));
    expect(second.isSessionReused()).to.equal(false);
    second.destroy();
  });

  it('answers another path with 404, no subprotocol with 400, and negotiates no extension', async () => {
    const shell = await stage.start(stage.a);
    const status = (socket: WebSocket) =>
      new Promise<number | undefined>((resolve) => {
        socket.on('unexpected-response', (request, response) => {
          resolve(response.statusCode);
          request.destroy();
        });
        socket.on('error', () => {});
        socket.on('open', () => resolve(101));
      });
    expect(await status(client(stage.b, shell.port, '/other'))).to.equal(404);
    expect(await status(client(stage.b, shell.port, '/', []))).to.equal(400);
    expect(await status(client(stage.b, shell.port, '/', ['cle-net.v2']))).to.equal(400);
    const good = await opened(client(stage.b, shell.port, '/', ['x', 'cle-net.v1']));
    expect(good.protocol).to.equal('cle-net.v1');
    expect(good.extensions).to.equal('');
    good.terminate();
  });

  it('drops who has not upgraded within the handshake time, and the oldest of too many', async () => {
    const shell = await stage.start(stage.a, { handshakeTimeoutMs: 600 });
    const ended = (socket: ReturnType<typeof connectTcp>) =>
      new Promise<void>((resolve) => socket.on('error', () => {}).on('close', () => resolve()));
    const startedAt = performance.now();
    const tcp = connectTcp(shell.port, '127.0.0.1');
    const tls = connect(tlsOptions(stage.b, shell.port));
    const half = connect(tlsOptions(stage.b, shell.port), () =>
      half.write('GET / HTTP/1.1\r\nUpgrade: webso'),
    );
    await Promise.all([tcp, tls, half].map((socket) => ended(socket)));
    expect(performance.now() - startedAt).to.be.within(500, 3000);
    const many = Array.from({ length: 300 }, () => connectTcp(shell.port, '127.0.0.1'));
    await Promise.all(many.slice(0, 20).map(ended));
    const honest = await opened(client(stage.b, shell.port));
    honest.terminate();
    for (const socket of many) socket.destroy();
  });

  it('a port in use is one line that names it', async () => {
    const shell = await stage.start(stage.a);
    const { listen } = await import('../listener.ts');
    const outcome = await listen({
      source: 'node.yaml',
      endpoint: { host: '127.0.0.1', port: shell.port },
      pem: {
        key: readFileSync(stage.a.keyFile, 'utf8'),
        certificate: readFileSync(stage.a.certificateFile, 'utf8'),
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
