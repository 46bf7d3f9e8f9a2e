/**
 * A puppet: an identity with a certificate, held by a tester, that dials nodes (`dial`, `join`) or lets itself be dialled
 * (`listener.ts`). It can be perfectly honest or send any bytes at all.
 */

import type { Authority, Certificate, CertificateOptions } from './authority.ts';
import { type Connection, type ConnectionOptions, openConnection } from './connection.ts';
import { describeOutcome, type HandshakeOptions, type HandshakeOutcome, handshake } from './handshake.ts';
import { freshIdentity, type Identity, identityFrom } from './identity.ts';
import { Unseen } from './inbox.ts';
import { type ItemSet, itemSet } from './items.ts';
import { createBook, type MonitorBook } from './monitors.ts';
import {
  type Credentials,
  openTls,
  type Refused,
  type TlsSettings,
  type UpgradeSettings,
  upgrade,
} from './transport.ts';

export interface Puppet {
  /** For labels only. */
  readonly name: string;
  readonly identity: Identity;
  readonly certificate: Certificate;
  /** The CA by which it judges the other side's certificate. */
  readonly caPem: string;
  /** What it holds and serves on all its connections, unless a connection's manners say otherwise. */
  readonly items: ItemSet;
  /** Where the monitors of all its connections write. */
  readonly book: MonitorBook;
}

export interface PuppetOptions {
  name?: string;
  /** Makes the key deterministic. Default random. */
  seed?: string | Uint8Array;
  agentId?: string;
  identity?: Identity;
  /** A ready certificate, or how the issued one deviates. */
  certificate?: Certificate | CertificateOptions;
  /** Share one book between the puppets of a run, so that a message id used twice is noticed across connections. */
  book?: MonitorBook;
}

export async function createPuppet(authority: Authority, options: PuppetOptions = {}): Promise<Puppet> {
  const identity =
    options.identity ??
    (options.seed === undefined
      ? freshIdentity(options.agentId)
      : identityFrom(options.seed, options.agentId));
  const given = options.certificate;
  const certificate = given !== undefined && 'der' in given ? given : await authority.issue(identity, given);
  return {
    name: options.name ?? identity.agentId,
    identity,
    certificate,
    caPem: authority.certificatePem,
    items: itemSet(),
    book: options.book ?? createBook(),
  };
}

export interface DialOptions extends ConnectionOptions {
  tls?: TlsSettings;
  upgrade?: UpgradeSettings;
  /** TCP source address. */
  localAddress?: string;
  /** Bound of each of TCP, TLS and upgrade, ms. Default 5 000. */
  withinMs?: number;
}

/** TCP, TLS, upgrade; no hello yet. A refusal is a value. */
export async function dial(
  puppet: Puppet,
  address: string,
  options: DialOptions = {},
): Promise<Connection | Refused> {
  const withinMs = options.withinMs ?? 5_000;
  const tls = await openTls(credentialsOf(puppet), address, {
    ...options.tls,
    withinMs,
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  });
  if (tls.kind === 'refused') return tls;
  const upgraded = await upgrade(tls.socket, address, options.upgrade, withinMs);
  if (upgraded.kind === 'refused') {
    tls.socket.on('error', () => {}).destroy();
    tls.tcp.destroy();
    return upgraded;
  }
  const label = options.label ?? `${puppet.name}>${address}`;
  return openConnection(puppet, 'dialer', tls, upgraded, { ...options, label });
}

/** As `dial`; a refusal rejects with `Unseen`. For tests whose subject is something else. */
export async function mustDial(
  puppet: Puppet,
  address: string,
  options: DialOptions = {},
): Promise<Connection> {
  const outcome = await dial(puppet, address, options);
  if (outcome.kind === 'connected') return outcome;
  throw new Unseen(`${puppet.name}: ${address} refused (${outcome.stage}): ${outcome.detail}`, null);
}

/** Dials and plays the handshake to its end; rejects with `Unseen` where that fails. Default: an observer over `sync`. */
export async function join(
  puppet: Puppet,
  address: string,
  options: DialOptions & HandshakeOptions = {},
): Promise<Connection & { readonly outcome: Extract<HandshakeOutcome, { kind: 'connected' }> }> {
  const connection = await mustDial(puppet, address, options);
  const outcome = await handshake(connection, options);
  if (outcome.kind === 'connected')
    return Object.defineProperty(connection, 'outcome', { value: outcome }) as never;
  connection.destroy();
  throw new Unseen(`${connection.label}: handshake ${describeOutcome(outcome)}`, connection.ended);
}

const presented = new WeakMap<Puppet, Credentials>();

/** What the puppet presents in TLS; of one puppet always the same object, so that it is read once. */
export function credentialsOf(puppet: Puppet): Credentials {
  const known = presented.get(puppet);
  if (known !== undefined) return known;
  const credentials = {
    keyPem: puppet.identity.keyPem,
    chainPem: puppet.certificate.chainPem,
    caPem: puppet.caPem,
  };
  presented.set(puppet, credentials);
  return credentials;
}
