/**
 * The report of one testnet run as a single HTML file: no script from elsewhere, no font, no request. Draws a
 * `ReportModel`; measures and judges nothing.
 */

import { readableFacts } from '../host.ts';
import { escapeMarkup, readableInstant, readableMs } from './markup.ts';
import type { ReportMetric, ReportModel } from './model.ts';
import { convergencePlot, latencyPlot, lifePlot, overlayPlot } from './plots.ts';
import { pageStyle } from './style.ts';

const badge = (verdict: string): string => `<span class="verdict ${verdict}">${verdict}</span>`;

const wide = (plot: string): string => `<div class="wide">${plot}</div>`;

function metricRow(metric: ReportMetric): string {
  const { p50, p95, max } = metric;
  const cells = Object.entries({ p50, p95, max }).map(
    ([name, ms]) => `<td class="number" data-label="${name}">${readableMs(ms)}</td>`,
  );
  return (
    `<tr><th scope="row">${escapeMarkup(metric.title)}<p>${escapeMarkup(metric.definition)}</p></th>` +
    `<td data-label="target">${escapeMarkup(metric.target)}</td>${cells.join('')}` +
    `<td class="number" data-label="n">${metric.n}</td><td class="mark">${badge(metric.verdict)}</td></tr>`
  );
}

function checksTable(model: ReportModel): string {
  const rows = model.checks.map((check) => {
    const evidence =
      check.evidence.length === 0
        ? ''
        : `<details><summary>${check.evidence.length} pieces of evidence</summary><pre>${escapeMarkup(
            check.evidence.map((piece) => JSON.stringify(piece)).join('\n'),
          )}</pre></details>`;
    const proves = check.proves.map((id) => `<code>${escapeMarkup(id)}</code>`).join(' ');
    return (
      `<tr><td class="mark">${badge(check.verdict)}</td><th scope="row"><code>${escapeMarkup(check.id)}</code></th>` +
      `<td>${escapeMarkup(check.because)}${evidence}</td><td class="rows" data-label="proves">${proves}</td></tr>`
    );
  });
  return (
    '<div class="scroll"><table><thead><tr><th>Verdict</th><th>Check</th><th>Because</th><th>Proves</th></tr></thead>' +
    `<tbody>${rows.join('')}</tbody></table></div>`
  );
}

function faultsTable(model: ReportModel): string {
  if (model.faults.length === 0) return '<p class="empty">No fault was injected.</p>';
  const rows = model.faults.map(
    (fault) =>
      `<tr><td class="mark">${badge(fault.verdict)}</td><th scope="row">${escapeMarkup(fault.label)}</th>` +
      `<td class="number" data-label="at">${readableMs(fault.fromMs)}</td>` +
      `<td class="number" data-label="for">${readableMs(fault.fromMs === null ? null : fault.toMs - fault.fromMs)}</td>` +
      `<td data-label="effect">${escapeMarkup(fault.receipt)}</td><td data-label="cure">${escapeMarkup(fault.cure)}</td></tr>`,
  );
  return (
    '<div class="scroll"><table><thead><tr><th>Receipt</th><th>Fault</th><th>At</th><th>For</th><th>It took effect</th>' +
    `<th>It was cured</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>`
  );
}

function nodesTable(model: ReportModel): string {
  const rows = model.nodes.map((node) => {
    const state = node.failure === null ? escapeMarkup(node.state) : `<b>${escapeMarkup(node.failure)}</b>`;
    return (
      `<tr><th scope="row">${escapeMarkup(node.name)}${node.bootstrap ? ' <small>bootstrap</small>' : ''}</th>` +
      `<td><code>${escapeMarkup(node.nodeId.slice(0, 17))}…</code></td><td data-label="runs">${escapeMarkup(node.runs)}</td>` +
      `<td class="number" data-label="ready after">${readableMs(node.readyMs)}</td><td data-label="at the end">${state}</td>` +
      `<td><a href="${escapeMarkup(node.logFile)}">log</a></td></tr>`
    );
  });
  return (
    '<div class="scroll"><table><thead><tr><th>Node</th><th>Id</th><th>Runs</th><th>Ready after</th><th>At the end</th><th></th>' +
    `</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
  );
}

function facts(model: ReportModel): string {
  const { engine, seed, startedAt, host } = model;
  const entries = [
    ...Object.entries({ engine, seed, started: readableInstant(startedAt) }),
    ...readableFacts(host),
  ];
  const items = entries.map(
    ([key, value]) => `<div><dt>${escapeMarkup(key)}</dt><dd>${escapeMarkup(String(value))}</dd></div>`,
  );
  return `<dl class="facts">${items.join('')}</dl>`;
}

function section(id: string, title: string, lead: string, body: string): string {
  return `<section id="${id}"><h2>${escapeMarkup(title)}</h2><p>${escapeMarkup(lead)}</p>${body}</section>`;
}

/** The whole page. */
export function reportPage(model: ReportModel): string {
  const title = `${model.scenario}: ${model.verdict}`;
  const notes = model.notes
    .map((note) => `${(note.atMs / 1_000).toFixed(2).padStart(8)} s  ${note.text}`)
    .join('\n');
  const summary = `${model.nodes.length} nodes, ${model.commits.length} commits, ${model.faults.length} faults, ${readableMs(model.durationMs)}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title><style>${pageStyle}</style></head><body>
<header><h1>${escapeMarkup(model.scenario)} ${badge(model.verdict)}</h1><p>${escapeMarkup(summary)}</p>
<pre class="replay" title="Runs this plan again">${escapeMarkup(model.replay)}</pre>${facts(model)}</header>
<main>
<section id="targets"><h2>Targets</h2><div class="scroll"><table><thead><tr><th>What, from when to when</th><th>Target</th>
<th>p50</th><th>p95</th><th>max</th><th>n</th><th>Verdict</th></tr></thead>
<tbody>${model.metrics.map(metricRow).join('')}</tbody></table></div></section>
${section('checks', 'Checks', 'Each is a pure function of what the observers recorded.', checksTable(model))}
${section('faults', 'Faults', 'A fault counts only with a receipt that proves that it took effect.', faultsTable(model))}
${section('convergence', 'Convergence', 'Every line is one commit: the share of live nodes that held it, by the time since its acknowledgement. Lines in the second colour were committed while a fault was in force.', wide(convergencePlot(model)))}
${section('latency', 'Message latency', 'Every dot is one request; the dashed line is the target, shaded spans are faults.', wide(latencyPlot(model)))}
${section('life', 'Nodes over time', 'Bars are spans in which a node accepted connections.', wide(lifePlot(model)))}
${section('overlay', 'Overlay', 'Who had whom as a persistent peer when last seen from outside. Ringed: bootstrap nodes.', overlayPlot(model))}
${section('nodes', 'Nodes', 'Logs lie beside this file.', nodesTable(model))}
<section id="notes"><h2>Notes</h2><details><summary>${model.notes.length} lines</summary><pre>${escapeMarkup(notes)}</pre></details></section>
</main></body></html>
`;
}
