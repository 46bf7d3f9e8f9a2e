/** § 5.2 Gossip messages: which of them are refused as malformed, and which are not, however odd. */

import type { Changes } from '../../harness/wire/gossip.ts';
import { ruleHash } from '../../harness/wire/items.ts';
import { float, type Json, raw } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { type Attempt, accepted, refusedWithTwin, stillServed } from '../expect.ts';
import { type Circle, circle, expectCopies, fenced, spread, tell } from '../gossiping.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

const shape = 'Profile §3.2, check 11: payload shape, `MALFORMED`; the connection stays.';

export const rows: readonly Requirement[] = [
  {
    id: 'GFM-06',
    level: 'must',
    section: '5.2',
    role: 's',
    quote: 'A ttl above `ttl` − 1 counts as `ttl` − 1; one that is negative or no integer is `MALFORMED`.',
    reading:
      'A gossip whose ttl is absent, negative or no integer token is refused and goes nowhere; an integer above 2 counts as 2.',
    ruling: 'Profile, words: "*integer* = a number token without `.`, `e`, `E`".',
    mutants: [
      'ttl-unbounded',
      'ttl-above-refused',
      'ttl-above-dropped',
      'ttl-negative-taken',
      'ttl-float-taken',
      'ttl-integral-float-taken',
      'ttl-text-taken',
      'ttl-absent-defaults',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const bad: Record<string, Json | undefined> = {
        '−1': -1,
        '−2 000 000 000': -2_000_000_000,
        '2.5': 2.5,
        '2.0': float(2),
        '1e0': raw('1e0', '1.0'),
        '"3"': '3',
        '"2"': '2',
        null: null,
        true: true,
        '[2]': [2],
        absent: undefined,
      };
      for (const [shown, ttl] of Object.entries(bad))
        await malformed(bench, around, `a gossip with ttl ${shown}`, { ttl });
      bench.step('integers above 2');
      const above: Json[] = [3, 4, 10, 1_000_000_000, 2n ** 53n, 10n ** 30n];
      const sent = above.map((ttl) => ({ ttl, id: tell(bench, around.peers[0]!, { changes: { ttl } }) }));
      await fenced(around, around.peers[0]!);
      for (const { ttl, id } of sent)
        for (const { message } of around.copies(id))
          if (message.payload.ttl !== 1)
            fail(`a gossip with ttl ${ttl} went on with ${message.payload.ttl}, expected 1`);
      await spread(
        bench,
        around,
        sent.map(({ id }) => id),
        3,
      );
      for (const { ttl, id } of sent)
        for (const { message } of around.copies(id))
          if (message.payload.ttl !== 1)
            fail(`a gossip with ttl ${ttl} went on with ${message.payload.ttl}, expected 1`);
      return pass(`${Object.keys(bad).length} ttls were refused, ${above.length} above 2 counted as 2`);
    },
  },
  {
    id: 'GFM-07',
    level: 'must',
    section: '5.2',
    role: 's',
    quote: '"gossip_id": "uuid-v4"',
    reading:
      'A gossip without a lower-case UUID of version 4 as gossip_id is refused, leaves nothing in the cache, and good ones go on after it.',
    ruling: 'Profile: "All hex and all UUIDs are lower case"; "UUID version 4, variant 8–b".',
    mutants: [
      'gossip-id-any',
      'gossip-id-empty-taken',
      'gossip-id-any-version',
      'gossip-id-unanchored',
      'gossip-id-upper-case',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const uuid = (): string => bench.uuid();
      const bad: Record<string, Json | undefined> = {
        'no gossip_id': undefined,
        'no gossip_id either': undefined,
        'the gossip_id ""': '',
        'the gossip_id "" again': '',
        'the gossip_id null': null,
        'the gossip_id 7': 7,
        'the gossip_id "gossip-1"': 'gossip-1',
        'a gossip_id of 10 KB': 'f'.repeat(10_000),
        'a gossip_id of version 1': withDigit(uuid(), 14, '1'),
        'a gossip_id of version 7': withDigit(uuid(), 14, '7'),
        'a gossip_id of variant c': withDigit(uuid(), 19, 'c'),
        'a gossip_id in upper case': `ABCDEF01${uuid().toUpperCase().slice(8)}`,
        'a gossip_id without dashes': uuid().replaceAll('-', ''),
        'a gossip_id with braces': `{${uuid()}}`,
        'a gossip_id with a line feed behind it': `${uuid()}\n`,
        'a gossip_id with 10 KB behind it': uuid() + 'x'.repeat(10_000),
        'a gossip_id with a blank before it': ` ${uuid()}`,
        'a gossip_id with another digit of the alphabet': withDigit(uuid(), 0, '\u0661'),
      };
      for (const [what, id] of Object.entries(bad))
        await malformed(bench, around, `a gossip with ${what}`, { gossip_id: id });
      return pass(`${Object.keys(bad).length} gossip ids were refused, a good gossip went on after each`);
    },
  },
  {
    id: 'GFM-08',
    level: 'should',
    section: '5.2',
    role: 's',
    quote:
      '`item_hashes`: on topic `checkpoint` bare 64-digit hashes, elsewhere `rule_` + 64 digits; anything else is `MALFORMED`.',
    reading:
      'Members that are absent or of a wrong form make a gossip MALFORMED; topics of any name, lists that are empty or do not hold the topic do not. Nothing of it brings the node down or makes it ask without end.',
    ruling: `Profile §7: "others are legal, \`topics\` is informative"; "\`item_hashes\`:[≤100]". ${shape}`,
    mutants: [
      'hashes-unbounded',
      'hashes-any-form',
      'hashes-upper-case',
      'hashes-bare-taken',
      'origin-any',
      'topics-any',
      'topic-must-be-known',
      'topic-must-be-in-topics',
      'gossip-type-any',
      'gossip-empty-refused',
    ],
    needs: [],
    durationHintMs: 4_000,
    cpu: 0.3,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const [source] = around.peers;
      for (const [what, changes] of Object.entries(malformedMembers(bench)))
        await malformed(bench, around, `a gossip with ${what}`, changes);
      bench.step('odd gossips that are legal');
      const odd: Record<string, Changes> = {
        'a topic that topics does not hold': { topic: 'new_commit', topics: ['confirm'] },
        'empty topics': { topics: [] },
        'no hashes on topic new_commit': { topic: 'new_commit' },
        'an unknown topic': { topic: 'weather', topics: ['weather'] },
        'an empty topic': { topic: '', topics: [''] },
        'a topic of 10 000 characters': { topic: 't'.repeat(10_000) },
        'a topic named as a member of every object': { topic: '__proto__', topics: ['constructor'] },
        '100 unknown hashes': { topic: 'new_commit', item_hashes: hashes(bench, 100) },
        'no hashes on topic checkpoint': { topic: 'checkpoint', topics: ['checkpoint'] },
      };
      for (const [what, changes] of Object.entries(odd)) {
        const errors = source!.seen('error').length;
        const id = tell(bench, source!, { changes });
        await spread(bench, around, [id], 3).catch((error: Error) => {
          const refusal = source!.seen('error')[errors];
          if (refusal === undefined) throw error;
          fail(`a gossip with ${what} was refused: ${refusal.errorCode}`);
        });
      }
      bench.step('items of an unknown topic');
      const item = (await bench.puppet('writer')).commit();
      source!.manners.items.add(item);
      tell(bench, source!, { hashes: [item.hash], topic: 'weather' });
      await source!.next((m) => m.payload?.item_hashes?.includes?.(item.hash) === true, 8_000);
      await bench.sleep(1_200, 'further requests for 100 hashes that their announcer does not have');
      await stillServed(source!);
      const requests = source!.seen('gossip:request');
      const times = new Map<string, number>();
      for (const hash of requests.flatMap(({ payload }) => payload.item_hashes as string[]))
        times.set(hash, (times.get(hash) ?? 0) + 1);
      // "asks again after 250 ms, at most three times", in as many requests as it likes.
      const most = Math.max(0, ...times.values());
      if (most > 4) fail(`a hash that is missing was asked for ${most} times`);
      return pass(
        `malformed gossips were refused, ${Object.keys(odd).length} odd ones went on; ${requests.length} requests`,
      );
    },
  },
];

const withDigit = (id: string, at: number, digit: string): string =>
  id.slice(0, at) + digit + id.slice(at + 1);

/** `rule_` and 64 digits each. */
const hashes = (bench: Bench, count: number): string[] =>
  Array.from({ length: count }, () => ruleHash(bench.uuid()));

function malformedMembers(bench: Bench): Record<string, Changes> {
  const [hash] = hashes(bench, 1) as [string];
  const table: Record<string, Changes> = {
    '101 item_hashes': { topic: 'new_commit', item_hashes: hashes(bench, 101) },
    '780 item_hashes': { topic: 'new_commit', item_hashes: hashes(bench, 780) },
    'a bare hash on topic new_commit': { topic: 'new_commit', item_hashes: [hash.slice(5)] },
    'a bare hash on an unknown topic': { topic: 'weather', item_hashes: [hash.slice(5)] },
    'rule_ and 64 digits on topic checkpoint': { topic: 'checkpoint', item_hashes: [hash] },
    'a hash in upper case': { item_hashes: [`rule_ABCDEF${hash.slice(11).toUpperCase()}`] },
    'a hash of 63 digits': { item_hashes: [hash.slice(0, -1)] },
    'a hash of 65 digits': { item_hashes: [`${hash}0`] },
    'a hash with a line feed behind it': { item_hashes: [`${hash}\n`] },
    'a number among the hashes': { item_hashes: [hash, 7] },
    'one bad hash behind a good one': { item_hashes: [hash, 'rule_abc123'] },
    'item_hashes that are no list': { item_hashes: hash },
    'an origin without node_': { origin: 'a1'.repeat(20) },
    'an origin of 39 digits': { origin: `node_${'a'.repeat(39)}` },
    'an empty origin': { origin: '' },
    'a topic that is no string': { topic: 1 },
    'topics that are no list': { topics: 'news' },
    'a number among the topics': { topics: ['news', 1] },
    'an unknown gossip_type': { gossip_type: 'rumour' },
  };
  for (const member of ['gossip_type', 'topic', 'topics', 'item_hashes', 'origin'])
    table[`no ${member}`] = { [member]: undefined };
  return table;
}

/** A gossip with these members replaced must be refused as MALFORMED and go nowhere; a good one after it goes on. */
async function malformed(bench: Bench, around: Circle, what: string, changes: Changes): Promise<void> {
  const [source] = around.peers;
  const hashes = [await heldHash(bench, around)];
  const id = typeof changes.gossip_id === 'string' ? changes.gossip_id : bench.uuid();
  const known = around.copies(id).length;
  const attempt = async (send: () => string, copiesBefore: number): Promise<Attempt> => {
    const errors = source!.seen('error').length;
    const sent = send();
    await source!.fence();
    // What came of it may be a little behind the answer to the fence.
    const deadline = performance.now() + 3_000;
    for (;;) {
      const error = source!.seen('error')[errors];
      const copies = around.copies(sent).length - copiesBefore;
      if (error !== undefined || copies > 0 || performance.now() > deadline) {
        const detail = error === undefined ? `${copies} copies went on` : `error ${error.errorCode}`;
        const accepted = error === undefined && copies > 0;
        return { accepted, code: error?.errorCode ?? null, closed: source!.ended, detail };
      }
      await bench.sleep(10, `waiting for what becomes of ${what}`);
    }
  };
  const send = (): string => {
    tell(bench, source!, { hashes, changes: { gossip_id: id, ...changes } });
    return id;
  };
  const refused = await refusedWithTwin(bench, {
    what,
    bad: () => attempt(send, known),
    twin: () => attempt(() => tell(bench, source!, { hashes }), 0),
    code: 'MALFORMED',
    close: null,
  });
  if (refused.code === null) fail(`${what} got no error MALFORMED: ${refused.detail}`);
  await fenced(around, source!);
  if (around.copies(id).length > known) expectCopies(around, id, known, what);
}

const held = new WeakMap<Circle, string>();

/** An item that the node holds: gossip about it makes nobody ask for anything. */
async function heldHash(bench: Bench, around: Circle): Promise<string> {
  const known = held.get(around);
  if (known !== undefined) return known;
  const author = await bench.puppet('author');
  const item = author.commit();
  await accepted(await author.join(around.node), item);
  held.set(around, item.hash);
  return item.hash;
}
