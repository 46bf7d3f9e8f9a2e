/** Faults in what long and poisoned peer lists do to a node, and in addresses of all forms. */

import type { Mutant } from '../mutant.ts';

const file = 'node/core/discovery.ts';
const dialing = 'node/core/dialing.ts';
const routing = 'node/core/routing.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'dials-unlimited',
    kills: ['PEX-06'],
    file: dialing,
    find: 'const startsLimit = 20;',
    replace: 'const startsLimit = 1000;',
    note: 'dials as many addresses as it learns',
    ci: true,
  },
  {
    id: 'dials-whole-list',
    kills: ['PEX-06'],
    file,
    find: 'export const listLimit = 50;',
    replace: 'export const listLimit = 5000;',
    note: 'takes in lists of any length',
  },
  {
    id: 'dials-first-good',
    kills: ['PEX-06'],
    file,
    find: 'for (const entry of payload.peers.slice(0, listLimit)) {',
    replace:
      'for (const entry of payload.peers.filter((each) => isObject(each) && isNodeId(each.node_id)).slice(0, listLimit)) {',
    note: 'takes the first 50 good entries of a list',
  },
  {
    id: 'peer-list-oversize',
    kills: ['PEX-06'],
    file: routing,
    find: 'export const longestPeerList = 50;',
    replace: 'export const longestPeerList = 500;',
    note: 'sends lists of any length',
  },
  {
    id: 'peer-list-unverified',
    kills: ['PEX-07'],
    file: routing,
    find: '(node) => node.verified && !node.dialFailed && ',
    replace: '(node) => !node.dialFailed && ',
    note: 'passes on whom it has only heard of',
    mayBreak: ['DSC-03', 'RTB-*'],
    ci: true,
  },
  {
    id: 'peer-list-unreachable',
    kills: ['PEX-07'],
    file: routing,
    find: '(node) => node.verified && !node.dialFailed && ',
    replace: '(node) => node.verified && ',
    note: 'passes on peers that it failed to reach',
    mayBreak: ['RTB-*'],
  },
  {
    id: 'address-split-at-first-colon',
    kills: ['PEX-08'],
    file: 'node/core/address.ts',
    find: '  const port = Number(form.exec(value)?.[1]);',
    replace: "  const port = Number(value.split(':')[1]);",
    note: 'splits an address at its first colon',
    mayBreak: ['PEX-02', 'RTB-04', 'DSC-08'],
  },
  {
    id: 'address-no-dots-in-six',
    kills: ['PEX-08'],
    file: 'node/core/address.ts',
    find: '  const port = Number(form.exec(value)?.[1]);',
    replace:
      '  if (/^\\[.*\\..*\\]/.test(value)) return false;\n  const port = Number(form.exec(value)?.[1]);',
    note: 'takes no IPv6 address that ends in an IPv4 one',
  },
  {
    id: 'address-no-names',
    kills: ['PEX-08'],
    file: 'node/core/address.ts',
    find: '  const port = Number(form.exec(value)?.[1]);',
    replace: '  if (/[a-z]/.test(value)) return false;\n  const port = Number(form.exec(value)?.[1]);',
    note: 'takes only numeric addresses',
    mayBreak: ['PEX-02', 'RTB-04', 'HSK-*'],
  },
  {
    id: 'address-map-ignored',
    kills: ['PEX-08'],
    file: 'node/shell/dialer.ts',
    find: 'const host = options.hosts.get(name) ?? name;',
    replace: 'const host = name;',
    note: 'asks only DNS for names, not its map',
    mayBreak: ['CFG-*'],
  },
];
