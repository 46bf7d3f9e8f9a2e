/** Faults in what anti-entropy sets off: announces of fresh items, pulls in turn. */

import type { Mutant } from '../mutant.ts';

const answers = 'node/core/digest-answers.ts';
const fetching = 'node/core/fetching.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'summary-counts-commits',
    kills: ['AEN-03'],
    file: 'node/core/checkpoints.ts',
    find: '"item_count": ${node.tree.size}, ',
    replace: '"item_count": ${node.commits.size}, ',
    note: 'counts only commits in its state_summary',
  },
  {
    id: 'fresh-never-announced',
    kills: ['AEN-09'],
    file: fetching,
    find: 'announce(node, topicOf(item.type), `rule_${item.hash}`, null);',
    replace: '',
    note: 'announces nothing that anti-entropy brought',
  },
  {
    id: 'fresh-all-announced',
    kills: ['AEN-09'],
    file: fetching,
    find: 'if (Math.abs(item.timestamp * 1000 - node.world.wallMs()) > freshMs) return;',
    replace: '',
    note: 'announces everything that anti-entropy brought',
    ci: true,
  },
  {
    id: 'fresh-only-past',
    kills: ['AEN-09'],
    file: fetching,
    find: 'if (Math.abs(item.timestamp * 1000 - node.world.wallMs()) > freshMs) return;',
    replace: 'if (Math.abs(item.timestamp * 1000 - node.world.wallMs() + 30_000) > 31_000) return;',
    note: 'announces no item that is ahead of its clock',
  },
  {
    id: 'fresh-of-checkpoints',
    kills: ['AEN-09'],
    file: fetching,
    find: "if (!stored || origin !== 'reconciled') return;",
    replace: "if (!stored || origin === undefined || origin === 'announced') return;",
    note: 'announces items that it fetched for a checkpoint',
  },
  {
    id: 'pull-in-turn-never',
    kills: ['AEN-10'],
    file: answers,
    find: "if (prefix === '' && root === null && state_root !== own) pullInTurn(node, link, own, state_root);",
    replace: '',
    note: 'does not pull in turn',
    ci: true,
  },
  {
    id: 'pull-in-turn-always',
    kills: ['AEN-10'],
    file: answers,
    find: 'if (isRepeat(reconciling.asked) || isRepeat(reconciling.answered)) return;',
    replace: '',
    also: [{ file: answers, find: 'if (waitMs > 0) {', replace: 'if (waitMs > 1e9) {' }],
    note: 'pulls in turn for every question',
  },
  {
    id: 'pull-in-turn-without-sync',
    kills: ['AEN-10'],
    file: answers,
    find: 'if (link.peer.persistent !== link || !link.syncs || reconciling.pull) return;',
    replace: 'if (link.peer.persistent !== link || reconciling.pull) return;',
    note: 'pulls in turn from a peer without sync',
    mayBreak: ['HSK-04'],
  },
  {
    id: 'pull-in-turn-for-prefixes',
    kills: ['AEN-10'],
    file: answers,
    find: "if (prefix === '' && root === null && state_root !== own) pullInTurn(node, link, own, state_root);",
    replace: 'if (state_root !== own) pullInTurn(node, link, own, state_root);',
    note: 'pulls in turn for questions about parts of its tree',
  },
  {
    id: 'pull-in-turn-for-roots',
    kills: ['AEN-10'],
    file: answers,
    find: "if (prefix === '' && root === null && state_root !== own)",
    replace: "if (prefix === '' && state_root !== own)",
    note: 'pulls in turn for a question about a root that the asker names',
  },
];
