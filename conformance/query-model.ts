/**
 * What a query must answer (profile §6, "Queries"), computed from the commits alone and without any node. Plain and slow, so that
 * it can be read beside the profile; no requirement is known here.
 */

import type { Item } from '../harness/wire/items.ts';
import { isInteger, type Json, type JsonObject, numberOf, plain, readable } from '../harness/wire/json.ts';

export interface Group {
  rule_hash: string;
  logic_signature: string;
  confidence: number;
  supporting_agents: string[];
  created_at: number;
}

interface Commit {
  hash: string;
  rule: string;
  logic: string;
  context: string;
  confidence: number;
  agent: string;
  timestamp: number;
}

export interface Expected {
  results: Group[];
  totalCount: number;
}

/** `filters` must be well-formed. Not modelled: results that do not fit into a message. */
export function answerOf(items: readonly Item[], queryType: string, filters: JsonObject): Expected {
  const commits = items.filter(({ envelope }) => envelope.message_type === 'commit').map(commitOf);
  const wanted = commits.filter((commit) => matches(commit, queryType, filters));
  const rules = [...new Set(wanted.map(({ rule }) => rule))].sort();
  const groups = rules.map((rule) => groupOf(commits.filter((commit) => commit.rule === rule)));
  const least =
    filters.min_confidence === undefined ? Number.NEGATIVE_INFINITY : amount(filters.min_confidence);
  const kept = groups.filter(({ confidence }) => confidence >= least);
  const limit = isInteger(filters.limit) ? Math.min(100, Number(filters.limit)) : 100;
  return { results: kept.slice(0, limit), totalCount: kept.length };
}

function commitOf({ hash, envelope }: Item): Commit {
  const payload = envelope.payload as JsonObject;
  return {
    hash,
    rule: String(payload.rule_hash),
    logic: String(payload.logic_signature),
    context: String(payload.context_signature),
    confidence: amount(payload.confidence!),
    agent: String((envelope.sender as JsonObject).agent_id),
    timestamp: amount(envelope.timestamp!),
  };
}

function matches(commit: Commit, queryType: string, filters: JsonObject): boolean {
  if (queryType === 'by_hash') return commit.rule === filters.rule_hash;
  if (queryType === 'by_agent') return commit.agent === filters.agent_id;
  return globMatches(String(filters.context_pattern), commit.context);
}

/** "is then described in full": over all commits of the rule, not only those that matched. */
function groupOf(commits: readonly Commit[]): Group {
  const inOrder = [...commits].sort((a, b) => (a.hash < b.hash ? -1 : 1));
  const lowest = inOrder[0]!;
  return {
    rule_hash: lowest.rule,
    logic_signature: lowest.logic,
    confidence: meanInOrder(inOrder.map(({ confidence }) => confidence)),
    supporting_agents: [...new Set(commits.map(({ agent }) => agent))].sort(),
    created_at: Math.min(...commits.map(({ timestamp }) => timestamp)),
  };
}

/** "IEEE doubles added left to right from 0.0, one division". */
export function meanInOrder(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** By a table over all prefixes of both, in code points: the plainest way that takes O(pattern × text). */
export function globMatches(pattern: string, text: string): boolean {
  const points = [...text];
  let reached = [true, ...points.map(() => false)];
  for (const sign of pattern) {
    const next = points.reduce<boolean[]>(
      (row, point, i) => {
        row.push(sign === '*' ? row[i]! || reached[i + 1]! : reached[i]! && (sign === '?' || sign === point));
        return row;
      },
      [sign === '*' && reached[0]!],
    );
    reached = next;
  }
  return reached.at(-1)!;
}

/** How a node's result differs from the model's, or null. Numbers are compared as numbers. */
export function difference(result: Json, expected: Group): string | null {
  const got = (plain(result) ?? {}) as Record<string, unknown>;
  for (const [member, value] of Object.entries(expected))
    if (readable(got[member]) !== readable(value))
      return `${member} is ${readable(got[member]).slice(0, 300)}, expected ${readable(value).slice(0, 300)}`;
  return null;
}

const amount = (value: Json): number => (typeof value === 'number' ? value : numberOf(value as never));

/** Neumaier's sum, as Python's `sum()` has it since 3.12. */
export function compensated(values: readonly number[]): number {
  let sum = 0;
  let lost = 0;
  for (const value of values) {
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return sum + lost;
}
