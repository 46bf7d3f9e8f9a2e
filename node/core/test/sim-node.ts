/**
 * Nodes of the tiny network: a core with a store in memory. Does the core's effects on the wires and in the store, and wakes it in
 * time. Decides nothing of the protocol.
 */
import { createCore } from '../node.ts';
import type { Core, Effect, Input, Parameters, StoredItem, World } from '../types.ts';
import {
  authorityCertificate,
  type Credentials,
  credentials,
  epochS,
  sha256,
  signWith,
  verify,
} from './credentials.ts';
import type { Endpoint, Wires } from './wires.ts';

const defaults: Parameters = {
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

export interface SimNode extends Endpoint {
  core: Core;
  readonly items: Map<string, Uint8Array>;
  readonly records: Map<string, Uint8Array>;
  readonly notes: Extract<Effect, { kind: 'note' }>[];
  readonly outcomes: Extract<Effect, { kind: 'published' | 'publish-failed' }>[];
  readonly dials: { readonly address: string; readonly atMs: number }[];
  /** Store: fails while true; `holdWrites` leaves them to the test, in `heldWrites`. */
  diskFull: boolean;
  holdWrites: boolean;
  readonly heldWrites: (() => void)[];
  clockSkewMs: number;
  /** Starts a core with what is in the store. */
  boot(): void;
}

export interface NodeOptions {
  parameters?: Partial<Parameters>;
  bootstrap?: readonly Endpoint[];
  advertise?: string | null;
}

export function createSimNode(wires: Wires, label: string, options: NodeOptions): SimNode {
  const own = credentials(label);
  const address = `${label}:8888`;
  let plannedMs = Number.POSITIVE_INFINITY;
  const node: SimNode = {
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
    boot() {
      node.core = createCore(
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
        worldOf(wires, own, node),
      );
      plannedMs = Number.POSITIVE_INFINITY;
      node.feed({
        kind: 'start',
        restored: {
          items: Array.from(node.items, ([hash, bytes]) => ({ hash, bytes })),
          records: [...node.records.entries()],
        },
      });
    },
    feed(input) {
      if (!node.up) return;
      for (const effect of node.core.step(input)) perform(wires, node, effect);
      plan();
    },
  };

  function plan(): void {
    const { core } = node;
    const { wakeAt } = core;
    if (wakeAt >= plannedMs) return;
    plannedMs = wakeAt;
    wires.at(wakeAt, () => {
      if (node.core !== core || plannedMs !== wakeAt) return;
      plannedMs = Number.POSITIVE_INFINITY;
      node.feed({ kind: 'wake' });
    });
  }

  return node;
}

function worldOf(wires: Wires, own: Credentials, node: SimNode): World {
  return {
    nowMs: () => wires.nowMs,
    wallMs: () => epochS * 1000 + wires.nowMs + 0.25 + node.clockSkewMs,
    random: wires.random,
    uuid: wires.uuid,
    sign: (message) => signWith(own.identity.publicKey, message),
    verify,
    sha256,
    readItem: (hash) => node.items.get(hash) ?? null,
  };
}

function perform(wires: Wires, node: SimNode, effect: Effect): void {
  const { core } = node;
  // What comes back for a core that was killed meanwhile reaches nobody.
  const feed = (input: Input) => {
    if (node.core === core) node.feed(input);
  };
  switch (effect.kind) {
    case 'dial':
      node.dials.push({ address: effect.address, atMs: wires.nowMs });
      wires.connect(
        node,
        effect.address,
        (link, certificate) => feed({ kind: 'dialed', dial: effect.dial, link, certificate }),
        () => feed({ kind: 'dial-failed', dial: effect.dial, reason: 'refused' }),
      );
      return;
    case 'send':
      if (effect.text.length > 65_536) throw new Error('longer than a message may be');
      wires.transmit(node, effect.link, (link) => ({
        kind: 'text',
        link,
        text: effect.text,
        size: effect.text.length,
      }));
      return;
    case 'close':
      wires.close(node, effect.link, effect.code);
      return;
    case 'pause':
    case 'resume': {
      const wire = node.wires.get(effect.link);
      if (!wire) return;
      wire.paused = effect.kind === 'pause';
      wires.later(0, () => {
        while (!wire.paused && wire.waiting.length > 0) feed(wire.waiting.shift()!);
      });
      return;
    }
    case 'persist': {
      const write = () => {
        if (node.core === core && node.up) feed(written(node, effect));
      };
      if (node.holdWrites) node.heldWrites.push(write);
      else wires.later(effect.relaxed ? 0 : 2, write);
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

/** Writes a batch into the store, unless the disk is full; what the core is told of it. */
function written(node: SimNode, batch: Extract<Effect, { kind: 'persist' }>): Input {
  if (node.diskFull) return { kind: 'store-failed', batch: batch.batch, reason: 'disk full' };
  for (const { hash, bytes } of batch.items as StoredItem[]) node.items.set(hash, bytes);
  for (const [key, value] of batch.records) {
    if (value) node.records.set(key, value);
    else node.records.delete(key);
  }
  return { kind: 'stored', batch: batch.batch };
}
