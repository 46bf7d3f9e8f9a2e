/**
 * A tiny network for tests of the core: cores and puppets on one virtual clock, links with latency, stores in memory. It
 * owns time and delivery. Signatures are a keyed hash that everybody could make: what is tested is the protocol.
 */
import { createHash } from 'node:crypto';
import { canonical } from '../canonical.ts';
import { Deadlines } from '../deadlines.ts';
import { float, parse } from '../json.ts';
import { createCore } from '../node.ts';
import type {
  Core,
  Effect,
  Identity,
  Input,
  ItemType,
  JsonObject,
  LinkId,
  Parameters,
  StoredItem,
  World,
} from '../types.ts';

const sha256Bytes = (...parts: (Uint8Array | string)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
export const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');

function signWith(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = sha256Bytes(publicKey, message);
  return Buffer.concat([half, sha256Bytes(half)]);
}

function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return Buffer.compare(signWith(publicKey, message), signature) === 0;
}

/** Seconds at the begin of every test; the CA is a day older. */
export const epochS = 1_750_000_000;

const der = (tag: number, ...parts: (Uint8Array | readonly number[])[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = body;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
};
const oid = (hex: string) => der(6, Buffer.from(hex, 'hex'));
const ed25519 = der(0x30, oid('2b6570'));
const name = (text: string) =>
  der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(text.padEnd(40, '.'))))));
const time = (seconds: number) =>
  der(0x17, Buffer.from(`${new Date(seconds * 1000).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));

function certificate(subject: string, publicKey: Uint8Array, agentId: string | null): Uint8Array {
  const extension = (id: string, value: Uint8Array) => der(0x30, oid(id), der(4, value));
  const extensions =
    agentId === null
      ? []
      : [
          extension('551d25', der(0x30, oid('2b06010505070301'), oid('2b06010505070302'))),
          extension('551d11', der(0x30, der(0x86, Buffer.from(`urn:cle-net:agent:${agentId}`)))),
        ];
  const tbs = der(
    0x30,
    der(0xa0, der(2, [2])),
    der(2, [1]),
    ed25519,
    name('test authority'),
    der(0x30, time(epochS - 86_400), time(epochS + 86_400 * 30)),
    name(subject),
    der(0x30, ed25519, der(3, [0], publicKey)),
    der(0xa3, der(0x30, ...extensions)),
  );
  return der(0x30, tbs, ed25519, der(3, [0], signWith(authorityKey, tbs)));
}

const authorityKey = sha256Bytes('authority');
export const authorityCertificate = certificate('test authority', authorityKey, null);

export interface Credentials {
  readonly identity: Identity;
  readonly certificate: Uint8Array;
}

export function credentials(label: string, agentId = `agent_${label}`): Credentials {
  const publicKey = sha256Bytes('key', label);
  const identity = {
    publicKey,
    publicKeyBase64: Buffer.from(publicKey).toString('base64'),
    nodeId: `node_${sha256(publicKey).slice(0, 40)}`,
    agentId,
  };
  return { identity, certificate: certificate(label, publicKey, agentId) };
}

export const defaults: Parameters = {
  fanout: 3,
  ttl: 3,
  cacheTtlMs: 60_000,
  heartbeatIntervalMs: 30_000,
  peerTimeoutMs: 90_000,
  antiEntropyIntervalMs: 1000,
  checkpointIntervalMs: 60_000,
  targetPeers: 10,
  maxPeers: 50,
  bucketSize: 20,
  handshakeTimeoutMs: 5000,
  commitsPerMinute: 10,
  queriesPerMinute: 30,
  bytesPerSecond: 1_048_576,
};

/** One end of a connection; `other` is null once it is gone. */
interface Wire {
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

export interface SimNode extends Endpoint {
  core: Core;
  readonly items: Map<string, Uint8Array>;
  readonly records: Map<string, Uint8Array>;
  readonly notes: Extract<Effect, { kind: 'note' }>[];
  readonly outcomes: Extract<Effect, { kind: 'published' | 'publish-failed' }>[];
  readonly dials: { readonly address: string; readonly atMs: number }[];
  /** Store: fails while true; `holdWrites` leaves them unanswered until `letWrite`. */
  diskFull: boolean;
  holdWrites: boolean;
  readonly heldWrites: (() => void)[];
  clockSkewMs: number;
}

export interface Message {
  readonly type: string;
  readonly payload: JsonObject;
  readonly id: string;
  readonly object: JsonObject;
  readonly text: string;
  readonly atMs: number;
}

export interface Net {
  readonly nowMs: number;
  readonly nodes: SimNode[];
  /** Adds and starts a node. */
  node(label: string, options?: NodeOptions): SimNode;
  puppet(label: string, options?: { agentId?: string; listens?: boolean }): Puppet;
  /** Moves the clock on and delivers what is due. */
  run(ms: number): void;
  /** Runs until it holds; throws after `ms`. Returns the ms it took. */
  until(condition: () => boolean, ms: number, what?: string): number;
  /** Stops a node without a word (kill −9) and forgets its connections. */
  kill(node: Endpoint): void;
  /** Starts it again with what is in its store. */
  restart(node: SimNode): void;
  /** Nothing passes between a and b while this returns true for them. */
  isCut: (a: Endpoint, b: Endpoint) => boolean;
  latencyMs: number;
  random(): number;
}

export interface NodeOptions {
  parameters?: Partial<Parameters>;
  bootstrap?: readonly Endpoint[];
  advertise?: string | null;
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

export function createNet(seed = 1): Net {
  const random = generator(seed);
  const queue = new Deadlines();
  const endpoints = new Map<string, Endpoint>();
  let lastLink = 0;
  let nowMs = 0;

  const uuid = () => {
    const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
    hex[12] = '4';
    hex[16] = '89ab'[Math.floor(random() * 4)]!;
    const text = hex.join('');
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join(
      '-',
    );
  };
  const later = (ms: number, run: () => void) => void queue.at(nowMs + ms, run);

  const net: Net = {
    get nowMs() {
      return nowMs;
    },
    nodes: [],
    latencyMs: 20,
    isCut: () => false,
    random,
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
        net.run(10);
      }
      return nowMs - startMs;
    },
    node: addNode,
    puppet: addPuppet,
    kill(endpoint) {
      endpoint.up = false;
      for (const wire of endpoint.wires.values()) hangUp(wire, 1006);
      endpoint.wires.clear();
    },
    restart(node) {
      node.up = true;
      boot(node as Booting);
    },
  };

  function connect(
    dialer: Endpoint,
    address: string,
    connected: (link: LinkId, certificate: Uint8Array) => void,
    failed: () => void,
  ) {
    const target = endpoints.get(address);
    later(net.latencyMs * 2, () => {
      if (!dialer.up) return;
      if (!target?.up || !target.listens || net.isCut(dialer, target)) return failed();
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
    if (!other || net.isCut(owner, other.owner)) return;
    later(net.latencyMs, () => {
      if (other.owner.wires.get(other.id) !== other) return;
      const input = make(other.id);
      if (other.paused) other.waiting.push(input);
      else other.owner.feed(input);
    });
  }

  function hangUp(wire: Wire, code: number) {
    const { other } = wire;
    if (other) {
      later(net.latencyMs, () => {
        if (!other.owner.wires.delete(other.id)) return;
        other.owner.feed({ kind: 'closed', link: other.id, code });
      });
    }
    wire.other = null;
  }

  function closeWire(owner: Endpoint, link: LinkId, code: number) {
    const wire = owner.wires.get(link);
    if (!wire) return;
    const { other } = wire;
    wire.other = null;
    later(net.latencyMs, () => {
      owner.wires.delete(link);
      if (owner.up) owner.feed({ kind: 'closed', link, code });
      if (!other?.owner.wires.delete(other.id)) return;
      other.owner.feed({ kind: 'closed', link: other.id, code });
    });
  }

  type Booting = SimNode & { make: () => Core; plannedMs: number; perform(effect: Effect): void };

  function boot(node: Booting) {
    node.core = node.make();
    node.plannedMs = Number.POSITIVE_INFINITY;
    node.feed({
      kind: 'start',
      restored: { items: [...node.items.values()], records: [...node.records.entries()] },
    });
  }

  function addNode(label: string, options: NodeOptions = {}): SimNode {
    const own = credentials(label);
    const address = `${label}:8888`;
    const node: Booting = {
      label,
      address,
      credentials: own,
      wires: new Map(),
      up: true,
      listens: true,
      core: undefined as unknown as Core,
      items: new Map(),
      records: new Map(),
      notes: [],
      outcomes: [],
      dials: [],
      diskFull: false,
      holdWrites: false,
      heldWrites: [],
      clockSkewMs: 0,
      plannedMs: Number.POSITIVE_INFINITY,
      make: () =>
        createCore(
          {
            identity: own.identity,
            certificate: own.certificate,
            caCertificate: authorityCertificate,
            advertise: options.advertise === undefined ? address : options.advertise,
            bootstrap: (options.bootstrap ?? []).map((each) => ({
              address: each.address,
              publicKeyBase64: each.credentials.identity.publicKeyBase64,
            })),
            parameters: { ...defaults, ...options.parameters },
          },
          world(own, node),
        ),
      feed(input) {
        if (!node.up) return;
        for (const effect of node.core.step(input)) node.perform(effect);
        plan(node);
      },
      perform: (effect) => perform(node, effect),
    };
    endpoints.set(address, node);
    net.nodes.push(node);
    boot(node);
    return node;
  }

  function plan(node: Booting) {
    const { wakeAt } = node.core;
    if (wakeAt >= node.plannedMs) return;
    node.plannedMs = wakeAt;
    const { core } = node;
    queue.at(Math.max(wakeAt, nowMs), () => {
      if (node.core !== core || node.plannedMs !== wakeAt) return;
      node.plannedMs = Number.POSITIVE_INFINITY;
      node.feed({ kind: 'wake' });
    });
  }

  function world(own: Credentials, node: { items: Map<string, Uint8Array>; clockSkewMs: number }): World {
    return {
      nowMs: () => nowMs,
      wallMs: () => epochS * 1000 + nowMs + 0.25 + node.clockSkewMs,
      random,
      uuid,
      sign: (message) => signWith(own.identity.publicKey, message),
      verify,
      sha256,
      readItem: (hash) => node.items.get(hash) ?? null,
    };
  }

  function perform(node: Booting, effect: Effect): void {
    const { core } = node;
    const feed = (input: Input) => {
      if (node.core === core) node.feed(input);
    };
    switch (effect.kind) {
      case 'dial':
        node.dials.push({ address: effect.address, atMs: nowMs });
        connect(
          node,
          effect.address,
          (link, certificate) => feed({ kind: 'dialed', dial: effect.dial, link, certificate }),
          () => feed({ kind: 'dial-failed', dial: effect.dial, reason: 'refused' }),
        );
        return;
      case 'send':
        if (effect.text.length > 65_536) throw new Error('longer than a message may be');
        transmit(node, effect.link, (link) => ({
          kind: 'text',
          link,
          text: effect.text,
          size: effect.text.length,
        }));
        return;
      case 'close':
        closeWire(node, effect.link, effect.code);
        return;
      case 'pause':
      case 'resume': {
        const wire = node.wires.get(effect.link);
        if (!wire) return;
        wire.paused = effect.kind === 'pause';
        later(0, () => {
          while (!wire.paused && wire.waiting.length > 0) feed(wire.waiting.shift()!);
        });
        return;
      }
      case 'persist': {
        const write = () => {
          if (node.core !== core || !node.up) return;
          if (node.diskFull) return feed({ kind: 'store-failed', batch: effect.batch, reason: 'disk full' });
          for (const { hash, bytes } of effect.items as StoredItem[]) node.items.set(hash, bytes);
          for (const [key, value] of effect.records) {
            if (value) node.records.set(key, value);
            else node.records.delete(key);
          }
          feed({ kind: 'stored', batch: effect.batch });
        };
        if (node.holdWrites) node.heldWrites.push(write);
        else later(effect.relaxed ? 0 : 2, write);
        return;
      }
      case 'published':
      case 'publish-failed':
        node.outcomes.push(effect);
        return;
      case 'note':
        node.notes.push(effect);
        return;
      case 'cancel-dial':
        return;
    }
  }

  function addPuppet(label: string, options: { agentId?: string; listens?: boolean } = {}): Puppet {
    const own = credentials(label, options.agentId ?? `agent_${label}`);
    const puppet: Puppet = {
      label,
      address: `${label}:8888`,
      credentials: own,
      wires: new Map(),
      up: true,
      listens: options.listens ?? false,
      links: [],
      answer: () => {},
      feed(input) {
        if (!puppet.up) return;
        if (input.kind === 'accepted') {
          puppet.links.push(createPuppetLink(puppet, input.link, false));
          return;
        }
        const link = puppet.links.find((each) => 'link' in input && each.id === input.link);
        if (!link) return;
        if (input.kind === 'closed') link.closed = input.code;
        if (input.kind !== 'text') return;
        const object = parse(input.text) as JsonObject;
        const message: Message = {
          type: object.message_type as string,
          payload: object.payload as JsonObject,
          id: object.message_id as string,
          object,
          text: input.text,
          atMs: nowMs,
        };
        link.received.push(message);
        puppet.answer(message, link);
      },
      dial(target, hello = {}) {
        let link: PuppetLink | null = null;
        connect(
          puppet,
          target.address,
          (id) => {
            link = createPuppetLink(puppet, id, true);
            puppet.links.push(link);
          },
          () => {
            throw new Error(`${label} could not connect`);
          },
        );
        net.until(() => link !== null, 1000, 'connection');
        const made = link as unknown as PuppetLink;
        if (hello) made.hello(hello);
        net.run(net.latencyMs * 2 + 1);
        return made;
      },
      seal: (type, payload, overrides) => seal(own, type, payload, overrides),
      item: (type, payload, overrides) => item(own, type, payload, overrides),
    };
    endpoints.set(puppet.address, puppet);
    return puppet;
  }

  function createPuppetLink(puppet: Puppet, id: LinkId, dialed: boolean): PuppetLink {
    const link: PuppetLink = {
      id,
      dialed,
      received: [],
      closed: null,
      sendText(text) {
        const size = Buffer.byteLength(text);
        transmit(puppet, id, (to) => ({ kind: 'text', link: to, text, size }));
      },
      send(type, payload, overrides) {
        const object = seal(puppet.credentials, type, payload, overrides);
        link.sendText(canonical(object));
        return object.message_id as string;
      },
      hello(members = {}) {
        const { nodeId } = puppet.credentials.identity;
        const payload: JsonObject = {
          version: '1.0',
          node_id: nodeId,
          capabilities: [],
          address: null,
          connection_type: 'sync',
          ...members,
        };
        for (const key of Object.keys(payload)) if (payload[key] === undefined) delete payload[key];
        return link.send('hello', payload);
      },
      request(type, payload, overrides) {
        const messageId = link.send(type, payload, overrides);
        net.run(net.latencyMs * 2 + 5);
        return link.answerTo(messageId);
      },
      answerTo: (messageId) =>
        link.received.find(
          ({ payload }) =>
            payload.request_id === messageId ||
            (payload.details as JsonObject | undefined)?.request_id === messageId,
        ) ?? null,
      of: (type, gossipType) =>
        link.received.filter(
          (message) =>
            message.type === type && (gossipType === undefined || message.payload.gossip_type === gossipType),
        ),
      close: (code = 1000) => closeWire(puppet, id, code),
    };
    return link;
  }

  function seal(own: Credentials, type: string, payload: JsonObject, overrides: JsonObject = {}): JsonObject {
    const { agentId, nodeId, publicKeyBase64 } = own.identity;
    const unsigned: JsonObject = {
      version: '1.0',
      message_type: type,
      message_id: uuid(),
      timestamp: float(epochS + nowMs / 1000 + 0.001),
      sender: { agent_id: agentId, node_id: nodeId, public_key: publicKeyBase64 },
      payload,
      ...overrides,
    };
    return sign(own, unsigned);
  }

  function item(
    own: Credentials,
    type: ItemType,
    payload: JsonObject = {},
    overrides: JsonObject = {},
  ): JsonObject {
    const { agentId, nodeId, publicKeyBase64 } = own.identity;
    const sender: JsonObject = {
      agent_id: agentId,
      node_id: nodeId,
      public_key: publicKeyBase64,
      certificate: Buffer.from(own.certificate).toString('base64'),
    };
    return seal(own, type, { ...bodies[type], ...payload }, { sender, ...overrides });
  }

  return net;
}

export function sign(own: Credentials, unsigned: JsonObject): JsonObject {
  const bytes = Buffer.from(canonical(unsigned), 'latin1');
  return { ...unsigned, signature: Buffer.from(signWith(own.identity.publicKey, bytes)).toString('base64') };
}

/** `rule_` + hash of an item or envelope. */
export function hashOf(item: JsonObject): string {
  const { signature: _signature, ...unsigned } = item;
  return `rule_${sha256(canonical(unsigned))}`;
}

export const bodies: Record<ItemType, JsonObject> = {
  commit: {
    rule_hash: `rule_${'a'.repeat(64)}`,
    logic_signature: 'p -> q',
    context_signature: 'weather/rain',
    confidence: float(0.5),
    evidence_count: 3,
    metadata: {},
  },
  challenge: {
    target_rule_hash: `rule_${'a'.repeat(64)}`,
    contradicting_rule: { logic_form: 'p', context: 'c' },
    reason: 'because',
    evidence: [],
  },
  confirm: { rule_hash: `rule_${'a'.repeat(64)}`, confidence_delta: float(0.1), additional_evidence: 1 },
};

export interface PuppetLink {
  readonly id: LinkId;
  readonly dialed: boolean;
  readonly received: Message[];
  closed: number | null;
  sendText(text: string): void;
  /** Returns the message id. */
  send(type: string, payload: JsonObject, overrides?: JsonObject): string;
  hello(members?: JsonObject): string;
  /** Sends, lets time pass for the way there and back, returns the answer if there is one. */
  request(type: string, payload: JsonObject, overrides?: JsonObject): Message | null;
  answerTo(messageId: string): Message | null;
  of(type: string, gossipType?: string): Message[];
  close(code?: number): void;
}

export interface Puppet extends Endpoint {
  readonly links: PuppetLink[];
  /** Called with every message; does nothing unless a test sets it. */
  answer: (message: Message, link: PuppetLink) => void;
  /** Connects and says hello with these members changed; null says nothing. */
  dial(target: Endpoint, hello?: JsonObject | null): PuppetLink;
  seal(type: string, payload: JsonObject, overrides?: JsonObject): JsonObject;
  item(type: ItemType, payload?: JsonObject, overrides?: JsonObject): JsonObject;
}

export function gossip(from: Endpoint, members: JsonObject): JsonObject {
  return {
    gossip_id: '',
    gossip_type: 'announce',
    topic: 'new_commit',
    topics: ['new_commit'],
    item_hashes: [],
    ttl: 2,
    origin: from.credentials.identity.nodeId,
    ...members,
  };
}

export type { JsonObject };
