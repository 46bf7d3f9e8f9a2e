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
      '      if (node.address !== own && own !== null) {\n        const copy = { ...node, address: own };\n        this.#nodes.set(`${nodeId}${own}`, copy);\n      }\n      node.verified = true;',
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
    find: met,
    replace: '      node.address = own ?? node.address;\n      node.verified = true;',
    note: 'lists a node that said it has no address any more',
  },
];
