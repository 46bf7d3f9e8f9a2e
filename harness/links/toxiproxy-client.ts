/**
 * A thin client of Toxiproxy's HTTP API, for the real server and the embedded one: keeps the server's error text, reuses
 * connections, and uses the embedded server's `/links` where it is there. Knows the API, no pairs and no faults.
 */

import { Agent, request as httpRequest } from 'node:http';
import { sideBySide } from '../side-by-side.ts';
import { serverHeader, serverName } from './api-names.ts';

export type ToxicStream = 'upstream' | 'downstream';

export interface ToxicSettings {
  name: string;
  type: string;
  stream: ToxicStream;
  toxicity?: number;
  attributes: Record<string, number>;
}

export interface ProxySettings {
  name: string;
  listen: string;
  upstream: string;
  enabled?: boolean;
}

export interface ProxyState extends Required<ProxySettings> {
  toxics: Required<ToxicSettings>[];
}

export interface LinkState {
  name: string;
  enabled: boolean;
  accepted: number;
  open: number;
  dial_failures: number;
  held_bytes: number;
  bytes: Record<ToxicStream, { taken: number; passed: number; dropped: number }>;
}

/** What is to change on one proxy; several toxics and the switch together. */
export interface ProxyChange {
  name: string;
  enabled?: boolean;
  add?: ToxicSettings[];
  /** Attributes and toxicity of toxics that are there. */
  update?: ToxicSettings[];
  remove?: string[];
}

/** The server answered with another status than success (`status`), or not at all (`status` 0). */
export class ToxiproxyError extends Error {
  override readonly name = 'ToxiproxyError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface ToxiproxyClient {
  readonly url: string;
  /** `superset`: the embedded server. */
  version(): Promise<{ version: string; superset: boolean }>;
  proxies(): Promise<Record<string, ProxyState>>;
  proxy(name: string): Promise<ProxyState>;
  create(proxy: ProxySettings): Promise<ProxyState>;
  populate(proxies: readonly ProxySettings[]): Promise<ProxyState[]>;
  setEnabled(name: string, enabled: boolean): Promise<ProxyState>;
  remove(name: string): Promise<void>;
  addToxic(proxy: string, toxic: ToxicSettings): Promise<void>;
  updateToxic(proxy: string, toxic: string, change: Partial<ToxicSettings>): Promise<void>;
  removeToxic(proxy: string, toxic: string): Promise<void>;
  reset(): Promise<void>;
  /** Live counters of the links that ever took a connection in; null where the server has none. */
  usedLinks(): Promise<LinkState[] | null>;
  /** The same of one link. */
  link(name: string): Promise<LinkState | null>;
  /** In one call where the server can, else call by call, a bounded number at a time. Toxics change before switches. */
  change(changes: readonly ProxyChange[]): Promise<void>;
  close(): void;
}

const connections = 16;

interface Reply {
  status: number;
  text: string;
  superset: boolean;
}

export interface ClientOptions {
  /** Bound of one call; default 30 s, because the real server may answer 503 only after 25 s. */
  timeoutMs?: number;
}

type Call = (method: string, path: string, body?: unknown) => Promise<Reply>;

function caller(base: string, agent: Agent, timeoutMs: number): Call {
  const call: Call = (method, path, body) =>
    new Promise((resolve, reject) => {
      const what = `${method} ${path}`;
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers = payload === undefined ? {} : { 'Content-Type': 'application/json' };
      const fail = (error: Error): void =>
        reject(new ToxiproxyError(0, `${base}: ${what}: ${error.message}`));
      const request = httpRequest(
        `${base}${path}`,
        { method, agent, headers, timeout: timeoutMs },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', fail);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const status = response.statusCode ?? 0;
            if (status >= 200 && status < 300) {
              resolve({
                status,
                text,
                superset: response.headers[serverHeader.toLowerCase()] === serverName,
              });
            } else {
              reject(new ToxiproxyError(status, `${base}: ${what}: ${status} ${errorText(text)}`));
            }
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      request.on('error', (error: NodeJS.ErrnoException) => {
        // The server may close an idle connection just as we use it; what changes nothing can be asked again.
        const idleClosed = request.reusedSocket && error.code === 'ECONNRESET';
        if (idleClosed && method === 'GET') call(method, path, body).then(resolve, reject);
        else fail(error);
      });
      request.end(payload);
    });
  return call;
}

function errorText(body: string): string {
  try {
    const parsed = JSON.parse(body) as { error?: unknown };
    if (typeof parsed?.error === 'string') return parsed.error;
  } catch {
    // Not every error body is JSON: 404, 403 and 503 are plain text or HTML.
  }
  return body.trim().slice(0, 200);
}

const at = (...names: string[]): string => names.map(encodeURIComponent).join('/');

/** A client of the server at `url` (`http://host:port`). Opens nothing before its first call. */
export function createToxiproxyClient(url: string, options: ClientOptions = {}): ToxiproxyClient {
  const base = url.replace(/\/+$/, '');
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const call = caller(base, agent, options.timeoutMs ?? 30_000);
  const json = async <T>(...args: Parameters<Call>): Promise<T> =>
    JSON.parse((await call(...args)).text) as T;
  let superset: boolean | null = null;

  const version = async (): Promise<{ version: string; superset: boolean }> => {
    const reply = await call('GET', '/version');
    superset = reply.superset;
    return { version: (JSON.parse(reply.text) as { version: string }).version, superset };
  };
  const isSuperset = async (): Promise<boolean> => superset ?? (await version()).superset;

  const client: ToxiproxyClient = {
    url: base,
    version,
    proxies: () => json('GET', '/proxies'),
    proxy: (name) => json('GET', `/proxies/${at(name)}`),
    create: (proxy) => json('POST', '/proxies', proxy),
    async populate(proxies) {
      return (await json<{ proxies: ProxyState[] | null }>('POST', '/populate', proxies)).proxies ?? [];
    },
    setEnabled: (name, enabled) => json('POST', `/proxies/${at(name)}`, { enabled }),
    async remove(name) {
      await call('DELETE', `/proxies/${at(name)}`);
    },
    async addToxic(proxy, toxic) {
      await call('POST', `/proxies/${at(proxy)}/toxics`, toxic);
    },
    async updateToxic(proxy, toxic, change) {
      await call('POST', `/proxies/${at(proxy)}/toxics/${at(toxic)}`, change);
    },
    async removeToxic(proxy, toxic) {
      await call('DELETE', `/proxies/${at(proxy)}/toxics/${at(toxic)}`);
    },
    async reset() {
      await call('POST', '/reset');
    },
    async usedLinks() {
      if (!(await isSuperset())) return null;
      return (await json<{ links: LinkState[] }>('GET', '/links?used=1')).links;
    },
    async link(name) {
      return (await isSuperset()) ? json('GET', `/links/${at(name)}`) : null;
    },
    async change(all) {
      const changes = all.filter(changesSomething);
      if (changes.length === 0) return;
      if (await isSuperset()) {
        await call('POST', '/links', { changes });
        return;
      }
      await sideBySide(connections, changes, (change) => changeOne(client, change));
    },
    close: () => agent.destroy(),
  };
  return client;
}

function changesSomething({ enabled, add = [], update = [], remove = [] }: ProxyChange): boolean {
  return enabled !== undefined || add.length + update.length + remove.length > 0;
}

async function changeOne(client: ToxiproxyClient, change: ProxyChange): Promise<void> {
  for (const toxic of change.remove ?? []) await client.removeToxic(change.name, toxic);
  for (const { name, attributes, toxicity = 1 } of change.update ?? []) {
    await client.updateToxic(change.name, name, { attributes, toxicity });
  }
  for (const toxic of change.add ?? []) await client.addToxic(change.name, toxic);
  if (change.enabled !== undefined) await client.setEnabled(change.name, change.enabled);
}
