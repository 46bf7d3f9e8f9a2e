/**
 * The run on a terminal: a live line while it goes on, then the table by chapter, what does not hold, and the verdict. Writes
 * plain lines where nobody watches. Owns no judgement.
 */

import pico from 'picocolors';
import { drawsInPlace } from '../../harness/report/terminal.ts';
import type { CatalogueRow } from '../catalogue.ts';
import type { Progress } from '../progress.ts';
import type { Result, Verdict } from '../requirement.ts';
import type { Summary } from '../summary.ts';

export interface Terminal {
  started(rows: number, target: string, seed: number): void;
  finished(result: Result, progress: Progress): void;
  /** A line for where no live line can be drawn. */
  progress(line: string): void;
  note(line: string): void;
  summary(summary: Summary): void;
  /** The reports lie there. */
  written(outDir: string): void;
}

const marks: Record<Verdict, string> = {
  pass: pico.green('✓'),
  fail: pico.red('✗'),
  warn: pico.yellow('!'),
  untestable: pico.red('⊘'),
  inconclusive: pico.magenta('?'),
  'not-applicable': pico.dim('–'),
};

export function openTerminal(
  out: NodeJS.WriteStream,
  catalogue: readonly CatalogueRow[],
  quiet: boolean,
): Terminal {
  const live = drawsInPlace(out) && !quiet;
  const requirements = new Map(catalogue.map((row) => [row.id, row]));
  const clear = (): void => {
    if (live) out.write('\r\x1b[2K');
  };
  const line = (text: string): void => {
    clear();
    out.write(`${text}\n`);
  };
  return {
    started: (rows, target, seed) => {
      if (!quiet)
        line(`${pico.bold('conformance')} ${rows} rows against ${target} ${pico.dim(`seed ${seed}`)}`);
    },
    finished: (result, { judged, rows }) => {
      if (
        !quiet &&
        (result.verdict === 'fail' || result.verdict === 'untestable' || result.verdict === 'inconclusive')
      )
        line(`  ${marks[result.verdict]} ${result.id} ${firstLine(result.because)}`);
      if (live) out.write(`\r\x1b[2K${pico.dim(`  ${judged} of ${rows} rows judged`)}`);
    },
    progress: (text) => {
      if (!quiet && !live) line(`  ${pico.dim(text)}`);
    },
    note: (text) => {
      if (!quiet) line(`  ${pico.dim(text)}`);
    },
    summary: (summary) => {
      clear();
      if (!quiet) out.write(`${table(summary.results, requirements)}\n`);
      out.write(failures(summary, requirements));
      out.write(closing(summary));
    },
    written: (outDir) => void out.write(`  ${outDir}\n`),
  };
}

/** One line per group: title, marks, counts. */
export function table(results: readonly Result[], requirements: ReadonlyMap<string, CatalogueRow>): string {
  const groups = new Map<string, Result[]>();
  for (const result of results)
    groups.set(result.id.slice(0, 3), [...(groups.get(result.id.slice(0, 3)) ?? []), result]);
  const lines = [...groups].map(([group, rows]) => {
    const title = requirements.get(rows[0]!.id)?.groupTitle ?? '';
    const good = rows.filter((row) => row.verdict === 'pass').length;
    const judged = rows.filter((row) => row.verdict !== 'not-applicable').length;
    const figures = `${String(good).padStart(3)}/${judged}`.padEnd(8);
    return `  ${pico.bold(group)} ${title.padEnd(30)} ${figures} ${rows.map((row) => marks[row.verdict]).join('')}`;
  });
  return `\n${lines.join('\n')}`;
}

function failures(summary: Summary, requirements: ReadonlyMap<string, CatalogueRow>): string {
  const open = new Set(summary.open);
  const shown = summary.results.filter(
    ({ id, verdict }) => verdict !== 'pass' && verdict !== 'not-applicable' && !open.has(id),
  );
  const blocks = shown.map((result) => {
    const requirement = requirements.get(result.id)?.requirement ?? '';
    const excuse = result.excused === null ? '' : pico.dim(` (known: ${result.excused})`);
    const lines = [
      `${marks[result.verdict]} ${pico.bold(result.id)} ${result.verdict}${excuse}  § ${result.section}  ${requirement}`,
      `    ${result.because.split('\n').join('\n    ')}`,
      pico.dim(`    ${result.replay}${result.transcript === null ? '' : `   ${result.transcript}`}`),
    ];
    return `${lines.join('\n')}\n`;
  });
  const crashes = summary.crashes.map(
    (crash) =>
      `${marks.fail} ${crash.node} ${crash.how} while ${crash.rows.join(', ')} used it\n${crash.logTail.map((l) => pico.dim(`    ${l}`)).join('\n')}\n`,
  );
  const problems = summary.baselineProblems.map(
    (p) => `${marks.fail} baseline, ${p.problem}: ${p.because}\n`,
  );
  const unjudged = open.size === 0 ? [] : [`${marks.inconclusive} not judged: ${summary.open.join(', ')}\n`];
  const all = [...blocks, ...crashes, ...problems, ...unjudged];
  return all.length === 0 ? '' : `\n${all.join('')}`;
}

function closing(summary: Summary): string {
  const colour = { pass: pico.green, fail: pico.red, inconclusive: pico.magenta }[summary.verdict];
  const counts = Object.entries(summary.counts)
    .filter(([, count]) => count > 0)
    .map(([verdict, count]) => `${count} ${verdict}`)
    .join(' · ');
  const skipped = summary.counts['not-applicable'];
  const applicable =
    skipped === 0
      ? ''
      : pico.dim(`  ${skipped} rows do not apply to this target (first: ${firstSkipped(summary)})\n`);
  return `\n${colour(pico.bold(summary.verdict))} ${summary.because}\n  ${counts} · ${(summary.wallMs / 1000).toFixed(1)} s · seed ${summary.seed}${summary.thorough ? ' · thorough' : ''}\n${applicable}`;
}

function firstSkipped(summary: Summary): string {
  const result = summary.results.find((r) => r.verdict === 'not-applicable')!;
  return `${result.id}, ${firstLine(result.because)}`;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!;
}
