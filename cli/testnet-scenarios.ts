/** Where scenarios are found by name, and `testnet list` and `testnet validate`. What may stand in a file, `harness/manifest.ts` knows. */

import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ManifestFile, nearest, readManifest } from '../harness/manifest.ts';
import { resolve } from '../harness/resolve.ts';
import { UsageError } from '../harness/usage-error.ts';

const folder = fileURLToPath(new URL('../chaos/scenarios', import.meta.url));

/** Names of the shipped scenarios, sorted. */
export function shippedScenarios(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => basename(name, '.yaml'))
    .sort();
}

/** A shipped scenario by its name, or the file of that path. UsageError if there is neither. */
export function findScenario(nameOrFile: string): ManifestFile {
  const names = shippedScenarios();
  if (names.includes(nameOrFile)) return readManifest(join(folder, `${nameOrFile}.yaml`));
  if (existsSync(nameOrFile)) return readManifest(nameOrFile);
  const near = nearest(nameOrFile, names);
  const hint = near === null ? '' : ` (did you mean "${near}"?)`;
  throw new UsageError(
    `--scenario: there is no scenario and no file "${nameOrFile}"${hint}; shipped are ${names.join(', ')}`,
  );
}

/** One line per shipped scenario. */
export function listScenarios(print: (line: string) => void): number {
  const names = shippedScenarios();
  const width = Math.max(...names.map(({ length }) => length));
  for (const name of names) {
    const { manifest } = findScenario(name);
    const nodes = `${manifest.nodes.count} nodes`.padStart(9);
    print(`${name.padEnd(width)}  ${nodes}  ${manifest.description}`);
  }
  return 0;
}

/** Checks a file all the way to the plan, so that a fault on a node that does not exist is found too. */
export function validateScenario(file: string, print: (line: string) => void): number {
  const plan = resolve(readManifest(file), { seed: 1 });
  const faults = `${plan.faults.length} fault${plan.faults.length === 1 ? '' : 's'}`;
  print(`${file}: scenario "${plan.scenario}" with ${plan.nodes.length} nodes and ${faults} is valid`);
  return 0;
}
