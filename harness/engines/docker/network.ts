/**
 * The network of a testnet on a container engine: one bridge per run, static addresses for nodes, an address of its own for every
 * (dialler, listener) pair. Its subnet is found by trying, so that two runs need not know of each other. Knows no node.
 *
 * `gateway`: the pairs' addresses lie outside the subnet and Toxiproxy is the nodes' default route, so each node needs one entry
 * of the kernel's neighbour table (which all containers share) and has no way out. `on-link`: where an engine will not do that,
 * they lie inside, and about 900 links fit.
 */

import { readFileSync } from 'node:fs';
import type Docker from 'dockerode';
import type { Plan } from '../../plan.ts';
import { UsageError } from '../../usage-error.ts';
import type { AddressBook } from '../wiring.ts';
import { CONTAINER_PORT } from './image.ts';

export type Scheme = 'gateway' | 'on-link';

export interface FleetNetwork {
  readonly name: string;
  readonly id: string;
  readonly scheme: Scheme;
  /** Where Toxiproxy is reached, and whoever probes the links as a node would. */
  readonly toxiproxyIp: string;
  readonly proberIp: string;
  /** All that Toxiproxy has to listen on: one per pair and, where it is the gateway, the nodes' default route. */
  readonly aliases: readonly string[];
  /** An address of a pair that no node uses: something answers there if the scheme works. */
  readonly testAlias: string;
  readonly addresses: AddressBook;
}

/** The subnets lie in 169.254/16, because only there the engine takes addresses that its own management does not know. */
const gatewaySubnets = Array.from({ length: 16 }, (_, at) => ({ base: (64 + 4 * at) * 256, bits: 22 }));
const onLinkSubnets = Array.from({ length: 4 }, (_, at) => ({ base: (64 + 16 * at) * 256, bits: 20 }));
/** 169.254.128.0/17: inside Toxiproxy's own namespace, so every run may use the same ones. */
const firstAlias = 128 * 256 + 1;
/** Clouds answer there; a foreign node may ask. */
const metadataService = 169 * 256 + 254;
/** Within the subnet: bridge 1, default route 5, Toxiproxy 6, prober 7, nodes from 10 on. */
const firstNode = 9;

/** The most nodes with an address for every pair. */
export const mostFleetNodes = 178;

/** Makes the network. UsageError where every subnet is taken or the plan has more nodes than there are addresses. */
export async function openFleetNetwork(
  docker: Docker,
  name: string,
  labels: Record<string, string>,
  plan: Plan,
  scheme: Scheme,
): Promise<FleetNetwork> {
  const count = plan.nodes.length;
  const most = scheme === 'gateway' ? mostFleetNodes : mostOnLink();
  if (count > most)
    throw new UsageError(`${count} nodes are too many for one container network: at most ${most}`);
  const { id, base } = await claim(docker, name, labels, scheme);
  const pairs = count * (count - 1);
  const first = scheme === 'gateway' ? firstAlias : base + firstNode + count + 1;
  const numbers = Array.from({ length: pairs + 2 }, (_, at) => first + at).filter(
    (number) => number !== metadataService,
  );
  const aliasOf = (from: number, to: number): string =>
    printed(numbers[(from - 1) * (count - 1) + (to < from ? to - 1 : to - 2)]!);
  const node = (index: number): string => `${printed(base + firstNode + index)}:${CONTAINER_PORT}`;
  const testAlias = printed(numbers[pairs]!);
  return {
    name,
    id,
    scheme,
    toxiproxyIp: printed(base + 6),
    proberIp: printed(base + 7),
    testAlias,
    aliases: [
      ...(scheme === 'gateway' ? [printed(base + 5)] : []),
      ...numbers.slice(0, pairs).map(printed),
      testAlias,
    ],
    addresses: {
      scheme: 'aliases',
      node,
      link: (from, to) => `${aliasOf(from!, to)}:${CONTAINER_PORT}`,
    },
  };
}

const printed = (number: number): string => `169.254.${number >> 8}.${number & 255}`;

/** A /20 less those of nodes; and the neighbour table holds 1024 entries unless somebody raised it. */
function mostOnLink(): number {
  let nodes = 2;
  while ((nodes + 1) * nodes + nodes + 20 < 2 ** 12) nodes += 1;
  return nodes;
}

/** What the kernel's neighbour table can hold on this host; null where it cannot be read. */
export function neighbourLimit(): number | null {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/neigh/default/gc_thresh3', 'utf8'));
  } catch {
    return null;
  }
}

/** The engine lets exactly one of those who want a subnet have it, so to try is to claim. */
async function claim(
  docker: Docker,
  name: string,
  labels: Record<string, string>,
  scheme: Scheme,
): Promise<{ id: string; base: number }> {
  const subnets = scheme === 'gateway' ? gatewaySubnets : onLinkSubnets;
  const turn = process.pid % subnets.length;
  for (const { base, bits } of [...subnets.slice(turn), ...subnets.slice(0, turn)]) {
    const auxiliary =
      scheme === 'gateway' ? { AuxiliaryAddresses: { DefaultGatewayIPv4: printed(base + 5) } } : {};
    try {
      const { id } = await docker.createNetwork({
        Name: name,
        Driver: 'bridge',
        CheckDuplicate: true,
        // An internal network drops what goes to addresses outside its subnet; there the default route is the wall.
        Internal: scheme === 'on-link',
        Labels: labels,
        IPAM: { Config: [{ Subnet: `${printed(base)}/${bits}`, Gateway: printed(base + 1), ...auxiliary }] },
        Options: { 'com.docker.network.bridge.enable_ip_masquerade': 'false' },
      });
      return { id, base };
    } catch (error) {
      const { statusCode, message } = error as { statusCode?: number; message: string };
      if (statusCode !== 403 || !/overlap/i.test(message)) throw error;
    }
  }
  throw new UsageError(
    `all ${subnets.length} subnets of 169.254.64.0/18 are taken by networks of the container engine ` +
      '(npm run testnet -- down removes those of dead runs)',
  );
}
