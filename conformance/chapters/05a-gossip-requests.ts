/** § 5.1 Gossip messages: how a node asks for items and hands them out. */

import { canonical } from '../../harness/wire/canonical.ts';
import type { Connection } from '../../harness/wire/connection.ts';
import { type Changes, heartbeat, itemRequest, itemResponse } from '../../harness/wire/gossip.ts';
import { commitOfSize, type Item, ruleHash } from '../../harness/wire/items.ts';
import { type Json, readable } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { accepted, query, untilServed } from '../expect.ts';
import { type Circle, circle, fenced, spread, tell } from '../gossiping.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'GFM-03',
    level: 'must',
    section: '5.1',
    role: 's',
    quote:
      '`items:[envelope…]` (as many as fit in 60 000 bytes; `item_hashes` names them), and `missing:[hash…]` for those it does not have',
    reading:
      'A request is answered by a response with the items that are held, as their authors signed them, the rest named in missing; the answer to too many is as many as fit. Requests and responses are neither cached nor forwarded; a holder that is fetching the item itself does not wait for it.',
    ruling:
      'Profile §7: "Neither is ever cached or forwarded"; "A holder that is itself fetching an asked hash may delay its answer by up to 200 ms".',
    mutants: [
      'request-ignored',
      'request-from-peers-only',
      'missing-left-out',
      'missing-fabricated',
      'response-without-names',
      'response-single-item',
      'response-whole-or-nothing',
      'request-cached',
      'request-forwarded',
      'response-forwarded',
      'response-cached',
      'request-waits-for-fetch',
    ],
    needs: [],
    durationHintMs: 3_000,
    cpu: 0.4,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const author = await bench.puppet('author');
      const observer = await (await bench.puppet('observer')).join(around.node);
      const connection = await author.join(around.node);
      const held = [author.commit(), author.challenge(), author.confirm()];
      const big = [0, 1, 2].map(() => commitOfSize(author, 25_000));
      for (const item of [...held, ...big]) await accepted(connection, item);
      const unknown = Array.from({ length: 97 }, () => `rule_${ruleHash(bench.uuid()).slice(5)}`);
      for (const asker of [observer, around.peers[0]!]) {
        await expectAnswer(asker, [held[0]!], []);
        await expectAnswer(asker, held, []);
        await expectAnswer(asker, [], unknown.slice(0, 1));
        await expectAnswer(asker, held, unknown);
        await expectAnswer(asker, [], []);
      }
      bench.step('three items of which two fit into an answer');
      const names = big.map(({ hash }) => hash);
      const first = await ask(observer, [...names, unknown[0]!]);
      const came = first.payload.item_hashes as string[];
      if (came.length !== 2 || came.some((hash) => !names.includes(hash)))
        fail(`of three items of 25 000 bytes an answer of at most 60 000 names ${came.length}, expected 2`);
      if (readable(first.payload.missing) !== readable([unknown[0]]))
        fail('an item that did not fit, or a known one, is called missing', first.payload.missing);
      await expectAnswer(
        observer,
        big.filter(({ hash }) => !came.includes(hash)),
        [],
      );
      bench.step('one gossip_id in two requests and an announce');
      const id = bench.uuid();
      for (let i = 0; i < 2; i += 1)
        await expectAnswer(around.peers[0]!, [held[0]!], [], { gossip_id: id, ttl: 2 });
      tell(bench, around.peers[0]!, { id });
      await spread(bench, around, [id], 3);
      await fenced(around);
      const stray = around.peers.flatMap((peer) => peer.seen((m) => m.payload?.gossip_type === 'request'));
      if (stray.some((message) => message.payload.gossip_id === id)) fail('a request was forwarded');
      await responseGoesNowhere(bench, around);
      await answeredWhileFetching(bench, around, observer);
      return pass('14 requests got what is held, all that is missing by name, and no more than fits');
    },
  },
  {
    id: 'GFM-04',
    level: 'must',
    section: '5.1/5.4',
    role: 's',
    quote: 'For hashes it lacks a node sends `request` (topic `items`, ttl 0) to whom announced them',
    reading:
      'What an announce names and the node lacks it asks for, up to 100 at once and one request at a time, takes, and finds in queries; what did not come with an answer is asked for again, what it holds is not.',
    ruling:
      'Profile §7: "One request in flight per peer, ≤ 100 hashes"; "the rest is asked for again, while each answer settles at least one more hash".',
    mutants: [
      'announce-not-fetched',
      'fetch-only-commits',
      'fetch-known-too',
      'fetch-two-in-flight',
      'fetch-rest-forgotten',
      'fetch-not-stored',
      'fetch-more-than-hundred',
      'announce-gossip-connection-ignored',
    ],
    needs: [],
    durationHintMs: 3_000,
    cpu: 0.4,
    test: async (bench) => {
      const around = await circle(bench, 3);
      const [source, other] = around.peers;
      const writers = await bench.puppets(4, 'writer');
      const observer = await writers[0]!.join(around.node);
      bench.step('one item of each type');
      const single = [writers[0]!.commit(), writers[1]!.challenge(), writers[2]!.confirm()];
      for (const item of single) source!.manners.items.add(item);
      tell(bench, source!, { hashes: [single[0]!.hash], topic: 'new_commit' });
      tell(bench, source!, { hashes: [single[1]!.hash], topic: 'challenge' });
      tell(bench, source!, { hashes: [single[2]!.hash], topic: 'confirm' });
      for (const item of single) await untilServed(bench, observer, item.hash, 8_000);
      const found = await query(observer, 'by_agent', { agent_id: writers[0]!.agentId });
      if (found.totalCount !== 1)
        fail(`a fetched commit is in ${found.totalCount} results of a query by its agent`);
      await heldAndLacking(bench, around, single, writers[3]!.commit());
      await oneAtATime(bench, around, other!);
      bench.step('an announce by a gossip connection');
      const passer = await bench.puppet('passer');
      const late = passer.commit();
      const brief = await passer.join(around.node, { type: 'gossip', capabilities: ['gossip'] });
      brief.manners.items.add(late);
      tell(bench, brief, { hashes: [late.hash], topic: 'new_commit' });
      await untilServed(bench, observer, late.hash, 8_000);
      return pass(
        'announced items of each type were fetched, in batches of at most 100, one request at a time',
      );
    },
  },
  {
    id: 'GFM-09',
    level: 'should',
    section: '5.1',
    role: 's',
    quote: '`ttl:0`, `item_hashes:[]`, `origin` the sender; never cached or forwarded',
    reading:
      'A gossip of type heartbeat is not forwarded, whatever its ttl, and its gossip_id is not cached.',
    mutants: ['heartbeat-forwarded', 'heartbeat-cached'],
    needs: [],
    durationHintMs: 1_200,
    test: async (bench) => {
      const around = await circle(bench, 4);
      const [source] = around.peers;
      const ids = [0, 0, 2, 2].map((ttl) => {
        const beat = heartbeat(source!.puppet.identity.nodeId, { ttl });
        source!.send('gossip', beat);
        return String(beat.gossip_id);
      });
      await fenced(around, source!);
      const spreadOn = around.peers
        .slice(1)
        .find((peer) => peer.seen((m) => ids.includes(String(m.payload?.gossip_id))).length > 0);
      if (spreadOn !== undefined) fail(`a heartbeat was forwarded to ${spreadOn.label}`);
      const cachedAt = ids.slice(0, 2);
      for (const id of cachedAt) tell(bench, source!, { id });
      await spread(bench, around, cachedAt, 3);
      return pass('4 heartbeats went nowhere, and announces with the ids of two of them went on');
    },
  },
];

const ask = (asker: Connection, hashes: readonly string[], changes: Changes = {}): Promise<Message> =>
  asker.request('gossip', itemRequest(asker.puppet.identity.nodeId, hashes, changes));

const sorted = (values: readonly string[]): string => [...values].sort().join('\n');

/** Asks for all of them; the answer must hold exactly `items`, name them, and name exactly `missing`. */
async function expectAnswer(
  asker: Connection,
  items: readonly Item[],
  missing: readonly string[],
  changes: Changes = {},
): Promise<void> {
  const hashes = [...items.map(({ hash }) => hash), ...missing];
  const what = `a request for ${items.length} held and ${missing.length} unknown items`;
  const answer = await ask(asker, hashes, changes);
  if (answer.type !== 'gossip' || answer.payload?.gossip_type !== 'response')
    fail(`${what} was answered ${answer.type} ${answer.errorCode ?? ''}`, answer.text.slice(0, 600));
  const { item_hashes: named, missing: lacking } = answer.payload;
  const bodies = (answer.object.payload as { items?: Json }).items;
  if (!Array.isArray(bodies) || !Array.isArray(named) || !Array.isArray(lacking))
    fail(`the answer to ${what} lacks items, item_hashes or missing`, answer.text.slice(0, 600));
  const wanted = items.map(({ envelope }) => canonical(envelope));
  if (sorted((bodies as Json[]).map((body) => canonical(body))) !== sorted(wanted))
    fail(`the answer to ${what} holds other items than their authors signed`, answer.text.slice(0, 2_000));
  if (sorted(named) !== sorted(items.map(({ hash }) => hash)))
    fail(`the item_hashes of the answer to ${what} do not name its items`, named);
  if (sorted(lacking) !== sorted(missing))
    fail(`missing in the answer to ${what} is not what is unknown`, lacking);
}

/** Held hashes beside an unknown one: only that one is asked for. */
async function heldAndLacking(
  bench: Bench,
  around: Circle,
  held: readonly Item[],
  lacking: Item,
): Promise<void> {
  bench.step('held items and one unknown in one announce');
  const [source] = around.peers;
  source!.manners.items.add(lacking);
  const from = source!.received.length;
  tell(bench, source!, { hashes: [...held.map(({ hash }) => hash), lacking.hash], topic: 'new_commit' });
  await untilServed(bench, source!, lacking.hash, 8_000);
  const requests = source!.received.slice(from).filter((m) => m.payload?.gossip_type === 'request');
  const asked = requests.flatMap((message) => message.payload.item_hashes as string[]);
  const needless = asked.find((hash) => held.some((item) => item.hash === hash));
  if (needless !== undefined) fail('an item that the node holds was asked for', asked);
}

/** 180 items in two announces, from a peer that answers late and in parts. */
async function oneAtATime(bench: Bench, around: Circle, from: Joined): Promise<void> {
  bench.step('180 items from a peer that answers late and in parts');
  const writer = await bench.puppet('prolific');
  const items = new Map(Array.from({ length: 180 }, () => writer.confirm()).map((item) => [item.hash, item]));
  const hashes = [...items.keys()];
  from.manners.serveItems = false;
  tell(bench, from, { hashes: hashes.slice(0, 90), topic: 'confirm', ttl: 0 });
  tell(bench, from, { hashes: hashes.slice(90), topic: 'confirm', ttl: 0 });
  const left = new Set(hashes);
  const { nodeId } = from.puppet.identity;
  // "≤ 100 hashes": a node may ask for fewer at once, and then asks more often; never for what it was given.
  for (let inVain = 0; left.size > 0; ) {
    const request = await from.maybe('gossip:request', 8_000);
    if (request === null)
      return fail(`${left.size} of 180 announced items were not asked for (again) within 8 s`);
    const asked = request.payload.item_hashes as string[];
    if (asked.length > 100) fail(`a request names ${asked.length} hashes, expected at most 100`);
    await from.fence();
    const early = from.seen('gossip:request').find((message) => message.index > request.index);
    if (early !== undefined) fail('a second request came while the first one was unanswered', early.text);
    // 40 of what was asked for: the rest is neither served nor missing.
    const served = asked.slice(0, 40);
    const bodies = served.map((hash) => items.get(hash)!.envelope);
    from.send('gossip', itemResponse(nodeId, request.id, bodies, served));
    const before = left.size;
    for (const hash of served) left.delete(hash);
    inVain = left.size < before ? 0 : inVain + 1;
    if (inVain > 3) fail(`${inVain} requests in a row named only items that had been given`);
  }
  from.manners.serveItems = true;
  await untilServed(bench, around.peers[2]!, hashes[179]!, 8_000);
}

/** An answer with a ttl of 2: not forwarded, and its gossip_id is free for an announce. */
async function responseGoesNowhere(bench: Bench, around: Circle): Promise<void> {
  bench.step('a response with a ttl, and an announce with its gossip_id');
  const [from] = around.peers;
  const item = (await bench.puppet('writer')).commit();
  from!.manners.serveItems = false;
  tell(bench, from!, { hashes: [item.hash], ttl: 0 });
  const request = await from!.next('gossip:request', 8_000);
  const id = bench.uuid();
  const { nodeId } = from!.puppet.identity;
  const changes = { gossip_id: id, ttl: 2 };
  from!.send('gossip', itemResponse(nodeId, request.id, [item.envelope], [item.hash], [], changes));
  await untilServed(bench, from!, item.hash, 8_000);
  await fenced(around);
  if (around.peers.some((peer) => peer.seen((m) => m.payload?.gossip_id === id).length > 0))
    fail('a response was forwarded');
  tell(bench, from!, { id });
  await spread(bench, around, [id], 3);
}

/** Asked for an item that it waits for itself, a node says `missing` soon. */
async function answeredWhileFetching(bench: Bench, around: Circle, asker: Connection): Promise<void> {
  bench.step('a request for an item that the node is waiting for itself');
  const [from] = around.peers;
  const item = (await bench.puppet('writer')).commit();
  tell(bench, from!, { hashes: [item.hash], ttl: 0 });
  await from!.next(
    (m) => m.payload?.gossip_type === 'request' && m.payload.item_hashes?.[0] === item.hash,
    8_000,
  );
  const askedAt = performance.now();
  const id = asker.send('gossip', itemRequest(asker.puppet.identity.nodeId, [item.hash]));
  const answer = await asker.maybe((message) => message.requestId === id, 8_000);
  const afterMs = Math.round(performance.now() - askedAt);
  if (answer === null) fail('a request for an item that the node is fetching was not answered within 8 s');
  // 200 ms by the profile; the rest is the way there and back and a busy host.
  if (afterMs > 1_500)
    late(`a request for an item that the node is fetching was answered after ${afterMs} ms`);
}
