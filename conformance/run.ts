/**
 * A whole run: rows picked, scheduled and judged against one target, monitors joined in, crashes traced to their rows, reports
 * written. The one place that knows the order of these; knows no command line.
 */

import { availableParallelism } from 'node:os';
import { hostFacts, watchHost } from '../harness/host.ts';
import { writeResults } from '../harness/report/files.ts';
import { junitXml } from '../harness/report/junit.ts';
import { applyBaseline, fingerprintOf, readBaseline, writeBaseline } from './baseline.ts';
import type { RunContext } from './bench.ts';
import { boundedStarts } from './bounded.ts';
import { type JudgedRow, judgeRow } from './judge-row.ts';
import { createWatch } from './monitors.ts';
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
}

/** Rows under way at once; the long ones wait, so most of them cost nothing. */
const jobsAtOnce = 64;
/**
 * What the rows say of their processors adds up to 1.6 times what a whole run takes (290 against 185 CPU seconds): a row is not
 * at its busiest all the time. From this much on a row goes one after the other of its kind.
 */
const overcommitment = 1.6;
const heavyCpu = 1;

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
    thorough: options.thorough,
    host,
    watch: createWatch(),
  };
  terminal.started(chosen.length, target.description, options.seed);
  const gaps = gapsOf(whole, options.selection);
  for (const gap of gaps) terminal.note(gap);
  const strays = catchStrays((text) => terminal.note(text));
  let done = 0;
  const outcomes = judgeRows(chosen, context, (result) => {
    done += 1;
    terminal.finished(result, done, chosen.length);
  });
  await runMocha(chosen, catalogue, async (id) => (await outcomes.get(id)!).result);
  const judged = await Promise.all(outcomes.values());
  host.stop();
  strays.off();
  gaps.push(...strays.defects);

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
    ...judge(results, problems, crashes, gaps),
    target: target.description,
    seed: options.seed,
    thorough: options.thorough,
    counts: countsOf(results),
    results,
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
    if (options.writeBaseline !== null)
      writeBaseline(options.writeBaseline.file, results, options.today, options.writeBaseline.reason);
  }
  return summary;
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

/** Starts all rows within the bounds of this host; each promise settles when its row is judged for good. Never rejects. */
export function judgeRows(
  rows: readonly Requirement[],
  context: RunContext,
  onFinished: (result: Result) => void = () => {},
  bounds: Bounds = {
    cpu: overcommitment * Math.max(1, availableParallelism()),
    jobs: jobsAtOnce,
    alone: heavyCpu,
  },
  hearAgain = hearAgainForMs,
): ReadonlyMap<string, Promise<JudgedRow>> {
  const finished = (judged: JudgedRow): JudgedRow => {
    onFinished(judged.result);
    return judged;
  };
  const { outcomes, settled } = schedule(
    rows.map((row) => ({
      id: row.id,
      durationHintMs: row.durationHintMs,
      cpu: row.cpu ?? 0.25,
      first: !context.target.abilities.has('instances') && wantsFreshNode(row),
      run: async () => {
        const judged = await judgeRow(row, context);
        return judged.sharedCrash === null ? judged : judgeRow(row, context, true);
      },
    })),
    bounds,
  );
  const again = secondHearing(settled, rows.length === 1 ? 0 : hearAgain, (row) => judgeRow(row, context));
  // A monitor's row is not judged before every other row has drawn out of the node what it could.
  return new Map(
    rows.map((row) => {
      const outcome = outcomes.get(row.id)!.then((judged) => again(row, judged));
      if (!context.watch.holds(row.id)) return [row.id, outcome.then(finished)];
      return [row.id, settled.then(async () => finished(withWitnesses(row, await outcome, context)))];
    }),
  );
}

/** Rows are heard again two at a time, for so long, and if they are few: a node that does badly everywhere does badly. */
const hearAgainAtOnce = 2;
const hearAgainForMs = 90_000;
const hearAgainMost = 12;

/**
 * What went amiss because something came too late, or while the host had its hands full, is judged once more when all other
 * rows are through, and that second hearing counts: beside fifty others even a good node may miss a moment. A failure on a full
 * host that is no matter of time has to pass twice. What an overloaded host left open is heard again however long it takes.
 */
function secondHearing(
  settled: Promise<void>,
  forMs: number,
  judge: (row: Requirement) => Promise<JudgedRow>,
): (row: Requirement, first: JudgedRow) => Promise<JudgedRow> {
  const inTurn = boundedStarts(hearAgainAtOnce);
  let since = 0;
  let asking = 0;
  void settled.then(() => {
    since = performance.now();
  });
  return async (row, first) => {
    const { verdict, timing, because } = first.result;
    if (verdict === 'pass' || verdict === 'not-applicable') return first;
    const isOpen = verdict === 'inconclusive' && timing === true;
    if (!isOpen && (forMs === 0 || !(timing === true || first.crowded))) return first;
    asking += 1;
    await settled;
    return inTurn(async () => {
      if (!isOpen && (asking > hearAgainMost || performance.now() - since >= forMs)) return first;
      // That nothing came too late speaks against the host as an excuse: chance may have hidden the fault in one hearing.
      const hearings = verdict === 'inconclusive' || timing === true ? 1 : 2;
      let again = first;
      for (let hearing = 0; hearing < hearings; hearing += 1) {
        again = await judge(row);
        if (again.result.verdict !== 'pass') return again;
      }
      const told = `${again.result.because} (at a ${hearings === 1 ? 'second' : 'second and a third'} hearing; beside other rows: ${because})`;
      return { ...again, result: { ...again.result, because: told } };
    });
  };
}

/** Joins what the monitor of this row saw on all connections of the run. */
function withWitnesses(row: Requirement, judged: JudgedRow, context: RunContext): JudgedRow {
  const { witnessed, violations } = context.watch.evidence(row.id);
  if (judged.result.verdict !== 'pass') return judged;
  if (witnessed === 0) {
    const because = 'no message of the run could be watched for this';
    return { ...judged, result: { ...judged.result, verdict: 'inconclusive', because } };
  }
  const first = violations[0];
  if (first === undefined) {
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

/** Crashes of shared nodes that no row could be blamed for when run alone still count against the node. */
function unexplained(crashes: readonly Crash[], results: readonly Result[]): Crash[] {
  const broken = new Set(results.filter((r) => r.verdict !== 'pass').map((result) => result.id));
  return crashes.filter((crash) => !crash.rows.some((id) => broken.has(id)));
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
