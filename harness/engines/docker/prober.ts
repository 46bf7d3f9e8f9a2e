/**
 * A container among the nodes that dials links as they do, so that a fault on a link is proved by a connection through it and not
 * only by the server's word. The links' addresses lead nowhere from this host. Gives orders to `prober-program.ts`.
 */

import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type Docker from 'dockerode';
import { build } from 'esbuild';
import type { HeldConnection, LinkDialler, ProbeResult } from '../../links/probe.ts';
import { containerUserText } from './folder.ts';
import { CONTAINER_PORT } from './image.ts';
import type { FleetNetwork } from './network.ts';
import type { Order } from './prober-program.ts';

export interface Prober {
  readonly dialler: LinkDialler;
  /** Whether an address that belongs to a pair leads to Toxiproxy from where the nodes stand. */
  reaches(address: string): Promise<boolean>;
}

/** Its container does not run, or the host is too busy for it. */
export class NoAnswer extends Error {}

/** What a probe may take longer than it was told to, in a container on a busy host. */
const marginMs = 10_000;
const startWithinMs = 60_000;

type Unnumbered = Order extends infer One ? (One extends Order ? Omit<One, 'id'> : never) : never;

interface Answer {
  id: number;
  result?: unknown;
  ended?: string;
  error?: string;
}

/** `image` has Node in it: that of the reference node. Rejects with the engine's error. */
export async function startProber(
  docker: Docker,
  image: string,
  labels: Record<string, string>,
  network: FleetNetwork,
): Promise<Prober> {
  const container = await docker.createContainer({
    name: `${network.name}-prober`,
    Image: image,
    Entrypoint: ['/usr/local/bin/node', '-e', await program()],
    Cmd: [],
    User: containerUserText(),
    Labels: labels,
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: {
      NetworkMode: network.name,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      LogConfig: { Type: 'none', Config: {} },
    },
    NetworkingConfig: {
      EndpointsConfig: { [network.name]: { IPAMConfig: { IPv4Address: network.proberIp } } },
    },
  });
  const stream = await container.attach({
    stream: true,
    stdin: true,
    stdout: true,
    stderr: true,
    hijack: true,
  });
  const talk = conversation(docker, stream);
  const ready = talk.answerTo(0, startWithinMs);
  await container.start();
  await ready;
  return { dialler: diallerOver(talk), reaches: (address) => reaches(talk, address) };
}

async function program(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./prober-program.ts', import.meta.url))],
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'silent',
    write: false,
  });
  return outputFiles[0]!.text;
}

interface Conversation {
  order(order: Unnumbered, withinMs: number): Promise<{ id: number; result: unknown }>;
  tell(order: Order): void;
  answerTo(id: number, withinMs: number): Promise<unknown>;
  endOf(id: number): Promise<string>;
}

function conversation(docker: Docker, stream: NodeJS.ReadWriteStream): Conversation {
  const answers = new Map<number, (answer: Answer) => void>();
  const endings = new Map<number, { promise: Promise<string>; tell: (how: string) => void }>();
  const endingOf = (id: number): { promise: Promise<string>; tell: (how: string) => void } => {
    let ending = endings.get(id);
    if (ending === undefined) {
      let tell: (how: string) => void = () => {};
      const promise = new Promise<string>((resolve) => {
        tell = resolve;
      });
      ending = { promise, tell };
      endings.set(id, ending);
    }
    return ending;
  };
  const lines = new PassThrough();
  docker.modem.demuxStream(stream, lines, new PassThrough().resume());
  stream.on('error', () => {});
  createInterface({ input: lines }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer;
    if (answer.ended !== undefined) endingOf(answer.id).tell(answer.ended);
    else answers.get(answer.id)?.(answer);
  });
  const answerTo = (id: number, withinMs: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new NoAnswer(`the prober's container gave no answer within ${withinMs} ms`)),
        withinMs,
      );
      answers.set(id, ({ error, result }) => {
        clearTimeout(late);
        answers.delete(id);
        if (error === undefined) resolve(result);
        else reject(new Error(error));
      });
    });
  const tell = (order: Order): void => void stream.write(`${JSON.stringify(order)}\n`);
  let orders = 0;
  return {
    tell,
    answerTo,
    endOf: (id) => endingOf(id).promise,
    async order(order, withinMs) {
      orders += 1;
      const id = orders;
      const answer = answerTo(id, withinMs);
      tell({ ...order, id } as Order);
      return { id, result: await answer };
    },
  };
}

function diallerOver(talk: Conversation): LinkDialler {
  return {
    async probe({ hello, ...options }) {
      const withinMs = options.waitMs + (options.awaitCloseMs ?? 0) + marginMs;
      const order = { kind: 'probe', options: { ...options, hello: hello.toString('base64') } } as const;
      return (await talk.order(order, withinMs)).result as ProbeResult;
    },
    async hold(address): Promise<HeldConnection> {
      const { id } = await talk.order({ kind: 'hold', address }, marginMs);
      let open = true;
      const ended = talk.endOf(id).then((how) => {
        open = false;
        return how;
      });
      return { ended, isOpen: () => open, close: () => talk.tell({ id, kind: 'let-go' }) };
    },
  };
}

/** Toxiproxy refuses where it listens on no port: a refusal comes from it, and silence from nowhere. */
async function reaches(talk: Conversation, address: string): Promise<boolean> {
  const options = { address: `${address}:${CONTAINER_PORT}`, hello: '', waitMs: 200 };
  const { result } = await talk.order({ kind: 'probe', options }, marginMs);
  const { outcome, connected } = result as ProbeResult;
  return connected || outcome === 'refused';
}
