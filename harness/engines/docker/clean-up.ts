/**
 * What the watchdog runs when the harness is gone: removes one run's things from the engine. A request that was under way when the
 * harness died may still make something, so it looks again until nothing comes any more.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { connectDocker } from './connect.ts';
import { removeFound } from './leftovers.ts';

const againMs = 700;
const mostPasses = 40;

const runId = process.argv[2];
if (runId === undefined) throw new Error('no run named');
let quiet = 0;
for (let pass = 0; pass < mostPasses && quiet < 2; pass += 1) {
  const count = await removed(runId);
  quiet = count === 0 ? quiet + 1 : 0;
  await delay(againMs);
}

/** How many things went. The engine may be busy with what it was asked last, or be started anew: then there may be more. */
async function removed(run: string): Promise<number> {
  try {
    const { docker } = await connectDocker();
    return (await removeFound(docker, run)).count;
  } catch {
    return 1;
  }
}
