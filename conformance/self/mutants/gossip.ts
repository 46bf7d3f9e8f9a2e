/** Faults in how gossip spreads: to whom, how far, how often. */

import type { Mutant } from '../mutant.ts';

const announcing = 'node/core/announce.ts';
const gossip = 'node/core/gossip.ts';
const choosing = 'return pickRandom(node, eligible, node.parameters.fanout);';
const forwarding = 'pickGossipPeers(node, [nodeId, gossip.origin])';
const telling = 'pickGossipPeers(node, [author])';

export const mutants: readonly Mutant[] = [
  {
    id: 'gossip-fanout-four',
    kills: ['GRT-01'],
    file: announcing,
    find: choosing,
    replace: 'return pickRandom(node, eligible, 4);',
    note: 'forwards to 4 peers',
  },
  {
    id: 'gossip-repeats',
    kills: ['GRT-01'],
    file: announcing,
    find: choosing,
    replace:
      'return [1, 2, 3].flatMap(() => pickRandom(node, eligible, 1)).slice(0, node.parameters.fanout);',
    note: 'draws three times without looking whether it is the same peer',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*', 'HBT-*', 'LIF-*'],
  },
  {
    id: 'announce-to-all',
    kills: ['GRT-01'],
    file: announcing,
    find: telling,
    replace: 'node.persistent',
    note: 'tells all its peers of new items',
  },
  {
    id: 'gossip-few-none',
    kills: ['GRT-02'],
    file: announcing,
    find: choosing,
    replace: `if (eligible.length < node.parameters.fanout) return [];\n  ${choosing}`,
    note: 'forwards to nobody if fewer than 3 are eligible (a sample that throws)',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*', 'HBT-*', 'LIF-*', 'AEN-09'],
  },
  {
    id: 'gossip-few-one',
    kills: ['GRT-02'],
    file: announcing,
    find: choosing,
    replace: `if (eligible.length < node.parameters.fanout) return eligible.slice(0, 1);\n  ${choosing}`,
    note: 'forwards to one peer if fewer than 3 are eligible',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*', 'HBT-*', 'LIF-*'],
  },
  {
    id: 'gossip-first-three',
    kills: ['GRT-03'],
    file: announcing,
    find: choosing,
    replace: 'return eligible.slice(0, node.parameters.fanout);',
    note: 'forwards to the three oldest of its peers',
  },
  {
    id: 'gossip-sticky',
    kills: ['GRT-03'],
    file: announcing,
    find: choosing,
    replace:
      'sticky = sticky.filter((link) => eligible.includes(link));\n  if (sticky.length < 3) sticky = pickRandom(node, eligible, node.parameters.fanout);\n  return sticky;',
    also: [
      {
        file: announcing,
        find: 'export function pickGossipPeers(',
        replace: 'let sticky: Link[] = [];\nexport function pickGossipPeers(',
      },
    ],
    note: 'chooses three peers once and stays with them',
  },
  {
    id: 'gossip-rotating',
    kills: ['GRT-03'],
    file: announcing,
    find: choosing,
    replace:
      'turnsTaken++;\n  return [0, 1, 2]\n    .slice(0, eligible.length)\n    .map((i) => eligible[(turnsTaken + i) % eligible.length]!);',
    also: [
      {
        file: announcing,
        find: 'export function pickGossipPeers(',
        replace: 'let turnsTaken = 0;\nexport function pickGossipPeers(',
      },
    ],
    note: 'takes its peers in turn instead of at random',
  },
  {
    id: 'gossip-echo-sender',
    kills: ['GRT-04'],
    file: gossip,
    find: forwarding,
    replace: 'pickGossipPeers(node, [gossip.origin])',
    note: 'may forward to the peer that a gossip came from',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*'],
    ci: true,
  },
  {
    id: 'gossip-echo-origin',
    kills: ['GRT-04'],
    file: gossip,
    find: forwarding,
    replace: 'pickGossipPeers(node, [nodeId])',
    note: 'may forward to the origin of a gossip',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*'],
  },
  {
    id: 'gossip-echo-connection',
    kills: ['GRT-04'],
    file: gossip,
    find: forwarding,
    replace:
      'pickGossipPeers(node, [link.peer.persistent === link ? nodeId : null, gossip.origin === nodeId ? null : gossip.origin])',
    note: 'forwards to the node that a gossip came from, if it came by another connection',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*'],
  },
  {
    id: 'announce-ttl-zero',
    kills: ['GRT-05'],
    file: announcing,
    find: 'ttl: node.parameters.ttl - 1,',
    replace: 'ttl: 0,',
    note: 'own announces leave with ttl 0',
  },
  {
    id: 'announce-origin-author',
    kills: ['GRT-05'],
    file: announcing,
    find: 'origin: node.me.nodeId,',
    replace: 'origin: author ?? node.me.nodeId,',
    note: 'names the author of an item as the origin of its announce',
  },
  {
    id: 'announce-same-id',
    kills: ['GRT-05'],
    file: announcing,
    find: 'gossipId: node.world.uuid(),',
    replace: "gossipId: '6ba7b810-9dad-41d1-80b4-00c04fd430c8',",
    note: 'uses one gossip_id for all its announces',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*'],
  },
  {
    id: 'announce-uuid-one',
    kills: ['GRT-05'],
    file: announcing,
    find: 'gossipId: node.world.uuid(),',
    replace: "gossipId: node.world.uuid().replace(/^(.{14})4/, '$11'),",
    note: 'makes gossip ids of version 1',
    mayBreak: ['GFM-01'],
  },
  {
    id: 'gossip-waits-for-slow',
    kills: ['GRT-06'],
    file: gossip,
    find: `sendToEach(node, ${forwarding}, 'gossip', text);`,
    replace: `const to = ${forwarding};\n  if (!to.some((link) => link.pressed)) sendToEach(node, to, 'gossip', text);`,
    note: 'forwards to one peer after the other, and waits for one that does not read',
  },
  {
    id: 'gossip-slow-stops-all',
    kills: ['GRT-06'],
    file: announcing,
    find: choosing,
    replace: `if (node.persistent.some((link) => link.pressed)) return [];\n  ${choosing}`,
    note: 'tells nobody anything while one peer does not read',
  },
  {
    id: 'gossip-to-pending',
    kills: ['GRT-07'],
    file: announcing,
    find: 'const eligible = node.persistent.filter((link) => link.gossips &&',
    replace:
      "const pending = [...node.links.values()].filter((link) => link.phase === 'hello');\n  const eligible = [...node.persistent, ...pending].filter((link) => (link.gossips || link.phase === 'hello') &&",
    note: 'gossips to connections whose handshake is under way',
  },
  {
    id: 'gossip-before-own-hello',
    kills: ['GRT-07'],
    file: 'node/core/handshake.ts',
    find: '  if (!link.errand) sendHello(node, link);\n  connected(node, link, hello);\n',
    replace: `  if (!link.errand && link.type === 'persistent') {
    node.persistent.push(link);
    link.gossips = hello.capabilities.includes('gossip');
    node.deadlines.at(node.nowMs + 20, () => {
      node.persistent.splice(node.persistent.indexOf(link), 1);
      if (!node.links.has(link.id)) return;
      sendHello(node, link);
      connected(node, link, hello);
    });
    return null;
  }
  if (!link.errand) sendHello(node, link);
  connected(node, link, hello);
`,
    note: 'counts a peer as connected a moment before it answers its hello',
    mayBreak: ['HSK-*', 'LIF-*', 'GRT-*', 'GAL-*'],
  },
  {
    id: 'gossip-to-short-lived',
    kills: ['GRT-07'],
    file: announcing,
    find: 'const eligible = node.persistent.filter((link) => link.gossips &&',
    replace: 'const eligible = [...node.links.values()].filter((link) => link.gossips &&',
    note: 'gossips on every connection, not only persistent ones',
    mayBreak: ['GRT-04'],
  },
  {
    id: 'gossip-fanout-two',
    kills: ['GRT-01'],
    file: 'node/core/announce.ts',
    find: 'return pickRandom(node, eligible, node.parameters.fanout);',
    replace: 'return pickRandom(node, eligible, 2);',
    note: 'forwards to 2 peers',
    mayBreak: ['LIF-01'],
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
  {
    id: 'gossip-cache-two-minutes',
    kills: ['GAL-03'],
    file: 'node/core/node.ts',
    find: 'new GossipCache(parameters.cacheTtlMs, world.random())',
    replace: 'new GossipCache(2 * parameters.cacheTtlMs, world.random())',
    note: 'remembers gossip ids for two minutes',
    mayBreak: ['GAL-04'],
  },
  {
    id: 'gossip-fanout-one',
    kills: ['GRT-01', 'GAL-11'],
    file: announcing,
    find: choosing,
    replace: 'return pickRandom(node, eligible, 1);',
    note: 'forwards to one peer',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*', 'HBT-*', 'LIF-*', 'MET-*'],
  },
  {
    id: 'announce-ttl-one',
    kills: ['GRT-05', 'GAL-11'],
    file: announcing,
    find: 'ttl: node.parameters.ttl - 1,',
    replace: 'ttl: node.parameters.ttl - 2,',
    note: 'own announces leave with ttl 1',
    mayBreak: ['MET-*'],
  },
];
