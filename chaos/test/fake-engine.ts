/**
 * An engine without processes: its nodes are puppets that listen, share one set of items and answer what an observer asks. So that
 * the life cycle of a run can be tested in seconds, with faults that do nothing but leave receipts.
 */

import type {
  Ability,
  Engine,
  NodeState,
  Receipt,
  RunningNode,
  RunningTestnet,
} from '../../harness/engine.ts';
import type { FaultPlane, LinkFault, Pair } from '../../harness/links/fault-plane.ts';
import type { Plan, PlannedNode } from '../../harness/plan.ts';
import { rng, seededBytes } from '../../harness/rng.ts';
import { type Authority, createAuthority } from '../../harness/wire/authority.ts';
import { errorPayload } from '../../harness/wire/gossip.ts';
import { identityFrom } from '../../harness/wire/identity.ts';
import { type ItemSet, itemSet } from '../../harness/wire/items.ts';
import { type Listener, listen } from '../../harness/wire/listener.ts';
import { createPuppet } from '../../harness/wire/puppet.ts';

export interface FakeOptions {
  abilities?: Ability[];
  /** Nodes that take commits and keep them to themselves. */
  selfish?: string[];
  /** Nodes that never listen. */
  dead?: string[];
  /** Makes the plane reject a fault of this kind. */
  refuses?: LinkFault['kind'];
  /** What takes effect and is then said to have failed; of `lift` the first one. */
  fails?: 'kill' | 'pause' | 'perturb' | 'lift';
  /** What receipts of link faults say of themselves. */
  evidence?: Record<string, unknown>;
  /** Nodes that the engine starts once and then never again, for reasons of its own. */
  onlyOnce?: string[];
  onStop?: () => void;
}

export interface FakeEngine extends Engine {
  /** What was done, in order: `start node-1`, `apply cut 12`, `cure cut`, `kill node-3` … */
  readonly done: string[];
}

export function fakeEngine(options: FakeOptions = {}): FakeEngine {
  const done: string[] = [];
  const abilities = new Set<Ability>(options.abilities ?? ['kill', 'pause', 'restart', 'wipe', 'links']);
  return {
    name: 'fake',
    abilities,
    done,
    async start(plan, { onPrepared, onEvent }) {
      const authority = await createAuthority({ seed: 'fake' });
      const shared = itemSet();
      const up = new Set<string>();
      const tell = (node: string, state: NodeState): void => onEvent?.({ kind: 'node', node, state });
      const nodes = new Map<string, RunningNode>();
      const instants = new Map<string, { startedAt: number; readyAt: number }>();
      for (const planned of plan.nodes) {
        const items = options.selfish?.includes(planned.name) ? itemSet() : shared;
        const { dead = [], onlyOnce = [], fails } = options;
        const ground = { plan, authority, items, up, done, instants, tell, dead, onlyOnce, fails };
        nodes.set(planned.name, await fakeNode(planned, ground));
      }
      const testnet: RunningTestnet = {
        nodes,
        links: fakePlane(plan, done, options),
        ca: { certificatePem: authority.certificatePem, keyPem: authority.keyPem },
        readyAtMs: instants,
        async perturb(ability, name) {
          if (options.fails === 'perturb') throw new Error(`no ${ability}`);
          done.push(`${ability} ${name}`);
          const receipt = { at: performance.now(), what: ability, evidence: {} };
          return { receipt, cure: async () => ({ ...receipt, at: performance.now() }) };
        },
        async stop() {
          if (done.at(-1) === 'stop') return;
          for (const node of nodes.values()) await (node as FakeNode).close();
          done.push('stop');
          options.onStop?.();
        },
      };
      await onPrepared?.(testnet);
      await Promise.all(
        plan.nodes.filter(({ startAtMs }) => startAtMs === 0).map(({ name }) => nodes.get(name)!.start()),
      );
      return testnet;
    },
  };
}

interface Ground {
  plan: Plan;
  authority: Authority;
  items: ItemSet;
  up: Set<string>;
  done: string[];
  instants: Map<string, { startedAt: number; readyAt: number }>;
  tell(node: string, state: NodeState): void;
  dead: string[];
  fails: FakeOptions['fails'];
  onlyOnce: string[];
}

type FakeNode = RunningNode & { close(): Promise<void> };

async function fakeNode(planned: PlannedNode, ground: Ground): Promise<FakeNode> {
  const { plan, authority, items, up, done } = ground;
  const identity = identityFrom(seededBytes(plan.seed, 32, 'node key', planned.name), planned.agentId);
  const puppet = await createPuppet(authority, { identity, name: planned.name });
  // Ports are fixed before the first start, so that the address outlives a restart; a taken one shows as a failed start.
  const port = 20_000 + rng(process.pid, planned.name).below(12_000);
  let listener: Listener | null = null;
  // Over all its lives, as a node may that remembers.
  const counted = new Map<string, number>();
  const limits = { commit: 'commits_per_minute', peer_request: 'queries_per_minute' } as const;
  const overLimit = (type: string, sender: string): boolean => {
    const limit = type in limits ? planned.parameters[limits[type as keyof typeof limits]] : undefined;
    const count = (counted.get(`${type} ${sender}`) ?? 0) + 1;
    counted.set(`${type} ${sender}`, count);
    return limit !== undefined && count > limit;
  };
  let state: NodeState = 'planned';
  const receipt = (what: string): Receipt => ({ at: performance.now(), what, evidence: {} });
  const close = async (): Promise<void> => {
    up.delete(planned.name);
    await listener?.close();
    listener = null;
  };
  const end = async (how: string): Promise<Receipt> => {
    const at = receipt(`${planned.name} ${how}`);
    await close();
    state = 'stopped';
    done.push(`${how} ${planned.name}`);
    return at;
  };
  return {
    name: planned.name,
    plan: planned,
    nodeId: planned.nodeId,
    address: `127.0.0.1:${port}`,
    logFile: '',
    get state() {
      return state;
    },
    get failure() {
      return state === 'failed' ? 'it never listened' : null;
    },
    async start() {
      done.push(`start ${planned.name}`);
      if (ground.dead.includes(planned.name)) {
        state = 'failed';
        ground.tell(planned.name, 'failed');
        return;
      }
      if (ground.onlyOnce.includes(planned.name) && ground.instants.has(planned.name))
        throw new Error('the engine has no room');
      const startedAt = performance.now();
      listener = await listen(puppet, '127.0.0.1', port, {
        handshake: {},
        manners: { items },
        onConnection: (connection) => {
          connection.manners.answerPeerRequest = false;
          connection.onMessage(({ type, id, object }) => {
            if (overLimit(type, String((object.sender as { node_id?: unknown }).node_id))) {
              connection.send('error', errorPayload('RATE_LIMIT', 'too many', { request_id: id }));
              return;
            }
            if (type === 'peer_request') {
              const peers = plan.nodes
                .filter(({ name }) => up.has(name) && name !== planned.name)
                .map(({ name, nodeId }) => ({ node_id: nodeId, address: `${name}:8888` }));
              connection.send('peer_exchange', { peers, request_id: id });
            }
            if (type !== 'commit') return;
            connection.send('response', { request_id: id, status: 'accepted', item_hash: items.add(object) });
          });
        },
      });
      up.add(planned.name);
      state = 'ready';
      ground.instants.set(planned.name, { startedAt, readyAt: performance.now() });
      ground.tell(planned.name, 'ready');
    },
    async ready() {
      if (state !== 'ready') throw new Error('it never listened');
    },
    async kill() {
      const ended = await end('kill');
      if (ground.fails === 'kill') throw new Error('nobody said that it ended');
      return ended;
    },
    terminate: () => end('terminate'),
    async pause() {
      done.push(`pause ${planned.name}`);
      state = 'paused';
      if (ground.fails === 'pause') throw new Error('nobody said that it paused');
      return receipt('paused');
    },
    async resume() {
      done.push(`resume ${planned.name}`);
      state = 'ready';
      return receipt('resumed');
    },
    async wipe() {
      done.push(`wipe ${planned.name}`);
      return receipt('wiped');
    },
    logTail: () => [],
    close,
  };
}

function fakePlane(plan: Plan, done: string[], options: FakeOptions): FaultPlane {
  const { refuses, fails, evidence = {} } = options;
  let failures = fails === 'lift' ? 1 : 0;
  const names = plan.nodes.map(({ name }) => name);
  return {
    apiUrl: 'http://127.0.0.1:1',
    server: 'fake',
    async apply(pairs: readonly Pair[], fault: LinkFault) {
      if (fault.kind === refuses) throw new Error(`no receipt for ${fault.kind}`);
      done.push(`apply ${fault.kind} ${pairs.length}`);
      return {
        receipt: { at: performance.now(), what: `${fault.kind} on ${pairs.length} links`, evidence },
        async cure() {
          failures -= 1;
          if (failures >= 0) throw new Error('the server gave no answer');
          done.push(`cure ${fault.kind}`);
          return { at: performance.now(), what: `cured: ${fault.kind}`, evidence };
        },
      };
    },
    async counters() {
      // Each start dials everybody once.
      return names.flatMap((from) => {
        const accepted = done.filter((what) => what === `start ${from}`).length;
        return names
          .filter((to) => to !== from)
          .map((to) => ({ from, to, accepted, open: 1, bytesForth: 1, bytesBack: 1 }));
      });
    },
    async assertHealthy() {},
  };
}
