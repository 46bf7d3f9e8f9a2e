/** Faults in connections that are meant to be short: how many there may be, and when they end. */

import type { Mutant } from '../mutant.ts';

const handshake = 'node/core/handshake.ts';
const connection = 'node/shell/connection.ts';
const resets = '(socket as unknown as { _parent: { resetAndDestroy(): void } })._parent.resetAndDestroy();';

export const mutants: readonly Mutant[] = [
  {
    id: 'short-lived-unbounded',
    kills: ['TOP-07'],
    file: 'node/core/peers.ts',
    find: 'export const shortLivedLimit = 4;',
    replace: 'export const shortLivedLimit = 400;',
    note: 'takes any number of short-lived connections of a peer',
  },
  {
    id: 'short-lived-three',
    kills: ['TOP-07'],
    file: 'node/core/peers.ts',
    find: 'export const shortLivedLimit = 4;',
    replace: 'export const shortLivedLimit = 3;',
    note: 'takes three short-lived connections of a peer',
    mayBreak: ['*'],
  },
  {
    id: 'short-lived-bound-counts-persistent',
    kills: ['TOP-07'],
    file: 'node/core/peers.ts',
    find: "if (link.type !== null && link.type !== 'persistent') count++;",
    replace: 'if (link.type !== null) count++;',
    note: 'counts the persistent connection among the four short-lived ones',
    mayBreak: ['*'],
  },
  {
    id: 'short-lived-bound-for-all',
    kills: ['TOP-07'],
    file: handshake,
    find: '    if (link.errand || shortLivedLinks(peer) <= shortLivedLimit) return true;\n',
    replace:
      '    let count = 0;\n    for (const each of node.peers.values()) count += shortLivedLinks(each);\n    if (link.errand || count <= shortLivedLimit) return true;\n',
    note: 'takes four short-lived connections of all peers together',
    mayBreak: ['*'],
  },
  {
    id: 'short-lived-place-not-freed',
    kills: ['TOP-07'],
    file: handshake,
    find: '    if (link.errand || shortLivedLinks(peer) <= shortLivedLimit) return true;\n',
    replace:
      '    const memory = peer as unknown as { taken?: number };\n    memory.taken = (memory.taken ?? 0) + 1;\n    if (link.errand || memory.taken <= shortLivedLimit) return true;\n',
    note: 'counts short-lived connections that are gone',
    mayBreak: ['*'],
  },
  {
    id: 'short-lived-place-kept-by-reset',
    kills: ['TOP-07'],
    file: 'node/core/link.ts',
    find: '  link.peer.links.delete(link);\n',
    replace: "  if (code !== 1006 || link.type === 'persistent') link.peer.links.delete(link);\n",
    note: 'counts short-lived connections that broke as if they still stood',
    mayBreak: ['*'],
  },
  {
    id: 'sync-never-expires',
    kills: ['TOP-07'],
    file: handshake,
    find: '    expire(node, link);\n    if (link.errand?.kind',
    replace: "    if (link.type !== 'sync') expire(node, link);\n    if (link.errand?.kind",
    note: 'keeps idle sync connections for ever',
  },
  {
    id: 'sync-expires-busy',
    kills: ['TOP-07'],
    file: handshake,
    find: "  const isSync = link.type === 'sync';\n  const atMs =",
    replace: '  const isSync = node.nowMs < 0;\n  const atMs =',
    also: [
      {
        file: handshake,
        find: 'node.nowMs + shortLivedMs;',
        replace: "node.nowMs + (link.type === 'sync' ? syncIdleMs : shortLivedMs);",
      },
    ],
    note: 'ends sync connections after 30 s whether they are idle or not',
    mayBreak: ['*'],
  },
  {
    id: 'gossip-never-expires',
    kills: ['TOP-07'],
    file: handshake,
    find: '    expire(node, link);\n    if (link.errand?.kind',
    replace: "    if (link.type !== 'gossip') expire(node, link);\n    if (link.errand?.kind",
    note: 'keeps gossip connections for ever',
  },
  {
    id: 'expiry-closes-4408',
    kills: ['TOP-07'],
    file: handshake,
    find: "    else end(node, link, 1000, 'expired');",
    replace: "    else end(node, link, 4408, 'expired');",
    note: 'closes expired connections as if the peer had failed',
    ci: true,
  },
  {
    id: 'expiry-resets',
    kills: ['TOP-07'],
    file: connection,
    find: '      webSocket.close(code, reason);\n',
    replace: `      if (reason === 'expired') ${resets}\n      webSocket.close(code, reason);\n`,
    note: 'resets expired connections in place of a close',
    mayBreak: ['*'],
  },
  {
    id: 'short-lived-bound-for-sync-alone',
    kills: ['TOP-07'],
    file: 'node/core/peers.ts',
    find: "if (link.type !== null && link.type !== 'persistent') count++;",
    replace: "if (link.type === 'sync') count++;",
    note: 'counts only sync connections among the four short-lived ones',
  },
];
