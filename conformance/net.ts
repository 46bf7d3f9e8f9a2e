/** Several nodes of the target as one network, each known to the others by way of the first three, and what all of them hold. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import { stateOf } from './expect.ts';
import type { Joined } from './puppet.ts';
import type { NodeOptions, NodeUnderTest } from './target.ts';

/** Started a few at a time, so that a busy host starts them in bounded time. */
export async function startNet(
  bench: Bench,
  size: number,
  parameters: Readonly<Record<string, number>> = {},
  options: (index: number) => NodeOptions = () => ({}),
  reachedAt: (node: NodeUnderTest, index: number) => Promise<{ host: string; port: number }> = async (node) =>
    node,
): Promise<NodeUnderTest[]> {
  const nodes: NodeUnderTest[] = [];
  const bootstrap: { host: string; port: number; publicKey: string }[] = [];
  while (nodes.length < size) {
    bench.step(`starting node ${nodes.length + 1} of ${size}`);
    const first = nodes.length;
    const count = first === 0 ? 1 : Math.min(4, size - first);
    const known = [...bootstrap];
    const started = await bench.nodes(count, (i) => ({
      parameters,
      bootstrap: known,
      ...options(first + i),
    }));
    for (const [i, node] of started.entries()) {
      const { host, port } = await reachedAt(node, first + i);
      if (bootstrap.length < 3) bootstrap.push({ host, port, publicKey: node.publicKey });
    }
    nodes.push(...started);
  }
  return nodes;
}

/** ms from now until each of these nodes holds `count` items, seen in their answers; null if that takes longer than `withinMs`. */
export async function untilAllHold(
  bench: Bench,
  connections: readonly Joined[],
  count: number,
  withinMs: number,
): Promise<number | null> {
  const from = performance.now();
  let lacking = [...connections];
  bench.step(`until ${connections.length} nodes hold ${count} items`);
  for (;;) {
    const states = await Promise.all(lacking.map((connection) => stateOf(connection)));
    lacking = lacking.filter((_, i) => states[i]!.count < count);
    const tookMs = performance.now() - from;
    if (tookMs > withinMs) return null;
    if (lacking.length === 0) return tookMs;
    await delay(100, undefined, { signal: bench.signal });
  }
}
