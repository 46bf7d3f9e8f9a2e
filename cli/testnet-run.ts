/**
 * One run of `npm run testnet`: scenario and seed → plan → engine → judged run → table and run folder. Owns what the person reads at
 * the end; measures and judges nothing.
 */

import { join, relative, resolve as resolvePath } from 'node:path';
import pico from 'picocolors';
import { runScenario } from '../chaos/run.ts';
import { chooseEngine } from '../harness/engines/index.ts';
import type { Plan } from '../harness/plan.ts';
import { writeResults } from '../harness/report/files.ts';
import { readableMs } from '../harness/report/markup.ts';
import type { ReportMetric } from '../harness/report/model.ts';
import { resolve } from '../harness/resolve.ts';
import { stopOnSignals } from '../harness/run-record.ts';
import { type Judged, reportModel } from '../harness/summary.ts';
import { sweep } from '../harness/sweep.ts';
import { exitCode, type Verdict } from '../harness/verdict.ts';
import { bundleNode } from '../node/bundle.ts';
import { shellQuoted } from './command-line.ts';
import { openLiveView } from './live-view.ts';
import { type OutFolder, openOutFolder } from './out-folder.ts';
import { logOf, runFiles, runTexts } from './run-folder.ts';
import type { RunArguments } from './testnet-arguments.ts';
import { findScenario } from './testnet-scenarios.ts';

const seedLimit = 1_000_000;

export async function runTestnet(asked: RunArguments, print: (line: string) => void): Promise<number> {
  const seed = asked.seed ?? Math.floor(Math.random() * seedLimit);
  const plan = resolve(findScenario(asked.scenario), {
    seed,
    ...(asked.nodes === null ? {} : { nodes: asked.nodes }),
    ...(asked.command === null ? {} : { command: asked.command }),
    ...(asked.image === null ? {} : { image: asked.image }),
    mixed: asked.mixed,
  });
  const { engine, because } = await chooseEngine(asked.engine, {
    commands: plan.nodes.some(({ command }) => command !== null),
    images: plan.nodes.some(({ image }) => image !== null),
    ownToxiproxy: asked.toxiproxy !== null,
  });
  const out = openRunFolder(asked.out, plan);
  const outDir = out.folder;
  const replay = replayLine(asked, engine.name, seed);
  if (!asked.quiet) print(`${because}; seed ${seed}; ${relative('.', outDir) || '.'}`);
  const { removed } = await sweep();
  if (!asked.quiet) for (const { id } of removed) print(`removed what run ${id} left behind`);
  const bundle = plan.nodes.every(({ command }) => command !== null) ? null : await bundleNode();
  const view = openLiveView(plan, engine.name, process.stdout, asked.quiet);
  const interrupted = new AbortController();
  let ended: Promise<unknown> = Promise.resolve();
  const signals = stopOnSignals(async (signal) => {
    view.end();
    print(`${signal}: stopping every node`);
    interrupted.abort(new Error(signal));
    await ended.catch(() => {});
    out.removeIfEmpty();
  });
  try {
    const running = runScenario(plan, engine, {
      signal: interrupted.signal,
      onEvent: view.event,
      engine: {
        outDir,
        keep: asked.keep,
        ...(bundle === null
          ? {}
          : { reference: { command: bundle.command, folder: bundle.dir, addonsFor: bundle.addonsFor } }),
        ...(asked.toxiproxy === null ? {} : { toxiproxyUrl: asked.toxiproxy }),
      },
    });
    ended = running;
    const judged = await signals.guard(running);
    view.end();
    // What was measured is said before anything can go wrong with the disk.
    printTable(judged, replay, print);
    print(pico.dim(`replay   ${replay}`));
    writeResults(outDir, runTexts(judged, replay));
    print(pico.dim(`report   ${relative('.', join(outDir, 'report.html'))}`));
    return exitCode(judged.verdict);
  } finally {
    view.end();
    signals.off();
    out.removeIfEmpty();
  }
}

function openRunFolder(out: string | null, plan: Plan): OutFolder {
  const stamp = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const named = out ?? join('runs', `${stamp}-${plan.scenario}-${plan.seed}-${process.pid}`);
  return openOutFolder(resolvePath(named), runFiles);
}

/** Runs the same plan again, on the same engine. */
export function replayLine(asked: RunArguments, engine: string, seed: number): string {
  const words = [
    'npm run testnet --',
    '--engine',
    engine,
    '--scenario',
    shellQuoted(asked.scenario),
    '--seed',
    String(seed),
  ];
  if (asked.nodes !== null) words.push('--nodes', String(asked.nodes));
  if (asked.command !== null) words.push('--command', shellQuoted(asked.command));
  if (asked.image !== null) words.push('--image', shellQuoted(asked.image));
  if (asked.mixed) words.push('--mixed');
  if (asked.toxiproxy !== null) words.push('--toxiproxy', shellQuoted(asked.toxiproxy));
  return words.join(' ');
}

const inks: Record<Verdict, (text: string) => string> = {
  pass: pico.green,
  fail: pico.red,
  warn: pico.yellow,
  skipped: pico.dim,
  unknown: pico.magenta,
};

function metricsTable(metrics: readonly ReportMetric[]): string[] {
  const rows = [
    ['target', '', 'p50', 'p95', 'max', 'n', 'verdict'],
    ...metrics.map((m) => [
      m.title,
      m.target,
      readableMs(m.p50),
      readableMs(m.p95),
      readableMs(m.max),
      String(m.n),
      m.verdict,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row, index) => {
    const cells = row.map((cell, column) =>
      column >= 2 && column <= 5 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
    );
    if (index === 0) return pico.dim(cells.join('  '));
    const verdict = cells.pop()!;
    return `${cells.join('  ')}  ${inks[row.at(-1) as Verdict](verdict)}`;
  });
}

function printTable(judged: Judged, replay: string, print: (line: string) => void): void {
  const model = reportModel(judged, replay, logOf);
  print('');
  for (const line of metricsTable(model.metrics)) print(line);
  print('');
  const passed = model.checks.filter(({ verdict }) => verdict === 'pass').length;
  for (const { id, verdict, because } of model.checks) {
    if (verdict !== 'pass') print(`${inks[verdict](verdict.padEnd(7))} ${id}: ${because}`);
  }
  const others = [...new Set(model.checks.map(({ verdict }) => verdict))].filter((each) => each !== 'pass');
  const rest = others
    .map((each) => `, ${model.checks.filter(({ verdict }) => verdict === each).length} ${each}`)
    .join('');
  print(
    `${inks[judged.verdict](pico.bold(judged.verdict))}  ${passed} of ${model.checks.length} checks pass${rest} · ${readableMs(model.durationMs)}`,
  );
}
