/** § 8 Security, the cost of an attack: forged messages without end must not keep an honest peer from its answers. */

import { setTimeout as delay } from 'node:timers/promises';
import { canonical } from '../../harness/wire/canonical.ts';
import type { Connection } from '../../harness/wire/connection.ts';
import { buildEnvelope } from '../../harness/wire/envelope.ts';
import { digestRequest } from '../../harness/wire/gossip.ts';
import { sendHello } from '../../harness/wire/handshake.ts';
import type { Bench } from '../bench.ts';
import { accepted, closedWith } from '../expect.ts';
import { controlProbe, inTime, keepCalling } from '../honest-peer.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import { quantile } from '../statistics.ts';
import type { NodeUnderTest } from '../target.ts';

const perSecond = 1_000;
const phaseMs = 2_500;
/** §3.2: so many bad messages on one connection within 10 s close it. */
const cutOffAfter = 100;

/** A forged query under a fresh id; made once, because the attacker must not be what is slow. */
function forgery(puppet: Puppet, name: { [key: string]: string }): () => string {
  const placeholder = '00000000-0000-4000-8000-000000000000';
  const text = canonical(
    buildEnvelope(
      puppet.identity,
      'query',
      { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } },
      { messageId: placeholder, senderMembers: name, signature: Buffer.alloc(64, 5).toString('base64') },
    ),
  );
  return () => text.replace(placeholder, crypto.randomUUID());
}

/** Hundreds at a time under another's name, no hello before: all but the first are for the waste-paper basket. */
async function inAnothersName(
  forger: Puppet,
  victim: Puppet,
  node: NodeUnderTest,
): Promise<{ sent: number; cuts: number }> {
  const { agentId, nodeId, publicKeyBase64 } = victim.identity;
  const forge = forgery(forger, { agent_id: agentId, node_id: nodeId, public_key: publicKeyBase64 });
  const under: Promise<void>[] = [];
  let sent = 0;
  let cuts = 0;
  const once = async (): Promise<void> => {
    const connection = await forger.mustDial(node, { withinMs: 20_000 });
    for (let i = 0; i < cutOffAfter; i += 1) connection.sendText(forge());
    sent += cutOffAfter;
    await closedWith(connection, 4401, 20_000);
    cuts += 1;
  };
  const begunAt = performance.now();
  // It does not wait for one connection's end before it begins the next: a slow node gets no rest.
  for (let next = 0; next < phaseMs; next += (cutOffAfter / perSecond) * 1_000) {
    const aheadMs = begunAt + next - performance.now();
    if (aheadMs > 0) await delay(aheadMs);
    const attack = once();
    attack.catch(() => {});
    under.push(attack);
  }
  await Promise.all(under);
  return { sent, cuts };
}

/** Bad signatures under one's own name, `rate` a second, until each connection is cut off; then on with the next. */
async function inOwnName(
  bench: Bench,
  forger: Puppet,
  node: NodeUnderTest,
  rate: number,
): Promise<{ sent: number; cuts: number }> {
  const forge = forgery(forger, {});
  const begunAt = performance.now();
  let sent = 0;
  let cuts = 0;
  while (performance.now() - begunAt < phaseMs) {
    const connection: Connection = await forger.mustDial(node, { withinMs: 15_000 });
    sendHello(connection, 'sync');
    await connection.next('hello', 10_000);
    const openedAt = performance.now();
    for (let here = 0; connection.ended === null; ) {
      const due = Math.floor(((performance.now() - openedAt) / 1_000) * rate) + 1;
      for (; here < due; here += 1) {
        connection.sendText(here % 10 === 9 ? '{"forged":' : forge());
        sent += 1;
      }
      // One connection is carried through, however slowly: that it is cut off is part of what is judged.
      if (performance.now() - begunAt > phaseMs && here < cutOffAfter && cuts > 0) break;
      if (here >= 3 * cutOffAfter) {
        await cutOff(connection, here);
        break;
      }
      await delay(10, undefined, { signal: bench.signal });
    }
    if (connection.ended !== null) cuts += 1;
    connection.destroy();
  }
  return { sent, cuts };
}

/** A slow reader has them still before it; a right one closes at the hundredth and never comes to the fence. */
async function cutOff(connection: Connection, sent: number): Promise<void> {
  const id = connection.send('sync_digest', digestRequest('0'.repeat(64), 0, { prefix: 'f' }));
  const served = await connection.maybe((message) => message.requestId === id, 20_000);
  if (served !== null) fail(`${sent} bad messages on one connection, and it is still served`);
  await closedWith(connection, 4400);
}

async function typicalMs(connection: Connection): Promise<number> {
  const took: number[] = [];
  for (let i = 0; i < 15; i += 1) {
    const sentAt = performance.now();
    await connection.fence(15_000);
    took.push(performance.now() - sentAt);
  }
  return quantile(took, 0.5);
}

export const rows: readonly Requirement[] = [
  {
    id: 'PRF-01',
    level: 'must',
    section: '8',
    role: 's',
    quote: 'The first failure is reported, has no other effect and is not forwarded or cached.',
    reading:
      'A peer that sends 1 000 forged messages a second and comes back as often as it is cut off leaves an honest peer’s p95 below 500 ms: first in another’s name, where the cheap checks come before the signature, then with bad signatures in its own, no faster than the node answers honest requests one by one.',
    ruling:
      'Profile §3.2: check 4 stands before check 6, and "After 100 `MALFORMED` or `INVALID_SIGNATURE` on one connection within 10 s: close 4400".',
    mutants: ['forged-verified-first', 'forged-never-cut-off', 'forged-stalls', 'accept-stalls'],
    needs: [],
    durationHintMs: 7_000,
    limitMs: 90_000,
    cpu: 0.75,
    test: async (bench) => {
      const node = await bench.node();
      const [victim, first, second] = await bench.puppets(3, 'honest');
      const forger = await bench.puppet('forger', { unrecorded: true });
      const honest = [await first!.join(node), await second!.peer(node, { capabilities: [] })];
      const typical = await typicalMs(honest[0]!);
      const rate = Math.min(perSecond, Math.max(20, Math.floor(1_000 / typical)));
      const beside = await controlProbe(bench, 'beside');
      const attacked = async (
        what: string,
        attack: () => Promise<{ sent: number; cuts: number }>,
      ): Promise<{ sent: number; cuts: number; p95: number }> => {
        bench.step(what);
        let over = false;
        const probing = honest.map((connection) => keepCalling(bench, connection, () => over));
        const control = beside(() => over);
        const done = await attack().finally(() => {
          over = true;
        });
        const latencies = (await Promise.all(probing)).flat();
        return { ...done, p95: inTime(latencies, await control, `beside ${done.sent} ${what}`) };
      };
      const named = await attacked('forged messages in another’s name', () =>
        inAnothersName(forger, victim!, node),
      );
      const own = await attacked('bad signatures in its own name', () =>
        inOwnName(bench, forger, node, rate),
      );
      const figures = `${named.sent} forged messages in another’s name (${named.cuts} connections) and ${own.sent} in its own (${own.cuts} cut off): honest p95 ${named.p95} and ${own.p95} ms, ${typical.toFixed(1)} ms before`;
      if (own.cuts === 0) fail(`${own.sent} bad messages and never cut off`);
      await accepted(honest[0]!, first!.commit());
      return pass(figures);
    },
  },
];
