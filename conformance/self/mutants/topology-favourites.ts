/** Faults that make one node more than the others: a centre, a favourite, always the same peers. */

import type { Mutant } from '../mutant.ts';

const dialing = 'node/core/dialing.ts';
const chooses = '  return pickRandom(node, eligible, node.parameters.fanout);';

export const mutants: readonly Mutant[] = [
  {
    id: 'star-through-bootstrap',
    kills: ['TOP-05'],
    file: dialing,
    find: 'if (!mayDial(node, nodeId)) continue;',
    replace:
      'if (!mayDial(node, nodeId) || !node.bootstraps.some((query) => query.nodeId === nodeId)) continue;',
    note: 'keeps connections to its bootstrap nodes alone',
    mayBreak: ['*'],
  },
  {
    id: 'gossip-always-to-bootstrap',
    kills: ['TOP-06'],
    file: 'node/core/announce.ts',
    find: chooses,
    replace: `  const isBootstrap = (link: Link) => node.bootstraps.some((query) => query.nodeId === link.peer.nodeId);
  const favoured = eligible.filter(isBootstrap);
  const rest = eligible.filter((link) => !isBootstrap(link));
  return [...favoured, ...pickRandom(node, rest, node.parameters.fanout)].slice(0, node.parameters.fanout);`,
    note: 'sends every gossip to its bootstrap node first',
    mayBreak: ['GRT-*'],
  },
  {
    id: 'gossip-never-to-bootstrap',
    kills: ['TOP-06'],
    file: 'node/core/announce.ts',
    find: chooses,
    replace: `  const isBootstrap = (link: Link) => node.bootstraps.some((query) => query.nodeId === link.peer.nodeId);
  return pickRandom(node, eligible.filter((link) => !isBootstrap(link)), node.parameters.fanout);`,
    note: 'sends no gossip to its bootstrap node',
    mayBreak: ['GRT-*'],
  },
  {
    id: 'gossip-to-the-oldest-three',
    kills: ['TOP-06'],
    file: 'node/core/announce.ts',
    find: chooses,
    replace: '  return eligible.slice(0, node.parameters.fanout);',
    note: 'sends gossips to the peers that came first',
    mayBreak: ['GRT-*'],
  },
  {
    id: 'peers-prefer-bootstrap',
    kills: ['TOP-06'],
    file: dialing,
    find: '    for (const nodeId of pickRandom(node, candidates, wanted)) {',
    replace:
      '    const favoured = candidates.filter((nodeId) => node.bootstraps.some((query) => query.nodeId === nodeId));\n    const rest = candidates.filter((nodeId) => !favoured.includes(nodeId));\n    for (const nodeId of [...favoured, ...rest].slice(0, wanted)) {',
    note: 'dials its bootstrap nodes before others',
    mayBreak: ['TOP-05'],
  },
  {
    id: 'peers-lowest-ids',
    kills: ['TOP-06'],
    file: dialing,
    find: 'of pickRandom(node, candidates, wanted)) {',
    replace: 'of candidates.sort().slice(0, wanted)) {',
    note: 'dials the nodes with the lowest ids',
  },
];
