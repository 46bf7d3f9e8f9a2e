/**
 * Who dialled the connections that live at given addresses: the kernel's tables of sockets, and which of them are open in a
 * process of ours. Linux only; elsewhere it says that it does not know. Reads, never sets.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { parseHostPort } from './addresses.ts';

export interface SocketEntry {
  /** `host:port`, IPv4 also where it was mapped into IPv6. */
  local: string;
  remote: string;
  established: boolean;
  /** 0 for a socket that no process holds any more. */
  inode: number;
}

function readAddress(hex: string): string {
  const [address, port] = hex.split(':') as [string, string];
  const bytes = Buffer.from(address.slice(-8), 'hex').reverse();
  const mapped = address.length === 32 && !address.startsWith('0000000000000000FFFF0000');
  return mapped
    ? `[${address}]:${Number.parseInt(port, 16)}`
    : `${[...bytes].join('.')}:${Number.parseInt(port, 16)}`;
}

/** Rows of /proc/net/tcp or tcp6. */
export function parseSocketTable(text: string): SocketEntry[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length >= 10)
    .map((fields) => ({
      local: readAddress(fields[1]!),
      remote: readAddress(fields[2]!),
      established: fields[3] === '01',
      inode: Number(fields[9]),
    }));
}

function socketInodes(pid: number | 'self'): Set<number> {
  const inodes = new Set<number>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
      if (match !== null) inodes.add(Number(match[1]));
    } catch {
      // Closed since the listing.
    }
  }
  return inodes;
}

function readTables(): SocketEntry[] {
  return ['tcp', 'tcp6'].flatMap((name) => {
    try {
      return parseSocketTable(readFileSync(`/proc/net/${name}`, 'utf8'));
    } catch (error) {
      if (name === 'tcp6') return [];
      throw error;
    }
  });
}

interface Dialler {
  node: string;
  inode: number;
  ours: boolean;
}

/** One look at who holds the dialling end of every connection at the addresses. */
function look(nodes: ReadonlyMap<string, string>, pids: readonly (number | 'self')[]): Dialler[] {
  // Read before and after the tables: one socket may have been closed since, another opened.
  const before = pids.map(socketInodes);
  const entries = readTables().filter(({ established }) => established);
  const own = [...before, ...pids.map(socketInodes)];
  const dialling = new Map(entries.map((entry) => [`${entry.local} ${entry.remote}`, entry]));
  return entries.flatMap(({ local, remote }) => {
    const node = nodes.get(local);
    const inode = dialling.get(`${remote} ${local}`)?.inode ?? 0;
    // Inode 0: its process is gone, or it went between two tables.
    if (node === undefined || inode === 0) return [];
    return [{ node, inode, ours: own.some((inodes) => inodes.has(inode)) }];
  });
}

/**
 * For each node's own `host:port`: how many established connections there were dialled by this process (or `pids`), and how
 * many by others. Takes a few milliseconds per thousand open sockets. null where there is no /proc or a process hides.
 */
export function dialersOf(
  nodes: readonly { node: string; address: string }[],
  pids: readonly (number | 'self')[] = ['self'],
): { node: string; ours: number; others: number }[] | null {
  const byAddress = new Map(
    nodes.map(({ node, address }) => {
      const { host, port } = parseHostPort(address);
      return [`${host}:${port}`, node];
    }),
  );
  try {
    const first = look(byAddress, pids);
    const suspects = first.some(({ ours }) => !ours) ? look(byAddress, pids) : [];
    // A stranger has to be there twice: one of our own may have lived just between two readings.
    const strangers = new Set(suspects.filter(({ ours }) => !ours).map(({ inode }) => inode));
    return nodes.map(({ node }) => {
      const here = first.filter((dialler) => dialler.node === node);
      const others = here.filter(({ ours, inode }) => !ours && strangers.has(inode)).length;
      return { node, ours: here.filter(({ ours }) => ours).length, others };
    });
  } catch {
    return null;
  }
}
