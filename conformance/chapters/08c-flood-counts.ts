/** § 8.3 Flood prevention, the counts: 10 items and 30 queries of one peer, whichever way it comes, and what does not count. */

import type { Connection } from '../../harness/wire/connection.ts';
import {
  announce,
  digestRequest,
  itemRequest,
  peerRequest,
  stateSyncRequest,
} from '../../harness/wire/gossip.ts';
import { accepted, query, served, stillServed, untilServed } from '../expect.ts';
import { byHash, itemsPerMinute, limited, submit, useUpItems, useUpQueries } from '../limits.ts';
import { commitKind, pairsOverLimit, queryKind, reportedFirst } from '../order.ts';
import type { Puppet } from '../puppet.ts';
import { bytesOverThree } from '../reconnecting.ts';
import { fail, inconclusive, pass, type Requirement } from '../requirement.ts';

/** None of these counts as an item or a query. */
async function syncTrafficPasses(connection: Connection): Promise<number> {
  const { nodeId } = connection.puppet.identity;
  const ids: string[] = [];
  for (let i = 0; i < 36; i += 1) {
    ids.push(connection.send('sync_digest', digestRequest('0'.repeat(64), 0, { prefix: 'f' })));
    ids.push(connection.send('gossip', itemRequest(nodeId, [`rule_${'0'.repeat(64)}`])));
    ids.push(connection.send('state_sync', stateSyncRequest(null)));
  }
  for (const id of ids) {
    const answer = await connection.answer(id, 15_000);
    if (answer.errorCode === 'RATE_LIMIT') fail('sync traffic was counted: it got RATE_LIMIT', answer.text);
  }
  return ids.length;
}

async function agentsItems(observer: Connection, agentId: string): Promise<number> {
  return (await query(observer, 'by_agent', { agent_id: agentId })).totalCount;
}

export const rows: readonly Requirement[] = [
  {
    id: 'FLD-01',
    level: 'must',
    section: '8.3',
    role: 's',
    quote: '10 of commit/challenge/confirm together',
    reading:
      'Ten items of the three types together are taken in a minute, the eleventh of any type gets RATE_LIMIT with retry_after and has no effect; neither refused nor known ones count.',
    ruling: 'Profile §9: "Counted are messages that pass checks 1–11".',
    mutants: [
      'items-nine',
      'items-eleven',
      'items-unlimited',
      'items-limited-but-applied',
      'items-apart',
      'items-refused-counted',
      'items-known-counted',
      'limit-closes',
      'retry-after-missing',
      'retry-after-milliseconds',
      'limits-before-stale',
      'item-form-before-limit',
      'limits-before-signature',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const author = await bench.puppet('author');
      const observer = await (await bench.puppet('observer')).join(node);
      const connection = await author.join(node);
      bench.step('refused items before the ten');
      for (const bad of [
        author.commit({ confidence: 2 }),
        author.confirm({ rule_hash: 7 }),
        author.challenge({ evidence: {} }),
      ]) {
        const answer = await submit(connection, bad);
        if (answer.errorCode !== 'MALFORMED') inconclusive(`an invalid item was answered ${answer.text}`);
      }
      bench.step('ten items');
      const ten = [
        ...Array.from({ length: 4 }, () => author.commit()),
        ...Array.from({ length: 3 }, () => author.challenge()),
        ...Array.from({ length: 3 }, () => author.confirm()),
      ];
      for (const [index, item] of ten.entries()) {
        if (index === 5) await accepted(connection, ten[0]!, 'known');
        const answer = await submit(connection, item);
        if (answer.payload?.status !== 'accepted')
          fail(`item ${index + 1} of ten in a minute was answered ${answer.errorCode ?? answer.text}`);
      }
      bench.step('the eleventh');
      const surplus = [author.commit(), author.challenge(), author.confirm(), author.commit()];
      for (const item of surplus)
        limited(await submit(connection, item), `an eleventh ${item.envelope.message_type}`);
      await accepted(connection, ten[9]!, 'known');
      await reportedFirst(bench, node, author, pairsOverLimit, commitKind);
      await stillServed(connection);
      for (const item of surplus)
        if ((await served(observer, item.hash)) !== null)
          fail(`an eleventh ${item.envelope.message_type} was answered RATE_LIMIT and stored`);
      const rules = await agentsItems(observer, author.agentId);
      if (rules !== 4) fail(`the observer’s query counts ${rules} rules of the author, 4 were taken`);
      return pass('10 items of three types were taken, 4 more got RATE_LIMIT and were not stored');
    },
  },
  {
    id: 'FLD-02',
    level: 'must',
    section: '8.3',
    role: 's',
    quote: '30 of query/peer_request together',
    reading:
      'Thirty queries and peer_requests together are answered in a minute, the next of either gets RATE_LIMIT; items are counted apart, refused queries and sync traffic not at all.',
    mutants: [
      'queries-twenty-nine',
      'queries-thirty-one',
      'queries-unlimited',
      'queries-and-items-shared',
      'peer-requests-uncounted',
      'queries-refused-counted',
      'sync-counted',
      'limits-before-stale',
      'query-form-before-limit',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const [asker, writer] = await bench.puppets(2);
      const connection = await asker!.join(node);
      bench.step('refused queries before the thirty');
      // Who is lenient and answers one (DIR-08) counts it.
      let answered = 0;
      for (const payload of [
        { query_type: 'by_hash', filters: {} },
        { query_type: 'by_luck', filters: {} },
        {},
      ]) {
        const answer = await connection.request('query', payload);
        if (answer.type === 'response') answered += 1;
        else if (answer.errorCode !== 'MALFORMED')
          inconclusive(`an invalid query was answered ${answer.text}`);
      }
      bench.step('thirty queries and peer_requests');
      await useUpQueries(connection, 30 - answered);
      limited(await connection.request('query', byHash), 'query 31');
      limited(await connection.request('peer_request', peerRequest(asker!.nodeId)), 'peer_request 31');
      bench.step('ten items beside them');
      await useUpItems(connection, asker!);
      limited(await submit(connection, asker!.commit()), 'commit 11');
      limited(await connection.request('query', byHash), 'query 31');
      bench.step('sync traffic beyond both limits');
      const requests = await syncTrafficPasses(connection);
      await stillServed(connection);
      await reportedFirst(bench, node, asker!, pairsOverLimit, queryKind);
      bench.step('items first, then queries');
      const other = await writer!.join(node);
      await useUpItems(other, writer!);
      await useUpQueries(other);
      return pass(`30 of 31 queries and 10 of 11 items in a minute, ${requests} sync requests beside them`);
    },
  },
  {
    id: 'FLD-04',
    level: 'must',
    section: '8.3',
    role: 's',
    quote: 'Per peer node_id (not per connection: reconnecting resets nothing)',
    reading:
      'While one peer is over its limits another is not: not one of the same agent nor one at the same address; and an item of the limited author is taken from others.',
    ruling:
      'Profile §6: an item is valid by its own members, "and nothing else may be a reason to refuse it".',
    mutants: ['limits-global', 'limits-per-agent', 'limits-for-relayed'],
    needs: [],
    durationHintMs: 3_000,
    test: async (bench) => {
      const node = await bench.shared();
      const greedy = await bench.puppet('greedy');
      const connection = await greedy.join(node);
      await useUpItems(connection, greedy);
      await useUpQueries(connection);
      const surplus = greedy.commit();
      limited(await submit(connection, surplus), 'commit 11');
      limited(await connection.request('query', byHash), 'query 31');
      const others: [what: string, puppet: Puppet][] = [
        ['another peer', await bench.puppet('other')],
        ['another node of the same agent', await bench.puppet('sibling', { agentId: greedy.agentId })],
      ];
      for (const [what, puppet] of others) {
        bench.step(`${what} beside a limited peer`);
        const beside = await puppet.join(node);
        const answer = await submit(beside, puppet.commit());
        if (answer.payload?.status !== 'accepted')
          fail(`${what}’s first commit was answered ${answer.errorCode} while a peer is over its limit`);
        await useUpItems(beside, puppet, itemsPerMinute - 1);
        await useUpQueries(beside);
      }
      limited(await submit(connection, greedy.commit()), 'commit 11, again');
      bench.step('an item of the limited author from somebody else');
      const relay = await bench.puppet('relay');
      relay.items.add(surplus);
      const peer = await relay.peer(node);
      peer.send('gossip', announce(greedy.nodeId, [surplus.hash], { ttl: 0 }));
      await untilServed(bench, peer, surplus.hash, 10_000);
      return pass(
        'another peer and another node of the agent had their own limits, the item came by another way',
      );
    },
  },
  {
    id: 'FLD-05',
    level: 'must',
    section: '8.3',
    role: 's',
    quote: 'not per connection: reconnecting resets nothing',
    reading:
      'A peer over its limits is over them on any connection: a second one, a new one after a close or a reset, of another type, under another certificate of its key. Nor does it bring a new burst of bytes.',
    mutants: [
      'limits-per-connection',
      'limits-forgotten-with-peer',
      'limits-per-agent',
      'bytes-burst-per-connection',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('returning');
      const first = await puppet.join(node);
      await useUpItems(first, puppet, 6);
      await useUpQueries(first, 20);
      const second = await puppet.join(node, { type: 'gossip' });
      await useUpItems(second, puppet, 4);
      await useUpQueries(second, 10);
      const stillLimited = async (connection: Connection, how: string, author: Puppet): Promise<void> => {
        bench.step(how);
        limited(await submit(connection, author.commit()), `commit 11 ${how}`);
        limited(await connection.request('query', byHash), `query 31 ${how}`);
        limited(
          await connection.request('peer_request', peerRequest(author.nodeId)),
          `peer_request 31 ${how}`,
        );
      };
      await stillLimited(second, 'on a second connection', puppet);
      await stillLimited(first, 'on the first connection', puppet);
      await Promise.all([first.close(), second.close()]);
      const third = await puppet.join(node);
      await stillLimited(third, 'after both were closed', puppet);
      third.reset();
      const persistent = await puppet.peer(node, { capabilities: [] });
      await stillLimited(persistent, 'as a persistent peer after a reset', puppet);
      await persistent.close();
      const renamed = await bench.puppet('renamed', {
        identity: { ...puppet.identity, agentId: 'agent_renamed' },
      });
      const under = await renamed.join(node);
      await stillLimited(under, 'under another certificate of the key', renamed);
      const tookMs = await bytesOverThree(bench, node);
      return pass(
        `two connections share one budget, and four new ones brought none; 3 MiB over three took ${tookMs} ms`,
      );
    },
  },
];
