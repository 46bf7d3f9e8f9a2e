/**
 * The target whose nodes are ours to start: any number of instances, each with an identity of the run's CA, on addresses of the
 * run's own. A few of them are shared by rows that do not mind company; a shared one that ends is replaced. What an instance
 * is made of (a process, a container) is the ground's matter.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import type { Instance, InstanceHooks, InstanceSpec } from '../harness/engines/instance.ts';
import { hostAndPort, probeContext } from '../harness/engines/probe.ts';
import type { Run } from '../harness/run-record.ts';
import { eachInTurn, toTheirEnd } from '../harness/side-by-side.ts';
import { UsageError } from '../harness/usage-error.ts';
import { type Authority, createAuthority } from '../harness/wire/authority.ts';
import { identityFrom } from '../harness/wire/identity.ts';
import { boundedStarts } from './bounded.ts';
import { fail, late, type Need } from './requirement.ts';
import type { Crash } from './summary.ts';
import type { FailedStart, Lease, NodeControl, NodeOptions, NodeUnderTest, Target, Ways } from './target.ts';

/** Where instances live and how one is made. */
export interface Ground {
  run: Run;
  /** `host:port` of one more instance. */
  nodeAddress(): string;
  /** `host:port` where a puppet may listen so that instances reach it. */
  puppetAddress(): string;
  ways: Ways;
  /** Makes folder and files of an instance; starts nothing. */
  prepare(spec: InstanceSpec, context: SecureContext, hooks: InstanceHooks): Instance;
  /** Gives up the addresses and whatever else the ground holds; the instances are gone by then. */
  release(): Promise<void>;
}

export interface InstancesTarget {
  description: string;
  flags: string;
  seed: number;
  /** How many instances the sharing rows are spread over. */
  sharedInstances?: number;
  /** How long a node may take to its first TLS handshake, ms. */
  readyWithinMs?: number;
}

type OnCrash = (crash: Crash) => void;

/** One process of the target and who is to be told when it ends by itself. */
interface Held {
  instance: Instance;
  node: NodeUnderTest;
  rows: Map<string, OnCrash>;
}

interface Pool {
  options: InstancesTarget;
  ground: Ground;
  authority: Authority;
  context: SecureContext;
  started: number;
  shared: Promise<Held>[];
  nextShared: number;
  held: Set<Held>;
  crashes: Crash[];
  inTurn: <T>(start: () => Promise<T>) => Promise<T>;
}

const everything: ReadonlySet<Need> = new Set(['start', 'instances', 'restart', 'data-dir', 'dial-back']);
/** More starts at once only make all of them slow. */
const startsAtOnce = 4;
const defaultReadyWithinMs = 30_000;

/**
 * Starts one instance at once, so that a node that cannot work is a UsageError before any row runs. The ground is the target's
 * from here on: it goes with it, also when this throws.
 */
export async function openInstancesTarget(options: InstancesTarget, ground: Ground): Promise<Target> {
  const pool = await openPool(options, ground);
  const target: Target = {
    description: options.description,
    flags: options.flags,
    abilities: everything,
    salt: '',
    authority: pool.authority,
    nextAddress: () => pool.ground.puppetAddress(),
    ways: pool.ground.ways,
    shared: (row, onCrash) => leaseShared(pool, row, onCrash),
    own: (row, nodeOptions, onCrash) => leaseOwn(pool, row, nodeOptions, onCrash),
    startAndExit: (row, nodeOptions, withinMs) => startAndExit(pool, row, nodeOptions, withinMs),
    pids: () =>
      new Map(
        [...pool.held].flatMap(({ instance }) =>
          instance.pid === null ? [] : [[instance.name, instance.pid]],
        ),
      ),
    abandon: null,
    isWorn: () => false,
    crashes: pool.crashes,
    close: () => closePool(pool),
  };
  try {
    const first = await leaseShared(pool, 'start', () => {});
    await first.release();
  } catch (error) {
    // What would not go must not hide why; the next start removes it.
    await target.close().catch(() => {});
    throw error;
  }
  return target;
}

async function openPool(options: InstancesTarget, ground: Ground): Promise<Pool> {
  try {
    const authority = await createAuthority({ seed: `conformance/${options.seed}` });
    const prober = identityFrom(`conformance/${options.seed}/prober`);
    const context = probeContext({
      keyPem: prober.keyPem,
      certificatePem: (await authority.issue(prober)).pem,
      caPem: authority.certificatePem,
    });
    return {
      options,
      ground,
      authority,
      context,
      started: 0,
      shared: [],
      nextShared: 0,
      held: new Set(),
      crashes: [],
      inTurn: boundedStarts(startsAtOnce),
    };
  } catch (error) {
    await releaseGround(ground).catch(() => {});
    throw error;
  }
}

/** Each of them even if one before it would not go, so that nothing is left for one node's sake. */
async function closePool(pool: Pool): Promise<void> {
  const held = [...pool.held];
  pool.held.clear();
  await eachInTurn([
    () => toTheirEnd(...held.map(({ instance }) => instance.remove())),
    () => releaseGround(pool.ground),
  ]);
}

function releaseGround(ground: Ground): Promise<void> {
  return eachInTurn([() => ground.release(), () => ground.run.close()]);
}

/** The sharing rows go round over the shared instances; one that ended is started anew in its place. */
async function leaseShared(pool: Pool, row: string, onCrash: OnCrash): Promise<Lease> {
  const place = pool.nextShared;
  pool.nextShared = (place + 1) % (pool.options.sharedInstances ?? 2);
  const present = pool.shared[place];
  let held = (await present?.catch(() => null)) ?? null;
  if (held?.instance.state !== 'ready') {
    // Several rows may find the place empty at once: the first starts, the others wait for it.
    if (pool.shared[place] === present) pool.shared[place] = bringUp(pool, {});
    held = await pool.shared[place]!;
  }
  const { node, rows } = held;
  rows.set(row, onCrash);
  return { node, release: async () => void rows.delete(row) };
}

async function leaseOwn(pool: Pool, row: string, options: NodeOptions, onCrash: OnCrash): Promise<Lease> {
  const held = await bringUp(pool, options);
  held.rows.set(row, onCrash);
  return {
    node: held.node,
    release: async () => {
      held.rows.clear();
      pool.held.delete(held);
      await held.instance.remove();
    },
  };
}

async function bringUp(pool: Pool, options: NodeOptions): Promise<Held> {
  const held = await prepare(pool, options);
  try {
    await pool.inTurn(async () => {
      await held.instance.start();
      // The instance's own bound comes first and says why; this one only has to be there.
      await held.instance.ready(readyWithin(pool, options) + 10_000);
    });
  } catch (error) {
    // One that will not go is tried again when the target is closed.
    await held.instance.remove().then(
      () => pool.held.delete(held),
      () => {},
    );
    throw error;
  }
  return held;
}

function readyWithin(pool: Pool, options: NodeOptions): number {
  return options.readyWithinMs ?? pool.options.readyWithinMs ?? defaultReadyWithinMs;
}

async function startAndExit(
  pool: Pool,
  row: string,
  options: NodeOptions,
  withinMs: number,
): Promise<FailedStart | null> {
  const held = await prepare(pool, options);
  held.rows.set(row, () => {});
  const { instance } = held;
  try {
    await instance.start();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), withinMs);
    });
    const exit = await Promise.race([instance.ended(), late]);
    clearTimeout(timer);
    if (exit === null) return null;
    const stderr = instance.stderrFile === null ? '' : readFileSync(instance.stderrFile, 'utf8');
    return {
      code: exit.code,
      signal: exit.signal,
      afterMs: exit.at - instance.startedAt!,
      stderr: stderr.split('\n').filter((line) => line.trim() !== ''),
    };
  } finally {
    pool.held.delete(held);
    await instance.remove();
  }
}

/** Identity, folder and configuration; nothing runs yet. */
async function prepare(pool: Pool, options: NodeOptions): Promise<Held> {
  pool.started += 1;
  const name = `node-${pool.started}`;
  const identity = identityFrom(
    `conformance/${pool.options.seed}/${name}`,
    options.agentId ?? `agent_${name}`,
  );
  const address = pool.ground.nodeAddress();
  const certificate = await pool.authority.issue(identity);
  let told = false;
  const instance = pool.ground.prepare(
    {
      name,
      readyWithinMs: readyWithin(pool, options),
      agentId: identity.agentId,
      listen: address,
      advertise: options.advertise ?? address,
      keyPem: identity.keyPem,
      certificatePem: certificate.pem,
      caPem: pool.authority.certificatePem,
      bootstrapNodes: [...(options.bootstrap ?? [])],
      ...(options.hosts === undefined ? {} : { hosts: options.hosts }),
      ...(options.parameters === undefined ? {} : { parameters: options.parameters }),
      splitStderr: options.configText !== undefined,
      ...(options.isTimed === true ? { niceness: 0 } : {}),
    },
    pool.context,
    {
      onState: (state, detail) => {
        if (state !== 'failed' || told || held.instance.readyAt === null) return;
        told = true;
        const crash: Crash = {
          node: name,
          how: detail ?? 'ended by itself',
          rows: [...held.rows.keys()],
          logTail: instance.logTail(12),
        };
        if (crash.rows.length > 0) pool.crashes.push(crash);
        for (const onCrash of held.rows.values()) onCrash(crash);
      },
    },
  );
  const node: NodeUnderTest = {
    name,
    address,
    ...hostAndPort(address),
    agentId: identity.agentId,
    nodeId: identity.nodeId,
    publicKey: identity.publicKeyBase64,
    advertise: options.advertise ?? address,
    parameters: options.parameters ?? {},
    control: controlOf(instance),
    logTail: (lines) => instance.logTail(lines),
  };
  const held: Held = { instance, node, rows: new Map() };
  pool.held.add(held);
  if (options.configText !== undefined)
    rewriteConfig(instance, (text) => options.configText!(text, identity.publicKeyBase64));
  return held;
}

function rewriteConfig(instance: Instance, change: (text: string) => string): void {
  writeFileSync(instance.configFile, change(readFileSync(instance.configFile, 'utf8')));
}

function controlOf(instance: Instance): NodeControl {
  return {
    get pid() {
      return instance.pid;
    },
    dataDir: instance.dataDir,
    configFile: instance.configFile,
    keyFile: join(instance.folder, 'node.key'),
    get startedAt() {
      return instance.startedAt ?? Number.NaN;
    },
    get readyAt() {
      return instance.readyAt ?? Number.NaN;
    },
    kill: async () => void (await instance.kill()),
    terminate: async (withinMs) => {
      const receipt = await instance.terminate(withinMs).catch((error: Error) => {
        // Whatever else is thrown is trouble of the engine.
        if (!/ did not end within /.test(error.message)) throw error;
        return late(error.message);
      });
      const { exitCode, exitSignal, afterMs } = receipt.evidence as {
        exitCode: number | null;
        exitSignal: string | null;
        afterMs: number;
      };
      return { code: exitCode, signal: exitSignal, afterMs };
    },
    pause: async () => void (await instance.pause()),
    resume: async () => void (await instance.resume()),
    // A node that cannot be started again is no defect of the suite.
    start: async () => {
      try {
        await instance.start();
        await instance.ready();
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        fail(`the node does not start again: ${error.message}`);
      }
    },
    wipe: async () => void (await instance.wipe()),
  };
}
