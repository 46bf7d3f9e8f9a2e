/**
 * Delivered gossip against js-libp2p gossipsub and against the bound that one verification per delivered item sets, all in
 * one run: ten processes, 600-byte messages, every member reached, p95 below 500 ms.
 */

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { writeNodeFolder } from '../../harness/engines/node-files.ts';
import { createAuthority } from '../../harness/wire/authority.ts';
import { identityFrom } from '../../harness/wire/identity.ts';
import { type Bar, type Bench, type BenchOptions, bar, median } from '../bar.ts';
import { type Capacity, measureCapacity, type Search } from './capacity.ts';
import { cores, type NetSpec } from './net.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const members = 10;
/** An item of a 600-byte payload with its author's certificate, signed. */
const itemBytes = 1_500;

const lifted = {
  commits_per_minute: 1_000_000_000,
  queries_per_minute: 1_000_000_000,
  bytes_per_second: 1_000_000_000,
};

/** By the profile's defaults, and tuned to a net of ten as gossipsub is: every node is one hop away, nothing is forwarded. */
const flavours = { default: {}, tuned: { fanout: members - 1, ttl: 1 } } as const;

/** Ten nodes on ports of one loopback address, each told of the first three. */
export async function cleSpec(
  { scratchDir }: BenchOptions,
  flavour: keyof typeof flavours = 'default',
): Promise<NetSpec> {
  const authority = await createAuthority();
  // Inside the checkout, so that the native addons resolve.
  const bundle = join(here, '../../dist/bench/cle-member.cjs');
  await build({
    entryPoints: [join(here, 'cle-member.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['classic-level', 'sodium-native', 'prom-client'],
    logLevel: 'error',
  });
  const basePort = 20_000 + (process.pid % 20_000);
  const identities = Array.from({ length: members }, (_, i) =>
    identityFrom(`bench-${scratchDir}-${flavour}-${i}`),
  );
  const bootstrapNodes = identities.slice(0, 3).map((identity, i) => {
    return { host: '127.0.0.1', port: basePort + i, publicKey: identity.publicKeyBase64 };
  });
  const configFiles: string[] = [];
  for (const [i, identity] of identities.entries()) {
    const address = `127.0.0.1:${basePort + i}`;
    const files = {
      agentId: identity.agentId,
      listen: address,
      advertise: address,
      keyPem: identity.keyPem,
      certificatePem: (await authority.issue(identity)).pem,
      caPem: authority.certificatePem,
      bootstrapNodes,
      parameters: { ...lifted, ...flavours[flavour] },
    };
    configFiles.push(writeNodeFolder(join(scratchDir, `${flavour}-${i}`), files).configFile);
  }
  return { name: `cle ${flavour}`, file: bundle, members, options: { configFiles } };
}

function libp2pSpec(flavour: string): NetSpec {
  return { name: `libp2p ${flavour}`, file: join(here, '../libp2p/node.mjs'), members, options: { flavour } };
}

/** The control lives in a package of its own, installed when it is first needed. */
function installLibp2p(say: (line: string) => void): void {
  const folder = join(here, '../libp2p');
  if (existsSync(join(folder, 'node_modules/libp2p'))) return;
  say('installing js-libp2p for the control');
  execFileSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Verifications per second of all cores together. */
async function verificationBound(forMs: number): Promise<number> {
  const run = promisify(execFile);
  const argv = ['--import', 'tsx', join(here, 'verify-bound.ts'), String(itemBytes), String(forMs)];
  const rates = await Promise.all(Array.from({ length: cores }, () => run(process.execPath, argv)));
  return rates.reduce((sum, { stdout }) => sum + Number(stdout), 0);
}

const perSecond = (value: number, what: string): string =>
  `${Math.round(value).toLocaleString('en').replaceAll(',', ' ')} ${what}/s`;

function fastest(capacities: readonly Capacity[]): Capacity {
  return capacities.reduce((best, one) => (one.deliveriesPerSecond > best.deliveriesPerSecond ? one : best));
}

async function run(options: BenchOptions): Promise<Bar[]> {
  const { quick, say } = options;
  mkdirSync(options.scratchDir, { recursive: true });
  installLibp2p(say);
  const search = (firstRate: number): Search => ({
    firstRate,
    stepMs: quick ? 3_000 : 6_000,
    warmUpMs: quick ? 5_000 : 12_000,
    narrowing: quick ? 1 : 3,
    drainMs: 8_000,
  });
  const measured = async (spec: NetSpec, firstRate: number): Promise<Capacity> => {
    const capacity = await measureCapacity(spec, search(firstRate), (step) => {
      const verdict = step.holds ? 'holds' : 'fails';
      say(
        `${spec.name}: ${step.ratePerSecond} msg/s: ${step.delivered}/${step.expected}, p50 ${step.p50Ms} ms, p95 ${step.p95Ms} ms, ${step.cpuUsPerDelivery} µs CPU/delivery: ${verdict}`,
      );
    });
    say(`${spec.name}: ${perSecond(capacity.deliveriesPerSecond, 'deliveries')}`);
    return capacity;
  };
  const bounds = [await verificationBound(quick ? 1_500 : 4_000)];
  const byDefault = await measured(libp2pSpec('default'), 50);
  const ours = [
    await measured(await cleSpec(options), 100),
    await measured(await cleSpec(options, 'tuned'), 200),
  ];
  const tuned = [await measured(libp2pSpec('tuned'), 120), await measured(libp2pSpec('tuned-d3'), 150)];
  bounds.push(await verificationBound(quick ? 1_500 : 4_000));
  const best = fastest(tuned);
  const cle = fastest(ours);
  const bound = median(bounds);
  const figure = `${perSecond(cle.deliveriesPerSecond, 'deliveries')} (${cle.name})`;
  const ratio = (control: number): number => cle.deliveriesPerSecond / control;
  const total = (counter: string): number =>
    ours.reduce((sum, { counters }) => sum + (counters[counter] ?? 0), 0);
  const checked = total('taken') + total('itemsNew');
  return [
    bar(
      'gossip-vs-libp2p-default',
      figure,
      perSecond(byDefault.deliveriesPerSecond, 'deliveries'),
      ratio(byDefault.deliveriesPerSecond),
      '>=',
      15,
    ),
    bar(
      'gossip-vs-libp2p-tuned',
      figure,
      `${perSecond(best.deliveriesPerSecond, 'deliveries')} (${best.name})`,
      ratio(best.deliveriesPerSecond),
      '>=',
      6,
    ),
    bar('gossip-vs-verification-bound', figure, perSecond(bound, 'verifications'), ratio(bound), '>=', 0.5),
    bar(
      'verifications-per-message',
      `${total('verifications')} verifications`,
      `${checked} envelopes and items taken`,
      total('verifications') / checked,
      '<=',
      1.01,
    ),
  ];
}

export const gossipBench: Bench = {
  name: 'gossip',
  what: 'delivered gossip in a 10-process net against js-libp2p and against one verification per delivery',
  run,
};
