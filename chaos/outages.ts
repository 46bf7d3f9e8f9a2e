/**
 * Faults under which a node ends: killed, restarted, wiped, or taken down so that something about it can be changed. Whatever goes wrong
 * on the way, what took effect can be undone: the node runs among the others again. Knows abilities, no engine.
 */

import type { Ability, NodeState, Receipt } from '../harness/engine.ts';
import type { AppliedLinkFault } from '../harness/links/fault-plane.ts';
import type { PlannedFault } from '../harness/plan.ts';
import { bringUp, type Ground, type InForce, type Lifts, lifeEnds, nodeNamed, proof } from './ground.ts';
import { pairsOf } from './severing.ts';

/** A node that is being taken down, and what of it would have to be undone. */
interface Outage {
  readonly node: string;
  readonly ground: Ground;
  readonly how: 'kill' | 'terminate';
  /** In the order in which they were applied; each can be cured again and again. */
  readonly cuts: AppliedLinkFault[];
  /** Its disk was emptied, or perhaps not quite. */
  wiped: boolean;
}

/** To be undone from now on if the fault fails. */
function outageOf(node: string, ground: Ground, how: Outage['how'], lifts: Lifts): Outage {
  const made: Outage = { node, ground, how, cuts: [], wiped: false };
  lifts.push(() => restore(made));
  return made;
}

/** Commits that a node acknowledges while nobody can hear it, right before it is killed. */
const witnesses = 3;

/** Takes the node's links down, has it acknowledge what only its own disk will know, and ends it. */
async function takeDown(outage: Outage, witnessed: boolean): Promise<Receipt> {
  const { node: name, ground, how } = outage;
  const { recorder, observers } = ground;
  const node = nodeNamed(ground, name);
  // Its links first, so that no proxy dials a dead address, and nothing it acknowledges from now on can leave it.
  const cut = await cutOff(outage);
  if (witnessed && cut !== null) {
    await Promise.all(Array.from({ length: witnesses }, () => observers.commit(name, 'witness')));
  }
  observers.expectEnd(name);
  const receipt = how === 'terminate' ? await node.terminate() : await node.kill();
  lifeEnds(ground, name, endOf(how), recorder.at(receipt.at));
  return { ...receipt, evidence: { ...cut?.evidence, ...receipt.evidence } };
}

const endOf = (how: Outage['how']): string => (how === 'terminate' ? 'terminated' : 'killed');

/** null where an engine has no links to take down. */
async function cutOff({ node, ground, cuts }: Outage): Promise<Receipt | null> {
  const { abilities, testnet, plan } = ground;
  if (!abilities.has('links')) return null;
  const names = plan.nodes.map(({ name }) => name);
  const cut = await testnet.links.apply(pairsOf(node, names), { kind: 'down' });
  cuts.push(cut);
  return cut.receipt;
}

/** The receipt of the last one, or null where none was cut. */
async function linksBack({ cuts }: Outage): Promise<Receipt | null> {
  let last: Receipt | null = null;
  for (const cut of cuts) last = await cut.cure();
  return last;
}

/** Starts it again and has its links back; the cure of everything that stopped it. */
async function bringBack(
  outage: Outage,
): Promise<{ what: string; evidence: Record<string, unknown>; at: number | null }> {
  const { node: name, ground, wiped } = outage;
  const { recorder } = ground;
  let lifted: Receipt | null = null;
  const { reachableAt } = await bringUp(ground, name, wiped, async () => {
    lifted = await linksBack(outage);
    return lifted === null ? 0 : recorder.at(lifted.at);
  });
  const life = recorder.history.lives.findLast((one) => one.node === name)!;
  const what = reachableAt === null ? `${name} did not come back: ${life.end}` : `${name} accepts TLS again`;
  const { startedAt, readyAt } = life;
  const links = (lifted as Receipt | null)?.evidence;
  return { what, evidence: { ...links, startedAt, readyAt }, at: reachableAt };
}

const runs: ReadonlySet<NodeState> = new Set<NodeState>(['starting', 'ready', 'paused']);

/** It runs as itself and its links work, whatever became of it half way; one that had failed by itself stays so. */
async function restore(outage: Outage): Promise<number | null> {
  const { node: name, ground, how } = outage;
  const { recorder } = ground;
  const node = nodeNamed(ground, name);
  const life = recorder.history.lives.findLast((one) => one.node === name)!;
  const lives = life.endedAt === null && runs.has(node.state);
  if (lives || life.end?.startsWith('failed')) {
    await linksBack(outage);
    if (lives) life.reachableAt ??= recorder.now();
    return recorder.now();
  }
  // Started by whoever changed it, in a life that counts for nothing.
  if (runs.has(node.state)) await node.kill();
  if (life.endedAt === null) lifeEnds(ground, name, endOf(how), recorder.now());
  return (await bringBack(outage)).at;
}

export async function outage(
  fault: PlannedFault & { kind: 'kill' | 'restart' | 'wipe' },
  ground: Ground,
  lifts: Lifts,
): Promise<InForce> {
  const down = outageOf(fault.node, ground, fault.kind === 'restart' ? 'terminate' : 'kill', lifts);
  const receipt = await takeDown(down, fault.kind !== 'wipe');
  if (fault.kind !== 'wipe') return { receipt: proof(receipt), cure: () => bringBack(down) };
  down.wiped = true;
  const wiped = await nodeNamed(ground, fault.node).wipe();
  return {
    receipt: {
      what: `${receipt.what}; ${wiped.what}`,
      evidence: { ...receipt.evidence, wiped: wiped.evidence },
    },
    cure: () => bringBack(down),
  };
}

type Engine = PlannedFault & { kind: 'engine' };

export function perturbed(
  fault: Engine,
  { testnet }: Ground,
): Promise<{ receipt: Receipt; cure(): Promise<Receipt> }> {
  if (testnet.perturb === undefined)
    throw new Error(`the engine claims the ability ${fault.ability} but has no way to use it`);
  return testnet.perturb(fault.ability as Ability, fault.node, fault.options);
}

/**
 * The node is taken down, something about it is changed, and until the cure it may run so, in the midst of the others: what it does
 * then is not held against it, what it had acknowledged before is.
 */
export async function changed(fault: Engine, ground: Ground, lifts: Lifts): Promise<InForce> {
  const down = outageOf(fault.node, ground, 'terminate', lifts);
  const { evidence: stopped } = await takeDown(down, true);
  const applied = await perturbed(fault, ground);
  let curing: Promise<Receipt> | null = null;
  const changeBack = (): Promise<Receipt> => {
    curing ??= applied.cure();
    return curing;
  };
  // Before the outage: a node that is still changed is not to be judged by how it comes up.
  lifts.push(async () => {
    await changeBack();
    return ground.recorder.now();
  });
  const isUp = nodeNamed(ground, fault.node).state === 'ready';
  if (isUp) await linksBack(down);
  return {
    receipt: { what: applied.receipt.what, evidence: { ...applied.receipt.evidence, stopped } },
    async cure() {
      if (isUp) await cutOff(down);
      const undone = await changeBack();
      const back = await bringBack(down);
      return {
        ...back,
        what: `${undone.what}; ${back.what}`,
        evidence: { ...undone.evidence, ...back.evidence },
      };
    },
  };
}
