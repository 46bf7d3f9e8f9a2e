/**
 * Faults with receipts and cures. `obstacle` is the one place that decides whether a fault can be done here; `runFault` does one
 * from its beginning to its cure and writes down both proofs, or undoes what took effect of one that fails half way. Knows abilities,
 * no engine; how a node is taken down is in `outages.ts`.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Ability } from '../harness/engine.ts';
import { doubtOf, type FaultRecord } from '../harness/history.ts';
import type { LinkFault, Pair } from '../harness/links/fault-plane.ts';
import type { PlannedFault } from '../harness/plan.ts';
import { runAdversary } from './adversaries.ts';
import { type Ground, type InForce, type Lifts, nodeNamed, proof } from './ground.ts';
import { changed, outage, perturbed } from './outages.ts';
import { openLinks, pairsAcross, severingOf } from './severing.ts';

/** What an engine must be able to do for this fault. */
export function needs(fault: PlannedFault): Ability[] {
  switch (fault.kind) {
    case 'link':
    case 'partition':
      return ['links'];
    case 'kill':
      return ['kill', 'restart'];
    case 'restart':
      return ['restart'];
    case 'pause':
      return ['pause'];
    case 'wipe':
      return ['kill', 'wipe', 'restart'];
    case 'engine':
      return [fault.ability as Ability];
    case 'adversary':
      return [];
  }
}

/** Why this fault cannot be done here, as half a sentence, or null. */
export function obstacle(fault: PlannedFault, abilities: ReadonlySet<string>): string | null {
  const missing = needs(fault).filter((ability) => !abilities.has(ability));
  return missing.length === 0 ? null : `this engine lacks the ability ${missing.join(' and ')}`;
}

/** Why a fault has nobody to strike at this moment, or null: a node that failed to start is found so by itself. */
function absent(fault: PlannedFault, { recorder }: Ground): string | null {
  const name = 'node' in fault ? fault.node : fault.kind === 'adversary' ? fault.target : null;
  const life = name === null ? null : recorder.life(name);
  if (name === null || (life !== null && life.readyAt !== null && life.endedAt === null)) return null;
  return `${name} was not up`;
}

export function labelOf(fault: PlannedFault): string {
  switch (fault.kind) {
    case 'link':
    case 'partition':
      return fault.label;
    case 'adversary':
      return `${fault.behaviour} at ${fault.target}`;
    case 'engine':
      return `${fault.ability} ${fault.node}`;
    default:
      return `${fault.kind} ${fault.node}`;
  }
}

/** From the beginning of the fault to its cure. `loadAt`: performance.now of the start of the load. Never rejects for the fault. */
export async function runFault(fault: PlannedFault, ground: Ground, loadAt: number): Promise<void> {
  const { recorder } = ground;
  const label = labelOf(fault);
  const record: FaultRecord = {
    id: fault.id,
    label,
    outcome: 'applied',
    because: '',
    appliedAt: null,
    curedAt: null,
    receipt: null,
    cure: null,
  };
  const tell = (phase: 'begun' | 'applied' | 'cured' | 'skipped' | 'failed', detail: string): void =>
    recorder.emit({ kind: 'fault', id: fault.id, label, phase, at: recorder.now(), detail });
  const skip = (why: string): void => {
    recorder.fault({ ...record, outcome: 'skipped', because: why });
    tell('skipped', why);
  };
  const why = obstacle(fault, ground.abilities);
  if (why !== null) return skip(why);
  await until(loadAt + fault.atMs, ground.signal);
  if (ground.signal.aborted) return;
  const nobody = absent(fault, ground);
  if (nobody !== null) return skip(nobody);
  recorder.fault(record);
  tell('begun', label);
  const severing = severingOf(
    fault,
    ground.plan.nodes.map(({ name }) => name),
    recorder.now(),
    openLinks(recorder.history.linkSamples.at(-1)),
  );
  if (severing !== null) recorder.history.severings.push(severing);
  const lifts: Lifts = [];
  try {
    const inForce = await apply(fault, ground, lifts);
    record.receipt = inForce.receipt;
    record.appliedAt = recorder.now();
    tell('applied', inForce.receipt.what);
    doubted(ground, record, inForce.receipt);
    await until(loadAt + fault.atMs + fault.forMs, ground.signal);
    // Everything is being stopped, which undoes it all.
    if (ground.signal.aborted) return;
    const { at, ...cure } = await inForce.cure();
    record.cure = cure;
    record.curedAt = at ?? recorder.now();
    if (severing !== null) severing.until = at;
    tell('cured', cure.what);
    doubted(ground, record, cure);
  } catch (error) {
    if (ground.signal.aborted) return;
    record.outcome = 'failed';
    record.because = reasonOf(error);
    tell('failed', record.because);
    recorder.trouble(`Fault ${fault.id} (${label}): ${record.because}`);
    const at = await liftAll(lifts, ground, record);
    if (record.appliedAt !== null) record.curedAt = at;
    if (severing !== null) severing.until = at;
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What is not proved may be otherwise than everybody is judged by. */
function doubted({ recorder }: Ground, { id, label }: FaultRecord, receipt: InForce['receipt']): void {
  const doubt = doubtOf(receipt);
  if (doubt !== null) recorder.trouble(`Fault ${id} (${label}): ${doubt}`);
}

/** Undoes, last first, what took effect of a fault that goes no further; when the path worked again, null: nobody knows. */
async function liftAll(lifts: Lifts, ground: Ground, record: FaultRecord): Promise<number | null> {
  const { recorder } = ground;
  if (lifts.length === 0) return null;
  try {
    let at: number | null = recorder.now();
    for (const lift of lifts.toReversed()) {
      const worksAt = await lift();
      at = at === null || worksAt === null ? null : Math.max(at, worksAt);
    }
    record.cure = { what: 'undone, without a receipt', evidence: {} };
    return at;
  } catch (error) {
    if (!ground.signal.aborted)
      recorder.trouble(`Fault ${record.id} (${record.label}) could not be undone: ${reasonOf(error)}`);
    return null;
  }
}

async function until(instant: number, signal: AbortSignal): Promise<void> {
  const left = instant - performance.now();
  if (left > 0) await delay(left, undefined, { signal }).catch(() => {});
}

function apply(fault: PlannedFault, ground: Ground, lifts: Lifts): Promise<InForce> {
  switch (fault.kind) {
    case 'partition':
      return onLinks(ground, lifts, pairsAcross(fault.groups), { kind: 'cut' });
    case 'link':
      return onLinks(ground, lifts, fault.pairs, fault.fault);
    case 'kill':
    case 'restart':
    case 'wipe':
      return outage(fault, ground, lifts);
    case 'pause':
      return pause(fault.node, ground, lifts);
    case 'engine':
      return fault.ability === 'unplug' ? unplug(fault, ground) : changed(fault, ground, lifts);
    case 'adversary':
      return adversary(fault, ground);
  }
}

async function onLinks(
  ground: Ground,
  lifts: Lifts,
  pairs: readonly Pair[],
  effect: LinkFault,
): Promise<InForce> {
  const applied = await ground.testnet.links.apply(pairs, effect);
  lifts.push(async () => ground.recorder.at((await applied.cure()).at));
  return {
    receipt: proof(applied.receipt),
    async cure() {
      const receipt = await applied.cure();
      return { ...proof(receipt), at: ground.recorder.at(receipt.at) };
    },
  };
}

async function pause(name: string, ground: Ground, lifts: Lifts): Promise<InForce> {
  const node = nodeNamed(ground, name);
  lifts.push(async () => {
    if (node.state === 'paused') await node.resume();
    return ground.recorder.now();
  });
  const receipt = await node.pause();
  return {
    receipt: proof(receipt),
    async cure() {
      const resumed = await node.resume();
      return { ...proof(resumed), at: ground.recorder.at(resumed.at) };
    },
  };
}

async function unplug(fault: PlannedFault & { kind: 'engine' }, ground: Ground): Promise<InForce> {
  const applied = await perturbed(fault, ground);
  return {
    receipt: proof(applied.receipt),
    async cure() {
      const receipt = await applied.cure();
      return { ...proof(receipt), at: ground.recorder.at(receipt.at) };
    },
  };
}

/** Works until it is told to stop; its receipt is that it is connected, its cure what came of it. */
async function adversary(fault: PlannedFault & { kind: 'adversary' }, ground: Ground): Promise<InForce> {
  const running = await runAdversary(fault, ground);
  return {
    receipt: { what: `${fault.behaviour} adversary is connected to ${fault.target}`, evidence: {} },
    async cure() {
      const record = await running.stop();
      const evidence = { messages: record.outcomes.length, ...record.detail };
      return {
        what: `${record.outcomes.length} hostile messages were answered`,
        evidence,
        at: ground.recorder.now(),
      };
    },
  };
}
