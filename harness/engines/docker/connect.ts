/**
 * Finds the container engine: `DOCKER_HOST`, else the socket of the system, of the user (rootless) or of Docker Desktop. One
 * clear line where there is none, where its socket is not for us, or where its API is too old. Uses nothing of the engine.
 */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { UsageError } from '../../usage-error.ts';

export interface Connected {
  docker: Docker;
  /** For people: `Docker 20.10.24 at unix:///var/run/docker.sock`. */
  description: string;
  /** On this machine, by a socket file: its containers' addresses and process ids are ours to reach. */
  local: boolean;
}

/** Link-local addresses of endpoints, and everything else that we use, are there since Docker 20.10. */
const OLDEST_API = [1, 41] as const;
const ANSWER_WITHIN_MS = 5000;

/** Throws UsageError with the reason where no engine can be used. */
export async function connectDocker(): Promise<Connected> {
  const where = engineAddress();
  const docker = where.socket === null ? new Docker() : new Docker({ socketPath: where.socket });
  const version = await answer(docker, where.name);
  const [major = 0, minor = 0] = version.ApiVersion.split('.').map(Number);
  if (major < OLDEST_API[0] || (major === OLDEST_API[0] && minor < OLDEST_API[1]))
    throw new UsageError(
      `the container engine at ${where.name} speaks API ${version.ApiVersion}; at least ${OLDEST_API.join('.')} ` +
        '(Docker 20.10) is needed',
    );
  if (version.Os !== 'linux')
    throw new UsageError(
      `the container engine at ${where.name} runs ${version.Os} containers, not Linux ones`,
    );
  return {
    docker,
    description: `Docker ${version.Version} at ${where.name}`,
    local: process.platform === 'linux' && where.name.startsWith('unix://'),
  };
}

/** Why no engine can be used here, in one line, or null. */
export async function dockerObstacle(): Promise<string | null> {
  try {
    await connectDocker();
    return null;
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

function engineAddress(): { name: string; socket: string | null } {
  const host = process.env.DOCKER_HOST;
  if (host?.startsWith('ssh:'))
    throw new UsageError(
      `DOCKER_HOST ${host}: ssh is not supported; a socket (unix://PATH) or an address (tcp://HOST:PORT) is`,
    );
  if (host !== undefined && host !== '') return { name: host, socket: null };
  const runtime = process.env.XDG_RUNTIME_DIR;
  const sockets = [
    '/var/run/docker.sock',
    ...(runtime === undefined ? [] : [join(runtime, 'docker.sock')]),
    join(homedir(), '.docker', 'run', 'docker.sock'),
  ];
  const socket = sockets.find((path) => existsSync(path)) ?? sockets[0]!;
  return { name: `unix://${socket}`, socket };
}

/** dockerode takes a signal here; its types do not say so. */
type Versions = { version(options: { abortSignal: AbortSignal }): Promise<Docker.DockerVersion> };

async function answer(docker: Docker, name: string): Promise<Docker.DockerVersion> {
  const abortSignal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  try {
    return await (docker as unknown as Versions).version({ abortSignal });
  } catch (error) {
    if (abortSignal.aborted)
      throw new UsageError(`the container engine at ${name} does not answer within ${ANSWER_WITHIN_MS} ms`);
    throw new UsageError(complaint(error as NodeJS.ErrnoException, name));
  }
}

function complaint(error: NodeJS.ErrnoException, name: string): string {
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return `no permission on the container engine's socket ${name} (is this user in the group "docker"?)`;
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
    return `no container engine answers at ${name} (is Docker installed and running? DOCKER_HOST names another)`;
  return `the container engine at ${name} cannot be used: ${error.message}`;
}

/** Why the engine did not do it, in its own words and one line, without dockerode's `(HTTP code 404) …`. */
export function engineWords(error: unknown): string {
  const { json, message } = error as { json?: { message?: string }; message: string };
  return (json?.message ?? message)
    .replace(/^\(HTTP code \d+\)[^-]*- /, '')
    .replace(/\s+/g, ' ')
    .trim();
}
