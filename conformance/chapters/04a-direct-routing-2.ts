/** § 4.1 Direct routing: an item that comes again, and queries that are wrong or cruel. */

import { flippedBit } from '../../harness/wire/envelope.ts';
import { buildItem, commitPayload, type Item } from '../../harness/wire/items.ts';
import { float, type Json, raw } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { accepted, answerTo, query, refusedWithTwin, served, stillServed, untilServed } from '../expect.ts';
import { announced, announcesOf, type Circle, circle, fenced, tell } from '../gossiping.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'DIR-06',
    level: 'must',
    section: '4.1',
    role: 's',
    quote:
      'A commit, challenge or confirm whose item the node already holds (or is storing: then the answer waits) is answered `known` after check 7, whatever its age and however often it was seen; it counts against no limit and is not announced.',
    reading:
      'An item that is held is answered known to its author as often as it comes, on any connection, at any age and beyond the rate limit, if its signature is good; it takes effect once, is not counted and not announced again, nor for the first time if it came by relay.',
    mutants: [
      'known-stale',
      'known-replayed',
      'known-accepted-again',
      'known-counted',
      'known-limited',
      'known-announced',
      'known-from-relay-announced',
      'known-before-signature',
      'known-by-message-id',
      'known-while-storing-refused',
      'known-adds-again',
      'old-item-taken',
    ],
    needs: [],
    durationHintMs: 3_000,
    cpu: 0.3,
    test: async (bench) => {
      const around = await circle(bench, 3);
      const author = await bench.puppet('author');
      const first = await author.join(around.node);
      await again(bench, around, author, first);
      await atTheLimit(bench, around, first, author);
      await relayedBefore(bench, around);
      return pass(
        'held items were answered known: repeated, on other connections, 10 minutes old, at the limit',
      );
    },
  },
  {
    id: 'DIR-08',
    level: 'should',
    section: '4.1',
    role: 's',
    quote:
      '`limit`: absent 100, larger counts as 100, 0 allowed, negative or no integer `MALFORMED`, as is a `min_confidence` that is no number',
    reading:
      'A query of an unknown type, without the filter that its type names or with one that is no string, with a limit that is negative or no integer, or a min_confidence that is no number, is MALFORMED.',
    ruling:
      'Profile §6: "The filter that the query type names is required and a string, its form is not checked".',
    mutants: [
      'query-limit-negative-taken',
      'query-limit-any-number',
      'query-limit-text-taken',
      'query-min-confidence-any',
      'query-filter-defaults',
      'query-pattern-defaults',
      'query-type-defaults',
      'query-filters-absent-taken',
    ],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const askers = await bench.puppets(2, 'asker');
      const connections = await Promise.all(askers.map((puppet) => puppet.join(node)));
      for (const [index, [what, payload]] of Object.entries(wrongQueries).entries()) {
        const connection = connections[index % connections.length]!;
        const attempt = (asked: Json) => async () => answerTo(connection, connection.send('query', asked));
        await refusedWithTwin(bench, {
          what,
          bad: attempt(payload),
          twin: attempt({
            query_type: 'by_hash',
            filters: { rule_hash: 'rule_0', limit: 5, min_confidence: 0 },
          }),
          code: 'MALFORMED',
          close: null,
        });
      }
      return pass(`${Object.keys(wrongQueries).length} wrong queries were refused`);
    },
  },
  {
    id: 'DIR-09',
    level: 'should',
    section: '4.1',
    role: 's',
    quote:
      '(`*` any run, `?` one code point, everything else literal; whole string; case-sensitive; at most 256 code points, else `MALFORMED`; time O(pattern × text))',
    reading:
      'A pattern of more than 256 code points is refused, one of 256 is not, however many bytes they take; no pattern keeps the node busy for longer than pattern times text.',
    mutants: [
      'glob-backtracks',
      'glob-regex-backtracks',
      'glob-long-taken',
      'glob-counts-units',
      'glob-counts-bytes',
      'glob-one-less',
    ],
    needs: [],
    durationHintMs: 3_000,
    limitMs: 90_000,
    cpu: 0.4,
    test: async (bench) => {
      const node = await bench.node();
      const [author, asker] = await bench.puppets(2, 'side');
      const connection = await author!.join(node);
      const asking = await asker!.join(node);
      const start = `cruel${bench.mark} `;
      const context = `${start}${'a'.repeat(29_000)}`;
      const smiles = `${bench.mark}${'😀'.repeat(256 - bench.mark.length)}`;
      await accepted(connection, author!.commit({ context_signature: context }));
      await accepted(connection, author!.commit({ context_signature: smiles }));
      bench.step('patterns of 256 and 257 code points');
      const lengths = [
        `${start}*${'a'.repeat(255 - start.length)}`,
        smiles,
        `${start}${'?'.repeat(255 - start.length)}*`,
        `${start}${'*'.repeat(256 - start.length)}`,
      ];
      for (const pattern of lengths) {
        const attempt = (tried: string) => async () =>
          answerTo(
            asking,
            asking.send('query', { query_type: 'by_context', filters: { context_pattern: tried } }),
            {
              withinMs: 10_000,
            },
          );
        const taken = await attempt(pattern)();
        if (!taken.accepted) fail(`a pattern of 256 code points was refused: ${taken.detail}`, pattern);
        const found = await query(asking, 'by_context', { context_pattern: pattern });
        if (found.totalCount !== 1)
          fail(`a pattern of 256 code points matches ${found.totalCount} contexts, expected 1`, pattern);
        const refused = await attempt(`${pattern}?`)();
        if (refused.code !== 'MALFORMED')
          fail(`a pattern of 257 code points must be MALFORMED: ${refused.detail}`, pattern);
      }
      bench.step('cruel patterns against a text of 29 000 characters');
      const cruel = [
        `${start.slice(0, 6)}${'*a'.repeat(120)}b`,
        `*${'a*'.repeat(120)}b*`,
        `${'*?'.repeat(120)}b`,
        `${'a?*'.repeat(80)}b`,
      ];
      let slowest = 0;
      for (const pattern of cruel) {
        const startedAt = performance.now();
        const id = asking.send('query', { query_type: 'by_context', filters: { context_pattern: pattern } });
        const answer = await asking.maybe((message: Message) => message.requestId === id, 20_000);
        slowest = Math.max(slowest, performance.now() - startedAt);
        if (answer === null)
          fail('a pattern of 241 characters keeps the node busy for more than 20 s', pattern);
        if (answer.payload?.total_count !== 0)
          fail(`a pattern that matches nothing was answered ${answer.text.slice(0, 300)}`, pattern);
      }
      await stillServed(connection);
      return pass(`${cruel.length} cruel patterns took at most ${Math.round(slowest)} ms`);
    },
  },
];

const status = (message: Message): string =>
  message.type === 'response' ? String(message.payload?.status) : `${message.type} ${message.errorCode}`;

/** Sends an item and expects this status, or this error code. */
async function expectStatus(connection: Joined, item: Item, wanted: string, what: string): Promise<void> {
  connection.sendEnvelope(item.envelope);
  const answer = await connection.answer(item.messageId, 8_000);
  const got = answer.type === 'error' ? answer.errorCode : answer.payload?.status;
  if (got !== wanted) fail(`${what} was answered ${status(answer)}, expected ${wanted}`, answer.text);
  if (wanted === 'known' && answer.payload?.item_hash !== item.hash)
    fail(`${what} was answered with the hash ${answer.payload?.item_hash}, expected ${item.hash}`);
}

/** Each type again at once, later, on other connections and with a spoilt signature; one effect and one announce. */
async function again(bench: Bench, around: Circle, author: Puppet, first: Joined): Promise<void> {
  bench.step('the same items again');
  const rule = { rule_hash: `rule_${bench.uuid().replaceAll('-', '')}` };
  const items = [author.commit({ ...rule, confidence: 0.25 }), author.challenge(), author.confirm(rule)];
  const second = await author.join(around.node);
  const member = await author.peer(around.node, { capabilities: [] });
  for (const item of items) {
    const type = String(item.envelope.message_type);
    first.sendEnvelope(item.envelope);
    first.sendEnvelope(item.envelope);
    const both = [await first.answer(item.messageId, 8_000), await first.answer(item.messageId, 8_000)];
    if (both.map(status).sort().join() !== 'accepted,known')
      fail(
        `a ${type} sent twice at once was answered ${both.map(status).join(' and ')}, expected accepted and known`,
      );
    await announced(bench, around, item.hash, 3);
    for (const connection of [first, second, member])
      await expectStatus(connection, item, 'known', `a ${type} sent again`);
    const signature = flippedBit(String(item.envelope.signature), 9);
    const spoilt = { ...item, envelope: { ...item.envelope, signature } };
    await expectStatus(second, spoilt, 'INVALID_SIGNATURE', `a held ${type} with a bad signature`);
  }
  const other = author.commit({ ...rule, confidence: 0.75 });
  await accepted(first, other);
  await announced(bench, around, other.hash, 3);
  const { results } = await query(second, 'by_hash', rule);
  if (results[0]?.confidence !== 0.5)
    fail(`the mean of 0.25, sent five times, and 0.75 is ${results[0]?.confidence}, expected 0.5`);
  await announcedAtMost(bench, around, [...items, other], 1);
}

/** An announce may be 50 ms behind an answer, but not behind that of an item of its type which is accepted after that. */
async function announcedAtMost(
  bench: Bench,
  around: Circle,
  items: readonly Item[],
  most: number,
): Promise<void> {
  await bench.sleep(100, 'items that may share an announce are announced');
  const onlooker = await bench.puppet('onlooker');
  const connection = await onlooker.join(around.node);
  for (const later of [onlooker.commit(), onlooker.challenge(), onlooker.confirm()]) {
    await accepted(connection, later);
    await announced(bench, around, later.hash, around.peers.length);
  }
  await connection.close();
  await fenced(around);
  for (const item of items) {
    const ids = new Set(announcesOf(around, item.hash).map(({ message }) => message.payload.gossip_id));
    if (ids.size > most)
      fail(`an item that came again was announced ${ids.size} times, expected at most ${most}`, [...ids]);
  }
}

/** Four of ten are used up. Sending them 12 times more must leave six, and what is held is known at the limit, too. */
async function atTheLimit(bench: Bench, around: Circle, first: Joined, author: Puppet): Promise<void> {
  bench.step('items again before and at the rate limit');
  const held = author.commit();
  await accepted(first, held);
  for (let i = 0; i < 12; i += 1) await expectStatus(first, held, 'known', 'a commit sent again');
  for (let i = 0; i < 5; i += 1)
    await expectStatus(first, author.confirm(), 'accepted', `item ${i + 6} of 10 beside 23 that were known`);
  await expectStatus(first, author.commit(), 'RATE_LIMIT', 'item 11 of a minute');
  await expectStatus(first, held, 'known', 'a held commit at the rate limit');
  await announcedAtMost(bench, around, [held], 1);
}

/** An item that came by relay, 10 minutes old: known to its author; another one of that age is STALE and has no effect. */
async function relayedBefore(bench: Bench, around: Circle): Promise<void> {
  bench.step('an item 10 minutes old that came by relay');
  const writer = await bench.puppet('writer');
  const connection = await writer.join(around.node);
  const old = (): Item =>
    buildItem(writer, 'commit', commitPayload(), { timestamp: float(Date.now() / 1_000 - 600.25) });
  const [relayed, unknown] = [old(), old()];
  const [source] = around.peers;
  source!.manners.items.add(relayed);
  tell(bench, source!, { hashes: [relayed.hash], topic: 'new_commit', ttl: 0 });
  await untilServed(bench, connection, relayed.hash, 8_000);
  await expectStatus(connection, relayed, 'known', 'a commit of 10 minutes ago that came by relay before');
  await expectStatus(connection, unknown, 'STALE', 'an unknown commit of 10 minutes ago');
  if ((await served(connection, unknown.hash)) !== null) fail('a commit that was refused as STALE is held');
  // It was told of with ttl 0, and its author brought nothing new: nobody in the circle hears of it.
  await announcedAtMost(bench, around, [relayed], 0);
}

const wrongQueries: Record<string, Json> = {
  'a query with limit -1': { query_type: 'by_hash', filters: { rule_hash: 'rule_0', limit: -1 } },
  'a query with limit 2.5': { query_type: 'by_hash', filters: { rule_hash: 'rule_0', limit: 2.5 } },
  'a query with limit 1.0': { query_type: 'by_hash', filters: { rule_hash: 'rule_0', limit: float(1) } },
  'a query with limit 1e1': {
    query_type: 'by_hash',
    filters: { rule_hash: 'rule_0', limit: raw('1e1', '10.0') },
  },
  'a query with limit "5"': { query_type: 'by_hash', filters: { rule_hash: 'rule_0', limit: '5' } },
  'a query with limit null': { query_type: 'by_hash', filters: { rule_hash: 'rule_0', limit: null } },
  'a query with limit true': { query_type: 'by_hash', filters: { rule_hash: 'rule_0', limit: true } },
  'a query with min_confidence "0.5"': {
    query_type: 'by_hash',
    filters: { rule_hash: 'rule_0', min_confidence: '0.5' },
  },
  'a query with min_confidence null': {
    query_type: 'by_hash',
    filters: { rule_hash: 'rule_0', min_confidence: null },
  },
  'a query by_hash without rule_hash': { query_type: 'by_hash', filters: { agent_id: 'agent_x' } },
  'a query by_hash with a rule_hash that is no string': { query_type: 'by_hash', filters: { rule_hash: 7 } },
  'a query by_agent without agent_id': { query_type: 'by_agent', filters: { rule_hash: 'rule_0' } },
  'a query by_agent with agent_id null': { query_type: 'by_agent', filters: { agent_id: null } },
  'a query by_context without context_pattern': { query_type: 'by_context', filters: {} },
  'a query by_context with a list of patterns': {
    query_type: 'by_context',
    filters: { context_pattern: ['*'] },
  },
  'a query of an unknown type': { query_type: 'by_colour', filters: { rule_hash: 'rule_0' } },
  'a query of a type named as a member of every object': {
    query_type: 'constructor',
    filters: { rule_hash: 'rule_0' },
  },
  'a query without a type': { filters: { rule_hash: 'rule_0' } },
  'a query without filters': { query_type: 'by_hash' },
  'a query whose filters are a list': { query_type: 'by_hash', filters: [] },
  'a query whose filters are null': { query_type: 'by_hash', filters: null },
};
