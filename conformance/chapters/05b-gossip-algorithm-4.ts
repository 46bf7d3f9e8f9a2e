/** § 4.2 Gossip algorithm: how much of a network of twenty nodes gossip alone reaches. */

import type { Bench } from '../bench.ts';
import { accepted, stateOf } from '../expect.ts';
import { startNet } from '../net.ts';
import type { Joined } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

const size = 20;
const broadcasts = 30;

/**
 * The mean coverage of 30 broadcasts at n = 20, simulated 300 times each over graphs of six kinds (degree 4 to 19, even and with
 * late comers at the edge), where copies travel three hops: 0.854 to 0.872, ± 0.013 to 0.017. Faults: fan-out 2 0.57 ± 0.014,
 * fan-out 4 0.97 ± 0.008, one hop more 0.96 ± 0.010, one less 0.54 ± 0.010. The lower bound leaves room for a busy host, on which
 * items come after their announcer was asked for the last time. That ttl is reduced at all is GAL-06's.
 */
const least = 0.72;
const most = 0.935;

export const rows: readonly Requirement[] = [
  {
    id: 'GAL-11',
    level: 'should',
    section: '4.2',
    role: 'n',
    quote: '| TTL | 3 | Maximum hops |',
    reading:
      'Of twenty nodes without anti-entropy 30 broadcasts reach, on the mean, the share that follows from fan-out 3 and three hops.',
    ruling:
      'Profile §7: "the origin\'s copies carry 2, a copy with 0 is processed and not forwarded, and no copy travels more than 3 hops".',
    mutants: ['gossip-fanout-one', 'announce-ttl-one'],
    needs: ['start', 'instances'],
    durationHintMs: 16_000,
    limitMs: 90_000,
    cpu: 0.7,
    test: async (bench) => {
      const nodes = await startNet(bench, size, { anti_entropy_interval_s: 0, checkpoint_interval_s: 0 });
      const observer = await bench.puppet('observer', { unrecorded: true });
      const connections = await Promise.all(nodes.map((node) => observer.join(node)));
      await bench.sleep(5_000, 'twenty nodes find each other');
      const order = bench.random.shuffle([...connections.keys(), ...connections.keys()]).slice(0, broadcasts);
      for (const index of order) {
        await accepted(connections[index]!, observer.commit());
        await bench.sleep(60, 'broadcasts apart from each other');
      }
      const held = await settledCounts(bench, connections);
      const reached = held.reduce((sum, count) => sum + count, 0);
      const coverage = reached / (size * broadcasts);
      const found = `30 broadcasts reached ${(100 * coverage).toFixed(1)} % of 20 nodes, accepted 72 to 93.5 % (α < 1e-5, power over 0.97)`;
      if (coverage < least || coverage > most) fail(found, held);
      return pass(found, held);
    },
  },
];

/** How many items each node holds, once nothing has changed for a while. */
async function settledCounts(bench: Bench, connections: readonly Joined[]): Promise<number[]> {
  let before = '';
  for (let round = 0; round < 12; round += 1) {
    await bench.sleep(1_000, 'the last items arrive');
    const states = await Promise.all(connections.map((connection) => stateOf(connection)));
    const counts = states.map(({ count }) => count);
    if (round > 0 && String(counts) === before) return counts;
    before = String(counts);
  }
  return before.split(',').map(Number);
}
