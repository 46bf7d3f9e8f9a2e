/**
 * The kill matrix: each mutant against the rows that must notice it and, in the long form, against rows that must not; each
 * trivial node against everything. Says what escaped. Judges with the same code as the suite itself.
 */

import { setMaxListeners } from 'node:events';
import { watchHost } from '../../harness/host.ts';
import type { RunContext } from '../bench.ts';
import { createWatch } from '../monitors.ts';
import { controls } from '../register.ts';
import type { Requirement, Result, Verdict } from '../requirement.ts';
import { hearAgainMs, judgeRows, thoroughly } from '../run.ts';
import { schedule } from '../schedule.ts';
import { openCommandTarget } from '../target-command.ts';
import { mutantCommand, trivialCommand } from './build.ts';
import type { Mutant } from './mutant.ts';

export interface CellOutcome {
  id: string;
  verdict: Verdict;
  because: string;
}

export interface MutantOutcome {
  id: string;
  note: string;
  kills: readonly string[];
  /** Every row of `kills` went red. */
  killed: boolean;
  /** Rows of `kills` that stayed green, or could not be judged. */
  escaped: readonly string[];
  /** Unrelated rows that went red. */
  collateral: readonly string[];
  cells: readonly CellOutcome[];
  durationMs: number;
  /** Why it could not be judged at all: it did not build or did not start. */
  problem: string | null;
}

export interface TrivialOutcome {
  behaviour: string;
  /** M rows but the controls that this node passes: each is a hole in the suite. */
  passes: readonly string[];
  cells: readonly CellOutcome[];
  problem: string | null;
}

export interface KillMatrix {
  seed: number;
  part: 'ci' | 'full';
  wallMs: number;
  mutants: readonly MutantOutcome[];
  trivial: readonly TrivialOutcome[];
  /** M rows of the suite that no mutant belongs to. */
  unguarded: readonly string[];
  /** Mutants and trivial nodes that were to be judged when the run was ended. */
  unjudged: readonly string[];
}

/** The trivial nodes, by what they do (self/trivial/). */
export const behaviours = [
  'silent',
  'closing',
  'reject-all',
  'accept-all',
  'echo',
  'random',
  'crash-on-bad',
  'replay',
] as const;

export interface MatrixOptions {
  seed: number;
  part: 'ci' | 'full';
  mutants: readonly Mutant[];
  /** Also those that this run does not judge. */
  allMutants: readonly Mutant[];
  trivial: readonly string[];
  rows: readonly Requirement[];
  /** Rows besides the named ones that each mutant is judged by: must stay green. */
  unrelated: (mutant: Mutant) => readonly Requirement[];
  /** Mutants judged at the same time. */
  atOnce: number;
  /** Ends the run: what is judged by then is the matrix. */
  ended: AbortSignal;
  onMutant: (outcome: MutantOutcome) => void;
  onTrivial: (outcome: TrivialOutcome) => void;
}

const red: ReadonlySet<Verdict> = new Set(['fail', 'warn', 'untestable']);

export async function killMatrix(options: MatrixOptions): Promise<KillMatrix> {
  const startedAt = performance.now();
  const { ended } = options;
  setMaxListeners(0, ended);
  const rows = new Map(options.rows.map((row) => [row.id, row]));
  const longest = (ids: readonly string[]): number =>
    Math.max(0, ...ids.map((id) => rows.get(id)?.durationHintMs ?? 0));
  const mutantJobs = schedule(
    options.mutants.map((mutant) => ({
      id: mutant.id,
      durationHintMs: longest(mutant.kills),
      cpu: 1,
      run: async () => {
        if (ended.aborted) return null;
        const outcome = await judgeMutant(mutant, rows, options);
        if (ended.aborted) return null;
        if (!isUnclear(outcome)) options.onMutant(outcome);
        return outcome;
      },
    })),
    { cpu: options.atOnce, jobs: options.atOnce },
  );
  const first = await Promise.all(mutantJobs.outcomes.values());
  const judged = first.filter((outcome) => outcome !== null);
  const mutants = await asked(judged, rows, options);
  const trivial: TrivialOutcome[] = [];
  for (const behaviour of options.trivial) {
    if (ended.aborted) break;
    const outcome = await judgeTrivial(behaviour, options);
    if (ended.aborted) break;
    options.onTrivial(outcome);
    trivial.push(outcome);
  }
  const done = new Set([...mutants.map(({ id }) => id), ...trivial.map((each) => each.behaviour)]);
  const guarded = new Set(options.allMutants.flatMap((mutant) => mutant.kills));
  return {
    seed: options.seed,
    part: options.part,
    wallMs: performance.now() - startedAt,
    mutants,
    trivial,
    unguarded: options.rows
      .filter((row) => row.level === 'must' && !guarded.has(row.id) && !controls.has(row.id))
      .map((row) => row.id),
    unjudged: [...options.mutants.map(({ id }) => id), ...options.trivial].filter((id) => !done.has(id)),
  };
}

/** Those that the host left open are asked once more, one at a time, with nothing beside them. */
async function asked(
  first: readonly MutantOutcome[],
  rows: ReadonlyMap<string, Requirement>,
  options: MatrixOptions,
): Promise<MutantOutcome[]> {
  const outcomes: MutantOutcome[] = [];
  for (const outcome of first) {
    if (!isUnclear(outcome)) {
      outcomes.push(outcome);
      continue;
    }
    const mutant = options.mutants.find((one) => one.id === outcome.id)!;
    if (options.ended.aborted) continue;
    const again = await judgeMutant(mutant, rows, { ...options, unrelated: () => [] });
    if (options.ended.aborted) continue;
    options.onMutant(again);
    outcomes.push(again);
  }
  return outcomes;
}

/** It escaped, but only because a row could not be judged. */
function isUnclear(outcome: MutantOutcome): boolean {
  const verdictOf = new Map(outcome.cells.map((cell) => [cell.id, cell.verdict]));
  return outcome.escaped.length > 0 && outcome.escaped.every((id) => verdictOf.get(id) === 'inconclusive');
}

/** `GRT-01`, `TOP-*`, `*`. */
const rowPattern = (glob: string): RegExp => new RegExp(`^${glob.replaceAll('*', '.*')}$`);

async function judgeMutant(
  mutant: Mutant,
  rows: ReadonlyMap<string, Requirement>,
  options: MatrixOptions,
): Promise<MutantOutcome> {
  const startedAt = performance.now();
  const named = mutant.kills.flatMap((id) => rows.get(id) ?? []);
  const others = options.unrelated(mutant).filter((row) => !mutant.kills.includes(row.id));
  const about = { id: mutant.id, note: mutant.note, kills: mutant.kills };
  try {
    const command = await mutantCommand(mutant);
    const results = await judgeCommand(command, mutant.id, [...named, ...others], options, mutant.thorough);
    const verdictOf = new Map(results.map((result) => [result.id, result.verdict]));
    const escaped = mutant.kills.filter((id) => !red.has(verdictOf.get(id) ?? 'inconclusive'));
    const spared = [...mutant.kills, ...(mutant.mayBreak ?? [])].map(rowPattern);
    const collateral = results
      .filter(({ id, verdict }) => red.has(verdict) && !spared.some((pattern) => pattern.test(id)))
      .map(({ id }) => id);
    return {
      ...about,
      killed: escaped.length === 0,
      escaped,
      collateral,
      cells: results.map(cellOf),
      durationMs: performance.now() - startedAt,
      problem: null,
    };
  } catch (error) {
    const problem = (error as Error).message;
    return {
      ...about,
      killed: false,
      escaped: mutant.kills,
      collateral: [],
      cells: [],
      durationMs: performance.now() - startedAt,
      problem,
    };
  }
}

async function judgeTrivial(behaviour: string, options: MatrixOptions): Promise<TrivialOutcome> {
  try {
    const command = await trivialCommand(behaviour);
    const results = await judgeCommand(command, behaviour, options.rows, options);
    const passes = results
      .filter((result) => result.level === 'must' && result.verdict === 'pass' && !controls.has(result.id))
      .map((result) => result.id);
    return { behaviour, passes, cells: results.map(cellOf), problem: null };
  } catch (error) {
    return { behaviour, passes: [], cells: [], problem: (error as Error).message };
  }
}

async function judgeCommand(
  argv: readonly string[],
  description: string,
  rows: readonly Requirement[],
  { seed, ended }: Pick<MatrixOptions, 'seed' | 'ended'>,
  thorough = false,
): Promise<Result[]> {
  const target = await openCommandTarget({
    command: { argv },
    description,
    flags: `--command '${argv.join(' ')}'`,
    seed,
    sharedInstances: 1,
  });
  const host = watchHost(() => target.pids());
  try {
    const context: RunContext = { target, seed, hearing: 0, thorough, host, watch: createWatch(), ended };
    const sized = thorough ? rows.map(thoroughly) : rows;
    const judged = await Promise.all(
      judgeRows(sized, context, { hearAgain: { failures: false, withinMs: hearAgainMs } }).values(),
    );
    return judged.map(({ result }) => result);
  } finally {
    host.stop();
    await target.close();
  }
}

function cellOf(result: Result): CellOutcome {
  return { id: result.id, verdict: result.verdict, because: result.because };
}

/** What the suite missed, one line each; empty is what a release needs. */
export function escapes(matrix: KillMatrix): string[] {
  const lines: string[] = [];
  for (const mutant of matrix.mutants) {
    if (mutant.problem !== null) lines.push(`${mutant.id}: ${mutant.problem}`);
    else if (!mutant.killed) lines.push(`${mutant.id} escaped ${mutant.escaped.join(', ')}: ${mutant.note}`);
    if (mutant.collateral.length > 0) lines.push(`${mutant.id} also broke ${mutant.collateral.join(', ')}`);
  }
  for (const trivial of matrix.trivial) {
    if (trivial.problem !== null) lines.push(`${trivial.behaviour} node: ${trivial.problem}`);
    if (trivial.passes.length > 0)
      lines.push(`the ${trivial.behaviour} node passes ${trivial.passes.join(', ')}`);
  }
  if (matrix.unguarded.length > 0) lines.push(`no mutant for ${matrix.unguarded.join(', ')}`);
  return lines;
}
