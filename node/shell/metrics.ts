/**
 * Prometheus text at `metrics: host:port` (profile §10, optional). Reads the core's counters when asked; counts nothing
 * itself but the lag of the event loop.
 */

import { createServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import type { Core, Counters } from '../core/types.ts';
import type { Endpoint } from './endpoint.ts';

/** Resolves when `GET /metrics` is answered. Rejects with the system's error. */
export function serveMetrics(endpoint: Endpoint, core: Core): Promise<{ port: number; close(): void }> {
  const lag = monitorEventLoopDelay({ resolution: 20 });
  lag.enable();
  const registry = createRegistry(core, lag);
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') return response.writeHead(404).end();
    registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      (error) => response.destroy(error),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      lag.disable();
      reject(error);
    });
    server.listen(endpoint.port, endpoint.host, () => {
      // An accept that failed for want of descriptors: the next one may succeed.
      server.on('error', () => {});
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address ? address.port : endpoint.port,
        close() {
          lag.disable();
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}

function createRegistry(core: Core, lag: ReturnType<typeof monitorEventLoopDelay>): Registry {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  const counter = (name: string, help: string, read: (counters: Counters) => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read(core.counters));
      },
    });
  gauge('cle_peers', 'Connected persistent peers', () => core.status().peers);
  gauge('cle_known_nodes', 'Nodes in the routing table', () => core.status().knownNodes);
  gauge('cle_items', 'Items held', () => core.status().items);
  gauge(
    'cle_checkpoint_height',
    'Height of the adopted checkpoint, 0 for none',
    () => core.status().checkpointHeight,
  );
  gauge('cle_event_loop_lag_seconds', '99th percentile of the event loop delay since the last scrape', () => {
    const seconds = lag.percentile(99) / 1e9;
    lag.reset();
    return Number.isFinite(seconds) ? seconds : 0;
  });
  counter('cle_verifications_total', 'Signatures checked', (c) => c.verifications);
  counter('cle_verification_failures_total', 'Signatures refused', (c) => c.verificationFailures);
  counter('cle_envelopes_taken_total', 'Envelopes that passed every check', (c) => c.envelopesTaken);
  counter('cle_items_new_total', 'Items taken', (c) => c.itemsNew);
  counter('cle_duplicates_dropped_total', 'Gossip dropped as seen before', (c) => c.duplicatesDropped);
  counter('cle_rate_limited_total', 'Messages refused by a count limit', (c) => c.rateLimited);
  counter('cle_anti_entropy_rounds_total', 'Anti-entropy rounds begun', (c) => c.antiEntropyRounds);
  labelled(registers, 'cle_messages_total', 'Messages', ['direction', 'type'], () => core.counters.messages);
  labelled(registers, 'cle_refused_total', 'Messages refused', ['code'], () => core.counters.refused);
  return registry;
}

/** A counter of the core that is kept by `a:b` as one with labels. */
function labelled(
  registers: Registry[],
  name: string,
  help: string,
  labelNames: string[],
  read: () => ReadonlyMap<string, number>,
): void {
  new Counter({
    name,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [key, count] of read()) {
        const values = labelNames.length === 1 ? [key] : key.split(':');
        this.inc(Object.fromEntries(labelNames.map((label, index) => [label, values[index] ?? ''])), count);
      }
    },
  });
}
