/**
 * The loop of a running node: inputs go into the core one at a time, its effects are performed in order. Owns the only
 * timer of the protocol, the numbering of links and what belongs together: link and connection, dial and attempt, batch
 * and write, ticket and promise. Decides nothing that the protocol decides.
 */

import type { TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import type {
  Core,
  Effect,
  Input,
  ItemType,
  JsonObject,
  LinkId,
  Restored,
  StoredItem,
} from '../core/types.ts';
import { type Connection, type ConnectionEvents, openConnection } from './connection.ts';
import type { DialEvents } from './dialer.ts';
import type { Note } from './notes.ts';
import type { Store } from './store.ts';
import { createTurns } from './turns.ts';

/** §4, heartbeat: "abort 2 s later". */
const ABORT_AFTER_MS = 2000;
/** setTimeout's largest delay. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface RuntimeOptions {
  nowMs(): number;
  dial(address: string, events: DialEvents): { cancel(): void };
  note: Note;
  /** Items, own ones too, that have just become durable. */
  onItems?: ((items: readonly StoredItem[]) => void) | undefined;
}

export interface Published {
  /** `rule_` + 64 hex digits. */
  itemHash: string;
  status: 'accepted' | 'known';
}

export interface Runtime {
  /** From now on inputs are handled; what came before waits, in order. */
  start(core: Core, store: Store, restored: Restored): void;
  accepted(webSocket: WebSocket, socket: TLSSocket, certificate: Uint8Array): void;
  /** Resolves when the item is durable; rejects with the core's reason. */
  publish(messageType: ItemType, payload: JsonObject): Promise<Published>;
  /** Closes every connection (1001) and resolves when they are gone; nothing happens afterwards. */
  stop(): Promise<void>;
}

export function createRuntime(options: RuntimeOptions): Runtime {
  const links = new Map<LinkId, Connection>();
  const dials = new Map<number, { cancel(): void }>();
  const tickets = new Map<number, { resolve(published: Published): void; reject(error: Error): void }>();
  const turns = createTurns();
  let lastLink = 0;
  let lastTicket = 0;
  let running: { core: Core; store: Store } | null = null;
  let whenEmpty: (() => void) | null = null;

  // -- Inputs: one at a time, also those that an effect gives rise to.
  let inputs: Input[] = [];
  let stepping = false;
  const feed = (input: Input) => {
    inputs.push(input);
    if (!running || stepping) return;
    stepping = true;
    const { core } = running;
    for (let i = 0; i < inputs.length; i++) {
      for (const effect of core.step(inputs[i]!)) perform(effect);
    }
    inputs = [];
    stepping = false;
    armTimer(core);
  };

  // -- The one timer.
  let timer: NodeJS.Timeout | null = null;
  let armedAt = Number.POSITIVE_INFINITY;
  const armTimer = (core: Core) => {
    // A timer that is due too early finds that out and is set anew: cheaper than setting it after every message.
    if (core.wakeAt >= armedAt) return;
    if (timer) clearTimeout(timer);
    armedAt = core.wakeAt;
    const delayMs = Math.ceil(armedAt - options.nowMs());
    timer = setTimeout(onTimer, Math.min(Math.max(delayMs, 0), LONGEST_TIMER_MS));
  };
  const onTimer = () => {
    timer = null;
    armedAt = Number.POSITIVE_INFINITY;
    if (!running) return;
    if (options.nowMs() >= running.core.wakeAt) feed({ kind: 'wake' });
    else armTimer(running.core);
  };

  // -- Sending: whatever one turn of the event loop sends over a link is one write.
  let unflushed: Connection[] = [];
  const flush = () => {
    const connections = unflushed;
    unflushed = [];
    for (const connection of connections) connection.flush();
  };
  const send = (link: LinkId, text: string) => {
    const connection = links.get(link);
    if (!connection) return;
    connection.send(text);
    if (unflushed.length === 0) turns.next(flush);
    if (unflushed.at(-1) !== connection) unflushed.push(connection);
  };

  const open = (webSocket: WebSocket, socket: TLSSocket): LinkId => {
    const link = ++lastLink;
    const events: ConnectionEvents = {
      text: (text, size) => feed({ kind: 'text', link, text, size }),
      binary: () => feed({ kind: 'binary', link }),
      pressed: () => feed({ kind: 'pressed', link }),
      drained: () => feed({ kind: 'drained', link }),
      closed(code) {
        links.delete(link);
        feed({ kind: 'closed', link, code });
        if (links.size === 0) whenEmpty?.();
      },
    };
    const connection = openConnection(webSocket, socket, events, turns);
    links.set(link, connection);
    return link;
  };

  const startDial = (dial: number, address: string) => {
    const attempt = options.dial(address, {
      upgraded(webSocket, socket, certificate) {
        dials.delete(dial);
        const link = open(webSocket, socket);
        feed({ kind: 'dialed', dial, link, certificate });
      },
      failed(reason) {
        dials.delete(dial);
        feed({ kind: 'dial-failed', dial, reason });
      },
    });
    dials.set(dial, attempt);
  };

  const persist = ({ batch, relaxed, items, records }: Extract<Effect, { kind: 'persist' }>) => {
    running?.store.persist({ items, records, relaxed }, (reason) => {
      feed(reason === null ? { kind: 'stored', batch } : { kind: 'store-failed', batch, reason });
      if (reason === null && items.length > 0) options.onItems?.(items);
    });
  };

  const settle = (ticket: number, outcome: Published | Error) => {
    const waiting = tickets.get(ticket);
    tickets.delete(ticket);
    if (outcome instanceof Error) waiting?.reject(outcome);
    else waiting?.resolve(outcome);
  };

  const perform = (effect: Effect): void => {
    switch (effect.kind) {
      case 'send':
        send(effect.link, effect.text);
        break;
      case 'persist':
        persist(effect);
        break;
      case 'dial':
        startDial(effect.dial, effect.address);
        break;
      case 'cancel-dial':
        dials.get(effect.dial)?.cancel();
        dials.delete(effect.dial);
        break;
      case 'close':
        links.get(effect.link)?.close(effect.code, effect.reason, effect.abortAfterMs ?? ABORT_AFTER_MS);
        break;
      case 'pause':
        links.get(effect.link)?.pause();
        break;
      case 'resume':
        links.get(effect.link)?.resume();
        break;
      case 'published':
        settle(effect.ticket, { itemHash: effect.itemHash, status: effect.status });
        break;
      case 'publish-failed':
        settle(effect.ticket, new Error(effect.reason));
        break;
      case 'note':
        options.note(effect.level, effect.event, effect.detail);
        break;
    }
  };

  return {
    start(core, store, restored) {
      running = { core, store };
      inputs.unshift({ kind: 'start', restored });
      // Whatever came before the start is behind it now; the last one of the queue is fed to set it going.
      feed(inputs.pop()!);
    },
    accepted(webSocket, socket, certificate) {
      const link = open(webSocket, socket);
      feed({ kind: 'accepted', link, certificate });
    },
    publish(messageType, payload) {
      if (!running) return Promise.reject(new Error('the node is not running'));
      const ticket = ++lastTicket;
      return new Promise((resolve, reject) => {
        tickets.set(ticket, { resolve, reject });
        feed({ kind: 'publish', ticket, messageType, payload });
      });
    },
    async stop() {
      if (running) feed({ kind: 'stop' });
      if (links.size > 0) {
        await new Promise<void>((resolve) => {
          whenEmpty = resolve;
          const last = setTimeout(() => {
            for (const connection of links.values()) connection.destroy();
          }, 2 * ABORT_AFTER_MS);
          last.unref();
        });
      }
      if (timer) clearTimeout(timer);
      for (const attempt of dials.values()) attempt.cancel();
      dials.clear();
      running = null;
      inputs = [];
      for (const ticket of [...tickets.keys()]) settle(ticket, new Error('the node was stopped'));
    },
  };
}
