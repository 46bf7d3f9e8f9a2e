/**
 * What no honest peer can send: commits whose signature does not hold, and what is no message at all. It connects again whenever it is
 * cut off, as often as that takes.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../../harness/wire/connection.ts';
import { flippedBit } from '../../harness/wire/envelope.ts';
import { opcodes } from '../../harness/wire/frames.ts';
import { buildItem } from '../../harness/wire/items.ts';
import type { Attack } from '../adversaries.ts';

const pause = (ms: number, signal: AbortSignal): Promise<unknown> =>
  delay(ms, undefined, { signal }).catch(() => {});

/** Under the 100 in 10 s that close a connection; then over it. */
const gentleMs = 150;
const gentle = 40;
const burst = 110;

export async function badSignatures(attack: Attack): Promise<void> {
  const puppet = await attack.puppet();
  while (!attack.signal.aborted) {
    const connection = await attack.join(puppet);
    for (let n = 0; connection !== null && n < gentle + burst && connection.ended === null; n += 1) {
      if (attack.signal.aborted) return;
      const item = buildItem(puppet, 'commit');
      const signature = flippedBit(String(item.envelope.signature), n);
      attack.record.forbidden.push(item.hash.slice(5));
      connection.sendEnvelope({ ...item.envelope, signature });
      const answer = await connection.answer(item.messageId, 5_000).catch(() => null);
      if (answer === null) break;
      attack.answered('forged', answer.errorCode ?? String(answer.payload?.status ?? answer.type));
      if (n < gentle) await pause(gentleMs, attack.signal);
    }
    await ended(attack, 'forged', connection);
  }
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
    for (let n = 0; connection !== null && n < texts.length && connection.ended === null; n += 1) {
      if (attack.signal.aborted) return;
      const error = connection.maybe('error', 5_000);
      connection.sendText(texts[n]!(round));
      const answer = await error;
      if (answer === null) break;
      attack.answered('garbage', answer.errorCode ?? 'error');
      await pause(100, attack.signal);
    }
    if (connection !== null && connection.ended === null) worse(connection, round);
    await ended(attack, 'garbage', connection);
  }
}

/** Each of these has to end the connection (profile §2). */
function worse(connection: Connection, round: number): void {
  if (round % 3 === 0) connection.sendFrame({ opcode: opcodes.binary, payload: 'x' });
  else if (round % 3 === 1) connection.sendText('x'.repeat(70_000));
  else connection.sendText(Buffer.from([0x22, 0xff, 0x22]));
}

async function ended(
  attack: Attack,
  kind: 'forged' | 'garbage',
  connection: Connection | null,
): Promise<void> {
  if (connection === null) {
    await pause(500, attack.signal);
    return;
  }
  const closed = await connection.closedWithin(5_000);
  if (attack.signal.aborted) return;
  attack.answered(kind, closed === null ? 'not closed' : `${closed.how} ${closed.code}`);
  connection.destroy();
  await pause(200, attack.signal);
}
