/**
 * A node at somebody's address: we can talk to it, with identities from its network's CA, and do nothing else to it. No plan,
 * no start, no stop, no abilities; what needs them is not applicable, and whoever asks finds `abilities` empty.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ability } from '../../engine.ts';
import { isErrno } from '../../os-process.ts';
import { UsageError } from '../../usage-error.ts';
import { type Authority, openAuthority } from '../../wire/authority.ts';
import { freshIdentity } from '../../wire/identity.ts';
import { hostAndPort, probe, probeContext } from '../process/probe.ts';

export interface AttachedNode {
  /** `host:port` as it was given. */
  readonly address: string;
  readonly abilities: ReadonlySet<Ability>;
  /** The network's CA, to issue identities with. */
  readonly authority: Authority;
}

/**
 * Checks that the folder holds `ca.crt` and `ca.key` (PEM, Ed25519, belonging together) and that a TLS handshake with an
 * identity of that CA succeeds. UsageError with one line otherwise.
 */
export async function attach(address: string, caFolder: string, withinMs = 5_000): Promise<AttachedNode> {
  const { host, port } = hostAndPort(address);
  if (host === '' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`--address: "${address}" is not HOST:PORT (IPv6 as [ADDR]:PORT)`);
  }
  const authority = await readAuthority(caFolder);
  const identity = freshIdentity();
  const context = probeContext({
    keyPem: identity.keyPem,
    certificatePem: (await authority.issue(identity)).pem,
    caPem: authority.certificatePem,
  });
  const outcome = await probe(address, context, withinMs);
  if (outcome.kind === 'refused') throw new UsageError(`--address: nothing listens on ${address}`);
  if (outcome.kind === 'no-tls') {
    throw new UsageError(
      `--address: ${address} accepts no TLS 1.3 handshake with TLS_AES_256_GCM_SHA384 (${outcome.detail})`,
    );
  }
  return { address, abilities: new Set(), authority };
}

async function readAuthority(folder: string): Promise<Authority> {
  const certificatePem = readPem(folder, 'ca.crt', 'the certificate of the network');
  const keyPem = readPem(folder, 'ca.key', 'the key that issues identities to the tester');
  try {
    return await openAuthority(certificatePem, keyPem);
  } catch (error) {
    throw new UsageError(
      `--ca: ca.crt and ca.key in ${folder} are no Ed25519 CA in PEM that belongs together (${(error as Error).message})`,
    );
  }
}

function readPem(folder: string, name: string, what: string): string {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) {
      throw new UsageError(`--ca: ${folder} holds no ${name} (${what})`);
    }
    throw new UsageError(
      `--ca: ${join(folder, name)} cannot be read (${(error as NodeJS.ErrnoException).code ?? error})`,
    );
  }
}
