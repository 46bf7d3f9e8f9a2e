/** An identity and a stub node for tests of the process engine that need no network of nodes. */

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { X509CertificateGenerator } from '@peculiar/x509';
import type { ProbeIdentity } from '../../probe.ts';
import type { ProcessSpec } from '../instance.ts';

const stub = fileURLToPath(new URL('../../test/fixtures/stub-node.mjs', import.meta.url));

/** One self-signed certificate is CA, node and probe at once. */
export async function selfSigned(): Promise<ProbeIdentity> {
  const keys = await webcrypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    { name: 'CN=stub', keys: keys as never, signingAlgorithm: { name: 'Ed25519' } },
    webcrypto as never,
  );
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', (keys as CryptoKeyPair).privateKey));
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`;
  return { keyPem, certificatePem: certificate.toString('pem'), caPem: certificate.toString('pem') };
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;

/** The stub node as program and arguments. */
export function stubArgv(behaviour: string): string[] {
  return [process.execPath, stub, behaviour];
}

/** The stub node as a line for the shell. */
export function stubCommand(behaviour: string): string {
  return `'${process.execPath}' '${stub}' ${behaviour}`;
}

/** An instance of the stub node that behaves as told. */
export function stubSpec(
  name: string,
  address: string,
  identity: ProbeIdentity,
  behaviour = 'good',
  more: Partial<ProcessSpec> = {},
): ProcessSpec {
  return {
    name,
    command: { argv: stubArgv(behaviour) },
    agentId: 'agent_stub',
    listen: address,
    advertise: `${name}:8888`,
    keyPem: identity.keyPem,
    certificatePem: identity.certificatePem,
    caPem: identity.caPem,
    bootstrapNodes: [],
    ...more,
  };
}
