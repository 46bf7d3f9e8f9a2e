/**
 * The fault plane over a Toxiproxy API, embedded or real: makes a proxy per pair, keeps count of what is in force on each,
 * sets and cures faults that add up, and proves both. During a run it sets toxics and switches; it deletes nothing, because a
 * deletion can freeze a real Toxiproxy (design, "Links"). Knows no nodes and no engine.
 */

import { UsageError } from '../usage-error.ts';
import { applier, bringAbout, type Ground, takingTurns } from './apply.ts';
import type { FaultPlane, LinkCounters, LinkFault } from './fault-plane.ts';
import { startFaultThread } from './fault-thread.ts';
import { baseId, mergedToxics, separateToxics } from './fault-toxics.ts';
import { type Compose, type Link, type LinkAddress, lapse, makeLink } from './link.ts';
import { clientHello, type LinkDialler, ownDialler } from './probe.ts';
import { removeProxies } from './remove-proxies.ts';
import {
  createToxiproxyClient,
  type LinkState,
  type ToxiproxyClient,
  ToxiproxyError,
} from './toxiproxy-client.ts';

export interface FaultPlaneOptions {
  pairs: readonly LinkAddress[];
  /** On both streams of every link, from before the first connection on. */
  baseLatency: { latencyMs: number; jitterMs: number };
  /**
   * `embedded`, or the API of a Toxiproxy server that can listen on the pairs' addresses; one that goes with the run need not be
   * tidied up. `remember` is called before anything is made on it, and what it returns when none of that is left.
   */
  server: 'embedded' | { url: string; goesWithTheRun?: boolean; remember?: () => () => void };
  /** Who dials links to prove faults; default this process, null where nobody can. */
  dialler?: LinkDialler | null;
  seed: number;
  /** Put before the proxies' names on a given server, which others may use too; default none. */
  namePrefix?: string;
}

export interface LinkPlane extends FaultPlane {
  readonly pairs: readonly LinkAddress[];
  /** All proxies go, and the embedded server with them. Idempotent. */
  close(): Promise<void>;
}

const populateAtOnce = 500;
async function reach(
  options: FaultPlaneOptions,
): Promise<{ client: ToxiproxyClient; stop: () => Promise<void> }> {
  if (options.server === 'embedded') {
    const server = await startFaultThread({ seed: options.seed });
    return { client: createToxiproxyClient(server.url), stop: server.close };
  }
  const { url } = options.server;
  if (!/^http:\/\/[^/]+\/?$/.test(url)) {
    throw new UsageError(
      `--toxiproxy ${url}: must be the URL of a Toxiproxy API, like http://127.0.0.1:8474`,
    );
  }
  const client = createToxiproxyClient(url);
  return { client, stop: async () => {} };
}

/** Makes the proxies in batches and gives each its base latency before anybody can connect through a faultless one. */
async function makeProxies(
  client: ToxiproxyClient,
  links: readonly Link[],
  compose: Compose,
  options: FaultPlaneOptions,
): Promise<void> {
  for (let i = 0; i < links.length; i += populateAtOnce) {
    const batch = links.slice(i, i + populateAtOnce);
    const made = await client.populate(
      batch.map(({ name, pair }) => ({ name, listen: pair.listen, upstream: pair.upstream, enabled: true })),
    );
    if (made.length !== batch.length)
      throw new Error(`${client.url} made ${made.length} of ${batch.length} proxies`);
  }
  const { latencyMs, jitterMs } = options.baseLatency;
  if (latencyMs <= 0 && jitterMs <= 0) return;
  const base: LinkFault = { kind: 'latency', latencyMs, jitterMs };
  await bringAbout({ client, compose }, links, () => new Map([[baseId, base]]));
}

function explain(error: unknown, options: FaultPlaneOptions): unknown {
  if (!(error instanceof ToxiproxyError) || options.server === 'embedded') return error;
  const { url } = options.server;
  if (error.status === 0)
    return new UsageError(`--toxiproxy ${url}: no Toxiproxy answers there (${error.message})`);
  return new UsageError(`--toxiproxy ${url}: it cannot make the links: ${error.message}`);
}

/** Opens the plane: all links stand, with their base latency. Throws UsageError where the given server cannot do it. */
export async function openFaultPlane(options: FaultPlaneOptions): Promise<LinkPlane> {
  const prefix = options.server === 'embedded' ? '' : (options.namePrefix ?? '');
  const links = options.pairs.map((pair) => makeLink(pair, prefix));
  const { client, stop } = await reach(options);
  let forget = (): void => {};
  const close = async (): Promise<void> => {
    try {
      if (options.server !== 'embedded' && !options.server.goesWithTheRun) {
        await removeLinks(client, links);
        forget();
      }
    } finally {
      client.close();
      await stop();
    }
  };
  try {
    const { version, superset } = await client.version();
    if (options.server !== 'embedded') forget = options.server.remember?.() ?? forget;
    const compose = superset ? separateToxics : mergedToxics;
    await makeProxies(client, links, compose, options);
    const server = superset ? 'embedded' : `toxiproxy ${version}`;
    const dialler = options.dialler === undefined ? ownDialler : options.dialler;
    const hello = await clientHello();
    return planeOver({ client, links, compose, dialler, server, hello, close, options });
  } catch (error) {
    await close().catch(() => {});
    throw explain(error, options);
  }
}

async function removeLinks(client: ToxiproxyClient, links: readonly Link[]): Promise<void> {
  const names = new Set(links.map(({ name }) => name));
  const { left, because } = await removeProxies(client, (name) => names.has(name));
  if (because !== null)
    throw new Error(`${left} of this run's proxies may still be on ${client.url}: ${because}`);
}

interface OpenPlane extends Ground {
  server: string;
  close: () => Promise<void>;
  options: FaultPlaneOptions;
}

function planeOver(ground: OpenPlane): LinkPlane {
  const { client, links, options } = ground;
  const inTurn = takingTurns();
  const apply = applier(ground, inTurn);
  let closing: Promise<void> | null = null;
  return {
    pairs: options.pairs,
    apiUrl: client.url,
    server: ground.server,
    apply,
    async counters() {
      const states = await client.usedLinks();
      if (states === null) return links.map(({ pair }) => ({ from: pair.from, to: pair.to, ...uncounted }));
      const byName = new Map(states.map((state) => [state.name, state]));
      return links.map((link) => countersOf(link, byName.get(link.name)));
    },
    assertHealthy: () =>
      assertHealthy(
        client.url,
        inTurn(() => checkLinks(client, links)),
      ),
    close() {
      closing ??= inTurn(ground.close);
      return closing;
    },
  };
}

const uncounted = { accepted: null, open: null, bytesForth: null, bytesBack: null };

/** `state` undefined: never used. */
function countersOf({ pair, probes }: Link, state: LinkState | undefined): LinkCounters {
  return {
    from: pair.from,
    to: pair.to,
    // A probe may be connected before the server has taken it in.
    accepted: Math.max(0, (state?.accepted ?? 0) - probes),
    open: state?.open ?? 0,
    bytesForth: state?.bytes.upstream.passed ?? 0,
    bytesBack: state?.bytes.downstream.passed ?? 0,
  };
}

const healthMs = 5000;

/** Rejects with the reason unless the check succeeds in time. */
async function assertHealthy(url: string, check: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the fault server ${url} does not answer within ${healthMs} ms`)),
      healthMs,
    );
  });
  try {
    await Promise.race([check, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function checkLinks(client: ToxiproxyClient, links: readonly Link[]): Promise<void> {
  const proxies = await client.proxies();
  for (const link of links) {
    const proxy = proxies[link.name];
    const wrong = proxy === undefined ? 'is gone: was the server restarted?' : lapse(link, proxy);
    if (wrong !== null) throw new Error(`the fault server ${client.url}: the link ${link.name} ${wrong}`);
  }
}
