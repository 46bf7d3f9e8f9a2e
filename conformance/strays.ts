/**
 * Rejections that nobody waits for and exceptions that nobody catches: a row may begin something beside its main course and end before
 * that fails. Without a guard one such promise ends the whole run, and a node that hangs up at the right moment could cause it; an
 * exception in a timer Mocha would take for that of a row, whose verdict is not Mocha's. Knows no row.
 */

import { AssertionError } from 'chai';
import { Unseen } from '../harness/wire/inbox.ts';
import { Judged } from './requirement.ts';

export interface Strays {
  /** Defects of the suite: they make the run inconclusive. */
  readonly defects: readonly string[];
  off(): void;
}

/**
 * Catches them from now on. What a row would have said of the node (the row has its verdict already), or what its end cut off, is
 * only noted; anything else is a defect of ours.
 */
export function catchStrays(note: (text: string) => void): Strays {
  const defects: string[] = [];
  // Mocha hands on what it does not know, so that one rejection may come twice.
  const seen = new WeakSet<object>();
  const onStray = (reason: unknown, how: string): void => {
    if (typeof reason === 'object' && reason !== null) {
      if (seen.has(reason)) return;
      seen.add(reason);
    }
    const said = reason instanceof Error ? reason.message : String(reason);
    const isOutcome =
      reason instanceof Judged || reason instanceof Unseen || reason instanceof AssertionError;
    if (isOutcome || (reason as Error | null)?.name === 'AbortError') {
      note(`after a row was over: ${said}`);
      return;
    }
    defects.push(`${how}: ${said}`);
    note((reason as Error | null)?.stack ?? said);
  };
  const onRejection = (reason: unknown): void =>
    onStray(reason, 'a promise of the suite failed and nobody waited for it');
  const onException = (error: unknown): void =>
    onStray(error, 'an exception of the suite was caught by nobody');
  process.on('unhandledRejection', onRejection);
  process.on('uncaughtException', onException);
  return {
    defects,
    off() {
      process.off('unhandledRejection', onRejection);
      process.off('uncaughtException', onException);
    },
  };
}
