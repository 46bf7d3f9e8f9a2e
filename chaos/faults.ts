/**
 * Faults with receipts and cures. `obstacle` is the one place that decides whether a fault can be done here; `runFault` does one
 * from its beginning to its cure and writes down both proofs. Knows abilities, no engine.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Ability, Receipt } from '../harness/engine.ts';
import type { FaultRecord } from '../harness/history.ts';
import type { AppliedLinkFault, LinkFault, Pair } from '../harness/links/fault-plane.ts';
import type { PlannedFault } from '../harness/plan.ts';
import { runAdversary } from './adversaries.ts';
import { bringUp, type Ground, lifeEnds, nodeNamed } from './ground.ts';
import { pairsAcross, pairsOf, severingOf } from './severing.ts';

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

/** A fault in force. */
interface InForce {
  receipt: { what: string; evidence: Record<string, unknown> };
  /** Resolves when it is over and the path works again; `null` for `at`: it never will. */
  cure(): Promise<{ what: string; evidence: Record<string, unknown>; at: number | null }>;
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
  );
  if (severing !== null) recorder.history.severings.push(severing);
  try {
    const inForce = await apply(fault, ground);
    record.receipt = inForce.receipt;
    record.appliedAt = recorder.now();
    tell('applied', inForce.receipt.what);
    await until(loadAt + fault.atMs + fault.forMs, ground.signal);
    const { at, ...cure } = await inForce.cure();
    record.cure = cure;
    record.curedAt = at ?? recorder.now();
    if (severing !== null) severing.until = at;
    tell('cured', cure.what);
  } catch (error) {
    if (ground.signal.aborted) return;
    record.outcome = 'failed';
    record.because = error instanceof Error ? error.message : String(error);
    if (severing !== null) severing.until ??= null;
    tell('failed', record.because);
    recorder.trouble(`Fault ${fault.id} (${label}): ${record.because}`);
  }
}

async function until(instant: number, signal: AbortSignal): Promise<void> {
  const left = instant - performance.now();
  if (left > 0) await delay(left, undefined, { signal }).catch(() => {});
}

function apply(fault: PlannedFault, ground: Ground): Promise<InForce> {
  switch (fault.kind) {
    case 'partition':
      return onLinks(ground, pairsAcross(fault.groups), { kind: 'cut' });
    case 'link':
      return onLinks(ground, fault.pairs, fault.fault);
    case 'kill':
    case 'restart':
    case 'wipe':
      return outage(fault, ground);
    case 'pause':
      return pause(fault.node, ground);
    case 'engine':
      return perturb(fault, ground);
    case 'adversary':
      return adversary(fault, ground);
  }
}

async function onLinks(ground: Ground, pairs: readonly Pair[], effect: LinkFault): Promise<InForce> {
  const applied = await ground.testnet.links.apply(pairs, effect);
  return {
    receipt: proof(applied.receipt),
    async cure() {
      const receipt = await applied.cure();
      return { ...proof(receipt), at: ground.recorder.at(receipt.at) };
    },
  };
}

const proof = ({ what, evidence }: Receipt): { what: string; evidence: Record<string, unknown> } => ({
  what,
  evidence,
});

async function pause(name: string, ground: Ground): Promise<InForce> {
  const node = nodeNamed(ground, name);
  const receipt = await node.pause();
  return {
    receipt: proof(receipt),
    async cure() {
      const resumed = await node.resume();
      return { ...proof(resumed), at: ground.recorder.at(resumed.at) };
    },
  };
}

/** Commits that a node acknowledges while nobody can hear it, right before it is killed. */
const witnesses = 3;

/** Takes the node's links down, has it acknowledge what only its own disk will know, and ends it. */
async function takeDown(
  name: string,
  ground: Ground,
  how: 'kill' | 'terminate',
  witnessed: boolean,
): Promise<{ links: AppliedLinkFault | null; receipt: Receipt }> {
  const { recorder, observers } = ground;
  const node = nodeNamed(ground, name);
  // Its links first, so that no proxy dials a dead address, and nothing it acknowledges from now on can leave it.
  const links = await cutOff(name, ground);
  if (witnessed && links !== null) {
    await Promise.all(Array.from({ length: witnesses }, () => observers.commit(name, 'witness')));
  }
  observers.expectEnd(name);
  const receipt = how === 'terminate' ? await node.terminate() : await node.kill();
  lifeEnds(ground, name, how === 'terminate' ? 'terminated' : 'killed', recorder.at(receipt.at));
  return { links, receipt };
}

/** null where an engine has no links to take down. */
async function cutOff(name: string, { abilities, testnet, plan }: Ground): Promise<AppliedLinkFault | null> {
  if (!abilities.has('links')) return null;
  const names = plan.nodes.map((node) => node.name);
  return testnet.links.apply(pairsOf(name, names), { kind: 'down' });
}

/** Starts it again and has its links back; the cure of everything that stopped it. */
async function bringBack(
  name: string,
  ground: Ground,
  wiped: boolean,
  links: AppliedLinkFault | null,
): Promise<{ what: string; evidence: Record<string, unknown>; at: number | null }> {
  const { recorder } = ground;
  const { reachableAt } = await bringUp(ground, name, wiped, async () => {
    const cured = await links?.cure();
    return cured === undefined ? 0 : recorder.at(cured.at);
  });
  const life = recorder.history.lives.findLast((one) => one.node === name)!;
  const what = reachableAt === null ? `${name} did not come back: ${life.end}` : `${name} accepts TLS again`;
  return { what, evidence: { startedAt: life.startedAt, readyAt: life.readyAt }, at: reachableAt };
}

async function outage(
  fault: PlannedFault & { kind: 'kill' | 'restart' | 'wipe' },
  ground: Ground,
): Promise<InForce> {
  const { links, receipt } = await takeDown(
    fault.node,
    ground,
    fault.kind === 'restart' ? 'terminate' : 'kill',
    fault.kind !== 'wipe',
  );
  const wiped = fault.kind === 'wipe' ? await nodeNamed(ground, fault.node).wipe() : null;
  return {
    receipt: {
      what: wiped === null ? receipt.what : `${receipt.what}; ${wiped.what}`,
      evidence: { ...receipt.evidence, ...(wiped === null ? {} : { wiped: wiped.evidence }) },
    },
    cure: () => bringBack(fault.node, ground, fault.kind === 'wipe', links),
  };
}

type Engine = PlannedFault & { kind: 'engine' };

function perturbed(
  fault: Engine,
  { testnet }: Ground,
): Promise<{ receipt: Receipt; cure(): Promise<Receipt> }> {
  if (testnet.perturb === undefined)
    throw new Error(`the engine claims the ability ${fault.ability} but has no way to use it`);
  return testnet.perturb(fault.ability as Ability, fault.node, fault.options);
}

async function perturb(fault: Engine, ground: Ground): Promise<InForce> {
  if (fault.ability !== 'unplug') return changed(fault, ground);
  const applied = await perturbed(fault, ground);
  return {
    receipt: proof(applied.receipt),
    async cure() {
      const receipt = await applied.cure();
      return { ...proof(receipt), at: ground.recorder.at(receipt.at) };
    },
  };
}

/**
 * The node is taken down, something about it is changed, and until the cure it may run so, in the midst of the others: what it does
 * then is not held against it, what it had acknowledged before is.
 */
async function changed(fault: Engine, ground: Ground): Promise<InForce> {
  const { links, receipt: ended } = await takeDown(fault.node, ground, 'terminate', true);
  const applied = await perturbed(fault, ground);
  const runs = nodeNamed(ground, fault.node).state === 'ready';
  if (runs) await links?.cure();
  return {
    receipt: {
      what: applied.receipt.what,
      evidence: { ...applied.receipt.evidence, stopped: ended.evidence },
    },
    async cure() {
      const cut = runs ? await cutOff(fault.node, ground) : links;
      const undone = await applied.cure();
      const back = await bringBack(fault.node, ground, false, cut);
      return {
        ...back,
        what: `${undone.what}; ${back.what}`,
        evidence: { ...undone.evidence, ...back.evidence },
      };
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
