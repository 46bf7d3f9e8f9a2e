/**
 * Who is connected to whom, from outside the nodes: taken-in connections by Toxiproxy's own log, live ones by the kernel's table of
 * its network namespace. Toxiproxy's API counts neither. Only reads.
 */

import { readFileSync } from 'node:fs';
import type { LinkCounters } from '../../links/fault-plane.ts';
import type { LinkPlane } from '../../links/plane.ts';
import { hostAndPort } from '../probe.ts';
import { CONTAINER_PORT } from './image.ts';
import type { FleetNetwork } from './network.ts';
import type { ToxiproxyContainer } from './toxiproxy.ts';

const established = '01';

/** Live connections by the address that was dialled, those of our own probes left out; null where the kernel cannot be asked. */
export function openConnections(pid: number | null, network: FleetNetwork): Map<string, number> | null {
  if (pid === null) return null;
  let table: string;
  try {
    table = readFileSync(`/proc/${pid}/net/tcp`, 'latin1');
  } catch {
    return null;
  }
  const ours = new Set([network.proberIp, network.toxiproxyIp]);
  const open = new Map<string, number>();
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', remote = '', state] = line.trim().split(/\s+/);
    if (state !== established || !local.endsWith(portHex)) continue;
    if (ours.has(addressOf(remote))) continue;
    const address = addressOf(local);
    open.set(address, (open.get(address) ?? 0) + 1);
  }
  return open;
}

const portHex = `:${CONTAINER_PORT.toString(16).toUpperCase().padStart(4, '0')}`;

/** The kernel prints an address as the bytes of a little-endian number. */
function addressOf(text: string): string {
  const hex = text.slice(0, 8);
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.');
}

export function countLinks(
  links: LinkPlane,
  toxiproxy: ToxiproxyContainer,
  network: FleetNetwork,
): LinkCounters[] {
  const open = openConnections(toxiproxy.pid, network);
  return links.pairs.map(({ from, to, listen }) => ({
    from,
    to,
    accepted: toxiproxy.accepted(`${from}>${to}`),
    open: open === null ? null : (open.get(hostAndPort(listen).host) ?? 0),
    bytesForth: null,
    bytesBack: null,
  }));
}
