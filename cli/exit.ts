/**
 * How every command ends (design): its own code 0, 1 or 3; 2 and one line for a person's mistake; 3 and one line for trouble of the
 * harness's own. Anything else that is thrown is our bug: it crashes with its stack, and with 3 too, for it says nothing of a node.
 */

import { complaintOf, isDiskFull } from '../harness/run-record.ts';
import { TroubleError } from '../harness/trouble-error.ts';
import { UsageError } from '../harness/usage-error.ts';

/** Runs a command's main function. `name` stands before the line, as in `testnet: --nodes abc: …`. */
export async function exitWith(name: string, main: () => Promise<number>): Promise<void> {
  outliveReaders();
  // Whoever else listens (mocha, while rows run) knows better whose it is.
  process.on('uncaughtException', (error) => {
    if (process.listenerCount('uncaughtException') === 1) crash(error);
  });
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof TroubleError)) crash(error);
    process.stderr.write(`${name}: ${readable((error as Error).message)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 3;
  }
}

function crash(error: unknown): never {
  const { path, stack } = error as NodeJS.ErrnoException;
  process.stderr.write(
    isDiskFull(error) ? `${path ?? 'a file'}: ${complaintOf(error)}\n` : `${stack ?? String(error)}\n`,
  );
  process.exit(3);
}

/** A reader that goes away (`head`), or a full disk behind `>`, ends no run: the reports and the exit code are the result. */
function outliveReaders(): void {
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
}

/** What stands in somebody's file must not steer the terminal that an error is read on. */
function readable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that are taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd]+/g, '�');
}
