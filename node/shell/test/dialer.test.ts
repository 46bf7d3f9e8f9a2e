/** The dialer on real sockets, around a core that only records: whom it finds, and what it says of dials that fail (§2). */

import { createServer as createTcpServer } from 'node:net';
import { expect } from 'chai';
import { createTestNet } from './fixtures/shell-net.ts';
import { onSockets } from './fixtures/sockets.ts';

onSockets('dialer', (stage) => {
  it('dials by the hosts map before DNS', async () => {
    const two = await stage.start(stage.b);
    const one = await stage.start(stage.a, { hosts: new Map([['node-2.invalid', '127.0.0.1']]) });
    one.perform({ kind: 'dial', dial: 1, address: `node-2.invalid:${two.port}` });
    await one.input('dialed');
  });

  it('reports dials that fail: nobody there, no address, no TLS, cancelled ones not at all', async () => {
    const one = await stage.start(stage.a, { handshakeTimeoutMs: 400 });
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

  it('reports addresses that fit into no URL or that nobody has, whatever a peer made up', async () => {
    const shell = await stage.start(stage.a);
    const strange = ['1.2.3.999:80', '[fe80::1%lo]:9', '[::::]:9', 'xn--a:9', 'a..b:9', '_:9', '0x7f.1:9'];
    strange.forEach((address, dial) => {
      shell.perform({ kind: 'dial', dial, address });
    });
    for (const [dial] of strange.entries()) await shell.input('dial-failed', (input) => input.dial === dial);
  });

  it('refuses a foreign CA from both sides', async () => {
    const foreign = await createTestNet();
    try {
      const stranger = await stage.start(await foreign.issue('s'));
      const shell = await stage.start(stage.a);
      shell.perform({ kind: 'dial', dial: 1, address: `127.0.0.1:${stranger.port}` });
      stranger.perform({ kind: 'dial', dial: 1, address: `127.0.0.1:${shell.port}` });
      await Promise.all([shell.input('dial-failed'), stranger.input('dial-failed')]);
      expect([...shell.inputs, ...stranger.inputs].some(({ kind }) => kind === 'accepted')).to.equal(false);
    } finally {
      foreign.end();
    }
  });
});
