/** § 5.4 Anti-entropy: the rounds of a node, its answers about subtrees, and the state root. */

import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { resigned, signingBytes } from '../../harness/wire/envelope.ts';
import { digestRequest } from '../../harness/wire/gossip.ts';
import { type Item, itemOf } from '../../harness/wire/items.ts';
import { readable } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { stateRoot, subtree } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { accepted, answerTo, refusedWithTwin } from '../expect.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import { digest, fill, hashesOf, isRound } from '../states.ts';
import { chiSquare } from '../statistics.ts';

const hex64 = /^[0-9a-f]{64}$/;

export const rows: readonly Requirement[] = [
  {
    id: 'AEN-01',
    level: 'must',
    section: '5.4',
    role: 's',
    quote: 'Every 1 s a node does so with one random peer that has `sync`',
    reading:
      'A node sends one sync_digest a second, each to one peer drawn at random among those with sync, with root null, the whole tree and its own root.',
    ruling: 'Profile §8: "all four members always".',
    mutants: [
      'rounds-never',
      'rounds-first-peer',
      'rounds-in-turn',
      'rounds-ten-seconds',
      'rounds-all-peers',
      'rounds-without-sync',
      'round-without-root',
    ],
    needs: [],
    durationHintMs: 31_000,
    cpu: 0.05,
    test: async (bench) => {
      const node = await bench.node();
      const puppets = await bench.puppets(4);
      const peers: Joined[] = [];
      for (const puppet of puppets) peers.push(await puppet.peer(node));
      const mute = await (await bench.puppet('no-sync')).peer(node, { capabilities: ['gossip'] });
      await bench.sleep(1_000, 'the handshakes are over');
      const since = performance.now();
      await bench.sleep(22_000, '22 rounds of 1 s');
      const spanMs = performance.now() - since;
      const rounds = peers
        .flatMap((peer, index) => peer.seen(isRound).map((message) => ({ at: message.at, index, message })))
        .filter(({ at }) => at > since)
        .sort((a, b) => a.at - b.at);
      const perSecond = (rounds.length / spanMs) * 1_000;
      const counts = peers.map((_, index) => rounds.filter((round) => round.index === index).length);
      const seen = `${rounds.length} rounds in ${Math.round(spanMs)} ms, per peer ${counts.join(', ')}`;
      if (rounds.length < 5) fail(`${seen}: expected one a second`);
      if (rounds.length < 10) late(`${seen}: expected one a second`);
      if (perSecond < 0.65) late(`${seen}: expected one a second`);
      if (perSecond > 1.5) fail(`${seen}: expected one a second`);
      if (mute.seen(isRound).length > 0) fail('a peer without `sync` was asked for its digest');
      for (const { message } of rounds) checkRound(message);
      const order = rounds.map((round) => round.index);
      // A right node does this with a chance of 4^-(n-1) and 4^-(n-4), n rounds.
      if (new Set(order).size === 1) fail(`${seen}: all with one peer of four`);
      if (order.length > 14 && order.slice(4).every((index, i) => index === order[i]))
        fail(`${seen}: the peers took turns (${order.join('')}), expected random choice`);
      const drawn = bench.target.abilities.has('instances') ? await draws(bench) : 'not drawn often';
      return pass(`${seen}; ${drawn}`);
    },
  },
  {
    id: 'AEN-02',
    level: 'must',
    section: '5.4',
    role: 's',
    quote: '"item_hashes":[…] if count ≤ 500, else "children":[16 hashes]}`',
    reading:
      'The answer to sync_digest names request, root and prefix, counts and hashes the subtree, and lists its items (up to 500, ascending, with `rule_`) or else its 16 children.',
    ruling: 'Profile §8, State root and sync_digest; "All hex … lower case".',
    mutants: [
      'digest-silent',
      'digest-of-whole',
      'digest-count-of-whole',
      'digest-bare-hashes',
      'digest-list-499',
      'digest-list-always',
      'digest-children-first',
      'tree-leaf-sixteen',
      'tree-leaf-thirty-one',
      'tree-empty-hashed',
      'tree-no-tags',
      'digest-any-root',
      'digest-form-unchecked',
      'digest-count-unchecked',
      'tree-deep-leaves',
    ],
    needs: [],
    durationHintMs: 4_000,
    limitMs: 60_000,
    cpu: 0.6,
    test: async (bench) => {
      const node = await bench.node();
      const [author, watcher] = await bench.puppets(2);
      const observer = await watcher!.join(node);
      const isFresh = (await hashesOf(observer)).length === 0;
      const peer = await author!.peer(node);
      bench.step('500 items, chosen so that leaves have 32, 33, 17, 16, 1 and no items');
      const items = chosen(author!, [32, 33, 17, 16, 1, 0]);
      let all = await fill(bench, peer, observer, items.slice(0, 500));
      await checkSubtrees(bench, observer, all, isFresh ? 500 : null);
      all = await fill(bench, peer, observer, items.slice(500));
      await checkSubtrees(bench, observer, all, isFresh ? 501 : null);
      bench.step('34 items whose hashes begin with the same three digits');
      const digits = bench.random.pick(all).slice(0, 3);
      const deep = await sharing(author!, digits, 34);
      all = await fill(bench, peer, observer, deep);
      await checkSubtrees(bench, observer, all, isFresh ? 535 : null, [digits, deep[0]!.hash.slice(5, 9)]);
      await checkRefusals(bench, watcher!, node);
      return pass(`the answers about ${all.length} items and all their subtrees recompute`);
    },
  },
  {
    id: 'AEN-03',
    level: 'must',
    section: '5.4',
    role: 's',
    quote: 'It depends on the set alone, not on order.',
    reading:
      'The state root is that of the set of items, commits, challenges and confirms alike, in whatever order they came; each item changes it.',
    mutants: ['tree-in-order-of-arrival', 'digest-cached', 'state-of-commits-only', 'summary-counts-commits'],
    needs: [],
    durationHintMs: 2_500,
    cpu: 0.5,
    test: async (bench) => {
      const [first, second] = bench.target.abilities.has('instances')
        ? await bench.nodes(2)
        : [await bench.node()];
      const authors = await bench.puppets(4, 'author');
      const items = authors
        .flatMap((author) => [
          ...Array.from({ length: 7 }, () => ({ author, item: author.commit() })),
          { author, item: author.challenge() },
          { author, item: author.confirm() },
        ])
        .sort((a, b) => (a.item.hash < b.item.hash ? -1 : 1));
      const roots = await insert(bench, first!, items);
      if (second !== undefined) {
        const reversed = await insert(bench, second, [...items].reverse());
        if (roots.at(-1) !== reversed.at(-1))
          fail(`the same 36 items in two orders give the roots ${roots.at(-1)} and ${reversed.at(-1)}`);
      }
      return pass('36 items, ascending and descending: the root recomputed after each, equal at the end');
    },
  },
];

function checkRound(message: Message): void {
  const { root, prefix, state_root, item_count } = message.payload;
  if (root !== null || prefix !== '' || !hex64.test(String(state_root)) || !Number.isInteger(item_count))
    fail('a round’s sync_digest has not root null, prefix "", state_root and item_count', message.text);
}

/** Short rounds, so that four peers are drawn often enough for a test of chance. */
async function draws(bench: Bench): Promise<string> {
  const quick = await bench.node({ parameters: { anti_entropy_interval_s: 0.05 } });
  const peers: Joined[] = [];
  for (const puppet of await bench.puppets(4, 'drawn')) peers.push(await puppet.peer(quick));
  const from = peers.map((peer) => peer.seen(isRound).length);
  const counts = (): number[] => peers.map((peer, index) => peer.seen(isRound).length - from[index]!);
  await bench.waitFor('120 rounds of 50 ms', 30_000, () => counts().reduce((a, b) => a + b) >= 120);
  const found = chiSquare({ counts: counts(), alpha: 1e-7 });
  if (!found.holds) fail(`the peers of rounds are not drawn evenly: ${found.text}`);
  return `drawn evenly: ${found.text}`;
}

/** Items by hash: `firsts[d]` below digit d, then so many that there are 501, none of these below the first digits. */
function chosen(author: Puppet, firsts: readonly number[]): Item[] {
  const wanted = [...firsts];
  const others: Item[] = [];
  const picked: Item[] = [];
  const total = 501 - firsts.reduce((a, b) => a + b);
  while (wanted.some((count) => count > 0) || others.length < total) {
    const item = author.commit();
    const digit = Number.parseInt(item.hash[5]!, 16);
    if (digit < wanted.length) {
      if (wanted[digit]! > 0) picked.push(item);
      wanted[digit]! -= 1;
    } else if (others.length < total) others.push(item);
  }
  return [...picked, ...others];
}

/** Items whose hashes begin with `digits`: of each the member that sorts last is varied until it does. */
async function sharing(author: Puppet, digits: string, count: number): Promise<Item[]> {
  const items: Item[] = [];
  while (items.length < count) {
    // Thousands of hashes an item: others of this process want their turn.
    await setImmediate();
    const { envelope } = author.commit({}, { extra: { zest: 0 } });
    const start = createHash('sha256').update(signingBytes(envelope).subarray(0, -'0}'.length));
    let zest = 1;
    while (!start.copy().update(`${zest}}`).digest('hex').startsWith(digits)) zest += 1;
    items.push(itemOf(resigned({ ...envelope, zest }, author.identity)));
  }
  return items;
}

/** All subtrees of one and some of two digits, single items, nothing and `more`; `count`: how many there must be in all. */
async function checkSubtrees(
  bench: Bench,
  observer: Joined,
  sorted: readonly string[],
  count: number | null,
  more: readonly string[] = [],
): Promise<void> {
  if (count !== null && sorted.length !== count)
    throw new Error(`${sorted.length} items in place of ${count}`);
  bench.step(`the answers about ${sorted.length} items`);
  const some = bench.random.pick(sorted);
  const flipped = `${some.slice(0, 63)}${some[63] === '0' ? '1' : '0'}`;
  const prefixes = ['', ...'0123456789abcdef', ...[...'0123456789abcdef'].map((digit) => `1${digit}`)];
  prefixes.push(some.slice(0, 2), some.slice(0, 3), some.slice(0, 63), some, flipped, '00000000', ...more);
  const root = stateRoot(sorted);
  for (const [index, prefix] of prefixes.entries()) {
    const asked = index % 2 === 0 ? null : root;
    const { payload } = await digest(observer, prefix, asked);
    const truth = subtree(sorted, prefix);
    const where = `the answer about prefix "${prefix}" of ${sorted.length} items`;
    if (payload.root !== root) fail(`${where} names the root ${payload.root}, expected ${root}`);
    if (payload.prefix !== prefix) fail(`${where} names the prefix ${readable(payload.prefix)}`);
    if (payload.count !== truth.count) fail(`${where} counts ${payload.count}, expected ${truth.count}`);
    const expected = truth.itemHashes?.map((hash) => `rule_${hash}`);
    if (readable(payload.item_hashes) !== readable(expected))
      fail(`${where} has not the item_hashes that it must have (${expected?.length ?? 'absent'})`, payload);
    if (readable(payload.children) !== readable(truth.children))
      fail(`${where} has not the children that it must have`, payload.children, truth.children);
    if (payload.hash !== truth.hash) fail(`${where} has the hash ${payload.hash}, expected ${truth.hash}`);
  }
}

async function checkRefusals(
  bench: Bench,
  puppet: Puppet,
  node: Parameters<Puppet['join']>[0],
): Promise<void> {
  const connection = await puppet.join(node);
  const send = async (changes: Parameters<typeof digestRequest>[2]) => {
    const payload = digestRequest('0'.repeat(64), 0, changes);
    return answerTo(connection, connection.send('sync_digest', payload));
  };
  const twin = () => send({});
  const malformed = 'MALFORMED';
  const cases: [what: string, changes: Parameters<typeof digestRequest>[2], code: string | string[]][] = [
    ['a sync_digest about a root that nobody ever had', { root: 'ab'.repeat(32) }, 'UNKNOWN_HASH'],
    ['a sync_digest without root', { changes: { root: undefined } }, malformed],
    ['a sync_digest without prefix', { changes: { prefix: undefined } }, malformed],
    ['a sync_digest without state_root', { changes: { state_root: undefined } }, malformed],
    ['a sync_digest without item_count', { changes: { item_count: undefined } }, malformed],
    ['a sync_digest with a root of 10 digits', { root: '0123456789' }, [malformed, 'UNKNOWN_HASH']],
    ['a sync_digest with a prefix that is no hex', { prefix: 'xyz' }, malformed],
    ['a sync_digest with an upper-case prefix', { prefix: 'AB' }, malformed],
    ['a sync_digest with a number for prefix', { changes: { prefix: 7 } }, malformed],
    ['a sync_digest with state_root null', { changes: { state_root: null } }, malformed],
    ['a sync_digest with an item_count that is text', { changes: { item_count: '3' } }, malformed],
  ];
  for (const [what, changes, code] of cases)
    await refusedWithTwin(bench, { what, bad: () => send(changes), twin, code, close: null });
}

/** Sends each item as its author, in this order; the roots after each. */
async function insert(
  bench: Bench,
  node: Parameters<Puppet['join']>[0],
  items: readonly { author: Puppet; item: Item }[],
): Promise<string[]> {
  const observer = await (await bench.puppet('observer')).join(node);
  const set = new Set(await hashesOf(observer));
  const connections = new Map<Puppet, Joined>();
  const roots: string[] = [];
  for (const { author, item } of items) {
    if (!connections.has(author)) connections.set(author, await author.join(node));
    await accepted(connections.get(author)!, item);
    set.add(item.hash.slice(5));
    const { payload } = await digest(observer, 'f');
    const expected = stateRoot(set);
    if (payload.root !== expected)
      fail(
        `after item ${roots.length + 1} of ${items.length} (${String(item.envelope.message_type)}) the root is ${payload.root}, expected ${expected}`,
      );
    roots.push(expected);
  }
  const late = await (await bench.puppet('observer')).join(node);
  const { state_root, item_count } = late.outcome.stateSummary.payload;
  if (state_root !== roots.at(-1) || item_count !== set.size)
    fail(`the state_summary says ${item_count} items under ${state_root}, the digest ${set.size}`);
  return roots;
}
