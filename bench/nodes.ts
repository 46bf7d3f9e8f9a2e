/**
 * What one node and fifty of them cost to start and to keep: cold start against `node -e 0`, bring-up of a meshed net against
 * bare programs of the same runtime that only open a TLS listener, memory of a node with ten peers. The process engine starts
 * both sides; peers are counted from outside, by observers.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeNodeFolder } from '../harness/engines/node-files.ts';
import { processEngine } from '../harness/engines/process/engine.ts';
import { createAuthority } from '../harness/wire/authority.ts';
import { identityFrom } from '../harness/wire/identity.ts';
import { type Bar, type Bench, type BenchOptions, bar, median } from './bar.ts';
import { meshed, quietPlan, reference } from './meshed.ts';

const bareListener = fileURLToPath(new URL('bare-listener.cjs', import.meta.url));

/** ms from the spawn to the end of the process, or to its first line on stdout. */
async function spanMs(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  until: 'exit' | 'line',
): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  if (until === 'exit') await ended;
  else
    await Promise.race([
      once(child.stdout, 'data'),
      ended.then(() => Promise.reject(new Error(`${argv.join(' ')} ended`))),
    ]);
  const tookMs = performance.now() - startedAt;
  if (until === 'line') {
    child.kill('SIGKILL');
    await ended;
  }
  return tookMs;
}

async function coldStart({ quick, scratchDir }: BenchOptions): Promise<Bar[]> {
  const { command } = await reference();
  const authority = await createAuthority();
  const identity = identityFrom(`cold-start-${process.pid}`);
  const address = `127.0.0.1:${20_000 + (process.pid % 20_000)}`;
  const folder = writeNodeFolder(join(scratchDir, 'cold-start'), {
    agentId: identity.agentId,
    listen: address,
    advertise: address,
    keyPem: identity.keyPem,
    certificatePem: (await authority.issue(identity)).pem,
    caPem: authority.certificatePem,
    bootstrapNodes: [],
  });
  const ours: number[] = [];
  const control: number[] = [];
  // The first pair warms the page cache and the store's folder.
  for (let i = 0; i <= (quick ? 9 : 25); i += 1) {
    const env = { PATH: process.env.PATH, CLE_CONFIG: folder.configFile };
    const ms = await spanMs(command, env, 'line');
    const nothing = await spanMs([process.execPath, '-e', '0'], { PATH: process.env.PATH }, 'exit');
    if (i > 0) {
      ours.push(ms);
      control.push(nothing);
    }
  }
  const [figure, base] = [median(ours), median(control)];
  return [
    bar(
      'cold-start',
      `${figure.toFixed(0)} ms`,
      `${base.toFixed(0)} ms (node -e 0)`,
      figure / base,
      '<=',
      1.5,
    ),
  ];
}

/** ms until every node of the plan accepts TLS; nothing more is asked of bare programs. */
async function bareUpMs(nodes: number, seed: number, outDir: string): Promise<number> {
  const engine = await processEngine();
  const command = `${process.execPath} ${bareListener}`;
  const startedAt = performance.now();
  const testnet = await engine.start(quietPlan({ nodes, seed, command }), { outDir });
  const tookMs = performance.now() - startedAt;
  await testnet.stop();
  return tookMs;
}

async function bringUp({ quick, say, scratchDir }: BenchOptions): Promise<Bar[]> {
  const nodes = 50;
  const engine = await processEngine();
  const ours: number[] = [];
  const control: number[] = [];
  for (let seed = 1; seed <= (quick ? 1 : 3); seed += 1) {
    control.push(await bareUpMs(nodes, seed, join(scratchDir, `bare-${seed}`)));
    ours.push((await meshed(engine, { nodes, seed }, join(scratchDir, `meshed-${seed}`))).upMs);
    say(
      `bring-up ${seed}: ${nodes} meshed in ${ours.at(-1)!.toFixed(0)} ms, bare in ${control.at(-1)!.toFixed(0)} ms`,
    );
  }
  const [figure, base] = [median(ours), median(control)];
  const shown = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  return [bar('bring-up-50', `${shown(figure)} meshed`, `${shown(base)} bare`, figure / base, '<=', 1.5)];
}

/** Proportional set size of a process, MiB; shared pages are charged by share. */
function pssMiB(pid: number): number {
  const line = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+) kB/m);
  return Number(line?.[1]) / 1024;
}

async function memory({ scratchDir }: BenchOptions): Promise<Bar[]> {
  const limitMiB = 24;
  let sizes: number[] = [];
  await meshed(await processEngine(), { nodes: 11, seed: 1 }, join(scratchDir, 'memory'), (testnet) => {
    sizes = [...testnet.nodes.values()].flatMap(({ pid }) => (typeof pid === 'number' ? [pssMiB(pid)] : []));
  });
  const figure = median(sizes);
  return [
    bar('memory-10-peers', `${figure.toFixed(1)} MiB PSS`, `${limitMiB} MiB`, figure / limitMiB, '<=', 1),
  ];
}

const inFolder =
  (run: (options: BenchOptions) => Promise<Bar[]>) =>
  (options: BenchOptions): Promise<Bar[]> => {
    mkdirSync(options.scratchDir, { recursive: true });
    return run(options);
  };

export const nodeBenches: readonly Bench[] = [
  {
    name: 'cold-start',
    what: 'one node from nothing to listening against node -e 0',
    run: inFolder(coldStart),
  },
  { name: 'bring-up', what: '50 meshed nodes against 50 bare TLS listeners', run: inFolder(bringUp) },
  { name: 'memory', what: 'PSS of a node with ten peers', run: inFolder(memory) },
];
