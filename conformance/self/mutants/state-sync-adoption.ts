/** Faults on the way to a checkpoint of others: what is fetched and verified, what is adopted, how fast a newcomer has it all. */

import type { Mutant } from '../mutant.ts';

const form = 'node/core/checkpoint.ts';
const sync = 'node/core/state-sync.ts';
const quests = 'node/core/quests.ts';
const reconcile = 'node/core/reconcile.ts';
const fetching = 'node/core/fetching.ts';
const gossip = 'node/core/gossip.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'checkpoint-hash-unchecked',
    kills: ['SYN-03'],
    file: sync,
    find: 'if (checkpoint.acceptedRules && checkpointHash(checkpoint.object, node.world.sha256) !== checkpoint.hash) {',
    replace: 'if (false) {',
    also: [
      {
        file: sync,
        find: '  if (checkpointHash(checkpoint.object, node.world.sha256) !== checkpoint.hash) {',
        replace: '  if (false) {',
      },
    ],
    note: 'does not recompute the hash of a checkpoint',
    mayBreak: ['CKP-08'],
    ci: true,
  },
  {
    id: 'checkpoint-root-unchecked',
    kills: ['SYN-03'],
    file: sync,
    find: 'if (view.root() !== received.stateRoot) {',
    replace: 'if (false) {',
    also: [{ file: sync, find: 'top: checkpoint.stateRoot,', replace: 'top: null,' }],
    note: 'does not compare the state with the root of the checkpoint',
  },
  {
    id: 'checkpoint-root-not-recomputed',
    kills: ['SYN-03'],
    file: sync,
    find: 'if (view.root() !== received.stateRoot) {',
    replace: 'if (false) {',
    note: 'takes the root of a checkpoint for that of its items because the walk below it went well',
  },
  {
    id: 'checkpoint-items-not-to-be-had',
    kills: ['SYN-03'],
    file: sync,
    find: "          if (held) goOn();\n          else fail('an item under it is not to be had', true);",
    replace: '          if (held || !held) goOn();',
    note: 'adopts a checkpoint without the items that its peer does not serve, if the statistics are right',
  },
  {
    id: 'checkpoint-one-source-only',
    kills: ['SYN-03'],
    file: sync,
    find: '{ hash: quest.hash, peer: link.peer.nodeId, why });\n  askNext(node, quest);',
    replace: '{ hash: quest.hash, peer: link.peer.nodeId, why });\n  close(node, quest);',
    note: 'asks no other peer for a checkpoint that one peer spoiled',
  },
  {
    id: 'checkpoint-adopted-first',
    kills: ['SYN-03', 'SYN-05'],
    file: sync,
    find: '  else gather(node, quest, link, checkpoint);',
    replace:
      '  else {\n    adopt(node, checkpoint, node.tree.snapshot(), () => {});\n    gather(node, quest, link, checkpoint);\n  }',
    note: 'adopts a checkpoint before it has the items',
    mayBreak: ['SYN-04', 'SYN-09', 'CKP-03'],
  },
  {
    id: 'checkpoint-items-unawaited',
    kills: ['SYN-03', 'SYN-05'],
    file: sync,
    find: 'if (isOver || !isWalked || lacking > 0) return;',
    replace: 'if (isOver || !isWalked) return;',
    also: [{ file: sync, find: 'if (!describes(checkpoint, statistics)) {', replace: 'if (false) {' }],
    note: 'adopts a checkpoint once it knows which items are under it',
    mayBreak: ['SYN-04', 'CKP-10'],
  },
  {
    id: 'fetch-all-items',
    kills: ['SYN-04', 'SYN-05'],
    file: sync,
    find: 'if (node.tree.has(hash)) continue;',
    replace: '',
    also: [
      {
        file: 'node/core/wants.ts',
        find: 'if (isHeld(node, wireHash)) {',
        replace: "if (origin !== 'checkpoint' && isHeld(node, wireHash)) {",
      },
    ],
    note: 'fetches all items under a checkpoint, also those that it holds',
  },
  {
    id: 'fetch-two-hundred',
    kills: ['SYN-04'],
    file: fetching,
    find: 'if (batch.length === maxHashes) break;',
    replace: 'if (batch.length === 2 * maxHashes) break;',
    note: 'asks for 200 items at once',
    ci: true,
  },
  {
    id: 'fetch-two-requests',
    kills: ['SYN-04'],
    file: fetching,
    find: 'while (!fetching.inFlight && fetching.queue.size > 0) {',
    replace: 'for (let turn = fetching.inFlight ? 2 : 0; turn < 2 && fetching.queue.size > 0; turn++) {',
    note: 'has two requests in flight at one peer',
    mayBreak: ['GFM-04'],
  },
  {
    id: 'response-without-bound',
    kills: ['SYN-04'],
    file: gossip,
    find: 'if (left < 0) break;',
    replace: '',
    note: 'serves all that was asked for in one message',
    mayBreak: ['ENV-04'],
  },
  {
    id: 'sync-never-again',
    kills: ['SYN-05'],
    file: quests,
    find: 'node.checkpoints.quests.delete(quest.hash);',
    replace: '',
    note: 'does not take up a checkpoint again whose fetching was broken off',
    mayBreak: ['SYN-03', 'SYN-06', 'CKP-10'],
  },
  {
    id: 'checkpoint-last-wins',
    kills: ['SYN-06'],
    file: form,
    find: 'if (own === null || candidate.height !== own.height) return own === null || candidate.height > own.height;',
    replace: 'if (own === null || candidate.hash !== own.hash) return true;',
    note: 'goes over to whatever checkpoint comes last',
    mayBreak: ['CKP-06'],
  },
  {
    id: 'checkpoint-rollback',
    kills: ['SYN-06'],
    file: form,
    find: 'if (own === null || candidate.height !== own.height) return own === null || candidate.height > own.height;',
    replace: 'if (own === null || candidate.height !== own.height) return true;',
    note: 'goes over to lower heights',
  },
  {
    id: 'fetch-one-by-one',
    kills: ['SYN-07'],
    file: fetching,
    find: 'while (!fetching.inFlight && fetching.queue.size > 0) {',
    replace:
      'if (node.nowMs < (fetching.rest ?? 0)) {\n    node.deadlines.at(fetching.rest, () => pump(node, peer));\n    return;\n  }\n  while (!fetching.inFlight && fetching.queue.size > 0) {\n    fetching.rest = node.nowMs + 60;',
    also: [
      {
        file: fetching,
        find: 'if (batch.length === maxHashes) break;',
        replace: 'if (batch.length === 1) break;',
      },
    ],
    note: 'fetches items singly, with a pause after each',
    mayBreak: ['SYN-04', 'SYN-05'],
  },
  {
    id: 'serving-blocks',
    kills: ['SYN-08'],
    file: gossip,
    find: 'const named: string[] = [];\n  const items',
    replace:
      'for (const end = Date.now() + 400; Date.now() < end; );\n  const named: string[] = [];\n  const items',
    note: 'does nothing else while it serves items',
    mayBreak: ['MET-01'],
  },
  {
    id: 'late-joiner-skips-backlog',
    kills: ['SYN-09'],
    file: reconcile,
    find: 'walk.found(prefix, hashes);\n    return null;',
    replace: 'return null;',
    note: 'learns nothing of what was there before it came',
    mayBreak: ['AEN-04', 'AEN-06', 'AEN-08', 'AEN-09', 'AEN-10'],
    ci: true,
  },
  {
    id: 'state-sync-never',
    kills: ['SYN-09'],
    file: quests,
    find: 'const { quests } = node.checkpoints;',
    replace: 'if (node.nowMs >= 0) return null;\n  const { quests } = node.checkpoints;',
    note: 'adopts no checkpoint of others',
    mayBreak: [
      'SYN-02',
      'SYN-03',
      'SYN-04',
      'SYN-05',
      'SYN-06',
      'CKP-03',
      'CKP-05',
      'CKP-06',
      'CKP-07',
      'CKP-08',
      'CKP-09',
      'CKP-10',
      'AEN-07',
    ],
  },
  {
    id: 'refused-checkpoint-everywhere',
    kills: ['SYN-03'],
    file: sync,
    find: 'if (announced) link.peer.refusedCheckpoints.delete(hash);',
    replace:
      'for (const each of node.persistent) if (each.peer !== link.peer && each.peer.refusedCheckpoints.has(hash)) return;\n  if (announced) link.peer.refusedCheckpoints.delete(hash);',
    also: [
      {
        file: quests,
        find: '  const atMs = link.peer.refusedCheckpoints.get(hash);\n',
        replace:
          '  const atMs = node.persistent.map((each) => each.peer.refusedCheckpoints.get(hash)).find((at) => at !== undefined);\n',
      },
    ],
    note: 'takes a checkpoint from nobody once one peer spoiled it',
  },
  {
    id: 'checkpoint-bad-item-spoils-all',
    kills: ['SYN-03'],
    file: fetching,
    find: 'const served = takeItems(node, link, asked, payload.items as Json[]);',
    replace:
      'const trial = (payload.items as Json[]).some((body) => isRefusal(readItem(body, node.rules)));\n  const served = takeItems(node, link, asked, trial ? [] : (payload.items as Json[]));',
    note: 'takes no item of a response that holds a bad one',
    mayBreak: ['AUT-01', 'AUT-02', 'AUT-04', 'GFM-05', 'GFM-11'],
  },
  {
    id: 'checkpoint-walk-present',
    kills: ['SYN-04'],
    file: sync,
    find: '    root: checkpoint.stateRoot,\n    mine,\n    top: checkpoint.stateRoot,',
    replace: '    root: null,\n    mine,\n    top: null,',
    note: 'walks the present state of its peer in place of the one under the checkpoint',
    mayBreak: ['SYN-03'],
  },
];
