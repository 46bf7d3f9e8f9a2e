/**
 * `npm run bench`: measures every bar beside its control, prints a row per bar and writes them to `bench.json`. 0 if all bars
 * were measured, met or not (they are figures, not a gate); where one could not be, 1 if another was missed, else 3; 2 wrong use.
 */

import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bar, type Bench, barTable } from '../bench/bar.ts';
import { dockerBench } from '../bench/docker.ts';
import { gossipBench } from '../bench/gossip/bench.ts';
import { nodeBenches } from '../bench/nodes.ts';
import { proxyBench } from '../bench/proxy.ts';
import { scenariosBench } from '../bench/scenarios.ts';
import { writeResults } from '../harness/report/files.ts';
import { openRun, stopOnSignals } from '../harness/run-record.ts';
import { sweep } from '../harness/sweep.ts';
import { UsageError } from '../harness/usage-error.ts';
import { readWords } from './command-line.ts';
import { exitWith } from './exit.ts';
import { openOutFolder } from './out-folder.ts';

const benches: readonly Bench[] = [...nodeBenches, proxyBench, dockerBench, gossipBench, scenariosBench];
const flags = {
  only: { type: 'string' },
  quick: { type: 'boolean' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const usage = `npm run bench -- [--only NAME[,NAME…]] [--quick] [--out DIR]

${benches.map(({ name, what }) => `${name.padEnd(11)} ${what}`).join('\n')}`;

function chosen(only: string | undefined): readonly Bench[] {
  if (only === undefined) return benches;
  return only.split(',').map((name) => {
    const found = benches.find((bench) => bench.name === name);
    if (found !== undefined) return found;
    throw new UsageError(`--only: there is no "${name}"; there are ${benches.map((b) => b.name).join(', ')}`);
  });
}

async function bench(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readWords(argv, flags);
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (positionals.length > 0)
    throw new UsageError(`unknown argument "${positionals.join(' ')}" (there are --only --quick --out)`);
  const wanted = chosen(values.only);
  const { folder } = openOutFolder(
    resolve(values.out ?? 'runs/bench'),
    { '.': /^bench\.json$/ },
    values.out === undefined,
  );
  await sweep();
  const run = openRun('bench');
  // The watchdog removes the folder once nobody writes there any more.
  const signals = stopOnSignals(async () => {});
  try {
    const quick = values.quick ?? false;
    const { rows, broken } = await signals.guard(measureAll(wanted, quick, run.folder));
    console.log(`\n${barTable(rows)}`);
    writeResults(folder, new Map([['bench.json', `${JSON.stringify({ rows }, null, 2)}\n`]]));
    console.log(relative('.', join(folder, 'bench.json')));
    return benchExit(rows, broken);
  } finally {
    signals.off();
    await run.close();
  }
}

/** A bar that nobody measured is unknown, which is no failure of anything. */
export function benchExit(rows: readonly Pick<Bar, 'met'>[], broken: number): 0 | 1 | 3 {
  if (broken === 0) return 0;
  return rows.every(({ met }) => met) ? 3 : 1;
}

/** One after the other; what cannot be measured is told with its stack and counted, and the others still are. */
async function measureAll(
  wanted: readonly Bench[],
  quick: boolean,
  scratch: string,
): Promise<{ rows: Bar[]; broken: number }> {
  const rows: Bar[] = [];
  let broken = 0;
  for (const one of wanted) {
    console.log(`-- ${one.name}: ${one.what}`);
    try {
      rows.push(...(await one.run({ quick, say: console.log, scratchDir: join(scratch, one.name) })));
    } catch (error) {
      broken += 1;
      console.log(`${one.name} could not be measured: ${(error as Error).stack ?? error}`);
    }
  }
  return { rows, broken };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await exitWith('bench', () => bench(process.argv.slice(2)));
}
