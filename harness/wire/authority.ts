/**
 * The network's certificate authority on @peculiar/x509: honest certificates, and every dishonest kind that profile §1
 * and §6 tell a node to refuse. Knows keys, names and times; no TLS, no envelopes.
 */

import 'reflect-metadata';
import { createHash, createPrivateKey, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { pkcs8, publicKeyOf, spki } from './ed25519.ts';
import type { Identity } from './identity.ts';

type SigningKey = webcrypto.CryptoKey;

x509.cryptoProvider.set(webcrypto as never);

const dayMs = 86_400_000;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const serverAuth = '1.3.6.1.5.5.7.3.1';
/** What a SAN URI begins with that names the agent (§1). */
export const agentUriPrefix = 'urn:cle-net:agent:';

/** How a certificate differs from an honest one. All members optional; none of them: honest. */
export interface CertificateOptions {
  /** Unix ms, cut to whole seconds. Default: the CA's notBefore, or 30 days ago where that is earlier (§1 binds no certificate to its CA's days). */
  notBeforeMs?: number;
  /** Unix ms. Default: one year from now. */
  notAfterMs?: number;
  /** Extended key usages as OIDs; null: no such extension. Default serverAuth and clientAuth. */
  extendedKeyUsage?: readonly string[] | null;
  /** Agent ids named by URI. Default: the identity's own, once. */
  agentIds?: readonly string[];
  /** Further SAN entries, before the agent's. */
  otherNames?: readonly { type: 'dns' | 'ip' | 'email' | 'url'; value: string }[];
  /** basicConstraints: absent, CA:false or CA:true. Default absent. */
  basicConstraints?: 'absent' | 'leaf' | 'authority';
  /** The certified key, where it is not the identity's: raw Ed25519, or SPKI DER of any type. */
  publicKey?: Uint8Array;
  publicKeySpki?: Uint8Array;
  /** Hex. Default: random, 16 bytes. */
  serial?: string;
  /** Common name of the issuer in place of the CA's own; the CA signs all the same. */
  issuerName?: string;
  /** Bytes changed after signing, e.g. a bit of the signature. */
  tamper?: (der: Buffer) => Buffer;
}

export interface Certificate {
  readonly der: Uint8Array;
  /** The certificate alone. */
  readonly pem: string;
  /** What a TLS endpoint presents: the certificate and, where there is one, its intermediate. */
  readonly chainPem: string;
}

export interface Authority {
  readonly certificatePem: string;
  readonly certificateDer: Uint8Array;
  readonly keyPem: string;
  readonly publicKey: Uint8Array;
  readonly notBeforeMs: number;
  /** A certificate over the identity's key and agent, issued directly by this CA. About 1 ms. */
  issue(
    identity: Pick<Identity, 'publicKey' | 'agentId'>,
    options?: CertificateOptions,
  ): Promise<Certificate>;
  /** A CA below this one; what it issues carries it in `chainPem`. Profile §1: "There are no intermediates". */
  intermediate(seed?: string): Promise<Authority>;
}

export interface AuthorityOptions {
  /** Makes the CA's key deterministic. Default random. */
  seed?: string;
  /** Unix ms. Default 30 days ago: it bounds checkpoint heights (§8). */
  notBeforeMs?: number;
  notAfterMs?: number;
  /** Common name. Default `CLE-Net test CA`. */
  name?: string;
}

/** A new root. */
export async function createAuthority(options: AuthorityOptions = {}): Promise<Authority> {
  const secret = secretFrom(options.seed);
  const key = await importKey(secret);
  const publicKey = publicKeyOf(secret);
  const notBefore = wholeSeconds(options.notBeforeMs ?? Date.now() - 30 * dayMs);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialFrom(options.seed),
    subject: commonName(options.name ?? 'CLE-Net test CA'),
    issuer: commonName(options.name ?? 'CLE-Net test CA'),
    notBefore,
    notAfter: wholeSeconds(options.notAfterMs ?? Date.now() + 3650 * dayMs),
    publicKey: spki(publicKey),
    signingKey: key,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return authorityOf(certificate, key, keyPemOf(secret), '');
}

/** The CA of a running testnet or of a `--ca` folder: `ca.crt` and `ca.key` as PEM. Throws if they do not match. */
export async function openAuthority(certificatePem: string, keyPem: string): Promise<Authority> {
  const certificate = new x509.X509Certificate(certificatePem);
  const der = createPrivateKey(keyPem).export({ format: 'der', type: 'pkcs8' });
  const secret = der.subarray(-32);
  if (!Buffer.from(certificate.publicKey.rawData).equals(spki(publicKeyOf(secret)))) {
    throw new Error('the CA key does not belong to the CA certificate');
  }
  return authorityOf(certificate, await importKey(secret), keyPem, '');
}

/** A certificate that its own key signed. */
export async function selfSigned(identity: Identity, options: CertificateOptions = {}): Promise<Certificate> {
  const name = commonName(identity.agentId);
  const key = await importKey(identity.secret);
  return issueBy({ name, key, notBeforeMs: Date.now() - dayMs, chain: '' }, identity, options);
}

/** Exactly the byte form of §6: `30 82 LL LL ‖ tbs ‖ 30 05 06 03 2b 65 70 ‖ 03 41 00 ‖ 64 bytes`, nothing after it. */
export function hasStrictForm(der: Uint8Array): boolean {
  const bytes = Buffer.from(der);
  if (bytes.length < 4 + 74 || bytes[0] !== 0x30 || bytes[1] !== 0x82) return false;
  if (bytes.readUInt16BE(2) !== bytes.length - 4) return false;
  return bytes.subarray(-74, -64).toString('hex') === '300506032b6570034100';
}

interface Issuer {
  name: x509.Name;
  key: SigningKey;
  notBeforeMs: number;
  /** PEM of the intermediate, or empty. */
  chain: string;
}

function authorityOf(
  certificate: x509.X509Certificate,
  key: SigningKey,
  keyPem: string,
  chain: string,
): Authority {
  const notBeforeMs = certificate.notBefore.getTime();
  const issuer: Issuer = { name: certificate.subjectName, key, notBeforeMs, chain };
  const certificatePem = `${certificate.toString('pem')}\n`;
  return {
    certificatePem,
    certificateDer: new Uint8Array(certificate.rawData),
    keyPem,
    publicKey: new Uint8Array(certificate.publicKey.rawData).slice(-32),
    notBeforeMs,
    issue: (identity, options = {}) => issueBy(issuer, identity, options),
    intermediate: (seed) => intermediateOf(issuer, seed),
  };
}

async function intermediateOf(above: Issuer, seed?: string): Promise<Authority> {
  const secret = secretFrom(seed);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialFrom(seed),
    subject: commonName('CLE-Net test intermediate'),
    issuer: above.name,
    notBefore: new Date(above.notBeforeMs),
    notAfter: wholeSeconds(Date.now() + 365 * dayMs),
    publicKey: spki(publicKeyOf(secret)),
    signingKey: above.key,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const chain = `${certificate.toString('pem')}\n`;
  return authorityOf(certificate, await importKey(secret), keyPemOf(secret), chain);
}

async function issueBy(
  issuer: Issuer,
  identity: Pick<Identity, 'publicKey' | 'agentId'>,
  options: CertificateOptions,
): Promise<Certificate> {
  const certified = options.publicKeySpki ?? spki(options.publicKey ?? identity.publicKey);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: options.serial ?? serialFrom(),
    subject: commonName(identity.agentId),
    issuer: options.issuerName === undefined ? issuer.name : commonName(options.issuerName),
    notBefore: wholeSeconds(options.notBeforeMs ?? Math.min(issuer.notBeforeMs, Date.now() - 30 * dayMs)),
    notAfter: wholeSeconds(options.notAfterMs ?? Date.now() + 365 * dayMs),
    publicKey: Buffer.from(certified),
    signingKey: issuer.key,
    extensions: extensionsOf(identity.agentId, options),
  });
  const untouched = Buffer.from(made.rawData);
  if (!hasStrictForm(untouched)) throw new Error('the issued certificate has not the byte form of §6');
  const der = options.tamper ? options.tamper(Buffer.from(untouched)) : untouched;
  const pem = pemOf('CERTIFICATE', der);
  return { der: new Uint8Array(der), pem, chainPem: pem + issuer.chain };
}

function extensionsOf(agentId: string, options: CertificateOptions): x509.Extension[] {
  const extensions: x509.Extension[] = [];
  const constraints = options.basicConstraints ?? 'absent';
  if (constraints !== 'absent') {
    extensions.push(new x509.BasicConstraintsExtension(constraints === 'authority', undefined, true));
  }
  const usages = options.extendedKeyUsage === undefined ? [serverAuth, clientAuth] : options.extendedKeyUsage;
  if (usages !== null) extensions.push(new x509.ExtendedKeyUsageExtension([...usages]));
  const agents = (options.agentIds ?? [agentId]).map((id) => ({
    type: 'url' as const,
    value: id.includes(':') ? id : agentUriPrefix + id,
  }));
  const names = [...(options.otherNames ?? []), ...agents];
  if (names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(names));
  return extensions;
}

function secretFrom(seed?: string): Buffer {
  if (seed === undefined) return Buffer.from(webcrypto.getRandomValues(new Uint8Array(32)));
  return createHash('sha256').update(`authority ${seed}`).digest();
}

/** Positive, 16 bytes. */
function serialFrom(seed?: string): string {
  const bytes =
    seed === undefined
      ? Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
      : secretFrom(`${seed} serial`);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.subarray(0, 16).toString('hex');
}

const wholeSeconds = (ms: number): Date => new Date(Math.floor(ms / 1000) * 1000);
const commonName = (name: string): x509.Name => new x509.Name([{ CN: [name] }]);

function importKey(secret: Uint8Array): Promise<SigningKey> {
  return webcrypto.subtle.importKey('pkcs8', pkcs8(secret), 'Ed25519', true, ['sign']);
}

function keyPemOf(secret: Uint8Array): string {
  return createPrivateKey({ key: pkcs8(secret), format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
}

function pemOf(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
