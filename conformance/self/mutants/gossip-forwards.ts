/** Faults in how far a gossip goes, and in what of it is handed on. */

import type { Mutant } from '../mutant.ts';

const gossip = 'node/core/gossip.ts';
const inbound = 'node/core/inbound.ts';
const payload = 'node/core/gossip-payload.ts';
const caching = 'if (!node.gossipCache.add(gossip.gossipId, nodeId, node.nowMs)) {';
const forwarded = 'const text = gossipText({ ...gossip, ttl: ttl - 1 });';

export const mutants: readonly Mutant[] = [
  {
    id: 'ttl-not-reduced',
    kills: ['GAL-06'],
    file: gossip,
    find: forwarded,
    replace: 'const text = gossipText({ ...gossip, ttl });',
    note: 'forwards with the ttl that came',
    mayBreak: ['GAL-*', 'GFM-*'],
    ci: true,
  },
  {
    id: 'ttl-minus-two',
    kills: ['GAL-06'],
    file: gossip,
    find: forwarded,
    replace: 'const text = gossipText({ ...gossip, ttl: ttl - 2 });',
    note: 'takes 2 off the ttl at each hop',
    mayBreak: ['GAL-*', 'GFM-*'],
  },
  {
    id: 'ttl-reset',
    kills: ['GAL-06'],
    file: gossip,
    find: forwarded,
    replace: 'const text = gossipText({ ...gossip, ttl: node.parameters.ttl - 1 });',
    note: 'gives every forward a full ttl',
    mayBreak: ['GAL-*', 'GFM-*'],
  },
  {
    id: 'ttl-zero-forwarded',
    kills: ['GAL-07'],
    file: gossip,
    find: 'if (ttl <= 0) return;',
    replace: '',
    note: 'forwards a gossip with ttl 0, with ttl -1',
    mayBreak: ['GFM-*', 'GAL-*'],
  },
  {
    id: 'ttl-zero-dropped',
    kills: ['GAL-07'],
    file: gossip,
    find: 'function takeAnnounce(node: NodeState, link: Link, gossip: Gossip): void {\n',
    replace:
      'function takeAnnounce(node: NodeState, link: Link, gossip: Gossip): void {\n  if (gossip.ttl === 0) return;\n',
    note: 'ignores a gossip with ttl 0',
    mayBreak: ['GAL-*', 'GFM-*', 'DIR-*'],
  },
  {
    id: 'ttl-zero-uncached',
    kills: ['GAL-07'],
    file: gossip,
    find: caching,
    replace: 'if (gossip.ttl > 0 && !node.gossipCache.add(gossip.gossipId, nodeId, node.nowMs)) {',
    note: 'does not cache a gossip with ttl 0',
    mayBreak: ['GAL-05'],
  },
  {
    id: 'forward-new-id',
    kills: ['GAL-08'],
    file: gossip,
    find: forwarded,
    replace: 'const text = gossipText({ ...gossip, gossipId: node.world.uuid(), ttl: ttl - 1 });',
    note: 'forwards under a gossip_id of its own',
    mayBreak: ['GAL-*', 'GRT-*', 'GFM-*', 'HBT-*', 'LIF-*'],
  },
  {
    id: 'forward-origin-rewritten',
    kills: ['GAL-08'],
    file: gossip,
    find: forwarded,
    replace: 'const text = gossipText({ ...gossip, origin: node.me.nodeId, ttl: ttl - 1 });',
    note: 'names itself as the origin of what it forwards',
    ci: true,
  },
  {
    id: 'forward-topics-lost',
    kills: ['GAL-08'],
    file: gossip,
    find: forwarded,
    replace: 'const text = gossipText({ ...gossip, topics: [gossip.topic], ttl: ttl - 1 });',
    note: 'forwards the topic alone as topics',
  },
  {
    id: 'forward-hashes-sorted',
    kills: ['GAL-08'],
    file: gossip,
    find: forwarded,
    replace:
      'const text = gossipText({ ...gossip, itemHashes: [...gossip.itemHashes].sort(), ttl: ttl - 1 });',
    note: 'sorts the hashes of what it forwards',
  },
  {
    id: 'forward-hashes-once',
    kills: ['GAL-08'],
    file: gossip,
    find: forwarded,
    replace:
      'const text = gossipText({ ...gossip, itemHashes: [...new Set(gossip.itemHashes)], ttl: ttl - 1 });',
    note: 'forwards a hash once that was named twice',
  },
  {
    id: 'forward-lacking-only',
    kills: ['GAL-08'],
    file: gossip,
    find: forwarded,
    replace:
      'const text = gossipText({ ...gossip, itemHashes: gossip.itemHashes.filter((wire) => !isHeld(node, wire.slice(5))), ttl: ttl - 1 });',
    note: 'forwards only the hashes that were new to it',
  },
  {
    id: 'forward-same-envelope',
    kills: ['GAL-08'],
    file: inbound,
    find: '  const refusal = type.handle(node, link, received);\n',
    replace:
      "  relayed = received.text.whole;\n  const refusal = type.handle(node, link, received);\n  relayed = '';\n",
    also: [
      { file: inbound, find: 'function judged(', replace: "export let relayed = '';\nfunction judged(" },
      {
        file: gossip,
        find: "sendToEach(node, pickGossipPeers(node, [nodeId, gossip.origin]), 'gossip', text);",
        replace:
          "for (const to of pickGossipPeers(node, [nodeId, gossip.origin])) node.turn.effects.push({ kind: 'send', link: to.id, text: relayed });",
      },
      {
        file: gossip,
        find: "import { send, sendToEach } from './sending.ts';",
        replace: "import { relayed } from './inbound.ts';\nimport { send } from './sending.ts';",
      },
    ],
    note: 'forwards the envelope as it came, with its sender and its ttl',
    mayBreak: ['*'],
  },
  {
    id: 'forward-carries-members',
    kills: ['GAL-13'],
    file: gossip,
    find: forwarded,
    replace:
      "const own = gossipText({ ...gossip, ttl: ttl - 1 }).slice(0, -1);\n  const text = (own + ', ' + canonical(strangers).slice(1)).replace(/, }$/, '}');",
    also: [
      {
        file: gossip,
        find: '  const gossip = readGossip(payload);\n',
        replace:
          "  strangers = Object.fromEntries(\n    Object.entries(payload).filter(([key]) => !['gossip_id', 'gossip_type', 'topic', 'topics', 'item_hashes', 'ttl', 'origin'].includes(key)),\n  );\n  const gossip = readGossip(payload);\n",
      },
      {
        file: gossip,
        find: '/** A gossip past the first ten checks. */',
        replace: 'let strangers: JsonObject = {};\n/** A gossip past the first ten checks. */',
      },
      {
        file: gossip,
        find: "import { pickGossipPeers } from './announce.ts';",
        replace:
          "import { pickGossipPeers } from './announce.ts';\nimport { canonical } from './canonical.ts';",
      },
    ],
    note: 'carries on whatever else stands in a gossip',
    mayBreak: ['SIG-01', 'CAN-01', 'GAL-*'],
  },
  {
    id: 'gossip-extra-refused',
    kills: ['GAL-13'],
    file: payload,
    find: '  if (!isUuid(gossip_id) || ',
    replace:
      "  if (gossip_type === 'announce' && Object.keys(payload).length > 7) return null;\n  if (!isUuid(gossip_id) || ",
    note: 'refuses a gossip with members that it does not know',
  },
  {
    id: 'forward-not-checkpoints',
    kills: ['GAL-08'],
    file: gossip,
    find: '  if (ttl <= 0) return;',
    replace: "  if (ttl <= 0 || gossip.topic === 'checkpoint') return;",
    note: 'does not forward announces of checkpoints',
    mayBreak: ['CKP-*'],
  },
];
