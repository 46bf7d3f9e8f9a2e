/**
 * All proxies of a fault server by name, and what the API does to them: create, populate, change, reset. Statuses and error
 * texts are Toxiproxy's. Knows nothing of HTTP requests.
 */

import { parseHostPort, sameListen } from './addresses.ts';
import { ApiError, asApiError } from './api-error.ts';
import type { Ground, Toxic } from './connection.ts';
import { applyAll, findToxic, type LinkChange, startOrThrow, toxicOf } from './link-changes.ts';
import { createProxy, type LinkProxy, type NewToxic } from './proxy.ts';

export interface ProxyRequest {
  name: string;
  listen: string;
  upstream: string;
  enabled: boolean;
}

export interface Proxies {
  all(): LinkProxy[];
  /** Throws 404. */
  get(name: string): LinkProxy;
  create(request: ProxyRequest): Promise<LinkProxy>;
  change(proxy: LinkProxy, request: { listen?: string; upstream?: string; enabled?: boolean }): Promise<void>;
  remove(name: string): Promise<void>;
  /** Calls `done` for each proxy as it stands, so that a failure half way still reports them. */
  populate(requests: readonly ProxyRequest[], done: (proxy: LinkProxy) => void): Promise<void>;
  /** Every proxy enabled, no toxics; goes on past one that cannot listen and throws the first failure at the end. */
  reset(): Promise<void>;
  addToxic(proxy: LinkProxy, toxic: NewToxic): Toxic;
  /** Throws 404. */
  toxic(proxy: LinkProxy, name: string): Toxic;
  /** All or nothing: checked as a whole first, toxics then set in one turn of the event loop. */
  applyAll(changes: readonly LinkChange[]): Promise<void>;
  close(): Promise<void>;
}

/** Go resolves a changed address before it binds, and then leaves the words `listen tcp` out. */
function checkAddress(listen: string): void {
  try {
    if (listen !== '') parseHostPort(listen);
  } catch (error) {
    throw asApiError(error);
  }
}

async function resetAll(proxies: Iterable<LinkProxy>): Promise<void> {
  let first: unknown = null;
  for (const proxy of proxies) {
    proxy.removeToxics(proxy.toxics());
    await startOrThrow(proxy).catch((error: unknown) => {
      first ??= error;
    });
  }
  if (first !== null) throw first;
}

/** A changed listen or upstream address restarts the proxy; toxics stay. */
async function changeProxy(
  proxy: LinkProxy,
  request: { listen?: string; upstream?: string; enabled?: boolean },
): Promise<void> {
  const { settings } = proxy;
  const listen = request.listen ?? settings.listen;
  const upstream = request.upstream ?? settings.upstream;
  const enabled = request.enabled ?? proxy.enabled();
  checkAddress(listen);
  try {
    const moved = !sameListen(listen, settings.listen) || upstream !== settings.upstream;
    if (moved) await proxy.move({ listen, upstream, enabled });
    else if (enabled) await proxy.start();
    else await proxy.stop();
  } catch (error) {
    throw asApiError(error);
  }
}

export function createProxies(ground: Ground): Proxies {
  const byName = new Map<string, LinkProxy>();

  const insert = async (request: ProxyRequest): Promise<LinkProxy> => {
    const { name, listen, upstream } = request;
    const proxy = createProxy(ground, { name, listen, upstream });
    byName.set(name, proxy);
    try {
      if (request.enabled) await proxy.start();
    } catch (error) {
      if (byName.get(name) === proxy) byName.delete(name);
      throw asApiError(error);
    }
    return proxy;
  };

  /** What cannot be made leaves the old one there, stopped and with its toxics. */
  const replace = async (known: LinkProxy, request: ProxyRequest): Promise<LinkProxy> => {
    byName.delete(request.name);
    await known.stop();
    try {
      return await insert(request);
    } catch (error) {
      if (!byName.has(request.name)) byName.set(request.name, known);
      throw error;
    }
  };

  const take = (name: string): LinkProxy => {
    const proxy = byName.get(name);
    if (proxy === undefined) throw new ApiError(404, 'proxy not found');
    return proxy;
  };

  return {
    all: () => [...byName.values()],
    get: take,
    async create(request) {
      if (byName.has(request.name)) throw new ApiError(409, 'proxy already exists');
      return insert(request);
    },
    change: changeProxy,
    async remove(name) {
      const proxy = take(name);
      byName.delete(name);
      await proxy.stop();
    },
    async populate(requests, done) {
      for (const request of requests) {
        const known = byName.get(request.name);
        const same = known?.settings.upstream === request.upstream;
        if (known !== undefined && same && sameListen(known.settings.listen, request.listen)) {
          done(known);
          continue;
        }
        done(known === undefined ? await insert(request) : await replace(known, request));
      }
    },
    async reset() {
      await resetAll(byName.values());
    },
    addToxic(proxy, toxic) {
      if (findToxic(proxy, toxic.name) !== undefined) throw new ApiError(409, 'toxic already exists');
      return proxy.addToxic(toxic);
    },
    toxic: toxicOf,
    applyAll,
    async close() {
      const proxies = [...byName.values()];
      byName.clear();
      await Promise.all(proxies.map((proxy) => proxy.stop()));
    },
  };
}
