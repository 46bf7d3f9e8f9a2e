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
const { docker } = await connectDocker();
let quiet = 0;
for (let pass = 0; pass < mostPasses && quiet < 2; pass += 1) {
  // The engine may be busy with what it was asked last.
  const { count } = await removeFound(docker, runId).catch(() => ({ count: 1 }));
  quiet = count === 0 ? quiet + 1 : 0;
  await delay(againMs);
}
