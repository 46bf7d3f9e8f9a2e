/**
 * How every command reads its words: known flags, whole numbers, texts that are not empty, and a word made fit for a shell again.
 * UsageError in one line that says what is allowed. Knows no command and no flag by name.
 */

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from '../harness/usage-error.ts';

type Flags = NonNullable<ParseArgsConfig['options']>;

/** Flags and other words. UsageError for a flag that is not there, one without its value, one with a value that takes none. */
export function readWords<const T extends Flags>(words: readonly string[], flags: T) {
  const args = withNegatives(words, flags);
  try {
    return parseArgs({ args, options: flags, allowPositionals: true, strict: true });
  } catch (error) {
    const { message } = error as Error;
    // Node's own text is one clear line about the flag, followed by advice about `--`.
    const ambiguous = message.match(/^Option '(?:-\w, )?(--[\w-]+)[^']*' argument is ambiguous/)?.[1];
    const line =
      ambiguous === undefined ? message.split(/\.? To specify|\n/)[0]! : `${ambiguous} lacks its value`;
    const allowed = Object.keys(flags).map((flag) => `--${flag}`);
    throw new UsageError(`${line} (there are ${allowed.join(' ')})`);
  }
}

/** `--nodes -5` means a number below zero, and what is wrong with that the flag's own check says. */
function withNegatives(words: readonly string[], flags: Flags): string[] {
  const joined: string[] = [];
  for (const word of words) {
    const before = joined.at(-1);
    const takesValue = before?.startsWith('--') === true && flags[before.slice(2)]?.type === 'string';
    if (takesValue && /^-[\d.]/.test(word)) joined[joined.length - 1] = `${before}=${word}`;
    else joined.push(word);
  }
  return joined;
}

/** null where the flag was not given. UsageError where there is nothing in it. */
export function text(value: string | undefined, flag: string): string | null {
  if (value === undefined) return null;
  if (value.trim() === '') throw new UsageError(`${flag} is empty`);
  return value;
}

/** A whole number from `least`; null where the flag was not given. */
export function whole(value: string | undefined, flag: string, least: number): number | null {
  if (value === undefined) return null;
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number) || number < least) {
    throw new UsageError(`${flag} ${value || "''"}: must be a whole number from ${least}`);
  }
  return number;
}

/** The word as a shell has to be told it. */
export function shellQuoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
