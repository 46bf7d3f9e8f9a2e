/** § 5.1 Gossip messages: how long a node keeps asking, and how large and deep an item may be. */

import { canonical, type Style } from '../../harness/wire/canonical.ts';
import { itemResponse } from '../../harness/wire/gossip.ts';
import { buildItem, commitOfDepth, commitPayload, type Item, itemSize } from '../../harness/wire/items.ts';
import type { Json } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { answerTo, served, untilServed } from '../expect.ts';
import { circle, tell } from '../gossiping.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'GFM-12',
    level: 'should',
    section: '5.1',
    role: 's',
    quote: 'who is told `missing` by the announcer asks again after 250 ms, at most three times',
    reading:
      'Told `missing` by the announcer a node asks it again after a quarter of a second, and takes the item if it is there by then; after three further times, or after an answer that settles nothing, it asks no more.',
    ruling: 'Profile §7: "the rest is asked for again, while each answer settles at least one more hash".',
    mutants: [
      'missing-gives-up',
      'missing-asks-for-ever',
      'missing-asks-at-once',
      'nothing-settled-asks-on',
      'named-asked-again',
    ],
    needs: [],
    durationHintMs: 7_500,
    limitMs: 60_000,
    cpu: 0,
    test: async (bench) => {
      const around = await circle(bench, 2);
      const [announcer] = around.peers;
      announcer!.manners.serveItems = false;
      const [late, never, empty, named] = (await bench.puppets(4, 'writer')).map((puppet) =>
        puppet.commit(),
      ) as [Item, Item, Item, Item];
      const { nodeId } = announcer!.puppet.identity;
      const answer = (request: Message, items: readonly Item[], missing: readonly string[]): void => {
        const bodies = items.map(({ envelope }) => envelope);
        const names = items.map(({ hash }) => hash);
        announcer!.send('gossip', itemResponse(nodeId, request.id, bodies, names, missing));
      };
      const requested = (item: Item): Promise<Message | null> =>
        announcer!.maybe((message) => names(message, item.hash), 15_000);
      const count = (item: Item): number => announcer!.seen((message) => names(message, item.hash)).length;

      bench.step('missing once, then there');
      tell(bench, announcer!, { hashes: [late.hash], topic: 'new_commit', ttl: 0 });
      const first = (await requested(late)) ?? fail('an announced item was not asked for within 15 s');
      answer(first, [], [late.hash]);
      const saidAt = performance.now();
      const second =
        (await requested(late)) ??
        fail('an item that its announcer called missing was not asked for again in 15 s');
      const afterMs = Math.round(second.at - saidAt);
      if (afterMs < 200) fail(`a missing item was asked for again after ${afterMs} ms, expected 250 ms`);
      answer(second, [late], []);
      await untilServed(bench, around.peers[1]!, late.hash, 8_000);

      bench.step('missing every time');
      tell(bench, announcer!, { hashes: [never.hash], topic: 'new_commit', ttl: 0 });
      const until = performance.now() + 4_000;
      while (performance.now() < until) {
        const request = await announcer!.maybe((message) => names(message, never.hash), 500);
        if (request !== null) answer(request, [], [never.hash]);
      }
      const asked = count(never);
      if (asked > 4)
        fail(`an item that is missing every time was asked for ${asked} times in 4 s, expected at most 4`);
      if (asked < 2) fail(`an item that its announcer called missing was asked for ${asked} time`);

      bench.step('an answer that settles nothing');
      tell(bench, announcer!, { hashes: [empty.hash], topic: 'new_commit', ttl: 0 });
      const nothing = (await requested(empty)) ?? fail('an announced item was not asked for within 15 s');
      answer(nothing, [], []);
      await bench.sleep(1_000, 'further requests after an answer that settled nothing');
      await announcer!.fence();
      if (count(empty) > 1)
        fail(`after an answer that settled nothing the node asked ${count(empty) - 1} times more`);
      bench.step('an answer that names the hash and holds no body');
      tell(bench, announcer!, { hashes: [named.hash], topic: 'new_commit', ttl: 0 });
      const bare = (await requested(named)) ?? fail('an announced item was not asked for within 15 s');
      announcer!.send('gossip', itemResponse(nodeId, bare.id, [], [named.hash]));
      await bench.sleep(1_000, 'further requests for a hash that counts as served');
      await announcer!.fence();
      if (count(named) > 1)
        fail('a hash that item_hashes named was asked for again though it counts as served');
      return pass(`asked again after ${afterMs} ms, ${asked} times in all where it stayed missing`);
    },
  },
  {
    id: 'GFM-13',
    level: 'must',
    section: '5.1',
    role: 's',
    quote: 'JSON rules of §2, at most 32 768 bytes in canonical form, depth ≤ 28; envelope shape of §3',
    reading:
      'Items of 32 768 canonical bytes, however long they are on the wire, and of depth 28 are taken from their author and by relay and handed out again; one byte or level more is refused and has no effect.',
    ruling:
      'Profile §6: "more than 32 768 bytes `TOO_LARGE`; depth, members, no `certificate` string: `MALFORMED`". §2: "the envelope itself has depth 1".',
    mutants: [
      'item-size-unchecked',
      'item-size-one-less',
      'item-size-of-wire',
      'item-size-of-payload',
      'item-depth-unchecked',
      'item-depth-one-less',
      'item-depth-objects-only',
      'item-relay-unbounded',
    ],
    needs: [],
    durationHintMs: 3_000,
    cpu: 0.4,
    test: async (bench) => {
      const node = await bench.shared();
      const [author, carrier] = await bench.puppets(2, 'author');
      const connection = await author!.join(node);
      const relay = await carrier!.peer(node, { capabilities: ['gossip'] });
      const attempt =
        (item: Item, style: Style = {}) =>
        async () => {
          connection.sendEnvelope(item.envelope, style);
          return answerTo(connection, item.messageId, { withinMs: 8_000 });
        };
      for (const { what, code, bad, twin, style } of limits(author!)) {
        bench.step(`the twin of ${what}`);
        const taken = await attempt(twin, style)();
        if (!taken.accepted)
          fail(`the twin of ${what}, just inside the limit, was not accepted: ${taken.detail}`);
        await expectHeld(connection, twin, `the twin of ${what}`);
        bench.step(what);
        const refused = await attempt(bad, style)();
        if (refused.code !== code || refused.closed !== null)
          fail(`${what} must be refused with ${code} on a connection that stays: ${refused.detail}`);
        if ((await served(connection, bad.hash)) !== null)
          fail(`${what} was refused and is served all the same`);
      }
      for (const { what, bad, twin } of limits(carrier!)) {
        bench.step(`${what}, by relay`);
        relay.manners.items.add(bad);
        relay.manners.items.add(twin);
        // In two announces: what is refused must not take the other down with it.
        tell(bench, relay, { hashes: [bad.hash], topic: 'new_commit', ttl: 0 });
        await handedOn(relay, bad, what);
        tell(bench, relay, { hashes: [twin.hash], topic: 'new_commit', ttl: 0 });
        await handedOn(relay, twin, `the twin of ${what}`);
        await untilServed(bench, connection, twin.hash, 8_000);
        await expectHeld(connection, twin, `the relayed twin of ${what}`);
        if ((await served(connection, bad.hash)) !== null) fail(`${what} was taken by relay`);
      }
      return pass('both sides of 5 limits, from the author and by relay: what was taken is handed out whole');
    },
  },
];

const names = (message: Message, hash: string): boolean =>
  message.payload?.gossip_type === 'request' && message.payload.item_hashes?.includes?.(hash) === true;

/** The node asked for it, and what it was served has been handled. */
async function handedOn(relay: Joined, item: Item, what: string): Promise<void> {
  const request = await relay.maybe((message) => names(message, item.hash), 8_000);
  if (request === null) fail(`${what} was announced and not asked for within 8 s`);
  await relay.fence();
}

async function expectHeld(connection: Joined, item: Item, what: string): Promise<void> {
  const answer = await served(connection, item.hash);
  if (answer === null) return fail(`${what} was taken and is not handed out`);
  const bodies = (answer.object.payload as { items?: readonly Json[] }).items ?? [];
  if (canonical(bodies[0] ?? null) !== canonical(item.envelope))
    fail(`${what} is not handed out as it was signed`);
}

interface Limit {
  what: string;
  code: string;
  bad: Item;
  twin: Item;
  style: Style;
}

const most = 32_768;

function limits(author: Puppet): Limit[] {
  const size = (what: string, metadata: Json, style: Style): Limit => ({
    what,
    code: 'TOO_LARGE',
    bad: padded(author, metadata, most + 1),
    twin: padded(author, metadata, most),
    style,
  });
  return [
    size('an item of 32 769 bytes', {}, {}),
    // 6 bytes each in canonical form, 2 on the wire.
    size(
      'an item of 32 769 canonical bytes that is shorter on the wire',
      { text: 'é'.repeat(4_000) },
      { escapes: 'none' },
    ),
    size(
      'an item of 32 769 canonical bytes that is longer on the wire',
      { list: new Array<Json>(600).fill(1) },
      { indent: 4 },
    ),
    {
      what: 'an item of depth 29',
      code: 'MALFORMED',
      bad: commitOfDepth(author, 29),
      twin: commitOfDepth(author, 28),
      style: {},
    },
    {
      what: 'an item of depth 29 by lists',
      code: 'MALFORMED',
      bad: buildItem(author, 'commit', commitPayload({ metadata: { n: nested(26) } })),
      twin: buildItem(author, 'commit', commitPayload({ metadata: { n: nested(25) } })),
      style: {},
    },
  ];
}

/** Lists inside lists; envelope, payload and metadata are three levels more. */
function nested(levels: number): Json {
  let value: Json = [];
  for (let level = 1; level < levels; level += 1) value = [value];
  return value;
}

/** A commit of exactly so many canonical bytes with this metadata and some padding. */
function padded(author: Puppet, metadata: Json, bytes: number): Item {
  const timestamp = Math.floor(Date.now() / 1_000) + 0.5;
  const payload = commitPayload();
  const build = (padding: number): Item =>
    buildItem(
      author,
      'commit',
      { ...payload, metadata: { ...(metadata as { [key: string]: Json }), padding: 'x'.repeat(padding) } },
      { timestamp },
    );
  return build(bytes - itemSize(build(0).envelope));
}
