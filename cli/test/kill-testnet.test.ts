/** "Ctrl-C and SIGKILL of the harness leave no process and no temporary folder", nor a container: tried on the command as a person runs it. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { engineOrSkip, heldBy } from '../../harness/engines/docker/test/fixture.ts';
import { processesWithEnvironment } from '../../harness/os-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('npm run testnet, interrupted', function () {
  this.timeout(90_000);
  let temp: string;

  before(() => {
    temp = mkdtempSync(join(tmpdir(), 'cle-interrupted-'));
  });
  after(() => rmSync(temp, { recursive: true, force: true }));

  /** Runs the command with a TMPDIR of its own, interrupts it at a moment named by what it says, tells how it ended. */
  const interrupted = async (
    words: string[],
    word: string,
    thenMs: number,
    signal: NodeJS.Signals,
    program = 'cli/testnet.ts',
  ) => {
    const child = spawn(process.execPath, ['--import', 'tsx', program, ...words], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: temp },
    });
    const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    }
    const deadline = performance.now() + 60_000;
    while (!said.includes(word)) {
      if (performance.now() > deadline || child.exitCode !== null)
        throw new Error(`never said "${word}": ${said}`);
      await delay(10);
    }
    await delay(thenMs);
    child.kill(signal);
    const at = performance.now();
    const [code, endedBy] = await exited;
    return { pid: child.pid!, code, endedBy, afterMs: performance.now() - at, said };
  };
  const left = (): (string | number)[] => {
    const folders = readdirSync(temp).filter((name) => name.startsWith('cle-'));
    return [...folders, ...processesWithEnvironment(`TMPDIR=${temp}`)];
  };
  const nothingLeft = async (): Promise<void> => {
    const deadline = performance.now() + 15_000;
    while (left().length > 0 && performance.now() < deadline) await delay(50);
    expect(left()).to.deep.equal([]);
  };
  const smoke = (): string[] => ['--engine', 'process', '--scenario', 'smoke', '--out', join(temp, 'out')];

  it('ends at once on Ctrl-C while nodes come up that never will', async () => {
    const words = [...smoke(), '--command', `exec '${process.execPath}' -e 'setInterval(() => {}, 1000)'`];
    const { code, afterMs, said } = await interrupted(words, 'start:', 2000, 'SIGINT');
    expect(code).to.equal(130);
    expect(afterMs).to.be.lessThan(10_000);
    expect(said).to.not.match(/\n\s+at /);
    await nothingLeft();
  });

  it('ends on Ctrl-C in the middle of the load', async () => {
    const { code, said } = await interrupted(smoke(), 'load:', 1500, 'SIGINT');
    expect(code).to.equal(130);
    expect(said).to.not.match(/\n\s+at /);
    await nothingLeft();
  });

  for (const [word, thenMs] of [
    ['start:', 300],
    ['load:', 2500],
  ] as const) {
    it(`leaves nothing when it is killed after "${word}"`, async () => {
      const { endedBy } = await interrupted(smoke(), word, thenMs, 'SIGKILL');
      expect(endedBy).to.equal('SIGKILL');
      await nothingLeft();
    });
  }

  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    it(`leaves nothing of a benchmark after ${signal}`, async () => {
      const words = ['--only', 'cold-start', '--out', join(temp, 'bench')];
      await interrupted(words, '-- cold-start', 1500, signal, 'cli/bench.ts');
      await nothingLeft();
    });
  }

  for (const [word, thenMs] of [
    ['start:', 2000],
    ['load:', 1500],
  ] as const) {
    it(`leaves no container after Ctrl-C after "${word}" either`, async function () {
      const docker = await engineOrSkip(this);
      const words = ['--engine', 'docker', '--scenario', 'smoke', '--out', join(temp, 'out')];
      const { pid, code, said } = await interrupted(words, word, thenMs, 'SIGINT');
      expect(code, said).to.equal(130);
      expect(said).to.not.match(/\n\s+at /);
      expect(await heldBy(docker, `${pid}-`)).to.deep.equal([]);
      await nothingLeft();
    });
  }

  it('names a foreign command that exits at once, with its last words, and exits 2', async () => {
    const words = [...smoke(), '--command', 'echo I have no time today >&2; exit 7'];
    const { code, said } = await interrupted(words, 'no time today', 0, 'SIGCONT');
    expect(code).to.equal(2);
    expect(said).to.match(
      /testnet: node-1 ended with exit code 7 after .* its last lines: I have no time today \(none of 8 nodes came up\)/,
    );
    await nothingLeft();
    expect(existsSync(join(temp, 'out', 'logs', 'node-1.log'))).to.equal(true);
    expect(readFileSync(join(temp, 'out', 'logs', 'node-1.log'), 'utf8')).to.match(/no time today/);
  });
});
