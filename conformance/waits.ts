/**
 * The waits of one row as its transcript has them: a row that looks every 50 ms whether something has come waits once, not a hundred
 * times. Times are ms since the row began. Knows no clock.
 */

import type { TranscriptLine } from './transcript.ts';

interface Wait {
  why: string;
  times: number;
  /** Of the last time. */
  untilMs: number;
}

export interface Waits {
  /** Sleeps for a reason from `atMs` on; false where that goes on with a wait for the same reason. */
  begins(why: string, ms: number, atMs: number): boolean;
  /** The end of every wait that took more than one sleep. */
  ends(): TranscriptLine[];
}

/** Between two looks something is looked at: that takes its time on a full host. */
const sameWaitMs = 250;

export function createWaits(): Waits {
  const waits: Wait[] = [];
  const latest = new Map<string, Wait>();
  return {
    begins: (why, ms, atMs) => {
      const wait = latest.get(why);
      if (wait !== undefined && atMs <= wait.untilMs + sameWaitMs) {
        wait.times += 1;
        wait.untilMs = Math.max(wait.untilMs, atMs + ms);
        return false;
      }
      const begun = { why, times: 1, untilMs: atMs + ms };
      latest.set(why, begun);
      waits.push(begun);
      return true;
    },
    ends: () =>
      waits
        .filter(({ times }) => times > 1)
        .map(({ why, times, untilMs }) => ({
          atMs: untilMs,
          who: 'bench',
          direction: 'note',
          text: `${why}: until here, ${times} times`,
        })),
  };
}
