/**
 * The look that all pages share: one column, system fonts, light and dark by the reader's setting, and verdicts that differ by word
 * and shape, not by colour alone. On a narrow screen a row of a table is a block of its own: the verdict (`mark`) and the name on its
 * first line, then each cell behind its `data-label`; a plot (`wide`) is moved sideways.
 */
export const pageStyle = `
:root { color-scheme: light dark; --ink: #1b2330; --soft: #5b6675; --paper: #ffffff; --panel: #f4f6f9; --line: #dbe1e8;
  --accent: #2f62c8; --second: #b2600e; --pass: #1a7f43; --fail: #c22a2f; --warn: #9a6400; --unknown: #6a4cb8; --skipped: #5b6675; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --paper: #12161c; --panel: #1a2029; --line: #2c3542;
  --accent: #7aa5ff; --second: #f0a658; --pass: #58c98a; --fail: #ff7d80; --warn: #e5b454; --unknown: #b79dff; --skipped: #9aa6b5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 24px 20px 80px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; display: flex; gap: 12px; align-items: center; flex-wrap: wrap; }
h2 { font-size: 19px; margin: 44px 0 4px; }
p { margin: 0 0 12px; color: var(--soft); max-width: 78ch; }
a { color: var(--accent); }
code, pre { font: 12.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px; overflow-x: auto; margin: 8px 0; }
pre.replay { white-space: pre-wrap; overflow-wrap: anywhere; }
pre.replay::before { content: "$ "; color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 8px 18px; margin: 14px 0 0; }
.facts dt { color: var(--soft); font-size: 12px; } .facts dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 7px 12px 7px 0; border-bottom: 1px solid var(--line); font-weight: 400; }
thead th { color: var(--soft); font-size: 12px; white-space: nowrap; }
tbody th p { font-size: 12.5px; margin: 2px 0 0; max-width: 60ch; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.rows { max-width: 180px; } td.rows code { white-space: nowrap; }
details summary { cursor: pointer; color: var(--soft); font-size: 13px; }
.verdict { display: inline-block; padding: 1px 9px; border-radius: 999px; border: 1px solid currentColor; font-size: 12.5px; font-weight: 600; white-space: nowrap; }
.verdict.pass { color: var(--pass); } .verdict.fail { color: var(--paper); background: var(--fail); border-color: var(--fail); }
.verdict.warn { color: var(--warn); } .verdict.unknown, .verdict.inconclusive { color: var(--unknown); border-style: dashed; }
.verdict.skipped, .verdict.not-applicable { color: var(--skipped); border-style: dotted; } .verdict.untestable { color: var(--fail); border-style: dashed; }
.plot { width: 100%; height: auto; display: block; }
.plot.overlay { max-width: 640px; margin: 0 auto; }
.grid { stroke: var(--line); stroke-width: 1; } .tick { fill: var(--soft); font: 11px system-ui, sans-serif; }
.curve { fill: none; stroke: var(--accent); stroke-width: 1.4; opacity: .55; } .curve.faulted { stroke: var(--second); }
.curve:hover { opacity: 1; stroke-width: 3; }
.dot { fill: var(--accent); opacity: .5; } .target { stroke: var(--fail); stroke-width: 1.2; stroke-dasharray: 6 5; }
.target-label { fill: var(--fail); font: 11px system-ui, sans-serif; }
.band { fill: var(--second); opacity: .13; } .band-label { fill: var(--second); font: 11px system-ui, sans-serif; }
.alive { fill: var(--accent); opacity: .75; }
.edge { stroke: var(--soft); stroke-width: 1; opacity: .4; } .vertex { fill: var(--accent); }
.vertex.bootstrap { stroke: var(--second); stroke-width: 3; } .vertex.failed { fill: var(--fail); }
.empty { font-style: italic; }
@media (max-width: 640px) {
  body { padding: 16px 14px 60px; }
  .scroll { overflow-x: visible; }
  .wide { overflow-x: auto; } .wide .plot { min-width: 680px; }
  .scroll thead { display: none; }
  .scroll table, .scroll tbody { display: block; }
  .scroll tbody tr { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 14px; padding: 10px 0; border-bottom: 1px solid var(--line); }
  .scroll th, .scroll td { border: 0; padding: 0; flex: 1 1 100%; order: 1; max-width: none; min-width: 0; text-align: left; overflow-wrap: anywhere; }
  .scroll td.mark { order: -1; flex: 0 0 auto; }
  .scroll tbody th { order: 0; flex: 1 1 65%; }
  .scroll td.number { flex: 0 0 auto; } .scroll td:empty { display: none; }
  .scroll td[data-label]::before { content: attr(data-label) " "; color: var(--soft); font-size: 12px; }
}
`;
