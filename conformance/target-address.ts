/**
 * The target that is somebody's address: one node that we neither start nor stop. Rows that share it run side by side, rows
 * that want it alone take turns. What it is called and whose key it has is learnt by shaking hands with it.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join as joinPath } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UsageError } from '../harness/usage-error.ts';
import { type Authority, openAuthority } from '../harness/wire/authority.ts';
import { encodeBase64 } from '../harness/wire/base64.ts';
import { nodeIdOf } from '../harness/wire/identity.ts';
import { listen } from '../harness/wire/listener.ts';
import { createPuppet, join } from '../harness/wire/puppet.ts';
import { splitAddress } from '../harness/wire/transport.ts';
import { notApplicable } from './requirement.ts';
import type { Lease, NodeOptions, NodeUnderTest, Target } from './target.ts';

export interface AddressTarget {
  /** `host:port`, IPv6 as `[addr]:port`. */
  address: string;
  /** Folder with `ca.crt` and `ca.key`, so that puppets can have identities of the node's network. */
  caDir: string;
  /** That name it on the command line, shell-quoted. */
  flags: string;
  seed: number;
}

/** Throws UsageError where the address does not answer, or the folder has no usable CA. */
export async function openAddressTarget(options: AddressTarget): Promise<Target> {
  checkAddress(options.address);
  const authority = await readAuthority(options.caDir);
  const node = await meet(options, authority);
  const turns = readersAndWriters();
  const listenHost = testerHost(node.host);
  const ports = await freePorts(listenHost, 200);
  const crashes: Target['crashes'] = [];
  const users = new Set<string>();
  const gravestones: { close(): Promise<void> }[] = [];
  const stranger = await createPuppet(authority, { name: 'gravestone' });
  return {
    description: options.address,
    flags: options.flags,
    abilities: new Set(['dial-back']),
    salt: `${Date.now()}`,
    authority,
    nextAddress: () => {
      const port = ports.shift();
      if (port === undefined) throw new Error('no free port left for puppets');
      return `${listenHost}:${port}`;
    },
    // What its resolver knows of this host nobody has told us.
    ways: { name: 'localhost', meaning: [], six: null },
    shared: async (row) => {
      const release = await turns.shared();
      users.add(row);
      return { node, release };
    },
    own: async (row, nodeOptions) => {
      refuseSettings(nodeOptions);
      const { company, fresh } = nodeOptions;
      const release = await (company ? turns.shared() : fresh ? turns.fresh() : turns.alone());
      users.add(row);
      return { node, release } satisfies Lease;
    },
    startAndExit: () => notApplicable('needs to start the node: --address cannot give that'),
    pids: () => new Map(),
    // Whoever dials a puppet that has left finds somebody else there, closes and forgets the address (§4). The node would else go
    // on dialling hundreds of them, or keep them as verified in its routing table, and have no dial or no place left for whom a
    // later row names.
    abandon: async (address) => {
      const { host, port } = splitAddress(address);
      gravestones.push(await listen(stranger, host, port, { handshake: null }));
    },
    isWorn: () => users.size > 1,
    crashes,
    close: async () => void (await Promise.all(gravestones.splice(0).map((stone) => stone.close()))),
  };
}

/** UsageError for what is not of the form. */
export function checkAddress(address: string): void {
  if (!/^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):\d+$/.test(address))
    throw new UsageError(`--address ${address}: not of the form HOST:PORT`);
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  if (port < 1 || port > 65_535)
    throw new UsageError(`--address ${address}: a port is a number from 1 to 65535`);
}

async function readAuthority(folder: string): Promise<Authority> {
  const read = (name: string): string => {
    const file = joinPath(folder, name);
    if (!existsSync(file))
      throw new UsageError(
        `--ca ${folder}: there is no ${name} (it must hold ca.crt and ca.key of the node's CA)`,
      );
    return readFileSync(file, 'utf8');
  };
  const [certificate, key] = [read('ca.crt'), read('ca.key')];
  refuseOtherKeys(folder, certificate, key);
  try {
    return await openAuthority(certificate, key);
  } catch (error) {
    throw new UsageError(`--ca ${folder}: ${(error as Error).message}`);
  }
}

/** A network's CA is Ed25519 (profile §1); with another kind no certificate of ours could be right. */
function refuseOtherKeys(folder: string, certificatePem: string, keyPem: string): void {
  const read = (name: string, kindOf: () => string | undefined): void => {
    let kind: string | undefined;
    try {
      kind = kindOf();
    } catch (error) {
      throw new UsageError(`--ca ${folder}: ${name} cannot be read as PEM (${(error as Error).message})`);
    }
    if (kind !== 'ed25519') throw new UsageError(`--ca ${folder}: ${name} is ${kind}; it must be Ed25519`);
  };
  read('ca.crt', () => new X509Certificate(certificatePem).publicKey.asymmetricKeyType);
  read('ca.key', () => createPrivateKey(keyPem).asymmetricKeyType);
}

/** Shakes hands once and learns who the node is. */
async function meet(options: AddressTarget, authority: Authority): Promise<NodeUnderTest> {
  const puppet = await createPuppet(authority, { name: 'prober' });
  const { address } = options;
  try {
    const connection = await join(puppet, address, { withinMs: 10_000 });
    if (typeof connection.peer === 'string')
      throw new Error(`its certificate proves nothing: ${connection.peer}`);
    const advertise: unknown = connection.outcome.hello.payload?.address;
    await connection.close();
    const { publicKey, agentId } = connection.peer;
    return {
      name: 'the node',
      address,
      ...splitAddress(address),
      agentId,
      nodeId: nodeIdOf(publicKey),
      publicKey: encodeBase64(publicKey),
      advertise: typeof advertise === 'string' ? advertise : null,
      parameters: {},
      control: null,
      logTail: () => [],
    };
  } catch (error) {
    // Whose words they are matters to the suite, not to who gave the address.
    const said = (error as Error).message
      .replace(/^prober(?:>\S+)?: /, '')
      .replace(`${address} `, '')
      .replace(/\b(E[A-Z]+) (?=.*\b\1\b)/, '');
    throw new UsageError(`--address ${address}: ${said}`);
  }
}

/** Options that say how a row wants the node, and nothing of how it is configured. */
const places: ReadonlySet<string> = new Set(['readyWithinMs', 'company', 'fresh']);

/** With parameters or bootstrap nodes of the row's choice it would be another node. */
function refuseSettings(options: NodeOptions): void {
  const asked = Object.keys(options).filter((key) => !places.has(key));
  if (asked.length > 0)
    notApplicable(`needs a node started with ${asked.join(', ')}: --address cannot give that`);
}

/** How a node is held: alone before others have used it, side by side, or alone. */
type Hold = 'fresh' | 'shared' | 'alone';

/** A node needs a moment to see that the puppets of the last row have gone. */
const settleMs = 300;

/**
 * Many may hold it shared, one alone. Who wants it fresh goes first, of those that the schedule has let in (it lets them in first as
 * well, or sixty others would be in before them); then those who share, also past waiting ones: rows that wait a
 * minute beside each other would otherwise each wait for the other.
 */
export function readersAndWriters(afterMs = settleMs): Record<Hold, () => Promise<() => Promise<void>>> {
  const waiting: Record<Hold, (() => void)[]> = { fresh: [], shared: [], alone: [] };
  let readers = 0;
  let writing = false;
  const next = (): void => {
    if (writing) return;
    if (readers === 0 && waiting.fresh.length > 0) {
      writing = true;
      waiting.fresh.shift()!();
      return;
    }
    for (const go of waiting.shared.splice(0)) {
      readers += 1;
      go();
    }
    if (readers > 0) return;
    const alone = waiting.alone.shift();
    writing = alone !== undefined;
    alone?.();
  };
  const enter = (hold: Hold) => (): Promise<() => Promise<void>> =>
    new Promise((resolve) => {
      let left = false;
      const leave = async (): Promise<void> => {
        if (left) return;
        left = true;
        await delay(afterMs);
        if (hold === 'shared') readers -= 1;
        else writing = false;
        next();
      };
      waiting[hold].push(() => resolve(leave));
      next();
    });
  return { fresh: enter('fresh'), shared: enter('shared'), alone: enter('alone') };
}

/** Where puppets listen so that a node at `host` can reach them: loopback for loopback, else our first outward address. */
function testerHost(host: string): string {
  if (host === 'localhost' || host.startsWith('127.') || host === '::1') return '127.0.0.1';
  const outward = Object.values(networkInterfaces())
    .flat()
    .find((face) => face !== undefined && face.family === 'IPv4' && !face.internal);
  return outward?.address ?? '127.0.0.1';
}

async function freePorts(host: string, count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, host, () => resolve(server));
        }),
    ),
  );
  return Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          const { port } = server.address() as { port: number };
          server.close(() => resolve(port));
        }),
    ),
  );
}
