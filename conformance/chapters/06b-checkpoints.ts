/** § 6.2 Checkpoints that a node cuts: their members, hash and signature, the chain, and what they are over. */

import { decodeBase64 } from '../../harness/wire/base64.ts';
import { buildCheckpoint, checkpointHash, summaryOf } from '../../harness/wire/checkpoint.ts';
import { verify } from '../../harness/wire/ed25519.ts';
import { sha256 } from '../../harness/wire/identity.ts';
import { type Item, itemSet, ruleHash } from '../../harness/wire/items.ts';
import {
  float,
  isInteger,
  isNumber,
  isObject,
  type Json,
  type JsonObject,
  numberOf,
} from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { emptyHash, stateRoot } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { type Chain, grow } from '../stage.ts';
import { checkpointOf, offer, reached, standingOn, untilStandingOn } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

/** A node alone cuts every second; what its peers have does not reach it by rounds. */
const cutting = { parameters: { checkpoint_interval_s: 1, anti_entropy_interval_s: 0 } } as const;

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
      const node = await bench.node(cutting);
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
    id: 'CKP-02',
    level: 'must',
    section: '6.2',
    role: 's',
    quote: '`hash` = SHA-256 hex of the canonical form of the checkpoint without `hash` and `signature`',
    reading:
      'The hash of a checkpoint recomputes, and each entry of its signature verifies over the text of the hash.',
    mutants: [
      'checkpoint-random-hash',
      'checkpoint-hash-with-signature',
      'checkpoint-signature-over-bytes',
      'checkpoint-signature-raw',
      'checkpoint-hash-compact',
    ],
    needs: ['start'],
    durationHintMs: 3_500,
    cpu: 0.1,
    test: async (bench) => {
      const node = await bench.node(cutting);
      const observer = await (await bench.puppet('observer')).join(node);
      const chain = await grow(bench, node, observer, 2);
      for (const { checkpoint } of chain) {
        const truth = checkpointHash(checkpoint);
        if (checkpoint.hash !== truth)
          fail(
            `checkpoint ${checkpoint.height} says hash ${checkpoint.hash}, it hashes to ${truth}`,
            checkpoint,
          );
        checkSignature(checkpoint);
      }
      return pass('the hashes and signatures of 2 checkpoints recompute');
    },
  },
  {
    id: 'CKP-03',
    level: 'must',
    section: '6.2',
    role: 's',
    quote: '`previous_hash` (64 zeros at height 1)',
    reading:
      'Checkpoints chain: height 1 has 64 zeros, each further one the hash of what the node stood on, a height one greater and no lower timestamp; also after one that it adopted.',
    ruling:
      'Profile §8: "cuts the next (height + 1) and gossips its hash on topic `checkpoint`. It is due `checkpoint_interval_s` after its last cut or adoption".',
    mutants: [
      'chain-null-link',
      'chain-gap',
      'chain-self-link',
      'checkpoint-not-announced',
      'checkpoint-announced-as-item',
      'cuts-at-once',
      'adoption-starts-no-wait',
    ],
    needs: ['start'],
    durationHintMs: 9_000,
    cpu: 0.1,
    test: async (bench) => {
      const node = await bench.node(cutting);
      const observer = await (await bench.puppet('observer')).join(node);
      const peer = await (await bench.puppet('peer')).peer(node, { capabilities: ['gossip'] });
      const chain = await grow(bench, node, observer, 3);
      await announced(bench, observer, peer, node, chain);
      await walkBack(observer, chain.at(-1)!.checkpoint, 3);
      const adopted = await adoptsAnother(bench, node, observer);
      const next = await bench.waitFor('the checkpoint after an adopted one', 15_000, async () => {
        const latest = await checkpointOf(observer, null);
        return latest !== null && latest.hash !== adopted.checkpoint.hash && latest;
      });
      checkLink(next, adopted.checkpoint);
      const afterMs = performance.now() - adopted.offeredAt;
      if (afterMs < 850)
        fail(`cut ${Math.round(afterMs)} ms after it was offered another one, the interval is 1 s`);
      return pass(
        `3 checkpoints chain down to 64 zeros, and ${next.height} follows the adopted ${adopted.checkpoint.height}`,
      );
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
      const nodes = await bench.nodes(2, () => cutting);
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
  if (JSON.stringify(accepted_rules) !== JSON.stringify(truth.acceptedRules))
    fail(`accepted_rules are ${JSON.stringify(accepted_rules)}`, truth.acceptedRules);
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

/** Neumaier's sum, as Python's `sum` of floats. */
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

function checkSignature(checkpoint: JsonObject): void {
  const bytes = Buffer.from(decodeBase64(checkpoint.signature) ?? []);
  if (bytes.length === 0 || bytes.length % 96 !== 0) fail(`a signature of ${bytes.length} bytes`, checkpoint);
  const message = Buffer.from(String(checkpoint.hash), 'latin1');
  for (let at = 0; at < bytes.length; at += 96) {
    if (!verify(bytes.subarray(at, at + 32), message, bytes.subarray(at + 32, at + 96)))
      fail(`entry ${at / 96 + 1} of the signature does not verify over the hash`, checkpoint);
    if (at > 0 && Buffer.compare(bytes.subarray(at - 96, at - 64), bytes.subarray(at, at + 32)) >= 0)
      fail('the entries of the signature do not ascend', checkpoint);
  }
}

async function walkBack(observer: Joined, latest: JsonObject, least: number): Promise<void> {
  let at = latest;
  for (let steps = 1; at.previous_hash !== emptyHash; steps += 1) {
    const before = await checkpointOf(observer, String(at.previous_hash));
    if (before === null) return fail(`the predecessor of checkpoint ${at.height} is not served`, at);
    checkLink(at, before);
    at = before;
    if (steps > 20) fail('a chain of more than 20 checkpoints in a node that cut 3');
  }
  if (at.height !== 1) fail(`a checkpoint of height ${at.height} has 64 zeros for previous_hash`, at);
  if (Number(latest.height) < least)
    fail(`${least} checkpoints one after another end at height ${latest.height}`);
}

function checkLink(next: JsonObject, before: JsonObject): void {
  if (next.previous_hash !== before.hash)
    fail(
      `checkpoint ${next.height} names ${next.previous_hash} as its predecessor, not ${before.hash}`,
      next,
    );
  if (Number(next.height) !== Number(before.height) + 1)
    fail(`after height ${before.height} comes ${next.height}`, next);
  if (numberOf(next.timestamp) < numberOf(before.timestamp))
    fail(`checkpoint ${next.height} is older than its predecessor`, next);
}

/** Each cut was told on topic `checkpoint` by its bare hash, and none came before its interval was over. */
async function announced(
  bench: Bench,
  observer: Joined,
  peer: Joined,
  node: NodeUnderTest,
  chain: Chain,
): Promise<void> {
  for (const { hash } of chain) {
    const told = (): Message[] =>
      peer.seen((m) => m.payload?.gossip_type === 'announce' && m.payload.item_hashes?.includes(hash));
    await reached(bench, observer, 'announce of a checkpoint', 8_000, async () => told().length > 0);
    const { topic, ttl, origin } = told()[0]!.payload;
    if (topic !== 'checkpoint' || ttl !== 2 || origin !== node.nodeId)
      fail(`a checkpoint was announced on topic ${topic} with ttl ${ttl} and origin ${origin}`);
  }
  const times = chain.map(({ checkpoint }) => numberOf(checkpoint.timestamp));
  const gaps = times.slice(1).map((time, index) => time - times[index]!);
  const early = gaps.find((gap) => gap < 0.85);
  if (early !== undefined) fail(`cut ${early.toFixed(3)} s after its last one, the interval is 1 s`);
}

/** A peer brings a higher checkpoint over an item more; afterwards another item makes the node cut again. */
async function adoptsAnother(
  bench: Bench,
  node: NodeUnderTest,
  observer: Joined,
): Promise<{ checkpoint: JsonObject; offeredAt: number }> {
  const puppet = await bench.puppet('other');
  const peer = await puppet.peer(node);
  // The last cut is so long ago that it is no reason to wait: only the adoption is one.
  await bench.sleep(1_200, 'an interval in which nothing changes');
  puppet.items.add(puppet.commit());
  const { height } = (await checkpointOf(observer, null))!;
  const options = { height: Number(height) + 2, previousHash: sha256('elsewhere') };
  const checkpoint = buildCheckpoint(puppet.items, [puppet.identity], options);
  const offeredAt = performance.now();
  await untilStandingOn(bench, observer, offer(peer, checkpoint));
  return { checkpoint, offeredAt };
}
