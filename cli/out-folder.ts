/** Where a command puts what it made: the folder of `--out`, or a reason in one line why it cannot be. Holds no file in it. */

import { accessSync, constants, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from '../harness/usage-error.ts';

/** Makes the folder and those above it. */
export function makeOutFolder(folder: string): void {
  try {
    makeStepwise(folder);
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`--out: ${folder} cannot be made (${code ?? message})`);
  }
}

/** Node's own `recursive` never returns where a parent is there but refuses every child with ENOENT, such as /proc. */
function makeStepwise(folder: string, isParent = false): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      // A file of that name: what comes below it will say so; the folder itself has to be one.
      if (!isParent) accessSync(`${folder}/.`);
      return;
    }
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error;
    makeStepwise(dirname(folder), true);
    mkdirSync(folder);
  }
}
