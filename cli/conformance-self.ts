/**
 * `npm run conformance:self`: measures the suite itself. Builds the mutants and the trivial nodes, runs the kill matrix, writes it
 * and says what escaped. exit 0 nothing escaped · 1 something did · 2 wrong use. SIGINT or SIGTERM end it: what was judged is written, exit
 * 130 or 143.
 */

import { join, resolve } from 'node:path';
import pico from 'picocolors';
import { loadRegister } from '../conformance/register.ts';
import type { Requirement } from '../conformance/requirement.ts';
import { root } from '../conformance/self/build.ts';
import {
  behaviours,
  escapes,
  type KillMatrix,
  killMatrix,
  type MatrixOptions,
} from '../conformance/self/matrix.ts';
import { loadMutants, type Mutant, mutantProblems } from '../conformance/self/mutant.ts';
import { killMatrixHtml } from '../conformance/self/page.ts';
import { writeResults } from '../harness/report/files.ts';
import { rng } from '../harness/rng.ts';
import { stopOnSignals } from '../harness/run-record.ts';
import { UsageError } from '../harness/usage-error.ts';
import { readWords, whole } from './command-line.ts';
import { exitWith } from './exit.ts';
import { makeOutFolder } from './out-folder.ts';

const usage = `npm run conformance:self -- [--part ci|full] [--only GLOB[,GLOB…]] [--trivial NAME[,NAME…]|none] [--unrelated none|short|all|N]
                            [--jobs N] [--seed N] [--out DIR]
npm run conformance:self -- list

ci: the mutants marked so, against their rows, and two trivial nodes. full: everything (nightly).
--unrelated: rows of other groups that a mutant must leave green; N: so many of the short ones, drawn for each by the seed.`;

/** Rows of at most this length are cheap enough to show that a fault elsewhere leaves them green. */
const shortMs = 4_000;
const trivialInCi = ['accept-all', 'reject-all'];

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readWords(argv, flags);
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  const register = await loadRegister();
  const all = await loadMutants();
  const problems = mutantProblems(root, all, register.rows, new Set(register.catalogue.map((row) => row.id)));
  if (positionals[0] === 'list') {
    for (const mutant of all)
      console.log(`${mutant.id.padEnd(36)} ${mutant.kills.join(' ').padEnd(16)} ${mutant.note}`);
    for (const problem of problems) console.log(pico.red(problem));
    return problems.length === 0 ? 0 : 1;
  }
  if (positionals.length > 0)
    throw new UsageError(`unknown argument "${positionals.join(' ')}" (there is: list)`);
  const options = optionsOf(values, all, register.rows);
  // Whoever works on one mutant is not stopped by another's; a whole run is.
  const picked = new Set(options.mutants.map((mutant) => mutant.id));
  const ofPicked = problems.filter((problem) => picked.has(problem.split(':', 1)[0]!));
  const inTheWay = values.only === undefined ? [...register.problems, ...problems] : ofPicked;
  for (const problem of inTheWay) console.error(pico.red(problem));
  if (inTheWay.length > 0) return 1;
  const outDir = resolve(values.out ?? join('runs', `kill-matrix-${options.seed}`));
  makeOutFolder(outDir);
  const matrix = await measured(options, outDir);
  const missed = escapes(matrix);
  const killed = matrix.mutants.filter((mutant) => mutant.killed).length;
  console.log(
    `\n${killed} of ${matrix.mutants.length} mutants killed · ${(matrix.wallMs / 1000).toFixed(0)} s · seed ${options.seed}`,
  );
  for (const line of missed) console.log(pico.red(`  ${line}`));
  console.log(`  ${outDir}`);
  return missed.length === 0 ? 0 : 1;
}

/** Writes the matrix, also where a signal ends the run before all is judged. */
async function measured(options: Omit<MatrixOptions, 'ended'>, outDir: string): Promise<KillMatrix> {
  const ending = new AbortController();
  const running = killMatrix({ ...options, ended: ending.signal }).then((matrix) => {
    const texts = new Map([
      ['kill-matrix.json', `${JSON.stringify(matrix, null, 2)}\n`],
      ['kill-matrix.html', killMatrixHtml(matrix)],
    ]);
    writeResults(outDir, texts);
    return matrix;
  });
  const signals = stopOnSignals(async (signal) => {
    // What rows leave behind that are cut off in the middle must not end the process before its nodes are gone.
    process.on('unhandledRejection', () => {});
    console.log(`${signal}: ending the run, ${outDir} gets what is judged by now`);
    ending.abort();
    await running;
  });
  try {
    return await signals.guard(running);
  } finally {
    signals.off();
  }
}

const flags = {
  part: { type: 'string' },
  only: { type: 'string' },
  trivial: { type: 'string' },
  unrelated: { type: 'string' },
  jobs: { type: 'string' },
  seed: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

interface Flags {
  part?: string;
  only?: string;
  trivial?: string;
  unrelated?: string;
  jobs?: string;
  seed?: string;
  out?: string;
  help?: boolean;
}

function optionsOf(
  values: Flags,
  all: readonly Mutant[],
  rows: readonly Requirement[],
): Omit<MatrixOptions, 'ended'> {
  const part = oneOf('--part', values.part ?? 'full', ['ci', 'full'] as const);
  const seed = whole(values.seed, '--seed', 0) ?? 1;
  const unrelated = unrelatedOf(values.unrelated ?? (part === 'ci' ? 'none' : 'short'), rows, seed);
  const globs = values.only?.split(',') ?? [];
  const chosen = all.filter((mutant) =>
    globs.length === 0 ? part === 'full' || mutant.ci === true : globs.some((glob) => matches(glob, mutant)),
  );
  if (chosen.length === 0)
    throw new UsageError('no mutant is picked (see: npm run conformance:self -- list)');
  const trivial = trivialOf(values, part);
  const written = new Set(rows.map((row) => row.id));
  const unwritten = chosen.filter((mutant) => mutant.kills.some((id) => !written.has(id)));
  if (unwritten.length > 0)
    throw new UsageError(
      `${unwritten[0]!.id} is to be killed by ${unwritten[0]!.kills.join(', ')}, which is not written`,
    );
  return {
    seed,
    part,
    mutants: chosen,
    allMutants: all,
    trivial,
    rows,
    unrelated,
    atOnce: whole(values.jobs, '--jobs', 1) ?? 4,
    onMutant: (outcome) => {
      const mark = outcome.killed ? pico.green('killed ') : pico.red('ESCAPED');
      const named = outcome.problem ?? (outcome.killed ? outcome.kills : outcome.escaped).join(' ');
      const broke =
        outcome.collateral.length === 0 ? '' : pico.red(` also broke ${outcome.collateral.join(' ')}`);
      console.log(
        `${mark} ${outcome.id.padEnd(36)} ${named}${broke} ${pico.dim(`${(outcome.durationMs / 1000).toFixed(1)} s`)}`,
      );
    },
    onTrivial: (outcome) => {
      const mark =
        outcome.passes.length === 0 && outcome.problem === null ? pico.green('nothing') : pico.red('PASSES ');
      console.log(`${mark} the ${outcome.behaviour} node ${outcome.problem ?? outcome.passes.join(' ')}`);
    },
  };
}

/** Which rows besides its own a mutant is judged by. */
function unrelatedOf(text: string, rows: readonly Requirement[], seed: number): MatrixOptions['unrelated'] {
  const short = rows.filter((row) => row.durationHintMs <= shortMs);
  const others = (mutant: Mutant, from: readonly Requirement[]): Requirement[] =>
    from.filter((row) => unrelatedTo(mutant, row));
  if (text === 'none') return () => [];
  if (text === 'short') return (mutant) => others(mutant, short);
  if (text === 'all') return (mutant) => others(mutant, rows);
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count === 0) throw new UsageError(`--unrelated ${text}: there are none, short, all, or a number`);
  return (mutant) => rng(seed, 'unrelated', mutant.id).shuffle(others(mutant, short)).slice(0, count);
}

/** A row of another group: one fault may well show in several rows of one. */
function unrelatedTo(mutant: Mutant, row: Requirement): boolean {
  return !mutant.kills.some((id) => id.slice(0, 3) === row.id.slice(0, 3));
}

function trivialOf(values: Flags, part: 'ci' | 'full'): readonly string[] {
  if (values.trivial === 'none') return [];
  const names = values.trivial?.split(',');
  if (names === undefined) {
    if (values.only !== undefined) return [];
    return part === 'ci' ? trivialInCi : behaviours;
  }
  for (const name of names) oneOf('--trivial', name, behaviours);
  return names;
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  if (!allowed.includes(value as T))
    throw new UsageError(`${flag} ${value}: there are ${allowed.join(', ')}`);
  return value as T;
}

/** Over ids of mutants and of the rows they are killed by. */
function matches(glob: string, mutant: Mutant): boolean {
  const pattern = new RegExp(
    `^${glob
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '.*')
      .replace(/\?/g, '.')}$`,
  );
  return pattern.test(mutant.id) || mutant.kills.some((id) => pattern.test(id));
}

await exitWith('conformance:self', () => main(process.argv.slice(2)));
