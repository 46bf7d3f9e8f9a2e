/** § 5.1 Gossip messages: bodies under an announced hash that are not the item which was announced. */

import { flippedBit, resigned, tampered } from '../../harness/wire/envelope.ts';
import { itemResponse } from '../../harness/wire/gossip.ts';
import { buildItem, type Item, itemHash } from '../../harness/wire/items.ts';
import type { Json, JsonObject } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { accepted, endsWith, served, stateOf, stillServed, untilServed } from '../expect.ts';
import { announcesOf, circle, expectSame, fenced, requestFor, tell } from '../gossiping.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

const refusal =
  'Profile §6: "A refused body counts against the peer that sent it (a response with refused bodies is one `INVALID_SIGNATURE` in the count of §3.2), never against its hash: the true item under that hash must still be accepted, and the good items beside it are."';

export const rows: readonly Requirement[] = [
  {
    id: 'GFM-05',
    level: 'must',
    section: '5.1',
    role: 's',
    quote: 'a hash that `item_hashes` names counts as served, whatever came under it',
    reading:
      'A body that does not hash to the announced hash, or is no valid item, is not stored and not spread; good items beside it are taken, and the true one from another peer.',
    ruling: refusal,
    mutants: [
      'fetch-by-claimed-hash',
      'fetch-unverified',
      'fetch-bad-voids-response',
      'fetch-counts-each-body',
      'refused-body-uncounted',
    ],
    needs: [],
    durationHintMs: 3_000,
    cpu: 0.4,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const [liar, honest] = around.peers;
      const observer = await (await bench.puppet('observer')).join(around.node);
      const [writer, stranger] = await bench.puppets(2, 'writer');
      liar!.manners.serveItems = false;
      for (const [what, bodyFor] of Object.entries(wrongBodies(stranger!))) {
        bench.step(`${what} under an announced hash`);
        const [item, beside] = [writer!.commit(), writer!.commit()];
        const body = bodyFor(item);
        await servesAs(bench, liar!, [item, beside], (asked) => (asked === item ? body : asked.envelope));
        await untilServed(bench, observer, beside.hash, 8_000);
        await liar!.fence();
        if ((await served(observer, item.hash)) !== null) fail(`${what} is served under the announced hash`);
        const own = itemHash(body);
        if (!valid.has(what) && (await served(observer, own)) !== null)
          fail(`${what} is served under its own hash`);
        const { hashes } = await stateOf(observer);
        if (hashes?.includes(item.hash)) fail(`a hash under which ${what} came is counted in the state`);
        honest!.manners.items.add(item);
        tell(bench, honest!, { hashes: [item.hash], topic: 'new_commit', ttl: 0 });
        const true_ = await untilServed(bench, observer, item.hash, 8_000);
        expectSame(true_, item, `the true item after ${what}`);
        await fenced(around);
        if ([item.hash, own].some((hash) => announcesOf(around, hash).length > 0))
          fail(`${what} was announced`);
      }
      const counted = await countedByResponse(bench, liar!, writer!);
      await closedAfterHundred(bench, around.node, writer!);
      return pass(
        `${Object.keys(wrongBodies(stranger!)).length} wrong bodies were refused, the items beside them and the true ones taken; ${counted}`,
      );
    },
  },
  {
    id: 'GFM-11',
    level: 'must',
    section: '5.1',
    role: 's',
    quote:
      'From the same peer a refused hash is asked for again only on a new announce (of the item, or of a checkpoint that holds it)',
    reading:
      'A bad signature under a good hash keeps neither the items beside it out nor the true item: that is taken at once from another peer or from its author, and on a new announce from the same peer, which is not asked before.',
    ruling: refusal,
    mutants: [
      'refused-hash-blacklisted',
      'refused-peer-for-ever',
      'refused-asked-again',
      'refused-author-too',
      'fetch-forged-voids-response',
    ],
    needs: [],
    durationHintMs: 4_000,
    test: async (bench) => {
      const around = await circle(bench, 3);
      const [liar, honest] = around.peers;
      const author = await bench.puppet('author');
      const direct = await author.join(around.node);
      liar!.manners.serveItems = false;
      const items = [author.commit(), author.commit(), author.commit()];
      // One before the spoilt ones, one behind them.
      const [before, behind] = [author.commit(), author.commit()];
      const spoilt = ({ envelope }: Item): JsonObject => ({
        ...envelope,
        signature: flippedBit(String(envelope.signature), 300),
      });
      const request = await servesAs(bench, liar!, [before, ...items, behind], (item) =>
        items.includes(item) ? spoilt(item) : item.envelope,
      );
      await liar!.fence();
      for (const item of [before, behind])
        if ((await served(direct, item.hash)) === null)
          fail('a good item was not taken because others of its response had a bad signature');
      for (const item of items)
        if ((await served(direct, item.hash)) !== null) fail('an item with a bad signature was taken');
      const [byOther, bySame, byAuthor] = items as [Item, Item, Item];
      bench.step('the true item from another peer');
      honest!.manners.items.add(byOther);
      tell(bench, honest!, { hashes: [byOther.hash], topic: 'new_commit', ttl: 0 });
      expectSame(await untilServed(bench, direct, byOther.hash, 8_000), byOther, 'the true item');
      bench.step('the true item from its author');
      await accepted(direct, byAuthor);
      await bench.sleep(1_200, 'requests to the peer that sent a bad body');
      await liar!.fence();
      const again = requestsFor(liar!, bySame.hash).filter((message) => message.index > request.index);
      if (again.length > 0)
        fail('a refused hash was asked for again of the same peer without a new announce');
      bench.step('the true item from the same peer, on a new announce');
      const second = await requestFor(bench, liar!, [bySame]);
      const envelopes = [bySame.envelope];
      liar!.send('gossip', itemResponse(liar!.puppet.identity.nodeId, second.id, envelopes, [bySame.hash]));
      expectSame(await untilServed(bench, direct, bySame.hash, 8_000), bySame, 'the true item');
      return pass(
        'after a bad signature the true items came from another peer, their author and the same peer',
      );
    },
  },
];

/** Bodies that do not belong under the hash of `item`. */
function wrongBodies(stranger: Puppet): Record<string, (item: Item) => JsonObject> {
  const other = (item: Item): Json => ({ ...(item.envelope.payload as JsonObject), confidence: 0.25 });
  return {
    'another valid item': () => stranger.commit().envelope,
    "the item's payload under another author": (item) =>
      buildItem(stranger, 'commit', item.envelope.payload!).envelope,
    'the item with another payload': (item) => tampered(item.envelope, ['payload'], other(item)),
    'the item with another payload, signed by somebody else': (item) =>
      resigned(tampered(item.envelope, ['payload'], other(item)), stranger.identity),
    'the item with another timestamp': (item) => tampered(item.envelope, ['timestamp'], 1_700_000_000.5),
    'the item as another type': (item) => tampered(item.envelope, ['message_type'], 'confirm'),
  };
}

/** Those of them that are items, though not the one that was asked for. */
const valid: ReadonlySet<string> = new Set(['another valid item', "the item's payload under another author"]);

const requestsFor = (connection: Joined, hash: string): Message[] =>
  connection.seen(
    (m) => m.payload?.gossip_type === 'request' && m.payload.item_hashes?.includes?.(hash) === true,
  );

/**
 * Announces the items and serves each once, with what `bodyOf` says: as many together as the node asks for at once, which may be
 * one ("≤ 100 hashes", §7). Its last request.
 */
async function servesAs(
  bench: Bench,
  from: Joined,
  items: readonly Item[],
  bodyOf: (item: Item) => JsonObject,
): Promise<Message> {
  tell(bench, from, { hashes: items.map(({ hash }) => hash), topic: 'new_commit', ttl: 0 });
  const left = new Set(items);
  const askedIn = (message: Message): Item[] =>
    [...left].filter(({ hash }) => message.payload?.item_hashes?.includes?.(hash) === true);
  for (;;) {
    const request = await from.maybe(
      (m) => m.payload?.gossip_type === 'request' && askedIn(m).length > 0,
      8_000,
    );
    if (request === null) return fail('announced items were not asked for within 8 s');
    const asked = askedIn(request);
    const names = asked.map(({ hash }) => hash);
    from.send('gossip', itemResponse(from.puppet.identity.nodeId, request.id, asked.map(bodyOf), names));
    for (const item of asked) left.delete(item);
    if (left.size === 0) return request;
  }
}

/** 120 bad bodies in three responses count as three, so that the connection stays. Of a node that asks for fewer at once nothing shows. */
async function countedByResponse(bench: Bench, liar: Joined, writer: Puppet): Promise<string> {
  bench.step('three responses with 40 bad bodies each');
  for (let round = 0; round < 3; round += 1) {
    const items = Array.from({ length: 40 }, () => writer.confirm());
    const request = await requestFor(bench, liar, items);
    if (request.payload.item_hashes.length < 40)
      return `how it counts a response with many does not show, it asks for ${request.payload.item_hashes.length} of 40 at once`;
    const bodies = items.map(({ envelope }) => tampered(envelope, ['payload', 'additional_evidence'], 9));
    const names = items.map(({ hash }) => hash);
    liar.send('gossip', itemResponse(liar.puppet.identity.nodeId, request.id, bodies, names));
  }
  await stillServed(liar);
  return '3 responses with 40 each counted as 3';
}

/** A hundred responses with a bad body each within 10 s end the connection: each counts like a bad signature. */
async function closedAfterHundred(bench: Bench, node: NodeUnderTest, writer: Puppet): Promise<void> {
  bench.step('a hundred responses with one bad body each');
  const liar = await (await bench.puppet('stubborn-liar')).peer(node, { capabilities: ['gossip'] });
  liar.manners.serveItems = false;
  const items = new Map(Array.from({ length: 100 }, () => writer.confirm()).map((item) => [item.hash, item]));
  const startedAt = performance.now();
  tell(bench, liar, { hashes: [...items.keys()], topic: 'confirm', ttl: 0 });
  const { nodeId } = liar.puppet.identity;
  for (let sent = 0; sent < 100; sent += 1) {
    const request = await liar.maybe('gossip:request', 5_000);
    if (request === null) break;
    const hash = String(request.payload.item_hashes[0]);
    const body = tampered(items.get(hash)?.envelope ?? {}, ['timestamp'], 1_700_000_000.5);
    liar.send('gossip', itemResponse(nodeId, request.id, [body], [hash]));
    if (performance.now() - startedAt > 8_000)
      return bench.note(`${sent + 1} responses took 8 s: too slow for a hundred within 10 s`);
  }
  const closed = await liar.closedWithin(5_000);
  if (closed === null) {
    await liar.fence();
    return fail('a hundred responses with bad bodies within 10 s did not end the connection');
  }
  if (!endsWith(closed, [4400]))
    fail(`a hundred bad bodies ended the connection ${closed.code}, expected 4400`);
}
