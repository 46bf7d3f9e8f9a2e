/**
 * Peers that leave and come back: when there is a place for them again, and what one may spend that does so to spend more. Knows
 * how much of it a node may have taken in by when; which row asks is not its matter.
 */

import { heartbeat } from '../harness/wire/gossip.ts';
import type { Bench } from './bench.ts';
import { tryHandshake } from './expect.ts';
import type { Joined, Puppet } from './puppet.ts';
import { fail, late } from './requirement.ts';
import type { NodeUnderTest } from './target.ts';

const perSecond = 1_048_576;
const perConnection = 22;
const padding = 'x'.repeat(48_000);

/** Joins as soon as there is a place: a node that still has messages of a lost connection to read notices its end after them. */
export async function joinsAgain(
  bench: Bench,
  puppet: Puppet,
  node: NodeUnderTest,
  type: 'persistent' | 'sync',
): Promise<Joined> {
  const until = performance.now() + 8_000;
  for (;;) {
    const attempt = await tryHandshake(puppet, node, { type, capabilities: ['gossip'], keepOpen: true });
    if (attempt.accepted) return attempt.connection as Joined;
    if (performance.now() > until) {
      const found = `8 s after connections had ended there was no place for another yet: ${attempt.detail}`;
      // Who refuses in words, try after try, has the time to see that others are gone.
      if (attempt.isOpen) late(found);
      fail(found);
    }
    await bench.sleep(200, 'before another try to join');
  }
}

/**
 * Three connections, one after the other, with a little more than a second's bytes each, at a node with the default limit. What was
 * taken in is known by the answer to what was sent behind it. Returns how long all of it took, ms.
 */
export async function bytesOverThree(bench: Bench, node: NodeUnderTest): Promise<number> {
  bench.step('a second’s bytes on each of three connections');
  const puppet = await bench.puppet('reconnecting', { unrecorded: true });
  const size = JSON.stringify(heartbeat(puppet.nodeId, { padding })).length;
  let begunAt = Number.NaN;
  let takenIn = 0;
  for (const leave of ['close', 'reset', 'close'] as const) {
    const connection = await puppet.join(node, { withinMs: 15_000 });
    if (takenIn === 0) begunAt = performance.now();
    for (let i = 0; i < perConnection; i += 1)
      connection.send('gossip', heartbeat(puppet.nodeId, { padding }));
    await connection.fence(20_000);
    const refused = connection.seen((message) => message.errorCode === 'RATE_LIMIT').length;
    takenIn += size * Math.max(0, perConnection - refused);
    const tookMs = performance.now() - begunAt;
    const allowed = perSecond * (tookMs / 1_000 + 1) * 1.05 + 131_072;
    if (takenIn > allowed)
      fail(
        `${takenIn} bytes of a peer that left and came back were taken in within ${Math.round(tookMs)} ms, at most ${Math.round(allowed)} are allowed`,
      );
    await connection[leave]();
  }
  return Math.round(performance.now() - begunAt);
}
