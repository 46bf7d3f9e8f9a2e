/**
 * The embedded fault server: Toxiproxy's HTTP API over our own proxies, plus `/links` (live counters, changes of many links
 * at once). Where it differs from Toxiproxy on purpose stands in `differences.ts`. Must not know scenarios or nodes.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { printHostPort } from './addresses.ts';
import { ApiError } from './api-error.ts';
import { apiVersion, serverHeader, serverName } from './api-names.ts';
import * as objects from './api-objects.ts';
import type { Ground } from './connection.ts';
import { createDueQueue } from './due.ts';
import { createProxies, type Proxies } from './proxies.ts';
import type { LinkProxy } from './proxy.ts';

export interface FaultServerOptions {
  /** Decides every toxicity roll and every jitter. */
  seed: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** 0, the default, takes a free one. */
  port?: number;
}

export interface FaultServer {
  /** Base URL of the API. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Closes every listener and connection. Idempotent. */
  close(): Promise<void>;
}

const bodyBytes = 32 * 1024 * 1024;

interface Answer {
  status: number;
  /** Absent: no body. */
  json?: unknown;
  text?: string;
  type?: string;
}

type Handler = (body: string, names: string[], query: URLSearchParams) => Answer | Promise<Answer>;

const ok = (json: unknown): Answer => ({ status: 200, json });
const created = (json: unknown): Answer => ({ status: 201, json });
const noContent: Answer = { status: 204 };
const notFound: Answer = { status: 404, text: '404 page not found\n', type: 'text/plain; charset=utf-8' };

type Routes = readonly (readonly [pattern: RegExp, methods: Readonly<Record<string, Handler>>])[];

function routesOver(proxies: Proxies, seed: number): Routes {
  const changeProxy: Handler = async (body, [name]) => {
    const proxy = proxies.get(name!);
    await proxies.change(proxy, objects.readProxy(body));
    return ok(objects.proxyJson(proxy));
  };
  const changeToxic: Handler = (body, [name, toxicName]) => {
    const proxy = proxies.get(name!);
    const toxic = proxies.toxic(proxy, toxicName!);
    const { attributes, toxicity } = objects.readToxicUpdate(body, toxic);
    proxy.updateToxic(toxic, attributes, toxicity);
    return ok(objects.toxicJson(toxic));
  };
  const proxy: Record<string, Handler> = {
    GET: (_, [name]) => ok(objects.proxyJson(proxies.get(name!))),
    POST: changeProxy,
    PATCH: changeProxy,
    DELETE: async (_, [name]) => {
      await proxies.remove(name!);
      return noContent;
    },
  };
  const toxics: Record<string, Handler> = {
    GET: (_, [name]) => ok(proxies.get(name!).toxics().map(objects.toxicJson)),
    POST: (body, [name]) => {
      const on = proxies.get(name!);
      return ok(objects.toxicJson(proxies.addToxic(on, objects.readToxic(body))));
    },
  };
  const toxic: Record<string, Handler> = {
    GET: (_, [name, toxicName]) => ok(objects.toxicJson(proxies.toxic(proxies.get(name!), toxicName!))),
    POST: changeToxic,
    PATCH: changeToxic,
    DELETE: (_, [name, toxicName]) => {
      const on = proxies.get(name!);
      on.removeToxics([proxies.toxic(on, toxicName!)]);
      return noContent;
    },
  };
  return [
    [/^\/version$/, { GET: () => version }],
    [/^\/proxies$/, collection(proxies)],
    [/^\/proxies\/([^/]+)$/, proxy],
    [/^\/proxies\/([^/]+)\/toxics$/, toxics],
    [/^\/proxies\/([^/]+)\/toxics\/([^/]+)$/, toxic],
    [/^\/populate$/, { POST: (body) => populate(proxies, body) }],
    [
      /^\/reset$/,
      {
        POST: async () => {
          await proxies.reset();
          return noContent;
        },
      },
    ],
    [/^\/links$/, links(proxies, seed)],
    [/^\/links\/([^/]+)$/, { GET: (_, [name]) => ok(objects.linkJson(proxies.get(name!))) }],
  ];
}

const version: Answer = {
  status: 200,
  text: `{"version": "${apiVersion}"}\n`,
  type: 'application/json;charset=utf-8',
};

const collection = (proxies: Proxies): Record<string, Handler> => ({
  GET: () => {
    const byName = Object.create(null) as Record<string, unknown>;
    for (const proxy of proxies.all()) byName[proxy.settings.name] = objects.proxyJson(proxy);
    return ok(byName);
  },
  POST: async (body) => created(objects.proxyJson(await proxies.create(objects.readNewProxy(body)))),
});

const links = (proxies: Proxies, seed: number): Record<string, Handler> => ({
  GET: (_body, _names, query) => {
    const used = query.get('used') === '1';
    const listed = proxies.all().filter((proxy) => !used || proxy.accepted() > 0);
    return ok({ seed, links: listed.map(objects.linkJson) });
  },
  POST: async (body) => {
    const changes = objects.readChanges(body, proxies);
    await proxies.applyAll(changes);
    return ok({ changed: changes.length });
  },
});

async function populate(proxies: Proxies, body: string): Promise<Answer> {
  const done: LinkProxy[] = [];
  const list = (): unknown => (done.length === 0 ? null : done.map(objects.proxyJson));
  try {
    await proxies.populate(objects.readPopulation(body), (proxy) => done.push(proxy));
    return created({ proxies: list() });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { status: error.status, json: { error: error.message, status: error.status, proxies: list() } };
  }
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bodyBytes) chunks.push(chunk);
    });
    request.on('end', () => {
      if (bytes > bodyBytes) reject(new ApiError(413, `bad request body: more than ${bodyBytes} bytes`));
      else resolve(Buffer.concat(chunks).toString('utf8'));
    });
    request.on('error', () => reject(new ApiError(400, 'bad request body: unexpected EOF')));
  });
}

function send(response: ServerResponse, answer: Answer): void {
  const text = answer.text ?? (answer.json === undefined ? '' : JSON.stringify(answer.json));
  if (answer.type !== undefined) response.setHeader('Content-Type', answer.type);
  else if (answer.json !== undefined) response.setHeader('Content-Type', 'application/json');
  if (answer.type?.startsWith('text/plain')) response.setHeader('X-Content-Type-Options', 'nosniff');
  if (answer.status !== 204) response.setHeader('Content-Length', Buffer.byteLength(text));
  response.writeHead(answer.status);
  response.end(text);
}

function errorAnswer(error: unknown): Answer {
  if (!(error instanceof ApiError)) throw error;
  const text = `${JSON.stringify({ error: error.message, status: error.status })}\n`;
  return { status: error.status, text, type: 'text/plain; charset=utf-8' };
}

/** %XX decoded; null where the escape is none. A name with an escaped slash addresses nothing, as in Toxiproxy. */
function decodeName(text: string): string | null {
  try {
    const name = decodeURIComponent(text);
    return name.includes('/') ? null : name;
  } catch {
    return null;
  }
}

async function answerTo(request: IncomingMessage, routes: Routes): Promise<Answer> {
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
  for (const [pattern, methods] of routes) {
    const match = pattern.exec(path);
    if (match === null) continue;
    const names = match.slice(1).map(decodeName);
    if (names.includes(null)) return notFound;
    const handler = Object.hasOwn(methods, request.method ?? '') ? methods[request.method ?? ''] : undefined;
    if (handler === undefined) return { status: 405 };
    if ((request.headers['user-agent'] ?? '').startsWith('Mozilla/')) {
      return { status: 403, text: 'User agent not allowed\n', type: 'text/plain; charset=utf-8' };
    }
    try {
      return await handler(await readBody(request), names as string[], new URLSearchParams(query));
    } catch (error) {
      return errorAnswer(error);
    }
  }
  return notFound;
}

/** Starts a server; rejects with the system's error where the address cannot be had. */
export async function startFaultServer(options: FaultServerOptions): Promise<FaultServer> {
  const due = createDueQueue();
  const ground: Ground = { seed: options.seed, due, memory: { heldBytes: 0 } };
  const proxies = createProxies(ground);
  const routes = routesOver(proxies, options.seed);
  let requests = 0;
  const http: Server = createServer(
    { requestTimeout: 15_000, keepAliveTimeout: 60_000 },
    (request, response) => {
      requests += 1;
      response.setHeader(serverHeader, serverName);
      response.setHeader('X-Toxiproxy-Request-Id', requests.toString(32).padStart(20, '0'));
      response.on('error', () => {});
      void answerTo(request, routes).then((answer) => send(response, answer));
    },
  );
  const host = options.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(options.port ?? 0, host, () => {
      http.off('error', reject);
      resolve();
    });
  });
  const { port } = http.address() as AddressInfo;
  let closing: Promise<void> | null = null;
  return {
    url: `http://${printHostPort(host, port)}`,
    host,
    port,
    close() {
      closing ??= (async () => {
        const closed = new Promise<void>((resolve) => http.close(() => resolve()));
        http.closeAllConnections();
        await proxies.close();
        await closed;
        due.close();
      })();
      return closing;
    },
  };
}
