/** § 5.3 Gossip algorithm: floods of ids, and what invalid or foreign copies of a gossip must not do to a good one. */

import { canonicalWithout } from '../../harness/wire/canonical.ts';
import { signFast } from '../../harness/wire/ed25519.ts';
import { buildEnvelope, flippedBit } from '../../harness/wire/envelope.ts';
import { announce, type Changes } from '../../harness/wire/gossip.ts';
import type { Bench } from '../bench.ts';
import { accepted, untilServed } from '../expect.ts';
import {
  announced,
  announcesOf,
  type Circle,
  circle,
  expectCopies,
  fenced,
  spread,
  tell,
} from '../gossiping.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

/** "The cache is bounded per sending peer (20 000 live ids)". */
const idsPerPeer = 20_000;

export const rows: readonly Requirement[] = [
  {
    id: 'GAL-05',
    level: 'must',
    section: '4.2',
    role: 's',
    quote:
      "The cache is bounded per sending peer (20 000 live ids): what a peer sends beyond that is dropped, nobody else's entries are.",
    reading:
      'After 20 000 ids of one peer within 60 s, the ids seen before are still duplicates, those of others as well as its own; what it sends beyond is dropped, others go on.',
    mutants: [
      'gossip-cache-cleared',
      'gossip-cache-oldest-out',
      'gossip-cache-unbounded',
      'gossip-cache-five-thousand',
      'gossip-cache-full-for-all',
    ],
    needs: [],
    durationHintMs: 14_000,
    limitMs: 85_000,
    cpu: 0.5,
    test: async (bench) => {
      const around = await circle(bench, 3);
      const [source, other] = around.peers;
      const flooder = await bench.puppet('flooder', { unrecorded: true });
      const flood = await flooder.peer(around.node, { capabilities: ['gossip'] });
      const first = tell(bench, source!);
      const own = tell(bench, flood);
      await spread(bench, around, [first], 2);
      await spread(bench, around, [own], 3);
      const startedAt = performance.now();
      const next = cheapGossips(bench, flood);
      let sent = 1;
      // Ids on the way to the bound, which others are told of like any.
      const within: string[] = [];
      // All inside 60 s of the first id; a node that verifies slowly is brought to fewer.
      while (sent < idsPerPeer && performance.now() - startedAt < 35_000) {
        const chunk = Math.min(250, idsPerPeer - sent);
        bench.step(`${sent} of ${idsPerPeer} ids from one peer`);
        for (let i = 1; i < chunk; i += 1) flood.sendText(next());
        within.push(tell(bench, flood));
        await flood.fence(30_000);
        sent += chunk;
      }
      await spread(bench, around, within, 3);
      await fenced(around);
      for (const [index, id] of within.entries())
        expectCopies(around, id, 3, `id ${Math.min(1 + 250 * (index + 1), idsPerPeer)} of one peer`);
      bench.step('the ids from before the flood again');
      tell(bench, other!, { id: first });
      tell(bench, source!, { id: first });
      tell(bench, flood, { id: own });
      tell(bench, other!, { id: own });
      await flood.fence();
      await fenced(around, source!, other!);
      expectCopies(around, first, 2, `an id from before ${sent} ids of another peer`);
      expectCopies(around, own, 3, `an id from before ${sent} others of the same peer`);
      const fresh = tell(bench, source!);
      await spread(bench, around, [fresh], 2);
      if (sent < idsPerPeer)
        return pass(
          `${sent} ids were all that the node took in 35 s: those from before were still duplicates`,
        );
      const beyond = tell(bench, flood);
      await flood.fence();
      await fenced(around);
      expectCopies(around, beyond, 0, `an id beyond the ${idsPerPeer} of its peer`);
      tell(bench, other!, { id: beyond });
      await spread(bench, around, [beyond], 2);
      return pass(
        `after ${sent} ids of one peer older ones were still duplicates, and only its own were dropped`,
      );
    },
  },
  {
    id: 'GAL-09',
    level: 'must',
    section: '5.3/8.2',
    role: 's',
    quote: 'The first failure is reported, has no other effect and is not forwarded or cached.',
    reading:
      'A gossip that fails a check (signature, shape, age, size) is neither forwarded nor fetched from nor cached: a good copy with the same gossip_id goes on, whoever sends it.',
    mutants: ['cache-before-verify', 'cache-before-shape', 'cached-though-stale', 'fetched-though-malformed'],
    needs: [],
    durationHintMs: 3_000,
    cpu: 0.4,
    test: async (bench) => {
      const around = await circle(bench, 5);
      const [forger, honest] = around.peers;
      for (const [what, send] of Object.entries(invalid)) {
        bench.step(`a gossip with ${what}, then a good copy`);
        const item = (await bench.puppet(`writer of ${what}`)).commit();
        forger!.manners.items.add(item);
        honest!.manners.items.add(item);
        const id = bench.uuid();
        send(bench, forger!, { id, hash: item.hash });
        await fenced(around, forger!);
        expectCopies(around, id, 0, `a gossip with ${what}`);
        if (forger!.seen((m) => m.payload?.item_hashes?.includes?.(item.hash) === true).length > 0)
          fail(`the item of a gossip with ${what} was asked for`);
        tell(bench, bench.random.pick([forger!, honest!]), { id, hashes: [item.hash], topic: 'new_commit' });
        await spread(bench, around, [id], 3);
        await untilServed(bench, around.peers[2]!, item.hash, 8_000);
        await fenced(around);
        expectCopies(around, id, 3, `the good copy after one with ${what}`);
      }
      return pass(`${Object.keys(invalid).length} invalid gossips had no effect, their good copies went on`);
    },
  },
  {
    id: 'GAL-10',
    level: 'must',
    section: '5.3',
    role: 'n',
    quote: "So the origin's copies carry 2, a copy with 0 is processed",
    reading:
      'An announce of the node itself that comes back is a duplicate: it is not forwarded. Among three nodes, too, each sends a gossip to a peer once.',
    ruling:
      'Profile §7: "It is processed as in §5.3: check cache (60 s from first sight, keyed by `gossip_id` alone)"; the origin saw it first.',
    mutants: ['own-gossip-uncached', 'gossip-no-cache', 'fetched-announced-anew'],
    needs: [],
    durationHintMs: 4_000,
    cpu: 0.5,
    test: async (bench) => {
      const several = bench.target.abilities.has('instances');
      const around = await circle(bench, 6);
      const author = await bench.puppet('author');
      const connection = await author.join(around.node);
      for (let round = 0; round < 3; round += 1) {
        const item = author.commit();
        await accepted(connection, item);
        const copies = await announced(bench, around, item.hash, 3);
        const { gossip_id: id, origin } = copies[0]!.message.payload;
        const told = around.peers[copies[0]!.peer]!;
        const untold = around.peers.find((_, i) => !copies.some((copy) => copy.peer === i))!;
        for (const [peer, ttl] of [
          [told, 1],
          [untold, 0],
          [untold, 2],
        ] as const)
          tell(bench, peer, { id, origin, ttl, hashes: [item.hash], topic: 'new_commit' });
        await fenced(around, told, untold);
        expectCopies(around, id, 3, 'an own announce that came back three times');
      }
      await fetchedGoesOnOnce(bench, around);
      if (!several) return pass('3 own announces that came back went no further');
      return pass(`3 own announces that came back went no further; ${await threeNodes(bench)}`);
    },
  },
  {
    id: 'GAL-12',
    level: 'should',
    section: '5.3',
    role: 's',
    quote: 'check cache (60 s from first sight, keyed by `gossip_id` alone)',
    reading:
      'Of two gossips with one id and different content only the first is spread, and what the second alone names is not asked for; an invalid first one does not stand in the way of a valid second.',
    ruling:
      'Design §5.3: `if self.cache.has(message_id): return` stands before `handle_gossip_message`; a duplicate is not processed.',
    mutants: [
      'gossip-last-wins',
      'gossip-cache-by-id-and-content',
      'cache-before-verify',
      'duplicate-processed',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const around = await circle(bench, 6);
      const [squatter, origin] = around.peers;
      const [mine, theirs] = await bench.puppets(2, 'writer');
      const [first, second] = [mine!.commit().hash, theirs!.commit().hash];
      const id = bench.uuid();
      tell(bench, squatter!, { id, hashes: [first], topic: 'new_commit' });
      await spread(bench, around, [id], 3);
      tell(bench, origin!, { id, hashes: [second], topic: 'new_commit' });
      await fenced(around, origin!);
      expectCopies(around, id, 3, 'a gossip_id with two contents');
      for (const { message } of around.copies(id))
        if (message.payload.item_hashes[0] !== first)
          fail('the second content of a gossip_id was spread', message.text);
      if (
        origin!.seen(
          (m) => m.payload?.item_hashes?.includes?.(second) === true && m.payload.gossip_type === 'request',
        ).length > 0
      )
        fail('an item that only a duplicate named was asked for: "check cache, cache, process"');
      const spoilt = bench.uuid();
      badSignature(bench, squatter!, { id: spoilt, hash: first });
      await squatter!.fence();
      tell(bench, origin!, { id: spoilt, hashes: [second], topic: 'new_commit' });
      await spread(bench, around, [spoilt], 3);
      for (const { message } of around.copies(spoilt))
        if (message.payload.item_hashes[0] !== second) fail('an invalid gossip was spread', message.text);
      return pass('the first valid content of a gossip_id was spread, three copies of it, and nothing else');
    },
  },
];

/** Gossips with ttl 0 that differ in their ids alone: as text, because thousands of them are made. */
function cheapGossips(bench: Bench, from: Joined): () => string {
  const { nodeId, secret } = from.puppet.identity;
  const [messageId, gossipId] = [bench.uuid(), bench.uuid()];
  const payload = announce(nodeId, [], { topic: 'news', ttl: 0, changes: { gossip_id: gossipId } });
  const envelope = buildEnvelope(from.puppet.identity, 'gossip', payload, { messageId });
  const model = canonicalWithout(envelope, 'signature');
  return () => {
    const text = model.replace(messageId, bench.uuid()).replace(gossipId, bench.uuid());
    const signature = Buffer.from(signFast(secret, Buffer.from(text, 'latin1'))).toString('base64');
    return `${text.slice(0, -1)}, "signature": "${signature}"}`;
  };
}

interface Bad {
  id: string;
  hash: string;
}

type Send = (bench: Bench, from: Joined, bad: Bad) => void;

const payloadOf = (from: Joined, { id, hash }: Bad, changes: Changes = {}) =>
  announce(from.puppet.identity.nodeId, [hash], { changes: { gossip_id: id, ...changes } });

const badSignature: Send = (_, from, bad) => {
  const envelope = buildEnvelope(from.puppet.identity, 'gossip', payloadOf(from, bad));
  from.sendEnvelope({ ...envelope, signature: flippedBit(String(envelope.signature), 77) });
};

const changed =
  (changes: Changes): Send =>
  (_, from, bad) =>
    from.send('gossip', payloadOf(from, bad, changes));

/** By the check of §3.2 that each fails. */
const invalid: Record<string, Send> = {
  'a bad signature': badSignature,
  'a signature over something else': (_, from, bad) => {
    const other = buildEnvelope(from.puppet.identity, 'gossip', payloadOf(from, { ...bad, hash: bad.hash }));
    const envelope = buildEnvelope(from.puppet.identity, 'gossip', payloadOf(from, bad));
    from.sendEnvelope({ ...envelope, signature: other.signature! });
  },
  'a payload of more than 60 000 bytes': changed({ padding: 'x'.repeat(60_000) }),
  'a timestamp 400 s old': (_, from, bad) =>
    from.send('gossip', payloadOf(from, bad), { timestamp: Date.now() / 1000 - 400.5 }),
  'a message_id that was used before': (bench, from, bad) => {
    const messageId = bench.uuid();
    from.send('gossip', announce(from.puppet.identity.nodeId, [], { topic: 'news' }), { messageId });
    from.send('gossip', payloadOf(from, bad), { messageId });
  },
  'a negative ttl': changed({ ttl: -1 }),
  'a ttl in quotes': changed({ ttl: '2' }),
  'a topic that is no string': changed({ topic: 7 }),
  'no topics': changed({ topics: undefined }),
  'an origin that is no node id': changed({ origin: 'somebody' }),
  'an unknown gossip_type': changed({ gossip_type: 'rumour' }),
};

/** An item that came by gossip is in the three copies of that gossip, and in no announce of the node's own. */
async function fetchedGoesOnOnce(bench: Bench, around: Circle): Promise<void> {
  bench.step('an item that comes by gossip');
  const [source] = around.peers;
  const item = (await bench.puppet('writer')).commit();
  source!.manners.items.add(item);
  const id = tell(bench, source!, { hashes: [item.hash] });
  await spread(bench, around, [id], 3);
  await untilServed(bench, source!, item.hash, 8_000);
  // An announce of its own would come within 50 ms, and before that of an item that is accepted later.
  const last = (await bench.puppet('author')).confirm();
  await accepted(await (await bench.puppet('author')).join(around.node), last);
  await announced(bench, around, last.hash, 3);
  await bench.sleep(150, 'an announce of what was fetched');
  await fenced(around);
  const others = announcesOf(around, item.hash).filter(({ message }) => message.payload.gossip_id !== id);
  if (others.length > 0) fail('an item that came by gossip was announced anew', others[0]!.message.text);
}

/**
 * Three nodes that know each other, and two puppets that are peers of all: a gossip of one puppet has exactly three eligible
 * peers at the first node and two at the others, so that the other puppet gets one copy from each node and no more.
 */
async function threeNodes(bench: Bench): Promise<string> {
  bench.step('three nodes that know each other');
  const nodes: NodeUnderTest[] = [];
  for (let i = 0; i < 3; i += 1) {
    const bootstrap = nodes.map(({ host, port, publicKey }) => ({ host, port, publicKey }));
    nodes.push(await bench.node({ bootstrap }));
  }
  const [teller, listener] = await bench.puppets(2, 'beside');
  const telling = await teller!.peer(nodes[0]!, { capabilities: ['gossip'] });
  for (const node of nodes.slice(1)) await teller!.peer(node, { capabilities: ['gossip'] });
  const hearing = await Promise.all(nodes.map((node) => listener!.peer(node, { capabilities: ['gossip'] })));
  const heard = (id: string): number[] =>
    hearing.map((one) => one.seen((message) => message.payload?.gossip_id === id).length);
  await bench.waitFor('gossip that went by all three nodes', 15_000, async () => {
    const id = tell(bench, telling);
    await bench.sleep(250, 'a gossip goes by three nodes');
    return heard(id).every((copies) => copies > 0);
  });
  // Not every gossip passes by all three: where a copy with ttl 0 overtakes the one with ttl 1, its receiver forwards neither. And
  // nodes that have just met may still be dropping one of two crossing connections, and what is on it.
  const ids: string[] = [];
  const whole = (): number => ids.filter((id) => heard(id).every((copies) => copies > 0)).length;
  for (let round = 0; round < 5 && whole() < 5; round += 1) {
    for (let i = 0; i < 10; i += 1) ids.push(tell(bench, telling));
    for (let wait = 0; wait < 8 && whole() < 5; wait += 1)
      await bench.sleep(150, '10 gossips by three nodes');
  }
  if (whole() === 0) late(`none of ${ids.length} gossips came by all three nodes`);
  await bench.sleep(250, 'further copies');
  await Promise.all(hearing.map((one) => one.fence()));
  const most = Math.max(...ids.flatMap(heard));
  if (most > 1) fail(`among three nodes one of them sent a gossip ${most} times to the same peer`);
  return `of ${ids.length} gossips by three nodes ${whole()} came from each, and none twice`;
}
