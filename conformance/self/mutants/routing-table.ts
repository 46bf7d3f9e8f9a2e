/** Faults in the routing table: who enters, who stays, under which address. */

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the patches are source text

import type { Mutant } from '../mutant.ts';

const routing = 'node/core/routing.ts';
const met = '      node.address = own;\n      node.verified = true;';

export const mutants: readonly Mutant[] = [
  {
    id: 'routing-duplicates',
    kills: ['RTB-04'],
    file: routing,
    find: met,
    replace:
      '      if (node.address !== own) {\n        const copy = { ...node, address: own };\n        this.#nodes.set(`${nodeId}${own}`, copy);\n      }\n      node.verified = true;',
    note: 'keeps an entry for each address of a node',
  },
  {
    id: 'routing-first-address',
    kills: ['RTB-04'],
    file: routing,
    find: met,
    replace: '      if (!node.verified) node.address = own;\n      node.verified = true;',
    note: 'keeps the first address of a node that moved',
    ci: true,
  },
  {
    id: 'routing-null-keeps-address',
    kills: ['RTB-04'],
    file: routing,
    find: '      this.forget(nodeId);\n      this.#remember(nodeId);\n',
    replace: '',
    note: 'lists a node that said it has no address any more',
  },
  {
    id: 'routing-first-in-first-out',
    kills: ['RTB-01'],
    file: routing,
    find: 'const oldest = bucket.reduce((least, node) => (node.seenAtMs < least.seenAtMs ? node : least));',
    replace: 'const oldest = bucket[0]!;',
    note: 'looks at the entry that entered first, not at the least recently seen',
    mayBreak: ['RTB-03'],
    ci: true,
  },
  {
    id: 'routing-evicts-any-failed',
    kills: ['RTB-01'],
    file: routing,
    find: 'const oldest = bucket.reduce((least, node) => (node.seenAtMs < least.seenAtMs ? node : least));',
    replace:
      'const oldest = bucket.reduce((most, node) => (!most.dialFailed || (node.dialFailed && node.seenAtMs > most.seenAtMs) ? node : most));',
    note: 'evicts the most recently seen of those that failed',
  },
  {
    id: 'routing-never-replaces',
    kills: ['RTB-01', 'RTB-03'],
    file: routing,
    find: '    return oldest.dialFailed || nowMs',
    replace: '    return nowMs < 0 || nowMs',
    note: 'keeps dead entries for 90 s',
  },
  {
    id: 'routing-always-replaces',
    kills: ['RTB-03'],
    file: routing,
    find: '    return oldest.dialFailed || nowMs',
    replace: '    return nowMs > 0 || nowMs',
    note: 'gives the place of a live entry to a newcomer',
  },
  {
    id: 'routing-unverified-evicts',
    kills: ['RTB-03'],
    file: routing,
    find: '    if (!newcomer.verified) return false;\n',
    replace: '',
    note: 'gives the place of a dead entry to somebody it has only heard of',
  },
  {
    id: 'routing-unbounded',
    kills: ['RTB-02'],
    file: routing,
    find: '    if (bucket.length >= this.#bucketSize) {',
    replace: '    if (bucket.length >= 1000 * this.#bucketSize) {',
    note: 'puts no bound on a bucket',
    mayBreak: ['RTB-*'],
  },
  {
    id: 'routing-keeps-all-heard-of',
    kills: ['RTB-02'],
    file: routing,
    find: '    if (!oldest.verified) return true;\n    if (!newcomer.verified) return false;\n',
    replace: '    if (!newcomer.verified) return true;\n    if (!oldest.verified) return true;\n',
    note: 'lets made-up nodes push out those that it has met',
    mayBreak: ['RTB-*', 'PEX-*'],
  },
  {
    id: 'routing-hearsay-first',
    kills: ['RTB-04'],
    file: routing,
    find: met,
    replace: '      node.verified = true;',
    note: 'keeps the address that others gave for a node before it came itself',
  },
  {
    id: 'routing-silent-stay',
    kills: ['RTB-03'],
    file: routing,
    find: 'return oldest.dialFailed || nowMs - oldest.seenAtMs >= this.#silenceMs;',
    replace: 'return oldest.dialFailed;',
    note: 'keeps an entry that was silent for 90 s while no dial of it has failed',
  },
  {
    id: 'duplicate-resets',
    kills: ['RTB-04'],
    file: 'node/shell/connection.ts',
    find: '      webSocket.close(code, reason);\n',
    replace: `      if (reason === 'duplicate') (socket as unknown as { _parent: { resetAndDestroy(): void } })._parent.resetAndDestroy();
      webSocket.close(code, reason);\n`,
    note: 'resets the older of two connections in place of a close',
    mayBreak: ['*'],
  },
];
