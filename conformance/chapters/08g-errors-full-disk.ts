/** § F3.6 Errors: a disk that is full. The node is put on a small file system that the tester fills up. */

import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { mountSmall, unmountBelow } from '../../harness/mounts.ts';
import type { Connection } from '../../harness/wire/connection.ts';
import type { Item } from '../../harness/wire/items.ts';
import type { Bench } from '../bench.ts';
import { accepted, query, served } from '../expect.ts';
import { fail, inconclusive, notApplicable, pass, type Requirement } from '../requirement.ts';
import type { NodeControl, NodeUnderTest } from '../target.ts';

const diskBytes = 24 * 1024 * 1024;
/** Large ones, so that what a store holds back for itself is soon used up. */
const itemBytes = 24_000;

/** Restarts the node on an empty small disk of its own. */
async function onSmallDisk(bench: Bench, node: NodeUnderTest): Promise<NodeControl> {
  const { control } = node;
  if (control === null || control.pid === null)
    return notApplicable('the files of this target cannot be put on a small disk');
  await control.kill();
  const obstacle = mountSmall(control.dataDir, diskBytes);
  if (obstacle !== null) return notApplicable(`no small disk can be made here: ${obstacle}`);
  bench.onClose(() => unmountBelow(control.dataDir));
  await control.start().catch((error: Error) => inconclusive(`on a small disk ${error.message}`));
  return control;
}

/** Takes up all the space that is left. */
function fill(file: string): void {
  const handle = openSync(file, 'a');
  try {
    for (let size = 1 << 20; size >= 512; ) {
      try {
        writeSync(handle, Buffer.alloc(size));
      } catch {
        size >>= 1;
      }
    }
  } finally {
    closeSync(handle);
  }
}

/** Sends an item; true if it was taken, false if the node said UNAVAILABLE. Anything else fails. */
async function taken(connection: Connection, item: Item): Promise<boolean> {
  connection.sendEnvelope(item.envelope);
  const answer = await connection.maybe((message) => message.requestId === item.messageId, 10_000);
  if (answer === null) {
    await connection.fence(15_000);
    return fail('with a full disk a commit got no answer, though what came behind it did');
  }
  if (answer.type === 'response') return true;
  if (answer.errorCode !== 'UNAVAILABLE')
    fail(`with a full disk a commit was answered ${answer.errorCode}, expected UNAVAILABLE`, answer.text);
  return false;
}

export const rows: readonly Requirement[] = [
  {
    id: 'ERR-03',
    level: 'should',
    section: 'F3.6',
    role: 'n',
    quote: 'the disk is full; the item was not taken, the message is neither remembered nor counted',
    reading:
      'With a full disk commits are answered UNAVAILABLE and nothing is acknowledged that is not stored; queries and items go on being served; the same message sent again is neither STALE nor limited.',
    mutants: ['full-disk-acknowledges', 'full-disk-crashes', 'full-disk-remembers', 'full-disk-silent'],
    needs: ['start', 'restart', 'data-dir'],
    durationHintMs: 5_000,
    limitMs: 60_000,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node({ parameters: { checkpoint_interval_s: 0, commits_per_minute: 40 } });
      const control = await onSmallDisk(bench, node);
      const author = await bench.puppet('author');
      const connection = await author.join(node);
      const good = author.commit();
      await accepted(connection, good);
      bench.step('the disk is full');
      const filler = join(control.dataDir, 'filler');
      fill(filler);
      const held = [good];
      const refused: Item[] = [];
      for (let i = 0; i < 30 && refused.length < 3; i += 1) {
        const item = author.commit({ metadata: { padding: 'x'.repeat(itemBytes) } });
        if (await taken(connection, item)) held.push(item);
        else refused.push(item);
        // What the store wrote into the room that it had set aside: the rest is filled again.
        fill(filler);
      }
      if (refused.length === 0) {
        await survives(control, held, () => author.join(node));
        return pass(`${held.length - 1} commits of ${itemBytes} bytes were stored though the disk was full`);
      }
      for (const item of refused)
        if ((await served(connection, item.hash)) !== null) fail('an item that was UNAVAILABLE is served');
      if ((await served(connection, good.hash)) === null)
        fail('with a full disk an item is not served any more');
      const found = await query(connection, 'by_agent', { agent_id: author.agentId });
      if (found.totalCount !== held.length)
        fail(`a query counts ${found.totalCount} rules, ${held.length} commits were acknowledged`);
      bench.step('the refused messages again, ten times and more');
      for (let i = 0; i < 40; i += 1) if (await taken(connection, refused[i % refused.length]!)) break;
      rmSync(filler);
      bench.step('there is room again');
      for (const item of refused) if (await taken(connection, item)) held.push(item);
      await survives(control, held, () => author.join(node));
      return pass(
        `${refused.length} commits were UNAVAILABLE, ${held.length} were acknowledged and survived kill -9`,
      );
    },
  },
];

/** What was acknowledged is there after kill −9. */
async function survives(
  control: NodeControl,
  held: readonly Item[],
  join: () => Promise<Connection>,
): Promise<void> {
  await control.kill();
  await control.start().catch((error: Error) => fail(`after a full disk ${error.message}`));
  const connection = await join();
  for (const item of held)
    if ((await served(connection, item.hash)) === null)
      fail('an item that was acknowledged while the disk was full is gone after kill -9');
}
