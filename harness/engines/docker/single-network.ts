/**
 * The network of single containers under test: a bridge of the run's own, its subnet found by trying, static addresses for
 * nodes, this host at its gateway for whom they dial. No way to the outside. Knows no node.
 */

import { createServer } from 'node:net';
import type Docker from 'dockerode';
import { UsageError } from '../../usage-error.ts';
import { CONTAINER_PORT } from './image.ts';

export interface SingleNetwork {
  name: string;
  /** `host:port` of one more container, never given out before. */
  nodeAddress(): string;
  /** `host:port` where a program on this host can listen so that containers reach it; never given out before. */
  hostAddress(): string;
  /** This host's address there, and a name for it that containers can be given. */
  readonly hostIp: string;
  readonly hostName: string;
}

/** 10.231.0.0/16 in pieces of four times 256 addresses. */
const prefix = '10.231';
const pieces = 64;
/** The first numbers of a piece are the gateway's and in reserve. */
const firstNode = 10;
const mostNodes = 1000;
/** Below the range from which the kernel takes ports for those who dial. */
const firstPort = 20_000;
const portsTried = 4_000;

/** Throws UsageError where every subnet is taken, or where this host does not have the gateway's address. */
export async function openSingleNetwork(
  docker: Docker,
  name: string,
  labels: Record<string, string>,
): Promise<SingleNetwork> {
  const piece = await claimSubnet(docker, name, labels);
  const gateway = gatewayOf(piece);
  const ports = (await freePorts(gateway)).values();
  let nodes = 0;
  return {
    name,
    hostIp: gateway,
    hostName: 'tester.cle-net.test',
    nodeAddress: () => {
      if (nodes === mostNodes) throw new Error(`more than ${mostNodes} containers in one run`);
      const number = firstNode + nodes;
      nodes += 1;
      return `${prefix}.${piece * 4 + (number >> 8)}.${number & 255}:${CONTAINER_PORT}`;
    },
    hostAddress: () => {
      const { value, done } = ports.next();
      if (done) throw new Error(`no free port left on ${gateway}`);
      return `${gateway}:${value}`;
    },
  };
}

const gatewayOf = (piece: number): string => `${prefix}.${piece * 4}.1`;

/** The engine lets only one of those who want a subnet at once have it, so to try is to claim. */
async function claimSubnet(docker: Docker, name: string, labels: Record<string, string>): Promise<number> {
  for (let step = 0; step < pieces; step += 1) {
    const piece = (process.pid + step * 37) % pieces;
    try {
      await docker.createNetwork({
        Name: name,
        Driver: 'bridge',
        CheckDuplicate: true,
        Internal: true,
        Labels: labels,
        IPAM: {
          Driver: 'default',
          Config: [{ Subnet: `${prefix}.${piece * 4}.0/22`, Gateway: gatewayOf(piece) }],
        },
      });
      return piece;
    } catch (error) {
      const { statusCode, message } = error as { statusCode?: number; message: string };
      if (statusCode !== 403 || !/overlap/i.test(message)) throw error;
    }
  }
  throw new UsageError(
    `all ${pieces} subnets of ${prefix}.0.0/16 are taken by networks of the container engine`,
  );
}

/** The address is on a bridge of our own; only a program that listens on all addresses can be in the way. */
async function freePorts(gateway: string): Promise<number[]> {
  const outcomes = await Promise.all(
    Array.from({ length: portsTried }, (_, index) => tryPort(gateway, firstPort + index)),
  );
  if (outcomes.includes('EADDRNOTAVAIL'))
    throw new UsageError(
      `this host does not have the address ${gateway} of the containers' network (an engine in a virtual machine?): ` +
        'nodes could not dial the puppets here, so run this where the engine runs',
    );
  return outcomes.flatMap((outcome, index) => (outcome === 'free' ? [firstPort + index] : []));
}

function tryPort(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'in use'));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve('free')));
  });
}
