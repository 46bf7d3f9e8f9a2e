/** What a run made on a server that is not ours: its record outlives the run, however that ended, until a sweep has undone it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { machineFacts, openRun, runsRoot } from '../run-record.ts';
import { sweep } from '../sweep.ts';

const program = fileURLToPath(new URL('./fixtures/victim-outside.ts', import.meta.url));

describe('what a run made outside', () => {
  let temp: string;
  let server: Server;
  let apiUrl: string;
  let held: Set<string>;
  let refuses: boolean;
  const victims: ChildProcess[] = [];
  const tempBefore = process.env.TMPDIR;

  beforeEach(async () => {
    temp = mkdtempSync(join(tmpdir(), 'cle-outside-'));
    process.env.TMPDIR = temp;
    held = new Set(['1.a>b', '1.b>a', '2.a>b']);
    refuses = false;
    server = createServer((request, response) => {
      const name = decodeURIComponent(request.url!.split('/')[2] ?? '');
      if (name === '') response.write(JSON.stringify(Object.fromEntries([...held].map((one) => [one, {}]))));
      else if (request.method === 'DELETE' && refuses) response.statusCode = 500;
      else if (request.method === 'DELETE') held.delete(name);
      response.end(name === '' ? '' : '{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    for (const victim of victims.splice(0)) victim.kill('SIGKILL');
    server.close();
    server.closeAllConnections();
    if (tempBefore === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = tempBefore;
    rmSync(temp, { recursive: true, force: true });
  });

  /** A run whose harness is dead. */
  const deadRun = (): string => {
    const folder = join(runsRoot(), `${process.pid}-1-1`);
    mkdirSync(join(folder, 'node-1'), { recursive: true });
    writeFileSync(join(folder, 'run.json'), JSON.stringify(machineFacts()));
    writeFileSync(
      join(folder, 'outside'),
      `${JSON.stringify({ kind: 'toxiproxy', apiUrl, prefix: '1.' })}\n`,
    );
    return folder;
  };

  it('is undone by a sweep, and nothing of others', async () => {
    const folder = deadRun();
    const { removed, kept } = await sweep();
    expect(removed.map(({ proxies }) => proxies)).to.deep.equal([2]);
    expect(kept).to.deep.equal([]);
    expect([...held]).to.deep.equal(['2.a>b']);
    expect(existsSync(folder)).to.equal(false);
  });

  it('stays on record while the server will not let it go', async () => {
    const folder = deadRun();
    refuses = true;
    const first = await sweep();
    expect(first.removed).to.deep.equal([]);
    expect(first.kept).to.have.length(1);
    expect(readdirSync(folder).sort()).to.deep.equal(['outside', 'run.json']);
    refuses = false;
    expect((await sweep()).removed).to.have.length(1);
    expect(existsSync(folder)).to.equal(false);
  });

  it('is forgotten with a server that is gone', async () => {
    const folder = deadRun();
    server.close();
    server.closeAllConnections();
    const { removed, kept } = await sweep();
    expect([removed.length, kept.length]).to.deep.equal([1, 0]);
    expect(existsSync(folder)).to.equal(false);
  });

  it('stays on record when its run is closed before it is undone', async () => {
    const [undone, left] = [openRun('test'), openRun('test')];
    for (const run of [undone, left]) writeFileSync(join(run.folder, 'something'), '');
    undone.remember({ kind: 'toxiproxy', apiUrl, prefix: '1.' })();
    left.remember({ kind: 'toxiproxy', apiUrl, prefix: '1.' });
    await Promise.all([undone.close(), left.close()]);
    expect(existsSync(undone.folder)).to.equal(false);
    expect(readdirSync(left.folder).sort()).to.deep.equal(['outside', 'run.json']);
  });

  for (const outside of [true, false]) {
    it(`${outside ? 'stays on record' : 'is nothing, and no folder stays,'} when the harness is killed`, async () => {
      const victim = spawn(process.execPath, ['--import', 'tsx', program, ...(outside ? [apiUrl] : [])], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      victims.push(victim);
      const [line] = (await once(victim.stdout!.setEncoding('utf8'), 'data')) as [string];
      const folder = line.trim();
      victim.kill('SIGKILL');
      await once(victim, 'exit');
      const deadline = performance.now() + 10_000;
      const left = (): string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);
      const expected = outside ? ['outside', 'run.json'] : [];
      while (left().join() !== expected.join() && performance.now() < deadline) await delay(20);
      // Nothing comes after it.
      await delay(300);
      expect(left()).to.deep.equal(expected);
      if (!outside) return;
      expect((await sweep()).removed.map(({ proxies }) => proxies)).to.deep.equal([2]);
      expect(existsSync(runsRoot())).to.equal(false);
    });
  }
});
