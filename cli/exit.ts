/**
 * How every command ends (design): its own code 0, 1 or 3; 2 and one line for a person's mistake; anything else that is thrown
 * is our bug and crashes with its stack.
 */

import { UsageError } from '../harness/usage-error.ts';

/** Runs a command's main function. `name` stands before the line, as in `testnet: --nodes abc: …`. */
export async function exitWith(name: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exitCode = 2;
  }
}
