/**
 * What no honest peer can send: commits whose signature does not hold, and what is no message at all. It connects again whenever it is
 * cut off, as often as that takes.
 */

import { setTimeout as delay, setImmediate as immediate } from 'node:timers/promises';
import type { Connection } from '../../harness/wire/connection.ts';
import { flippedBit } from '../../harness/wire/envelope.ts';
import { opcodes } from '../../harness/wire/frames.ts';
import { buildItem, type Item } from '../../harness/wire/items.ts';
import type { Puppet } from '../../harness/wire/puppet.ts';
import type { Attack } from '../adversaries.ts';

const pause = (ms: number, signal: AbortSignal): Promise<unknown> =>
  delay(ms, undefined, { signal }).catch(() => {});

/** Under the 100 in 10 s that close a connection; then over it. */
const gentleMs = 150;
export const forgedCounts = { gentle: 40, burst: 110 };
/** Profile §3.2: so many refusals on one connection within such a time close it. */
const closing = { refusals: 100, withinMs: 10_000 };

export async function badSignatures(attack: Attack, { gentle, burst } = forgedCounts): Promise<void> {
  const puppet = await attack.puppet();
  while (!attack.signal.aborted) {
    const connection = await attack.join(puppet);
    if (connection === null) {
      await pause(500, attack.signal);
      continue;
    }
    const refusals: Refusal[] = [];
    for (let n = 0; n < gentle; n += 1) {
      if (!(await send(attack, connection, forged(puppet, n), refusals))) break;
      await pause(gentleMs, attack.signal);
    }
    // All at once: how long a node takes for each answer must not decide how many it is sent within the time. Made one by one before,
    // so that our own signing does not hold everything else up.
    const ready: Item[] = [];
    for (let n = 0; n < burst && !attack.signal.aborted && connection.ended === null; n += 1) {
      ready.push(forged(puppet, n));
      await immediate();
    }
    await Promise.all(ready.map((item) => send(attack, connection, item, refusals)));
    if (connection.ended !== null || mustClose(refusals)) await ended(attack, 'forged', connection);
    connection.destroy();
    await pause(200, attack.signal);
  }
}

/** Between the two, by performance.now, the node refused it. */
export interface Refusal {
  sentAt: number;
  readAt: number;
}

/** A commit whose signature does not hold. */
function forged(puppet: Puppet, n: number): Item {
  const item = buildItem(puppet, 'commit');
  const signature = flippedBit(String(item.envelope.signature), n);
  return { ...item, envelope: { ...item.envelope, signature } };
}

/** Whether it was answered. */
async function send(
  attack: Attack,
  connection: Connection,
  { envelope, hash, messageId }: Item,
  refusals: Refusal[],
): Promise<boolean> {
  if (attack.signal.aborted || connection.ended !== null) return false;
  attack.record.forbidden.push(hash.slice(5));
  const sentAt = performance.now();
  connection.sendEnvelope(envelope);
  const answer = await connection.answer(messageId, closing.withinMs).catch(() => null);
  if (answer === null) return false;
  attack.answered('forged', answer.errorCode ?? String(answer.payload?.status ?? answer.type));
  if (answer.errorCode === 'INVALID_SIGNATURE' || answer.errorCode === 'MALFORMED')
    refusals.push({ sentAt, readAt: answer.at });
  return true;
}

/** Whether so many were refused within the time for certain; of a slower node nothing is asked. */
export function mustClose(refusals: readonly Refusal[]): boolean {
  return refusals.some(({ sentAt }, first) => {
    const last = refusals[first + closing.refusals - 1];
    return last !== undefined && last.readAt - sentAt <= closing.withinMs;
  });
}

const texts: readonly ((n: number) => string)[] = [
  () => '',
  () => '[]',
  () => 'null',
  () => '{"version": "1.0"',
  (n) => `{"version": "1.0", "version": "1.0", "n": ${n}}`,
  () => '{"version": NaN}',
  () => `${'['.repeat(200)}${']'.repeat(200)}`,
  (n) => JSON.stringify({ version: '1.0', message_type: 'commit', message_id: n, payload: {} }),
  () => '{"__proto__": {"message_type": "hello"}}',
  (n) => `{"n": ${'9'.repeat(4301)}${n}}`,
];

export async function garbage(attack: Attack): Promise<void> {
  const puppet = await attack.puppet();
  for (let round = 0; !attack.signal.aborted; round += 1) {
    const connection = await attack.join(puppet);
    if (connection === null) {
      await pause(500, attack.signal);
      continue;
    }
    for (let n = 0; n < texts.length && connection.ended === null; n += 1) {
      if (attack.signal.aborted) return;
      const error = connection.maybe('error', 5_000);
      connection.sendText(texts[n]!(round));
      const answer = await error;
      if (answer === null) break;
      attack.answered('garbage', answer.errorCode ?? 'error');
      await pause(100, attack.signal);
    }
    if (connection.ended === null) worse(connection, round);
    await ended(attack, 'garbage', connection);
    connection.destroy();
    await pause(200, attack.signal);
  }
}

/** Each of these has to end the connection (profile §2). */
function worse(connection: Connection, round: number): void {
  if (round % 3 === 0) connection.sendFrame({ opcode: opcodes.binary, payload: 'x' });
  else if (round % 3 === 1) connection.sendText('x'.repeat(70_000));
  else connection.sendText(Buffer.from([0x22, 0xff, 0x22]));
}

async function ended(attack: Attack, kind: 'forged' | 'garbage', connection: Connection): Promise<void> {
  const closed = await connection.closedWithin(5_000);
  if (attack.signal.aborted) return;
  attack.answered(kind, closed === null ? 'not closed' : `${closed.how} ${closed.code}`);
}
