/**
 * Says one thing again and again: one commit on old and new connections, and one announce under one gossip id. None may have a second
 * effect (profile §3.2: "is answered `known`").
 */

import { setTimeout as delay } from 'node:timers/promises';
import { announce } from '../../harness/wire/gossip.ts';
import { buildItem } from '../../harness/wire/items.ts';
import type { Attack } from '../adversaries.ts';

const paceMs = 40;
const perConnection = 50;

export async function duplicates(attack: Attack): Promise<void> {
  const puppet = await attack.puppet();
  const item = buildItem(puppet, 'commit');
  const gossip = announce(puppet.identity.nodeId, [item.hash]);
  let first = true;
  while (!attack.signal.aborted) {
    const connection = await attack.join(puppet);
    for (
      let n = 0;
      connection !== null && n < perConnection && connection.ended === null && !attack.signal.aborted;
      n += 1
    ) {
      connection.sendEnvelope(item.envelope);
      connection.send('gossip', gossip);
      const answer = await connection.answer(item.messageId, 5_000).catch(() => null);
      if (answer === null) break;
      const status = typeof answer.payload?.status === 'string' ? answer.payload.status : answer.type;
      if (!first) attack.answered('duplicate', answer.errorCode ?? status);
      first = false;
      await delay(paceMs, undefined, { signal: attack.signal }).catch(() => {});
    }
    if (connection?.ended === null) await connection.close();
    await delay(paceMs, undefined, { signal: attack.signal }).catch(() => {});
  }
}
