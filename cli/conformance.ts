/**
 * `npm run conformance`: judges one implementation, requirement by requirement. Reads the command line, opens the target, prints
 * where the reports are, exits 0 · 1 · 2 · 3 (docs: issue interface). Judges nothing itself.
 */

import { join, resolve } from 'node:path';
import pico from 'picocolors';
import { readBaseline, refuseUnwritable } from '../conformance/baseline.ts';
import { loadRegister } from '../conformance/register.ts';
import { openTerminal } from '../conformance/report/terminal.ts';
import { type RunOptions, runConformance } from '../conformance/run.ts';
import { type Selection, select } from '../conformance/select.ts';
import { review } from '../conformance/sentences.ts';
import { exitCodeOf } from '../conformance/summary.ts';
import type { Target } from '../conformance/target.ts';
import { checkAddress, openAddressTarget } from '../conformance/target-address.ts';
import { openCommandTarget } from '../conformance/target-command.ts';
import { leftBehind, stopOnSignals } from '../harness/run-record.ts';
import { UsageError } from '../harness/usage-error.ts';
import type { NodeBundle } from '../node/bundle.ts';
import { readWords, shellQuoted, text, whole } from './command-line.ts';
import { exitWith } from './exit.ts';
import { type OurFiles, openOutFolder } from './out-folder.ts';

const flags = {
  command: { type: 'string' },
  image: { type: 'string' },
  engine: { type: 'string' },
  address: { type: 'string' },
  ca: { type: 'string' },
  only: { type: 'string', multiple: true },
  level: { type: 'string' },
  out: { type: 'string' },
  baseline: { type: 'string' },
  'write-baseline': { type: 'string' },
  reason: { type: 'string' },
  seed: { type: 'string' },
  thorough: { type: 'boolean' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** All that a run puts into its folder. */
const reportFiles: OurFiles = {
  '.': /^(?:conformance\.json|junit\.xml|badge\.svg|requirements\.html)$/,
  transcripts: /^[A-Z]{3}-\d+\.jsonl$/,
};

type Flags = {
  [name in keyof typeof flags]?: (typeof flags)[name] extends { multiple: true }
    ? string[]
    : (typeof flags)[name]['type'] extends 'boolean'
      ? boolean
      : string;
};

const usage = `npm run conformance -- [--command CMD | --image REF | --address HOST:PORT --ca DIR] [--only GLOB[,GLOB…]] [--level must|should]
                       [--out DIR] [--baseline FILE] [--write-baseline FILE --reason TEXT] [--seed N] [--quiet]
                       [--engine auto|process|docker] [--thorough]
npm run conformance -- list

Default target: the reference node. CMD is started by us with CLE_CONFIG in its environment, as often as needed; so are
containers of REF, with their files under /cle (docs/containers.md). --engine docker puts the reference node into a container.
--thorough: rows take the sizes and waits that their requirements name (100 kills, 40 nodes, windows of 60 and 600 s), 11 min.
exit 0: all M rows pass (or as the baseline says) · 1: not · 2: wrong use · 3: could not be judged
SIGINT or SIGTERM end the run: the reports hold what was judged, the rest as inconclusive; exit 130 or 143.`;

/** The command; resolves with its exit code. Throws UsageError where the command line is wrong. */
export async function conformance(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readWords(argv, flags);
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (positionals.length > 0 && (positionals[0] !== 'list' || positionals.length > 1))
    throw new UsageError(`unknown argument "${positionals.join(' ')}" (there is: list)`);
  const selection = selectionOf(values);
  if (positionals[0] === 'list') return list(selection);
  const options = optionsOf(values, selection);
  const register = await loadRegister();
  // What is wrong with the command line is said before anything is started.
  select(register.rows, selection);
  if (options.baseline !== null) readBaseline(options.baseline);
  if (options.writeBaseline !== null) refuseUnwritable(options.writeBaseline.file);
  refuseContradictions(values);
  const out = openOutFolder(options.outDir, reportFiles);
  try {
    const target = await openTarget(values, options.seed);
    const terminal = openTerminal(process.stdout, register.catalogue, values.quiet === true);
    const ending = new AbortController();
    let reported: Promise<unknown> = Promise.resolve();
    const signals = stopOnSignals(async (signal) => {
      // What rows leave behind that are cut off in the middle must not end the process before its nodes are gone.
      process.on('unhandledRejection', () => {});
      terminal.note(`${signal}: ending the run, the reports hold what is judged by now`);
      ending.abort();
      try {
        await reported;
      } finally {
        await target.close();
        out.removeIfEmpty();
      }
    });
    try {
      const running = runConformance({ ...options, ended: ending.signal }, target, terminal, register);
      reported = running;
      return exitCodeOf((await signals.guard(running)).verdict);
    } finally {
      signals.off();
      await target.close().catch((error: unknown) => terminal.note(leftBehind(error)));
    }
  } finally {
    out.removeIfEmpty();
  }
}

function selectionOf(values: Flags): Selection {
  const level = values.level ?? null;
  if (level !== null && level !== 'must' && level !== 'should')
    throw new UsageError(`--level ${level}: there are must and should`);
  const only = (values.only ?? []).flatMap((text) => text.split(',')).map((glob) => glob.trim());
  if (only.includes('')) throw new UsageError('--only: an empty pattern');
  return { only, level };
}

function optionsOf(values: Flags, selection: Selection): Omit<RunOptions, 'ended'> {
  const seed = whole(values.seed, '--seed', 0) ?? freshSeed();
  const file = text(values['write-baseline'], '--write-baseline');
  if (file !== null && (values.reason ?? '').trim() === '')
    throw new UsageError('--write-baseline needs --reason TEXT: why these failures are known');
  if (file === null && values.reason !== undefined)
    throw new UsageError('--reason goes with --write-baseline FILE');
  const outDir = resolve(text(values.out, '--out') ?? join('runs', `conformance-${seed}`));
  return {
    selection,
    seed,
    thorough: values.thorough === true,
    outDir,
    baseline: text(values.baseline, '--baseline'),
    writeBaseline: file === null ? null : { file, reason: values.reason! },
    today: new Date().toISOString().slice(0, 10),
  };
}

function freshSeed(): number {
  return Math.floor(Math.random() * 1_000_000);
}

async function openTarget(values: Flags, seed: number): Promise<Target> {
  const { address, ca, command, image } = values;
  if (address !== undefined) {
    const flags = `--address ${shellQuoted(address)} --ca ${shellQuoted(ca!)}`;
    return openAddressTarget({ address, caDir: ca!, flags, seed });
  }
  if (image !== undefined || values.engine === 'docker') {
    const { openImageTarget } = await import('../conformance/target-image.ts');
    if (image !== undefined)
      return openImageTarget({ image, description: image, flags: `--image ${shellQuoted(image)}`, seed });
    const ref = await referenceImage();
    const description = `reference node (${ref})`;
    return openImageTarget({ image: ref, description, flags: '--engine docker', seed });
  }
  if (command !== undefined) {
    const flags = `--command ${shellQuoted(command)}`;
    return openCommandTarget({ command: { shell: command }, description: command, flags, seed });
  }
  return openCommandTarget({
    command: { argv: (await bundled()).command },
    description: 'reference node',
    flags: '',
    seed,
  });
}

function refuseContradictions({ address, ca, command, image, engine }: Flags): void {
  const named = Object.entries({ '--command': command, '--image': image, '--address': address })
    .filter(([, value]) => value !== undefined)
    .map(([flag]) => flag);
  if (named.length > 1) throw new UsageError(`${named.join(' and ')} exclude each other`);
  if (address !== undefined && ca === undefined)
    throw new UsageError('--address needs --ca DIR with ca.crt and ca.key');
  if (address === undefined && ca !== undefined)
    throw new UsageError('--ca goes with --address: others get a CA of our own');
  text(command, '--command');
  text(image, '--image');
  if (address !== undefined) checkAddress(address);
  if (engine === undefined || engine === 'auto') return;
  if (engine !== 'process' && engine !== 'docker')
    throw new UsageError(`--engine: there is no engine "${engine}"; allowed: auto, process, docker`);
  if (engine === 'process' ? image !== undefined : command !== undefined)
    throw new UsageError(`--engine ${engine} does not go with ${named[0]}`);
  if (address !== undefined)
    throw new UsageError('--engine does not go with --address: that node runs already');
}

/** Loaded only where it is needed: the bundler and the engine's client are large. */
async function bundled(): Promise<NodeBundle> {
  return (await import('../node/bundle.ts')).bundleNode();
}

async function referenceImage(): Promise<string> {
  const { connectDocker } = await import('../harness/engines/docker/connect.ts');
  const { nodeImage } = await import('../harness/engines/docker/image.ts');
  const { docker } = await connectDocker();
  const { command, dir, addonsFor } = await bundled();
  return (await nodeImage(docker, { command, folder: dir, addonsFor })).ref;
}

async function list(selection: Selection): Promise<number> {
  const { rows, catalogue, problems } = await loadRegister();
  for (const problem of problems) console.error(pico.red(problem));
  const written = new Map(rows.map((row) => [row.id, row]));
  const stale = new Set(review(rows, new Set(catalogue.map((row) => row.id))).unreviewed);
  const chosen =
    selection.only.length > 0 || selection.level !== null ? new Set(select(rows, selection)) : null;
  const lines = catalogue.flatMap((listed) => {
    const row = written.get(listed.id);
    if (chosen !== null && (row === undefined || !chosen.has(row))) return [];
    const state =
      row === undefined ? pico.yellow('no row yet') : stale.has(row.id) ? pico.red('UNREVIEWED') : '';
    const seconds = row === undefined ? '' : `${Math.ceil(row.durationHintMs / 1000)} s`;
    const head = `${listed.id}  ${listed.level.padEnd(6)}  § ${listed.section.padEnd(8)} ${seconds.padStart(5)}`;
    return [`${head}  ${listed.requirement}  ${state}`.trimEnd()];
  });
  console.log(lines.join('\n'));
  return 0;
}

if (process.argv[1] === import.meta.filename)
  await exitWith('conformance', () => conformance(process.argv.slice(2)));
