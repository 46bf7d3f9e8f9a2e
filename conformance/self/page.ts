/** kill-matrix.html: mutant × requirement as a picture, what escaped first. One file, light and dark, no scripts. Pure. */

import { escapeMarkup as e, readableMs } from '../../harness/report/markup.ts';
import { pageStyle } from '../../harness/report/style.ts';
import { escapes, type KillMatrix, type MutantOutcome, type TrivialOutcome } from './matrix.ts';

const style = `
.cells { display: flex; flex-wrap: wrap; gap: 3px; } .cells span { font: 11px/1 ui-monospace, Menlo, Consolas, monospace; padding: 4px 6px; border-radius: 4px; background: var(--panel); color: var(--soft); }
.cells .killed { background: var(--pass); color: var(--paper); } .cells .escaped { background: var(--fail); color: var(--paper); }
.cells .collateral { background: var(--warn); color: var(--paper); } .cells .unclear { outline: 1px dashed var(--unknown); color: var(--unknown); }
th { min-width: 0; } td code { overflow-wrap: anywhere; } ul { padding-left: 20px; } li { overflow-wrap: anywhere; }
@media (min-width: 641px) { .mutants { table-layout: fixed; } .mutants th:first-child { width: 98px; } .mutants th:nth-child(2) { width: 46%; } }
`;

export function killMatrixHtml(matrix: KillMatrix): string {
  const missed = escapes(matrix);
  const killed = matrix.mutants.filter((mutant) => mutant.killed).length;
  const cells = matrix.mutants.reduce((sum, mutant) => sum + mutant.kills.length, 0);
  const verdict = missed.length === 0 ? 'pass' : 'fail';
  const list = missed.map((line) => `<li>${e(line)}</li>`).join('');
  const left =
    matrix.unjudged.length === 0
      ? ''
      : ` The run was ended before ${matrix.unjudged.length} others were judged.`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>CLE-Net kill matrix</title><style>${pageStyle}${style}</style></head><body>
<h1>Kill matrix <span class="verdict ${verdict}">${killed} of ${matrix.mutants.length} mutants killed</span></h1>
<p>Each mutant is the reference node with one fault. A row that names it must go red; rows that do not must stay green.
${cells} cells, part ${matrix.part}, seed ${matrix.seed}, ${readableMs(matrix.wallMs)}.${left}</p>
${missed.length === 0 ? '' : `<h2>What escaped</h2><ul>${list}</ul>`}
<h2>Mutants</h2><div class="scroll"><table class="mutants"><thead><tr><th></th><th>mutant</th><th>rows</th></tr></thead><tbody>
${matrix.mutants.map(mutantRow).join('\n')}
</tbody></table></div>
<h2>Nodes that implement nothing</h2><p>They must pass no M row but the positive controls.</p>
<div class="scroll"><table><thead><tr><th>node</th><th>judged</th><th>M rows passed</th></tr></thead><tbody>
${matrix.trivial.map(trivialRow).join('\n')}
</tbody></table></div>
</body></html>
`;
}

function mutantRow(mutant: MutantOutcome): string {
  const named = mutant.kills.map((id) => {
    const cell = mutant.cells.find((one) => one.id === id);
    const state = !mutant.escaped.includes(id) ? 'killed' : cell?.verdict === 'pass' ? 'escaped' : 'unclear';
    return `<span class="${state}" title="${e(cell?.because ?? mutant.problem ?? 'not judged')}">${id}</span>`;
  });
  const others = mutant.cells
    .filter((cell) => !mutant.kills.includes(cell.id))
    .map((cell) => {
      const state = mutant.collateral.includes(cell.id) ? 'collateral' : '';
      return `<span class="${state}" title="${e(`${cell.verdict}: ${cell.because}`)}">${cell.id}</span>`;
    });
  const word = mutant.killed ? 'pass' : 'fail';
  return `<tr><td class="mark"><span class="verdict ${word}">${mutant.killed ? 'killed' : 'escaped'}</span></td><th scope="row"><code>${e(mutant.id)}</code><p>${e(mutant.note)}</p></th><td><div class="cells">${named.join('')}${others.join('')}</div></td></tr>`;
}

function trivialRow(trivial: TrivialOutcome): string {
  const passes = trivial.passes.map((id) => `<span class="escaped">${id}</span>`).join('');
  const text = trivial.problem === null ? passes || 'none' : e(trivial.problem);
  return `<tr><th scope="row"><code>${e(trivial.behaviour)}</code></th><td data-label="judged">${trivial.cells.length}</td><td data-label="M rows passed"><div class="cells">${text}</div></td></tr>`;
}
