/** The fault server as a command, and on its thread. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { startFaultThread } from '../fault-thread.ts';
import { createToxiproxyClient } from '../toxiproxy-client.ts';
import { dial, hear, listen, listenEcho, roundTripMs } from './servers.ts';

const program = fileURLToPath(new URL('../serve.ts', import.meta.url));

function serve(...flags: string[]): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', program, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Exit code and what was said of a command that is to fail. */
async function failure(...flags: string[]): Promise<{ code: number | null; said: string }> {
  const child = serve(...flags);
  let said = '';
  child.stderr!.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

describe('fault server as a command', function () {
  this.timeout(60_000);

  it('says where it is, works, and ends at SIGTERM', async () => {
    const child = serve('--port', '0', '--seed', '9');
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
    const { url, seed } = JSON.parse(line) as { url: string; seed: number };
    expect(seed).to.equal(9);
    const client = createToxiproxyClient(url);
    const echo = await listenEcho();
    const proxy = await client.create({ name: 'p', listen: '127.0.0.1:0', upstream: echo.address });
    const socket = await dial(proxy.listen);
    expect(await roundTripMs(socket)).to.be.lessThan(5000);
    const heard = hear(socket, 5000);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).to.equal(0);
    expect((await heard).how).to.not.equal('open');
    client.close();
    await echo.close();
  });

  it('answers a wrong flag, a wrong number and a taken port with one line and exit 2', async () => {
    const taken = await listen(() => {});
    const port = taken.address.split(':')[1]!;
    const failures = await Promise.all([
      failure('--nope'),
      failure('--port', '70000'),
      failure('--port', port),
    ]);
    expect(failures.map(({ code }) => code)).to.deep.equal([2, 2, 2]);
    expect(failures[0]!.said).to.match(/^[^\n]*--nope[^\n]*Allowed: --host, --port, --seed\.\n$/);
    expect(failures[1]!.said).to.equal('--port 70000: must be a whole number from 0 to 65535\n');
    expect(failures[2]!.said).to.equal(`cannot listen on 127.0.0.1:${port}: EADDRINUSE\n`);
    await taken.close();
  });
});

describe('fault server on a thread', function () {
  this.timeout(20_000);

  it('serves, and goes when closed', async () => {
    const thread = await startFaultThread({ seed: 1 });
    const client = createToxiproxyClient(thread.url);
    expect(await client.version()).to.deep.equal({ version: '2.12.0', superset: true });
    client.close();
    await thread.close();
    await thread.close();
    const gone = await fetch(thread.url).then(
      () => 'answers',
      () => 'gone',
    );
    expect(gone).to.equal('gone');
  });

  it('refuses an address that cannot be had', async () => {
    const reason = await startFaultThread({ seed: 1, host: '203.0.113.9' }).then(
      () => 'started',
      (error: Error) => error.message,
    );
    expect(reason).to.contain('EADDRNOTAVAIL');
  });
});
