/** § 4.1 Direct routing: what queries find in query-corpus.ts, against a model of the profile's words (query-model.ts). */

import type { Item } from '../../harness/wire/items.ts';
import { float, type Json, type JsonObject, numberOf, readable } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted, untilServed } from '../expect.ts';
import { circle, tell } from '../gossiping.ts';
import type { Joined } from '../puppet.ts';
import { authoredGroups, authorsOf, longGroups, manyGroups, type Names, namesFor } from '../query-corpus.ts';
import { answerOf, difference } from '../query-model.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'DIR-07',
    level: 'must',
    section: '4.1',
    role: 's',
    quote:
      'Commits are grouped by rule_hash; a group matches if any of its commits has the asked `rule_hash` / `agent_id` / a `context_signature` matching the glob `context_pattern`',
    reading:
      'Over 150 commits of several agents, with challenges and confirms among them, every query gives the groups, means, agents, order, counts and cuts that profile §6 says.',
    ruling:
      'Profile §6, "Queries": compared are `total_count`, the number and order of results, and all five members of each, numbers as numbers.',
    mutants: [
      'query-regex',
      'query-agent-prefix',
      'query-sets',
      'query-case-blind',
      'query-part-of-text',
      'query-prefix-of-text',
      'query-question-unit',
      'query-question-no-line-feed',
      'query-question-optional',
      'query-star-stops-at-slash',
      'query-star-not-empty',
      'query-backslash-escapes',
      'query-normalised',
      'query-limit-ignored',
      'query-limit-uncapped',
      'query-limit-default-ten',
      'query-limit-zero-all',
      'query-limit-large-refused',
      'query-total-after-limit',
      'query-total-before-minimum',
      'query-mean-per-agent',
      'query-mean-arrival',
      'query-mean-compensated',
      'query-mean-rounded',
      'query-best-for-mean',
      'query-agents-repeated',
      'query-agents-unsorted',
      'query-agent-glob',
      'query-agent-case-blind',
      'query-logic-first',
      'query-logic-latest',
      'query-created-first',
      'query-created-latest',
      'query-created-whole',
      'query-order-of-arrival',
      'query-order-descending',
      'query-min-exclusive',
      'query-min-of-best',
      'query-min-ignored',
      'query-confirms-counted',
      'query-challenged-hidden',
      'query-others-judged',
      'query-others-applied',
      'query-hash-form-judged',
      'query-hash-prefix',
      'query-cut-by-one',
      'query-cut-refused',
      'query-mean-matching-only',
    ],
    needs: [],
    durationHintMs: 4_000,
    cpu: 0.6,
    test: async (bench) => {
      const around = await circle(bench, 1);
      const [source] = around.peers;
      const authors = await authorsOf(bench);
      const names = namesFor(bench.mark);
      const items = authoredGroups(bench, authors, names);
      const direct = await Promise.all(authors.map((author) => author.join(around.node)));
      for (const { item, author } of items) await accepted(direct[authors.indexOf(author)]!, item);
      const many = manyGroups(authors[0]!, names);
      await byRelay(bench, source!, many);
      const all = [...items.map(({ item }) => item), ...many];
      const askers = await Promise.all(
        (await bench.puppets(2, 'asker')).map((puppet) => puppet.join(around.node)),
      );
      const asked = queriesOver(
        items[0]!.item,
        answerOf(all, 'by_hash', ruleOf(items[0]!.item)).results[0]!.confidence,
        names,
      );
      for (const [index, [type, filters]] of asked.entries())
        await compare(bench, askers[index % askers.length]!, all, type, filters);
      const long = longGroups(authors[1]!, names);
      await byRelay(bench, source!, long);
      await cutAtSize(bench, askers[0]!, long, names);
      return pass(
        `${asked.length + 1} queries over ${all.length + long.length} items were answered as the profile says`,
      );
    },
  },
];

const ruleOf = (item: Item): JsonObject => ({
  rule_hash: (item.envelope.payload as JsonObject).rule_hash ?? '',
});

/** Announces and serves them, and waits until all are there: a relay may bring more than ten a minute. */
async function byRelay(bench: Bench, source: Joined, items: readonly Item[]): Promise<void> {
  for (const item of items) source.manners.items.add(item);
  for (let i = 0; i < items.length; i += 100)
    tell(bench, source, { hashes: items.slice(i, i + 100).map(({ hash }) => hash), ttl: 0 });
  for (const item of items) await untilServed(bench, source, item.hash, 15_000);
}

function queriesOver(
  first: Item,
  mean: number,
  { p, mark, stem }: Names,
): [type: string, filters: JsonObject][] {
  const { rule_hash: known } = ruleOf(first) as { rule_hash: string };
  const byContext = (pattern: string, more: JsonObject = {}): [string, JsonObject] => [
    'by_context',
    { context_pattern: pattern, ...more },
  ];
  const patterns = [
    `${p}/a.b`,
    `${p}/a?b`,
    `${p}/a*b`,
    `${p}/[ab]`,
    `${p.toLowerCase()}/a.b`,
    `${p}/a`,
    `${p}/??`,
    `${p}/\\*`,
    `${p}/(x|y)+$`,
    `${p}/?`,
  ];
  return [
    ['by_hash', { rule_hash: known }],
    ['by_hash', { rule_hash: known, min_confidence: float(mean) }],
    ['by_hash', { rule_hash: known, min_confidence: float(nextAbove(mean)) }],
    ['by_hash', { rule_hash: known, agent_id: 5, context_pattern: null, unknown: [], limit: 1 }],
    ['by_hash', { rule_hash: known.slice(0, -1) }],
    ['by_hash', { rule_hash: 'any text' }],
    ['by_hash', { rule_hash: '' }],
    ['by_hash', { rule_hash: stem }],
    ['by_agent', { agent_id: `agent_Zed${mark}`, limit: 3 }],
    ['by_agent', { agent_id: `agent_abe${mark}` }],
    ['by_agent', { agent_id: `agent_abe${mark}`, min_confidence: 0.5 }],
    ['by_agent', { agent_id: 'agent_*' }],
    ['by_agent', { agent_id: `Agent_abe${mark}` }],
    ['by_agent', { agent_id: `agent_abe${mark}`.slice(0, -1) }],
    ['by_agent', { agent_id: `agent_abe${mark}l` }],
    ['by_agent', { agent_id: '' }],
    ...patterns.map((pattern) => byContext(pattern)),
    // What matches commits of anybody can be told in advance only where there are none.
    ...(mark === '' ? ['*.b', '', '*'] : []).map((pattern) => byContext(pattern)),
    byContext(`${p}*`, { limit: 101 }),
    byContext(`${p}*`, { limit: 10n ** 30n }),
    byContext(`${p}*`, { limit: 0 }),
    byContext(`${p}/*`, { limit: 7, min_confidence: 1 }),
    byContext(`${p}/many/*`, { min_confidence: 0.5 }),
    byContext(`${p}/many/00?`, { min_confidence: -3 }),
    byContext(`${p}/*`, { min_confidence: float(1.5) }),
    byContext(`${p}/mean/0`),
    byContext(`${p}/split/left`, { min_confidence: 0.75 }),
    byContext(`${p}/split/right`),
  ];
}

function nextAbove(value: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigUint64(0, view.getBigUint64(0) + 1n);
  return view.getFloat64(0);
}

async function compare(
  bench: Bench,
  asker: Joined,
  all: readonly Item[],
  type: string,
  filters: JsonObject,
): Promise<void> {
  const shown = `${type} ${readable(filters)}`;
  bench.step(`query ${shown}`);
  const expected = answerOf(all, type, filters);
  const answer = await asker.request('query', { query_type: type, filters }, { withinMs: 10_000 });
  if (answer.type !== 'response')
    fail(`the query ${shown} was answered ${answer.errorCode} (${answer.payload?.error_message})`);
  const { results, total_count: total } = answer.object.payload as { results?: Json; total_count?: Json };
  // "compared as numbers, like all numbers in answers" (§6): 3.0 is 3.
  if (numberOf(total) !== expected.totalCount)
    fail(`the query ${shown} counts ${readable(total)}, expected ${expected.totalCount}`);
  if (!Array.isArray(results) || results.length !== expected.results.length)
    return fail(
      `the query ${shown} has ${Array.isArray(results) ? results.length : 'no'} results, expected ${expected.results.length}`,
    );
  for (const [i, group] of expected.results.entries()) {
    const wrong = difference(results[i] as Json, group);
    if (wrong !== null)
      fail(`result ${i + 1} of the query ${shown}: ${wrong}`, { expected: group, got: results[i] });
  }
}

/** "at most as many as fit": two of four results of 24 KB, and the count of all four. */
async function cutAtSize(bench: Bench, asker: Joined, all: readonly Item[], { long }: Names): Promise<void> {
  bench.step('four results of which two fit');
  const filters = { context_pattern: long };
  const expected = answerOf(all, 'by_context', filters);
  const answer = await asker.request('query', { query_type: 'by_context', filters }, { withinMs: 10_000 });
  const { results, total_count: total } = answer.object.payload as { results?: Json; total_count?: Json };
  if (answer.type !== 'response' || !Array.isArray(results) || numberOf(total) !== 4)
    return fail(`a query with results beyond a message was answered ${answer.text.slice(0, 300)}`);
  if (results.length !== 2) fail(`of four results of 24 KB an answer holds ${results.length}, expected 2`);
  for (const [i, result] of (results as Json[]).entries()) {
    const wrong = difference(result, expected.results[i]!);
    if (wrong !== null) fail(`result ${i + 1} of a query that was cut: ${wrong.slice(0, 300)}`);
  }
}
