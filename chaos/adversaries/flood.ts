/**
 * Floods one node along every limit of profile §9 and §4 at once, each under an identity of its own: commits, queries, bytes, and
 * persistent peers until it is full.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../../harness/wire/connection.ts';
import { digestRequest } from '../../harness/wire/gossip.ts';
import { handshake } from '../../harness/wire/handshake.ts';
import { buildItem } from '../../harness/wire/items.ts';
import type { Message } from '../../harness/wire/message.ts';
import { dial } from '../../harness/wire/puppet.ts';
import type { Attack } from '../adversaries.ts';

export async function flood(attack: Attack): Promise<void> {
  await Promise.all([commits(attack), queries(attack), bytes(attack), peers(attack)]);
}

const pause = (ms: number, signal: AbortSignal): Promise<unknown> =>
  delay(ms, undefined, { signal }).catch(() => {});

/** An answer in words: `accepted`, `known`, an error code, or what type came. */
function outcomeOf(answer: Message): string {
  if (answer.errorCode !== null) return answer.errorCode;
  return typeof answer.payload?.status === 'string' ? answer.payload.status : answer.type;
}

/** Twice as many as a minute allows at once, none waiting for the answer to another; then one every second. */
async function burst(limit: number, signal: AbortSignal, one: () => Promise<boolean>): Promise<void> {
  await Promise.all(Array.from({ length: 2 * limit }, one));
  for (let going = true; going && !signal.aborted; ) {
    await pause(1_000, signal);
    going = !signal.aborted && (await one());
  }
}

async function commits(attack: Attack): Promise<void> {
  const puppet = await attack.puppet();
  const connection = await attack.join(puppet);
  if (connection === null) return;
  await burst(attack.limit('commits_per_minute'), attack.signal, async () => {
    const item = buildItem(puppet, 'commit');
    attack.offered('commit');
    connection.sendEnvelope(item.envelope);
    const answer = await connection.answer(item.messageId, attack.forMs).catch(() => null);
    if (answer === null) return false;
    const outcome = outcomeOf(answer);
    attack.answered('commit', outcome);
    if (outcome !== 'accepted') attack.record.forbidden.push(item.hash.slice(5));
    return true;
  });
}

async function queries(attack: Attack): Promise<void> {
  const connection = await attack.join(await attack.puppet());
  if (connection === null) return;
  const payload = { query_type: 'by_agent', filters: { agent_id: 'agent_nobody', limit: 1 } };
  await burst(attack.limit('queries_per_minute'), attack.signal, async () => {
    attack.offered('query');
    const answer = await connection.request('query', payload, { withinMs: attack.forMs }).catch(() => null);
    if (answer === null) return false;
    attack.answered('query', answer.type === 'response' ? 'accepted' : outcomeOf(answer));
    return true;
  });
}

/** Padding of one message; with it the message stays below the 60 000 bytes of a payload. */
const paddingBytes = 30_000;
/** How far over the limit it writes, and for how long. */
const overload = 2.5;
const writeMs = 5_000;

/**
 * Messages whose effects can be counted (each is answered), because what the socket swallows is not what the node takes in.
 * What a held-back node has not answered when the writing ends is never going to be counted against it.
 */
async function bytes(attack: Attack): Promise<void> {
  const connection = await attack.join(await attack.puppet());
  if (connection === null) return;
  const padding = 'x'.repeat(paddingBytes);
  const rate = attack.limit('bytes_per_second') * overload;
  const pending = new Map<string, number>();
  connection.onMessage((message) => {
    const size = message.requestId === null ? undefined : pending.get(message.requestId);
    if (size === undefined) return;
    pending.delete(message.requestId!);
    attack.answered('bytes', message.type === 'sync_digest' ? 'answered' : outcomeOf(message), size);
  });
  const began = attack.now();
  attack.record.detail.bytesFrom = began;
  let offered = 0;
  const payload = digestRequest('0'.repeat(64), 0, { prefix: 'ffff', changes: { padding } });
  // What one write adds beside the padding, roughly; counted small, so that nobody is accused for our headers.
  const size = paddingBytes + 400;
  while (
    !attack.signal.aborted &&
    connection.ended === null &&
    attack.now() - began < Math.min(writeMs, attack.forMs)
  ) {
    pending.set(connection.send('sync_digest', payload), size);
    offered += size;
    attack.record.detail.bytesOffered = offered;
    const ahead = (offered / rate) * 1000 - (attack.now() - began);
    if (ahead > 5) await pause(ahead, attack.signal);
  }
  attack.record.detail.bytesUntil = attack.now();
  await Promise.race([connection.closed, pause(attack.forMs, attack.signal)]);
}

/** Persistent peers, a few at a time, until some were turned away; they stay until the end. */
async function peers(attack: Attack): Promise<void> {
  const { record } = attack;
  const open = new Set<Connection>();
  const atOnce = 4;
  const enough = 6;
  let left = attack.limit('max_peers') + enough;
  let turnedAway = 0;
  const counted = (): void => {
    record.peersOpen.push({ at: attack.now(), open: open.size });
    record.mostPeers = Math.max(record.mostPeers, open.size);
  };
  const offer = async (): Promise<void> => {
    while (left > 0 && turnedAway < enough && !attack.signal.aborted) {
      left -= 1;
      const puppet = await attack.puppet();
      const label = `${puppet.name}>${record.target}`;
      const connection = await dial(puppet, attack.address, { label, keepMessages: 64, transcriptBytes: 0 });
      if (connection.kind === 'refused') continue;
      attack.hold(connection);
      const outcome = await handshake(connection, { type: 'persistent' });
      if (attack.signal.aborted) return;
      if (outcome.kind === 'refused') {
        const how = `${outcome.error?.errorCode ?? 'no error'} ${outcome.closed?.code ?? 'not closed'}`;
        turnedAway += 1;
        attack.answered('peer', how);
      } else if (outcome.kind !== 'silent') {
        open.add(connection);
        counted();
        void connection.closed.then(() => {
          open.delete(connection);
          counted();
        });
        attack.answered('peer', 'accepted');
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, offer));
}
