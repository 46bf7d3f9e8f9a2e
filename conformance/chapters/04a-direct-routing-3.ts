/** § 4.1 Direct routing: what queries find, against a model of the profile's words (query-model.ts). */

import { buildItem, commitOfSize, commitPayload, type Item } from '../../harness/wire/items.ts';
import { float, type Json, type JsonObject } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted, untilServed } from '../expect.ts';
import { circle, tell } from '../gossiping.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { answerOf, difference, meanInOrder } from '../query-model.ts';
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
      const items = [
        ...meanGroup(bench, authors, names),
        ...smallGroups(authors, names),
        ...contextGroups(authors, names),
      ];
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

interface Authored {
  item: Item;
  author: Puppet;
}

/** What tells the row's commits from those that a node had before: nothing where it had none. */
interface Names {
  /** Every context but the empty one begins with it. */
  readonly p: string;
  readonly long: string;
  /** Behind every agent's name. */
  readonly mark: string;
  /** Two rules with the fewest digits there may be. */
  readonly stem: string;
  readonly split: string;
}

function namesFor(mark: string): Names {
  const isFirst = mark === '';
  return {
    p: `P${mark}`,
    long: `long${mark}`,
    mark,
    stem: isFirst ? 'rule_00000000000000ab' : `rule_${mark}`,
    split: isFirst ? 'rule_aaaaaaaaaaaaaaaa' : `rule_${[...mark].reverse().join('')}`,
  };
}

/** Upper case sorts before lower case; the last two nodes serve the same agent. */
async function authorsOf(bench: Bench): Promise<Puppet[]> {
  const agents = ['agent_Zed', 'agent_abe', 'agent_abe', 'agent_-9'].map((agent) => agent + bench.mark);
  return Promise.all(agents.map((agentId, i) => bench.puppet(`author-${i + 1}`, { agentId })));
}

const ruleOf = (item: Item): JsonObject => ({
  rule_hash: (item.envelope.payload as JsonObject).rule_hash ?? '',
});

const rule = (bench: Bench, digits: number): string =>
  `rule_${(bench.uuid() + bench.uuid()).replaceAll('-', '').slice(0, digits)}`;

/**
 * Five commits of one rule by three nodes of two agents, of which the sum depends on the order in which it is taken, and on
 * whether rounding is compensated; then what must change nothing: a confirm and a challenge of that rule.
 */
function meanGroup(bench: Bench, [zed, abe, namesake, other]: Puppet[], { p }: Names): Authored[] {
  const writers = [zed!, abe!, zed!, namesake!, zed!];
  const ruleHash = rule(bench, 64);
  const now = Math.floor(Date.now() / 1_000);
  const stamps: Json[] = [
    float(now - 100.25),
    now - 150,
    float(now - 20),
    float(now - 149.5),
    float(now - 3),
  ];
  const build = (): Item[] =>
    writers.map((writer, i) =>
      buildItem(
        writer,
        'commit',
        commitPayload({
          rule_hash: ruleHash,
          logic_signature: `logic ${i}`,
          context_signature: `${p}/mean/${i}`,
          confidence: bench.random.below(1_000) / 1_000 + 1e-4 / 3,
        }),
        { timestamp: stamps[i]! },
      ),
    );
  let commits = build();
  for (let tries = 0; tries < 200 && !tellsOrdersApart(commits); tries += 1) commits = build();
  const confirm = other!.confirm({ rule_hash: ruleHash, confidence_delta: -1, additional_evidence: 1_000 });
  const challenge = other!.challenge({
    target_rule_hash: ruleHash,
    contradicting_rule: { logic_form: 'logic', context: `${p}/mean/0` },
  });
  return [
    ...commits.map((item, i) => ({ item, author: writers[i]! })),
    { item: confirm, author: other! },
    { item: challenge, author: other! },
  ];
}

function tellsOrdersApart(commits: readonly Item[]): boolean {
  const confidence = ({ envelope }: Item): number => Number((envelope.payload as JsonObject).confidence);
  const inOrder = [...commits].sort((a, b) => (a.hash < b.hash ? -1 : 1));
  const right = meanInOrder(inOrder.map(confidence));
  const byArrival = meanInOrder(commits.map(confidence));
  const exact = compensated(inOrder.map(confidence)) / commits.length;
  // Of the lowest and of the highest hash there is something else to tell than of the first, the last and the oldest.
  const [first, oldest, last] = [commits[0], commits[1], commits.at(-1)];
  const isPlain = [first, oldest, last].some((commit) => commit === inOrder[0] || commit === inOrder.at(-1));
  return right !== byArrival && right !== exact && !isPlain;
}

/** Neumaier's sum, as Python's `sum()` has it since 3.12. */
function compensated(values: readonly number[]): number {
  let sum = 0;
  let lost = 0;
  for (const value of values) {
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return sum + lost;
}

/** Integer and float confidences, rule hashes of 16 and 40 digits that begin alike, and a rule of two contexts. */
function smallGroups([zed, abe]: Puppet[], { p, stem, split }: Names): Authored[] {
  const of = (author: Puppet, changes: Record<string, Json>): Authored => ({
    author,
    item: author.commit(changes),
  });
  return [
    of(zed!, { rule_hash: stem, confidence: 1, context_signature: `${p}/one` }),
    of(abe!, { rule_hash: `${stem}${'c'.repeat(24)}`, confidence: 0, context_signature: `${p}/none` }),
    of(zed!, { rule_hash: `${stem}${'d'.repeat(48)}`, confidence: float(1), context_signature: `${p}/one` }),
    of(zed!, { rule_hash: split, confidence: 0.875, context_signature: `${p}/split/left` }),
    of(abe!, { rule_hash: split, confidence: 0.125, context_signature: `${p}/split/right` }),
  ];
}

const contextsOf = (p: string): string[] => [
  ...[`${p}/a.b`, `${p}/aXb`, `${p}/a😀b`, `${p}/a\nb`, `${p}/a*b`, `${p}/ab`, `${p}/a/x/b`, `${p}/A.B`],
  ...[`${p}/[ab]`, `${p}/a`, `${p}/\\x`, `${p}/\\*`, `${p}/(x|y)+$`, `${p}/x`, `${p}/é`, `${p}/e\u0301`, ''],
];

function contextGroups(authors: Puppet[], { p }: Names): Authored[] {
  const writers = [authors[1]!, authors[2]!, authors[3]!];
  return contextsOf(p).map((context, i) => {
    const author = writers[i % writers.length]!;
    return { author, item: author.commit({ context_signature: context }) };
  });
}

/** 110 rules of one author, more than a result may hold. */
function manyGroups(author: Puppet, { p }: Names): Item[] {
  return Array.from({ length: 110 }, (_, i) =>
    author.commit({
      context_signature: `${p}/many/${String(i).padStart(3, '0')}`,
      confidence: (i % 11) / 10,
    }),
  );
}

/** Announces and serves them, and waits until all are there: a relay may bring more than ten a minute. */
async function byRelay(bench: Bench, source: Joined, items: readonly Item[]): Promise<void> {
  for (const item of items) source.manners.items.add(item);
  for (let i = 0; i < items.length; i += 100)
    tell(bench, source, { hashes: items.slice(i, i + 100).map(({ hash }) => hash), ttl: 0 });
  for (const item of items) await untilServed(bench, source, item.hash, 15_000);
}

/** Four of which two fit into an answer. */
function longGroups(author: Puppet, { long }: Names): Item[] {
  return Array.from({ length: 4 }, () => {
    const spare = commitOfSize(author, 26_000);
    const { padding } = (spare.envelope.payload as { metadata: { padding: string } }).metadata;
    return author.commit({ logic_signature: padding, context_signature: long });
  });
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
  const shown = `${type} ${JSON.stringify(filters, (_, value) => (typeof value === 'bigint' ? `${value}` : value))}`;
  bench.step(`query ${shown}`);
  const expected = answerOf(all, type, filters);
  const answer = await asker.request('query', { query_type: type, filters }, { withinMs: 10_000 });
  if (answer.type !== 'response')
    fail(`the query ${shown} was answered ${answer.errorCode} (${answer.payload?.error_message})`);
  const { results, total_count: total } = answer.object.payload as { results?: Json; total_count?: Json };
  if (total !== expected.totalCount)
    fail(`the query ${shown} counts ${total}, expected ${expected.totalCount}`);
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
  if (answer.type !== 'response' || !Array.isArray(results) || total !== 4)
    return fail(`a query with results beyond a message was answered ${answer.text.slice(0, 300)}`);
  if (results.length !== 2) fail(`of four results of 24 KB an answer holds ${results.length}, expected 2`);
  for (const [i, result] of (results as Json[]).entries()) {
    const wrong = difference(result, expected.results[i]!);
    if (wrong !== null) fail(`result ${i + 1} of a query that was cut: ${wrong.slice(0, 300)}`);
  }
}
