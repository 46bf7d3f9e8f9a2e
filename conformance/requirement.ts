/**
 * One requirement of a CLE-Net node as a literal, and what a judge may say of it. Owns the words that every chapter is
 * written in; knows no puppet, no target and no report.
 */

import type { Bench } from './bench.ts';

/** M: numbers, tables, handshake, security. S: targets and pseudo-code detail. I: recorded only. */
export type Level = 'must' | 'should' | 'info';

/** s: the tester dials the node. c: the node dials the tester. b: both. n: several nodes, or start and stop. */
export type Role = 's' | 'c' | 'b' | 'n';

/**
 * What a row needs beyond one node that answers. A target without it makes the row not-applicable.
 * `start`: a node started by us with parameters, bootstrap nodes or hosts of the row's choice; `instances`: several such;
 * `restart`: kill, stop and start again; `data-dir`: the node's files; `dial-back`: the node can reach the tester.
 */
export type Need = 'start' | 'instances' | 'restart' | 'data-dir' | 'dial-back';

export interface Requirement {
  /** As in docs/requirements.md, e.g. `GRT-01`. */
  id: string;
  level: Level;
  /** Section of the design document, e.g. `4.2`, `8.1`, `F5`. */
  section: string;
  role: Role;
  /** The sentence that the row tests, exactly as the design document or the profile has it (a part of a sentence may do). */
  quote: string;
  /** What we take the sentence to demand of a node, in one or two sentences. */
  reading: string;
  /** Where the sentence left something open: the profile's ruling in its own words, or the § that holds it. */
  ruling?: string;
  /** Ids of mutants (conformance/self/mutants) that this row must catch. */
  mutants: readonly string[];
  needs: readonly Need[];
  /**
   * What other rows told the node before (addresses, peers) may explain a failure, so that it is one only where no other row has
   * used the node. Rows that wait to be dialled are such without saying so; `false` for those that themselves tell so much that no
   * other would be judged surely behind them.
   */
  fresh?: boolean;
  /** How long the row takes against a node that answers; long ones start first. */
  durationHintMs: number;
  /** Processors kept busy while it runs, 0 for a row that waits. Default 0.25. From 1 on it runs apart from other busy rows. */
  cpu?: number;
  /** Default: 2 · durationHintMs + 40 000. A row that is not through by then fails with the step it waited in. */
  limitMs?: number;
  /**
   * What the row costs with `--thorough`, where it takes the sizes and waits that the requirement names (`bench.thorough`) and
   * that a run of 100 s has no room for. Without it a row is the same in both.
   */
  thorough?: { durationHintMs: number; limitMs: number; cpu?: number };
  /**
   * Resolves with the outcome; undefined is a pass with the reading as reason. A chai AssertionError is a fail, `Judged`
   * is what it says, anything else thrown is a defect of the suite and makes the row inconclusive.
   */
  test(bench: Bench): Promise<Outcome | undefined>;
}

/** Is it judged surely only on a node that no other row has used? */
export function wantsFreshNode(row: Requirement): boolean {
  return row.fresh ?? row.needs.includes('dial-back');
}

/**
 * warn: a SHOULD that does not hold. not-applicable: undeclared capability, or the target cannot be started and stopped by
 * us. untestable: a prerequisite is missing (counts as fail). inconclusive: the twin failed, or host or suite are to blame.
 */
export type Verdict = 'pass' | 'fail' | 'warn' | 'not-applicable' | 'untestable' | 'inconclusive';

export const verdicts: readonly Verdict[] = [
  'pass',
  'fail',
  'warn',
  'untestable',
  'inconclusive',
  'not-applicable',
];

export interface Outcome {
  verdict: Verdict;
  /** A whole sentence with the figures in it. */
  because: string;
  /** Plain data that supports the sentence. */
  evidence: readonly unknown[];
  /** The failure is that something came too late or not in time: on an overloaded host it is inconclusive. */
  timing?: boolean;
  /** The failure is that the node ended by itself. */
  isCrash?: boolean;
}

/** One row's outcome as it goes into the reports. */
export interface Result extends Outcome {
  id: string;
  level: Level;
  section: string;
  durationMs: number;
  /** One command line that runs this row alone. */
  replay: string;
  /** Stable across runs for the same way of failing; null unless fail, warn or untestable. */
  fingerprint: string | null;
  /** JSONL file relative to the report folder, where one was written. */
  transcript: string | null;
  /** A baseline entry that excuses it, by its reason. */
  excused: string | null;
}

/** Thrown by the bench's primitives to end a row with a verdict from any depth. */
export class Judged extends Error {
  override readonly name = 'Judged';
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super(outcome.because);
    this.outcome = outcome;
  }
}

export function pass(because: string, ...evidence: unknown[]): Outcome {
  return { verdict: 'pass', because, evidence };
}

/** Ends the row: the node did what it must not, or not what it must. */
export function fail(because: string, ...evidence: unknown[]): never {
  throw new Judged({ verdict: 'fail', because, evidence });
}

/** Ends the row like `fail`; on an overloaded host the verdict becomes inconclusive. */
export function late(because: string, ...evidence: unknown[]): never {
  throw new Judged({ verdict: 'fail', because, evidence, timing: true });
}

/** Ends the row: a twin was refused or the host could not carry the test, so nothing is proved. */
export function inconclusive(because: string, ...evidence: unknown[]): never {
  throw new Judged({ verdict: 'inconclusive', because, evidence });
}

/** Ends the row: by the time at which we looked, right and wrong look the same. The row is judged once more. */
export function unseen(because: string, ...evidence: unknown[]): never {
  throw new Judged({ verdict: 'inconclusive', because, evidence, timing: true });
}

/** Ends the row: something that the row stands on does not work in this node (counts as fail). */
export function untestable(because: string, ...evidence: unknown[]): never {
  throw new Judged({ verdict: 'untestable', because, evidence });
}

export function notApplicable(because: string, ...evidence: unknown[]): never {
  throw new Judged({ verdict: 'not-applicable', because, evidence });
}

/** What a broken requirement of this level is called. */
export function brokenAt(level: Level): Verdict {
  if (level === 'must') return 'fail';
  return level === 'should' ? 'warn' : 'pass';
}
