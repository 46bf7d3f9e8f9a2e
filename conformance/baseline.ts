/**
 * Known failures: a file of entries with reason, expiry and fingerprint. An entry excuses one row that fails in one way until
 * one day; an entry that is stale, expired or meets another failure fails the run, so that the list cannot rot.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { writeWhole } from '../harness/report/files.ts';
import { complaintOf } from '../harness/run-record.ts';
import { TroubleError } from '../harness/trouble-error.ts';
import { UsageError } from '../harness/usage-error.ts';
import type { Outcome, Result } from './requirement.ts';

export interface BaselineEntry {
  id: string;
  reason: string;
  /** Last day on which it excuses, `YYYY-MM-DD`. */
  expires: string;
  fingerprint: string;
}

/** A breach of the baseline itself; each fails the run. */
export interface BaselineProblem {
  id: string;
  problem: 'stale' | 'expired' | 'different';
  because: string;
}

const broken = new Set(['fail', 'warn', 'untestable']);

/**
 * Stable for one way of failing: verdict and sentence without what differs from run to run (numbers, ids, hashes, addresses, keys,
 * what else came on a connection). 12 hex digits.
 */
export function fingerprintOf(id: string, outcome: Outcome): string | null {
  if (!broken.has(outcome.verdict)) return null;
  const sentence = outcome.because
    .split('\n', 1)[0]!
    .replace(/; last came: .*/, '')
    .replace(/\b(?:node|rule|agent)_[0-9A-Za-z_-]+/g, '$id')
    .replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, '$uuid')
    .replace(/\b[0-9a-f]{12,}\b/g, '$hex')
    .replace(/[A-Za-z0-9+/]{40,}={0,2}/g, '$base64')
    .replace(/\d+(?:[.,:]\d+)*/g, '#')
    .toLowerCase();
  return createHash('sha256').update(`${id}\n${outcome.verdict}\n${sentence}`).digest('hex').slice(0, 12);
}

export function readBaseline(file: string): BaselineEntry[] {
  if (!existsSync(file)) throw new UsageError(`--baseline ${file}: there is no such file`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`--baseline ${file}: not JSON (${(error as Error).message})`);
  }
  const entries = (parsed as { known_failures?: unknown } | null)?.known_failures;
  if (!Array.isArray(entries)) throw new UsageError(`--baseline ${file}: known_failures is not a list`);
  return entries.map((entry, index) => checkedEntry(file, entry as Record<string, unknown>, index));
}

function checkedEntry(file: string, entry: Record<string, unknown>, index: number): BaselineEntry {
  const where = `--baseline ${file}: known_failures[${index}]`;
  for (const key of ['id', 'reason', 'expires', 'fingerprint'] as const) {
    if (typeof entry?.[key] !== 'string' || entry[key].trim() === '')
      throw new UsageError(`${where}.${key} is missing; every entry has id, reason, expires and fingerprint`);
  }
  const { id, reason, expires, fingerprint } = entry as unknown as BaselineEntry;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(expires) || Number.isNaN(Date.parse(expires)))
    throw new UsageError(`${where}.expires is no day of the form YYYY-MM-DD: ${expires}`);
  return { id, reason, expires, fingerprint };
}

/**
 * Marks excused results and names what is wrong with the entries. `known` are all row ids of the register: an entry for a row
 * that was not picked is no problem, one for a row that does not exist is stale.
 */
export function applyBaseline(
  results: readonly Result[],
  entries: readonly BaselineEntry[],
  known: ReadonlySet<string>,
  today: string,
): { results: Result[]; problems: BaselineProblem[] } {
  const problems: BaselineProblem[] = [];
  const excused = new Map<string, string>();
  const byId = new Map(results.map((result) => [result.id, result]));
  for (const entry of entries) {
    const result = byId.get(entry.id);
    const add = (problem: BaselineProblem['problem'], because: string): void => {
      problems.push({ id: entry.id, problem, because });
    };
    if (!known.has(entry.id)) add('stale', `${entry.id} is no requirement`);
    else if (result === undefined || result.verdict === 'inconclusive' || result.verdict === 'not-applicable')
      continue;
    else if (result.fingerprint === null)
      add('stale', `${entry.id} is ${result.verdict} now: remove the entry`);
    else if (entry.expires < today)
      add('expired', `${entry.id} was excused until ${entry.expires} (${entry.reason})`);
    else if (entry.fingerprint !== result.fingerprint)
      add('different', `${entry.id} fails in another way than its entry: ${result.because}`);
    else excused.set(entry.id, entry.reason);
  }
  return {
    results: results.map((result) => ({ ...result, excused: excused.get(result.id) ?? null })),
    problems,
  };
}

/** UsageError where no baseline could be written: better said before a run than after it. */
export function refuseUnwritable(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--write-baseline ${file}: a folder has that name`);
  const trial = `${file}.${process.pid}.trial`;
  try {
    writeWhole(trial, '');
    rmSync(trial);
  } catch (error) {
    throw new UsageError(`--write-baseline ${file}: ${complaintOf(error)}`);
  }
}

/**
 * Writes what fails now, each with a reason to be filled in and an expiry 90 days from `today`. TroubleError where the disk does
 * not take it.
 */
export function writeBaseline(
  file: string,
  results: readonly Result[],
  today: string,
  reason: string,
): number {
  const expires = new Date(Date.parse(today) + 90 * 86_400_000).toISOString().slice(0, 10);
  const failures = results.filter((result) => result.fingerprint !== null);
  const entries = failures.map((result) => ({
    id: result.id,
    reason,
    expires,
    fingerprint: result.fingerprint,
    because: result.because,
  }));
  try {
    writeWhole(file, `${JSON.stringify({ known_failures: entries }, null, 2)}\n`);
  } catch (error) {
    throw new TroubleError(`--write-baseline ${file}: ${complaintOf(error)}`);
  }
  return entries.length;
}
