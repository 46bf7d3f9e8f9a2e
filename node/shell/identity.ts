/**
 * Who the node is: its key, its certificate and the CA, read from the files that the configuration names and checked
 * against each other before anything starts (profile §1, §10). A disagreement is a ConfigurationError naming the key of
 * the configuration. Knows no socket.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type Authority,
  type Certificate,
  provesAt,
  readAuthority,
  readCertificate,
} from '../core/certificate.ts';
import type { Identity, World } from '../core/types.ts';
import { type Configuration, ConfigurationError, reasonOf } from './configuration.ts';
import type { Signing } from './signing.ts';

export interface OwnIdentity {
  identity: Identity;
  /** DER. */
  certificate: Uint8Array;
  /** DER. */
  caCertificate: Uint8Array;
  authority: Authority;
  sign(message: Uint8Array): Uint8Array;
  /** For TLS: the same key and certificate as PEM. */
  pem: { key: string; certificate: string };
}

type CheckingWorld = Pick<World, 'verify' | 'sha256' | 'wallMs'>;

/** Reads and checks everything that makes up the node's identity. */
export function loadIdentity(
  configuration: Configuration,
  signing: Signing,
  world: CheckingWorld,
): OwnIdentity {
  const complain = (key: string, problem: string): never => {
    throw new ConfigurationError(`${configuration.source}: ${key}: ${problem}`);
  };
  const read = (key: string, file: string): string => {
    try {
      return readFileSync(file, 'latin1');
    } catch (error) {
      return complain(key, `cannot be read: ${reasonOf(error)}`);
    }
  };
  const { keyFile, certificateFile, caFile } = configuration;
  const keyPem = read('key_file', keyFile);
  const { seed, publicKey } =
    privateKeyOf(keyPem) ?? complain('key_file', `${keyFile} must hold an Ed25519 key as PKCS#8 PEM`);
  const caCertificate =
    certificateOf(read('ca_file', caFile)) ?? complain('ca_file', `${caFile} must hold a certificate as PEM`);
  const certificate =
    certificateOf(read('certificate_file', certificateFile)) ??
    complain('certificate_file', `${certificateFile} must hold a certificate as PEM`);
  const authority =
    authorityOf(caCertificate) ?? complain('ca_file', `${caFile} is not the certificate of an Ed25519 CA`);
  // In the strict form: it goes into every own item (§6), and items with another form are refused everywhere.
  const proved =
    readCertificate(certificate, authority, world, true) ??
    complain(
      'certificate_file',
      `${certificateFile} is not a node's certificate (§1, §6) issued by the CA in ${caFile}`,
    );
  checkProof(proved, publicKey, configuration, world, complain);
  return {
    identity: {
      publicKey,
      publicKeyBase64: proved.publicKeyBase64,
      nodeId: proved.nodeId,
      agentId: proved.agentId,
    },
    certificate,
    caCertificate,
    authority,
    sign: signing.signer(seed, publicKey),
    pem: { key: keyPem, certificate: pemOf(certificate) },
  };
}

/** What a peer's TLS certificate proves *now* (§2), or null. */
export function proofOfPeer(
  certificate: Uint8Array,
  authority: Authority,
  world: CheckingWorld,
): Certificate | null {
  const proved = readCertificate(certificate, authority, world, false);
  return proved && provesAt(proved, world.wallMs() / 1000) ? proved : null;
}

function checkProof(
  proved: Certificate,
  publicKey: Uint8Array,
  { keyFile, certificateFile, agentId }: Configuration,
  world: CheckingWorld,
  complain: (key: string, problem: string) => never,
): void {
  if (!Buffer.from(publicKey).equals(proved.publicKey)) {
    complain('key_file', `the key in ${keyFile} is not the one that ${certificateFile} certifies`);
  }
  if (proved.agentId !== agentId) {
    complain('agent_id', `is ${agentId}, but ${certificateFile} proves ${proved.agentId}`);
  }
  if (!provesAt(proved, world.wallMs() / 1000)) {
    const [from, to] = [proved.notBeforeMs, proved.notAfterMs].map((ms) => new Date(ms).toISOString());
    complain('certificate_file', `${certificateFile} is valid only from ${from} to ${to}`);
  }
}

function privateKeyOf(pem: string): { seed: Uint8Array; publicKey: Uint8Array } | null {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    return null;
  }
  if (key.asymmetricKeyType !== 'ed25519') return null;
  const { d, x } = key.export({ format: 'jwk' });
  return { seed: Buffer.from(d!, 'base64url'), publicKey: Buffer.from(x!, 'base64url') };
}

/** The DER of the first certificate in a PEM text, or null. */
function certificateOf(pem: string): Uint8Array | null {
  const match = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(pem);
  return match ? Buffer.from(match[1]!, 'base64') : null;
}

function pemOf(certificate: Uint8Array): string {
  const lines = Buffer.from(certificate)
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function authorityOf(certificate: Uint8Array): Authority | null {
  try {
    return readAuthority(certificate);
  } catch {
    return null;
  }
}
