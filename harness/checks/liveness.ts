/**
 * Liveness: what has to happen, and by when. Discovery, convergence, sync and message latency against the targets of §9, measured
 * as `metrics.ts` says; and that the load was taken at all.
 */

import { soundNodes } from '../discovery.ts';
import { type History, lifeAt } from '../history.ts';
import { crowdedOut, isPressed } from '../host.ts';
import { described, type Measured, type Sample } from '../metrics.ts';
import type { Obligation } from '../obligations.ts';
import type { Finding } from '../verdict.ts';
import { excuse, finding, judgeTarget, listed, ownTrouble, unless } from './finding.ts';
import { nothingSent } from './safety.ts';

/** Every node that was started became ready and ended only when it was told to. */
export function nodesUp(history: History): Finding {
  const id = 'nodes.up';
  if (history.lives.length === 0) return finding(id, [], 'unknown', 'No node was started.');
  const failed = history.lives.filter(
    (life) => life.end?.startsWith('failed') || (life.readyAt === null && life.end === null),
  );
  if (failed.length > 0) {
    const lines = failed.map((life) => `${described(history, life.node)}: ${life.end ?? 'never listened'}`);
    return finding(
      id,
      [],
      'fail',
      `${lines[0]}${lines.length > 1 ? `; and ${lines.length - 1} more` : ''}.`,
      lines,
      [...new Set(failed.map(({ node }) => node))],
    );
  }
  const sound = soundNodes(history);
  const mute = history.lives.filter(
    (life) =>
      !sound.has(life.node) &&
      life.reachableAt !== null &&
      life.readyAt !== null &&
      (life.endedAt ?? history.endedAt) - life.readyAt > 10_000,
  );
  if (mute.length > 0) {
    const names = [...new Set(mute.map(({ node }) => node))];
    const because = `${listed(history, names)} accepted TLS but never answered an observer with its peers, or no other node ever named it as one.`;
    return unless(ownTrouble(history), finding(id, [], 'fail', because, names, names));
  }
  const nodes = new Set(history.lives.map(({ node }) => node)).size;
  return finding(
    id,
    [],
    'pass',
    `${nodes} nodes came up, in ${history.lives.length} starts; none ended untold.`,
  );
}

/** Late discoveries that all fell into moments in which others than nodes and harness held the host say nothing of the nodes. */
export function discovery(history: History, measured: Measured): Finding {
  const targetMs = history.plan.expectations.discoveryMs;
  const found = judgeTarget(history, {
    id: 'liveness.discovery',
    proves: ['DSC-07'],
    things: 'starts',
    samples: measured.discovery,
    targetMs,
    statistic: 'max',
    atLeast: 1,
  });
  const nodes = new Set(measured.discovery.map(({ node }) => node)).size;
  const all = history.plan.nodes.length;
  if (nodes > 0 && nodes < all) found.because += ` Measured on ${nodes} of ${all} nodes.`;
  if (found.verdict !== 'fail') return found;
  const shares = measured.discovery
    .filter(({ value, lookedForMs }) => (value ?? lookedForMs) >= targetMs)
    .map(({ at, value, lookedForMs }) => crowdedOut(history.host.seconds, at, at + (value ?? lookedForMs)));
  if (shares.some((share) => share === null)) return found;
  const least = Math.round(100 * Math.min(...shares.map((share) => share!)));
  const because = `${found.because} Each time the host was full, ${least} % and more of it with others than nodes and harness, such as the container engine.`;
  return finding(found.id, found.proves, 'unknown', because, found.evidence);
}

export function convergence(history: History, measured: Measured): Finding {
  const targetMs = history.plan.expectations.convergenceMs;
  if (history.plan.load.commitsPerSecond === 0) {
    return finding('liveness.convergence', ['MET-02'], 'skipped', 'The scenario has no load.');
  }
  return judgeTarget(history, {
    id: 'liveness.convergence',
    proves: ['MET-02'],
    things: 'commits',
    samples: measured.convergence,
    targetMs,
    statistic: 'max',
    atLeast: 10,
    blame: () => blameForCommits(history, measured.obligations, targetMs, 'fresh'),
  });
}

export function sync(history: History, measured: Measured): Finding {
  const targetMs = history.plan.expectations.syncMs;
  const planned =
    history.plan.nodes.some(({ startAtMs }) => startAtMs > 0) ||
    history.faults.some(({ outcome }) => outcome === 'applied') ||
    history.severings.length > 0;
  const proves = ['SYN-09', ...(history.severings.some((s) => s.kind === 'partition') ? ['AEN-08'] : [])];
  if (!planned) {
    const because = 'Nothing in this run makes a node fall behind: no late joiner, no fault.';
    return finding('liveness.sync', proves, 'skipped', because);
  }
  if (measured.sync.length === 0 && nothingSent(history)) {
    return finding(
      'liveness.sync',
      proves,
      'skipped',
      'The scenario has no load, so that nothing was missed.',
    );
  }
  if (measured.sync.length === 0 && !history.severings.length) {
    return finding('liveness.sync', proves, 'skipped', 'No fault of this run cut a node off.');
  }
  return judgeTarget(history, {
    id: 'liveness.sync',
    proves,
    things: 'nodes that had to catch up',
    samples: measured.sync,
    targetMs,
    statistic: 'max',
    atLeast: 1,
    blame: () => blameForCommits(history, measured.obligations, targetMs, 'behind'),
  });
}

/**
 * Who is at fault when items are late: a node that took an item which half or more of the others did not get in time has not
 * spread it; else those who lack it have not fetched it.
 */
export function blameForCommits(
  history: History,
  owed: readonly Obligation[],
  targetMs: number,
  kind: 'fresh' | 'behind',
): { culprits: string[]; text: string } {
  const byCommit = new Map<string, Obligation[]>();
  for (const obligation of owed) {
    if ((obligation.reason === 'fresh') !== (kind === 'fresh')) continue;
    byCommit.set(obligation.commit.hash, [...(byCommit.get(obligation.commit.hash) ?? []), obligation]);
  }
  const keepers = new Map<string, number>();
  const laggards = new Map<string, number>();
  const count = (map: Map<string, number>, node: string): void =>
    void map.set(node, (map.get(node) ?? 0) + 1);
  for (const list of byCommit.values()) {
    const missed = list.filter((o) =>
      o.seenAt === null ? o.lookedUntil - o.from >= targetMs : o.seenAt - o.from >= targetMs,
    );
    if (missed.length === 0) continue;
    if (list.length > 2 && missed.length * 2 >= list.length) count(keepers, list[0]!.commit.node);
    else for (const { node } of missed) count(laggards, node);
  }
  const parts: string[] = [];
  const told = (map: Map<string, number>, what: string): void => {
    const worst = [...map].sort((a, b) => b[1] - a[1]);
    for (const [node, times] of worst.slice(0, 4))
      parts.push(`${described(history, node)} ${what.replace('#', String(times))}`);
    if (worst.length > 4) parts.push(`${worst.length - 4} more nodes likewise`);
  };
  told(keepers, 'took # commits that most others did not get in time');
  told(laggards, 'did not have # commits in time');
  return {
    culprits: [...new Set([...keepers.keys(), ...laggards.keys()])],
    text: parts.join('; ') || 'Missed',
  };
}

const samplesForP95 = 200;
const samplesForOne = 50;

export function messageLatency(history: History, measured: Measured): Finding {
  const base = {
    id: 'latency.message',
    proves: ['MET-01'],
    things: 'answers',
    targetMs: history.plan.expectations.messageLatencyP95Ms,
    statistic: 'p95' as const,
    atLeast: samplesForP95,
  };
  // One slow node among many hides in a common percentile, so each with enough answers is judged by itself too.
  const byNode = new Map<string, Sample[]>();
  for (const sample of measured.latency) {
    const list = byNode.get(sample.node);
    if (list === undefined) byNode.set(sample.node, [sample]);
    else list.push(sample);
  }
  const slow = [...byNode]
    // Of a node that came late there may be too few answers to say anything.
    .filter(([, samples]) => samples.length >= samplesForOne)
    .map(([node, samples]) => {
      const own = { ...base, atLeast: samplesForOne, samples: atItsOwnPace(history, samples) };
      return { node, found: judgeTarget(history, own) };
    })
    .filter(
      ({ found }) => found.verdict === 'fail' || (found.verdict === 'unknown' && excuse(history) !== null),
    );
  const whole = judgeTarget(history, { ...base, samples: measured.latency });
  const worst = slow[0];
  if (worst === undefined || whole.verdict === 'unknown') return whole;
  const names = slow.map(({ node }) => node);
  const because = `${listed(history, names)} answered too slowly; ${worst.node}: ${worst.found.because}`;
  const { verdict, evidence } = worst.found;
  return finding(base.id, base.proves, verdict, because, evidence, verdict === 'fail' ? names : []);
}

/**
 * A few seconds in which the host had nothing left are one event and slow answers of everybody: they count for the net, but say
 * nothing of a single node. With nothing else to go by, all do.
 */
function atItsOwnPace(history: History, samples: readonly Sample[]): readonly Sample[] {
  const { seconds, facts } = history.host;
  const full = seconds.filter((second) => isPressed(second, facts.memoryMiB));
  const free = samples.filter(
    ({ at, lookedForMs }) =>
      !full.some((second) => second.at > at && second.at - second.ms < at + lookedForMs),
  );
  return free.length >= samplesForOne ? free : samples;
}

/** How long a request to a live node may go without an answer before it counts as none. */
const answerWithinMs = 10_000;

/** The load was sent, and every live node took what it was sent. */
export function loadAcknowledged(history: History): Finding {
  const id = 'load.acknowledged';
  const planned = Math.floor((history.plan.load.commitsPerSecond * history.plan.durationMs) / 1000);
  if (planned === 0) return finding(id, [], 'skipped', 'The scenario has no load.');
  const sent = history.commits.filter(({ purpose }) => purpose === 'load');
  const taken = sent.filter(({ outcome }) => outcome === 'accepted').length;
  const refused = sent.filter((commit) => {
    if (commit.outcome === 'accepted') return false;
    if (commit.outcome === 'refused') return true;
    const life = lifeAt(history, commit.node, commit.sentAt);
    const heldBack = history.severings.some(
      (s) =>
        s.kind === 'pause' &&
        s.sides.flat().includes(commit.node) &&
        s.from < commit.sentAt + answerWithinMs &&
        (s.until ?? Infinity) > commit.sentAt,
    );
    const end = Math.min(life?.endedAt ?? history.endedAt, history.endedAt);
    return life !== null && !heldBack && end - commit.sentAt >= answerWithinMs;
  });
  if (refused.length > 0) {
    const nodes = [...new Set(refused.map(({ node }) => node))];
    const first = refused[0]!;
    const because = `${listed(history, nodes)} did not take ${refused.length} of ${sent.length} commits of honest agents within the limits; first: ${first.outcome} (${first.detail}).`;
    // A refusal is the node's own doing; that no answer came may be the host's or ours.
    const silent = refused.every(({ outcome }) => outcome === 'unanswered');
    return unless(silent ? excuse(history) : null, finding(id, [], 'fail', because, refused, nodes));
  }
  if (sent.length < planned * 0.8) {
    return finding(id, [], 'unknown', `Only ${sent.length} of ${planned} planned commits were sent.`);
  }
  const others = taken === sent.length ? '' : ', the others sent to nodes that were just stopped';
  return finding(id, [], 'pass', `${taken} of ${sent.length} commits were accepted${others}.`);
}
