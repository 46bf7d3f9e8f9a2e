/**
 * A network for an hour: a CA and identities as files in a folder, for what needs a running node and has none of its own,
 * the bundle's warm-up and this folder's tests. No part of a running node.
 */

import 'reflect-metadata';
import { generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

const hourMs = 3_600_000;
const algorithm = { name: 'Ed25519' };

/** A certificate of the throwaway CA, with its key. Paths of PEM files. */
export interface ThrowawayIdentity {
  agentId: string;
  publicKeyBase64: string;
  keyFile: string;
  certificateFile: string;
  caFile: string;
}

/** What may be wrong with a certificate; times in Unix ms, usages as OIDs, names as SAN URIs. */
export interface LeafOptions {
  notBeforeMs?: number;
  notAfterMs?: number;
  usages?: string[];
  uris?: string[];
}

export interface ThrowawayNet {
  folder: string;
  caFile: string;
  issue(name: string, options?: LeafOptions): Promise<ThrowawayIdentity>;
}

/** Makes the CA. Files go below `folder`, a folder per identity; the caller removes it. */
export async function createThrowawayNet(folder: string): Promise<ThrowawayNet> {
  mkdirSync(folder, { recursive: true });
  const ca = keyPair();
  const name = 'CN=throwaway CA';
  const caCertificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name,
    notBefore: new Date(Date.now() - 720 * hourMs),
    notAfter: new Date(Date.now() + hourMs),
    keys: await imported(ca),
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const caFile = join(folder, 'ca.crt');
  writeFileSync(caFile, caCertificate.toString('pem'));
  let serial = 1;
  return {
    folder,
    caFile,
    async issue(agent, options = {}) {
      const own = join(folder, agent);
      mkdirSync(own, { recursive: true });
      const agentId = `agent_${agent}`;
      const leaf = keyPair();
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: (++serial).toString(16).padStart(4, '0'),
        subject: `CN=${agent}`,
        issuer: name,
        notBefore: new Date(options.notBeforeMs ?? Date.now() - hourMs),
        notAfter: new Date(options.notAfterMs ?? Date.now() + hourMs),
        publicKey: (await imported(leaf)).publicKey,
        signingKey: (await imported(ca)).privateKey,
        signingAlgorithm: algorithm,
        extensions: [
          new x509.ExtendedKeyUsageExtension(options.usages ?? ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
          new x509.SubjectAlternativeNameExtension(
            (options.uris ?? [`urn:cle-net:agent:${agentId}`]).map((value) => ({
              type: 'url' as const,
              value,
            })),
          ),
        ],
      });
      const keyFile = join(own, 'node.key');
      const certificateFile = join(own, 'node.crt');
      writeFileSync(keyFile, leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }));
      writeFileSync(certificateFile, certificate.toString('pem'));
      const publicKeyBase64 = leaf.publicKey
        .export({ type: 'spki', format: 'der' })
        .subarray(-32)
        .toString('base64');
      return { agentId, publicKeyBase64, keyFile, certificateFile, caFile };
    },
  };
}

type Pair = { publicKey: KeyObject; privateKey: KeyObject };

function keyPair(): Pair {
  return generateKeyPairSync('ed25519');
}

async function imported({ publicKey, privateKey }: Pair): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  return {
    publicKey: await subtle.importKey('spki', spki, algorithm, true, ['verify']),
    privateKey: await subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
  };
}
