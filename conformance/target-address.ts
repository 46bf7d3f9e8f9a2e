/**
 * The target that is somebody's address: one node that we neither start nor stop. Rows that share it run side by side, rows
 * that want it alone take turns. What it is called and whose key it has is learnt by shaking hands with it.
 */

import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join as joinPath } from 'node:path';
import { UsageError } from '../harness/usage-error.ts';
import { type Authority, openAuthority } from '../harness/wire/authority.ts';
import { encodeBase64 } from '../harness/wire/base64.ts';
import { nodeIdOf } from '../harness/wire/identity.ts';
import { createPuppet, join } from '../harness/wire/puppet.ts';
import { splitAddress } from '../harness/wire/transport.ts';
import { notApplicable } from './requirement.ts';
import type { Lease, NodeOptions, NodeUnderTest, Target } from './target.ts';

export interface AddressTarget {
  /** `host:port`, IPv6 as `[addr]:port`. */
  address: string;
  /** Folder with `ca.crt` and `ca.key`, so that puppets can have identities of the node's network. */
  caDir: string;
  seed: number;
}

/** Throws UsageError where the address does not answer, or the folder has no usable CA. */
export async function openAddressTarget(options: AddressTarget): Promise<Target> {
  if (!/^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):\d{1,5}$/.test(options.address))
    throw new UsageError(`--address ${options.address}: not of the form HOST:PORT`);
  const authority = await readAuthority(options.caDir);
  const node = await meet(options, authority);
  const turns = readersAndWriters();
  const listenHost = testerHost(node.host);
  const ports = await freePorts(listenHost, 200);
  const crashes: Target['crashes'] = [];
  return {
    description: options.address,
    flags: `--address ${options.address} --ca ${options.caDir}`,
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
    shared: async () => ({ node, release: await turns.shared() }),
    own: async (_row, nodeOptions) => {
      refuseSettings(nodeOptions);
      return { node, release: await turns.alone() } satisfies Lease;
    },
    startAndExit: () => notApplicable('needs to start the node: --address cannot give that'),
    pids: () => new Map(),
    crashes,
    close: async () => {},
  };
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
  try {
    return await openAuthority(certificate, key);
  } catch (error) {
    throw new UsageError(`--ca ${folder}: ${(error as Error).message}`);
  }
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
    throw new UsageError(`--address ${address}: ${(error as Error).message}`);
  }
}

/** With parameters or bootstrap nodes of the row's choice it would be another node. */
function refuseSettings(options: NodeOptions): void {
  const asked = Object.keys(options).filter((key) => key !== 'readyWithinMs');
  if (asked.length > 0)
    notApplicable(`needs a node started with ${asked.join(', ')}: --address cannot give that`);
}

/** Many may hold it shared, one alone; who came first goes first. */
export function readersAndWriters(): {
  shared(): Promise<() => Promise<void>>;
  alone(): Promise<() => Promise<void>>;
} {
  let readers = 0;
  let writing = false;
  const queue: { alone: boolean; go: () => void }[] = [];
  const next = (): void => {
    while (queue.length > 0) {
      const first = queue[0]!;
      if (writing || (first.alone && readers > 0)) return;
      queue.shift();
      if (first.alone) writing = true;
      else readers += 1;
      first.go();
    }
  };
  const enter = (alone: boolean): Promise<() => Promise<void>> =>
    new Promise((resolve) => {
      let left = false;
      const leave = async (): Promise<void> => {
        if (left) return;
        left = true;
        if (alone) writing = false;
        else readers -= 1;
        next();
      };
      queue.push({ alone, go: () => resolve(leave) });
      next();
    });
  return { shared: () => enter(false), alone: () => enter(true) };
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
