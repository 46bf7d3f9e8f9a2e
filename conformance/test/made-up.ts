/** Made-up rows under the ids of real ones, and whole runs of them that print nowhere. */

import { Writable } from 'node:stream';
import type { Bench } from '../bench.ts';
import { readCatalogue } from '../catalogue.ts';
import { openTerminal } from '../report/terminal.ts';
import type { Requirement, Verdict } from '../requirement.ts';
import { type RunOptions, runConformance } from '../run.ts';
import type { Summary } from '../summary.ts';
import type { Target } from '../target.ts';

export const catalogue = readCatalogue();

export function row(
  id: string,
  test: (bench: Bench) => Promise<unknown>,
  changes: Partial<Requirement> = {},
): Requirement {
  const { level, section, role } = catalogue.find((one) => one.id === id)!;
  return {
    id,
    level,
    section,
    role,
    quote: 'All messages are signed:',
    reading: 'it is so',
    mutants: ['x'],
    needs: [],
    durationHintMs: 100,
    test: test as Requirement['test'],
    ...changes,
  };
}

export async function judged(
  rows: readonly Requirement[],
  target: Target,
  outDir: string,
  changes: Partial<RunOptions> = {},
): Promise<Summary> {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() }) as unknown as NodeJS.WriteStream;
  const options = {
    selection: { only: [], level: null },
    seed: 1,
    thorough: false,
    outDir,
    baseline: null,
    writeBaseline: null,
    today: '2026-01-01',
    ended: null,
    ...changes,
  };
  const terminal = openTerminal(sink, catalogue, false);
  const summary = await runConformance(options, target, terminal, {
    rows,
    catalogue,
    missing: [],
    problems: [],
  });
  return summary;
}

export const verdictsOf = (summary: Summary): Record<string, Verdict> =>
  Object.fromEntries(summary.results.map((result) => [result.id, result.verdict]));
