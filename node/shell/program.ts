/**
 * The program around a node: `CLE_CONFIG` in, exit codes out (profile §10). 0 after SIGTERM or SIGINT, 2 with one line on
 * stderr for a wrong configuration; anything else that goes wrong is our own bug and ends with its stack.
 */

import { setFlagsFromString } from 'node:v8';
import { ConfigurationError, readConfiguration } from './configuration.ts';
import { runNode } from './library.ts';
import { createNotes } from './notes.ts';

/** §4: "exit within 5 s"; the connections have ended or were cut long before. */
const LAST_RESORT_MS = 4500;

/**
 * V8 compiles a function anew, and dearly, once it has run for a while. A host with fifty nodes pays that fifty times in their
 * busiest moment, a fifth of all it has; so it shall come seven times later than V8 has it.
 * Not by a flag of the command line: with one, V8 refuses the compiled code of Node's own modules at the start.
 */
function optimizeLate(): void {
  setFlagsFromString('--interrupt-budget=500000');
}

/** Resolves when the node accepts connections. */
export async function runProgram(): Promise<void> {
  const notes = createNotes(1, () => Date.now(), process.env.CLE_NOTES === 'debug');
  process.on('exit', notes.flush);
  try {
    const file = process.env.CLE_CONFIG;
    if (!file) {
      throw new ConfigurationError('CLE_CONFIG: is not set; it must name the YAML file of the configuration');
    }
    const starting = readConfiguration(file).then((configuration) =>
      runNode(configuration, { note: notes.note }),
    );
    const stop = (signal: string) => {
      notes.note('info', 'stopping', { signal });
      setTimeout(() => process.exit(0), LAST_RESORT_MS).unref();
      starting
        .then((node) => node.stop())
        .then(
          () => process.exit(0),
          // Why it did not start is said below.
          () => {},
        );
    };
    // Before it listens: the first process of a container has no other way to be stopped, the kernel's own does nothing to it.
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    await starting;
    optimizeLate();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}
