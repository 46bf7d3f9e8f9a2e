/**
 * What arrived on one connection: remembered up to a bound, looked at, and waited for with a bound. Knows messages as data;
 * nothing of sockets. No timer outlives its wait.
 */

import { type Matcher, type Message, matches } from './message.ts';
import type { Closed } from './websocket.ts';

/** What was waited for did not come. `closed` tells whether the connection had ended by then. */
export class Unseen extends Error {
  override readonly name = 'Unseen';
  readonly closed: Closed | null;
  constructor(what: string, closed: Closed | null) {
    super(what);
    this.closed = closed;
  }
}

export interface Inbox {
  readonly received: readonly Message[];
  /** Hands the message to the first wait that it matches, then to every listener. */
  push(message: Message): void;
  /** Ends all waits. */
  end(closed: Closed): void;
  /** The earliest match that no wait has taken yet; null after `withinMs` or at the end of the connection. */
  wait(matcher: Matcher, withinMs: number): Promise<Message | null>;
  /** As `wait`, but rejects with `Unseen`, which names `what` and says what came instead. */
  need(what: string, matcher: Matcher, withinMs: number): Promise<Message>;
  onMessage(listener: (message: Message) => void): () => void;
}

interface Waiter {
  matcher: Matcher;
  settle: (message: Message | null) => void;
}

/** `keep`: how many messages are remembered; the oldest go first. */
export function createInbox(label: string, keep: number): Inbox {
  const received: Message[] = [];
  const taken = new WeakSet<Message>();
  const waiters = new Set<Waiter>();
  const listeners = new Set<(message: Message) => void>();
  let ended: Closed | null = null;

  const wait = (matcher: Matcher, withinMs: number): Promise<Message | null> => {
    const there = received.find((message) => !taken.has(message) && matches(matcher, message));
    if (there !== undefined) {
      taken.add(there);
      return Promise.resolve(there);
    }
    if (ended !== null) return Promise.resolve(null);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        waiters.delete(waiter);
        resolve(null);
      }, withinMs);
      const settle = (message: Message | null): void => {
        clearTimeout(timer);
        resolve(message);
      };
      const waiter: Waiter = { matcher, settle };
      waiters.add(waiter);
    });
  };

  return {
    received,
    push(message) {
      received.push(message);
      if (received.length > keep) received.splice(0, received.length - keep);
      for (const waiter of waiters) {
        if (!matches(waiter.matcher, message)) continue;
        taken.add(message);
        waiters.delete(waiter);
        waiter.settle(message);
        break;
      }
      for (const listener of [...listeners]) listener(message);
    },
    end(closed) {
      ended = closed;
      for (const waiter of waiters) waiter.settle(null);
      waiters.clear();
    },
    wait,
    async need(what, matcher, withinMs) {
      const message = await wait(matcher, withinMs);
      if (message !== null) return message;
      const state =
        ended === null ? `within ${withinMs} ms` : `before the connection ended (${describe(ended)})`;
      const last = received.slice(-3).map((one) => one.errorCode ?? one.type);
      throw new Unseen(`${label}: no ${what} ${state}; last came: ${last.join(', ') || 'nothing'}`, ended);
    },
    onMessage(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** An ending in a few words. */
export function describe(closed: Closed): string {
  return [closed.how, closed.code, closed.reason, closed.detail].filter((part) => part !== '').join(' ');
}

/** The value within the bound, or null; leaves no timer. */
export async function within<T>(promise: Promise<T>, withinMs: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), withinMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
