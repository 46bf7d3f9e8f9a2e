/**
 * What adversaries must not achieve: more peers, messages or bytes than the limits allow, and any effect of what was refused. Reads
 * their records; a limit that was never reached is `unknown`.
 */

import {
  type AdversaryRecord,
  type AttackKind,
  type History,
  livesAtEnd,
  type Severing,
  separates,
} from '../history.ts';
import { described } from '../metrics.ts';
import type { Finding } from '../verdict.ts';
import { finding, listed } from './finding.ts';

const defaults = {
  commits_per_minute: 10,
  queries_per_minute: 30,
  bytes_per_second: 1_048_576,
  max_peers: 50,
};

const limitOf = (history: History, node: string, key: keyof typeof defaults): number =>
  history.plan.nodes.find(({ name }) => name === node)?.parameters[key] ?? defaults[key];

function attacks(history: History, ...kinds: AttackKind[]): AdversaryRecord[] {
  return history.adversaries.filter(({ outcomes }) => outcomes.some(({ kind }) => kinds.includes(kind)));
}

const planned = (history: History, behaviour: string): boolean =>
  history.plan.faults.some((fault) => fault.kind === 'adversary' && fault.behaviour === behaviour);

/** An engine or kernel that stopped a node, or held it, has its hands in what the node did from a while before until a while after. */
const aftermathMs = 12_000;

/** Whether a fault stopped the target or held it between two instants, or so shortly before that it may still show. */
function stopped(history: History, target: string, from: number, to: number): boolean {
  return history.severings.some(
    (s) =>
      (s.kind === 'pause' || s.kind === 'outage') &&
      s.sides.flat().includes(target) &&
      s.from <= to &&
      (s.until ?? Number.POSITIVE_INFINITY) + aftermathMs >= from,
  );
}

const outages = (history: History, target: string): Severing[] =>
  history.severings.filter(({ kind, sides }) => kind === 'outage' && sides.flat().includes(target));

const full = 'TOO_MANY_PEERS 4429';

/** How peers were turned away while nothing else had stopped the target: `TOO_MANY_PEERS 4429` → how often. */
function turnedAway(history: History, { target, outcomes }: AdversaryRecord): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind, outcome, at } of outcomes) {
    if (kind !== 'peer' || outcome === 'accepted' || stopped(history, target, at - 500, at + 500)) continue;
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

/** A link counts as a peer's if it was open in so many samples in a row: one for gossip alone ends within 10 s. */
const samplesNeeded = 11;
/** And all hostile ones that were open through the last of them. */
const samplesTogether = 3;

/** The most peers that a target had at a time: the adversary's connections, and pairs of its own that stayed through some samples. */
function mostPeers(history: History, { target, mostPeers: alone, ...record }: AdversaryRecord): number {
  let most = alone;
  for (let end = samplesNeeded; end <= history.linkSamples.length; end += 1) {
    const samples = history.linkSamples.slice(end - samplesNeeded, end);
    const [from, to] = [samples.at(-samplesTogether)!.at, samples.at(-1)!.at];
    if (to < record.from || from > record.until) continue;
    const pairs = samples.map(({ links }) => {
      const mine = links.filter((link) => (link.open ?? 0) > 0 && [link.from, link.to].includes(target));
      return new Set(mine.map((link) => (link.from === target ? link.to : link.from)));
    });
    // What is open across a cut may be so for one side only.
    const cut = history.severings.filter(
      (s) => s.from <= to && (s.until ?? Number.POSITIVE_INFINITY) >= samples[0]!.at,
    );
    const own = [...pairs[0]!].filter(
      (other) => pairs.every((set) => set.has(other)) && !cut.some((s) => separates(s, target, other)),
    );
    const before = record.peersOpen.findLast(({ at }) => at <= from)?.open ?? 0;
    const within = record.peersOpen.filter(({ at }) => at > from && at <= to).map(({ open }) => open);
    most = Math.max(most, own.length + Math.min(before, ...within));
  }
  return most;
}

/** Never more peers than allowed; who comes too late is told so. */
export function maxPeers(history: History): Finding {
  const [id, proves] = ['safety.max-peers', ['TOP-02']];
  if (!planned(history, 'flood')) {
    return finding(
      id,
      proves,
      'skipped',
      'Nothing in this scenario offers a node more peers than it may have (an adversary with behaviour flood does).',
    );
  }
  const records = attacks(history, 'peer').map((record) => ({
    target: record.target,
    most: mostPeers(history, record),
    hostile: record.mostPeers,
    allowed: Math.min(history.plan.expectations.maxPeers, limitOf(history, record.target, 'max_peers')),
    away: turnedAway(history, record),
  }));
  if (records.length === 0)
    return finding(id, proves, 'unknown', 'The adversary never got as far as offering peers.');
  const bad = records.filter(({ most, allowed }) => most > allowed);
  if (bad.length > 0) {
    const lines = bad.map(
      ({ target, most, hostile, allowed }) =>
        `${described(history, target)} had ${most} peers, ${hostile} of them of one adversary; allowed are ${allowed}`,
    );
    const names = bad.map(({ target }) => target);
    return finding(id, proves, 'fail', `${lines[0]}.`, lines, names);
  }
  const wrong = records.filter(({ away }) => Object.keys(away).some((how) => how !== full));
  if (wrong.length > 0) {
    const { target, away } = wrong[0]!;
    const because = `${described(history, target)} turned further peers away in another way than TOO_MANY_PEERS and close 4429: ${JSON.stringify(away)}.`;
    const names = wrong.map((record) => record.target);
    return finding(id, proves, 'fail', because, wrong, names);
  }
  const filled = records.find(({ away }) => (away[full] ?? 0) > 0);
  if (filled === undefined) return finding(id, proves, 'unknown', 'No node was ever full.');
  const { target, most, hostile, away } = filled;
  return finding(
    id,
    proves,
    'pass',
    `${target} had at most ${most} peers, up to ${hostile} of them of the adversary, and turned ${away[full]} away with TOO_MANY_PEERS and close 4429.`,
  );
}

/** Commits, queries and bytes beyond the limits had no effect and were told so. */
export function limits(history: History): Finding {
  const [id, proves] = ['safety.limits', ['FLD-01', 'FLD-02', 'FLD-03']];
  if (!planned(history, 'flood')) {
    return finding(id, proves, 'skipped', 'No adversary in this scenario floods a node.');
  }
  const records = attacks(history, 'commit', 'query', 'bytes');
  if (records.length === 0)
    return finding(id, proves, 'unknown', 'The adversary never got as far as flooding.');
  const bad: string[] = [];
  const unexposed: string[] = [];
  const good: string[] = [];
  const culprits = new Set<string>();
  for (const record of records) {
    const before = bad.length;
    // What it counts it need not remember over a restart.
    const restarted = outages(history, record.target).some(
      (s) => s.from <= record.until && (s.until ?? Number.POSITIVE_INFINITY) >= record.from,
    );
    if (restarted) {
      unexposed.push(`${record.target} was stopped by another fault meanwhile`);
      continue;
    }
    countLimit(history, record, 'commit', 'commits_per_minute', bad, unexposed, good);
    countLimit(history, record, 'query', 'queries_per_minute', bad, unexposed, good);
    byteLimit(history, record, bad, unexposed, good);
    if (bad.length > before) culprits.add(record.target);
  }
  if (bad.length > 0) return finding(id, proves, 'fail', `${bad.join('; ')}.`, bad, [...culprits]);
  if (unexposed.length > 0) return finding(id, proves, 'unknown', `${unexposed.join('; ')}.`);
  return finding(id, proves, 'pass', `${good.join('; ')}.`);
}

function countLimit(
  history: History,
  { target, outcomes, offered }: AdversaryRecord,
  kind: AttackKind,
  key: 'commits_per_minute' | 'queries_per_minute',
  bad: string[],
  unexposed: string[],
  good: string[],
): void {
  const limit = limitOf(history, target, key);
  const mine = outcomes.filter((o) => o.kind === kind);
  const taken = mine
    .filter(({ outcome }) => outcome === 'accepted')
    .map(({ at }) => at)
    .sort((a, b) => a - b);
  // Of a slow node: what it takes is synced before it is answered, what it limits is answered at once.
  const unanswered = (offered[kind] ?? mine.length) - mine.length;
  const limited = mine.filter(({ outcome }) => outcome === 'RATE_LIMIT').length;
  // Answers come a moment after the count; half a second of grace on a minute hides nobody.
  const most = taken.reduce(
    (worst, from, index) => Math.max(worst, taken.slice(index).filter((at) => at < from + 59_500).length),
    0,
  );
  const words = kind === 'commit' ? 'commits' : 'queries';
  if (most > limit)
    bad.push(
      `${described(history, target)} took ${most} ${words} of one peer within a minute, allowed are ${limit}`,
    );
  else if (limited === 0 || taken.length === 0 || (most < limit && unanswered > 0))
    unexposed.push(
      `${target}: ${taken.length} ${words} taken, ${limited} limited of ${mine.length + unanswered}`,
    );
  else if (most < limit)
    bad.push(`${described(history, target)} limited ${words} after ${most}, allowed are ${limit}`);
  else good.push(`${target} took ${most} ${words} of the flooder and answered RATE_LIMIT to ${limited}`);
}

/** FLD-03: "at 4 MiB/s no more than 1 MiB × (t + 1) is taken in". */
function byteLimit(
  history: History,
  record: AdversaryRecord,
  bad: string[],
  unexposed: string[],
  good: string[],
): void {
  const { target, outcomes, detail } = record;
  const rate = limitOf(history, target, 'bytes_per_second');
  const mine = outcomes
    .filter(({ kind, outcome }) => kind === 'bytes' && outcome === 'answered')
    .sort((a, b) => a.at - b.at);
  const offered = Number(detail.bytesOffered ?? 0);
  const started = Number(detail.bytesFrom ?? 0);
  const writingSeconds = Math.max(0, Number(detail.bytesUntil ?? 0) - started) / 1000;
  let taken = 0;
  let worst = 0;
  for (const { at, bytes } of mine) {
    taken += bytes;
    worst = Math.max(worst, taken / (rate * ((at - started) / 1000 + 1) + bytes));
  }
  const seconds = mine.length === 0 ? 0 : (mine.at(-1)!.at - started) / 1000;
  const figure = `${(taken / 2 ** 20).toFixed(1)} of ${(offered / 2 ** 20).toFixed(1)} MiB offered in ${seconds.toFixed(1)} s`;
  if (worst > 1.02)
    bad.push(
      `${described(history, target)} took in ${figure}, more than its ${(rate / 2 ** 20).toFixed(1)} MiB/s allow`,
    );
  // Tried where more was written than the node may take in that time; when it has taken the last of it, it may well have kept to it.
  else if (offered < rate * (writingSeconds + 1) * 1.05 || taken === 0)
    unexposed.push(`${target}: only ${figure}`);
  else good.push(`${target} took in ${figure}`);
}

/** How long before it says `not closed` an adversary began to wait for the end. */
const closingMs = 20_000;

/** Whether an answer, or none, is what no node may do; a target that was stopped or held meanwhile has reasons of its own. */
function isUnfit(
  history: History,
  { target, from }: AdversaryRecord,
  { kind, outcome, at }: AdversaryRecord['outcomes'][number],
): boolean {
  if (outcome === 'not closed') return !stopped(history, target, at - closingMs, at);
  if (outcome !== 'accepted') return false;
  if (kind === 'forged' || kind === 'garbage') return true;
  return kind === 'duplicate' && !renewed(history, target, from, at);
}

/** Whether a target may have lost what it knew: with its disk, or while an engine ran it otherwise. */
function renewed(history: History, target: string, from: number, to: number): boolean {
  const changed = new Set(history.plan.faults.filter(({ kind }) => kind === 'engine').map(({ id }) => id));
  return (
    history.lives.some(
      (life) => life.node === target && life.wiped && life.startedAt >= from && life.startedAt <= to,
    ) ||
    outages(history, target).some(
      (s) => changed.has(s.fault) && s.from <= to && (s.until ?? Number.POSITIVE_INFINITY) >= from,
    )
  );
}

/** What was refused (over a limit, forged) is nowhere; a repeated commit is `known` and has no second effect. */
export function noEffect(history: History): Finding {
  const [id, proves] = ['safety.refused-has-no-effect', ['SIG-08', 'FLD-01']];
  if (!history.plan.faults.some((fault) => fault.kind === 'adversary')) {
    return finding(id, proves, 'skipped', 'No adversary in this scenario sends what has to be refused.');
  }
  const forbidden = new Set(history.adversaries.flatMap((record) => record.forbidden));
  const unfit = history.adversaries.flatMap((record) =>
    record.outcomes
      .filter((outcome) => isUnfit(history, record, outcome))
      .map(({ kind, at, outcome }) => ({ target: record.target, kind, at, outcome })),
  );
  const held = history.census.filter((census) => census.forbidden.length > 0);
  if (unfit.length > 0 || held.length > 0) {
    const nodes = [...new Set([...unfit.map(({ target }) => target), ...held.map(({ node }) => node)])];
    const because = `${listed(history, nodes)} accepted (or put up with) ${unfit.length} messages that had to be refused, and ${held.reduce((sum, c) => sum + c.forbidden.length, 0)} refused items were found in nodes.`;
    // That no end came in time may be the host's.
    if (
      history.host.overloaded &&
      held.length === 0 &&
      unfit.every(({ outcome }) => outcome === 'not closed')
    )
      return finding(id, proves, 'unknown', `${because} ${history.host.because}`, unfit);
    return finding(id, proves, 'fail', because, [...unfit, ...held], nodes);
  }
  const tried = history.adversaries.reduce((sum, { outcomes }) => sum + outcomes.length, 0);
  if (tried === 0 || history.census.length === 0)
    return finding(id, proves, 'unknown', 'No adversary got an answer.');
  const rows = new Set<string>();
  if (attacks(history, 'forged').length > 0) rows.add('SIG-08');
  if (attacks(history, 'commit').length > 0) rows.add('FLD-01');
  if (attacks(history, 'duplicate').length > 0) rows.add('DIR-06');
  return finding(
    id,
    [...rows],
    'pass',
    `${tried} hostile messages were answered, ${forbidden.size} refused items are held by none of ${livesAtEnd(history).length} nodes.`,
  );
}
