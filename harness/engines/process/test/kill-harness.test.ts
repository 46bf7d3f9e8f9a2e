/**
 * "Ctrl-C and SIGKILL of the harness leave no process and no temporary folder; the next start sweeps what is left": proved by
 * killing a harness at random moments of its life.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { build } from 'esbuild';
import { processesWithEnvironment } from '../../../os-process.ts';
import { runsRoot } from '../../../run-record.ts';
import { ownerLives, sweep } from '../../../sweep.ts';

const nodes = 5;

describe('a harness that is killed', function () {
  this.timeout(120_000);
  let temp: string;
  let program: string;
  const before_ = process.env.TMPDIR;
  const victims: ChildProcess[] = [];

  before(async () => {
    temp = mkdtempSync(join(tmpdir(), 'cle-kill-test-'));
    // Bundled, so that a victim is up in a tenth of a second; beside the stub's package, so that its imports resolve.
    program = join(temp, 'victim.mjs');
    await build({
      entryPoints: [fileURLToPath(new URL('./fixtures/victim.ts', import.meta.url))],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
      define: { 'import.meta.url': JSON.stringify(new URL('./fixture.ts', import.meta.url).href) },
    });
    process.env.TMPDIR = temp;
  });
  // A victim that outlives a failed test restarts its nodes for ever, and every later test runs beside it.
  afterEach(async () => {
    const alive = victims
      .splice(0)
      .filter((victim) => victim.exitCode === null && victim.signalCode === null);
    for (const victim of alive) victim.kill('SIGKILL');
    await Promise.all(alive.map((victim) => once(victim, 'exit')));
    await gone(processesLeft).catch((error: Error) => console.error(`left behind: ${error.message}`));
  });
  after(() => {
    if (before_ === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before_;
    rmSync(temp, { recursive: true, force: true });
  });

  const start = (
    words: string[] = [program, String(nodes)],
  ): { victim: ChildProcess; said: (word: string) => Promise<string> } => {
    const victim = spawn(process.execPath, words, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: temp },
    });
    victims.push(victim);
    let text = '';
    victim.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const said = async (word: string): Promise<string> => {
      const deadline = performance.now() + 20_000;
      while (!text.includes(word)) {
        if (victim.exitCode !== null || performance.now() > deadline)
          throw new Error(`never said ${word}: ${text}`);
        await delay(5);
      }
      return text;
    };
    return { victim, said };
  };
  /** Nodes and their children, helpers of the harness (all have our TMPDIR), watchdogs. */
  const processesLeft = (): number[] => [
    ...processesWithEnvironment(`TMPDIR=${temp}`),
    ...listed(`cle-testnet-watchdog ${temp}`),
  ];
  const foldersLeft = (): string[] => (existsSync(runsRoot()) ? readdirSync(runsRoot()) : []);
  const gone = async (left: () => unknown[]): Promise<void> => {
    const deadline = performance.now() + 15_000;
    while (left().length > 0 && performance.now() < deadline) await delay(20);
    expect(left()).to.deep.equal([]);
  };
  const listed = (text: string): number[] =>
    execFileSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(text))
      .map((line) => Number.parseInt(line, 10));
  const watchdogOf = (folder: string): number | null => listed(`cle-testnet-watchdog ${folder}`)[0] ?? null;

  // Moments from before the run folder exists to the middle of a restart storm; a different set in each run of this test.
  for (let round = 1; round <= 12; round += 1) {
    const orphanedWatchdog = round % 4 === 0;
    const what = orphanedWatchdog ? 'with its watchdog, and a sweep' : 'alone';
    it(`leaves nothing: ${what} (${round})`, async () => {
      const { victim, said } = start();
      const exited = once(victim, 'exit');
      if (round % 3 === 0) await said('busy');
      else if (round % 3 === 1) await said('open');
      const waitMs = Math.random() * (round % 3 === 2 ? 400 : 300);
      await delay(waitMs);
      const folders = foldersLeft();
      if (orphanedWatchdog) {
        // The harness first, or it would start children that nobody watches; both before the watchdog gets a turn.
        const watchdog = folders.length === 0 ? null : watchdogOf(join(runsRoot(), folders[0]!));
        if (watchdog !== null) process.kill(watchdog, 'SIGSTOP');
        victim.kill('SIGKILL');
        if (watchdog !== null) process.kill(watchdog, 'SIGKILL');
      } else {
        victim.kill('SIGKILL');
      }
      await exited;
      if (!orphanedWatchdog) await gone(processesLeft);
      // Killed before there was a watchdog, a folder may stand: the next start removes it.
      if (orphanedWatchdog || round % 3 === 2) await sweep();
      await gone(foldersLeft);
      await gone(processesLeft);
      expect(existsSync(runsRoot()), 'the root of all runs').to.equal(false);
    });
  }

  for (let round = 1; round <= 4; round += 1) {
    it(`leaves nothing of a whole testnet with its links (${round})`, async () => {
      const source = fileURLToPath(new URL('./fixtures/victim-testnet.ts', import.meta.url));
      const { victim, said } = start(['--import', 'tsx', source]);
      const exited = once(victim, 'exit');
      await said(round % 2 === 0 ? 'open' : 'busy');
      await delay(Math.random() * 1500);
      victim.kill('SIGKILL');
      await exited;
      await gone(processesLeft);
      if (foldersLeft().length > 0) await sweep();
      await gone(foldersLeft);
    });
  }

  it('leaves nothing after Ctrl-C or SIGTERM either, and says so by its exit code', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const { victim, said } = start();
      await said('busy');
      victim.kill(signal);
      const [exitCode] = (await once(victim, 'exit')) as [number | null];
      expect(exitCode).to.equal(code);
      await gone(processesLeft);
      expect(foldersLeft()).to.deep.equal([]);
    }
  });

  it('is swept while another one lives, and that one is left alone', async () => {
    const alive = start();
    await alive.said('busy');
    const dead = start();
    const id = (await dead.said('busy')).match(/open (\S+)/)![1]!;
    const exited = once(dead.victim, 'exit');
    process.kill(watchdogOf(join(runsRoot(), id))!, 'SIGKILL');
    dead.victim.kill('SIGKILL');
    await exited;
    expect(ownerLives(id)).to.equal(false);
    const swept = await sweep();
    expect(swept.removed.map((run) => run.id)).to.deep.equal([id]);
    // A victim restarts its nodes one by one: the one whose turn it is may be between two lives.
    expect(swept.removed[0]!.processes).to.be.at.least(nodes - 1);
    expect(swept.alive).to.have.length(1);
    expect(processesLeft().length).to.be.at.least(nodes - 1);
    expect(alive.victim.exitCode).to.equal(null);
    const ended = once(alive.victim, 'exit');
    alive.victim.kill('SIGKILL');
    await ended;
    await gone(foldersLeft);
    await gone(processesLeft);
  });

  it('keeps its hands off folders that are no runs', () => {
    expect(ownerLives('somebody-elses-folder')).to.equal(true);
    expect(ownerLives(`${process.pid}-1-1`)).to.equal(false);
  });
});
