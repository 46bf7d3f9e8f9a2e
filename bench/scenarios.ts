/**
 * The shipped scenarios as a person runs them, round after round on both engines: do the engines agree on every check, and does
 * the command end as soon as it promises? Starts the command line and reads `verdict.json`; knows nothing of how a run is made.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dockerObstacle } from '../harness/engines/docker/connect.ts';
import { merge, type Verdict } from '../harness/verdict.ts';
import { type Bar, type Bench, type BenchOptions, bar, median } from './bar.ts';

const command = fileURLToPath(new URL('../cli/testnet.ts', import.meta.url));
const scenariosDir = fileURLToPath(new URL('../chaos/scenarios', import.meta.url));
const runWithinMs = 300_000;
/** Whole command, s, of the scenarios for which the issue names a time. */
const endsWithinS: Record<string, number> = { default: 90, smoke: 20 };

export interface ScenarioRun {
  scenario: string;
  engine: string;
  wallS: number;
  verdict: string;
  /** Check id → verdict. */
  checks: Record<string, string>;
}

/** Throws where the command left no verdict: it crashed, was ended, or was used wrongly. */
async function runScenario(scenario: string, engine: string, outDir: string): Promise<ScenarioRun> {
  const startedAt = performance.now();
  const args = ['--import', 'tsx', command, '--quiet', '--engine', engine, '--scenario', scenario];
  const child = spawn(process.execPath, [...args, '--out', outDir], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: runWithinMs,
  });
  const [status, signal] = await once(child, 'exit');
  const wallS = (performance.now() - startedAt) / 1000;
  if (signal !== null || status === 2 || !existsSync(join(outDir, 'verdict.json')))
    throw new Error(`it ended with ${signal ?? `exit ${status}`}`);
  const { checks } = JSON.parse(readFileSync(join(outDir, 'verdict.json'), 'utf8')) as {
    checks: { id: string; verdict: Verdict }[];
  };
  // What the host had to spare is no matter of the engine.
  const ofTheRun = checks.filter(({ id }) => id !== 'host.kept-up');
  return {
    scenario,
    engine,
    wallS,
    verdict: merge(ofTheRun),
    checks: Object.fromEntries(ofTheRun.map((check) => [check.id, check.verdict])),
  };
}

/** What two runs of one scenario judge differently, `check: pass, fail`; a check that only one of them has is `absent`. */
export function differences(one: ScenarioRun, other: ScenarioRun): string[] {
  const ids = new Set([...Object.keys(one.checks), ...Object.keys(other.checks)]);
  const checks = [...ids]
    .map((id) => [id, one.checks[id] ?? 'absent', other.checks[id] ?? 'absent'] as const)
    .filter(([, a, b]) => a !== b);
  const whole = one.verdict === other.verdict ? [] : [['verdict', one.verdict, other.verdict] as const];
  return [...whole, ...checks].map(([id, a, b]) => `${id}: ${a}, ${b}`);
}

/** One scenario on each engine in turn; those that left a verdict. */
async function pairOf(
  scenario: string,
  engines: readonly string[],
  outDir: string,
  say: (line: string) => void,
): Promise<ScenarioRun[]> {
  const pair: ScenarioRun[] = [];
  for (const engine of engines) {
    try {
      const one = await runScenario(scenario, engine, join(outDir, `${scenario}-${engine}`));
      say(`${scenario} on ${engine}: ${one.verdict} after ${one.wallS.toFixed(1)} s`);
      pair.push(one);
    } catch (error) {
      // An hour of other rounds is worth more than this one.
      say(`${scenario} on ${engine} could not be judged: ${(error as Error).message}`);
    }
  }
  return pair;
}

/** What all runs together say. Throws where there is nothing to say: no run, or no pair, was judged. */
export function barsOf(pairs: readonly ScenarioRun[][], engines: number, say: (line: string) => void): Bar[] {
  if (pairs.every((pair) => pair.length === 0)) throw new Error('no run left a verdict');
  if (engines === 1) return timeBars(pairs.flat());
  if (pairs.every((pair) => pair.length < engines)) throw new Error('no scenario was judged on both engines');
  return [...timeBars(pairs.flat()), agreementBar(pairs, say)];
}

async function rounds({ quick, say, scratchDir }: BenchOptions): Promise<Bar[]> {
  mkdirSync(scratchDir, { recursive: true });
  const shipped = readdirSync(scenariosDir).map((name) => basename(name, '.yaml'));
  const scenarios = quick ? ['smoke'] : shipped;
  const obstacle = await dockerObstacle();
  if (obstacle !== null) say(`engines are not compared: ${obstacle}`);
  const engines = obstacle === null ? ['process', 'docker'] : ['process'];
  const pairs: ScenarioRun[][] = [];
  for (let round = 1; round <= (quick ? 1 : 10); round += 1)
    for (const scenario of scenarios)
      pairs.push(
        await pairOf(scenario, engines, join(scratchDir, `round-${round}`), (line) =>
          say(`${round}: ${line}`),
        ),
      );
  return barsOf(pairs, engines.length, say);
}

function timeBars(runs: readonly ScenarioRun[]): Bar[] {
  return Object.entries(endsWithinS).flatMap(([scenario, limitS]) => {
    const took = runs.filter((run) => run.scenario === scenario && run.engine === 'process');
    if (took.length === 0) return [];
    const figure = median(took.map(({ wallS }) => wallS));
    return [bar(`testnet-${scenario}`, `${figure.toFixed(1)} s`, `${limitS} s`, figure / limitS, '<=', 1)];
  });
}

function agreementBar(pairs: readonly ScenarioRun[][], say: (line: string) => void): Bar {
  // One that left no verdict agrees with nothing.
  const differing = pairs.map(([one, other]) =>
    one === undefined || other === undefined ? ['no verdict'] : differences(one, other),
  );
  for (const [index, lines] of differing.entries())
    for (const line of lines)
      say(`${pairs[index]![0]?.scenario ?? 'a run'}: ${line} (on processes, in containers)`);
  const agreeing = differing.filter((lines) => lines.length === 0).length;
  return bar(
    'engines-agree',
    `${agreeing} agree`,
    `${pairs.length} pairs of runs`,
    agreeing / pairs.length,
    '>=',
    1,
  );
}

export const scenariosBench: Bench = {
  name: 'scenarios',
  what: 'shipped scenarios on processes and in containers, ten rounds: same verdicts, and in time',
  run: rounds,
};
