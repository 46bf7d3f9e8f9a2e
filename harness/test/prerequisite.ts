/**
 * What a test needs and a machine may lack (the real Toxiproxy, a container engine). Elsewhere than in CI the test is skipped and says
 * why; in CI it fails, unless the gate's own preparation has found that this machine cannot have it.
 */

import type { Context } from 'mocha';

/** Ends the test or the suite for want of `what` (a whole sentence); `script` would install it. Always throws. */
export function lacks(
  test: Pick<Context, 'skip'>,
  what: string,
  script: string,
  environment: NodeJS.ProcessEnv = process.env,
): never {
  // Set by .ci/run where ci/prepare-machine.sh ended with 3.
  const isExcused = environment.CLE_UNPREPARED !== undefined;
  if (environment.CI !== undefined && !isExcused)
    throw new Error(`${what}; in CI this is not skipped: ${script} installs it`);
  console.log(`      skipped: ${what}`);
  return test.skip();
}
