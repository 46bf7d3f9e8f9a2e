/**
 * Adversaries: puppets with valid certificates that do what no honest peer does, at one node, for a while. They write down what
 * they sent and how it was answered; whether that was right, the checks say. One behaviour, one file.
 */

import type { AdversaryRecord, AttackKind } from '../harness/history.ts';
import type { PlannedFault } from '../harness/plan.ts';
import type { Connection } from '../harness/wire/connection.ts';
import type { HandshakeOptions } from '../harness/wire/handshake.ts';
import { createPuppet, join, type Puppet } from '../harness/wire/puppet.ts';
import { duplicates } from './adversaries/duplicates.ts';
import { flood } from './adversaries/flood.ts';
import { badSignatures, garbage } from './adversaries/forgeries.ts';
import { type Ground, nodeNamed } from './ground.ts';

/** What a behaviour works with. */
export interface Attack {
  readonly record: AdversaryRecord;
  readonly signal: AbortSignal;
  /** ms until the adversary stops. */
  readonly forMs: number;
  /** The target's parameters of profile §9, by wire name. */
  readonly limit: (
    name: 'commits_per_minute' | 'queries_per_minute' | 'bytes_per_second' | 'max_peers',
  ) => number;
  now(): number;
  /** A fresh hostile identity of this adversary. */
  puppet(): Promise<Puppet>;
  /** Connects it to the target; null: not taken in. Closed at the end by itself. */
  join(puppet: Puppet, options?: HandshakeOptions): Promise<Connection | null>;
  /** To be closed at the end. */
  hold(connection: Connection): void;
  readonly address: string;
  offered(kind: AttackKind): void;
  answered(kind: AttackKind, outcome: string, bytes?: number): void;
}

const behaviours: Record<
  (PlannedFault & { kind: 'adversary' })['behaviour'],
  (attack: Attack) => Promise<void>
> = {
  flood,
  duplicates,
  'bad-signatures': badSignatures,
  garbage,
};

const defaults = {
  commits_per_minute: 10,
  queries_per_minute: 30,
  bytes_per_second: 1_048_576,
  max_peers: 50,
};

/** Connects and begins; rejects if the target does not take even one hostile peer in. `stop` resolves to what came of it. */
export async function runAdversary(
  fault: PlannedFault & { kind: 'adversary' },
  ground: Ground,
): Promise<{ stop(): Promise<AdversaryRecord> }> {
  const { recorder, plan, authority, book } = ground;
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, ground.signal]);
  const connections = new Set<Connection>();
  const target = nodeNamed(ground, fault.target);
  const record: AdversaryRecord = {
    fault: fault.id,
    behaviour: fault.behaviour,
    target: fault.target,
    from: recorder.now(),
    until: recorder.now(),
    offered: {},
    outcomes: [],
    forbidden: [],
    mostPeers: 0,
    peersOpen: [],
    detail: {},
  };
  const parameters = plan.nodes.find(({ name }) => name === fault.target)?.parameters ?? {};
  let serial = 0;
  const attack: Attack = {
    record,
    signal,
    forMs: fault.forMs,
    limit: (name) => parameters[name] ?? defaults[name],
    now: recorder.now,
    address: target.address,
    puppet() {
      serial += 1;
      const name = `${fault.id.replaceAll('.', '-')}-${serial}`;
      return createPuppet(authority, {
        name,
        seed: `testnet/${plan.seed}/${name}`,
        agentId: `agent_${name}`,
        book,
      });
    },
    async join(puppet, options = {}) {
      const label = `${puppet.name}>${fault.target}`;
      const opened = await join(puppet, target.address, {
        label,
        keepMessages: 256,
        transcriptBytes: 0,
        ...options,
      }).catch(() => null);
      if (opened === null) return null;
      if (signal.aborted) {
        opened.destroy();
        return null;
      }
      attack.hold(opened);
      return opened;
    },
    hold(connection) {
      connections.add(connection);
    },
    offered(kind) {
      record.offered[kind] = (record.offered[kind] ?? 0) + 1;
    },
    answered(kind, outcome, bytes = 0) {
      record.outcomes.push({ kind, at: recorder.now(), outcome, bytes });
    },
  };
  recorder.history.adversaries.push(record);
  const first = await attack.puppet();
  if ((await attack.join(first)) === null) {
    throw new Error(`${fault.target} did not take the adversary's connection in`);
  }
  const working = behaviours[fault.behaviour](attack).catch((error: unknown) => {
    if (!signal.aborted)
      recorder.trouble(`Adversary ${fault.id}: ${error instanceof Error ? error.message : String(error)}`);
  });
  return {
    async stop() {
      stopping.abort();
      for (const connection of connections) connection.destroy();
      await working;
      record.until = recorder.now();
      return record;
    },
  };
}
