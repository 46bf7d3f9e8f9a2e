/** Faults in how gossip spreads: to whom, how far, how often. */

import type { Mutant } from '../mutant.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'gossip-fanout-two',
    kills: ['GRT-01'],
    file: 'node/core/announce.ts',
    find: 'return pickRandom(node, eligible, node.parameters.fanout);',
    replace: 'return pickRandom(node, eligible, 2);',
    note: 'forwards to 2 peers',
    ci: true,
  },
  {
    id: 'gossip-fanout-all',
    kills: ['GRT-01'],
    file: 'node/core/announce.ts',
    find: 'return pickRandom(node, eligible, node.parameters.fanout);',
    replace: 'return eligible;',
    note: 'forwards to every eligible peer',
  },
  {
    id: 'announce-ttl-three',
    kills: ['GRT-05'],
    file: 'node/core/announce.ts',
    find: 'ttl: node.parameters.ttl - 1,',
    replace: 'ttl: node.parameters.ttl,',
    note: 'own announces leave with ttl 3 on the first hop',
    ci: true,
  },
  {
    id: 'announce-without-origin',
    kills: ['GRT-05'],
    file: 'node/core/announce.ts',
    find: '    origin: node.me.nodeId,\n  };\n  node.gossipCache',
    replace: "    origin: '',\n  };\n  node.gossipCache",
    note: 'own announces have an empty origin',
    mayBreak: ['GFM-01'],
  },
  {
    id: 'gossip-cache-thirty-seconds',
    kills: ['GAL-03'],
    file: 'node/core/node.ts',
    find: 'new GossipCache(parameters.cacheTtlMs, world.random())',
    replace: 'new GossipCache(30_000, world.random())',
    note: 'forgets gossip ids after 30 s',
  },
  {
    id: 'gossip-cache-for-ever',
    kills: ['GAL-03'],
    file: 'node/core/node.ts',
    find: 'new GossipCache(parameters.cacheTtlMs, world.random())',
    replace: 'new GossipCache(Number.MAX_SAFE_INTEGER, world.random())',
    note: 'never forgets a gossip id',
  },
];
