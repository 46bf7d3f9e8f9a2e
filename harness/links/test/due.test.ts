/** The due queue: instants in order, moved and cancelled entries, never early. */

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { rng } from '../../rng.ts';
import { createDueQueue, type Due } from '../due.ts';

describe('due queue', () => {
  it('runs what is due in order and never early, after moves and cancellations', async () => {
    const queue = createDueQueue();
    const stream = rng(1, 'due');
    const ran: { at: number; ranAt: number }[] = [];
    const startedAt = queue.now();
    const entries = Array.from({ length: 500 }, () => {
      const entry: Due = { at: 0, slot: -1, run: () => ran.push({ at: entry.at, ranAt: queue.now() }) };
      queue.set(entry, startedAt + stream.float() * 150);
      return entry;
    });
    for (const entry of entries.slice(0, 100)) queue.cancel(entry);
    for (const entry of entries.slice(100, 200)) queue.set(entry, startedAt + stream.float() * 150);
    queue.cancel(entries[0]!);
    await sleep(300);
    expect(ran).to.have.length(400);
    expect(ran.map(({ at }) => at)).to.deep.equal(ran.map(({ at }) => at).sort((a, b) => a - b));
    for (const { at, ranAt } of ran) expect(ranAt).to.be.at.least(at);
    queue.close();
  });

  it('takes new entries while it runs, and nothing runs once it is closed', async () => {
    const queue = createDueQueue();
    const ran: string[] = [];
    const second: Due = { at: 0, slot: -1, run: () => ran.push('second') };
    const first: Due = {
      at: 0,
      slot: -1,
      run(nowMs) {
        ran.push('first');
        queue.set(second, nowMs + 5);
      },
    };
    const never: Due = { at: 0, slot: -1, run: () => ran.push('never') };
    queue.set(first, queue.now());
    queue.set(never, queue.now() + 60);
    await sleep(40);
    expect(ran).to.deep.equal(['first', 'second']);
    queue.close();
    queue.set(never, queue.now());
    await sleep(60);
    expect(ran).to.deep.equal(['first', 'second']);
  });

  it('waits for instants beyond the longest timer', async () => {
    const queue = createDueQueue();
    let ran = false;
    const far: Due = {
      at: 0,
      slot: -1,
      run() {
        ran = true;
      },
    };
    queue.set(far, queue.now() + 2 ** 40);
    await sleep(20);
    expect(ran).to.equal(false);
    queue.close();
  });
});
