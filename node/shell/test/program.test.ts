/** The node as a program: exit codes, one line for each mistake, SIGTERM, kill −9 (§10, §4). */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { stringify } from 'yaml';
import type { ThrowawayIdentity } from '../../throwaway-net.ts';
import { createTestNet, type TestNet, wireConfiguration } from './fixtures/shell-net.ts';

const main = fileURLToPath(new URL('../../main.ts', import.meta.url));

interface Ended {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

describe('node: program', function () {
  this.timeout(40_000);
  let net: TestNet;
  let folder: string;
  let identity: ThrowawayIdentity;
  const children: ChildProcess[] = [];
  const address = `127.78.${1 + (process.pid % 250)}.1`;

  before(async () => {
    net = await createTestNet();
    folder = mkdtempSync(join(tmpdir(), 'cle-program-'));
    identity = await net.issue('p');
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  after(() => {
    net.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const configurationFile = (more: Record<string, unknown> = {}) => {
    const file = join(folder, 'node.yaml');
    writeFileSync(
      file,
      stringify(wireConfiguration(identity, join(folder, 'data'), { listen: `${address}:8888`, ...more })),
    );
    return file;
  };
  const run = (environment: Record<string, string>) => {
    const child = spawn(process.execPath, ['--import', 'tsx', main], {
      env: { PATH: process.env.PATH ?? '', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr!.on('data', (chunk) => {
      stderr += chunk;
    });
    const ended = new Promise<Ended>((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    const started = new Promise<void>((resolve, reject) => {
      child.stdout!.on('data', () => stdout.includes('"event":"started"') && resolve());
      void ended.then(({ stderr: why }) => reject(new Error(`ended: ${why}`)));
    });
    started.catch(() => {});
    return { child, ended, started };
  };

  it('starts, notes it in NDJSON, accepts TLS, and ends with 0 within 5 s of SIGTERM', async () => {
    const { child, ended, started } = run({ CLE_CONFIG: configurationFile() });
    await started;
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host: address, port: 8888, rejectUnauthorized: false }, () => {
        resolve();
        socket.destroy();
      });
      socket.on('error', reject);
    });
    const startedAt = performance.now();
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await ended;
    expect(performance.now() - startedAt).to.be.below(5000);
    expect(code).to.equal(0);
    expect(stderr).to.equal('');
    const notes = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(notes.map(({ event }) => event)).to.include.members(['started', 'stopping']);
    expect(stdout).to.not.include('PRIVATE');
  });

  const mistakes: [what: string, environment: () => Record<string, string>, line: RegExp][] = [
    ['no CLE_CONFIG', () => ({}), /^CLE_CONFIG: is not set/],
    ['a missing file', () => ({ CLE_CONFIG: '/no/such.yaml' }), /^\/no\/such\.yaml: cannot be read: ENOENT/],
    [
      'an unknown key',
      () => ({ CLE_CONFIG: configurationFile({ fanout: 3 }) }),
      /node\.yaml: fanout: unknown key; allowed are/,
    ],
    [
      'a missing key file',
      () => ({ CLE_CONFIG: configurationFile({ key_file: '/no.key' }) }),
      /node\.yaml: key_file: cannot be read/,
    ],
    [
      'a data_dir that is a file',
      () => ({ CLE_CONFIG: configurationFile({ data_dir: identity.keyFile }) }),
      /node\.yaml: data_dir: /,
    ],
    [
      'a foreign address',
      () => ({ CLE_CONFIG: configurationFile({ listen: '203.0.113.9:8888' }) }),
      /node\.yaml: listen: 203\.0\.113\.9:8888 is no address/,
    ],
  ];
  for (const [what, environment, line] of mistakes) {
    it(`ends with 2 and one line for ${what}`, async () => {
      const { code, stderr, stdout } = await run(environment()).ended;
      expect(stderr).to.match(line);
      expect(stderr.trimEnd()).to.not.include('\n');
      expect(stdout).to.equal('');
      expect(code).to.equal(2);
    });
  }

  it('ends with 2 and one line for a port in use', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(8889, address, resolve));
    const { code, stderr } = await run({ CLE_CONFIG: configurationFile({ listen: `${address}:8889` }) })
      .ended;
    blocker.close();
    expect(stderr).to.match(new RegExp(`node\\.yaml: listen: ${address}:8889 is in use\n$`));
    expect(code).to.equal(2);
  });

  it('a second node on the same data_dir is told so', async () => {
    const { started } = run({ CLE_CONFIG: configurationFile() });
    await started;
    const { code, stderr } = await run({ CLE_CONFIG: configurationFile({ listen: `${address}:8890` }) })
      .ended;
    expect(stderr).to.match(/data_dir: .* is in use by another node\n$/);
    expect(code).to.equal(2);
  });
});
