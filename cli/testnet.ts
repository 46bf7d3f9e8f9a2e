/**
 * `npm run testnet`: reads the command line and does one thing. What a run is, `testnet-run.ts` knows; this file only dispatches.
 */

import { fileURLToPath } from 'node:url';
import { exitWith } from './exit.ts';
import { readTestnetArguments, testnetUsage } from './testnet-arguments.ts';
import { down } from './testnet-down.ts';
import { runTestnet } from './testnet-run.ts';
import { listScenarios, validateScenario } from './testnet-scenarios.ts';

export async function testnet(words: readonly string[], print: (line: string) => void): Promise<number> {
  const asked = readTestnetArguments(words);
  switch (asked.kind) {
    case 'help':
      print(testnetUsage);
      return 0;
    case 'down':
      return down(print);
    case 'list':
      return listScenarios(print);
    case 'validate':
      return validateScenario(asked.file, print);
    case 'run':
      return runTestnet(asked, print);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await exitWith('testnet', () => testnet(process.argv.slice(2), (line) => console.log(line)));
}
