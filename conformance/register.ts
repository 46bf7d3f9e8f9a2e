/**
 * Joins the chapters: every file in `chapters/` exports `rows`, and is in the suite by being there. Checks them against the
 * requirements page and the two documents that they quote. Knows neither bench nor target.
 */

import { readdirSync } from 'node:fs';
import { type CatalogueRow, readCatalogue, readDocument } from './catalogue.ts';
import type { Requirement } from './requirement.ts';

export interface Register {
  /** In the order of the requirements page. */
  rows: readonly Requirement[];
  catalogue: readonly CatalogueRow[];
  /** Ids of the page that no chapter holds. */
  missing: readonly string[];
  /** Chapters that cannot be loaded, rows at odds with the page: with any of these the suite is not whole. */
  problems: readonly string[];
}

/** Imports all chapters. What is wrong with one of them is in `problems`; the others are there all the same. */
export async function loadRegister(): Promise<Register> {
  const folder = new URL('./chapters/', import.meta.url);
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .sort();
  const rows: Requirement[] = [];
  const problems: string[] = [];
  for (const file of files) {
    try {
      const chapter = (await import(new URL(file, folder).href)) as { rows?: readonly Requirement[] };
      if (Array.isArray(chapter.rows)) rows.push(...chapter.rows);
      else problems.push(`chapters/${file} exports no array \`rows\``);
    } catch (error) {
      problems.push(`chapters/${file}: ${(error as Error).message.split('\n', 1)[0]}`);
    }
  }
  const catalogue = readCatalogue();
  problems.push(...disagreements(rows, catalogue));
  const position = new Map(catalogue.map((row, index) => [row.id, index]));
  rows.sort((a, b) => (position.get(a.id) ?? 0) - (position.get(b.id) ?? 0));
  const written = new Set(rows.map((row) => row.id));
  const missing = catalogue.map((row) => row.id).filter((id) => !written.has(id));
  return { rows: firstOfEach(rows, position), catalogue, missing, problems };
}

/** Without rows that the page does not know, and without second ones of one id. */
function firstOfEach(rows: readonly Requirement[], known: ReadonlyMap<string, number>): Requirement[] {
  const ids = rows.map((row) => row.id);
  return rows.filter((row, index) => known.has(row.id) && ids.indexOf(row.id) === index);
}

/** Where code and page say different things of one row. */
export function disagreements(rows: readonly Requirement[], catalogue: readonly CatalogueRow[]): string[] {
  const problems: string[] = [];
  const page = new Map(catalogue.map((row) => [row.id, row]));
  const seen = new Set<string>();
  for (const row of rows) {
    const listed = page.get(row.id);
    if (seen.has(row.id)) problems.push(`${row.id} is there twice`);
    seen.add(row.id);
    if (listed === undefined) {
      problems.push(`${row.id} is not in requirements.md`);
      continue;
    }
    if (listed.level !== row.level) problems.push(`${row.id} is ${row.level}, on the page ${listed.level}`);
    if (listed.section !== row.section)
      problems.push(`${row.id} is of § ${row.section}, on the page § ${listed.section}`);
    if (listed.role !== row.role) problems.push(`${row.id} has role ${row.role}, on the page ${listed.role}`);
    if (row.mutants.length === 0 && !controls.has(row.id) && row.level === 'must')
      problems.push(`${row.id} names no mutant`);
  }
  return problems;
}

/** The positive controls: even a node that does nothing well may pass them, and no mutant belongs to them alone. */
export const controls: ReadonlySet<string> = new Set(['TLS-01', 'ENV-07']);

/** Rows whose quote stands in neither document any more: UNREVIEWED, the gate fails. */
export function unquoted(rows: readonly Requirement[]): string[] {
  const documents = [readDocument('seed/p2p_network_layer.md'), readDocument('protocol.md')].map(flattened);
  return rows
    .filter(
      (row) => row.quote.trim() === '' || !documents.some((text) => text.includes(flattened(row.quote))),
    )
    .map((row) => row.id);
}

/** Line breaks and indentation do not belong to a sentence. */
export function flattened(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
