/** Connections on real sockets, around a core that only records: texts, frames, bounds, turns, back-pressure (§2). */

import { expect } from 'chai';
import type WebSocket from 'ws';
import { client, onSockets, opened } from './fixtures/sockets.ts';

onSockets('connection', (stage) => {
  it('connects two shells, carries texts both ways in order, and closes with the code asked for', async () => {
    const [one, two] = [await stage.start(stage.a), await stage.start(stage.b)];
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
    const two = await stage.start(stage.b);
    const [busy, brief] = [await opened(client(stage.a, two.port)), await opened(client(stage.a, two.port))];
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
    const two = await stage.start(stage.b);
    const one = await opened(client(stage.a, two.port));
    for (let i = 0; i < 50; i++) one.send(`last words ${i}`);
    one.send(Buffer.from([0]));
    one.close();
    await two.input('closed');
    const kinds = two.inputs.map(({ kind }) => kind).filter((kind) => kind !== 'wake');
    expect(kinds.slice(-52)).to.deep.equal([...Array(50).fill('text'), 'binary', 'closed']);
  });

  it('takes 65 536 bytes, closes 1009 above, 1007 for bad UTF-8, and hands binary to the core', async () => {
    const shell = await stage.start(stage.a);
    const good = await opened(client(stage.b, shell.port));
    good.send('x'.repeat(65_536));
    good.send(Buffer.from([1, 2]));
    expect((await shell.input('text')).size).to.equal(65_536);
    await shell.input('binary');
    good.send('x'.repeat(65_537));
    expect(await closed(good)).to.equal(1009);
    const bad = await opened(client(stage.b, shell.port));
    bad.send(Buffer.from([0xff, 0xfe, 0xfd]), { binary: false });
    expect(await closed(bad)).to.equal(1007);
    expect(shell.inputs.filter(({ kind }) => kind === 'text')).to.have.length(1);
  });

  it('reassembles a longest message out of frames of one byte, with pings between them', async () => {
    const shell = await stage.start(stage.a);
    const socket = await opened(client(stage.b, shell.port));
    const pong = new Promise((resolve) => socket.once('pong', resolve));
    for (let i = 0; i < 65_536; i++) {
      socket.send('y', { fin: i === 65_535 });
      if (i % 8192 === 0) socket.ping();
    }
    expect((await shell.input('text')).text).to.equal('y'.repeat(65_536));
    await pong;
    socket.terminate();
  });

  it('stops reading on pause, holds what it had read, and goes on in order', async () => {
    let link = 0;
    const shell = await stage.start(stage.a, {
      answer: (input) =>
        input.kind === 'text' && input.text === '9' ? [{ kind: 'pause', link: input.link }] : [],
    });
    const socket = await opened(client(stage.b, shell.port));
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
    const shell = await stage.start(stage.a);
    const socket = await opened(client(stage.b, shell.port));
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
    const shell = await stage.start(stage.a);
    const socket = await opened(client(stage.b, shell.port));
    const { link } = await shell.input('accepted');
    socket.pause();
    const startedAt = performance.now();
    shell.perform({ kind: 'close', link, code: 4408, reason: 'silent', abortAfterMs: 300 });
    await shell.input('closed');
    expect(performance.now() - startedAt).to.be.within(250, 1500);
    socket.terminate();
  });
});

const closed = (socket: WebSocket) =>
  new Promise<number>((resolve) => {
    socket.on('error', () => {});
    socket.on('close', (code) => resolve(code));
  });
