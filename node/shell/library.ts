/**
 * The node as a library (design §10): start one from a configuration, broadcast an item, read its status, stop it. Puts
 * the parts of the shell together; `main.ts` is this plus an environment variable and exit codes.
 */

import { createCore } from '../core/node.ts';
import type { Core, Counters, ItemType, StoredItem, World } from '../core/types.ts';
import { type Configuration, ConfigurationError, checkConfiguration } from './configuration.ts';
import { dial } from './dialer.ts';
import { whyNot } from './endpoint.ts';
import { loadIdentity, type OwnIdentity, proofOfPeer } from './identity.ts';
import { toItemBody } from './item-body.ts';
import { type Listener, listen } from './listener.ts';
import type { Note } from './notes.ts';
import { createRuntime, type Published, type Runtime, type RuntimeOptions } from './runtime.ts';
import { loadSigning, type Signing } from './signing.ts';
import { openStore, type Store } from './store.ts';
import { dialContext } from './tls.ts';
import { createSurroundings, type Surroundings } from './world.ts';

export { ConfigurationError, checkConfiguration, readConfiguration } from './configuration.ts';

export interface RunningNode {
  readonly nodeId: string;
  readonly agentId: string;
  /** The port it accepts on. */
  readonly port: number;
  /**
   * Signs the item as this node's agent and announces it. Resolves when it is durable; rejects with the reason if the body
   * is not valid (§6) or could not be stored. Numbers: a JavaScript number with a fraction is written as a float, one
   * without as an integer, a bigint as an integer.
   */
  broadcast(item: { type: ItemType; payload: Record<string, unknown> }): Promise<Published>;
  /** Does this node hold the item (`rule_` + 64 hex digits), durably? */
  status(itemHash: string): 'durable' | 'unknown';
  /** Peers, items, state root, checkpoint. Cheap. */
  overview(): ReturnType<Core['status']>;
  readonly counters: Counters;
  /** Closes every connection (1001), then the store. Idempotent. */
  stop(): Promise<void>;
}

export interface NodeOptions {
  /** Where notes go; without it nowhere. */
  note?: Note;
  /** Called with items, own ones too, as soon as they are durable (canonical bytes, `hash` without `rule_`). */
  onItems?: (items: readonly StoredItem[]) => void;
}

/** Starts a node from an object in the shape of profile §10 (wire names). Throws ConfigurationError on a wrong key. */
export function startNode(given: Record<string, unknown>, options: NodeOptions = {}): Promise<RunningNode> {
  return runNode(checkConfiguration(given), options);
}

/** Starts a node from a checked configuration; resolves when it accepts TLS handshakes and the store is open. */
export async function runNode(
  configuration: Configuration,
  { note = () => {}, onItems }: NodeOptions = {},
): Promise<RunningNode> {
  // LevelDB opens in a thread of its own while keys are read and the socket is bound.
  const opening = openStore(configuration.dataDir, configuration.source, note);
  opening.catch(() => {});
  let listener: Listener | undefined;
  let runtime: Runtime | undefined;
  try {
    const signing = await loadSigning();
    await turnOfTheLoop();
    const surroundings = createSurroundings(signing);
    const own = loadIdentity(configuration, signing, surroundings);
    runtime = createShellRuntime(configuration, own, surroundings, { note, onItems });
    listener = await openListener(configuration, own, surroundings, runtime);
    const store = await opening;
    const core = createOwnCore(configuration, own, surroundings, store);
    const metrics = await openMetrics(configuration, core);
    runtime.start(core, store, await store.restore());
    note('info', 'started', startNote(configuration, own, signing, core));
    return runningNode({ own, listener, runtime, core, store, metrics });
  } catch (error) {
    listener?.close();
    await runtime?.stop();
    await opening.then((store) => store.close()).catch(() => {});
    throw error;
  }
}

/** Until here LevelDB's thread has not begun: its opening is asked for by what was awaited before. */
function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function createShellRuntime(
  configuration: Configuration,
  own: OwnIdentity,
  surroundings: Surroundings,
  told: Pick<RuntimeOptions, 'note' | 'onItems'>,
): Runtime {
  let context: ReturnType<typeof dialContext> | undefined;
  const dialing = {
    context: () => (context ??= dialContext(own.pem)),
    hosts: configuration.hosts,
    timeoutMs: configuration.parameters.handshakeTimeoutMs,
    isProof: (certificate: Uint8Array) => proofOfPeer(certificate, own.authority, surroundings) !== null,
  };
  return createRuntime({
    nowMs: surroundings.nowMs,
    dial: (address, events) => dial(address, dialing, events),
    ...told,
  });
}

function openListener(
  configuration: Configuration,
  own: OwnIdentity,
  surroundings: Surroundings,
  runtime: Runtime,
): Promise<Listener> {
  return listen({
    source: configuration.source,
    endpoint: configuration.listen,
    pem: own.pem,
    handshakeTimeoutMs: configuration.parameters.handshakeTimeoutMs,
    isProof: (certificate) => proofOfPeer(certificate, own.authority, surroundings) !== null,
    accepted: runtime.accepted,
  });
}

function createOwnCore(
  configuration: Configuration,
  own: OwnIdentity,
  surroundings: Surroundings,
  store: Store,
): Core {
  const world: World = { ...surroundings, sign: own.sign, readItem: store.readItem };
  return createCore(
    {
      identity: own.identity,
      certificate: own.certificate,
      caCertificate: own.caCertificate,
      advertise: configuration.advertise,
      bootstrap: configuration.bootstrap,
      parameters: configuration.parameters,
    },
    world,
  );
}

async function openMetrics(configuration: Configuration, core: Core): Promise<{ close(): void } | null> {
  if (!configuration.metrics) return null;
  // Loaded only by a node that serves metrics: prom-client is larger than the rest of the shell.
  const { serveMetrics } = await import('./metrics.ts');
  try {
    return await serveMetrics(configuration.metrics, core);
  } catch (error) {
    const why = whyNot(error as NodeJS.ErrnoException, configuration.metrics);
    throw new ConfigurationError(`${configuration.source}: metrics: ${why}`);
  }
}

function startNote(configuration: Configuration, own: OwnIdentity, signing: Signing, core: Core) {
  return {
    node_id: own.identity.nodeId,
    agent_id: own.identity.agentId,
    listen: `${configuration.listen.host}:${configuration.listen.port}`,
    advertise: configuration.advertise,
    items: core.status().items,
    signing: signing.backend,
  };
}

interface Parts {
  own: OwnIdentity;
  listener: Listener;
  runtime: Runtime;
  core: Core;
  store: Store;
  metrics: { close(): void } | null;
}

function runningNode({ own, listener, runtime, core, store, metrics }: Parts): RunningNode {
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    listener.close();
    metrics?.close();
    await runtime.stop();
    await store.close();
  };
  return {
    nodeId: own.identity.nodeId,
    agentId: own.identity.agentId,
    port: listener.port,
    broadcast: async ({ type, payload }) => runtime.publish(type, toItemBody(payload)),
    status: (itemHash) => (core.holds(itemHash) ? 'durable' : 'unknown'),
    overview: () => core.status(),
    counters: core.counters,
    stop: () => (stopping ??= stop()),
  };
}
