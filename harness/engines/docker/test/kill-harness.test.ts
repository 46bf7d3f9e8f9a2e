/**
 * "After … SIGKILL of the harness: no container, network, volume, temporary folder": twenty harnesses killed at random moments of
 * their lives, five side by side, half of them together with their watchdogs so that only a sweep can help.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type Docker from 'dockerode';
import { sweep } from '../../../sweep.ts';
import { sweepEngine } from '../leftovers.ts';
import { engineOrSkip, heldBy } from './fixture.ts';

const program = fileURLToPath(new URL('./fixtures/victim.ts', import.meta.url));
const sideBySide = 5;
const rounds = 4;

describe('docker: a harness that is killed', function () {
  this.timeout(120_000);
  let docker: Docker;
  let temp: string;
  const tempBefore = process.env.TMPDIR;
  const victims: ChildProcess[] = [];

  before(async function () {
    docker = await engineOrSkip(this);
    temp = mkdtempSync(join(tmpdir(), 'cle-docker-kill-'));
    process.env.TMPDIR = temp;
  });
  // A victim that outlives a failed test makes containers for ever, and every later test runs beside it.
  afterEach(() => {
    for (const victim of victims.splice(0)) if (victim.exitCode === null) victim.kill('SIGKILL');
  });
  after(() => {
    if (temp === undefined) return;
    if (tempBefore === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = tempBefore;
    rmSync(temp, { recursive: true, force: true });
  });

  const started = async (): Promise<ChildProcess> => {
    const victim = spawn(process.execPath, ['--import', 'tsx', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: temp },
    });
    victims.push(victim);
    victim.stdout!.resume();
    await Promise.race([once(victim.stdout!, 'data'), once(victim, 'exit')]);
    return victim;
  };
  const watchdogs = (pid: number): number[] =>
    execFileSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes('cle-testnet-watchdog') && line.includes(`${pid}-`))
      .map((line) => Number.parseInt(line, 10));
  const foldersOf = (pid: number): string[] =>
    readdirSync(temp, { recursive: true, encoding: 'utf8' }).filter((path) =>
      new RegExp(`^cle-testnet-[^/]+/${pid}-[^/]+$`).test(path),
    );
  const gone = async (left: () => Promise<unknown[]>, again: () => Promise<unknown>): Promise<void> => {
    const deadline = performance.now() + 40_000;
    while ((await left()).length > 0 && performance.now() < deadline) {
      await again();
      await delay(200);
    }
    expect(await left()).to.deep.equal([]);
  };

  for (let round = 1; round <= rounds; round += 1) {
    it(`leaves nothing (${sideBySide} of ${sideBySide * rounds}, round ${round})`, async () => {
      const victims = await Promise.all(Array.from({ length: sideBySide }, started));
      await Promise.all(
        victims.map(async (victim, index) => {
          const pid = victim.pid!;
          const exited = once(victim, 'exit');
          await delay(Math.random() * 4_000);
          const orphaned = index % 2 === 1;
          // Stopped first, or they would clean up in the moment between two kills.
          const dogs = orphaned ? watchdogs(pid) : [];
          for (const dog of dogs) process.kill(dog, 'SIGSTOP');
          victim.kill('SIGKILL');
          await exited;
          for (const dog of dogs) process.kill(dog, 'SIGKILL');
          const left = async (): Promise<string[]> => [
            ...(await heldBy(docker, `${pid}-`)),
            ...foldersOf(pid),
          ];
          // The next start does no more than this; the others of this round live meanwhile and are left alone.
          const sweeping = async (): Promise<void> => {
            await sweepEngine({ docker, local: true });
            await sweep();
          };
          await gone(left, orphaned ? sweeping : async () => {});
        }),
      );
    });
  }
});
