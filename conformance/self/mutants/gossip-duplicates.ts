/** Faults in what a node takes for a duplicate, for how long, and in whose copy counts. */

import type { Mutant } from '../mutant.ts';

const fetching = 'node/core/fetching.ts';
const announcing = 'node/core/announce.ts';
const gossip = 'node/core/gossip.ts';
const inbound = 'node/core/inbound.ts';
const seen = 'node/core/seen.ts';

const known =
  "return typeof payload.gossip_id === 'string' && node.gossipCache.has(payload.gossip_id, node.nowMs);";
const caching = 'if (!node.gossipCache.add(gossip.gossipId, nodeId, node.nowMs)) {';
const unknownToCheapCheck = { file: inbound, find: known, replace: 'return false;' };
/** A UUID made of anything, so that the cache takes it. */
const uuidOf = (text: string): string =>
  `node.world.sha256(${text}).replace(/^(.{8})(.{4})(.{3})(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5')`;

export const mutants: readonly Mutant[] = [
  {
    id: 'gossip-no-cache',
    kills: ['GAL-01', 'GAL-10'],
    file: seen,
    find: 'const isNew = this.#window.add(gossipId, nowMs, sender.number);',
    replace: 'this.#window.add(gossipId, nowMs, sender.number);\n    const isNew = true;',
    also: [unknownToCheapCheck],
    note: 'forwards every copy of a gossip',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*'],
    ci: true,
  },
  {
    id: 'gossip-cache-per-peer',
    kills: ['GAL-01'],
    file: gossip,
    find: caching,
    replace: `if (!node.gossipCache.add(${uuidOf('gossip.gossipId + nodeId')}, nodeId, node.nowMs)) {`,
    also: [unknownToCheapCheck],
    note: 'looks for duplicates among the gossips of the same peer only',
    mayBreak: ['GAL-*', 'GRT-*'],
  },
  {
    id: 'gossip-cache-per-connection',
    kills: ['GAL-01'],
    file: gossip,
    find: caching,
    replace: `if (!node.gossipCache.add(${uuidOf('gossip.gossipId + link.id')}, nodeId, node.nowMs)) {`,
    also: [unknownToCheapCheck],
    note: 'looks for duplicates among the gossips of one connection only',
    mayBreak: ['GAL-*', 'GRT-*'],
  },
  {
    id: 'gossip-cache-by-message',
    kills: ['GAL-02'],
    file: gossip,
    find: 'function takeAnnounce(node: NodeState, link: Link, gossip: Gossip): void {',
    replace: 'function takeAnnounce(node: NodeState, link: Link, gossip: Gossip, messageId: string): void {',
    also: [
      {
        file: gossip,
        find: 'takeAnnounce(node, link, gossip);',
        replace: 'takeAnnounce(node, link, gossip, messageId);',
      },
      {
        file: gossip,
        find: caching,
        replace: 'if (!node.gossipCache.add(messageId, nodeId, node.nowMs)) {',
      },
      unknownToCheapCheck,
    ],
    note: 'looks for duplicates by message_id',
    mayBreak: ['GAL-*', 'GRT-*'],
  },
  {
    id: 'gossip-cache-by-content',
    kills: ['GAL-02'],
    file: gossip,
    find: caching,
    replace: `if (!node.gossipCache.add(${uuidOf('gossip.topic + gossip.itemHashes.join()')}, nodeId, node.nowMs)) {`,
    also: [unknownToCheapCheck],
    note: 'takes gossips with the same topic and hashes for duplicates',
    mayBreak: ['GAL-*', 'GRT-*', 'GFM-*', 'HBT-*', 'LIF-*'],
  },
  {
    id: 'gossip-cache-by-id-and-content',
    kills: ['GAL-02', 'GAL-12'],
    file: gossip,
    find: caching,
    replace: `if (!node.gossipCache.add(${uuidOf('gossip.gossipId + gossip.topic + gossip.itemHashes.join()')}, nodeId, node.nowMs)) {`,
    also: [unknownToCheapCheck],
    note: 'takes a gossip_id with other content for another gossip',
    mayBreak: ['GAL-*'],
  },
  {
    id: 'gossip-last-wins',
    kills: ['GAL-12'],
    file: gossip,
    find: caching,
    replace:
      'const isDuplicate = !node.gossipCache.add(gossip.gossipId, nodeId, node.nowMs);\n  const isOther = contents.get(gossip.gossipId) !== gossip.itemHashes.join();\n  contents.set(gossip.gossipId, gossip.itemHashes.join());\n  if (isDuplicate && !isOther) {',
    also: [
      {
        file: gossip,
        find: 'function takeAnnounce(',
        replace: 'const contents = new Map<string, string>();\nfunction takeAnnounce(',
      },
      unknownToCheapCheck,
    ],
    note: 'spreads a gossip_id again when its content has changed',
    mayBreak: ['GAL-*'],
  },
  {
    id: 'gossip-cache-sliding',
    kills: ['GAL-03'],
    file: seen,
    find: '  add(gossipId: string, senderNodeId: string, nowMs: number): boolean {\n',
    replace:
      '  add(gossipId: string, senderNodeId: string, nowMs: number): boolean {\n    const last = touched.get(gossipId);\n    touched.set(gossipId, nowMs);\n    if (last !== undefined && nowMs - last < 60_000) return false;\n',
    also: [
      {
        file: seen,
        find: '/** Gossips by id alone, whoever sent them. */',
        replace: 'const touched = new Map<string, number>();\n/** Gossips by id alone, whoever sent them. */',
      },
      unknownToCheapCheck,
    ],
    note: 'lets each duplicate begin the window anew',
    mayBreak: ['GAL-04'],
  },
  {
    id: 'gossip-cache-cleared',
    kills: ['GAL-05'],
    file: seen,
    find: '    if (!this.hasRoom(senderNodeId, nowMs)) return false;\n',
    replace: '    if (this.#window.size(nowMs) >= 10_000) this.#window.size(nowMs + 1e9);\n',
    note: 'forgets all gossip ids when there are 10 000',
  },
  {
    id: 'gossip-cache-oldest-out',
    kills: ['GAL-05'],
    file: seen,
    find: 'new IdWindow({ lifeMs: cacheTtlMs, seed, expired:',
    replace: 'new IdWindow({ lifeMs: cacheTtlMs, limit: 10_000, seed, expired:',
    note: 'forgets the oldest gossip ids beyond 10 000, whoever sent them',
  },
  {
    id: 'gossip-cache-unbounded',
    kills: ['GAL-05'],
    file: seen,
    find: 'const gossipsPerSender = 20_000;',
    replace: 'const gossipsPerSender = 20_000_000;',
    note: 'remembers as many gossip ids of one peer as that peer likes',
  },
  {
    id: 'gossip-cache-five-thousand',
    kills: ['GAL-05'],
    file: seen,
    find: 'const gossipsPerSender = 20_000;',
    replace: 'const gossipsPerSender = 5_000;',
    note: 'drops what a peer sends beyond 5 000 ids a minute',
  },
  {
    id: 'gossip-cache-full-for-all',
    kills: ['GAL-05'],
    file: seen,
    find: 'return (this.#senders.get(senderNodeId)?.live ?? 0) < gossipsPerSender;',
    replace: 'return this.#window.size(nowMs) < gossipsPerSender;',
    note: 'takes no new gossip from anybody once one peer has filled the cache',
  },
  {
    id: 'cache-before-verify',
    kills: ['GAL-09', 'GAL-12'],
    file: inbound,
    find: '  const texts = envelopeText(envelope);\n',
    replace:
      "  if (messageType === 'gossip' && envelope.payload.gossip_type === 'announce')\n    node.gossipCache.add(String(envelope.payload.gossip_id), link.peer.nodeId, node.nowMs);\n  const texts = envelopeText(envelope);\n",
    also: [
      {
        file: gossip,
        find: caching,
        replace: 'if (false) {',
      },
    ],
    note: 'caches a gossip before its signature is checked',
    mayBreak: ['GAL-*', 'GFM-*'],
    ci: true,
  },
  {
    id: 'cache-before-shape',
    kills: ['GAL-09'],
    file: gossip,
    find: "  if (!gossip) return refuse('MALFORMED', 'gossip');\n",
    replace:
      "  if (!gossip) {\n    node.gossipCache.add(String(payload.gossip_id), link.peer.nodeId, node.nowMs);\n    return refuse('MALFORMED', 'gossip');\n  }\n",
    note: 'caches the gossip_id of a malformed gossip',
    mayBreak: ['GFM-06', 'GFM-07', 'GFM-08'],
  },
  {
    id: 'cached-though-stale',
    kills: ['GAL-09'],
    file: inbound,
    find: "    return { ...refuse('STALE', 'timestamp or message_id'),",
    replace:
      "    if (envelope.messageType === 'gossip')\n      node.gossipCache.add(String(envelope.payload.gossip_id), nodeId, node.nowMs);\n    return { ...refuse('STALE', 'timestamp or message_id'),",
    note: 'caches the gossip_id of a stale gossip',
  },
  {
    id: 'fetched-though-malformed',
    kills: ['GAL-09'],
    file: gossip,
    find: "  if (!gossip) return refuse('MALFORMED', 'gossip');\n",
    replace:
      "  if (!gossip) {\n    const named = Array.isArray(payload.item_hashes) ? payload.item_hashes : [];\n    for (const wire of named) want(node, link, String(wire).slice(5), 'announced', true);\n    return refuse('MALFORMED', 'gossip');\n  }\n",
    note: 'asks for the items of a malformed gossip',
    mayBreak: ['GFM-06', 'GFM-07', 'GFM-08'],
  },
  {
    id: 'own-gossip-uncached',
    kills: ['GAL-10'],
    file: announcing,
    find: '  node.gossipCache.add(gossip.gossipId, node.me.nodeId, node.nowMs);\n',
    replace: '',
    note: 'does not know its own announces when they come back',
  },
  {
    id: 'duplicate-processed',
    kills: ['GAL-12'],
    file: gossip,
    find: '    node.counters.duplicatesDropped++;\n    return;',
    replace:
      "    node.counters.duplicatesDropped++;\n    for (const wire of gossip.itemHashes) want(node, link, wire.slice(5), 'announced', true);\n    return;",
    also: [unknownToCheapCheck],
    note: 'asks for the items of duplicates',
  },
  {
    id: 'fetched-announced-anew',
    kills: ['GAL-10'],
    file: fetching,
    find: "  if (!stored || origin !== 'reconciled') return;",
    replace: '  if (!stored) return;',
    note: 'announces as its own what came to it by gossip',
    mayBreak: ['AEN-09', 'GFM-*', 'GAL-*'],
  },
];
