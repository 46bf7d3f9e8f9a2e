/**
 * How a node failed, in one line that a stranger understands: what it did, after how long, and its last words. Knows no engine.
 */

import { lastLines } from './node-log.ts';
import type { ProbeOutcome } from './probe.ts';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** performance.now. */
  at: number;
}

export function howItEnded({ code, signal }: Exit): string {
  return signal ?? `exit code ${code}`;
}

/**
 * A node that ended by itself. `shell`: the line that a shell was given to start it, or null; `wasReady`: it had accepted TLS;
 * `startedAt`: performance.now.
 */
export function unexpectedEnd(
  exit: Exit,
  startedAt: number,
  shell: string | null,
  wasReady: boolean,
): string {
  if (shell !== null && !wasReady && (exit.code === 127 || exit.code === 126)) {
    return `could not be started: the command ${JSON.stringify(shell)} ended with exit code ${exit.code}`;
  }
  const how = howItEnded(exit);
  const seconds = ((exit.at - startedAt) / 1000).toFixed(1);
  return wasReady
    ? `ended by itself with ${how}, ${seconds} s after its start`
    : `ended with ${how} after ${seconds} s without ever accepting TLS`;
}

/** A node that runs but is not ready. */
export function neverReady(last: ProbeOutcome, address: string, withinMs: number): string {
  const seconds = (withinMs / 1000).toFixed(0);
  if (last.kind === 'no-tls') {
    return `listens on ${address} but accepts no TLS 1.3 handshake with TLS_AES_256_GCM_SHA384 (${last.detail}), not within ${seconds} s`;
  }
  return `does not listen on ${address}, not within ${seconds} s`;
}

/** The one line that names a node, what went wrong and its last words. */
export function failureLine(name: string, what: string, logFile: string): string {
  const words = lastLines(logFile, 3, { sinceRemark: true }).map((line) => line.slice(0, 240));
  return `${name} ${what}${words.length === 0 ? '; it wrote nothing' : `; its last lines: ${words.join(' | ')}`}`;
}
