/**
 * requirements.html: the requirements page coloured by result, each row opening its quote, reading, verdict and transcript.
 * One file without references to others; light and dark; works without scripts (a small one filters). Pure.
 */

import { readableFacts } from '../../harness/host.ts';
import { escapeMarkup as e, readableMs } from '../../harness/report/markup.ts';
import { pageStyle } from '../../harness/report/style.ts';
import { readable } from '../../harness/wire/json.ts';
import type { CatalogueRow } from '../catalogue.ts';
import { type Requirement, type Result, verdicts } from '../requirement.ts';
import type { Summary } from '../summary.ts';
import { shortened, type TranscriptLine } from '../transcript.ts';

export interface PageInput {
  summary: Summary;
  catalogue: readonly CatalogueRow[];
  requirements: readonly Requirement[];
  transcripts: ReadonlyMap<string, readonly TranscriptLine[]>;
}

const style = `
.bar { display: flex; height: 14px; border-radius: 7px; overflow: hidden; margin: 18px 0 10px; background: var(--panel); }
.bar span { display: block; min-width: 2px; } .bar .pass { background: var(--pass); } .bar .fail { background: var(--fail); }
.bar .warn { background: var(--warn); } .bar .untestable { background: repeating-linear-gradient(45deg, var(--fail) 0 4px, var(--paper) 4px 6px); }
.bar .inconclusive { background: var(--unknown); } .bar .not-applicable { background: var(--line); }
.filters { display: flex; gap: 8px; flex-wrap: wrap; margin: 10px 0 0; }
.filters label { font-size: 13px; border: 1px solid var(--line); border-radius: 999px; padding: 2px 12px; cursor: pointer; user-select: none; }
.filters input { accent-color: var(--accent); margin: 0 6px 0 0; vertical-align: -1px; }
.filters label:focus-within { outline: 2px solid var(--accent); }
.strip { display: flex; flex-wrap: wrap; gap: 3px; margin: 8px 0 6px; }
.strip a { width: 15px; height: 15px; border-radius: 4px; background: var(--line); }
.strip a.pass { background: var(--pass); } .strip a.fail, .strip a.untestable { background: var(--fail); } .strip a.warn { background: var(--warn); }
.strip a.inconclusive { background: var(--unknown); }
details.row { border: 1px solid var(--line); border-left-width: 5px; border-radius: 8px; margin: 8px 0; background: var(--paper); }
details.row.pass { border-left-color: var(--pass); } details.row.fail, details.row.untestable { border-left-color: var(--fail); }
details.row.warn { border-left-color: var(--warn); } details.row.inconclusive { border-left-color: var(--unknown); }
details.row > summary { display: grid; grid-template-columns: 66px 118px 1fr auto; gap: 12px; align-items: baseline; padding: 9px 14px; color: var(--ink); font-size: 14px; list-style: none; }
details.row > summary::-webkit-details-marker { display: none; }
details.row[open] > summary { border-bottom: 1px solid var(--line); background: var(--panel); border-radius: 0 8px 0 0; }
details.row > summary:focus-visible { outline: 2px solid var(--accent); }
.id { font-weight: 700; font-variant-numeric: tabular-nums; } .soft { color: var(--soft); font-size: 12.5px; }
.body { padding: 12px 16px 16px; } .body dl { display: grid; grid-template-columns: 110px 1fr; gap: 6px 14px; margin: 0 0 8px; font-size: 14px; }
.body dt { color: var(--soft); } .body dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line; } blockquote { margin: 0; padding-left: 10px; border-left: 3px solid var(--accent); }
.lines { max-height: 420px; overflow: auto; } .lines table { font: 12px/1.45 ui-monospace, Menlo, Consolas, monospace; }
.lines td { padding: 2px 10px 2px 0; overflow-wrap: anywhere; } .lines tr.out td:nth-child(3) { color: var(--accent); } .lines tr.in td:nth-child(3) { color: var(--second); }
.lines tr.note td { color: var(--soft); } .lines td:nth-child(-n+3) { white-space: nowrap; }
@media (max-width: 640px) { details.row > summary { grid-template-columns: auto 1fr auto; gap: 4px 12px; } details.row > summary > .title { grid-area: 2 / 1 / 3 / 4; overflow-wrap: anywhere; } .body dl { grid-template-columns: 1fr; gap: 0; } .body dd { margin-bottom: 8px; } }
@media print { details.row:not([open]) .body { display: none; } }
`;

const script = `
for (const box of document.querySelectorAll('.filters input')) box.addEventListener('change', () => {
  const shown = new Set([...document.querySelectorAll('.filters input:checked')].map((b) => b.value));
  for (const row of document.querySelectorAll('details.row')) row.hidden = !shown.has(row.dataset.verdict);
});
const open = () => { const row = document.getElementById(location.hash.slice(1)); if (row && row.tagName === 'DETAILS') row.open = true; };
addEventListener('hashchange', open); open();
`;

export function requirementsHtml(input: PageInput): string {
  const { summary } = input;
  const results = new Map(summary.results.map((result) => [result.id, result]));
  const groups = new Map<string, CatalogueRow[]>();
  for (const row of input.catalogue) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  const requirements = new Map(input.requirements.map((row) => [row.id, row]));
  const chapters = [...groups].map(([group, rows]) => {
    const strip = rows.map((row) => {
      const verdict = results.get(row.id)?.verdict ?? 'not-run';
      return `<a class="${verdict}" href="#${row.id}" title="${row.id} ${verdict}" aria-label="${row.id} ${verdict}"></a>`;
    });
    const blocks = rows.map((row) =>
      rowBlock(row, requirements.get(row.id), results.get(row.id), input.transcripts.get(row.id) ?? []),
    );
    return `<h2 id="${group}">${group} <span class="soft">${e(rows[0]!.groupTitle)}</span></h2>\n<div class="strip">${strip.join('')}</div>\n${blocks.join('\n')}`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>CLE-Net conformance: ${e(summary.verdict)}</title><style>${pageStyle}${style}</style></head><body>
${head(summary)}
${chapters.join('\n')}
<script>${script}</script>
</body></html>
`;
}

function head(summary: Summary): string {
  const total = Math.max(1, summary.results.length);
  const present = verdicts.filter((verdict) => summary.counts[verdict] > 0);
  const bar = present.map(
    (v) =>
      `<span class="${v}" style="width:${((100 * summary.counts[v]) / total).toFixed(2)}%" title="${summary.counts[v]} ${v}"></span>`,
  );
  const filters = [...present, 'not-run'].map(
    (v) =>
      `<label><input type="checkbox" value="${v}" ${v === 'not-run' ? '' : 'checked'}>${v === 'not-run' ? 'not run' : `${v} ${summary.counts[v as keyof typeof summary.counts]}`}</label>`,
  );
  const facts: [string, string][] = [
    ['target', summary.target],
    ['seed', `${summary.seed}${summary.thorough ? ', thorough' : ''}`],
    ['wall time', readableMs(summary.wallMs)],
    ...readableFacts(summary.host),
  ];
  const crashes = summary.crashes.map(
    (c) =>
      `<p><span class="verdict fail">crash</span> ${e(c.node)} ${e(c.how)} while ${e(c.rows.join(', '))} used it</p><pre>${e(c.logTail.join('\n'))}</pre>`,
  );
  const problems = summary.baselineProblems.map(
    (p) => `<p><span class="verdict fail">baseline ${p.problem}</span> ${e(p.because)}</p>`,
  );
  return `<h1>CLE-Net conformance <span class="verdict ${summary.verdict}">${summary.verdict}</span></h1>
<p>${e(summary.because)}</p>
<div class="bar" role="img" aria-label="${present.map((v) => `${summary.counts[v]} ${v}`).join(', ')}">${bar.join('')}</div>
<div class="filters">${filters.join('')}</div>
<dl class="facts">${facts.map(([name, value]) => `<div><dt>${e(name)}</dt><dd>${e(value)}</dd></div>`).join('')}</dl>
${crashes.join('\n')}${problems.join('\n')}`;
}

function rowBlock(
  listed: CatalogueRow,
  row: Requirement | undefined,
  result: Result | undefined,
  transcript: readonly TranscriptLine[],
): string {
  const verdict = result?.verdict ?? 'not-run';
  const hidden = result === undefined ? ' hidden' : '';
  const facts: [string, string][] = [];
  if (row !== undefined) {
    facts.push(['sentence', `<blockquote>${e(row.quote)}</blockquote>`], ['reading', e(row.reading)]);
    if (row.ruling !== undefined) facts.push(['ruling', e(row.ruling)]);
  }
  facts.push(['check', e(listed.check)], ['must catch', e(listed.mustCatch)]);
  if (result !== undefined) {
    facts.push(['because', e(result.because)]);
    if (result.excused !== null) facts.push(['known failure', e(result.excused)]);
    if (result.evidence.length > 0)
      facts.push(['evidence', `<code>${e(evidenceText(result.evidence))}</code>`]);
    facts.push(['took', readableMs(result.durationMs)], ['again', `<code>${e(result.replay)}</code>`]);
    if (result.transcript !== null) facts.push(['frames', `<code>${e(result.transcript)}</code>`]);
  }
  const list = facts.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join('');
  const badge = `<span class="verdict ${verdict}">${verdict === 'not-run' ? 'not run' : verdict}</span>`;
  return `<details class="row ${verdict}" id="${listed.id}" data-verdict="${verdict}"${hidden}><summary><span class="id">${listed.id}</span><span class="soft">${listed.level} · § ${e(listed.section)}</span><span class="title">${e(listed.requirement)}</span>${badge}</summary><div class="body"><dl>${list}</dl>${lines(transcript, verdict === 'pass')}</div></details>`;
}

/** Rows that hold show less: the page stays small enough to open anywhere. */
function lines(transcript: readonly TranscriptLine[], brief: boolean): string {
  if (transcript.length === 0) return '';
  const shown = brief ? shortened(transcript, 24, 300) : shortened(transcript, 120, 1500);
  const body = shown.map(
    (line) =>
      `<tr class="${line.direction}"><td>${line.atMs.toFixed(0)} ms</td><td>${e(line.who)}</td><td>${{ out: '→', in: '←', note: '·' }[line.direction]}</td><td>${e(line.text)}</td></tr>`,
  );
  return `<details><summary>transcript, ${transcript.length} lines</summary><div class="lines"><table>${body.join('')}</table></div></details>`;
}

function evidenceText(evidence: readonly unknown[]): string {
  const joined = evidence.map(readable).join('\n');
  return joined.length > 4000 ? `${joined.slice(0, 4000)}…` : joined;
}
