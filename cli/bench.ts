/**
 * `npm run bench`: measures every bar beside its control, prints a row per bar and writes them to `bench.json`. 0 if all bars
 * were measured, met or not (they are figures, not a gate); 1 if one could not be measured; 2 wrong use.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Bar, type Bench, barTable } from '../bench/bar.ts';
import { dockerBench } from '../bench/docker.ts';
import { gossipBench } from '../bench/gossip/bench.ts';
import { nodeBenches } from '../bench/nodes.ts';
import { proxyBench } from '../bench/proxy.ts';
import { scenariosBench } from '../bench/scenarios.ts';
import { UsageError } from '../harness/usage-error.ts';
import { exitWith } from './exit.ts';
import { makeOutFolder } from './out-folder.ts';

const benches: readonly Bench[] = [...nodeBenches, proxyBench, dockerBench, gossipBench, scenariosBench];
const flags = {
  only: { type: 'string' },
  quick: { type: 'boolean' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const usage = `npm run bench -- [--only NAME[,NAME…]] [--quick] [--out DIR]

${benches.map(({ name, what }) => `${name.padEnd(11)} ${what}`).join('\n')}`;

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, strict: true }).values;
  } catch (error) {
    throw new UsageError(
      `${(error as Error).message.split(/\. To specify|\n/)[0]} (there are --only --quick --out)`,
    );
  }
}

function chosen(only: string | undefined): readonly Bench[] {
  if (only === undefined) return benches;
  return only.split(',').map((name) => {
    const found = benches.find((bench) => bench.name === name);
    if (found !== undefined) return found;
    throw new UsageError(`--only: there is no "${name}"; there are ${benches.map((b) => b.name).join(', ')}`);
  });
}

async function bench(argv: readonly string[]): Promise<number> {
  const values = parsed(argv);
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const wanted = chosen(values.only);
  const outDir = resolve(values.out ?? 'runs/bench');
  makeOutFolder(outDir);
  const scratch = mkdtempSync(join(tmpdir(), 'cle-bench-'));
  const rows: Bar[] = [];
  let broken = 0;
  try {
    for (const one of wanted) {
      console.log(`-- ${one.name}: ${one.what}`);
      try {
        rows.push(
          ...(await one.run({
            quick: values.quick ?? false,
            say: console.log,
            scratchDir: join(scratch, one.name),
          })),
        );
      } catch (error) {
        broken += 1;
        console.log(`${one.name} could not be measured: ${(error as Error).stack ?? error}`);
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  writeFileSync(join(outDir, 'bench.json'), `${JSON.stringify({ rows }, null, 2)}\n`);
  console.log(`\n${barTable(rows)}\n${relative('.', join(outDir, 'bench.json'))}`);
  return broken === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await exitWith('bench', () => bench(process.argv.slice(2)));
}
