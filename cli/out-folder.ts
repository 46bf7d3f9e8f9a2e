/**
 * Where a command puts what it made: the folder of `--out`, or a reason in one line why it cannot be; and that nothing of an earlier
 * run lies in it as if it were this one's. Knows files by the names that it is told.
 */

import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError } from '../harness/usage-error.ts';

/** Folder below the out folder (`.`: itself) → what we put there. Anything else in it is somebody else's. */
export type OurFiles = Readonly<Record<string, RegExp>>;

export interface OutFolder {
  readonly folder: string;
  /** For a run that came to nothing: takes away what is empty of what was made here. */
  removeIfEmpty(): void;
}

/** Lies in every folder that a command of ours has written to: names alone do not tell whose a `plan.json` is. */
const mark = '.cle-testnet';
const markText = 'Results of cle-testnet: the next run with this --out replaces them.\n';

/**
 * Makes the folder; removes what an earlier run left there, and only that. UsageError where files of our names are somebody else's,
 * as they cannot be where nobody but us would put them (`isOurs`).
 */
export function openOutFolder(folder: string, ours: OurFiles, isOurs = false): OutFolder {
  const isNew = makeOutFolder(folder);
  const below = Object.keys(ours).filter((name) => name !== '.');
  if (isOurs || existsSync(join(folder, mark))) removeEarlier(folder, ours);
  else refuseOthers(folder, ours['.']);
  writeFileSync(join(folder, mark), markText);
  return {
    folder,
    removeIfEmpty: () => {
      if (!existsSync(folder)) return;
      const others = readdirSync(folder).filter((name) => name !== mark && !below.includes(name));
      const used = below.some((name) => hasEntries(join(folder, name)));
      if (others.length > 0 || used) return;
      rmSync(join(folder, mark), { force: true });
      for (const name of [...below.map((each) => join(folder, each)), ...(isNew ? [folder] : [])]) {
        try {
          rmdirSync(name);
        } catch {
          // Somebody put something there, or nobody ever did.
        }
      }
    },
  };
}

function hasEntries(place: string): boolean {
  return existsSync(place) && readdirSync(place).length > 0;
}

function refuseOthers(folder: string, names: RegExp | undefined): void {
  const theirs = readdirSync(folder).find((name) => names?.test(name) === true);
  if (theirs === undefined) return;
  throw new UsageError(
    `--out: ${folder} holds a ${theirs} that no run of ours left there; name another folder`,
  );
}

function removeEarlier(folder: string, ours: OurFiles): void {
  for (const [below, names] of Object.entries(ours)) {
    const place = join(folder, below);
    try {
      for (const name of readdirSync(place)) {
        const whole = name.replace(/\.\d+\.unfinished$/, '');
        if (names.test(whole)) rmSync(join(place, name), { recursive: true });
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') continue;
      throw new UsageError(
        `--out: ${place}: what an earlier run left cannot be removed (${code ?? message})`,
      );
    }
  }
}

/** Makes the folder and those above it; whether it was not there before. */
export function makeOutFolder(folder: string): boolean {
  if (isFile(folder)) throw new UsageError(`--out: ${folder} is a file, not a folder`);
  try {
    const isNew = makeStepwise(folder);
    accessSync(folder, constants.W_OK);
    return isNew;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOTDIR')
      throw new UsageError(`--out: ${folder} cannot be made: a folder above it is a file`);
    throw new UsageError(`--out: ${folder} cannot be made (${code ?? message})`);
  }
}

function isFile(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Node's own `recursive` never returns where a parent is there but refuses every child with ENOENT, such as /proc. */
function makeStepwise(folder: string): boolean {
  try {
    mkdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error;
    makeStepwise(dirname(folder));
    mkdirSync(folder);
  }
  return true;
}
