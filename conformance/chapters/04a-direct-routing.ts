/** § 4.1 Direct routing: who gets an answer, which question it belongs to, and in what order messages take effect. */

import type { Connection } from '../../harness/wire/connection.ts';
import {
  announce,
  digestRequest,
  itemRequest,
  itemResponse,
  peerRequest,
  stateSyncRequest,
} from '../../harness/wire/gossip.ts';
import { type Json, readable } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { accepted, answerTo, query, served, stillServed, untilServed } from '../expect.ts';
import { reportedFirst } from '../order.ts';
import type { Puppet } from '../puppet.ts';
import { joinsAgain } from '../reconnecting.ts';
import { fail, pass, type Requirement, untestable } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

const byHash = (rule: Json): Json => ({ query_type: 'by_hash', filters: { rule_hash: rule } });
const byAgent = (agent: string): Json => ({ query_type: 'by_agent', filters: { agent_id: agent } });

/** Names of types that nobody defined; some are members of every object in some languages. */
const unknownTypes = ['teleport', 'Commit', 'hello_ack', 'constructor', '__proto__', 'x'.repeat(1_000)];

/** A fast disk may have the item before the query is read, now and then. */
const responses = 8;

export const rows: readonly Requirement[] = [
  {
    id: 'DIR-01',
    level: 'must',
    section: '4.1',
    role: 's',
    quote:
      "A request is answered on the same connection by `response` (or `error`) whose `payload.request_id` is the request's `message_id`.",
    reading:
      'Each request gets one answer, on the connection it came on, and nobody else sees it: not another connection of the same peer, not another peer.',
    mutants: ['answer-twice', 'answer-to-all', 'answer-by-persistent'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const [asker, other] = await bench.puppets(2, 'side');
      const asking = await asker!.join(node);
      const others: Connection[] = [
        await asker!.peer(node),
        await asker!.join(node),
        await other!.peer(node),
        await other!.join(node),
      ];
      const item = asker!.commit();
      const asked: [what: string, id: string][] = [['commit', asking.sendEnvelope(item.envelope)]];
      const ask = (type: string, payload: Json): void => {
        asked.push([type, asking.send(type, payload)]);
      };
      ask('query', byHash('rule_0'));
      ask('query', { query_type: 'by_hash', filters: {} });
      ask('peer_request', peerRequest(asker!.nodeId));
      ask('state_sync', stateSyncRequest(null));
      ask('gossip', itemRequest(asker!.nodeId, [item.hash]));
      ask('sync_digest', digestRequest('0'.repeat(64), 0));
      ask('no_such_type', {});
      for (const [what, id] of asked) {
        const answer = await asking.maybe((message) => message.requestId === id, 8_000);
        if (answer === null) fail(`a ${what} got no answer on the connection it came on within 8 s`);
      }
      bench.step('fences against second answers');
      for (let round = 0; round < 2; round += 1)
        await Promise.all([asking, ...others].map((connection) => connection.fence()));
      for (const [what, id] of asked) {
        const answers = asking.seen((message) => message.requestId === id);
        if (answers.length !== 1) fail(`a ${what} was answered ${answers.length} times, expected once`);
        const leaked = others.find((connection) => connection.seen((m) => m.text.includes(id)).length > 0);
        if (leaked) fail(`the answer to a ${what} also came on ${leaked.label}, which did not ask`);
      }
      return pass(`${asked.length} requests were answered once each, four other connections saw none of it`);
    },
  },
  {
    id: 'DIR-02',
    level: 'must',
    section: '4.1/F3.5',
    role: 's',
    quote:
      "A request is answered on the same connection by `response` (or `error`) whose `payload.request_id` is the request's `message_id`.",
    reading:
      'Answers carry the message_id of their request: 20 queries in flight at once on four connections each get the result that they asked for.',
    mutants: ['answer-fresh-id', 'answer-last-id'],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const [left, right] = await bench.puppets(2, 'asker');
      const connections = [
        await left!.join(node),
        await left!.join(node),
        await right!.join(node),
        await right!.join(node),
      ];
      const rules: string[] = [];
      for (const [index, puppet] of [left!, right!].entries()) {
        const commits = Array.from({ length: 5 }, () => puppet.commit());
        for (const commit of commits) {
          await accepted(connections[index * 2]!, commit);
          rules.push(String((commit.envelope.payload as { rule_hash: string }).rule_hash));
        }
      }
      bench.step('20 queries in flight');
      const flights = Array.from({ length: 20 }, (_, i) => {
        const connection = connections[i % 4]!;
        // Every fifth one is wrong: its error must not be taken for another query's.
        const wanted = i % 5 === 4 ? null : bench.random.pick(rules);
        return { connection, wanted, id: connection.send('query', byHash(wanted)) };
      });
      for (const { connection, wanted, id } of flights) {
        const answer = await connection.maybe((message) => message.requestId === id, 10_000);
        if (answer === null)
          return fail('no answer named the message_id of a query within 10 s', lastIds(connection));
        if (wanted === null) {
          if (answer.type !== 'error') fail(`a query without rule_hash was answered ${answer.type}`);
          continue;
        }
        const got: unknown = answer.payload?.results?.[0]?.rule_hash;
        if (answer.type !== 'response' || got !== wanted)
          fail(`the answer to the query for ${wanted} holds ${readable(got)} (${answer.type})`);
      }
      await Promise.all(connections.map((connection) => connection.fence()));
      for (const { connection, id } of flights)
        if (connection.seen((m) => m.requestId === id).length !== 1) fail('a query was answered twice');
      return pass('20 queries in flight got 20 answers, each its own');
    },
  },
  {
    id: 'DIR-03',
    level: 'must',
    section: 'F1',
    role: 's',
    quote:
      'Messages of one connection take effect in order: also the items of a gossip response are stored before the next message is handled.',
    reading:
      'Ten commits and ten queries sent alternately without waiting: each query sees the commits before it and none after; a query right behind a gossip response sees its item.',
    mutants: ['order-items-unawaited', 'order-response-unawaited', 'order-response-stored-late'],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const author = await bench.puppet('author');
      const connection = await author.join(node);
      bench.step('ten commits and ten queries, alternately');
      const sent = Array.from({ length: 10 }, (_, i) => {
        const commit = connection.sendEnvelope(author.commit().envelope);
        return { before: i + 1, commit, query: connection.send('query', byAgent(author.agentId)) };
      });
      for (const { before, commit, query: asked } of sent) {
        const status = await connection.answer(commit, 10_000);
        if (status.payload?.status !== 'accepted') fail(`commit ${before} was answered ${status.text}`);
        const answer = await connection.answer(asked, 10_000);
        if (answer.payload?.total_count !== before)
          fail(
            `a query sent behind ${before} commits and before the next counts ${answer.payload?.total_count} rules`,
            answer.text,
          );
      }
      bench.step('a gossip response and a query right behind it');
      const relay = await bench.puppet('relay');
      const peer = await relay.peer(node, { capabilities: ['gossip'], manners: { serveItems: false } });
      for (let round = 0; round < responses; round += 1) {
        const writer = await bench.puppet(`writer-${round}`);
        const item = writer.commit();
        peer.send('gossip', announce(relay.nodeId, [item.hash], { ttl: 0 }));
        const request = await peer.next(
          (m) => m.type === 'gossip' && m.payload?.gossip_type === 'request' && names(m, item.hash),
          8_000,
        );
        peer.send('gossip', itemResponse(relay.nodeId, request.id, [item.envelope], [item.hash]));
        const after = await query(peer, 'by_agent', { agent_id: writer.agentId });
        if (after.totalCount !== 1) {
          const isTaken = await isServedWithin(bench, connection, item.hash, 8_000);
          if (!isTaken) untestable('the node does not take the item of a gossip response at all');
          fail('a query right behind a gossip response did not see the item of the response');
        }
      }
      return pass(
        `10 queries saw exactly the commits before them, ${responses} saw the item of the response before them`,
      );
    },
  },
  {
    id: 'DIR-04',
    level: 'must',
    section: 'F3',
    role: 's',
    quote: '| 9 | known `message_type` | `UNKNOWN_TYPE` | |',
    reading: 'A message of an unknown type gets UNKNOWN_TYPE with its request_id, and the connection stays.',
    mutants: [
      'unknown-type-closes',
      'unknown-type-silent',
      'unknown-type-malformed',
      'unknown-type-inherited',
      'unknown-type-first',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const [observer, member] = await bench.puppets(2, 'inventor');
      for (const connection of [await observer!.join(node), await member!.peer(node)]) {
        for (const type of unknownTypes) {
          const shown = type.length > 40 ? `of ${type.length} characters` : readable(type);
          const id = connection.send(type, {});
          const attempt = await answerTo(connection, id);
          if (attempt.code !== 'UNKNOWN_TYPE')
            fail(`a message_type ${shown} got ${attempt.detail}, expected UNKNOWN_TYPE`, attempt);
          const errors = connection.seen((message) => message.requestId === id);
          if (errors.length !== 1) fail(`the error to a message_type ${shown} does not name its message_id`);
        }
        await stillServed(connection);
      }
      const pairs = (['signature', 'stale', 'repeated'] as const).map((first) => [first, 'type'] as const);
      await reportedFirst(bench, node, observer!, pairs);
      return pass(
        `${unknownTypes.length} unknown types on 2 connections got UNKNOWN_TYPE, both still answer`,
      );
    },
  },
  {
    id: 'DIR-05',
    level: 'must',
    section: '4.1',
    role: 's',
    quote: 'Send message directly to a known peer.',
    reading:
      'A peer that vanishes while its answers are on the way (reset, half a frame, no close) harms nobody: others are answered, and it may come back as soon as its end was noticed.',
    mutants: ['vanished-keeps-slot', 'vanished-crashes', 'vanished-holds-fetch'],
    needs: [],
    durationHintMs: 3_000,
    limitMs: 60_000,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node();
      const [victim, witness] = await bench.puppets(2, 'side');
      const watching = await witness!.join(node);
      const big = witness!.commit({ metadata: { padding: 'x'.repeat(25_000) } });
      await accepted(watching, big);
      const ends: readonly [how: string, end: (connection: Connection) => void][] = [
        ['a reset', (connection) => connection.reset()],
        ['an end without a close', (connection) => connection.destroy()],
        [
          'half a frame and a reset',
          (connection) => {
            connection.sendRaw(Buffer.from([0x81, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5]));
            connection.reset();
          },
        ],
      ];
      for (let round = 0; round < 8; round += 1) {
        const [how, end] = ends[round % ends.length]!;
        bench.step(`dialling again after ${round} lost connections`);
        // More short-lived ones than a peer may have at once.
        const type = round % 4 === 1 ? 'persistent' : 'sync';
        const connection = await joinsAgain(bench, victim!, node, type);
        bench.step(`${how} while answers are on the way`);
        // More than a node may send to one peer in a second, so that most of it still waits when the peer goes.
        for (let i = 0; i < 45; i += 1) connection.send('gossip', itemRequest(victim!.nodeId, [big.hash]));
        connection.sendEnvelope(victim!.commit().envelope);
        await connection.next('gossip:response', 10_000);
        end(connection);
        await accepted(watching, witness!.commit());
        if ((await served(watching, big.hash)) === null)
          fail(`after ${how} of one peer another is not served an item that the node holds`);
      }
      await otherSourceAsked(bench, victim!, witness!, node);
      const back = await joinsAgain(bench, victim!, node, 'sync');
      await stillServed(back);
      return pass(
        'a peer vanished 8 times with answers on the way and once owing one; others were served, and it may return',
      );
    },
  },
];

/** A peer that vanishes owing an answer: whoever else has the item is asked, and the item comes. */
async function otherSourceAsked(
  bench: Bench,
  victim: Puppet,
  witness: Puppet,
  node: NodeUnderTest,
): Promise<void> {
  bench.step('a reset while the node waits for an item');
  const writer = await bench.puppet('writer');
  const item = writer.commit();
  const lost = await victim.peer(node, { capabilities: ['gossip'], manners: { serveItems: false } });
  const other = await witness.peer(node, { capabilities: ['gossip'] });
  other.manners.items.add(item);
  lost.send('gossip', announce(victim.nodeId, [item.hash], { ttl: 0 }));
  await lost.next((m) => m.payload?.gossip_type === 'request' && names(m, item.hash), 8_000);
  lost.reset();
  other.send('gossip', announce(witness.nodeId, [item.hash], { ttl: 0 }));
  const request = await other.maybe(
    (m) => m.payload?.gossip_type === 'request' && names(m, item.hash),
    8_000,
  );
  await other.fence();
  if (request === null && (await served(other, item.hash)) === null)
    fail('an item that a lost peer owed was not asked for of another one that announced it');
  await untilServed(bench, other, item.hash, 8_000);
}

/** An item that is stored behind time is still stored: how late does not matter here. */
async function isServedWithin(
  bench: Bench,
  connection: Connection,
  hash: string,
  withinMs: number,
): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while ((await served(connection, hash)) === null) {
    if (performance.now() > deadline) return false;
    await bench.sleep(100, 'the item of a gossip response is stored');
  }
  return true;
}

const names = (message: Message, hash: string): boolean =>
  Array.isArray(message.payload?.item_hashes) && message.payload.item_hashes.includes(hash);

/** What the last answers on a connection named instead. */
const lastIds = (connection: Connection): (string | null)[] =>
  connection.received.slice(-5).map((message) => message.requestId);
