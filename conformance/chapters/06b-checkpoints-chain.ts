/** § 6.2 Checkpoints that a node cuts, one after another: what their hashes and signatures prove, and how they are linked. */

import { decodeBase64 } from '../../harness/wire/base64.ts';
import { buildCheckpoint, checkpointHash } from '../../harness/wire/checkpoint.ts';
import { verify } from '../../harness/wire/ed25519.ts';
import { sha256 } from '../../harness/wire/identity.ts';
import { type JsonObject, numberOf } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { emptyHash } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import type { Joined } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { type Chain, cutting, grow } from '../stage.ts';
import { checkpointOf, offer, reached, untilStandingOn } from '../states.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
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
      const node = await bench.node({ parameters: cutting });
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
      const node = await bench.node({ parameters: cutting });
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
];

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
