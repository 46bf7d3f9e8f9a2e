/** What faults and adversaries work on: the running net, its observers and the record. No behaviour of its own but the lives of nodes. */

import type { Receipt, RunningNode, RunningTestnet } from '../harness/engine.ts';
import type { Life } from '../harness/history.ts';
import type { Observers } from '../harness/observers.ts';
import type { Plan } from '../harness/plan.ts';
import type { Recorder } from '../harness/recorder.ts';
import { UsageError } from '../harness/usage-error.ts';
import type { Authority } from '../harness/wire/authority.ts';
import type { MonitorBook } from '../harness/wire/monitors.ts';

export interface Ground {
  plan: Plan;
  abilities: ReadonlySet<string>;
  testnet: RunningTestnet;
  observers: Observers;
  recorder: Recorder;
  authority: Authority;
  book: MonitorBook;
  /** When the run is being given up. */
  signal: AbortSignal;
}

/** A fault in force. */
export interface InForce {
  receipt: { what: string; evidence: Record<string, unknown> };
  /** Resolves when it is over and the path works again; `null` for `at`: it never will. */
  cure(): Promise<{ what: string; evidence: Record<string, unknown>; at: number | null }>;
}

/**
 * How to undo what has taken effect of a fault so far, in that order; each may be called when there is nothing left to undo. Resolve to
 * when the path worked again, null: it never will.
 */
export type Lifts = (() => Promise<number | null>)[];

export const proof = ({ what, evidence }: Receipt): InForce['receipt'] => ({ what, evidence });

export function nodeNamed({ testnet }: Pick<Ground, 'testnet'>, name: string): RunningNode {
  const node = testnet.nodes.get(name);
  if (node === undefined) throw new Error(`the plan names ${name}, which the testnet does not have`);
  return node;
}

/** The process has been told to end: nobody is to blame for what its connections do now. */
export function lifeEnds(ground: Ground, name: string, end: string, at: number): void {
  const life = ground.recorder.life(name);
  ground.observers.detach(name);
  if (life === null) return;
  life.endedAt = at;
  life.end = end;
  ground.recorder.emit({ kind: 'node', node: name, state: end.split(':')[0]!, at, detail: end });
}

/** The life accepts TLS: from now on it is watched. */
export function lifeReady(ground: Ground, life: Life, readyAt: number, reachableAt: number | null): void {
  life.readyAt = readyAt;
  life.reachableAt = reachableAt;
  ground.observers.attach(life, nodeNamed(ground, life.node).address);
  ground.recorder.emit({ kind: 'node', node: life.node, state: 'ready', at: readyAt, detail: null });
}

const startWithinMs = 30_000;

/**
 * Starts a stopped node's process and waits until it accepts TLS; `links` are to be made to work again meanwhile and resolve to
 * when they did. A node that does not come up is the node's failure, and stands in its life; one that the engine or this host cannot
 * start is trouble of ours.
 */
export async function bringUp(
  ground: Ground,
  name: string,
  wiped: boolean,
  links: () => Promise<number>,
): Promise<{ reachableAt: number | null }> {
  const { recorder } = ground;
  const node = nodeNamed(ground, name);
  const life = recorder.lifeBegins(name, recorder.now(), wiped);
  recorder.emit({ kind: 'node', node: name, state: 'starting', at: life.startedAt, detail: null });
  const [linked, started] = await Promise.allSettled([
    links(),
    node.start().then(() => node.ready(startWithinMs)),
  ]);
  const readyAt = recorder.now();
  const reachableAt = linked.status === 'rejected' ? null : Math.max(readyAt, linked.value);
  if (started.status === 'fulfilled') lifeReady(ground, life, readyAt, reachableAt);
  else {
    const { reason } = started;
    const why = node.failure ?? (reason instanceof Error ? reason.message : String(reason));
    const isOurs = node.failure === null && !(reason instanceof UsageError);
    lifeEnds(ground, name, `${isOurs ? 'stopped' : 'failed'}: ${why}`, recorder.now());
    if (isOurs) recorder.trouble(`${name} could not be started again: ${why}`);
  }
  // It is up all the same, and only its links do not work.
  if (linked.status === 'rejected') throw linked.reason;
  return { reachableAt: started.status === 'fulfilled' ? reachableAt : null };
}
