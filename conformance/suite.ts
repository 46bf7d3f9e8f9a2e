/**
 * Mocha as the runner of rows: one suite per group, one test per row, each awaiting what the schedule makes of its row, so that
 * Mocha's order and counts hold while the waits of all rows overlap. Knows no target.
 */

import Mocha from 'mocha';
import type { CatalogueRow } from './catalogue.ts';
import type { Requirement, Result } from './requirement.ts';

/** Mocha writes nothing; the suite's own reports do. */
class Silent extends Mocha.reporters.Base {}

/**
 * Resolves when every row was judged. A row that fails, is untestable or inconclusive fails its test; one that is not
 * applicable is pending. `judged` must settle for every row: Mocha's own time-outs are off.
 */
export function runMocha(
  rows: readonly Requirement[],
  catalogue: readonly CatalogueRow[],
  judged: (id: string) => Promise<Result>,
): Promise<void> {
  const mocha = new Mocha({ timeout: 0, reporter: Silent as unknown as string, ui: 'bdd' });
  const listed = new Map(catalogue.map((row) => [row.id, row]));
  const groups = new Map<string, Mocha.Suite>();
  for (const row of rows) {
    const page = listed.get(row.id)!;
    const group =
      groups.get(page.group) ?? Mocha.Suite.create(mocha.suite, `${page.group} ${page.groupTitle}`);
    groups.set(page.group, group);
    group.addTest(
      new Mocha.Test(`${row.id} ${page.requirement}`, async function (this: Mocha.Context) {
        const result = await judged(row.id);
        if (result.verdict === 'not-applicable' || result.excused !== null) this.skip();
        if (result.verdict !== 'pass' && result.verdict !== 'warn') throw new Error(result.because);
      }),
    );
  }
  return new Promise((resolve) => {
    const runner = mocha.run(() => {
      // It would go on listening for what nobody catches in this process.
      setImmediate(() => runner.dispose());
      resolve();
    });
  });
}
