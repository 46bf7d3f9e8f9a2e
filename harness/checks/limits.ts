/**
 * What adversaries must not achieve: more peers, messages or bytes than the limits allow, and any effect of what was refused. Reads
 * their records; a limit that was never reached is `unknown`.
 */

import { type AdversaryRecord, type AttackKind, type History, livesAtEnd } from '../history.ts';
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
  const records = attacks(history, 'peer');
  if (records.length === 0)
    return finding(id, proves, 'unknown', 'The adversary never got as far as offering peers.');
  const bad = records.filter(
    ({ target, mostPeers }) =>
      mostPeers > Math.min(history.plan.expectations.maxPeers, limitOf(history, target, 'max_peers')),
  );
  if (bad.length > 0) {
    const lines = bad.map(
      ({ target, mostPeers }) =>
        `${described(history, target)} took ${mostPeers} persistent connections of one adversary`,
    );
    return finding(
      id,
      proves,
      'fail',
      `${lines[0]}; allowed are ${history.plan.expectations.maxPeers}.`,
      lines,
      bad.map(({ target }) => target),
    );
  }
  const wrong = records.filter(({ turnedAway }) =>
    Object.keys(turnedAway).some((how) => how !== 'TOO_MANY_PEERS 4429'),
  );
  const full = records.filter(({ turnedAway }) => (turnedAway['TOO_MANY_PEERS 4429'] ?? 0) > 0);
  if (wrong.length > 0) {
    const { target, turnedAway } = wrong[0]!;
    const because = `${described(history, target)} turned further peers away in another way than TOO_MANY_PEERS and close 4429: ${JSON.stringify(turnedAway)}.`;
    return finding(
      id,
      proves,
      'fail',
      because,
      wrong.map((r) => r.turnedAway),
      wrong.map((r) => r.target),
    );
  }
  if (full.length === 0) return finding(id, proves, 'unknown', 'No node was ever full.');
  const { target, mostPeers, turnedAway } = full[0]!;
  return finding(
    id,
    proves,
    'pass',
    `${target} had at most ${mostPeers} peers of the adversary beside its own and turned ${turnedAway['TOO_MANY_PEERS 4429']} away with TOO_MANY_PEERS and close 4429.`,
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

/** What was refused (over a limit, forged) is nowhere; a repeated commit is `known` and has no second effect. */
export function noEffect(history: History): Finding {
  const [id, proves] = ['safety.refused-has-no-effect', ['SIG-08', 'FLD-01']];
  if (!history.plan.faults.some((fault) => fault.kind === 'adversary')) {
    return finding(id, proves, 'skipped', 'No adversary in this scenario sends what has to be refused.');
  }
  const forbidden = new Set(history.adversaries.flatMap((record) => record.forbidden));
  const unfit = history.adversaries.flatMap(({ target, outcomes }) =>
    outcomes
      .filter(
        ({ kind, outcome }) =>
          (kind === 'duplicate' && outcome === 'accepted') ||
          ((kind === 'forged' || kind === 'garbage') && (outcome === 'accepted' || outcome === 'not closed')),
      )
      .map(({ kind, at, outcome }) => ({ target, kind, at, outcome })),
  );
  const held = history.census.filter((census) => census.forbidden.length > 0);
  if (unfit.length > 0 || held.length > 0) {
    const nodes = [...new Set([...unfit.map(({ target }) => target), ...held.map(({ node }) => node)])];
    const because = `${listed(history, nodes)} accepted (or put up with) ${unfit.length} messages that had to be refused, and ${held.reduce((sum, c) => sum + c.forbidden.length, 0)} refused items were found in nodes.`;
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
