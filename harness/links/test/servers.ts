/**
 * The two servers that the contract is about, and small TCP ends to put behind and before their proxies. Test fixture.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startFaultServer } from '../fault-server.ts';

export interface ServerUnderTest {
  url: string;
  stop(): Promise<void>;
}

export interface Contestant {
  name: 'embedded' | 'toxiproxy';
  /** Rejects with `Missing` where it cannot be had on this machine. */
  start(seed?: number): Promise<ServerUnderTest>;
}

/** The real server is not here and cannot be built. */
export class Missing extends Error {}

/** From the root of the repository. */
export const installer = 'ci/install-toxiproxy.sh';
const root = fileURLToPath(new URL('../../../', import.meta.url));
let binary: Promise<string> | null = null;

async function install(): Promise<string> {
  try {
    return (await promisify(execFile)('sh', [installer], { cwd: root, timeout: 300_000 })).stdout.trim();
  } catch (error) {
    const { code, stderr } = error as { code?: number; stderr?: string };
    const reason = (stderr ?? String(error)).trim().split('\n').at(-1) ?? '';
    if (code === 3) throw new Missing(reason);
    throw new Error(`the real Toxiproxy cannot be installed: ${reason}`);
  }
}

async function startReal(seed = 1): Promise<ServerUnderTest> {
  binary ??= install();
  const program = await binary;
  const free = await listen(() => {});
  const port = Number(free.address.split(':')[1]);
  await free.close();
  const child: ChildProcess = spawn(
    program,
    ['-host', '127.0.0.1', '-port', String(port), '-seed', String(seed)],
    { stdio: 'ignore', env: { ...process.env, LOG_LEVEL: 'error' } },
  );
  const url = `http://127.0.0.1:${port}`;
  // It hangs for good if a slicer is changed whose receiver has left (2.12.0: it waits in slicer.go for its output and hears no
  // interrupt, while UpdateToxic holds the lock). A test whose clean-up waits for its API then never comes to `stop`.
  const killed = (): void => void child.kill('SIGKILL');
  process.once('exit', killed);
  const stop = async (): Promise<void> => {
    process.off('exit', killed);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const up = await fetch(`${url}/version`).then(
      () => true,
      () => false,
    );
    if (up) return { url, stop };
    await sleep(25);
  }
  await stop();
  throw new Error('the real Toxiproxy did not come up');
}

async function startEmbedded(seed = 1): Promise<ServerUnderTest> {
  const server = await startFaultServer({ seed });
  return { url: server.url, stop: server.close };
}

export const contestants: readonly Contestant[] = [
  { name: 'embedded', start: startEmbedded },
  { name: 'toxiproxy', start: startReal },
];

export interface Listener {
  address: string;
  server: Server;
  close(): Promise<void>;
}

/** A TCP server on a free loopback port; half-open, so that the handler decides when it ends. */
export async function listen(handler: (socket: Socket) => void, host = '127.0.0.1'): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    handler(socket);
  }).listen(0, host);
  await once(server, 'listening');
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    server,
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Sends back all it gets, and ends when the other side does. */
export const listenEcho = (): Promise<Listener> =>
  listen((socket) => {
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end());
  });

export async function dial(address: string): Promise<Socket> {
  const [host, port] = address.split(':') as [string, string];
  const socket = connect({ host, port: Number(port), noDelay: true, allowHalfOpen: true });
  await once(socket, 'connect');
  socket.on('error', () => {});
  return socket;
}

/** What came out of a socket until it ended or `forMs` were over. */
export interface Heard {
  bytes: Buffer;
  /** `end` (FIN), an error code (`ECONNRESET`), or `open`. */
  how: string;
  /** From the call to the first byte and to the end, ms. */
  firstMs: number | null;
  endMs: number | null;
  /** Sizes of the pieces as they were read. */
  pieces: number[];
}

export function hear(socket: Socket, forMs: number, enough = Number.POSITIVE_INFINITY): Promise<Heard> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const startedAt = performance.now();
    let firstMs: number | null = null;
    let total = 0;
    const finish = (how: string): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      const endMs = how === 'open' ? null : performance.now() - startedAt;
      resolve({
        bytes: Buffer.concat(chunks),
        how,
        firstMs,
        endMs,
        pieces: chunks.map(({ length }) => length),
      });
    };
    const onData = (chunk: Buffer): void => {
      firstMs ??= performance.now() - startedAt;
      chunks.push(chunk);
      total += chunk.length;
      if (total >= enough) finish('open');
    };
    const onEnd = (): void => finish('end');
    const onError = (error: NodeJS.ErrnoException): void => finish(error.code ?? error.message);
    const onClose = (): void => finish('close');
    const timer = setTimeout(() => finish('open'), forMs);
    if (socket.destroyed) {
      finish('close');
      return;
    }
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    socket.resume();
  });
}

/** Sends one byte to an echo and waits for it. */
export async function roundTripMs(socket: Socket, atMostMs = 5000): Promise<number> {
  const startedAt = performance.now();
  const heard = hear(socket, atMostMs, 1);
  socket.write('x');
  const { bytes } = await heard;
  return bytes.length === 0 ? Number.POSITIVE_INFINITY : performance.now() - startedAt;
}
