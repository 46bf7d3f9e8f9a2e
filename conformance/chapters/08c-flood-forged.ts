/** § 8.3 Flood prevention, forged messages: what nobody signed is counted for nobody, and holds no honest peer up. */

import { sendHello } from '../../harness/wire/handshake.ts';
import { commitPayload } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import { stillServed } from '../expect.ts';
import { controlProbe, inTime, keepCalling } from '../honest-peer.ts';
import { byHash, limited, submit, useUpItems, useUpQueries } from '../limits.ts';
import type { Puppet } from '../puppet.ts';
import { pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'FLD-07',
    level: 'must',
    section: '8.3',
    role: 's',
    quote: 'Counted are messages that pass checks 1–11',
    reading:
      'Messages with bad signatures, under one’s own or another’s name, use up nobody’s budget, and an honest peer’s p95 stays below 500 ms meanwhile.',
    mutants: ['forged-counts-claimed', 'forged-counts-own', 'claimed-id-evicts'],
    needs: [],
    durationHintMs: 6_500,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node();
      const victim = await bench.puppet('victim');
      const forger = await bench.puppet('forger', { unrecorded: true });
      const held = await victim.peer(node);
      const honest = await (await bench.puppet('honest')).join(node);
      const beside = await controlProbe(bench, 'beside');
      const until = performance.now() + 4_000;
      const asking = keepCalling(bench, honest, () => performance.now() > until);
      const control = beside(() => performance.now() > until);
      bench.step('forged messages');
      let sent = 0;
      for (let round = 0; performance.now() < until; round += 1)
        sent += await forge(forger, victim, node, round);
      const [latencies, compared] = [await asking, await control];
      bench.step('the victim’s and the forger’s own budgets');
      await stillServed(held);
      await useUpItems(held, victim);
      await useUpQueries(held);
      const own = await forger.join(node);
      await useUpItems(own, forger);
      await useUpQueries(own);
      // The twin: where nothing is counted at all, nothing was left uncounted.
      limited(await submit(own, forger.commit()), 'commit 11');
      limited(await own.request('query', byHash), 'query 31');
      const p95 = inTime(latencies, compared, `beside ${sent} forged messages`);
      return pass(`${sent} forged messages cost nobody a commit or a query; honest p95 ${p95} ms`);
    },
  },
];

/** One connection's worth of forgery; how many messages it was. */
async function forge(forger: Puppet, victim: Puppet, node: NodeUnderTest, round: number): Promise<number> {
  const signature = Buffer.alloc(64, round + 1).toString('base64');
  const { agentId, nodeId, publicKeyBase64 } = victim.identity;
  const name = { agent_id: agentId, node_id: nodeId, public_key: publicKeyBase64 };
  const certificate = Buffer.from(forger.certificate.der).toString('base64');
  const claimed = round % 3 !== 0;
  const connection = await forger.mustDial(node, { withinMs: 15_000 });
  // Every third time the victim's name is taken for the hello already.
  if (round % 3 === 2) sendHello(connection, 'sync', { overrides: { senderMembers: name, signature } });
  else sendHello(connection, 'sync');
  let sent = 0;
  for (; sent < 80 && connection.ended === null; sent += 1) {
    const [type, payload] =
      sent % 2 === 0
        ? ['commit', commitPayload()]
        : ['query', { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } }];
    const members = claimed ? name : {};
    const senderMembers = type === 'commit' ? { ...members, certificate } : members;
    connection.send(type as string, payload as JsonObject, { senderMembers, signature });
  }
  if (!claimed) await connection.maybe(() => connection.seen('error').length >= sent, 10_000);
  else await connection.closedWithin(10_000);
  await connection.close();
  return sent;
}
