/**
 * The drawings of a testnet report as inline SVG: convergence curves, latency over time with fault bands, the overlay graph,
 * the life of every node. Colours come from the page's CSS variables, so that light and dark work alike. Pure.
 */

import { escapeMarkup, readableMs } from './markup.ts';
import type { ReportFault, ReportModel } from './model.ts';

const width = 960;
const margin = { left: 64, right: 16, top: 16, bottom: 34 };

interface Scale {
  (value: number): number;
  ticks: number[];
}

function linear(from: number, to: number, start: number, end: number): Scale {
  const span = to - from || 1;
  const raw = span / 6;
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * magnitude).find((s) => s >= raw) ?? raw;
  const ticks: number[] = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to + step / 1e6; tick += step) ticks.push(tick);
  return Object.assign((value: number) => start + ((value - from) / span) * (end - start), { ticks });
}

function logarithmic(from: number, to: number, start: number, end: number): Scale {
  const [low, high] = [Math.log10(from), Math.log10(to)];
  const ticks: number[] = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
    for (const m of [1, 3]) {
      const tick = m * 10 ** power;
      if (tick >= from && tick <= to) ticks.push(tick);
    }
  }
  const scale = (value: number): number =>
    start + ((Math.log10(Math.max(from, value)) - low) / (high - low || 1)) * (end - start);
  return Object.assign(scale, { ticks });
}

const f = (value: number): string => value.toFixed(1);

/** The largest of them, at least `floor`. By reduction: a call takes no hundred thousand arguments, and an hour has more samples. */
const largest = (floor: number, values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, value), floor);

function frame(height: number, label: string, parts: readonly string[]): string {
  const box = `viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeMarkup(label)}"`;
  return `<svg class="plot" ${box}>${parts.join('')}</svg>`;
}

function xAxis(scale: Scale, top: number, bottom: number, unit: (tick: number) => string): string {
  return scale.ticks
    .map((tick) => {
      const x = f(scale(tick));
      return (
        `<line class="grid" x1="${x}" x2="${x}" y1="${top}" y2="${bottom}"/>` +
        `<text class="tick" x="${x}" y="${bottom + 18}" text-anchor="middle">${unit(tick)}</text>`
      );
    })
    .join('');
}

function yAxis(scale: Scale, unit: (tick: number) => string): string {
  return scale.ticks
    .map((tick) => {
      const y = f(scale(tick));
      return (
        `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${y}" y2="${y}"/>` +
        `<text class="tick" x="${margin.left - 8}" y="${Number(y) + 4}" text-anchor="end">${unit(tick)}</text>`
      );
    })
    .join('');
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** Above the drawing, so that they cover nothing of it: lanes for the labels of faults. */
const lanes = 4;
const laneHeight = 13;
const labelsHeight = (faults: readonly ReportFault[]): number =>
  faults.some(({ fromMs }) => fromMs !== null) ? 6 + lanes * laneHeight : 0;

/** From the lanes of their labels down to `bottom`; those that never took effect are not drawn. */
function bands(faults: readonly ReportFault[], x: Scale, bottom: number): string {
  const top = margin.top;
  return faults
    .flatMap(({ label, fromMs, toMs }) => (fromMs === null ? [] : [{ label, fromMs, toMs }]))
    .map(({ label, fromMs, toMs }, index) => {
      const from = x(fromMs);
      const bandWidth = Math.max(2, x(toMs) - from);
      const lane = top + 11 + (index % lanes) * laneHeight;
      // In the last third of the width it stands before its band, or it would run out of the picture.
      const isLate = from > width * 0.67;
      const at = isLate ? `x="${f(from - 3)}" text-anchor="end"` : `x="${f(from + 3)}"`;
      const title = `${label}: ${readableMs(fromMs)} – ${readableMs(toMs)}`;
      return (
        `<g><title>${escapeMarkup(title)}</title>` +
        `<rect class="band" x="${f(from)}" y="${top}" width="${f(bandWidth)}" height="${bottom - top}"/>` +
        `<text class="band-label" ${at} y="${lane}">${escapeMarkup(label)}</text></g>`
      );
    })
    .join('');
}

/** For every commit: which share of the nodes had it, how long after its acknowledgement. */
export function convergencePlot(model: ReportModel): string {
  const height = 320;
  const bottom = height - margin.bottom;
  const commits = model.commits.filter((commit) => commit.reachedMs.length > 0);
  if (commits.length === 0) return '<p class="empty">No commit was followed in this run.</p>';
  const longest = largest(
    1_000,
    commits.map((commit) => commit.reachedMs.at(-1) ?? 0),
  );
  const x = logarithmic(10, longest * 1.1, margin.left, width - margin.right);
  const y = linear(0, 1, bottom, margin.top);
  const underFault = (atMs: number): boolean =>
    model.faults.some(({ fromMs, toMs }) => fromMs !== null && fromMs <= atMs && atMs <= toMs);
  const curves = commits.map((commit) => {
    const points = commit.reachedMs.flatMap((ms, index) => [
      `${f(x(ms))},${f(y(index / commit.expected))}`,
      `${f(x(ms))},${f(y((index + 1) / commit.expected))}`,
    ]);
    const kind = underFault(commit.atMs) ? 'curve faulted' : 'curve';
    const last = readableMs(commit.reachedMs.at(-1) ?? null);
    const title = `${commit.hash.slice(0, 17)}… committed at ${seconds(commit.atMs)}: ${commit.reachedMs.length} of ${commit.expected} nodes, the last after ${last}`;
    return `<polyline class="${kind}" points="${points.join(' ')}"><title>${escapeMarkup(title)}</title></polyline>`;
  });
  return frame(height, 'Share of nodes that hold a commit over time', [
    xAxis(x, margin.top, bottom, (ms) => readableMs(ms)),
    yAxis(y, (share) => `${Math.round(share * 100)} %`),
    ...curves,
  ]);
}

/** Each latency sample at its instant, with the faults behind it and the line of the target. */
export function latencyPlot(model: ReportModel): string {
  const targetMs = model.latencyTargetMs;
  const top = margin.top + labelsHeight(model.faults);
  const height = top + 284;
  const bottom = height - margin.bottom;
  if (model.latency.length === 0) return '<p class="empty">No latency was sampled in this run.</p>';
  const x = linear(0, Math.max(1, model.durationMs), margin.left, width - margin.right);
  const highest = largest(
    targetMs * 1.5,
    model.latency.map((sample) => sample.ms),
  );
  const y = logarithmic(1, highest * 1.2, bottom, top);
  const stride = Math.ceil(model.latency.length / 4_000);
  const dots = model.latency
    .filter((_, index) => index % stride === 0)
    .map((s) => {
      const title = `${escapeMarkup(s.node)} at ${seconds(s.atMs)}: ${readableMs(s.ms)}`;
      return `<circle class="dot" cx="${f(x(s.atMs))}" cy="${f(y(s.ms))}" r="2"><title>${title}</title></circle>`;
    });
  const line = f(y(targetMs));
  return frame(height, 'Message latency over the run, with the faults in force', [
    bands(model.faults, x, bottom),
    xAxis(x, top, bottom, seconds),
    yAxis(y, (ms) => readableMs(ms)),
    `<line class="target" x1="${margin.left}" x2="${width - margin.right}" y1="${line}" y2="${line}"/>`,
    `<text class="target-label" x="${width - margin.right}" y="${f(y(targetMs) - 4)}" text-anchor="end">target ${readableMs(targetMs)}</text>`,
    ...dots,
  ]);
}

/** A row per node: when it was alive, with the faults behind it. */
export function lifePlot(model: ReportModel): string {
  const row = 14;
  const top = margin.top + labelsHeight(model.faults);
  const height = top + model.nodes.length * row + margin.bottom;
  const bottom = height - margin.bottom;
  const x = linear(0, Math.max(1, model.durationMs), margin.left, width - margin.right);
  const rows = model.nodes.map((node, index) => {
    const y = top + index * row;
    const label = `<text class="tick" x="${margin.left - 8}" y="${y + 10}" text-anchor="end">${escapeMarkup(node.name)}</text>`;
    const bars = node.alive.map((span) => {
      const title = `${node.name} alive ${seconds(span.fromMs)} – ${seconds(span.toMs)}`;
      const size = `width="${f(Math.max(1, x(span.toMs) - x(span.fromMs)))}" height="${row - 5}"`;
      return `<rect class="alive" x="${f(x(span.fromMs))}" y="${y + 2}" ${size}><title>${escapeMarkup(title)}</title></rect>`;
    });
    return label + bars.join('');
  });
  return frame(height, 'When each node was alive', [
    bands(model.faults, x, bottom),
    xAxis(x, top, bottom, seconds),
    ...rows,
  ]);
}

/** Nodes on a circle, an edge per pair of persistent peers, as last seen from outside. */
export function overlayPlot(model: ReportModel): string {
  const size = 520;
  const radius = 200;
  const at = new Map(
    model.nodes.map((node, index) => {
      const angle = (index / Math.max(1, model.nodes.length)) * 2 * Math.PI - Math.PI / 2;
      return [
        node.name,
        { x: size / 2 + radius * Math.cos(angle), y: size / 2 + radius * Math.sin(angle), angle },
      ];
    }),
  );
  const degree = new Map<string, number>();
  const edges = model.overlay.map(([a, b]) => {
    degree.set(a, (degree.get(a) ?? 0) + 1);
    degree.set(b, (degree.get(b) ?? 0) + 1);
    const [from, to] = [at.get(a), at.get(b)];
    if (from === undefined || to === undefined) return '';
    return `<line class="edge" x1="${f(from.x)}" y1="${f(from.y)}" x2="${f(to.x)}" y2="${f(to.y)}"/>`;
  });
  const dots = model.nodes.map((node) => {
    const place = at.get(node.name);
    if (place === undefined) return '';
    const outside = radius + 16;
    const [x, y] = [size / 2 + outside * Math.cos(place.angle), size / 2 + outside * Math.sin(place.angle)];
    const anchor =
      Math.abs(Math.cos(place.angle)) < 0.2 ? 'middle' : Math.cos(place.angle) > 0 ? 'start' : 'end';
    const kind = node.failure !== null ? 'vertex failed' : node.bootstrap ? 'vertex bootstrap' : 'vertex';
    const title = `${node.name}: ${degree.get(node.name) ?? 0} peers`;
    return (
      `<circle class="${kind}" cx="${f(place.x)}" cy="${f(place.y)}" r="7"><title>${escapeMarkup(title)}</title></circle>` +
      `<text class="tick" x="${f(x)}" y="${f(y + 4)}" text-anchor="${anchor}">${escapeMarkup(node.name)}</text>`
    );
  });
  const box = `viewBox="-40 0 ${size + 80} ${size}" role="img" aria-label="Overlay graph"`;
  return `<svg class="plot overlay" ${box}>${edges.join('')}${dots.join('')}</svg>`;
}
