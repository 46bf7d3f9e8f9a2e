/**
 * The faults of a manifest → timed faults of a plan: who is hit, drawn from a stream that belongs to the fault alone, and when,
 * with flapping and churn written out. Pure. Knows no engine and does nothing.
 */

import type { ManifestFault } from './fault-schema.ts';
import type { LinkFault, Pair } from './links/fault-plane.ts';
import type { ManifestFile } from './manifest.ts';
import { keyText } from './manifest.ts';
import type { PlannedFault, PlannedNode } from './plan.ts';
import { allPairs, type Context, draw, noSuchNode, select } from './resolve-nodes.ts';
import { type Rng, rng } from './rng.ts';

type Outage = 'kill' | 'pause' | 'restart' | 'wipe';

/** In the order of the file, each later than the start of the load and cured before its end. */
export function resolveFaults(
  file: ManifestFile,
  seed: number,
  nodes: readonly PlannedNode[],
  durationMs: number,
): PlannedFault[] {
  const context: Context = { file, nodes, durationMs, busy: [], attacked: [] };
  const ordinals = new Map<string, number>();
  const ids = new Set<string>();
  const planned: PlannedFault[] = [];
  // Named nodes before random ones: a draw steps aside for what the author has fixed, never the other way round.
  const order = file.manifest.faults.map((fault, at) => ({ fault, at, id: idOf(fault, ordinals) }));
  const fixedFirst = [...order].sort((a, b) => drawnPart(a.fault) - drawnPart(b.fault));
  const results = new Map<number, PlannedFault[]>();
  for (const { fault, at, id } of fixedFirst) {
    const path = ['faults', at];
    if (ids.has(id)) throw file.complain([...path, 'id'], `${keyText(path)}.id: "${id}" is used twice`);
    ids.add(id);
    inTime(context, fault, path);
    results.set(at, plan(context, fault, path, id, rng(seed, 'fault', id)));
  }
  for (let at = 0; at < order.length; at += 1) planned.push(...(results.get(at) ?? []));
  return planned;
}

function idOf(fault: ManifestFault, ordinals: Map<string, number>): string {
  const kind = fault.kind === 'adversary' ? fault.behaviour : fault.kind;
  const ordinal = (ordinals.get(kind) ?? 0) + 1;
  ordinals.set(kind, ordinal);
  return fault.id ?? `${kind}-${ordinal}`;
}

/** 0: the author has named all it strikes; 1: some of them; 2: none, and the seed picks. */
function drawnPart(fault: ManifestFault): 0 | 1 | 2 {
  if (fault.kind === 'churn') return 2;
  const selector = 'nodes' in fault ? fault.nodes : 'target' in fault ? fault.target : [];
  if (!Array.isArray(selector)) return selector === 'random' || typeof selector !== 'string' ? 2 : 0;
  if (!selector.includes('random')) return 0;
  return selector.every((word) => word === 'random') ? 2 : 1;
}

function inTime(context: Context, fault: ManifestFault, path: (string | number)[]): void {
  const end = (fault.at_s + fault.for_s) * 1000;
  if (end <= context.durationMs) return;
  throw context.file.complain(
    [...path, 'at_s'],
    `${keyText(path)}: ends at ${fault.at_s + fault.for_s} s, after the load (duration_s ${context.durationMs / 1000})`,
  );
}

function plan(
  context: Context,
  fault: ManifestFault,
  path: (string | number)[],
  id: string,
  stream: Rng,
): PlannedFault[] {
  const atMs = Math.round(fault.at_s * 1000);
  const forMs = Math.round(fault.for_s * 1000);
  switch (fault.kind) {
    case 'partition':
      return [{ id, atMs, forMs, ...partition(context, fault, path, stream) }];
    case 'kill':
    case 'pause':
    case 'restart':
    case 'wipe': {
      const nodes = select(context, fault.nodes, [...path, 'nodes'], stream, {
        from: atMs,
        to: atMs + forMs,
      });
      return nodes.map((node, index) =>
        outage(context, fault.kind, node, atMs, forMs, nodes.length > 1 ? `${id}.${index + 1}` : id),
      );
    }
    case 'flap':
      return flap(context, fault, path, id, stream);
    case 'churn':
      return churn(context, fault, path, id, stream);
    case 'adversary': {
      const window = { from: atMs, to: atMs + forMs };
      const attack = { ...window, attacks: true };
      const targets = select(context, fault.target, [...path, 'target'], stream, attack);
      for (const node of targets) context.attacked.push({ node, ...window });
      return targets.map((target, index) => ({
        id: targets.length > 1 ? `${id}.${index + 1}` : id,
        atMs,
        forMs,
        kind: 'adversary',
        behaviour: fault.behaviour,
        target,
      }));
    }
    case 'engine': {
      const window = { from: atMs, to: atMs + forMs };
      const nodes = select(context, fault.nodes, [...path, 'nodes'], stream, window);
      for (const node of nodes) context.busy.push({ node, ...window });
      return nodes.map((node, index) => ({
        id: nodes.length > 1 ? `${id}.${index + 1}` : id,
        atMs,
        forMs,
        kind: 'engine',
        ability: fault.ability,
        node,
        options: fault.options,
      }));
    }
    default:
      return onLinks(context, fault, path, id, stream);
  }
}

function outage(
  context: Context,
  kind: Outage,
  node: string,
  atMs: number,
  forMs: number,
  id: string,
): PlannedFault {
  context.busy.push({ node, from: atMs, to: atMs + forMs });
  return { id, atMs, forMs, kind, node };
}

/** A fault that comes again and again has to come once, and to take time. */
function fits(
  { file }: Context,
  path: (string | number)[],
  downMs: number,
  periodMs: number,
  { for_s, down_s }: { for_s: number; down_s: number },
): void {
  const key = keyText(path);
  if (downMs < 1 || periodMs < 1) throw file.complain(path, `${key}: its times are under a millisecond`);
  if (downMs <= Math.round(for_s * 1000)) return;
  throw file.complain([...path, 'for_s'], `${key}: for_s ${for_s} has no room for down_s ${down_s}`);
}

function flap(
  context: Context,
  fault: ManifestFault & { kind: 'flap' },
  path: (string | number)[],
  id: string,
  stream: Rng,
): PlannedFault[] {
  const start = Math.round(fault.at_s * 1000);
  const end = start + Math.round(fault.for_s * 1000);
  const nodes = select(context, fault.nodes, [...path, 'nodes'], stream, { from: start, to: end });
  const downMs = Math.round(fault.down_s * 1000);
  const periodMs = downMs + Math.round(fault.up_s * 1000);
  fits(context, path, downMs, periodMs, fault);
  const found: PlannedFault[] = [];
  nodes.forEach((node, index) => {
    let round = 0;
    for (let atMs = start; atMs + downMs <= end; atMs += periodMs) {
      round += 1;
      const name = `${id}.${nodes.length > 1 ? `${index + 1}.` : ''}${round}`;
      if (fault.how === 'kill') found.push({ id: name, atMs, forMs: downMs, kind: 'kill', node });
      else {
        const pairs = allPairs(context.nodes, [node], null, true);
        const label = `links of ${node} down`;
        found.push({ id: name, atMs, forMs: downMs, kind: 'link', pairs, fault: { kind: 'down' }, label });
      }
    }
    context.busy.push({ node, from: start, to: end });
  });
  return found;
}

function churn(
  context: Context,
  fault: ManifestFault & { kind: 'churn' },
  path: (string | number)[],
  id: string,
  stream: Rng,
): PlannedFault[] {
  const start = Math.round(fault.at_s * 1000);
  const end = start + Math.round(fault.for_s * 1000);
  const forMs = Math.round(fault.down_s * 1000);
  const stepMs = Math.round(fault.every_s * 1000);
  fits(context, path, forMs, stepMs, fault);
  const found: PlannedFault[] = [];
  for (let atMs = start; atMs + forMs <= end; atMs += stepMs) {
    const window = { from: atMs, to: atMs + forMs };
    const from = typeof fault.from === 'string' ? fault.from : 'others';
    const candidates = Array.isArray(fault.from)
      ? select(context, fault.from, [...path, 'from'], stream, null)
      : null;
    const node =
      candidates === null
        ? select(context, { random: 1, from }, [...path, 'from'], stream, window)[0]!
        : draw(context, candidates, 1, window, stream)[0];
    if (node === undefined)
      throw context.file.complain(path, `${keyText(path)}: too few nodes for this pace`);
    found.push(outage(context, fault.how, node, atMs, forMs, `${id}.${found.length + 1}`));
  }
  return found;
}

function partition(
  context: Context,
  fault: ManifestFault & { kind: 'partition' },
  path: (string | number)[],
  stream: Rng,
): { kind: 'partition'; groups: string[][]; label: string } {
  const names = context.nodes.map((node) => node.name);
  if (fault.groups !== undefined) {
    if (fault.split !== undefined)
      throw context.file.complain(path, `${keyText(path)}: either split or groups`);
    const seen = new Set<string>();
    for (const name of fault.groups.flat()) {
      const key = [...path, 'groups'];
      if (!names.includes(name))
        throw context.file.complain(key, `${keyText(key)}: ${noSuchNode(name, names)}`);
      if (seen.has(name)) throw context.file.complain(key, `${keyText(key)}: ${name} is on two sides`);
      seen.add(name);
    }
    const rest = names.filter((name) => !seen.has(name));
    const groups = rest.length > 0 ? [...fault.groups, rest] : fault.groups;
    return { kind: 'partition', groups, label: `partition ${groups.map((g) => g.length).join(' | ')}` };
  }
  const order = stream.shuffle(names);
  const split = fault.split ?? 'halves';
  if (split === 'one') {
    const groups = [order.slice(0, 1), order.slice(1)];
    return { kind: 'partition', groups: groups.map(byNumber), label: `${order[0]} alone` };
  }
  const parts = split === 'halves' ? 2 : 3;
  const groups = Array.from({ length: parts }, (_, part) =>
    byNumber(order.filter((_, index) => index % parts === part)),
  ).filter((group) => group.length > 0);
  return { kind: 'partition', groups, label: `partition ${groups.map((g) => g.length).join(' | ')}` };
}

const byNumber = (names: string[]): string[] =>
  [...names].sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));

type OnLinks = Extract<ManifestFault, { share: number }>;

function onLinks(
  context: Context,
  fault: OnLinks,
  path: (string | number)[],
  id: string,
  stream: Rng,
): PlannedFault[] {
  const from = select(context, fault.from, [...path, 'from'], stream, null);
  const to = select(context, fault.to, [...path, 'to'], stream, null);
  const every = allPairs(context.nodes, from, to, fault.both_ways);
  const portion = (): Pair[] =>
    fault.share === 1
      ? every
      : stream.shuffle(every).slice(0, Math.max(1, Math.round(every.length * fault.share)));
  if (every.length === 0) throw context.file.complain(path, `${keyText(path)}: no link from there to there`);
  const atMs = Math.round(fault.at_s * 1000);
  const forMs = Math.round(fault.for_s * 1000);
  if (fault.kind === 'reset' && fault.every_s !== undefined) {
    const found: PlannedFault[] = [];
    const step = Math.round(fault.every_s * 1000);
    for (let t = atMs; t <= atMs + forMs; t += step) {
      const pairs = portion();
      const label = `${pairs.length} links reset`;
      found.push({
        id: `${id}.${found.length + 1}`,
        atMs: t,
        forMs: 0,
        kind: 'link',
        pairs,
        fault: { kind: 'reset' },
        label,
      });
    }
    return found;
  }
  const pairs = portion();
  if (fault.kind !== 'slow') {
    const [effect, label] = plainEffect(fault);
    return [{ id, atMs, forMs, kind: 'link', pairs, fault: effect, label: `${pairs.length} links ${label}` }];
  }
  const parts: PlannedFault[] = [];
  if (fault.latency_ms !== undefined || fault.jitter_ms !== undefined) {
    const effect: LinkFault = {
      kind: 'latency',
      latencyMs: fault.latency_ms ?? 0,
      jitterMs: fault.jitter_ms ?? 0,
    };
    const label = `${pairs.length} links +${effect.latencyMs} ± ${effect.jitterMs} ms`;
    parts.push({ id, atMs, forMs, kind: 'link', pairs, fault: effect, label });
  }
  if (fault.bytes_per_second !== undefined) {
    const effect: LinkFault = { kind: 'bandwidth', bytesPerSecond: fault.bytes_per_second };
    const label = `${pairs.length} links at ${fault.bytes_per_second} B/s`;
    parts.push({
      id: parts.length > 0 ? `${id}.rate` : id,
      atMs,
      forMs,
      kind: 'link',
      pairs,
      fault: effect,
      label,
    });
  }
  if (parts.length === 0) {
    throw context.file.complain(path, `${keyText(path)}: slow in what? Give latency_ms or bytes_per_second`);
  }
  return parts;
}

function plainEffect(fault: Exclude<OnLinks, { kind: 'slow' }>): [LinkFault, string] {
  switch (fault.kind) {
    case 'cut':
      return [{ kind: 'cut' }, 'cut'];
    case 'down':
      return [{ kind: 'down' }, 'down'];
    case 'black-hole':
      return [{ kind: 'black-hole' }, 'lose everything'];
    case 'reset':
      return [{ kind: 'reset' }, 'reset'];
    case 'slow-close':
      return [{ kind: 'slow-close', delayMs: fault.delay_ms }, `close ${fault.delay_ms} ms late`];
    case 'slice':
      return [
        { kind: 'slice', bytes: fault.bytes, delayUs: fault.delay_us },
        `in slices of ${fault.bytes} bytes`,
      ];
  }
}
