/**
 * Bodies handed on by somebody who is not their author: announced, served when the node asks, and looked for in what the node
 * serves afterwards. The bodies may be anything; which of them are items is for the row to know.
 */

import { canonical } from '../harness/wire/canonical.ts';
import type { Connection } from '../harness/wire/connection.ts';
import { announce, itemResponse } from '../harness/wire/gossip.ts';
import type { JsonObject } from '../harness/wire/json.ts';
import type { Bench } from './bench.ts';
import type { Joined } from './puppet.ts';
import { late } from './requirement.ts';
import { heldOf } from './states.ts';

/** Hashes of one announce, fewer than the profile allows: refused bodies are counted by response. */
const announcedAtOnce = 40;
/** §3.2: 100 bad messages within 10 s end a connection, and each response here may be one. A node that asks for one at a time gets many. */
const mostResponses = 90;
const badWindowMs = 10_000;
/** Room for bodies in one response, in bytes of their canonical form. */
const roomBytes = 50_000;

export interface Body {
  hash: string;
  envelope: JsonObject;
}

/**
 * Announces all bodies over `source`, serves each once when the node asks, and returns the hashes that the node then serves to
 * `observer`. A hash that is never asked for fails the row.
 */
export async function relayed(
  bench: Bench,
  source: Joined,
  observer: Connection,
  bodies: readonly Body[],
): Promise<Set<string>> {
  const byHash = new Map(bodies.map((body) => [body.hash, body.envelope]));
  const waiting = new Set(byHash.keys());
  source.manners.serveItems = false;
  let askedAt = performance.now();
  const respondedAt: number[] = [];
  const stop = source.onMessage((message) => {
    if (message.type !== 'gossip' || message.payload?.gossip_type !== 'request') return;
    askedAt = performance.now();
    const asked = message.payload.item_hashes as string[];
    const served: string[] = [];
    let left = roomBytes;
    for (const hash of asked) {
      const envelope = byHash.get(hash);
      if (envelope === undefined) continue;
      left -= canonical(envelope).length;
      if (left < 0 && served.length > 0) break;
      served.push(hash);
    }
    respondedAt.push(askedAt);
    const missing = asked.filter((hash) => !byHash.has(hash));
    const envelopes = served.map((hash) => byHash.get(hash)!);
    source.send(
      'gossip',
      itemResponse(source.puppet.identity.nodeId, message.id, envelopes, served, missing),
    );
    for (const hash of served) waiting.delete(hash);
  });
  const hashes = [...byHash.keys()];
  for (let at = 0; at < hashes.length; at += announcedAtOnce) {
    const part = hashes.slice(at, at + announcedAtOnce);
    const recent = (): number => respondedAt.filter((ms) => performance.now() - ms < badWindowMs).length;
    while (recent() + part.length > mostResponses) await bench.sleep(100, 'room for bad responses');
    source.send('gossip', announce(source.puppet.identity.nodeId, part));
    askedAt = performance.now();
    while (part.some((hash) => waiting.has(hash))) {
      // It may ask for one at a time: 15 s without a question are too many.
      if (performance.now() - askedAt > 15_000)
        late(`${part.filter((hash) => waiting.has(hash)).length} announced items were never asked for`);
      await bench.sleep(10, 'the node asks for what was announced');
    }
  }
  // What came in a response is stored before the next message is handled (§6).
  await source.fence();
  stop();
  source.manners.serveItems = true;
  return heldOf(observer, hashes);
}
