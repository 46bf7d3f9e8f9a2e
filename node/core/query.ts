/**
 * Answers to `query` (§6): which groups of commits match, described in full. It reads the index and changes nothing but
 * its order; limits and signatures were checked before.
 */
import {
  agentOfRow,
  type CommitIndex,
  contextOfRow,
  type Group,
  logicOfRow,
  rowsOf,
  UnreadableText,
} from './commits.ts';
import { canonicalBytes, maxPayloadBytes } from './envelope.ts';
import { type Refusal, refuse } from './error-code.ts';
import { compileGlob } from './glob.ts';
import { float, isInteger, isNumber, isObject, numberOf } from './json.ts';
import type { Json, JsonObject } from './types.ts';

const largestLimit = 100;

/**
 * The payload of the `response` to a query's payload, or why there is none. Results beyond what fits into a payload of
 * 60 000 bytes are left off; they ascend by `rule_hash`, so what is left off is greater than what is there.
 */
export function answerQuery(
  index: CommitIndex,
  payload: JsonObject,
  requestId: string,
): JsonObject | Refusal {
  try {
    return answerFrom(index, payload, requestId);
  } catch (error) {
    if (error instanceof UnreadableText) return refuse('UNAVAILABLE', error.message);
    throw error;
  }
}

function answerFrom(index: CommitIndex, payload: JsonObject, requestId: string): JsonObject | Refusal {
  const { query_type, filters } = payload;
  if (typeof query_type !== 'string' || !isObject(filters))
    return refuse('MALFORMED', 'query_type or filters');
  const limit = readLimit(filters.limit);
  if (limit === null) return refuse('MALFORMED', 'limit is negative or no integer');
  const least = filters.min_confidence;
  if (least !== undefined && !isNumber(least)) return refuse('MALFORMED', 'min_confidence is no number');
  const candidates = matching(index, query_type, filters);
  if ('because' in candidates) return candidates;

  const leastMean = least === undefined ? Number.NEGATIVE_INFINITY : numberOf(least);
  let totalCount = 0;
  const first: Group[] = [];
  for (const group of candidates) {
    if (leastMean > Number.NEGATIVE_INFINITY && meanConfidence(index, group) < leastMean) continue;
    totalCount++;
    keepLeast(first, group, limit);
  }
  return fitting(index, first, { request_id: requestId, results: [], total_count: totalCount });
}

/** Absent 100, larger counts as 100, 0 allowed; null for what is `MALFORMED`. */
function readLimit(limit: Json | undefined): number | null {
  if (limit === undefined) return largestLimit;
  if (!isInteger(limit) || limit < 0) return null;
  return limit > largestLimit ? largestLimit : Number(limit);
}

/** The groups of which any commit matches the filter that the query type names, in no order. */
function matching(
  index: CommitIndex,
  queryType: string,
  filters: JsonObject,
): (Iterable<Group> & object) | Refusal {
  switch (queryType) {
    case 'by_hash': {
      const wanted = filters.rule_hash;
      if (typeof wanted !== 'string') return refuse('MALFORMED', 'filters.rule_hash');
      const group = index.groups.get(wanted);
      return group ? [group] : [];
    }
    case 'by_agent': {
      const wanted = filters.agent_id;
      if (typeof wanted !== 'string') return refuse('MALFORMED', 'filters.agent_id');
      const number = index.agents.numbers.get(wanted);
      return number === undefined ? [] : groupsWith(index, (row) => index.agent[row] === number);
    }
    case 'by_context': {
      const wanted = filters.context_pattern;
      const isMatch = typeof wanted === 'string' ? compileGlob(wanted) : null;
      if (!isMatch) return refuse('MALFORMED', 'filters.context_pattern');
      return groupsWith(index, contextTest(index, isMatch));
    }
    default:
      return refuse('MALFORMED', 'unknown query_type');
  }
}

/** Each distinct text is matched once, however many commits carry it. */
function contextTest(index: CommitIndex, isMatch: (text: string) => boolean): (row: number) => boolean {
  const verdicts = new Int8Array(index.contexts.list.length);
  return (row) => {
    const number = index.context[row]!;
    if (number < 0) return isMatch(contextOfRow(index, row));
    if (verdicts[number] === 0) verdicts[number] = isMatch(contextOfRow(index, row)) ? 1 : -1;
    return verdicts[number] === 1;
  };
}

function groupsWith(index: CommitIndex, isMatch: (row: number) => boolean): Group[] {
  const found: Group[] = [];
  for (const group of index.groups.values()) if (group.rows.some(isMatch)) found.push(group);
  return found;
}

/** Keeps `first` the `limit` least groups, ascending by rule hash. */
function keepLeast(first: Group[], group: Group, limit: number): void {
  if (first.length === limit) {
    if (limit === 0 || group.ruleHash > first.at(-1)!.ruleHash) return;
    first.pop();
  }
  let place = first.length;
  while (place > 0 && first[place - 1]!.ruleHash > group.ruleHash) place--;
  first.splice(place, 0, group);
}

/** "IEEE doubles added left to right from 0.0, one division", in item-hash order. */
function meanConfidence(index: CommitIndex, group: Group): number {
  let sum = 0;
  const rows = rowsOf(index, group);
  for (const row of rows) sum += index.confidence[row]!;
  return sum / rows.length;
}

function described(index: CommitIndex, group: Group): JsonObject {
  const rows = rowsOf(index, group);
  const agents = new Set<string>();
  let createdAt = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    agents.add(agentOfRow(index, row));
    createdAt = Math.min(createdAt, index.timestamp[row]!);
  }
  return {
    rule_hash: group.ruleHash,
    logic_signature: logicOfRow(index, rows[0]!),
    confidence: float(meanConfidence(index, group)),
    // ASCII, so UTF-16 order is code point order.
    supporting_agents: [...agents].sort(),
    created_at: float(createdAt),
  };
}

function fitting(index: CommitIndex, groups: readonly Group[], answer: JsonObject): JsonObject {
  const results: JsonObject[] = [];
  let bytes = canonicalBytes(answer);
  for (const group of groups) {
    const result = described(index, group);
    bytes += canonicalBytes(result) + (results.length > 0 ? ', '.length : 0);
    if (bytes > maxPayloadBytes) break;
    results.push(result);
  }
  return { ...answer, results };
}
