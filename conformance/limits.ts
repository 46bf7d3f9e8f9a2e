/**
 * The limits per minute as rows meet them (profile §9): how many there are, what uses them up, and the form of the refusal that
 * says so. Knows no row; when a place is free again is for them to say.
 */

import type { Connection } from '../harness/wire/connection.ts';
import { peerRequest } from '../harness/wire/gossip.ts';
import type { Item } from '../harness/wire/items.ts';
import { readable } from '../harness/wire/json.ts';
import type { Message } from '../harness/wire/message.ts';
import type { Puppet } from './puppet.ts';
import { fail } from './requirement.ts';

export const itemsPerMinute = 10;
export const queriesPerMinute = 30;

export const byHash = { query_type: 'by_hash', filters: { rule_hash: `rule_${'0'.repeat(64)}` } };

export async function submit(connection: Connection, item: Item): Promise<Message> {
  connection.sendEnvelope(item.envelope);
  return connection.answer(item.messageId, 10_000);
}

/** The message must be refused with RATE_LIMIT, and the error say for how long. */
export function limited(answer: Message, what: string): void {
  if (answer.errorCode !== 'RATE_LIMIT')
    fail(`${what} was answered ${answer.errorCode ?? answer.type}, expected RATE_LIMIT`, answer.text);
  const retry: unknown = answer.payload?.details?.retry_after;
  // A limit of any 60 s cannot ask for a longer wait; who gives milliseconds shows here.
  if (typeof retry !== 'number' || !(retry > 0) || retry > 61)
    fail(`RATE_LIMIT needs details.retry_after, seconds > 0; it says ${readable(retry)}`, answer.text);
}

/** Uses up the minute's items; every one of them must be taken. */
export async function useUpItems(
  connection: Connection,
  puppet: Puppet,
  count = itemsPerMinute,
): Promise<Item[]> {
  const items = Array.from({ length: count }, () => puppet.commit());
  for (const item of items) connection.sendEnvelope(item.envelope);
  for (const [index, item] of items.entries()) {
    const answer = await connection.answer(item.messageId, 10_000);
    if (answer.payload?.status !== 'accepted')
      fail(`commit ${index + 1} of ${count} in a minute was answered ${answer.errorCode ?? answer.text}`);
  }
  return items;
}

/** Uses up the minute's queries, every second one a peer_request. */
export async function useUpQueries(connection: Connection, count = queriesPerMinute): Promise<void> {
  const { nodeId } = connection.puppet.identity;
  const ids = Array.from({ length: count }, (_, index) =>
    index % 2 === 0 ? connection.send('query', byHash) : connection.send('peer_request', peerRequest(nodeId)),
  );
  for (const [index, id] of ids.entries()) {
    const answer = await connection.answer(id, 10_000);
    if (answer.type === 'error')
      fail(`query or peer_request ${index + 1} of ${count} in a minute was answered ${answer.errorCode}`);
  }
}
