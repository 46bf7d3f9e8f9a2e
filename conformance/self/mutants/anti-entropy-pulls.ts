/** Faults in what anti-entropy fetches of a difference, refuses, and never takes away. */

import type { Mutant } from '../mutant.ts';

const reconcile = 'node/core/reconcile.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'pull-nothing',
    kills: ['AEN-04', 'AEN-08'],
    file: reconcile,
    find: "if (isLacking(node, hash)) want(node, link, hash, 'reconciled', false);",
    replace: 'void hash;',
    note: 'finds differences and fetches nothing',
    mayBreak: ['AEN-08', 'AEN-09', 'AEN-10'],
    ci: true,
  },
  {
    id: 'pull-everything',
    kills: ['AEN-04'],
    file: reconcile,
    find: 'const lacking = hashes.filter((hash) => isLacking(node, hash));\n      if',
    replace: 'const lacking = [...hashes];\n      if',
    also: [
      {
        file: reconcile,
        find: "for (const hash of hashes) if (isLacking(node, hash)) want(node, link, hash, 'reconciled', false);",
        replace: "for (const hash of hashes) want(node, link, hash, 'reconciled', false);",
      },
      {
        file: 'node/core/wants.ts',
        find: 'if (isHeld(node, wireHash)) {',
        replace: "if (origin !== 'reconciled' && isHeld(node, wireHash)) {",
      },
    ],
    note: 'fetches all of a peer’s items where the two differ',
  },
  {
    id: 'pull-lists-only',
    kills: ['AEN-04'],
    file: reconcile,
    find: 'walk.frontier.push({ prefix: child, hash: expectedHash });',
    replace: '',
    note: 'does not go down where children differ',
  },
  {
    id: 'walk-everywhere',
    kills: ['AEN-04'],
    file: reconcile,
    find: 'if (theirs === walk.mine.hash(child)) continue;',
    replace: '',
    note: 'goes down subtrees that are equal',
  },
  {
    id: 'rounds-always-fetch',
    kills: ['AEN-05'],
    file: reconcile,
    find: 'if (hash === walk.mine.hash(prefix)) return null;',
    replace: `if (hash === walk.mine.hash(prefix)) {
    const held = prefix === '' && walk.root === null ? ((answer.item_hashes ?? []) as string[]) : [];
    for (const wire of held) {
      node.fetching.wants.delete(wire.slice(5));
      want(node, walk.link, wire.slice(5), 'reconciled', true);
    }
    return null;
  }`,
    also: [
      {
        file: 'node/core/wants.ts',
        find: 'if (isHeld(node, wireHash)) {',
        replace: "if (origin !== 'reconciled' && isHeld(node, wireHash)) {",
      },
    ],
    note: 'fetches all of a peer’s items every round, though the roots are equal',
    mayBreak: ['AEN-04'],
  },
  {
    id: 'digest-list-unchecked',
    kills: ['AEN-06'],
    file: reconcile,
    find: 'if (hashes.length !== Number(answer.count) || hashOfList(hashes, prefix.length, sha256) !== hash) {',
    replace: 'if (hashes.length !== Number(answer.count)) {',
    note: 'does not check a list against its hash',
    ci: true,
  },
  {
    id: 'walk-to-the-end',
    kills: ['AEN-04'],
    file: reconcile,
    find: 'const walkRequests = 10_000;',
    replace: 'const walkRequests = 1_000_000;',
    note: 'walks as many requests as a tree takes',
    thorough: true,
  },
  {
    id: 'walk-endless',
    kills: ['AEN-06'],
    file: reconcile,
    find: "if (prefix.length >= 64 || sha256(`N${children.join('')}`) !== hash)",
    replace: "if (sha256(`N${children.join('')}`) !== hash)",
    also: [
      {
        file: reconcile,
        find: 'const walkRequests = 10_000;',
        replace: 'const walkRequests = 1_000_000;',
      },
      { file: reconcile, find: '!isDigest(root) || !isPrefix(prefix) ||', replace: '!isDigest(root) ||' },
    ],
    note: 'walks down a tree for ever',
  },
  {
    id: 'item-signature-unchecked',
    kills: ['AEN-06', 'SYN-03'],
    file: 'node/core/item.ts',
    find: "return good ? item : refuse('INVALID_SIGNATURE', 'signature of the item');",
    replace: 'return item;',
    note: 'takes relayed items whose signature does not verify',
    mayBreak: ['GFM-05', 'GFM-11', 'AUT-04', 'SIG-06', 'SIG-07'],
  },
  {
    id: 'refused-asked-for-ever',
    kills: ['AEN-06'],
    file: 'node/core/wants.ts',
    find: 'const refusedForMs = 60_000;',
    replace: 'const refusedForMs = 0;',
    note: 'asks again every round for an item that the same peer served wrongly',
  },
  {
    id: 'refused-for-ten-seconds',
    kills: ['AEN-06'],
    file: 'node/core/wants.ts',
    find: 'const refusedForMs = 60_000;',
    replace: 'const refusedForMs = 10_000;',
    note: 'asks again after ten seconds for an item that the same peer served wrongly',
  },
  {
    id: 'refused-everywhere',
    kills: ['AEN-06'],
    file: 'node/core/wants.ts',
    find: 'const { peer } = link;\n  const { fetching } = peer;',
    replace:
      'const { peer } = link;\n  for (const each of node.persistent) if (each.peer.fetching.refused.has(wireHash)) return;\n  const { fetching } = peer;',
    note: 'asks nobody for an item that one peer served wrongly',
    mayBreak: ['GFM-11'],
  },
  {
    id: 'pull-removes',
    kills: ['AEN-07'],
    file: reconcile,
    find: 'const lacking = hashes.filter((hash) => isLacking(node, hash));\n      if',
    replace:
      'for (const hash of node.tree.hashes(_prefix)) if (!hashes.includes(hash)) node.tree.remove(hash);\n      const lacking = hashes.filter((hash) => isLacking(node, hash));\n      if',
    note: 'drops the items that its peer does not have',
    mayBreak: ['AEN-04', 'AEN-05', 'AEN-06', 'AEN-08'],
    ci: true,
  },
  {
    id: 'checkpoint-removes',
    kills: ['AEN-07'],
    file: 'node/core/checkpoints.ts',
    find: 'const state = node.checkpoints;\n  state.own = held;',
    replace:
      'const state = node.checkpoints;\n  for (const hash of node.tree.without(held.view)) node.tree.remove(hash);\n  state.own = held;',
    note: 'drops the items that are not under the checkpoint it adopts',
  },
  {
    id: 'round-root-of-nothing',
    kills: ['AEN-05'],
    file: reconcile,
    find: '"state_root": "${node.tree.root()}"}`;\n    const isSent',
    replace: '"state_root": "${\'0\'.repeat(64)}"}`;\n    const isSent',
    note: 'says in its rounds that it has nothing',
  },
  {
    id: 'round-count-zero',
    kills: ['AEN-05'],
    file: reconcile,
    find: '{"item_count": ${node.tree.size}, "prefix"',
    replace: '{"item_count": 0, "prefix"',
    note: 'says in its rounds that it has no items',
  },
];
