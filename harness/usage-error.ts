/**
 * A stranger's mistake: wrong flag, wrong file, missing program. One clear line, exit code 2, no stack.
 * Anything else that is thrown is our own bug and crashes loudly.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
