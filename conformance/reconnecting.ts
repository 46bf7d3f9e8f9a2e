/**
 * A peer that spends a second's bytes, leaves, comes back and spends them again. Knows how much of it a node may have taken in by
 * when; which row asks is not its matter.
 */

import { heartbeat } from '../harness/wire/gossip.ts';
import type { Bench } from './bench.ts';
import { fail } from './requirement.ts';
import type { NodeUnderTest } from './target.ts';

const perSecond = 1_048_576;
const perConnection = 22;
const padding = 'x'.repeat(48_000);

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
