/**
 * The rows about everything that a node emits: one book of monitors over every connection of the run, read when all other rows
 * are through. What is looked at is harness/wire/monitors.ts; which rows it decides is said here.
 */

import { createBook, type MonitorBook, type MonitorRow } from '../harness/wire/monitors.ts';

export interface Watched {
  /** Messages judged for this row over the whole run. */
  witnessed: number;
  violations: readonly { what: string; connection: string; text: string }[];
}

export interface Watch {
  readonly book: MonitorBook;
  /** Whether this row's verdict waits for the end of the run. */
  holds(id: string): boolean;
  evidence(id: string): Watched;
}

const watchedRows: ReadonlySet<string> = new Set<MonitorRow>([
  'SIG-01',
  'CAN-01',
  'CAN-06',
  'ENV-01',
  'ENV-04',
  'ENV-08',
  'GFM-01',
  'ERR-01',
]);

export function createWatch(): Watch {
  const book = createBook();
  return {
    book,
    holds: (id) => watchedRows.has(id),
    evidence: (id) => ({
      witnessed: book.judged.get(id as MonitorRow) ?? 0,
      violations: book.violations
        .filter((violation) => violation.row === id)
        .map(({ because, connection, text }) => ({ what: because, connection, text })),
    }),
  };
}
