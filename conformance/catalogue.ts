/**
 * The requirements page (docs/requirements.md) as data: which rows there are, at which level, in which section. The page is
 * what people agreed on; the code is checked against it, never the other way round.
 */

import { readFileSync } from 'node:fs';
import type { Level, Role } from './requirement.ts';

export interface CatalogueRow {
  id: string;
  group: string;
  groupTitle: string;
  level: Level;
  section: string;
  role: Role;
  requirement: string;
  check: string;
  mustCatch: string;
}

const levels: Record<string, Level> = { M: 'must', S: 'should', I: 'info' };
const docs = new URL('../docs/', import.meta.url);

export function readDocument(name: 'requirements.md' | 'protocol.md' | 'seed/p2p_network_layer.md'): string {
  return readFileSync(new URL(name, docs), 'utf8');
}

/** All rows of the page in its order. Throws on a row that it cannot read. */
export function readCatalogue(text = readDocument('requirements.md')): CatalogueRow[] {
  const rows: CatalogueRow[] = [];
  let groupTitle = '';
  for (const line of text.split('\n')) {
    const heading = line.match(/^## ([A-Z]{3}) — (.*)$/);
    if (heading) groupTitle = heading[2]!;
    if (!/^\| [A-Z]{3}-\d\d /.test(line)) continue;
    const cells = line
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.trim());
    const [id, letter, section, requirement, check, mustCatch] = cells;
    const level = levels[letter ?? ''];
    if (cells.length !== 6 || level === undefined)
      throw new Error(`requirements.md: cannot read the row ${line}`);
    const group = id!.slice(0, 3);
    rows.push({
      id: id!,
      group,
      groupTitle,
      level,
      section: section!,
      role: roleOf(check!),
      requirement: requirement!,
      check: check!,
      mustCatch: mustCatch!,
    });
  }
  return rows;
}

/** The role stands at the end of the check: `(s)`, `(s,n)`, `(n; reference node's store …)`. Several: the most demanding. */
function roleOf(check: string): Role {
  const letters = check.match(/\(((?:[scbn])(?:[,;][^()]*)?)\)\s*$/)?.[1];
  if (letters === undefined) throw new Error(`requirements.md: no role at the end of "${check}"`);
  if (/^s,n/.test(letters)) return 'n';
  return letters[0] as Role;
}
