/** § 6.2 Checkpoints that a node cuts, and what they say of its state: their members, their numbers, and their root. */

import { decodeBase64 } from '../../harness/wire/base64.ts';
import { summaryOf } from '../../harness/wire/checkpoint.ts';
import { type Item, itemSet, ruleHash } from '../../harness/wire/items.ts';
import {
  float,
  isInteger,
  isNumber,
  isObject,
  type Json,
  type JsonObject,
  numberOf,
  readable,
} from '../../harness/wire/json.ts';
import { stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { compensated } from '../query-model.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { cutting, grow } from '../stage.ts';
import { checkpointOf, standingOn } from '../states.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'CKP-01',
    level: 'must',
    section: '6.2',
    role: 's',
    quote:
      '`accepted_rules` (sorted rule_hashes with commits of ≥ 3 distinct agents), `statistics{total_commits, total_agents, avg_confidence}`',
    reading:
      'A checkpoint has all its members in their forms; its numbers are those of the commits in the state, 0.0 for the mean of none; a node cuts none while it is empty or nothing is new.',
    ruling:
      'Profile §8: "mean of `confidence` over all commits as in §6, 0.0 if none"; §6: "IEEE doubles added left to right from 0.0, one division", in item-hash order.',
    mutants: [
      'statistics-nan-for-none',
      'checkpoint-in-milliseconds',
      'statistics-count-items',
      'statistics-agents-by-commit',
      'statistics-mean-by-arrival',
      'statistics-mean-compensated',
      'statistics-mean-rounded',
      'rules-unsorted',
      'rules-of-two-agents',
      'cuts-unchanged',
    ],
    needs: ['start'],
    durationHintMs: 9_500,
    cpu: 0.1,
    test: async (bench) => {
      const node = await bench.node({ parameters: cutting });
      const observer = await (await bench.puppet('observer')).join(node);
      await bench.sleep(2_500, 'two intervals without an item');
      if ((await standingOn(observer)) !== null) fail('a node without items cut a checkpoint');
      const [first] = await grow(bench, node, observer, 1, (author) => author.challenge());
      const lone = { total_commits: 0, total_agents: 0, avg_confidence: 0 };
      checkMembers(first!.checkpoint, { acceptedRules: [], statistics: lone });
      const authors = [
        await bench.puppet('author-a', { agentId: 'agent_twice' }),
        await bench.puppet('author-b', { agentId: 'agent_twice' }),
        ...(await bench.puppets(2, 'author')),
      ];
      const items = unevenly(bench, authors);
      for (const author of authors) {
        const connection = await author.join(node);
        for (const { by, item } of items) if (by === author) await accepted(connection, item);
      }
      const set = itemSet(items.map(({ item }) => item));
      const root = stateRoot([...set.bareHashes(), ...first!.hashes]);
      const latest = await untilOver(bench, observer, root);
      checkMembers(latest, summaryOf(set));
      await bench.sleep(2_500, 'two intervals without a new item');
      const after = await standingOn(observer);
      if (after !== latest.hash) fail('a node whose state is that of its checkpoint cut another one');
      const mean = numberOf((latest.statistics as JsonObject).avg_confidence);
      return pass(`${items.length} commits of 3 agents: mean ${mean}, 2 accepted rules; no idle cuts`);
    },
  },
  {
    id: 'CKP-04',
    level: 'must',
    section: '6.2',
    role: 's',
    quote: '`state_root` = hash(""). [R] It depends on the set alone, not on order.',
    reading: 'The state_root of a checkpoint is that of the items at its time, in whatever order they came.',
    mutants: ['tree-in-order-of-arrival', 'checkpoint-root-of-hashes', 'tree-leaf-sixteen'],
    needs: ['start', 'instances'],
    durationHintMs: 4_500,
    cpu: 0.3,
    test: async (bench) => {
      const nodes = await bench.nodes(2, () => ({ parameters: cutting }));
      const authors = await bench.puppets(5, 'author');
      const items = authors.flatMap((by) => Array.from({ length: 5 }, () => ({ by, item: by.commit() })));
      const root = stateRoot(items.map(({ item }) => item.hash.slice(5)));
      const orders = [items, [...items].reverse()];
      const seen: string[] = [];
      for (const [index, node] of nodes.entries()) {
        const observer = await (await bench.puppet('observer')).join(node);
        const joined = new Map<Puppet, Joined>();
        for (const by of authors) joined.set(by, await by.join(node));
        for (const { by, item } of orders[index]!) await accepted(joined.get(by)!, item);
        const checkpoint = await untilOver(bench, observer, root);
        seen.push(String(checkpoint.state_root));
      }
      return pass(`25 items in two orders: both nodes cut over ${seen[0]!.slice(0, 12)}…, which recomputes`);
    },
  },
];

const hex64 = /^[0-9a-f]{64}$/;

/** Waits for the checkpoint over exactly this state; another root with all items in it fails in the end. */
async function untilOver(bench: Bench, observer: Joined, root: string): Promise<JsonObject> {
  let last: JsonObject | null = null;
  for (let i = 0; i < 60; i += 1) {
    last = await checkpointOf(observer, null);
    if (last !== null && last.state_root === root) return last;
    await bench.sleep(200, 'waiting for a checkpoint over the whole state');
  }
  return fail(`no checkpoint over the state ${root} within 12 s; the latest is over ${last?.state_root}`);
}

function checkMembers(
  checkpoint: JsonObject,
  truth: { acceptedRules: readonly string[]; statistics: JsonObject },
): void {
  const wrong: (what: string) => never = (what) => fail(`a checkpoint ${what}`, checkpoint);
  const { height, hash, previous_hash, timestamp, state_root, accepted_rules, statistics, signature } =
    checkpoint;
  if (!isInteger(height) || height < 1) wrong('has no height that is an integer of at least 1');
  for (const each of [hash, previous_hash, state_root])
    if (!hex64.test(String(each))) wrong('has no hash, previous_hash or state_root of 64 digits');
  if (!isNumber(timestamp)) wrong('has no timestamp that is a number');
  if (Math.abs(numberOf(timestamp) - Date.now() / 1000) > 60) wrong('was not cut now, in Unix seconds');
  if (!Array.isArray(accepted_rules)) wrong('has no array accepted_rules');
  if (!isObject(statistics)) wrong('has no statistics');
  const bytes = decodeBase64(signature);
  if (bytes === null || bytes.length === 0 || bytes.length % 96 !== 0)
    wrong('has no signature of 96 bytes an entry');
  if (readable(accepted_rules) !== readable(truth.acceptedRules))
    fail(`accepted_rules are ${readable(accepted_rules)}`, truth.acceptedRules);
  for (const name of ['total_commits', 'total_agents', 'avg_confidence']) {
    const value: Json | undefined = statistics[name];
    if (!isNumber(value)) wrong(`has no ${name} that is a number`);
    if (numberOf(value) !== numberOf(truth.statistics[name]))
      fail(`${name} is ${numberOf(value)}, expected ${numberOf(truth.statistics[name])}`, checkpoint);
  }
}

/**
 * Commits of three agents (four keys) whose mean in item-hash order is another than in order of arrival and another than an
 * exact sum gives; two rules have all three agents, one has two agents by three keys.
 */
function unevenly(bench: Bench, authors: readonly Puppet[]): { by: Puppet; item: Item }[] {
  // Descending, so that their order of arrival is not the one they are listed in.
  const names = ['a', 'b', 'c'].map((name) => ruleHash(`${bench.uuid()} ${name}`));
  const rules = names.sort().reverse();
  for (let draw = 0; draw < 500; draw += 1) {
    const items = authors.flatMap((by, index) =>
      rules
        .filter((_, rule) => rule < 2 || index < 3)
        .map((rule) => ({
          by,
          item: by.commit({ rule_hash: rule, confidence: float(bench.random.float() / 3) }),
        })),
    );
    const confidence = (item: Item): number => numberOf((item.envelope.payload as JsonObject).confidence);
    const arrival = items.map(({ item }) => confidence(item));
    const sorted = [...items]
      .sort((a, b) => (a.item.hash < b.item.hash ? -1 : 1))
      .map(({ item }) => confidence(item));
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    if (mean(arrival) !== mean(sorted) && compensated(sorted) / sorted.length !== mean(sorted)) return items;
  }
  throw new Error('no commits whose mean depends on the order of addition');
}
