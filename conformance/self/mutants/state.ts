/** Faults in finding others and in keeping what was taken. */

import type { Mutant } from '../mutant.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'discovery-first-bootstrap-only',
    kills: ['DSC-01'],
    file: 'node/core/discovery.ts',
    find: 'for (const query of node.bootstraps) askBootstrap(node, query);',
    replace: 'for (const query of node.bootstraps.slice(0, 1)) askBootstrap(node, query);',
    note: 'asks only the first bootstrap node',
    mayBreak: ['DSC-04', 'DSC-05', 'DSC-07'],
  },
  {
    id: 'store-forgets-on-restart',
    kills: ['LIF-10', 'DUR-01'],
    file: 'node/core/node.ts',
    find: 'for (const { hash, bytes } of restored.items) {',
    replace: 'for (const { hash, bytes } of [] as { hash: string; bytes: Uint8Array }[]) {',
    note: 'comes back without its items',
    mayBreak: ['DUR-02'],
    ci: true,
  },
];
