/**
 * What rows about form do again and again: send the cheapest message that is answered (a `sync_digest`, which counts
 * against no limit and changes nothing), speak in another's name, and hand on items.
 */

import type { Style } from '../harness/wire/canonical.ts';
import type { Connection } from '../harness/wire/connection.ts';
import { buildEnvelope, type Overrides } from '../harness/wire/envelope.ts';
import { announce, digestRequest } from '../harness/wire/gossip.ts';
import type { Item } from '../harness/wire/items.ts';
import type { Json, JsonObject } from '../harness/wire/json.ts';
import type { Bench } from './bench.ts';
import { type Attempt, accepted, answerTo, refusedWithTwin, served } from './expect.ts';
import type { Joined, Puppet } from './puppet.ts';
import { fail } from './requirement.ts';
import { heldOf } from './states.ts';
import type { NodeUnderTest } from './target.ts';

/** A signed `sync_digest`; `members` are further members of its payload, which nobody knows and everybody signs. */
export function probeEnvelope(
  connection: Connection,
  members: Record<string, Json> = {},
  overrides: Overrides = {},
): JsonObject {
  const { items } = connection.manners;
  const payload = { ...digestRequest(items.root(), items.size, { prefix: 'f' }), ...members };
  return buildEnvelope(connection.puppet.identity, 'sync_digest', payload, overrides);
}

/** Sends it and waits for what becomes of it. */
export function probe(
  connection: Connection,
  members: Record<string, Json> = {},
  overrides: Overrides = {},
  style?: Style,
): Promise<Attempt> {
  return attempt(connection, probeEnvelope(connection, members, overrides), style);
}

/** Sends a ready envelope and waits for what becomes of it. */
export async function attempt(connection: Connection, envelope: JsonObject, style?: Style): Promise<Attempt> {
  const id = connection.sendEnvelope(envelope, style);
  if (typeof envelope.message_id === 'string') return answerTo(connection, id);
  // Nothing can name it: what is said before the answer to a message behind it is said of it.
  await connection.fence().catch(() => null);
  const error = await connection.maybe((message) => message.type === 'error', 1);
  const closed = connection.ended;
  if (error === null && closed === null) {
    const detail = 'no error came before the answer to what was sent behind it';
    return { accepted: true, code: null, closed, detail };
  }
  const detail = `error ${error?.errorCode ?? 'none'}`;
  return { accepted: false, code: error?.errorCode ?? null, closed, detail };
}

/** Who shuts the door must have something behind it: a commit over an honest connection is taken and served. */
export async function isNode(bench: Bench, node: NodeUnderTest): Promise<void> {
  bench.step('a commit over an honest connection');
  const puppet = await bench.puppet('honest author');
  const connection = await puppet.join(node);
  const item = puppet.commit();
  await accepted(connection, item);
  if ((await served(connection, item.hash)) === null) fail('an accepted commit is not served');
  await connection.close();
}

/** Refused on a fresh connection with the code and the close of check 4; the twin comes on another. */
export async function mismatch(
  bench: Bench,
  node: NodeUnderTest,
  puppet: Puppet,
  what: string,
  spoil: (connection: Joined) => JsonObject,
): Promise<void> {
  const connection = await puppet.join(node);
  await refusedWithTwin(bench, {
    what,
    code: 'IDENTITY_MISMATCH',
    close: 4401,
    bad: () => {
      const id = connection.sendEnvelope(spoil(connection));
      return answerTo(connection, id, { awaitClose: true });
    },
    twin: async () => {
      const fresh = await puppet.join(node);
      const outcome = await probe(fresh);
      await fresh.close();
      return outcome;
    },
  });
}

/** Announces and serves at most this many at once: they fit into one answer. */
const mostRelayed = 20;

/**
 * Hands items on as somebody who holds them: announces them, serves what the node asks for, and says which of them it holds
 * then. Items of a response are stored before the next message is handled (§6), so a fence ends the waiting.
 */
export async function heldAfterRelay(
  bench: Bench,
  connection: Connection,
  items: readonly Item[],
): Promise<ReadonlySet<string>> {
  const held = new Set<string>();
  const { nodeId } = connection.puppet.identity;
  for (let from = 0; from < items.length; from += mostRelayed) {
    const some = items.slice(from, from + mostRelayed);
    for (const item of some) connection.manners.items.add(item);
    const hashes = some.map((item) => item.hash);
    const asked = new Set<string>();
    const stop = connection.onMessage((message) => {
      if (message.payload?.gossip_type === 'request')
        for (const hash of message.payload.item_hashes) asked.add(hash);
    });
    connection.send('gossip', announce(nodeId, hashes));
    await bench.waitFor(`requests for ${hashes.length} announced items`, 10_000, () =>
      hashes.every((hash) => asked.has(hash)),
    );
    stop();
    await connection.fence();
    for (const hash of await heldOf(connection, hashes)) held.add(hash);
  }
  return held;
}
