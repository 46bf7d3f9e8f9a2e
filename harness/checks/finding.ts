/**
 * How checks speak: whole sentences with figures, targets that an overloaded host or a harness in trouble cannot miss, culprits by
 * name. Knows no particular check.
 */

import type { History } from '../history.ts';
import { described, figures, type Sample, tenths, valuesOf } from '../metrics.ts';
import type { Finding } from '../verdict.ts';

const mostEvidence = 30;

export function finding(
  id: string,
  proves: readonly string[],
  verdict: Finding['verdict'],
  because: string,
  evidence: readonly unknown[] = [],
  culprits: readonly string[] = [],
): Finding {
  const base = { id, verdict, because, proves, evidence: evidence.slice(0, mostEvidence) };
  return culprits.length > 0 ? { ...base, culprits: [...culprits].sort(byNumber) } : base;
}

const byNumber = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

/** `node-1, node-4 (foreign) and 7 more` */
export function listed(history: History, nodes: Iterable<string>, most = 6): string {
  const names = [...new Set(nodes)].sort(byNumber).map((node) => described(history, node));
  if (names.length <= most) return names.join(', ');
  return `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}

/** What the harness itself could not do, in a sentence, or null. */
export function ownTrouble({ trouble }: History): string | null {
  const [first, ...more] = trouble;
  if (first === undefined) return null;
  return `The harness had trouble of its own: ${first.replace(/\.$/, '')}${more.length > 0 ? ` (and ${more.length} more)` : ''}.`;
}

/** Why nobody is held to what came late or not at all in this run, or null. */
export function excuse(history: History): string | null {
  return history.host.overloaded ? history.host.because : ownTrouble(history);
}

/** What an excuse covers is no failure, and names no culprit. */
export function unless(why: string | null, found: Finding): Finding {
  if (why === null || found.verdict !== 'fail') return found;
  return finding(found.id, found.proves, 'unknown', `${found.because} ${why}`, found.evidence);
}

export interface TimeTarget {
  id: string;
  proves: readonly string[];
  /** `starts`, `commits` … */
  things: string;
  samples: readonly Sample[];
  targetMs: number;
  /** Which figure has to be under the target. */
  statistic: 'max' | 'p95';
  /** Fewer values say nothing. */
  atLeast: number;
  /** Whose fault a miss is; default the node of the sample. */
  blame?: (misses: readonly Sample[]) => { culprits: string[]; text: string };
}

/** Judges a time target. Values that never came are misses if they were awaited for longer than the target. */
export function judgeTarget(history: History, target: TimeTarget): Finding {
  const { id, proves, samples, targetMs, things } = target;
  const values = valuesOf(samples);
  const never = samples.filter(({ value, lookedForMs }) => value === null && lookedForMs >= targetMs);
  const { n, p50, p95, max } = figures(values);
  const measured = `${n} ${things}: p50 ${p50 ?? '–'}, p95 ${p95 ?? '–'}, max ${max ?? '–'} ms, target under ${targetMs} ms`;
  if (never.length === 0 && n < target.atLeast) {
    const because =
      n === 0
        ? `No ${things} were measured.`
        : `Only ${n} ${things} were measured, ${target.atLeast} are needed.`;
    return finding(id, proves, 'unknown', because);
  }
  const late = samples.filter(({ value }) => value !== null && value >= targetMs);
  const missed = never.length > 0 || (target.statistic === 'max' ? late.length > 0 : (p95 ?? 0) >= targetMs);
  if (!missed)
    return finding(id, proves, 'pass', `${measured}${target.statistic === 'p95' ? ' at p95' : ''}.`);
  const misses = [...never, ...late];
  const blame = target.blame?.(misses) ?? {
    culprits: [...new Set(misses.map(({ node }) => node))],
    text: `Missed by ${listed(
      history,
      misses.map(({ node }) => node),
    )}`,
  };
  const awaited =
    never.length === 0
      ? ''
      : `; ${never.length} never came, awaited for up to ${Math.round(never.reduce((most, s) => Math.max(most, s.lookedForMs), 0))} ms`;
  const sentence = `${blame.text}: ${measured}${awaited}.`;
  const evidence = misses.map(({ node, what, at, value }) => ({
    node,
    what,
    at: tenths(at),
    ms: value === null ? null : tenths(value),
  }));
  return unless(excuse(history), finding(id, proves, 'fail', sentence, evidence, blame.culprits));
}
