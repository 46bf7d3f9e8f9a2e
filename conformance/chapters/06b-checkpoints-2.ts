/** § 6.2 Checkpoints from others: their signatures, and which of two at one height stands. */

import { encodeBase64 } from '../../harness/wire/base64.ts';
import { sealedCheckpoint, signatureEntry } from '../../harness/wire/checkpoint.ts';
import { signFast } from '../../harness/wire/ed25519.ts';
import { flippedBit } from '../../harness/wire/envelope.ts';
import { type Identity, sha256 } from '../../harness/wire/identity.ts';
import type { Json, JsonObject } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted } from '../expect.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { adopts, type BadOffer, checkpointOn, refusesAll, type Stage, setStage, still } from '../stage.ts';
import { checkpointBeside, offer, standingOn, untilJudged, untilStandingOn } from '../states.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'CKP-05',
    level: 'must',
    section: '6.2',
    role: 'c',
    quote: '`signature` = base64 of one or more `public_key(32) ‖ Ed25519(hash as ASCII)(64)`',
    reading:
      'Every entry of the signature must verify: none, half an entry, a flipped bit, another key, another message are refused. Whose keys they are is not judged.',
    mutants: [
      'checkpoint-signature-unchecked',
      'checkpoint-first-signature-only',
      'checkpoint-last-signature-only',
      'checkpoint-no-signature',
      'checkpoint-signature-length',
      'checkpoint-signature-lenient-base64',
      'checkpoint-only-own-signers',
      'checkpoint-signature-over-bytes',
    ],
    needs: ['start'],
    durationHintMs: 2_500,
    limitMs: 60_000,
    cpu: 0.4,
    test: async (bench) => {
      const stage = await setStage(bench, await bench.node({ parameters: still }));
      await adopts(stage, checkpointOn(stage));
      const signers = (await bench.puppets(3, 'signer')).map((puppet) => puppet.identity);
      const bads = badSignatures(stage, signers);
      const twin = sealedCheckpoint(checkpointOn(stage, { height: stage.height + 2 }), signers);
      await refusesAll(stage, bads, twin);
      return pass(`${bads.length} bad signatures refused; one of three strangers’ entries adopted`);
    },
  },
  {
    id: 'CKP-06',
    level: 'must',
    section: '6.2',
    role: 'c',
    quote: 'Forks of equal height are normal and end by the rule above.',
    reading:
      'Of two checkpoints at one height every node ends on that of the lower hash, whichever it heard of first, and though it cut the other one itself.',
    ruling: 'Profile §8: "*Better* = greater height, or equal height and lower hash."',
    mutants: ['fork-first-wins', 'fork-last-wins', 'fork-higher-wins', 'checkpoint-summary-unread'],
    needs: ['start', 'instances'],
    durationHintMs: 5_000,
    limitMs: 60_000,
    cpu: 0.3,
    test: async (bench) => {
      const nodes = await bench.nodes(2, () => ({ parameters: still }));
      const first = await setStage(bench, nodes[0]!);
      await adopts(first, checkpointOn(first));
      const second = await setStage(
        bench,
        nodes[1]!,
        first.items.bareHashes().map((h) => first.items.get(`rule_${h}`)!),
      );
      await adopts(second, checkpointOn(second));
      const one = checkpointOn(first, { height: 2 });
      const other = checkpointOn(first, { height: 2 });
      const [low, high] = String(one.hash) < String(other.hash) ? [one, other] : [other, one];
      await bothInOrder(first, [low!, high!]);
      await bothInOrder(second, [high!, low!]);
      const own = await forkOfOwn(bench);
      return pass(`both nodes end on ${String(low!.hash).slice(0, 12)}…; a node left ${own} that it had cut`);
    },
  },
];

function badSignatures(stage: Stage, signers: readonly Identity[]): BadOffer[] {
  const made = (what: string, spoil: (hash: string, good: string) => Json | undefined) => {
    const good = checkpointOn(stage);
    const signature = spoil(String(good.hash), String(good.signature));
    const checkpoint: JsonObject = { ...good };
    if (signature === undefined) delete checkpoint.signature;
    else checkpoint.signature = signature;
    return { what: `a checkpoint ${what}`, checkpoint };
  };
  const key = stage.author.identity;
  const [a, b] = [...signers].sort((x, y) => Buffer.compare(x.publicKey, y.publicKey));
  const entry = (by: Identity, hash: string): Buffer => signatureEntry(by, hash);
  const over = (message: Uint8Array): Buffer => Buffer.concat([key.publicKey, signFast(key.secret, message)]);
  const spoiled = (bytes: Buffer): Buffer => Buffer.from(flippedBit(bytes.toString('base64'), 400), 'base64');
  return [
    made('without a signature', () => undefined),
    made('with an empty signature', () => ''),
    made('with null for a signature', () => null),
    made('with a flipped bit in its signature', (_, good) => flippedBit(good, 500)),
    made('with a flipped bit in its key', (_, good) => flippedBit(good, 5)),
    made('signed by another key than it names', (hash) =>
      encodeBase64(Buffer.concat([a!.publicKey, entry(b!, hash).subarray(32)])),
    ),
    made('signed over the 32 bytes of its hash', (hash) => encodeBase64(over(Buffer.from(hash, 'hex')))),
    made('signed over another hash', (hash) => encodeBase64(over(Buffer.from(sha256(hash), 'latin1')))),
    made('with 95 bytes of signature', (_, good) =>
      encodeBase64(Buffer.from(good, 'base64').subarray(0, 95)),
    ),
    made('with a byte behind its signature', (_, good) =>
      encodeBase64(Buffer.concat([Buffer.from(good, 'base64'), Buffer.of(0)])),
    ),
    made('with a newline behind its signature', (_, good) => `${good}\n`),
    made('whose first of two entries is false', (hash) =>
      encodeBase64(Buffer.concat([spoiled(entry(a!, hash)), entry(b!, hash)])),
    ),
    made('whose second of two entries is false', (hash) =>
      encodeBase64(Buffer.concat([entry(a!, hash), spoiled(entry(b!, hash))])),
    ),
    made('signed by the neutral point', () => {
      // R = A = the neutral point and S = 0 satisfy the equation for any message.
      const neutral = Buffer.alloc(32);
      neutral[0] = 1;
      return encodeBase64(Buffer.concat([neutral, neutral, Buffer.alloc(32)]));
    }),
  ];
}

async function bothInOrder(stage: Stage, order: readonly JsonObject[]): Promise<void> {
  const { bench, node, observer, items } = stage;
  const low = order.map((checkpoint) => String(checkpoint.hash)).sort()[0]!;
  for (const [index, checkpoint] of order.entries()) {
    const peer = await (await bench.puppet(`fork-${index}`)).peer(node, { manners: { items } });
    const hash = offer(peer, checkpoint);
    if (hash === low) await untilStandingOn(bench, observer, hash);
    else if (index === 0) await untilStandingOn(bench, observer, hash);
    else await untilJudged(bench, peer, hash);
  }
  const stands = await standingOn(observer);
  if (stands !== low) fail(`${node.name} stands on ${stands}, the lower hash is ${low}`);
}

/** A node that cut at height 1 itself meets a peer whose summary shows a better one at that height. */
async function forkOfOwn(bench: Bench): Promise<string> {
  const node = await bench.node({ parameters: { ...still, checkpoint_interval_s: 1 } });
  const puppet = await bench.puppet('forker');
  const observer = await (await bench.puppet('watcher')).join(node);
  const item = puppet.commit();
  puppet.items.add(item);
  await accepted(await puppet.join(node), item);
  const own = await bench.waitFor('first checkpoint of a node with an interval of 1 s', 15_000, () =>
    standingOn(observer),
  );
  let than = own;
  // Twice: the question for the latest that a node asks every 10 s may explain one, not two within so short a time.
  for (const name of ['better', 'best']) {
    const better = checkpointBeside(puppet.items, [puppet.identity], { than, order: 'lower' });
    than = String(better.hash);
    const peer = await bench.puppet(name);
    await peer.peer(node, { manners: { items: puppet.items, checkpoints: [better] } });
    await untilStandingOn(bench, observer, than, 3_500);
  }
  return `${own.slice(0, 12)}…`;
}
