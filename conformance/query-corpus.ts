/**
 * The commits that queries are asked over: their authors, their names, and groups of commits that tell wrong ways of grouping,
 * counting and averaging from the right one. Builds items only; what a query must answer is query-model.ts.
 */

import { buildItem, commitOfSize, commitPayload, type Item } from '../harness/wire/items.ts';
import { float, type Json, type JsonObject } from '../harness/wire/json.ts';
import type { Bench } from './bench.ts';
import type { Puppet } from './puppet.ts';
import { compensated, meanInOrder } from './query-model.ts';

interface Authored {
  item: Item;
  author: Puppet;
}

/** What tells these commits from those that a node had before: nothing where it had none. */
export interface Names {
  /** Every context but the empty one begins with it. */
  readonly p: string;
  readonly long: string;
  /** Behind every agent's name. */
  readonly mark: string;
  /** Two rules with the fewest digits there may be. */
  readonly stem: string;
  readonly split: string;
}

export function namesFor(mark: string): Names {
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
export async function authorsOf(bench: Bench): Promise<Puppet[]> {
  const agents = ['agent_Zed', 'agent_abe', 'agent_abe', 'agent_-9'].map((agent) => agent + bench.mark);
  return Promise.all(agents.map((agentId, i) => bench.puppet(`author-${i + 1}`, { agentId })));
}

/** What the authors hand in themselves; the group of the mean comes first. */
export function authoredGroups(bench: Bench, authors: Puppet[], names: Names): Authored[] {
  return [
    ...meanGroup(bench, authors, names),
    ...smallGroups(authors, names),
    ...contextGroups(authors, names),
  ];
}

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
export function manyGroups(author: Puppet, { p }: Names): Item[] {
  return Array.from({ length: 110 }, (_, i) =>
    author.commit({
      context_signature: `${p}/many/${String(i).padStart(3, '0')}`,
      confidence: (i % 11) / 10,
    }),
  );
}

/** Four of which two fit into an answer. */
export function longGroups(author: Puppet, { long }: Names): Item[] {
  return Array.from({ length: 4 }, () => {
    const spare = commitOfSize(author, 26_000);
    const { padding } = (spare.envelope.payload as { metadata: { padding: string } }).metadata;
    return author.commit({ logic_signature: padding, context_signature: long });
  });
}
