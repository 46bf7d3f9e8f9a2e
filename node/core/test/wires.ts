/**
 * What the tiny network runs on: one virtual clock, seeded chance, and wires with latency between whatever has an address. Knows
 * neither who is at an address nor what is said.
 */
import { Deadlines } from '../deadlines.ts';
import type { Input, LinkId } from '../types.ts';
import type { Credentials } from './credentials.ts';

/** One end of a connection; `other` is null once it is gone. */
export interface Wire {
  readonly owner: Endpoint;
  readonly id: LinkId;
  other: Wire | null;
  paused: boolean;
  readonly waiting: Input[];
}

/** Whatever has an address and can be connected: a core with its store, or a puppet. */
export interface Endpoint {
  readonly label: string;
  readonly address: string;
  readonly credentials: Credentials;
  readonly wires: Map<LinkId, Wire>;
  up: boolean;
  listens: boolean;
  feed(input: Input): void;
}

export interface Clock {
  readonly nowMs: number;
  /** Moves the clock on and delivers what is due. */
  run(ms: number): void;
  /** Runs until it holds; throws after `ms`. Returns the ms it took. */
  until(condition: () => boolean, ms: number, what?: string): number;
  at(ms: number, run: () => void): void;
  later(ms: number, run: () => void): void;
}

export interface Wires extends Clock {
  random(): number;
  uuid(): string;
  latencyMs: number;
  /** Nothing passes between a and b while this returns true for them. */
  isCut: (a: Endpoint, b: Endpoint) => boolean;
  /** Gives its address to an endpoint. */
  add(endpoint: Endpoint): void;
  connect(
    dialer: Endpoint,
    address: string,
    connected: (link: LinkId, certificate: Uint8Array) => void,
    failed: () => void,
  ): void;
  /** `make` is called with the id that the link has at the other end. */
  transmit(owner: Endpoint, link: LinkId, make: (id: LinkId) => Input): void;
  close(owner: Endpoint, link: LinkId, code: number): void;
  /** Its wires end without a word; only the other ends hear of it. */
  unplug(endpoint: Endpoint): void;
}

function generator(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function uuidOf(random: () => number): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
  hex[12] = '4';
  hex[16] = '89ab'[Math.floor(random() * 4)]!;
  const text = hex.join('');
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join(
    '-',
  );
}

function createClock(): Clock {
  const queue = new Deadlines();
  let nowMs = 0;
  const clock: Clock = {
    get nowMs() {
      return nowMs;
    },
    run(ms) {
      const endMs = nowMs + ms;
      while (queue.next <= endMs) {
        nowMs = Math.max(nowMs, queue.next);
        queue.runDue(nowMs);
      }
      nowMs = endMs;
    },
    until(condition, ms, what = 'condition') {
      const startMs = nowMs;
      while (!condition()) {
        if (nowMs - startMs >= ms) throw new Error(`${what} not met within ${ms} ms`);
        clock.run(10);
      }
      return nowMs - startMs;
    },
    at: (ms, run) => void queue.at(Math.max(ms, nowMs), run),
    later: (ms, run) => void queue.at(nowMs + ms, run),
  };
  return clock;
}

export function createWires(seed: number): Wires {
  const clock = createClock();
  const random = generator(seed);
  const endpoints = new Map<string, Endpoint>();
  let lastLink = 0;

  const wires: Wires = Object.assign(clock, {
    random,
    uuid: () => uuidOf(random),
    latencyMs: 20,
    isCut: () => false,
    add: (endpoint: Endpoint) => void endpoints.set(endpoint.address, endpoint),
    connect,
    transmit,
    close,
    unplug(endpoint: Endpoint) {
      for (const wire of endpoint.wires.values()) hangUp(wire, 1006);
      endpoint.wires.clear();
    },
  });

  function connect(
    dialer: Endpoint,
    address: string,
    connected: (link: LinkId, certificate: Uint8Array) => void,
    failed: () => void,
  ) {
    const target = endpoints.get(address);
    clock.later(wires.latencyMs * 2, () => {
      if (!dialer.up) return;
      if (!target?.up || !target.listens || wires.isCut(dialer, target)) return failed();
      const here: Wire = { owner: dialer, id: ++lastLink, other: null, paused: false, waiting: [] };
      const there: Wire = { owner: target, id: ++lastLink, other: here, paused: false, waiting: [] };
      here.other = there;
      dialer.wires.set(here.id, here);
      target.wires.set(there.id, there);
      target.feed({ kind: 'accepted', link: there.id, certificate: dialer.credentials.certificate });
      connected(here.id, target.credentials.certificate);
    });
  }

  function transmit(owner: Endpoint, link: LinkId, make: (id: LinkId) => Input) {
    const other = owner.wires.get(link)?.other;
    if (!other || wires.isCut(owner, other.owner)) return;
    clock.later(wires.latencyMs, () => {
      if (other.owner.wires.get(other.id) !== other) return;
      const input = make(other.id);
      if (other.paused) other.waiting.push(input);
      else other.owner.feed(input);
    });
  }

  function hangUp(wire: Wire, code: number) {
    const { other } = wire;
    if (other) {
      clock.later(wires.latencyMs, () => {
        if (!other.owner.wires.delete(other.id)) return;
        other.owner.feed({ kind: 'closed', link: other.id, code });
      });
    }
    wire.other = null;
  }

  function close(owner: Endpoint, link: LinkId, code: number) {
    const wire = owner.wires.get(link);
    if (!wire) return;
    const { other } = wire;
    wire.other = null;
    clock.later(wires.latencyMs, () => {
      owner.wires.delete(link);
      if (owner.up) owner.feed({ kind: 'closed', link, code });
      if (!other?.owner.wires.delete(other.id)) return;
      other.owner.feed({ kind: 'closed', link: other.id, code });
    });
  }

  return wires;
}
