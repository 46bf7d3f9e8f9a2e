/**
 * A whole run: rows picked, scheduled and judged against one target, monitors joined in, crashes traced to their rows, reports
 * written. The one place that knows the order of these; knows no command line.
 */

import { setMaxListeners } from 'node:events';
import { availableParallelism } from 'node:os';
import { hostFacts, watchHost } from '../harness/host.ts';
import { writeResults } from '../harness/report/files.ts';
import { junitXml } from '../harness/report/junit.ts';
import { applyBaseline, fingerprintOf, readBaseline, writeBaseline } from './baseline.ts';
import type { RunContext } from './bench.ts';
import type { CatalogueRow } from './catalogue.ts';
import { type HearAgain, secondHearing } from './hear-again.ts';
import { type JudgedRow, judgeRow, openRow } from './judge-row.ts';
import { createWatch } from './monitors.ts';
import { countIn, createProgress, type Progress, progressLine } from './progress.ts';
import { loadRegister, type Register } from './register.ts';
import { badgeSvg } from './report/badge.ts';
import { conformanceJson } from './report/json.ts';
import { junitCases } from './report/junit-cases.ts';
import { requirementsHtml } from './report/page.ts';
import type { Terminal } from './report/terminal.ts';
import { brokenAt, type Outcome, type Requirement, type Result, wantsFreshNode } from './requirement.ts';
import { type Bounds, schedule } from './schedule.ts';
import { type Selection, select } from './select.ts';
import { catchStrays } from './strays.ts';
import { runMocha } from './suite.ts';
import { type Crash, countsOf, judge, type Summary } from './summary.ts';
import type { Target } from './target.ts';
import { type TranscriptLine, transcriptFile, transcriptText } from './transcript.ts';

export interface RunOptions {
  selection: Selection;
  seed: number;
  /** Rows that can take the sizes and waits which their requirements name do. */
  thorough: boolean;
  outDir: string;
  baseline: string | null;
  /** Write what fails now as a new baseline, for this reason. */
  writeBaseline: { file: string; reason: string } | null;
  /** `YYYY-MM-DD`, for the expiry of baseline entries. */
  today: string;
  /** Aborted when the run is to end early: the reports then hold what was judged. Null where nobody ends it. */
  ended: AbortSignal | null;
}

/** Rows under way at once; the long ones wait, so most of them cost nothing. */
const jobsAtOnce = 64;
/**
 * What the rows say of their processors adds up to 1.6 times what a whole run takes (290 against 185 CPU seconds): a row is not
 * at its busiest all the time. From this much on a row goes one after the other of its kind.
 */
const overcommitment = 1.6;
const heavyCpu = 1;
const progressEveryMs = 10_000;

/**
 * Judges, says so, and then writes the reports into `outDir`. The target stays open; whoever opened it closes it. TroubleError where
 * the disk does not take the reports.
 */
export async function runConformance(
  options: RunOptions,
  target: Target,
  terminal: Terminal,
  register?: Register,
): Promise<Summary> {
  const whole = register ?? (await loadRegister());
  const { rows, catalogue } = whole;
  const picked = select(rows, options.selection);
  const chosen = options.thorough ? picked.map(thoroughly) : picked;
  const entries = options.baseline === null ? [] : readBaseline(options.baseline);
  const startedAt = performance.now();
  const host = watchHost(() => target.pids());
  const context: RunContext = {
    target,
    seed: options.seed,
    hearing: 0,
    thorough: options.thorough,
    host,
    watch: createWatch(),
    ended: options.ended,
  };
  // Every row under way listens.
  if (options.ended !== null) setMaxListeners(0, options.ended);
  const isEnded = (): boolean => options.ended?.aborted === true;
  terminal.started(chosen.length, target.description, options.seed);
  const gaps = gapsOf(whole, options.selection);
  for (const gap of gaps) terminal.note(gap);
  // What rows leave behind that are cut off in the middle is no defect of theirs.
  const strays = catchStrays((text) => {
    if (!isEnded()) terminal.note(text);
  });
  const judged = await judgeAll(chosen, catalogue, context, terminal);
  host.stop();
  strays.off();
  if (!isEnded()) gaps.push(...strays.defects);
  const open = judged.filter(({ isOpen }) => isOpen).map(({ result }) => result.id);

  const named = new Map(rows.map((row) => [row.id, row]));
  const transcripts = new Map<string, readonly TranscriptLine[]>();
  const kept = new Map<string, string>();
  const raw = judged.map(({ result, transcript }) => {
    transcripts.set(result.id, transcript);
    const broken = result.verdict !== 'pass' && result.verdict !== 'not-applicable';
    if (!broken || transcript.length === 0) return result;
    const about = expectation(named.get(result.id)!, result);
    const file = transcriptFile(result.id);
    kept.set(file, transcriptText([about, ...transcript]));
    return { ...result, transcript: file };
  });
  const known = new Set(catalogue.map((row) => row.id));
  const { results, problems } = applyBaseline(raw, entries, known, options.today);
  const crashes = unexplained(target.crashes, results);
  const summary: Summary = {
    ...judge(results, problems, crashes, gaps, open),
    target: target.description,
    seed: options.seed,
    thorough: options.thorough,
    counts: countsOf(results),
    results,
    open,
    baselineProblems: problems,
    crashes,
    wallMs: performance.now() - startedAt,
    host: { ...hostFacts(), health: host.health().because },
  };
  // What was judged is said before anything can go wrong with the disk.
  terminal.summary(summary);
  const texts = reportTexts(summary, { catalogue, rows }, transcripts, kept);
  try {
    writeResults(options.outDir, texts);
    terminal.written(options.outDir);
  } finally {
    // Half a run would forget what is known of the other half.
    if (options.writeBaseline !== null && !isEnded())
      writeBaseline(options.writeBaseline.file, results, options.today, options.writeBaseline.reason);
  }
  return summary;
}

/** Every row in its turn, the terminal kept up to date meanwhile. */
async function judgeAll(
  rows: readonly Requirement[],
  catalogue: readonly CatalogueRow[],
  context: RunContext,
  terminal: Terminal,
): Promise<JudgedRow[]> {
  const startedAt = performance.now();
  const progress = createProgress(rows.length);
  const outcomes = judgeRows(rows, context, {
    progress,
    onJudged: ({ result, isOpen }) => {
      if (!isOpen) terminal.finished(result, progress);
    },
  });
  const ticking = setInterval(() => {
    if (context.ended?.aborted !== true)
      terminal.progress(progressLine(progress, startedAt, performance.now()));
  }, progressEveryMs);
  try {
    await runMocha(rows, catalogue, async (id) => (await outcomes.get(id)!).result);
    return await Promise.all(outcomes.values());
  } finally {
    clearInterval(ticking);
  }
}

/** The row at the price of its full sizes and waits. */
export function thoroughly(row: Requirement): Requirement {
  return row.thorough === undefined ? row : { ...row, ...row.thorough };
}

/** Why a run of everything would not be one of everything. Whoever picks rows gets what they picked. */
function gapsOf(register: Register, selection: Selection): string[] {
  if (selection.only.length > 0) return [];
  const { problems, missing } = register;
  if (missing.length === 0) return [...problems];
  const named =
    missing.length > 8
      ? `${missing.slice(0, 8).join(', ')} and ${missing.length - 8} more`
      : missing.join(', ');
  return [...problems, `there is no row for ${named}`];
}

/** The first line of a failure's transcript: what was expected and why. */
function expectation(row: Requirement, result: Result): TranscriptLine {
  const text = `expected: ${row.reading} (“${row.quote}”). ${result.verdict}: ${result.because}. again: ${result.replay}`;
  return { atMs: 0, who: row.id, direction: 'note', text };
}

/** Wall time for second hearings, beyond the moment at which every row has been heard once. */
export const hearAgainMs = 240_000;

export interface JudgeOptions {
  progress?: Progress;
  onJudged?: (judged: JudgedRow) => void;
  /** Default: what failed too, where there is more than one row, and hearAgainMs. */
  hearAgain?: HearAgain;
}

/** Starts all rows within the bounds of this host; each promise settles when its row is judged for good. Never rejects. */
export function judgeRows(
  rows: readonly Requirement[],
  context: RunContext,
  options: JudgeOptions = {},
): ReadonlyMap<string, Promise<JudgedRow>> {
  const { progress = createProgress(rows.length), onJudged = () => {} } = options;
  const hearings = new Map<string, number>();
  const hear = async (row: Requirement, heardIn: RunContext, alone = false): Promise<JudgedRow> => {
    progress.underWay.set(row.id, performance.now());
    const hearing = hearings.get(row.id) ?? 0;
    hearings.set(row.id, hearing + 1);
    const judged = await judgeRow(row, { ...heardIn, hearing }, alone);
    progress.underWay.delete(row.id);
    return judged;
  };
  const finished = (judged: JudgedRow): JudgedRow => {
    if (!judged.isOpen) countIn(progress, judged.result);
    onJudged(judged);
    return judged;
  };
  const { outcomes, settled } = schedule(
    rows.map((row) => ({
      id: row.id,
      durationHintMs: row.durationHintMs,
      cpu: row.cpu ?? 0.25,
      first: !context.target.abilities.has('instances') && wantsFreshNode(row),
      run: async () => {
        const judged = await hear(row, context);
        return judged.sharedCrash === null ? judged : hear(row, context, true);
      },
    })),
    hostBounds(),
  );
  const again = secondHearing(
    settled,
    options.hearAgain ?? { failures: rows.length > 1, withinMs: hearAgainMs },
    // A shared node would remember what the first hearing told it.
    (row, over) =>
      hear(
        row,
        { ...context, ended: eitherOf(context.ended, over) },
        context.target.abilities.has('instances'),
      ),
  );
  // A monitor's row is not judged before every other row has drawn out of the node what it could.
  return new Map(
    rows.map((row) => {
      const outcome = outcomes.get(row.id)!.then((judged) => again(row, judged));
      if (!context.watch.holds(row.id)) return [row.id, outcome.then(finished)];
      return [row.id, settled.then(async () => finished(withWitnesses(row, await outcome, context)))];
    }),
  );
}

function hostBounds(): Bounds {
  const cpu = overcommitment * Math.max(1, availableParallelism());
  return { cpu, jobs: jobsAtOnce, alone: heavyCpu };
}

function eitherOf(ended: AbortSignal | null, over: AbortSignal): AbortSignal {
  return ended === null ? over : AbortSignal.any([ended, over]);
}

/** Joins what the monitor of this row saw on all connections of the run. */
function withWitnesses(row: Requirement, judged: JudgedRow, context: RunContext): JudgedRow {
  const { witnessed, violations } = context.watch.evidence(row.id);
  if (judged.result.verdict !== 'pass') return judged;
  if (witnessed === 0 && context.ended?.aborted !== true) {
    const because = 'no message of the run could be watched for this';
    return { ...judged, result: { ...judged.result, verdict: 'inconclusive', because } };
  }
  const first = violations[0];
  if (first === undefined) {
    if (context.ended?.aborted === true)
      return openRow(row, context, judged.result.durationMs, judged.transcript);
    const because = `${judged.result.because} (${witnessed} messages of the whole run watched)`;
    return { ...judged, result: { ...judged.result, because } };
  }
  const because = `${first.what} (${violations.length} of ${witnessed} messages of the whole run)`;
  const outcome: Outcome = { verdict: brokenAt(row.level), because, evidence: violations.slice(0, 5) };
  const result = { ...judged.result, ...outcome, fingerprint: fingerprintOf(row.id, outcome) };
  const transcript = violations.slice(0, 20).map(
    (violation): TranscriptLine => ({
      atMs: 0,
      who: violation.connection,
      direction: 'in',
      text: violation.text,
    }),
  );
  return { ...judged, result, transcript: [...judged.transcript, ...transcript] };
}

/** Crashes that no row was blamed for, such as those of shared nodes when run alone, still count against the node. */
function unexplained(crashes: readonly Crash[], results: readonly Result[]): Crash[] {
  const explains = ({ verdict, isCrash }: Result): boolean =>
    verdict === 'fail' || verdict === 'untestable' || (verdict === 'warn' && isCrash === true);
  const blamed = new Set(results.filter(explains).map((result) => result.id));
  return crashes.filter((crash) => !crash.rows.some((id) => blamed.has(id)));
}

/** Name → text, what matters most first. `kept`: the transcripts that have files of their own. */
function reportTexts(
  summary: Summary,
  { catalogue, rows }: Pick<Register, 'catalogue' | 'rows'>,
  transcripts: ReadonlyMap<string, readonly TranscriptLine[]>,
  kept: ReadonlyMap<string, string>,
): Map<string, string> {
  const name = `conformance ${summary.target} seed ${summary.seed}`;
  return new Map([
    ['conformance.json', conformanceJson(summary)],
    ['junit.xml', junitXml(name, junitCases(summary, catalogue), summary.wallMs / 1000)],
    ['badge.svg', badgeSvg(summary)],
    ...kept,
    ['requirements.html', requirementsHtml({ summary, catalogue, requirements: rows, transcripts })],
  ]);
}
