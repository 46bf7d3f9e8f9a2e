/**
 * When anti-entropy (§8) is due, and with whom. It owns the rounds; what a pull does is `reconcile.ts`'s.
 */
import { isBusy } from './flux.ts';
import { pickRandom } from './link.ts';
import { pull } from './reconcile.ts';
import type { Link, NodeState } from './state.ts';

/** So many times what answers usually take, and no less than the least: then a peer's silence means something. */
const patienceFactor = 4;
const leastPatienceMs = 250;

/** "Every 1 s a node does so with one random peer that has `sync`." */
export function scheduleRounds(node: NodeState): void {
  const everyMs = node.parameters.antiEntropyIntervalMs;
  if (everyMs === 0) return;
  let current = 0;
  const begin = (nth: number) => {
    const peers = node.persistent.filter((link) => link.syncs && !link.peer.reconciling.pull);
    const [link] = pickRandom(node, peers, 1);
    if (!link) return;
    node.counters.antiEntropyRounds++;
    pull(node, link);
    const beganAtMs = node.nowMs;
    // A round with a peer that does not answer is none. A node of whose ten peers nine are behind a cut link would else find the
    // tenth only after as many seconds.
    node.deadlines.at(beganAtMs + patienceMs(node, everyMs), () => {
      if (nth !== current || node.stopped || isBusy(node) || hasAnswered(link, beganAtMs)) return;
      begin(nth);
    });
  };
  const round = () => {
    if (node.stopped) return;
    node.deadlines.at(node.nowMs + everyMs, round);
    current++;
    begin(current);
  };
  node.deadlines.at(node.nowMs + everyMs * node.world.random(), round);
}

function patienceMs(node: NodeState, everyMs: number): number {
  return Math.min(everyMs, Math.max(leastPatienceMs, patienceFactor * node.reconciling.usualAnswerMs));
}

function hasAnswered(link: Link, sinceMs: number): boolean {
  const { answered } = link.peer.reconciling;
  return answered !== null && answered.atMs >= sinceMs;
}
