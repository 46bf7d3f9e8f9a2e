/**
 * The container with the real Toxiproxy between every pair of nodes: how it is made, what its log says of who dialled whom, and
 * whether it keeps up. Sets no toxics: that is the fault plane's, through its API.
 */

import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { UsageError } from '../../usage-error.ts';
import { lastLines, logStream } from '../node-log.ts';
import { containerUserText } from './folder.ts';
import type { FleetNetwork } from './network.ts';

export interface ToxiproxyContainer {
  readonly id: string;
  readonly apiUrl: string;
  /** Its first process on this host. */
  readonly pid: number | null;
  /** Connections taken in per proxy, by nodes only, from its log. */
  accepted(proxy: string): number;
}

const apiPort = '8474/tcp';
const upWithinMs = 60_000;
/** The most that the kernel takes. */
const mostShares = 262_144;

/** Makes and starts it with all its addresses; rejects with the engine's error. */
export async function startToxiproxy(
  docker: Docker,
  image: string,
  name: string,
  labels: Record<string, string>,
  network: FleetNetwork,
  logFile: string,
): Promise<ToxiproxyContainer> {
  const container = await docker.createContainer({
    name,
    Image: image,
    User: containerUserText(),
    Labels: labels,
    Env: ['LOG_LEVEL=info'],
    ExposedPorts: { [apiPort]: {} },
    HostConfig: {
      // The default network first: it gives the published port of the API, and the default route without which it cannot start.
      NetworkMode: 'bridge',
      PortBindings: { [apiPort]: [{ HostIp: '127.0.0.1', HostPort: '' }] },
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      // Among containers of equal weight it would be served like one node of fifty, and a fault would take a minute to cure.
      CpuShares: mostShares,
      LogConfig: { Type: 'none', Config: {} },
      // It must route for nobody, and give up on the address of a dead node in seconds instead of minutes.
      Sysctls: { 'net.ipv4.ip_forward': '0', 'net.ipv4.tcp_syn_retries': '1' },
    },
  });
  await docker
    .getNetwork(network.id)
    .connect({ Container: container.id, EndpointConfig: endpointOf(network) });
  const accepts = await readLog(docker, container, logFile, network);
  await container.start();
  const { State, NetworkSettings } = await container.inspect();
  const port = NetworkSettings.Ports[apiPort]?.[0]?.HostPort;
  if (port === undefined) throw new Error('the engine published no port of the Toxiproxy container');
  const published = `http://127.0.0.1:${port}`;
  await answers(container, published, logFile);
  return {
    id: container.id,
    apiUrl: (await direct(NetworkSettings.Networks.bridge?.IPAddress)) ?? published,
    pid: State.Pid || null,
    accepted: (proxy) => accepts.get(proxy) ?? 0,
  };
}

/**
 * Its API without the engine's relay, which would copy thousands of calls between two sockets. null: it cannot be reached so, as
 * where the engine runs in a virtual machine.
 */
async function direct(address: string | undefined): Promise<string | null> {
  if (!address) return null;
  const url = `http://${address}:${Number.parseInt(apiPort, 10)}`;
  const answer = await fetch(`${url}/version`, { signal: AbortSignal.timeout(1_000) }).catch(() => null);
  return answer?.ok ? url : null;
}

/** A busy host is late too; the known freeze lasts 25 s. */
const frozenAfterMs = 15_000;

/** Rejects if its API does not: then links are no longer under anybody's control. */
export async function answersInTime(apiUrl: string, withinMs = frozenAfterMs): Promise<void> {
  try {
    await fetch(`${apiUrl}/version`, { signal: AbortSignal.timeout(withinMs) });
  } catch (error) {
    const { name, message, cause } = error as Error & { cause?: { message?: string } };
    throw new Error(
      name === 'TimeoutError'
        ? `the Toxiproxy container is frozen: no answer at ${apiUrl} within ${withinMs} ms`
        : `the Toxiproxy container is gone: ${apiUrl}: ${cause?.message || message}`,
    );
  }
}

/** The engine's own relay takes connections in before there is anybody behind it. */
async function answers(container: Docker.Container, apiUrl: string, logFile: string): Promise<void> {
  const deadline = performance.now() + upWithinMs;
  for (;;) {
    const signal = AbortSignal.timeout(1_000);
    const answer = await fetch(`${apiUrl}/version`, { signal }).catch(() => null);
    if (answer?.ok) return;
    const { State } = await container.inspect();
    if (!State.Running || performance.now() > deadline) {
      const how = State.Running ? `does not answer at ${apiUrl}` : `ended with exit code ${State.ExitCode}`;
      const words = lastLines(logFile, 3).join(' | ');
      throw new UsageError(
        `the Toxiproxy container ${how}${words === '' ? '' : `; its last lines: ${words}`}`,
      );
    }
    await delay(20);
  }
}

const endpointOf = (network: FleetNetwork): object => ({
  IPAMConfig: { IPv4Address: network.toxiproxyIp, LinkLocalIPs: [...network.aliases] },
});

/** Attached before the start, so that no line is missed. The log goes to the run folder whole. */
async function readLog(
  docker: Docker,
  container: Docker.Container,
  logFile: string,
  network: FleetNetwork,
): Promise<Map<string, number>> {
  const accepts = new Map<string, number>();
  const stream = await container.attach({ stream: true, stdout: true, stderr: true });
  const lines = new PassThrough();
  docker.modem.demuxStream(stream, lines, lines);
  stream.once('end', () => lines.end());
  stream.once('error', () => lines.end());
  const file = logStream(logFile);
  // Not a pipe: if the disk is full that would hold up the counting too.
  lines.on('data', (chunk: Buffer) => file.writable && file.write(chunk));
  lines.once('end', () => file.end());
  createInterface({ input: lines }).on('line', (line) => {
    if (!line.includes('"Accepted client"')) return;
    const { name, client } = JSON.parse(line) as { name: string; client: string };
    // Our own probes are nobody's connections.
    if (client.startsWith(`${network.proberIp}:`) || client.startsWith(`${network.toxiproxyIp}:`)) return;
    accepts.set(name, (accepts.get(name) ?? 0) + 1);
  });
  return accepts;
}
