/**
 * `accepted_rules` and `statistics` of a checkpoint (§8), for exactly the set of items under its root, which may be smaller
 * than what the node holds by now.
 */
import { allRows, type CommitIndex, type Row } from './commits.ts';
import type { TreeView } from './tree.ts';

export interface Statistics {
  readonly totalCommits: number;
  /** Distinct agents of commits. */
  readonly totalAgents: number;
  /** Mean over all commits in item-hash order, 0 if there are none. */
  readonly avgConfidence: number;
  /** Rule hashes with commits of at least three distinct agents, ascending. */
  readonly acceptedRules: string[];
}

/** Items of `view` that the index does not hold are no commits. Time O(items). */
export function statisticsOf(index: CommitIndex, view: TreeView): Statistics {
  let sum = 0;
  let totalCommits = 0;
  let totalAgents = 0;
  const hasCommitted = new Uint8Array(index.agents.list.length);
  // Per rule the first two agents, as number + 1, and whether there was a third.
  const firstAgent = new Int32Array(index.groups.size);
  const secondAgent = new Int32Array(index.groups.size);
  const isAccepted = new Uint8Array(index.groups.size);
  forRowsIn(index, view, (row) => {
    totalCommits++;
    sum += index.confidence[row]!;
    const agent = index.agent[row]!;
    totalAgents += 1 - hasCommitted[agent]!;
    hasCommitted[agent] = 1;
    const rule = index.rule[row]!;
    if (firstAgent[rule] === 0) firstAgent[rule] = agent + 1;
    else if (firstAgent[rule] === agent + 1) return;
    else if (secondAgent[rule] === 0) secondAgent[rule] = agent + 1;
    else if (secondAgent[rule] !== agent + 1) isAccepted[rule] = 1;
  });
  const acceptedRules: string[] = [];
  for (const group of index.groups.values()) {
    if (isAccepted[group.number] === 1) acceptedRules.push(group.ruleHash);
  }
  // ASCII, so UTF-16 order is code point order.
  acceptedRules.sort();
  const avgConfidence = totalCommits === 0 ? 0 : sum / totalCommits;
  return { totalCommits, totalAgents, avgConfidence, acceptedRules };
}

/** Both sides ascend by item hash: one pass joins them. */
function forRowsIn(index: CommitIndex, view: TreeView, take: (row: Row) => void): void {
  const rows = allRows(index);
  let next = 0;
  view.runs((items) => {
    for (let at = 0; at < items.length && next < rows.length; at += 64) {
      let order = compareRowTo(index, rows[next]!, items, at);
      while (order < 0) {
        next++;
        if (next === rows.length) return false;
        order = compareRowTo(index, rows[next]!, items, at);
      }
      if (order === 0) take(rows[next++]!);
    }
    return next < rows.length;
  });
}

function compareRowTo(index: CommitIndex, row: Row, items: string, at: number): number {
  for (let word = 0; word < 8; word++) {
    const difference = index.hashes[row * 8 + word]! - wordAt(items, at + word * 8);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Eight hex digits as a number. */
function wordAt(items: string, at: number): number {
  let word = 0;
  for (let i = at; i < at + 8; i++) {
    const unit = items.charCodeAt(i);
    word = word * 16 + (unit <= 0x39 ? unit - 0x30 : unit - 0x57);
  }
  return word;
}
