/**
 * Is the engine's network this host's? Nodes are watched at their containers' addresses and their files lie in folders of this
 * host, so an engine in a virtual machine or on another machine cannot carry a testnet from here. Asks the kernel.
 */

import { createServer } from 'node:net';
import type Docker from 'dockerode';
import { UsageError } from '../../usage-error.ts';
import { connectDocker } from './connect.ts';

/** Why no testnet can be had from the engine, as half a sentence; null: it can. */
export async function engineObstacle(): Promise<string | null> {
  try {
    const { docker, description } = await connectDocker();
    if (await isHere(docker)) return null;
    return `${description} keeps its networks elsewhere (a virtual machine, another machine, a rootless namespace): run this where the engine runs`;
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

/** The default network's gateway is an address of this host. An engine without that network is not judged by it. */
export async function isHere(docker: Docker): Promise<boolean> {
  const [bridge] = await docker.listNetworks({ filters: { driver: ['bridge'], name: ['bridge'] } });
  const gateway = bridge?.IPAM?.Config?.[0]?.Gateway;
  if (gateway === undefined) return true;
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRNOTAVAIL'));
    server.listen({ host: gateway, port: 0 }, () => server.close(() => resolve(true)));
  });
}
