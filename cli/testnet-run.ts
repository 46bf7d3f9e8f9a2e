/**
 * One run of `npm run testnet`: scenario and seed → plan → engine → judged run → table and run folder. Owns what lies in
 * the run folder and what the person reads at the end; measures and judges nothing.
 */

import { writeFileSync } from 'node:fs';
import { join, relative, resolve as resolvePath } from 'node:path';
import pico from 'picocolors';
import { runScenario } from '../chaos/run.ts';
import { chooseEngine } from '../harness/engines/index.ts';
import type { Plan } from '../harness/plan.ts';
import { junitXml } from '../harness/report/junit.ts';
import { readableMs } from '../harness/report/markup.ts';
import type { ReportMetric } from '../harness/report/model.ts';
import { reportPage } from '../harness/report/page.ts';
import { resolve } from '../harness/resolve.ts';
import { stopOnSignals } from '../harness/run-record.ts';
import { type Judged, reportModel, verdictJson } from '../harness/summary.ts';
import { sweep } from '../harness/sweep.ts';
import { exitCode, type Verdict } from '../harness/verdict.ts';
import { bundleNode } from '../node/bundle.ts';
import { openLiveView } from './live-view.ts';
import { makeOutFolder } from './out-folder.ts';
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
  const outDir = makeOutDir(asked.out, plan);
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
    writeRunFolder(outDir, judged, replay);
    printTable(judged, outDir, replay, print);
    return exitCode(judged.verdict);
  } finally {
    view.end();
    signals.off();
  }
}

function makeOutDir(out: string | null, plan: Plan): string {
  const stamp = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const folder = resolvePath(out ?? join('runs', `${stamp}-${plan.scenario}-${plan.seed}-${process.pid}`));
  makeOutFolder(folder);
  makeOutFolder(join(folder, 'logs'));
  return folder;
}

const quoted = (word: string): string =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** Runs the same plan again, on the same engine. */
function replayLine(asked: RunArguments, engine: string, seed: number): string {
  const words = [
    'npm run testnet --',
    '--engine',
    engine,
    '--scenario',
    asked.scenario,
    '--seed',
    String(seed),
  ];
  if (asked.nodes !== null) words.push('--nodes', String(asked.nodes));
  if (asked.command !== null) words.push('--command', quoted(asked.command));
  if (asked.image !== null) words.push('--image', quoted(asked.image));
  if (asked.mixed) words.push('--mixed');
  if (asked.toxiproxy !== null) words.push('--toxiproxy', quoted(asked.toxiproxy));
  return words.join(' ');
}

function writeRunFolder(outDir: string, judged: Judged, replay: string): void {
  const { history, findings } = judged;
  const write = (name: string, text: string): void => writeFileSync(join(outDir, name), text);
  write('verdict.json', `${JSON.stringify(verdictJson(judged, replay), null, 2)}\n`);
  write('plan.json', `${JSON.stringify(history.plan, null, 2)}\n`);
  write('history.json', `${JSON.stringify(history)}\n`);
  write(
    'notes.txt',
    `${history.notes.map(({ at, text }) => `${(at / 1000).toFixed(2).padStart(9)} s  ${text}`).join('\n')}\n`,
  );
  write('replay.txt', `${replay}\n`);
  write('report.html', reportPage(reportModel(judged, replay, (node) => `logs/${node}.log`)));
  const cases = findings.map(({ id, verdict, because }) => {
    return { className: `testnet.${history.plan.scenario}`, name: id, seconds: 0, verdict, because };
  });
  const title = `cle-testnet ${history.plan.scenario} seed ${history.plan.seed}`;
  write('junit.xml', junitXml(title, cases, history.endedAt / 1000));
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

function printTable(judged: Judged, outDir: string, replay: string, print: (line: string) => void): void {
  const model = reportModel(judged, replay, (node) => `logs/${node}.log`);
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
  print(pico.dim(`report   ${relative('.', join(outDir, 'report.html'))}`));
  print(pico.dim(`replay   ${replay}`));
}
