/**
 * Which rows a run judges: `--only` globs over ids, groups and levels, and `--level`. Pure.
 */

import { UsageError } from '../harness/usage-error.ts';
import type { Level, Requirement } from './requirement.ts';

export interface Selection {
  /** Globs (`*`, `?`) over id, group or level; none: everything. */
  only: readonly string[];
  /** must: M rows alone; should: M and S rows. */
  level: 'must' | 'should' | null;
}

/** Throws UsageError for a glob that picks nothing. */
export function select(rows: readonly Requirement[], selection: Selection): Requirement[] {
  for (const glob of selection.only) {
    if (!rows.some((row) => picks(glob, row)))
      throw new UsageError(
        `--only ${glob}: no requirement has such an id, group or level (see: npm run conformance -- list)`,
      );
  }
  const allowed: readonly Level[] = levelsUpTo(selection.level);
  const chosen = rows.filter(
    (row) =>
      allowed.includes(row.level) &&
      (selection.only.length === 0 || selection.only.some((glob) => picks(glob, row))),
  );
  if (chosen.length === 0) throw new UsageError('--only and --level together pick no requirement');
  return chosen;
}

function levelsUpTo(level: Selection['level']): readonly Level[] {
  if (level === 'must') return ['must'];
  return level === 'should' ? ['must', 'should'] : ['must', 'should', 'info'];
}

function picks(glob: string, row: Requirement): boolean {
  const pattern = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  const whole = new RegExp(`^(?:${pattern})$`, 'i');
  return whole.test(row.id) || whole.test(row.id.slice(0, 3)) || whole.test(row.level);
}
