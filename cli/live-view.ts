/**
 * What a person sees while a testnet runs. On a terminal one picture that is drawn anew in place: nodes, the faults in
 * force, how far the commits have come. In a pipe plain lines, one per thing that happened. Follows `RunEvent`s; judges nothing.
 */

import pico from 'picocolors';
import type { Plan } from '../harness/plan.ts';
import type { RunEvent } from '../harness/recorder.ts';
import { drawsInPlace } from '../harness/report/terminal.ts';

export interface LiveView {
  event(event: RunEvent): void;
  /** Takes the picture away (a terminal) so that the table can stand in its place. */
  end(): void;
}

/** What has happened so far, as far as it is shown. */
export interface Scene {
  plan: Plan;
  engine: string;
  stage: string;
  stageText: string;
  nodes: Map<string, string>;
  faults: Map<string, { label: string; phase: 'begun' | 'applied'; sinceMs: number }>;
  load: { sent: number; accepted: number; refused: number };
  lacking: Record<string, number>;
  commits: number;
  peersFound: number;
  notes: string[];
}

const drawEveryMs = 120;
const shownNotes = 4;
const stages = ['start', 'settle', 'load', 'converge', 'judge', 'stop'];

export function openScene(plan: Plan, engine: string): Scene {
  return {
    plan,
    engine,
    stage: 'start',
    stageText: '',
    nodes: new Map(plan.nodes.map(({ name }) => [name, 'planned'])),
    faults: new Map(),
    load: { sent: 0, accepted: 0, refused: 0 },
    lacking: {},
    commits: 0,
    peersFound: 0,
    notes: [],
  };
}

/** The end of a life begins with how it ended, which the line says already. */
const failure = ({ node, detail }: Extract<RunEvent, { kind: 'node' }>): string =>
  `${node} failed: ${detail?.replace(/^failed: /, '') ?? 'no reason given'}`;

/** Takes an event into the scene. */
export function advance(scene: Scene, event: RunEvent): void {
  switch (event.kind) {
    case 'stage':
      scene.stage = event.stage;
      scene.stageText = event.text;
      return;
    case 'node':
      scene.nodes.set(event.node, event.state);
      if (event.state === 'failed') scene.notes.push(failure(event));
      return;
    case 'fault':
      if (event.phase === 'begun' || event.phase === 'applied')
        scene.faults.set(event.id, { label: event.label, phase: event.phase, sinceMs: event.at });
      else scene.faults.delete(event.id);
      return;
    case 'load':
      scene.load = event;
      return;
    case 'progress':
      Object.assign(scene, { lacking: event.lacking, commits: event.of, peersFound: event.peersFound });
      return;
    case 'info':
      scene.notes.push(event.text);
  }
}

const marks: Record<string, string> = {
  planned: '·',
  starting: '◌',
  ready: '●',
  paused: '‖',
  stopped: '○',
  failed: '✗',
};

const inks: Record<string, (text: string) => string> = {
  planned: pico.dim,
  starting: pico.yellow,
  ready: pico.green,
  paused: pico.yellow,
  stopped: pico.dim,
  failed: pico.red,
};

function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return pico.green('█'.repeat(filled)) + pico.dim('░'.repeat(width - filled));
}

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`;

/** Rows of the picture, none wider than `columns`, at most `rows` of them. */
export function picture(scene: Scene, elapsedMs: number, columns: number, rows: number): string[] {
  const { plan } = scene;
  const seconds = `${(elapsedMs / 1000).toFixed(0)} s`;
  const way = stages
    .map((stage) => (stage === scene.stage ? pico.bold(pico.cyan(stage)) : pico.dim(stage)))
    .join(pico.dim(' › '));
  const head = cut(
    `${plan.scenario} · ${plan.nodes.length} nodes · seed ${plan.seed} · ${scene.engine}`,
    columns - 8,
  );
  const lines = [`${pico.bold(head)}  ${seconds}`];
  if (columns >= 48) lines.push(way);
  lines.push(pico.dim(cut(scene.stageText, columns)), ...nodeRows(scene, columns));
  const up = [...scene.nodes.values()].filter((state) => state === 'ready').length;
  lines.push(`${up} of ${plan.nodes.length} up, ${scene.peersFound} have their peers`);
  lines.push(...faultRows(scene, elapsedMs, columns), ...convergenceRows(scene, columns));
  for (const note of scene.notes.slice(-shownNotes)) lines.push(pico.dim(cut(`  ${note}`, columns)));
  return lines.slice(0, Math.max(3, rows - 1));
}

function nodeRows({ nodes }: Scene, columns: number): string[] {
  const perRow = Math.max(1, Math.floor((columns - 2) / 5));
  const cells = [...nodes].map(([name, state]) => {
    const number = name.replace(/^\D*/, '').padStart(3);
    return `${pico.dim(number)}${(inks[state] ?? pico.white)(marks[state] ?? '?')} `;
  });
  const rows: string[] = [];
  for (let from = 0; from < cells.length; from += perRow)
    rows.push(cells.slice(from, from + perRow).join(''));
  return rows;
}

function faultRows({ faults }: Scene, elapsedMs: number, columns: number): string[] {
  return [...faults.values()].map(({ label, phase, sinceMs }) => {
    const since = `${((elapsedMs - sinceMs) / 1000).toFixed(0)} s`;
    return pico.yellow(cut(`⚡ ${label} ${phase === 'begun' ? '(taking effect)' : `for ${since}`}`, columns));
  });
}

function convergenceRows({ commits, lacking, load, nodes }: Scene, columns: number): string[] {
  if (commits === 0) return [];
  const width = Math.max(8, Math.min(40, columns - 36));
  const missing = Object.entries(lacking).sort(([, a], [, b]) => b - a);
  const total = commits * nodes.size;
  const held = total - missing.reduce((sum, [, count]) => sum + count, 0);
  const refused = load.refused > 0 ? `, ${load.refused} refused` : '';
  const rows = [`commits ${bar(held / total, width)} ${load.accepted} accepted${refused}`];
  for (const [node, count] of missing.slice(0, 5)) {
    rows.push(`${node.padStart(7)} ${bar(1 - count / commits, width)} lacks ${count}`);
  }
  if (missing.length > 5) rows.push(pico.dim(`        and ${missing.length - 5} more nodes lack some`));
  return rows;
}

function terminalView(scene: Scene, out: NodeJS.WriteStream): LiveView {
  const startedAt = performance.now();
  let drawn = 0;
  const clear = (): string => (drawn === 0 ? '' : `\x1b[${drawn}F\x1b[J`);
  const draw = (): void => {
    const lines = picture(scene, performance.now() - startedAt, out.columns ?? 80, out.rows ?? 24);
    out.write(`${clear()}${lines.join('\n')}\n`);
    drawn = lines.length;
  };
  const timer = setInterval(draw, drawEveryMs);
  return {
    event: (event) => advance(scene, event),
    end: () => {
      clearInterval(timer);
      out.write(clear());
      drawn = 0;
    },
  };
}

/** One line per event that a reader of a log wants; nodes that come up are counted, not listed. */
export function plainLine(scene: Scene, event: RunEvent): string | null {
  const up = [...scene.nodes.values()].filter((state) => state === 'ready').length;
  switch (event.kind) {
    case 'stage':
      return `${event.stage}: ${event.text}`;
    case 'node':
      if (event.state === 'failed') return failure(event);
      return event.state === 'ready' && up === scene.nodes.size ? `all ${up} nodes are up` : null;
    case 'fault':
      return event.phase === 'begun' ? null : `fault ${event.label}: ${event.phase}: ${event.detail}`;
    case 'info':
      return event.text;
    default:
      return null;
  }
}

function plainView(scene: Scene, print: (line: string) => void): LiveView {
  return {
    event: (event) => {
      advance(scene, event);
      const line = plainLine(scene, event);
      if (line !== null) print(`${(event.at / 1000).toFixed(1).padStart(6)} s  ${line}`);
    },
    end: () => {},
  };
}

/** `quiet`: nothing at all until the table. */
export function openLiveView(plan: Plan, engine: string, out: NodeJS.WriteStream, quiet: boolean): LiveView {
  const scene = openScene(plan, engine);
  if (quiet) return { event: () => {}, end: () => {} };
  if (drawsInPlace(out)) return terminalView(scene, out);
  return plainView(scene, (line) => out.write(`${line}\n`));
}
