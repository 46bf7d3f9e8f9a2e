/**
 * Safety: what must never happen, over the whole history: acknowledged items lost, a checkpoint that falls, honest peers cut off.
 * What adversaries must not achieve is `limits.ts`. A check that nothing put to the test is `unknown` where the plan meant to,
 * and `skipped` where it did not.
 */

import type { CommitSent, History } from '../history.ts';
import { described } from '../metrics.ts';
import { acceptedCommits, goneWithTheirDisks, onDisksNotAsked, sightingKey } from '../obligations.ts';
import type { Finding } from '../verdict.ts';
import { excuse, finding, listed, unless } from './finding.ts';

/** Nobody was to be given anything: then nothing can be lost, nor shown. */
export const nothingSent = (history: History): boolean =>
  history.plan.load.commitsPerSecond === 0 && history.commits.length === 0;

const noLoad = 'The scenario has no load.';

/** Nothing acknowledged is lost: not by the node that acknowledged it, over any restart, and not by the net. */
export function durability(history: History): Finding {
  const [id, proves] = ['safety.durability', ['DUR-01']];
  const accepted = acceptedCommits(history);
  if (nothingSent(history)) return finding(id, proves, 'skipped', noLoad);
  if (accepted.length === 0) return finding(id, proves, 'unknown', 'No commit was acknowledged.');
  if (history.census.length === 0)
    return finding(id, proves, 'unknown', 'No node could be asked at the end for what it holds.');
  const { lost, excused, survivors, unasked } = fates(history, accepted);
  if (lost.length > 0) {
    const nodes = [...new Set(lost.map(({ node }) => node))];
    const because = `${listed(history, nodes)} acknowledged ${lost.length} commits that were lost; first: ${lost[0]!.hash.slice(0, 12)}, ${lost[0]!.how}.`;
    return finding(id, proves, 'fail', because, lost, nodes);
  }
  const witnesses = witnessed(history, unasked);
  if (witnesses.lost.length > 0) {
    const nodes = [...new Set(witnesses.lost.map(({ node }) => node))];
    const because = `${listed(history, nodes)} acknowledged commits right before being killed and did not have them after the restart: ${witnesses.lost.length} of ${witnesses.sent}.`;
    return finding(id, proves, 'fail', because, witnesses.lost, nodes);
  }
  const left =
    unasked.size === 0
      ? ''
      : ` Nothing is said of ${unasked.size} that none of the others has: ${listed(history, [...unasked.values()].flat())}, who had them, could not be asked at the end.`;
  const judged = accepted.length - unasked.size;
  if (judged === 0) return finding(id, proves, 'unknown', `No commit can be judged.${left}`);
  const tail = `${excused > 0 ? ` ${excused} went with a wiped disk before anybody else had them.` : ''}${left}`;
  const held = `${left === '' ? 'All ' : ''}${judged} acknowledged commits are held at the end`;
  const killed = history.lives.some((life) => life.end === 'killed');
  if (!killed || survivors === 0) {
    const why = killed ? 'no killed node could be asked for what it had taken before' : 'no node was killed';
    return finding(id, [], 'pass', `${held}; ${why}, so that nothing is said about restarts.${tail}`);
  }
  const because = `${held}; ${survivors} were acknowledged by nodes that were then killed or restarted, ${witnesses.asked} of them milliseconds before, when nobody else could know them.${tail}`;
  return finding(id, proves, 'pass', because);
}

/** What became of each acknowledged commit. `survivors`: had by the node that took it after a restart. */
function fates(
  history: History,
  accepted: readonly CommitSent[],
): {
  lost: { hash: string; node: string; how: string }[];
  excused: number;
  survivors: number;
  unasked: Map<string, string[]>;
} {
  const lacks = new Map(history.census.map((census) => [census.node, new Set(census.lacks)]));
  const gone = goneWithTheirDisks(history);
  const unasked = onDisksNotAsked(history);
  const lost: { hash: string; node: string; how: string }[] = [];
  let excused = 0;
  let survivors = 0;
  for (const { hash, node, life } of accepted) {
    const later = history.lives.filter((other) => other.node === node && other.number > life);
    const wiped = later.some((other) => other.wiped);
    const atEnd = lacks.get(node);
    const everywhereGone = [...lacks.values()].every((set) => set.has(hash));
    if (gone.has(hash)) excused += 1;
    else if (atEnd?.has(hash) && !wiped)
      lost.push({
        hash,
        node,
        how: everywhereGone
          ? 'no node holds it at the end'
          : 'the node that acknowledged it does not hold it at the end',
      });
    else if (unasked.has(hash)) continue;
    else if (everywhereGone) lost.push({ hash, node, how: 'no node holds it at the end' });
    else if (later.length > 0 && !wiped && atEnd !== undefined) survivors += 1;
  }
  return { lost, excused, survivors, unasked };
}

/** Witness commits, and those which the restarted node had not shown though it was up and watched for a while. */
function witnessed(
  history: History,
  unasked: ReadonlyMap<string, unknown>,
): { sent: number; asked: number; lost: { hash: string; node: string }[] } {
  const sent = acceptedCommits(history).filter(({ purpose }) => purpose === 'witness');
  const seen = new Set(history.sightings.map((s) => sightingKey(s.hash, s.node, s.life)));
  const lost = sent.filter(({ hash, node, life }) => {
    const next = history.lives.find((other) => other.node === node && other.number === life + 1);
    if (next === undefined || next.wiped || next.readyAt === null) return false;
    const longEnough = (next.endedAt ?? history.endedAt) - next.readyAt > 5_000;
    return longEnough && !seen.has(sightingKey(hash, node, next.number));
  });
  return { sent: sent.length, asked: sent.filter(({ hash }) => !unasked.has(hash)).length, lost };
}

/** A digest is a claim: who lists an item's hash has to hand the item out, whole. */
export function holdsWhatItShows(history: History): Finding {
  const [id, proves] = ['safety.holds-what-it-shows', ['GFM-03']];
  const tried = history.census.flatMap(({ node, handedOut }) => handedOut.map((one) => ({ node, ...one })));
  const answered = tried.filter(({ whole }) => whole !== null);
  const hollow = answered.filter(({ whole }) => whole === false);
  if (hollow.length > 0) {
    const nodes = [...new Set(hollow.map(({ node }) => node))];
    const because = `${listed(history, nodes)} listed items in sync_digest and did not hand them out when asked: ${hollow.length} of ${answered.length}; first: ${hollow[0]!.hash.slice(0, 12)}.`;
    return finding(id, proves, 'fail', because, hollow, nodes);
  }
  if (answered.length === 0 && nothingSent(history)) return finding(id, proves, 'skipped', noLoad);
  if (answered.length === 0) return finding(id, proves, 'unknown', 'No node was asked for an item it shows.');
  const because = `${answered.length} items, asked for one by one, were handed out whole by the nodes that show them.`;
  return finding(id, proves, 'pass', because);
}

const defaultCheckpointIntervalS = 60;

/** A node's checkpoint only ever becomes better: height never falls, and at one height the hash never rises. */
export function checkpointHeight(history: History): Finding {
  const [id, proves] = ['safety.checkpoint-height', ['SYN-06']];
  const worse: unknown[] = [];
  const culprits = new Set<string>();
  let changes = 0;
  for (const { name } of history.plan.nodes) {
    const seen = history.checkpoints.filter(({ node }) => node === name).sort((a, b) => a.at - b.at);
    for (let i = 1; i < seen.length; i += 1) {
      const [before, after] = [seen[i - 1]!, seen[i]!];
      const wiped = history.lives.some(
        (life) => life.node === name && life.wiped && life.number > before.life && life.number <= after.life,
      );
      if (wiped) continue;
      const fell = after.height < before.height;
      const rose =
        after.height === before.height &&
        after.hash !== null &&
        before.hash !== null &&
        after.hash > before.hash;
      if (after.height > before.height) changes += 1;
      if (!fell && !rose) continue;
      worse.push({
        node: name,
        at: after.at,
        from: [before.height, before.hash],
        to: [after.height, after.hash],
      });
      culprits.add(name);
    }
  }
  if (worse.length > 0) {
    const because = `${listed(history, culprits)} went back to a worse checkpoint ${worse.length} times.`;
    return finding(id, proves, 'fail', because, worse, [...culprits]);
  }
  if (changes > 0) {
    const highest = history.checkpoints.reduce((most, { height }) => Math.max(most, height), 0);
    return finding(
      id,
      proves,
      'pass',
      `${changes} times a node was seen on a higher checkpoint, never on a worse one; highest ${highest}.`,
    );
  }
  // A node whose state is empty has nothing to cut.
  if (nothingSent(history)) return finding(id, proves, 'skipped', noLoad);
  const interval = Math.min(
    ...history.plan.nodes.map(
      ({ parameters }) => parameters.checkpoint_interval_s ?? defaultCheckpointIntervalS,
    ),
  );
  if (interval === 0 || interval * 1000 * 1.5 > history.plan.durationMs) {
    return finding(
      id,
      proves,
      'skipped',
      `The load of ${history.plan.durationMs / 1000} s is too short for checkpoints every ${interval} s.`,
    );
  }
  return finding(id, proves, 'unknown', 'No node was ever seen on a new checkpoint.');
}

/** Observers keep all rules; a node that ends their connections or refuses their requests cuts off honest peers. */
export function noHonestCutOff(history: History): Finding {
  const [id, proves] = ['safety.no-honest-cut-off', ['FLD-04']];
  const asked = history.roundTrips.length;
  if (asked === 0 && history.rebuffs.length === 0)
    return finding(id, [], 'unknown', 'No observer was ever connected.');
  const unfair = history.rebuffs.filter(
    ({ node, at }) =>
      !history.severings.some(
        (s) =>
          (s.kind === 'pause' || s.kind === 'outage') &&
          s.sides.flat().includes(node) &&
          s.from <= at + 500 &&
          at <= (s.until ?? Infinity) + 12_000,
      ),
  );
  if (unfair.length > 0) {
    const nodes = [...new Set(unfair.map(({ node }) => node))];
    const first = unfair[0]!;
    const because = `${listed(history, nodes)} turned honest observers away ${unfair.length} times; first: ${described(history, first.node)}, ${first.what}${first.code === null ? '' : ` ${first.code}`} ${first.detail}.`;
    // A refusal in words or by code is the node's own doing; that nothing came in time may be the host's or ours.
    const deliberate = unfair.some(
      ({ what, code }) => what === 'error' || code === 1000 || (code ?? 0) >= 4000,
    );
    return unless(deliberate ? null : excuse(history), finding(id, proves, 'fail', because, unfair, nodes));
  }
  const attacked = history.adversaries.length > 0 ? ', also while others attacked' : '';
  const because = `${asked} requests of honest observers were answered and none of their connections was ended${attacked}.`;
  return finding(id, history.adversaries.length > 0 ? proves : [], 'pass', because);
}
