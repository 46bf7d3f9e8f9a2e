/**
 * Faulty nodes as patches of the reference node's source: what a mutant is, how the set is loaded, and when a patch is stale.
 * The patches are text, applied while a mutant is bundled (self/build.ts), so nothing of them is in the node itself, and this
 * folder imports nothing of it: a file of the node is a path here.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Requirement } from '../requirement.ts';

/** One exact replacement; `find` must stand exactly once in the file. */
export interface Patch {
  /** Relative to the repository, e.g. `node/core/gossip.ts`. */
  file: string;
  find: string;
  replace: string;
}

export interface Mutant extends Patch {
  /** `gossip-fanout-two`: what is wrong, in kebab case. */
  id: string;
  /** The rows that must notice. */
  kills: readonly string[];
  /** What this node does wrong, as a sentence. */
  note: string;
  /** Further replacements that the fault needs. */
  also?: readonly Patch[];
  /** Shows only where a row takes the sizes and waits that its requirement names: judged with `--thorough`. */
  thorough?: boolean;
  /** In the fixed part that CI builds and judges in every run. */
  ci?: boolean;
  /** Rows that this fault rightly breaks besides those it must be caught by; they say nothing of specificity. */
  mayBreak?: readonly string[];
}

/** All files of `self/mutants/`, each exporting `mutants`. */
export async function loadMutants(): Promise<Mutant[]> {
  const folder = new URL('./mutants/', import.meta.url);
  const all: Mutant[] = [];
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.ts')) continue;
    const module = (await import(new URL(file, folder).href)) as { mutants?: readonly Mutant[] };
    if (!Array.isArray(module.mutants))
      throw new Error(`conformance/self/mutants/${file} exports no array \`mutants\``);
    all.push(...module.mutants);
  }
  return all;
}

/** The patches of a mutant, file by file. */
export function patchesOf(mutant: Mutant): readonly Patch[] {
  return [{ file: mutant.file, find: mutant.find, replace: mutant.replace }, ...(mutant.also ?? [])];
}

/** `text` with the patch applied. Throws if `find` does not stand there exactly once, or changes nothing. */
export function patched(text: string, patch: Patch): string {
  const at = text.indexOf(patch.find);
  if (patch.find === '' || at < 0) throw new Error(`${patch.file} does not hold: ${oneLine(patch.find)}`);
  if (text.indexOf(patch.find, at + 1) >= 0)
    throw new Error(`${patch.file} holds more than once: ${oneLine(patch.find)}`);
  if (patch.find === patch.replace)
    throw new Error(`${patch.file}: the patch changes nothing: ${oneLine(patch.find)}`);
  return text.slice(0, at) + patch.replace + text.slice(at + patch.find.length);
}

/** Everything that makes the set of mutants unfit: stale patches, unknown rows, rows and mutants that disagree. */
export function mutantProblems(
  root: string,
  mutants: readonly Mutant[],
  rows: readonly Requirement[],
  known: ReadonlySet<string>,
): string[] {
  const problems: string[] = [];
  const ids = new Set<string>();
  for (const mutant of mutants) {
    if (ids.has(mutant.id)) problems.push(`${mutant.id}: there twice`);
    ids.add(mutant.id);
    if (mutant.kills.length === 0) problems.push(`${mutant.id}: kills nothing`);
    for (const id of mutant.kills) if (!known.has(id)) problems.push(`${mutant.id}: ${id} is no requirement`);
    for (const problem of staleness(root, mutant)) problems.push(`${mutant.id}: stale: ${problem}`);
  }
  const killers = new Map(mutants.map((mutant) => [mutant.id, mutant.kills]));
  for (const row of rows) {
    for (const id of row.mutants) {
      const kills = killers.get(id);
      if (kills === undefined) problems.push(`${row.id}: names the mutant ${id}, which does not exist`);
      else if (!kills.includes(row.id))
        problems.push(`${row.id}: names the mutant ${id}, which does not name it`);
    }
  }
  return problems;
}

function staleness(root: string, mutant: Mutant): string[] {
  const texts = new Map<string, string>();
  try {
    for (const patch of patchesOf(mutant)) {
      const text = texts.get(patch.file) ?? readFileSync(join(root, patch.file), 'utf8');
      texts.set(patch.file, patched(text, patch));
    }
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

function oneLine(text: string): string {
  const flat = text.replace(/\s+/g, ' ');
  return flat.length > 80 ? `${flat.slice(0, 80)}…` : flat;
}
