/**
 * One observer's connection to one life of a node: a peer without capabilities and without an address, over a `sync` connection, so
 * that it takes no place among the node's peers. It times every request, notes every rebuff, and dials again when cut off. What
 * is asked, and why, is for others.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Rebuff, RoundTrip } from './history.ts';
import type { Recorder } from './recorder.ts';
import { type Connection, Unseen } from './wire/connection.ts';
import type { Item } from './wire/items.ts';
import type { Json } from './wire/json.ts';
import type { Message } from './wire/message.ts';
import { join, type Puppet } from './wire/puppet.ts';
import type { Closed } from './wire/websocket.ts';

export interface SessionOptions {
  puppet: Puppet;
  node: string;
  life: number;
  address: string;
  recorder: Recorder;
}

export interface Session {
  readonly puppet: Puppet;
  /** The answer (errors too), or null: not connected, ended, or none in time. */
  request(type: RoundTrip['kind'], payload: Json): Promise<Message | null>;
  /** Sends an item; resolves to its answer. `sentAt` is told at once. */
  commit(item: Item): Promise<{ sentAt: number; answer: Message | null; connected: boolean }>;
  /** From now on an end of the connection is nobody's fault. */
  expectEnd(): void;
  /** Ends it; pending requests resolve to null. */
  stop(): void;
}

const answerWithinMs = 10_000;
const redialMs = [100, 250, 500, 1000, 2000] as const;
/** Profile §4: who is connected for `sync` may be closed when it has been idle for 30 s; a little less, for who counts from elsewhere. */
const idleMs = 29_500;

/** Whether an end is in order though nobody told the node to end: ordinary expiry, of a connection that we did not use. */
export function isExpiry({ code, at }: Pick<Closed, 'code' | 'at'>, lastSentAt: number): boolean {
  return (code === 1000 || code === 1001) && at - lastSentAt >= idleMs;
}

export function openSession(options: SessionOptions): Session {
  const { puppet, node, life, address, recorder } = options;
  let stopped = false;
  let ending = false;
  /** No connection any more, and none will be dialled. */
  let gone = false;
  let connection: Connection | null = null;
  /** performance.now of the last message of ours. */
  let lastSentAt = 0;
  let wake: () => void = () => {};
  const stopping = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const waiting: ((connection: Connection | null) => void)[] = [];
  const settle = (value: Connection | null): void => {
    for (const resolve of waiting.splice(0)) resolve(value);
  };

  const rebuff = (what: Rebuff['what'], code: number | null, detail: string): void => {
    if (stopped || ending) return;
    recorder.history.rebuffs.push({ node, life, at: recorder.now(), what, code, detail });
  };
  const keep = async (): Promise<void> => {
    for (let attempt = 0; !stopped; attempt += 1) {
      const opened = await open(puppet, address, `${puppet.name}>${node}`, rebuff);
      if (opened !== null && stopped) opened.destroy();
      if (opened !== null && !stopped) {
        connection = opened;
        lastSentAt = opened.openedAt;
        settle(opened);
        attempt = 0;
        const closed = await opened.closed;
        connection = null;
        if (!isExpiry(closed, lastSentAt))
          rebuff('closed', closed.code, `${closed.how} ${closed.reason}`.trim());
      }
      if (stopped || ending) break;
      await Promise.race([delay(redialMs[Math.min(attempt, redialMs.length - 1)]), stopping]);
    }
    gone = true;
    settle(null);
  };
  void keep();

  /** The connection, waiting a moment for one that is being made. */
  const current = async (): Promise<Connection | null> => {
    if (connection !== null || stopped || gone) return connection;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), answerWithinMs);
      waiting.push((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  };
  const exchange = async (
    kind: RoundTrip['kind'],
    send: (over: Connection) => string,
  ): Promise<{ sentAt: number; answer: Message | null; connected: boolean }> => {
    const over = await current();
    if (over === null) return { sentAt: recorder.now(), answer: null, connected: false };
    const written = performance.now();
    lastSentAt = written;
    try {
      const answer = await over.answer(send(over), answerWithinMs);
      const at = recorder.at(answer.at);
      const sentAt = recorder.at(written);
      recorder.history.roundTrips.push({ node, life, at, ms: Math.max(0, at - sentAt), kind });
      return { sentAt, answer, connected: true };
    } catch (error) {
      if (!(error instanceof Unseen)) throw error;
      if (error.closed === null) rebuff('silence', null, `no answer to ${kind} within ${answerWithinMs} ms`);
      return { sentAt: recorder.at(written), answer: null, connected: true };
    }
  };
  return {
    puppet,
    async request(type, payload) {
      const { answer } = await exchange(type, (over) => over.send(type, payload));
      // No checkpoint yet, or a root that has moved on, are answers too; all else is no way to treat an observer.
      if (answer?.errorCode != null && answer.errorCode !== 'UNKNOWN_HASH') {
        rebuff('error', null, `${answer.errorCode} to ${type}: ${String(answer.payload?.error_message)}`);
      }
      return answer;
    },
    commit: (item) => exchange('commit', (over) => over.sendEnvelope(item.envelope)),
    expectEnd() {
      ending = true;
    },
    stop() {
      stopped = true;
      wake();
      settle(null);
      connection?.destroy();
    },
  };
}

async function open(
  puppet: Puppet,
  address: string,
  label: string,
  rebuff: (what: Rebuff['what'], code: number | null, detail: string) => void,
): Promise<Connection | null> {
  try {
    return await join(puppet, address, {
      label,
      keepMessages: 64,
      transcriptBytes: 0,
      withinMs: answerWithinMs,
    });
  } catch (error) {
    if (!(error instanceof Unseen)) throw error;
    rebuff('refused', error.closed?.code ?? null, error.message);
    return null;
  }
}
