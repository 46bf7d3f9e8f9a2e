/** § 6.2 Checkpoints from others whose hash is right and whose contents are not: chain, statistics, accepted rules. */

import { encodeBase64 } from '../../harness/wire/base64.ts';
import { signatureEntry, summaryOf } from '../../harness/wire/checkpoint.ts';
import { type Identity, sha256 } from '../../harness/wire/identity.ts';
import { ruleHash } from '../../harness/wire/items.ts';
import { float, type Json, type JsonObject, numberOf } from '../../harness/wire/json.ts';
import { emptyHash } from '../../harness/wire/tree.ts';
import { pass, type Requirement } from '../requirement.ts';
import { type BadOffer, checkpointOn, refusesAll, type Stage, setStage, still } from '../stage.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'CKP-10',
    level: 'must',
    section: '6.2',
    role: 'c',
    quote:
      '`previous_hash` is 64 zeros iff height is 1; a predecessor that the receiver holds has height − 1',
    reading:
      'Refused under a right hash: entries out of order, zeros above height 1 and none at height 1, a held predecessor of another height or a later time, wrong statistics, wrong accepted_rules.',
    ruling:
      'Profile §8: "strictly ascending by key", "a timestamp not greater", "Statistics are compared as numbers", "any mismatch discards the checkpoint".',
    mutants: [
      'checkpoint-entries-unordered',
      'checkpoint-entries-twice',
      'chain-zeros-above-one',
      'chain-height-one-with-previous',
      'chain-height-of-predecessor',
      'chain-latest-predecessor-only',
      'chain-height-zero',
      'chain-time-of-predecessor',
      'chain-equal-time-refused',
      'statistics-commits-unchecked',
      'statistics-agents-unchecked',
      'statistics-agents-of-all-items',
      'statistics-mean-unchecked',
      'statistics-mean-about',
      'statistics-by-form',
      'rules-unchecked',
      'rules-as-set',
      'checkpoint-unknown-members',
    ],
    needs: ['start'],
    durationHintMs: 3_000,
    limitMs: 60_000,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node({ parameters: still });
      const agents = await bench.puppets(3, 'agent');
      const rules = [ruleHash(bench.uuid()), ruleHash(bench.uuid())];
      const items = agents.flatMap((agent, index) => [
        ...rules.map((rule) => agent.commit({ rule_hash: rule, confidence: float((index + 1) / 10) })),
        agent.commit(),
      ]);
      items.push(agents[0]!.challenge(), agents[1]!.confirm());
      // Who only challenges or confirms is no agent of the statistics.
      const [critic, witness] = await bench.puppets(2, 'bystander');
      items.push(critic!.challenge(), witness!.confirm());
      const stage = await setStage(bench, node, items);
      const orphan = checkpointOn(stage, { height: 1, previousHash: sha256('somebody') });
      await refusesAll(
        stage,
        [
          { what: 'a checkpoint of height 1 with a predecessor', checkpoint: orphan },
          { what: 'a checkpoint of height 0', checkpoint: checkpointOn(stage, { height: 0 }) },
          { what: 'a checkpoint of height −1', checkpoint: checkpointOn(stage, { height: -1 }) },
        ],
        checkpointOn(stage),
      );
      const chain = badChain(stage);
      await refusesAll(stage, chain, successor(stage));
      const summaries = badSummaries(stage);
      await refusesAll(stage, summaries, likeness(stage));
      const orders = badOrders(
        stage,
        agents.map((agent) => agent.identity),
      );
      await refusesAll(stage, orders);
      const older = stage.before[0]!;
      const skipping = checkpointOn(stage, { previousHash: String(older.hash) });
      await refusesAll(stage, [
        { what: 'a checkpoint high above a predecessor that is held', checkpoint: skipping },
      ]);
      const count = 4 + chain.length + summaries.length + orders.length;
      return pass(`${count} faults under right hashes refused, their twins adopted`);
    },
  },
];

function badChain(stage: Stage): BadOffer[] {
  const { height, hash } = stage;
  const held = numberOf(stage.stands!.timestamp);
  const made = (what: string, options: Parameters<typeof checkpointOn>[1]): BadOffer => ({
    what: `a checkpoint ${what}`,
    checkpoint: checkpointOn(stage, options),
  });
  return [
    made('above height 1 with 64 zeros for previous_hash', { previousHash: emptyHash }),
    made('two above its predecessor', { height: height + 2, previousHash: hash }),
    made('five seconds older than its predecessor', { previousHash: hash, timestamp: float(held - 5) }),
  ];
}

/** One above what the node stands on, in the same instant: "a timestamp not greater". */
function successor(stage: Stage): JsonObject {
  return checkpointOn(stage, { previousHash: stage.hash, timestamp: stage.stands!.timestamp! });
}

function badSummaries(stage: Stage): BadOffer[] {
  const { acceptedRules, statistics } = summaryOf(stage.items);
  const made = (what: string, members: Record<string, Json | undefined>): BadOffer => ({
    what: `a checkpoint ${what}`,
    checkpoint: checkpointOn(stage, { members }),
  });
  const counted = (what: string, changes: Record<string, Json | undefined>): BadOffer => {
    const changed: JsonObject = { ...statistics };
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) delete changed[key];
      else changed[key] = value;
    }
    return made(what, { statistics: changed });
  };
  const commits = numberOf(statistics.total_commits);
  const agents = numberOf(statistics.total_agents);
  const mean = numberOf(statistics.avg_confidence);
  const [first, ...others] = acceptedRules;
  return [
    counted('that counts a commit too many', { total_commits: commits + 1 }),
    counted('that counts challenges and confirms as commits', { total_commits: stage.items.size }),
    counted('that counts an agent too many', { total_agents: agents + 1 }),
    counted('that counts authors of challenges and confirms as agents', { total_agents: agents + 2 }),
    counted('with a higher mean', { avg_confidence: float(mean + 0.01) }),
    counted('with a mean that is off by 1e-9', { avg_confidence: float(mean + 1e-9) }),
    counted('without avg_confidence', { avg_confidence: undefined }),
    counted('with text for its count of commits', { total_commits: String(commits) }),
    made('without statistics', { statistics: undefined }),
    made('with text for its timestamp', { timestamp: '1700000000' }),
    made('without a timestamp', { timestamp: undefined }),
    made('that lacks an accepted rule', { accepted_rules: others }),
    made('that accepts a rule too many', { accepted_rules: [...acceptedRules, ruleHash('nobody’s')].sort() }),
    made('whose accepted rules descend', { accepted_rules: [...acceptedRules].reverse() }),
    made('that names an accepted rule twice', { accepted_rules: [first!, ...acceptedRules] }),
    made('without accepted_rules', { accepted_rules: undefined }),
  ];
}

/** Right in every number, though otherwise written, and with members that nobody knows: adopted. */
function likeness(stage: Stage): JsonObject {
  const { statistics } = summaryOf(stage.items);
  const members = {
    statistics: { ...statistics, total_commits: float(numberOf(statistics.total_commits)), median: 3 },
    remark: 'nobody knows this member',
  };
  return checkpointOn(stage, { members });
}

function badOrders(stage: Stage, signers: readonly Identity[]): BadOffer[] {
  const ascending = [...signers].sort((a, b) => Buffer.compare(a.publicKey, b.publicKey));
  const made = (what: string, order: readonly Identity[]): BadOffer => {
    const good = checkpointOn(stage);
    const entries = order.map((signer) => signatureEntry(signer, String(good.hash)));
    return { what, checkpoint: { ...good, signature: encodeBase64(Buffer.concat(entries)) } };
  };
  const [a, b, c] = ascending;
  return [
    made('a checkpoint whose signature entries descend', [...ascending].reverse()),
    made('a checkpoint whose last two signature entries descend', [a!, c!, b!]),
    made('a checkpoint with the same signature entry twice', [a!, a!]),
  ];
}
