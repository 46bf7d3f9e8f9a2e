/**
 * Which nodes and links a scenario means by `random`, `bootstrap`, `node-7` or the name of a group. Pure; draws only from the
 * stream it is handed. Knows nothing of what will happen to the chosen ones.
 */

import type { Selector } from './fault-schema.ts';
import type { Pair } from './links/fault-plane.ts';
import { keyText, type ManifestFile, nearest } from './manifest.ts';
import type { PlannedNode } from './plan.ts';
import type { Rng } from './rng.ts';

/** A stopped node is left alone by other faults for so long before and after, so that each has its own aftermath. */
const marginMs = 1000;

export interface Context {
  file: ManifestFile;
  nodes: readonly PlannedNode[];
  durationMs: number;
  /** When which node is stopped or paused. */
  busy: (Span & { node: string })[];
  /** When which node is the target of an adversary. */
  attacked: (Span & { node: string })[];
}

interface Span {
  from: number;
  to: number;
}

/** When a fault is in force, and whether it only attacks: who names a node for that may have it stopped by another fault as well. */
export interface Window extends Span {
  attacks?: boolean;
}

const overlap = (a: Span, b: Span, marginMs = 0): boolean =>
  a.from < b.to + marginMs && b.from < a.to + marginMs;

/** All pairs from one set to another; null: to everybody else. */
export function allPairs(
  nodes: readonly PlannedNode[],
  from: string[],
  to: string[] | null,
  bothWays: boolean,
): Pair[] {
  const [dialers, listeners] = [new Set(from), to === null ? null : new Set(to)];
  const pairs: Pair[] = [];
  for (const { name: a } of nodes) {
    for (const { name: b } of nodes) {
      if (a === b) continue;
      const forth = dialers.has(a) && (listeners?.has(b) ?? true);
      const back = bothWays && dialers.has(b) && (listeners?.has(a) ?? true);
      if (forth || back) pairs.push({ from: a, to: b });
    }
  }
  return pairs;
}

/** Nodes by selector. Random ones are drawn among those that are up and not otherwise stopped in `window`. */
export function select(
  context: Context,
  selector: Selector,
  path: (string | number)[],
  stream: Rng,
  window: Window | null,
): string[] {
  if (Array.isArray(selector)) {
    const named = selector.filter((word) => word !== 'random');
    const fixed = [...new Set(named.flatMap((word) => select(context, word, path, stream, window)))];
    const count = selector.length - named.length;
    if (count === 0) return fixed;
    const others = context.nodes.map(({ name }) => name).filter((name) => !fixed.includes(name));
    return [...fixed, ...drawn(context, others, count, path, stream, window)];
  }
  if (typeof selector === 'string') {
    if (selector === 'random') return select(context, { random: 1 }, path, stream, window);
    const names = named(context, selector, path);
    const late = context.nodes.find(
      (node) => names.includes(node.name) && node.startAtMs > (window?.from ?? Infinity),
    );
    if (late !== undefined && names.length === 1) {
      throw context.file.complain(
        path,
        `${keyText(path)}: ${late.name} joins only at ${late.startAtMs / 1000} s`,
      );
    }
    const taken =
      window === null || window.attacks === true
        ? undefined
        : context.busy.find((span) => names.includes(span.node) && overlap(span, window));
    if (taken !== undefined) {
      throw context.file.complain(
        path,
        `${keyText(path)}: another fault has ${taken.node} from ${taken.from / 1000} s to ${taken.to / 1000} s`,
      );
    }
    return names;
  }
  const candidates = named(context, selector.from ?? 'all', path);
  return drawn(context, candidates, selector.random, path, stream, window);
}

/** So many of the candidates, or a complaint that too few are free. */
function drawn(
  context: Context,
  candidates: readonly string[],
  count: number,
  path: (string | number)[],
  stream: Rng,
  window: Window | null,
): string[] {
  const found = draw(context, candidates, count, window, stream);
  if (found.length === count) return found;
  const line = `${keyText(path)}: ${count} at random, but only ${found.length} nodes are free then`;
  throw context.file.complain(path, line);
}

function named(context: Context, word: string, path: (string | number)[]): string[] {
  const nodes = context.nodes;
  const groups = [...new Set(nodes.map((node) => node.group))];
  const fits = (node: PlannedNode): boolean =>
    word === 'all' ||
    node.name === word ||
    node.group === word ||
    (word === 'bootstrap' && node.bootstrap) ||
    (word === 'others' && !node.bootstrap);
  const found = nodes.filter(fits).map((node) => node.name);
  if (found.length > 0) return found;
  const allowed = [...nodes.map((node) => node.name), 'all', 'bootstrap', 'others', 'random', ...groups];
  throw context.file.complain(path, `${keyText(path)}: ${noSuchNode(word, allowed)}`);
}

export function draw(
  context: Context,
  candidates: readonly string[],
  count: number,
  window: Window | null,
  stream: Rng,
): string[] {
  const free = (name: string): boolean => {
    const startAt = context.nodes.find((node) => node.name === name)?.startAtMs ?? 0;
    if (startAt > 0 && (window === null || window.from < startAt + marginMs)) return false;
    return !context.busy.some(
      (span) => window !== null && span.node === name && overlap(span, window, marginMs),
    );
  };
  // The whole list is drawn first, so that a node that steps aside changes nobody else's place. Nodes that no fault has
  // struck yet come before the others: "one killed, one wiped" are two; and who is under attack then comes last.
  const order = stream.shuffle(candidates).filter(free);
  const struck = new Set(window === null ? [] : context.busy.map(({ node }) => node));
  const attacked = new Set(
    window === null
      ? []
      : context.attacked.filter((span) => overlap(span, window, marginMs)).map(({ node }) => node),
  );
  const rank = (name: string): number => 2 * Number(attacked.has(name)) + Number(struck.has(name));
  return order.sort((a, b) => rank(a) - rank(b)).slice(0, count);
}

/** Complains about a name that is no node, group or word, with the nearest one that is. */
export function noSuchNode(word: string, allowed: readonly string[]): string {
  const near = /^node-\d+$/.test(word) ? null : nearest(word, allowed);
  const words = allowed.filter((name) => !/^node-\d+$/.test(name));
  const last = allowed.filter((name) => /^node-\d+$/.test(name)).length;
  const hint = near === null ? '' : ` (did you mean "${near}"?)`;
  return `no node "${word}"${hint}; allowed: node-1 to node-${last}, ${words.join(', ')}`;
}
