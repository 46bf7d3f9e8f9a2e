/** § 6.2 Checkpoints too large for a message, and how often several nodes cut at once. */

import { encodeBase64 } from '../../harness/wire/base64.ts';
import { checkpointHash, signatureEntry } from '../../harness/wire/checkpoint.ts';
import { stateSyncRequest } from '../../harness/wire/gossip.ts';
import { identityFrom, sha256 } from '../../harness/wire/identity.ts';
import { ruleHash } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import { adopts, type BadOffer, checkpointOn, refusesAll, type Stage, setStage, still } from '../stage.ts';
import { checkpointOf } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

/** Rules whose hashes alone are more than 60 000 bytes of a message. */
const manyRules = 860;
/** As many as the requirement says, with --thorough. */
const allRules = 1_000;

export const rows: readonly Requirement[] = [
  {
    id: 'CKP-08',
    level: 'should',
    section: '6.2',
    role: 'c',
    quote:
      'In transit `accepted_rules` is `null` if the message would not fit: the receiver computes it before it checks `hash`.',
    reading:
      'A checkpoint over so many accepted rules that they do not fit is adopted with null in their place, refused if its hash is not that with the rules computed, and handed on with null.',
    mutants: ['rules-null-refused', 'rules-null-unchecked', 'rules-never-null'],
    needs: ['start'],
    durationHintMs: 9_000,
    limitMs: 90_000,
    cpu: 0.9,
    thorough: { durationHintMs: 12_000, limitMs: 120_000 },
    test: async (bench) => {
      const count = bench.thorough ? allRules : manyRules;
      const node = await bench.node({ parameters: still });
      const agents = await bench.puppets(3, 'agent');
      const rules = Array.from({ length: count }, () => ruleHash(bench.uuid()));
      const items = agents.flatMap((agent) => rules.map((rule) => agent.commit({ rule_hash: rule })));
      const stage = await setStage(bench, node, items);
      await adopts(stage, inTransit(checkpointOn(stage)), 60_000);
      const answer = await stage.observer.request('state_sync', stateSyncRequest(stage.hash));
      if (answer.size > 65_536) fail(`hands the checkpoint on in a message of ${answer.size} bytes`);
      if (answer.payload?.checkpoint?.accepted_rules !== null)
        fail(
          'hands a checkpoint of too many rules on with something else than null',
          answer.text.slice(0, 500),
        );
      await refusesAll(
        stage,
        badTransits(stage),
        inTransit(checkpointOn(stage, { height: stage.height + 2 })),
      );
      return pass(
        `${count} accepted rules: adopted without them, handed on without them, false hashes refused`,
      );
    },
  },
  {
    id: 'CKP-09',
    level: 'should',
    section: '6.2',
    role: 'n',
    quote: 'so that mostly one node cuts',
    reading:
      'Five nodes with an interval of 10 s cut about one checkpoint a height between them, also for an item after a quiet spell, and stand on the same one soon after.',
    ruling:
      'Profile §8: "cuts r · `checkpoint_interval_s` / 60 after that, r ≤ 10 its rank (0 the nearest) by XOR distance".',
    mutants: ['everybody-cuts', 'rank-reversed', 'rank-uncapped'],
    needs: ['start', 'instances'],
    durationHintMs: 75_000,
    limitMs: 140_000,
    cpu: 0.1,
    test: async (bench) => {
      const waits = ranks(bench);
      let misjudged: unknown = null;
      waits.catch((error: unknown) => {
        misjudged = error;
      });
      const parameters = { checkpoint_interval_s: 10 };
      const first = await bench.node({ parameters });
      const bootstrap = [{ host: first.host, port: first.port, publicKey: first.publicKey }];
      const nodes = [first, ...(await bench.nodes(4, () => ({ parameters, bootstrap })))];
      const watcher = await bench.puppet('watcher');
      const peers: Joined[] = [];
      for (const node of nodes) peers.push(await watcher.peer(node, { capabilities: ['gossip'] }));
      const cuts = (): Set<string> =>
        new Set(
          peers.flatMap((peer) =>
            peer
              .seen((m) => m.type === 'gossip' && m.payload?.topic === 'checkpoint')
              .flatMap((m) => m.payload.item_hashes as string[]),
          ),
        );
      const author = await bench.puppet('author');
      const connections: Joined[] = [];
      for (const node of nodes) connections.push(await author.join(node));
      let height = 0;
      for (let round = 0; round < 6; round += 1) {
        if (round === 2 || round === 4) await bench.sleep(11_000, 'a quiet spell of more than an interval');
        await accepted(bench.random.pick(connections), author.commit());
        height = await oneMore(bench, connections, height);
        if (misjudged !== null) throw misjudged;
      }
      const counted = cuts().size;
      const figures = `${counted} checkpoints announced for ${height} heights by 5 nodes`;
      if (counted > 2 * height + 1) late(`${figures}: everybody cuts`);
      if (counted === 0) fail('no checkpoint was announced');
      return pass(`${figures}; all stood on the same one after each; ${await waits}`);
    },
  },
];

/** Waits until all nodes stand on one checkpoint above `height`; returns its height. */
async function oneMore(bench: Bench, observers: readonly Joined[], height: number): Promise<number> {
  return bench.waitFor(`common checkpoint above height ${height}`, 40_000, async () => {
    const stands = await Promise.all(observers.map((observer) => checkpointOf(observer, null)));
    const [one] = stands;
    if (one === null || one === undefined || Number(one.height) <= height) return false;
    return stands.every((other) => other?.hash === one.hash) && Number(one.height);
  });
}

/** As it is sent where its rules do not fit. */
function inTransit(checkpoint: JsonObject): JsonObject {
  return { ...checkpoint, accepted_rules: null };
}

/** Without its rules, and with a hash that is not the one with the rules computed. */
function badTransits(stage: Stage): BadOffer[] {
  const good = checkpointOn(stage);
  const nulled = { ...good, accepted_rules: null };
  const fewer = { ...good, accepted_rules: (good.accepted_rules as string[]).slice(1) };
  return [
    {
      what: 'a checkpoint hashed with null for its rules',
      checkpoint: signedFor(stage, nulled, checkpointHash(nulled)),
    },
    {
      what: 'a checkpoint hashed with a rule less',
      checkpoint: signedFor(stage, inTransit(fewer), checkpointHash(fewer)),
    },
    {
      what: 'a checkpoint without its rules under any hash',
      checkpoint: signedFor(stage, nulled, sha256(stage.bench.uuid())),
    },
  ];
}

/** Under this hash, and truly signed for it. */
function signedFor(stage: Stage, checkpoint: JsonObject, hash: string): JsonObject {
  return { ...checkpoint, hash, signature: encodeBase64(signatureEntry(stage.author.identity, hash)) };
}

/** Two nodes whose peers are nearer to the first `previous_hash`, 64 zeros: how long after an item each of them cuts. */
async function ranks(bench: Bench): Promise<string> {
  const intervalS = 60;
  const nodes = await bench.nodes(2, () => ({ parameters: { checkpoint_interval_s: intervalS } }));
  // The farther one has room for twelve that are nearer.
  const [near, far] = nodes.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const watched = [
    { node: far!, rank: 10, peers: await beside(bench, far!, 12, 0) },
    { node: near!, rank: 2, peers: await beside(bench, near!, 2, 3) },
  ];
  await bench.sleep((intervalS + 1) * 1_000, 'the first interval goes by without an item');
  const told = watched.map(async ({ node, rank, peers }) => {
    const author = await bench.puppet('rank-author');
    const connection = await author.join(node);
    const since = performance.now();
    await accepted(connection, author.commit());
    const isTold = (): boolean =>
      peers.some(
        (peer) => peer.seen((m) => m.type === 'gossip' && m.payload?.topic === 'checkpoint').length > 0,
      );
    await bench.waitFor('checkpoint of a node with nearer peers', 25_000, isTold);
    const tookS = (performance.now() - since) / 1_000;
    const expected = (rank * intervalS) / 60;
    const figures = `a node of rank ${rank} cut after ${tookS.toFixed(2)} s, expected ${expected.toFixed(2)}`;
    if (tookS < expected - 0.35) fail(figures);
    // A node may look once a second whether it is due; a rank of 12 would be 2 s late.
    if (tookS > expected + 1.5) late(figures);
    return figures;
  });
  return (await Promise.all(told)).join(', ');
}

/** So many peers nearer to 64 zeros than the node, and so many farther. */
async function beside(bench: Bench, node: NodeUnderTest, nearer: number, farther: number): Promise<Joined[]> {
  const joined: Joined[] = [];
  let left = { nearer, farther };
  for (let i = 0; left.nearer + left.farther > 0 && i < 20_000; i += 1) {
    const seed = `${bench.target.salt}/${bench.seed}/${node.nodeId}/${i}`;
    const isNearer = identityFrom(seed).nodeId < node.nodeId;
    if (isNearer ? left.nearer === 0 : left.farther === 0) continue;
    left = isNearer ? { ...left, nearer: left.nearer - 1 } : { ...left, farther: left.farther - 1 };
    const puppet = await bench.puppet(`${node.name}-${i}`, { identity: identityFrom(seed) });
    joined.push(await puppet.peer(node, { capabilities: ['gossip'] }));
  }
  if (left.nearer + left.farther > 0) throw new Error('no keys nearer than the node in 20 000');
  return joined;
}
