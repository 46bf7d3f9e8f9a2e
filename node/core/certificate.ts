/**
 * What a certificate of the network proves (§1): that a key and an agent belong together, at which times. It owns the
 * X.509 rules of the profile and nothing else; TLS has its own look at the same bytes. No OpenSSL: every node, and the
 * simulator, must come to the same verdict about an author's certificate (§6).
 */
import { decodeBase64, encodeBase64 } from './base64.ts';
import * as der from './der.ts';
import { isAgentId } from './forms.ts';
import type { World } from './types.ts';

/** The network's CA, as far as judging certificates needs it. */
export interface Authority {
  /** DER of the Name. */
  readonly subject: Uint8Array;
  /** Raw 32-byte Ed25519 key. */
  readonly publicKey: Uint8Array;
  /** Unix ms; bounds the heights of checkpoints (§8). */
  readonly notBeforeMs: number;
}

/** A certificate issued by the authority. It proves nothing before or after its time: see `provesAt`. */
export interface Certificate {
  readonly publicKey: Uint8Array;
  readonly publicKeyBase64: string;
  readonly nodeId: string;
  readonly agentId: string;
  /** Unix ms, both ends included. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const agentUri = 'urn:cle-net:agent:';
/** DER of an AlgorithmIdentifier: Ed25519, no parameters. */
const ed25519 = Uint8Array.of(0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70);
const oids = {
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
} as const;

/** The fields of a tbsCertificate that the profile looks at; DER throughout. */
interface Fields {
  readonly tbs: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly signature: Uint8Array;
  /** extnID (hex of its contents) → contents of extnValue. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
}

/** Reads the CA's certificate. Throws `DerError` on what is none: the node's own configuration is at fault. */
export function readAuthority(bytes: Uint8Array): Authority {
  const { subject, publicKey, notBeforeMs } = readFields(bytes);
  return { subject: subject.slice(), publicKey: publicKey.slice(), notBeforeMs };
}

/**
 * Everything of §1 but the time; null if the certificate proves nothing. `strictForm` demands the byte form of §6 for
 * authors' certificates: "byte for byte `30 82 LL LL` ‖ tbsCertificate ‖ `30 05 06 03 2b 65 70` ‖ `03 41 00` ‖ 64 bytes of
 * signature, and nothing after it". Never throws.
 */
export function readCertificate(
  bytes: Uint8Array,
  authority: Authority,
  world: Pick<World, 'verify' | 'sha256'>,
  strictForm: boolean,
): Certificate | null {
  let fields: Fields;
  let agentId: string | null;
  try {
    if (strictForm && !(bytes[0] === 0x30 && bytes[1] === 0x82)) return null;
    fields = readFields(bytes);
    if (!der.sameBytes(fields.issuer, authority.subject)) return null;
    if (!isForPeers(fields.extensions)) return null;
    agentId = agentOf(fields.extensions);
  } catch (error) {
    if (error instanceof der.DerError) return null;
    throw error;
  }
  if (agentId === null) return null;
  if (!world.verify(authority.publicKey, fields.tbs, fields.signature)) return null;
  const publicKey = fields.publicKey.slice();
  return {
    publicKey,
    publicKeyBase64: encodeBase64(publicKey),
    nodeId: nodeIdOf(publicKey, world.sha256),
    agentId,
    notBeforeMs: fields.notBeforeMs,
    notAfterMs: fields.notAfterMs,
  };
}

/** notBefore ≤ t ≤ notAfter (§1); t in Unix seconds, with a fraction. */
export function provesAt(certificate: Certificate, atSeconds: number): boolean {
  return certificate.notBeforeMs / 1000 <= atSeconds && atSeconds <= certificate.notAfterMs / 1000;
}

/** `node_` and the first 40 hex digits of SHA-256 of the raw key (§1). */
export function nodeIdOf(publicKey: Uint8Array, sha256: World['sha256']): string {
  return `node_${sha256(publicKey).slice(0, 40)}`;
}

/**
 * Authors' certificates (§6, strict form) that were proved before, so that each is proved once and not once per item.
 * Bounded: the least recently used goes. Only good ones are remembered, so nobody can wash them out with rubbish.
 */
export class CertificateCache {
  readonly #authority: Authority;
  readonly #world: Pick<World, 'verify' | 'sha256'>;
  readonly #limit: number;
  readonly #proved = new Map<string, Certificate>();

  constructor(authority: Authority, world: Pick<World, 'verify' | 'sha256'>, limit = 4096) {
    this.#authority = authority;
    this.#world = world;
    this.#limit = limit;
  }

  get size(): number {
    return this.#proved.size;
  }

  /** The certificate in this base64 text, or null if it proves nothing or is not in the form of §6. */
  prove(base64: string): Certificate | null {
    // By digest: the text itself is a kilobyte.
    const key = this.#world.sha256(base64);
    const known = this.#proved.get(key);
    if (known) {
      this.#proved.delete(key);
      this.#proved.set(key, known);
      return known;
    }
    const bytes = decodeBase64(base64);
    const certificate = bytes && readCertificate(bytes, this.#authority, this.#world, true);
    if (!certificate) return null;
    if (this.#proved.size >= this.#limit) this.#proved.delete(this.#proved.keys().next().value!);
    this.#proved.set(key, certificate);
    return certificate;
  }
}

function readFields(bytes: Uint8Array): Fields {
  const whole = der.readWhole(bytes, der.tags.sequence);
  const [tbs, algorithm, signature, ...more] = der.children(whole);
  if (more.length > 0) throw new der.DerError('more than three parts');
  if (!der.sameBytes(der.encoding(der.expect(algorithm, der.tags.sequence)), ed25519)) {
    throw new der.DerError('not signed by Ed25519');
  }
  const bits = der.contents(der.expect(signature, der.tags.bitString));
  if (bits.length !== 65 || bits[0] !== 0) throw new der.DerError('no Ed25519 signature');
  const parts = der.children(der.expect(tbs, der.tags.sequence));
  // version [0], serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, …, extensions [3]
  if (parts[0]?.tag !== 0xa0) throw new der.DerError('no version 3');
  der.expect(parts[1], der.tags.integer);
  der.expect(parts[2], der.tags.sequence);
  const [notBefore, notAfter] = der.children(der.expect(parts[4], der.tags.sequence));
  return {
    tbs: der.encoding(tbs!),
    issuer: der.encoding(der.expect(parts[3], der.tags.sequence)),
    subject: der.encoding(der.expect(parts[5], der.tags.sequence)),
    publicKey: readPublicKey(parts[6]),
    notBeforeMs: der.readTime(notBefore),
    notAfterMs: der.readTime(notAfter),
    signature: bits.subarray(1),
    extensions: readExtensions(parts.slice(7).find((part) => part.tag === 0xa3)),
  };
}

/** SubjectPublicKeyInfo of an Ed25519 key. */
function readPublicKey(element: der.Element | undefined): Uint8Array {
  const [algorithm, key, ...more] = der.children(der.expect(element, der.tags.sequence));
  if (more.length > 0) throw new der.DerError('no SubjectPublicKeyInfo');
  if (!der.sameBytes(der.encoding(der.expect(algorithm, der.tags.sequence)), ed25519)) {
    throw new der.DerError('no Ed25519 key');
  }
  const bits = der.contents(der.expect(key, der.tags.bitString));
  if (bits.length !== 33 || bits[0] !== 0) throw new der.DerError('no Ed25519 key');
  return bits.subarray(1);
}

function readExtensions(element: der.Element | undefined): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  if (!element) return found;
  const list = der.expect(der.children(element)[0], der.tags.sequence);
  for (const extension of der.children(list)) {
    const [oid, ...rest] = der.children(der.expect(extension, der.tags.sequence));
    // Between the two an optional `critical`, which changes nothing here: the profile lists what is looked at.
    const value = der.expect(rest.at(-1), der.tags.octetString);
    const id = hexContents(der.expect(oid, der.tags.objectId));
    if (found.has(id)) throw new der.DerError('the same extension twice');
    found.set(id, der.contents(value));
  }
  return found;
}

function hexContents(element: der.Element): string {
  return Buffer.from(der.contents(element)).toString('hex');
}

/** "EKU holds both serverAuth and clientAuth; basicConstraints is absent or CA:false" (§1). */
function isForPeers(extensions: Fields['extensions']): boolean {
  const usage = extensions.get(oids.extendedKeyUsage);
  if (!usage) return false;
  const purposes = der.children(der.readWhole(usage, der.tags.sequence)).map(hexContents);
  if (!purposes.includes(oids.serverAuth) || !purposes.includes(oids.clientAuth)) return false;
  const constraints = extensions.get(oids.basicConstraints);
  if (!constraints) return true;
  const first = der.children(der.readWhole(constraints, der.tags.sequence))[0];
  return first?.tag !== der.tags.boolean || !der.isTrue(first);
}

/** "of the URIs in its SAN exactly one begins with `urn:cle-net:agent:`, and the rest of it is the agent id" (§1). */
function agentOf(extensions: Fields['extensions']): string | null {
  const names = extensions.get(oids.subjectAltName);
  if (!names) return null;
  const agents = der
    .children(der.readWhole(names, der.tags.sequence))
    .filter((name) => name.tag === der.tags.uri)
    .map(der.asciiText)
    .filter((uri) => uri.startsWith(agentUri));
  const agentId = agents.length === 1 ? agents[0]!.slice(agentUri.length) : null;
  return isAgentId(agentId) ? agentId : null;
}
