/**
 * Reading the certificate that a peer presented, as profile §1 reads it: does it prove a key and an agent, now? On
 * node:crypto's X.509 reader; issuing is `authority.ts`.
 */

import { type KeyObject, X509Certificate } from 'node:crypto';
import { agentUriPrefix } from './authority.ts';

const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';

export interface Proof {
  publicKey: Uint8Array;
  agentId: string;
}

/** The proven key and agent, or in words why the certificate proves nothing at `atMs` (Unix ms). Never throws. */
export function proofOf(der: Uint8Array, caPem: string, atMs: number = Date.now()): Proof | string {
  try {
    const certificate = new X509Certificate(der);
    const authority = authorityOf(caPem);
    if (certificate.issuer !== authority.subject) return `issued by ${JSON.stringify(certificate.issuer)}`;
    if (!certificate.verify(authority.publicKey)) return 'not signed by the CA';
    if (atMs < Date.parse(certificate.validFrom)) return `not valid before ${certificate.validFrom}`;
    if (atMs > Date.parse(certificate.validTo)) return `not valid after ${certificate.validTo}`;
    if (certificate.ca) return 'it is a CA';
    if (certificate.publicKey.asymmetricKeyType !== 'ed25519') {
      return `its key is ${certificate.publicKey.asymmetricKeyType}`;
    }
    const usages: readonly string[] = certificate.keyUsage ?? [];
    if (!usages.includes(serverAuth) || !usages.includes(clientAuth))
      return 'EKU lacks serverAuth or clientAuth';
    const agents = (certificate.subjectAltName ?? '')
      .split(', ')
      .filter((name) => name.startsWith(`URI:${agentUriPrefix}`));
    if (agents.length !== 1) return `${agents.length} agent ids`;
    const agentId = agents[0]!.slice(`URI:${agentUriPrefix}`.length);
    if (!/^agent_[A-Za-z0-9_-]{1,64}$/.test(agentId)) return `agent id ${JSON.stringify(agentId)}`;
    const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
    return { publicKey: new Uint8Array(spki.subarray(-32)), agentId };
  } catch (error) {
    return `unreadable: ${error instanceof Error ? error.message : String(error)}`;
  }
}

interface Issuer {
  caPem: string;
  subject: string;
  publicKey: KeyObject;
}

/** A run has one CA, and some thousand connections whose certificates are held against it. */
let latest: Issuer | null = null;

function authorityOf(caPem: string): Issuer {
  if (latest?.caPem !== caPem) {
    const { subject, publicKey } = new X509Certificate(caPem);
    latest = { caPem, subject, publicKey };
  }
  return latest;
}
