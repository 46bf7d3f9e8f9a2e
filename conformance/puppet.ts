/**
 * A puppet as rows hold it: the wire's puppet (identity, certificate, items) bound to its row, so that every connection it opens
 * or accepts is in the row's transcript, watched by the run's monitors and gone when the row is over.
 */

import type { Certificate, CertificateOptions } from '../harness/wire/authority.ts';
import type { Connection } from '../harness/wire/connection.ts';
import type { Overrides } from '../harness/wire/envelope.ts';
import type { PeerEntry } from '../harness/wire/gossip.ts';
import type { HandshakeOptions } from '../harness/wire/handshake.ts';
import { type Identity, identityFrom } from '../harness/wire/identity.ts';
import {
  buildItem,
  challengePayload,
  commitPayload,
  confirmPayload,
  type Item,
} from '../harness/wire/items.ts';
import type { Json } from '../harness/wire/json.ts';
import { type Listener, type ListenOptions, listen } from '../harness/wire/listener.ts';
import * as wire from '../harness/wire/puppet.ts';
import type { TranscriptEntry } from '../harness/wire/transcript.ts';
import { type Refused, splitAddress } from '../harness/wire/transport.ts';
import type { Watch } from './monitors.ts';
import type { BootstrapEntry, NodeUnderTest, Target } from './target.ts';
import type { TranscriptLine } from './transcript.ts';

export interface PuppetOptions {
  agentId?: string;
  /** In place of the identity that follows from seed, row and name. */
  identity?: Identity;
  /** How its certificate deviates from an honest one, or who issues it (`selfSigned`, another CA). */
  certificate?: CertificateOptions | ((identity: Identity) => Promise<Certificate>);
  /** Where it listens, once it does; default: the next free address of the target. `host:port`. */
  address?: string;
  /** Keep its messages out of the transcript (floods). */
  unrecorded?: boolean;
}

export type Joined = Awaited<ReturnType<typeof wire.join>>;
type Changes = Record<string, Json | undefined>;

export interface Puppet extends wire.Puppet {
  readonly nodeId: string;
  readonly agentId: string;
  /** Where it listens, or would: `host:port`. */
  readonly address: string;
  /** Itself in somebody's peer list, and in a node's configuration. */
  readonly entry: PeerEntry;
  readonly bootstrap: BootstrapEntry;
  /** TCP, TLS, upgrade; no hello. A refusal is a value. `to`: a node, or `host:port`. */
  dial(to: NodeUnderTest | string, options?: wire.DialOptions): Promise<Connection | Refused>;
  /** As `dial`; a refusal fails the row. */
  mustDial(to: NodeUnderTest | string, options?: wire.DialOptions): Promise<Connection>;
  /** The whole handshake; default an observer over `sync`. Fails the row where the node does not play along. */
  join(to: NodeUnderTest | string, options?: wire.DialOptions & HandshakeOptions): Promise<Joined>;
  /** As `join` over `persistent` with the given capabilities (default gossip and sync) and no address. */
  peer(to: NodeUnderTest | string, options?: wire.DialOptions & HandshakeOptions): Promise<Joined>;
  /** Listens on its address and plays the acceptor's handshake (default: gossip and sync, its own address). */
  listen(options?: ListenOptions): Promise<Listener>;
  /** Items by this author; `changes` replaces members of a valid payload (undefined removes). Not sent, not held. */
  commit(changes?: Changes, overrides?: Overrides): Item;
  challenge(changes?: Changes, overrides?: Overrides): Item;
  confirm(changes?: Changes, overrides?: Overrides): Item;
}

/** What binds a puppet to its row. */
export interface PuppetHooks {
  seed: string;
  target: Target;
  /** performance.now of the row's beginning. */
  startedAt: number;
  watch: Watch;
  line(entry: TranscriptLine): void;
  onClose(cleanup: () => unknown): void;
}

/** What an ordinary node says it can do. */
export const capabilities = ['v1', 'consensus', 'gossip', 'sync'] as const;

export async function createPuppet(
  name: string,
  options: PuppetOptions,
  hooks: PuppetHooks,
): Promise<Puppet> {
  const { target } = hooks;
  const identity = options.identity ?? identityFrom(`${target.salt}/${hooks.seed}/${name}`, options.agentId);
  const certificate =
    typeof options.certificate === 'function'
      ? await options.certificate(identity)
      : await target.authority.issue(identity, options.certificate);
  const held = await wire.createPuppet(target.authority, {
    name,
    identity,
    certificate,
    book: hooks.watch.book,
  });
  let claimed = options.address ?? null;
  const { abandon } = target;
  // The first clean-up to be asked for is the last one to be done.
  if (abandon !== null) hooks.onClose(async () => claimed !== null && abandon(claimed));
  const address = (): string => {
    claimed ??= target.nextAddress();
    return claimed;
  };
  let dialled = 0;
  const recording = (label: string): Pick<wire.DialOptions, 'label' | 'onTranscript'> => ({
    label,
    onTranscript: (entry) => {
      if (options.unrecorded !== true) hooks.line(lineOf(label, entry, hooks.startedAt));
    },
  });
  const kept = <T extends Connection>(connection: T): T => {
    hooks.onClose(() => connection.destroy());
    return connection;
  };
  const dialOptions = <T extends wire.DialOptions>(to: NodeUnderTest | string, given: T): T => {
    dialled += 1;
    const label =
      given.label ?? `${name}${dialled === 1 ? '' : `#${dialled}`}>${typeof to === 'string' ? to : to.name}`;
    return { ...recording(label), ...given, label };
  };
  const item = (type: 'commit' | 'challenge' | 'confirm', payload: Json, overrides?: Overrides): Item =>
    buildItem(puppet, type, payload, overrides);

  const puppet: Puppet = {
    ...held,
    nodeId: identity.nodeId,
    agentId: identity.agentId,
    get address() {
      return address();
    },
    get entry() {
      return { node_id: identity.nodeId, address: address() };
    },
    get bootstrap() {
      return { ...splitAddress(address()), publicKey: identity.publicKeyBase64 };
    },
    dial: async (to, given = {}) => {
      const outcome = await wire.dial(held, addressOf(to), dialOptions(to, given));
      if (outcome.kind === 'connected') return kept(outcome);
      const text = `${name}: refused at ${outcome.stage}: ${outcome.detail}`;
      hooks.line({ atMs: outcome.at - hooks.startedAt, who: name, direction: 'note', text });
      return outcome;
    },
    mustDial: async (to, given = {}) =>
      kept(await wire.mustDial(held, addressOf(to), dialOptions(to, given))),
    join: async (to, given = {}) => kept(await wire.join(held, addressOf(to), dialOptions(to, given))),
    peer: (to, given = {}) => puppet.join(to, { type: 'persistent', capabilities, ...given }),
    listen: async (given = {}) => {
      const { host, port } = splitAddress(address());
      const listener = await listen(held, host, port, {
        handshake: { capabilities, address: address() },
        ...recording(`${name}<`),
        ...given,
      });
      hooks.onClose(() => listener.close());
      return listener;
    },
    commit: (changes, overrides) => item('commit', commitPayload(changes), overrides),
    challenge: (changes, overrides) => item('challenge', challengePayload(changes), overrides),
    confirm: (changes, overrides) => item('confirm', confirmPayload(changes), overrides),
  };
  return puppet;
}

function addressOf(to: NodeUnderTest | string): string {
  return typeof to === 'string' ? to : to.address;
}

function lineOf(who: string, entry: TranscriptEntry, startedAt: number): TranscriptLine {
  const text = entry.kind === 'text' ? entry.text : `[${entry.kind}] ${entry.text}`.trim();
  const marked = entry.verified === false ? `[signature does not verify] ${text}` : text;
  return { atMs: entry.at - startedAt, who, direction: entry.direction, text: marked };
}
