/**
 * Loopback addresses for one run: a /16 slice of 127/8 in which node j is `127.S.0.j` and the link from i to j is `127.S.i.j`,
 * all on one port; where 127/8 has no aliases (macOS), a range of ports on 127.0.0.1. A slice is claimed by a listening socket
 * that dies with the harness, so two runs never share one and nothing has to be released after a crash.
 */

import { createServer, type Server } from 'node:net';
import { isErrno } from '../../os-process.ts';
import { UsageError } from '../../usage-error.ts';
import { hostAndPort } from '../probe.ts';
import type { AddressBook } from '../wiring.ts';

export interface Addresses extends AddressBook {
  /** One more `host:port` that nobody else was given, e.g. for an instance under test or a listening puppet. */
  next(): string;
  release(): Promise<void>;
}

/** The third and fourth number of an address of the slice go from 1 to 250. */
export const mostNodes = 250;

const firstSlice = 16;
const sliceCount = 224;
/** 8888 first (profile §2); the others for a host where somebody listens on 0.0.0.0:8888. Below the ephemeral range. */
const usualPorts: readonly number[] = [8888, 18_888, 28_888];

/** `scheme` forces one; by default what the host can do. `ports` are tried in turn on the aliases. */
export async function claimAddresses(
  scheme?: Addresses['scheme'],
  ports: readonly number[] = usualPorts,
): Promise<Addresses> {
  if (scheme !== 'ports') {
    const claimed = await claimSlice(ports);
    if (claimed !== null) return sliceAddresses(claimed.slice, claimed.port, claimed.socket);
    if (scheme === 'aliases') throw new UsageError('this host has no addresses 127.x.y.z besides 127.0.0.1');
  }
  return claimPorts();
}

/** Whether any address of 127/8 can be listened on without set-up (Linux: yes, macOS: no). */
export async function hasAliases(): Promise<boolean> {
  const outcome = await listen(`127.${firstSlice}.255.253`, 0);
  if (typeof outcome !== 'string') await close(outcome);
  return outcome !== 'no-address';
}

/** null: the host has no aliases in 127/8. */
async function claimSlice(
  ports: readonly number[],
): Promise<{ slice: number; port: number; socket: Server } | null> {
  const first = process.pid % sliceCount;
  for (const port of ports) {
    let refused = 0;
    for (let step = 0; step < sliceCount && refused < 8; step += 1) {
      const slice = firstSlice + ((first + step * 37) % sliceCount);
      const outcome = await listen(`127.${slice}.255.254`, port);
      if (outcome === 'no-address') return null;
      if (outcome !== 'in-use') return { slice, port, socket: outcome };
      refused += 1;
    }
  }
  throw new UsageError(
    `no free loopback addresses: something listens on all of 127.0.0.0/8 at the ports ${ports.join(', ')} (0.0.0.0?)`,
  );
}

function sliceAddresses(slice: number, port: number, socket: Server): Addresses {
  let given = 0;
  return {
    scheme: 'aliases',
    node: (index) => `127.${slice}.0.${checked(index)}:${port}`,
    link: (from, to) => `127.${slice}.${checked(from ?? 0)}.${checked(to)}:${port}`,
    next: () => {
      // Rows 251 to 254 of the slice belong to no link; 250 × 4 there, then the rest from the top down.
      const row = 254 - Math.floor(given / 250);
      const address = `127.${slice}.${row}.${(given % 250) + 1}:${port}`;
      given += 1;
      return address;
    },
    release: () => close(socket),
  };
}

function checked(index: number): number {
  if (index < 1 || index > mostNodes)
    throw new UsageError(`the loopback addresses of one run are enough for ${mostNodes} nodes`);
  return index;
}

/** Ranges of 1024 ports; the first port of a range is its claim. */
const rangeSize = 1024;
const rangeStarts = Array.from({ length: 20 }, (_, index) => 10_240 + index * rangeSize);

async function claimPorts(): Promise<Addresses> {
  const turn = process.pid % rangeStarts.length;
  for (const start of [...rangeStarts.slice(turn), ...rangeStarts.slice(0, turn)]) {
    const socket = await listen('127.0.0.1', start);
    if (typeof socket !== 'string') return portAddresses(await freePorts(start), socket);
  }
  throw new UsageError('no free range of ports on 127.0.0.1 between 10240 and 30720');
}

/** The ports of a range that nobody else listens on. */
async function freePorts(start: number): Promise<number[]> {
  const candidates = Array.from({ length: rangeSize - 1 }, (_, index) => start + 1 + index);
  const free = await Promise.all(
    candidates.map(async (port) => {
      const outcome = await listen('127.0.0.1', port);
      if (typeof outcome === 'string') return false;
      await close(outcome);
      return true;
    }),
  );
  return candidates.filter((_, index) => free[index]);
}

function portAddresses(free: number[], socket: Server): Addresses {
  let given = 0;
  const address = (position: number): string => {
    const port = free[position];
    if (port === undefined)
      throw new UsageError('the ports of one run on 127.0.0.1 are used up: fewer nodes, please');
    return `127.0.0.1:${port}`;
  };
  return {
    scheme: 'ports',
    node: (index) => address(checked(index) - 1),
    link: (from, to) => {
      if (from !== null) throw new Error('with ports there is one link per listener');
      return address(mostNodes + checked(to) - 1);
    },
    next: () => {
      given += 1;
      return address(2 * mostNodes + given - 1);
    },
    release: () => close(socket),
  };
}

/** Whether one could listen there now. */
export async function isFree(address: string): Promise<boolean> {
  const { host, port } = hostAndPort(address);
  const outcome = await listen(host, port);
  if (typeof outcome !== 'string') await close(outcome);
  return outcome !== 'in-use';
}

function listen(host: string, port: number): Promise<Server | 'in-use' | 'no-address'> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error) => {
      if (isErrno(error, 'EADDRINUSE') || isErrno(error, 'EACCES')) resolve('in-use');
      else if (isErrno(error, 'EADDRNOTAVAIL')) resolve('no-address');
      else reject(error);
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
