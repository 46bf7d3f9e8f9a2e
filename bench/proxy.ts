/**
 * CPU per 512-byte message of the embedded fault server against the real Toxiproxy, in one run: each in a process of its own,
 * the same traffic through the same API calls, CPU time as the kernel counts it. Linux only, because it reads /proc.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { createToxiproxyClient, type ToxiproxyClient } from '../harness/links/toxiproxy-client.ts';
import { type Bar, type Bench, type BenchOptions, bar, median } from './bar.ts';

const messageBytes = 512;
/** Kernel ticks per second in /proc/<pid>/stat; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

const root = fileURLToPath(new URL('..', import.meta.url));

interface Contestant {
  name: string;
  child: ChildProcess;
  client: ToxiproxyClient;
}

/** One way to load a proxy. Messages are counted once per passage through it. */
interface Load {
  name: string;
  links: number;
  latency: { latency: number; jitter: number } | null;
  /** Messages in one measured step. */
  messages: number;
  /** null: every link sends its next message when the answer to the last one came; otherwise per second over all links. */
  perSecond: number | null;
}

function loads(quick: boolean): Load[] {
  const scale = quick ? 1 : 2;
  const lagged = { latency: 40, jitter: 10 };
  return [
    { name: 'to and fro, 16 links', links: 16, latency: null, messages: 100_000 * scale, perSecond: null },
    { name: '5 000/s, 250 links', links: 250, latency: null, messages: 20_000 * scale, perSecond: 5_000 },
    {
      name: '5 000/s, 250 links, 40 ± 10 ms',
      links: 250,
      latency: lagged,
      messages: 20_000 * scale,
      perSecond: 5_000,
    },
  ];
}

/** User and system time of a process with all its threads, µs. */
function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
}

async function untilAnswering(client: ToxiproxyClient, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`the proxy ended with exit code ${child.exitCode}`);
    try {
      await client.version();
      return;
    } catch {
      await sleep(25);
    }
  }
  throw new Error(`${client.url} does not answer`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function startEmbedded(scratchDir: string): Promise<Contestant> {
  const outfile = join(scratchDir, 'fault-server.cjs');
  await build({
    entryPoints: [join(root, 'harness/links/serve.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'error',
  });
  const child = spawn(process.execPath, [outfile, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  const client = createToxiproxyClient((JSON.parse(line) as { url: string }).url);
  return { name: 'embedded', child, client };
}

async function startReal(): Promise<Contestant> {
  const { stdout } = await promisify(execFile)('sh', [join(root, 'ci/install-toxiproxy.sh')]);
  const port = await freePort();
  const child = spawn(stdout.trim(), ['-host', '127.0.0.1', '-port', String(port)], {
    stdio: 'ignore',
    env: { ...process.env, LOG_LEVEL: 'error' },
  });
  const client = createToxiproxyClient(`http://127.0.0.1:${port}`);
  await untilAnswering(client, child);
  return { name: 'toxiproxy', child, client };
}

/** Sends back what it gets. */
async function startEcho(): Promise<{ server: Server; address: string }> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, address: `127.0.0.1:${(server.address() as { port: number }).port}` };
}

async function makeLinks({ client }: Contestant, load: Load, upstream: string): Promise<Socket[]> {
  const names = Array.from({ length: load.links }, (_, i) => `bench-${i}`);
  const made = await client.populate(names.map((name) => ({ name, listen: '127.0.0.1:0', upstream })));
  if (load.latency !== null) {
    const attributes = load.latency;
    const add = (['upstream', 'downstream'] as const).map((stream) => {
      return { name: `base_${stream}`, type: 'latency', stream, attributes };
    });
    await client.change(names.map((name) => ({ name, add })));
  }
  return Promise.all(
    made.map(async ({ listen }) => {
      const [host, port] = listen.split(':') as [string, string];
      const socket = connect({ host, port: Number(port), noDelay: true });
      await once(socket, 'connect');
      return socket;
    }),
  );
}

async function dropLinks({ client }: Contestant, sockets: readonly Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy();
  for (const name of Object.keys(await client.proxies())) await client.remove(name);
}

/** Resolves when `messages` have passed the proxy, echoes included. */
function drive(sockets: readonly Socket[], load: Load, messages: number): Promise<void> {
  const message = Buffer.alloc(messageBytes, 'm');
  const rounds = messages / 2;
  return new Promise((resolve, reject) => {
    let sent = 0;
    let backBytes = 0;
    let pacer: NodeJS.Timeout | undefined;
    const waiting = new Map<Socket, number>();
    const send = (socket: Socket): void => {
      if (sent >= rounds) return;
      sent += 1;
      socket.write(message);
    };
    const onData = (socket: Socket, chunk: Buffer): void => {
      backBytes += chunk.length;
      if (backBytes >= rounds * messageBytes) finish();
      if (load.perSecond !== null) return;
      const bytes = (waiting.get(socket) ?? 0) + chunk.length;
      waiting.set(socket, bytes % messageBytes);
      if (bytes >= messageBytes) send(socket);
    };
    const finish = (): void => {
      clearInterval(pacer);
      for (const socket of sockets) socket.removeAllListeners();
      resolve();
    };
    for (const socket of sockets) {
      socket.on('data', (chunk: Buffer) => onData(socket, chunk));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('a link of the benchmark ended')));
    }
    if (load.perSecond === null) {
      for (const socket of sockets) send(socket);
      return;
    }
    const startedAt = performance.now();
    pacer = setInterval(() => {
      const due = ((performance.now() - startedAt) / 1000) * (load.perSecond! / 2);
      while (sent < Math.min(due, rounds)) send(sockets[sent % sockets.length]!);
    }, 2);
  });
}

/** CPU µs per message of one step. */
async function step(contestant: Contestant, load: Load, upstream: string): Promise<number> {
  const sockets = await makeLinks(contestant, load, upstream);
  await drive(sockets, load, Math.round(load.messages / 5));
  const before = cpuUs(contestant.child.pid!);
  await drive(sockets, load, load.messages);
  const spent = cpuUs(contestant.child.pid!) - before;
  await dropLinks(contestant, sockets);
  return spent / load.messages;
}

async function compare(load: Load, contestants: readonly Contestant[], options: BenchOptions): Promise<Bar> {
  const echo = await startEcho();
  const costs = contestants.map(() => [] as number[]);
  for (let round = 0; round < (options.quick ? 3 : 5); round += 1) {
    for (const [i, contestant] of contestants.entries()) {
      costs[i]!.push(await step(contestant, load, echo.address));
    }
    const last = contestants.map(({ name }, i) => `${name} ${costs[i]!.at(-1)!.toFixed(1)} µs`);
    options.say(`proxy, ${load.name}, round ${round + 1}: ${last.join(', ')}`);
  }
  echo.server.close();
  const [embedded, real] = costs.map(median) as [number, number];
  const perMessage = (us: number): string => `${us.toFixed(1)} µs CPU/message`;
  return bar(
    `proxy: ${load.name}`,
    perMessage(embedded),
    `Toxiproxy ${perMessage(real)}`,
    embedded / real,
    '<=',
    1,
  );
}

async function end({ child, client }: Contestant): Promise<void> {
  client.close();
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Rows for each load; the bar is that no message costs more than through the real Toxiproxy. */
export async function benchProxy(options: BenchOptions): Promise<Bar[]> {
  const contestants: Contestant[] = [];
  try {
    contestants.push(await startEmbedded(options.scratchDir));
    contestants.push(await startReal());
    const rows: Bar[] = [];
    for (const load of loads(options.quick)) rows.push(await compare(load, contestants, options));
    return rows;
  } finally {
    await Promise.all(contestants.map(end));
  }
}

export const proxyBench: Bench = {
  name: 'proxy',
  what: 'CPU per 512-byte message of the embedded fault server against the real Toxiproxy',
  run: benchProxy,
};
