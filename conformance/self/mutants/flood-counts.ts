/** Faults in the counts of the flood limits: how many, of what, of whom, for how long. */

import type { Mutant, Patch } from '../mutant.ts';

const core = 'node/core/node.ts';
const inbound = 'node/core/inbound.ts';
const direct = 'node/core/direct.ts';
const limits = 'node/core/limits.ts';
const types = 'node/core/message-types.ts';
const made = 'limits: new CountLimits(commitsPerMinute, queriesPerMinute),';
const makes = (items: string, queries: string): Patch => ({
  file: core,
  find: made,
  replace: `limits: new CountLimits(${items}, ${queries}),`,
});
const overLimit = '    node.counters.rateLimited++;\n';
const waits = 'const waitMs = limit ? node.limits.waitMs(nodeId, limit, node.nowMs) : 0;';
const handled = '  const refusal = type.handle(node, link, received);\n';
const retryAfter = 'details: { retry_after: float(waitMs / 1000) },';

/** The three places where a message is held against somebody's count, with another idea of who that is. */
function countedBy(who: string): Patch & { also: readonly Patch[] } {
  return {
    file: inbound,
    find: waits,
    replace: waits.replace('nodeId', who),
    also: [
      {
        file: inbound,
        find: 'if (limit) node.limits.count(nodeId, limit, node.nowMs);',
        replace: `if (limit) node.limits.count(${who}, limit, node.nowMs);`,
      },
      {
        file: direct,
        find: "node.limits.count(author, 'item', node.nowMs);",
        replace: `node.limits.count(${who}, 'item', node.nowMs);`,
      },
    ],
  };
}

export const mutants: readonly Mutant[] = [
  {
    id: 'items-nine',
    kills: ['FLD-01'],
    ...makes('commitsPerMinute - 1', 'queriesPerMinute'),
    note: 'takes nine items a minute',
    mayBreak: ['FLD-*', 'HBT-05'],
  },
  {
    id: 'items-eleven',
    kills: ['FLD-01'],
    ...makes('commitsPerMinute + 1', 'queriesPerMinute'),
    note: 'takes eleven items a minute',
    mayBreak: ['FLD-*', 'DIR-06'],
    ci: true,
  },
  {
    id: 'items-unlimited',
    kills: ['FLD-01'],
    ...makes('Number.POSITIVE_INFINITY', 'queriesPerMinute'),
    note: 'takes any number of items',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'items-limited-but-applied',
    kills: ['FLD-01'],
    file: inbound,
    find: overLimit,
    replace: `${overLimit}    if (limit === 'item') type.handle(node, link, received);\n`,
    note: 'answers RATE_LIMIT and stores the item',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'items-apart',
    kills: ['FLD-01'],
    ...countedBy("link.peer.nodeId + received.envelope.messageType.replace('peer_request', 'query')"),
    note: 'counts commits, challenges and confirms each by themselves',
  },
  {
    id: 'items-refused-counted',
    kills: ['FLD-01'],
    file: inbound,
    find: handled,
    replace: `${handled}  if (refusal && limit === 'item') node.limits.count(nodeId, limit, node.nowMs);\n`,
    note: 'counts items that it refused',
  },
  {
    id: 'items-known-counted',
    kills: ['FLD-01'],
    file: direct,
    find: '  const { messageId } = received.envelope;\n  node.counters.envelopesTaken++;\n',
    replace:
      "  const { messageId } = received.envelope;\n  node.limits.count(link.peer.nodeId, 'item', node.nowMs);\n",
    note: 'counts items that it knew already',
  },
  {
    id: 'limit-closes',
    kills: ['FLD-01'],
    file: inbound,
    find: '  HANDSHAKE_REQUIRED: 4400,\n};',
    replace: '  HANDSHAKE_REQUIRED: 4400,\n  RATE_LIMIT: 4429,\n};',
    note: 'closes the connection of a peer over its limit',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'retry-after-missing',
    kills: ['FLD-01'],
    file: inbound,
    find: retryAfter,
    replace: 'details: {},',
    note: 'does not say how long a limit lasts',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'retry-after-milliseconds',
    kills: ['FLD-01'],
    file: inbound,
    find: retryAfter,
    replace: 'details: { retry_after: float(waitMs) },',
    note: 'gives retry_after in milliseconds',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'queries-twenty-nine',
    kills: ['FLD-02'],
    ...makes('commitsPerMinute', 'queriesPerMinute - 1'),
    note: 'answers 29 queries a minute',
    mayBreak: ['FLD-*', 'HBT-05', 'DIR-*'],
  },
  {
    id: 'queries-thirty-one',
    kills: ['FLD-02'],
    ...makes('commitsPerMinute', 'queriesPerMinute + 1'),
    note: 'answers 31 queries a minute',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'queries-unlimited',
    kills: ['FLD-02'],
    ...makes('commitsPerMinute', 'Number.POSITIVE_INFINITY'),
    note: 'answers any number of queries',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'queries-and-items-shared',
    kills: ['FLD-02'],
    file: limits,
    find: '= {\n    item: new Map(),\n    query: new Map(),\n  };',
    replace: '= ((both) => ({ item: both, query: both }))(new Map<string, SlidingCount>());',
    note: 'counts items and queries together',
    mayBreak: ['FLD-*', 'HBT-05', 'DIR-*'],
  },
  {
    id: 'peer-requests-uncounted',
    kills: ['FLD-02', 'FLD-08'],
    file: types,
    find: "        answerPeerRequest(node, link, envelope.messageId, envelope.payload),\n      limit: 'query',",
    replace:
      '        answerPeerRequest(node, link, envelope.messageId, envelope.payload),\n      limit: null,',
    note: 'does not count peer_requests',
    mayBreak: ['FLD-*'],
    ci: true,
  },
  {
    id: 'queries-refused-counted',
    kills: ['FLD-02'],
    file: inbound,
    find: handled,
    replace: `${handled}  if (refusal && limit === 'query') node.limits.count(nodeId, limit, node.nowMs);\n`,
    note: 'counts queries that it refused',
    mayBreak: ['DIR-*', 'ENV-*'],
  },
  {
    id: 'sync-counted',
    kills: ['FLD-02'],
    file: types,
    find: "['sync_digest', unlimited(takeDigest)],",
    replace: "['sync_digest', { handle: takeDigest, limit: 'query' }],",
    note: 'counts sync_digests as queries',
    mayBreak: ['*'],
  },
  {
    id: 'limits-global',
    kills: ['FLD-04'],
    ...countedBy("'everybody'"),
    note: 'has one limit for all peers together',
    mayBreak: ['*'],
    ci: true,
  },
  {
    id: 'limits-per-agent',
    kills: ['FLD-04', 'FLD-05'],
    ...countedBy('link.identity.agentId'),
    note: 'counts by agent, not by node',
  },
  {
    id: 'limits-for-relayed',
    kills: ['FLD-04'],
    file: 'node/core/fetching.ts',
    find: '    if (!isRefusal(item)) {\n      taken.add(item.hash);',
    replace:
      "    if (!isRefusal(item) && node.limits.waitMs((body as any).sender.node_id, 'item', node.nowMs) === 0) {\n      taken.add(item.hash);",
    note: 'refuses items of a limited author from others too',
  },
  {
    id: 'limits-per-connection',
    kills: ['FLD-05'],
    ...countedBy('String(link.id)'),
    note: 'counts by connection',
    mayBreak: ['FLD-06'],
    ci: true,
  },
  {
    id: 'limits-forgotten-with-peer',
    kills: ['FLD-05'],
    file: 'node/core/handshake.ts',
    find: '    dropSource(node, peer);\n',
    replace:
      "    dropSource(node, peer);\n    for (let i = 0; i < 30; i++) {\n      node.limits.takeBack(peer.nodeId, 'item');\n      node.limits.takeBack(peer.nodeId, 'query');\n    }\n",
    note: 'forgets the counts of a peer when its last connection ends',
    mayBreak: ['FLD-06'],
  },
  {
    id: 'window-fixed',
    kills: ['FLD-06'],
    file: limits,
    find: '  while (count.head < count.atMs.length && count.atMs[count.head]! <= untilMs) {',
    replace:
      '  if (count.head < count.atMs.length && count.atMs[count.head]! <= untilMs) while (count.head < count.atMs.length) {',
    note: 'counts in windows that begin with the first message and end all at once',
  },
  {
    id: 'window-calendar',
    kills: ['FLD-06'],
    file: limits,
    find: 'function leave(count: SlidingCount, untilMs: number): void {\n',
    replace:
      'function leave(count: SlidingCount, slidingMs: number): void {\n  const untilMs = Math.floor((slidingMs + 60_000) / 60_000) * 60_000;\n',
    note: 'counts by the minutes of its clock',
  },
  {
    id: 'window-refilled',
    kills: ['FLD-06'],
    file: limits,
    find: 'return count.total < this.#limits[kind] ? 0',
    replace:
      'return count.total - Math.floor((nowMs - (count.atMs[count.head] ?? nowMs)) / 6_000) < this.#limits[kind] ? 0',
    note: 'frees a place every six seconds',
  },
  {
    id: 'window-thirty-seconds',
    kills: ['FLD-06'],
    file: limits,
    find: 'windowMs = 60_000) {',
    replace: 'windowMs = 30_000) {',
    note: 'counts over 30 s',
  },
  {
    id: 'window-for-ever',
    kills: ['FLD-06'],
    file: limits,
    find: 'windowMs = 60_000) {',
    replace: 'windowMs = 3_600_000) {',
    note: 'lets a peer that used up its minute wait an hour',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'window-tries-counted',
    kills: ['FLD-06'],
    file: inbound,
    find: overLimit,
    replace: `${overLimit}    if (limit) node.limits.count(nodeId, limit, node.nowMs);\n`,
    note: 'counts what it refused for the limit: who keeps trying is limited for ever',
  },
  {
    id: 'retry-after-floored',
    kills: ['FLD-06'],
    file: inbound,
    find: retryAfter,
    replace: 'details: { retry_after: float(Math.floor(waitMs / 1000)) },',
    note: 'tells how long to wait in whole seconds, rounded down: at last none',
  },
  {
    id: 'limited-remembered',
    kills: ['FLD-06'],
    file: inbound,
    find: overLimit,
    replace: `${overLimit}    node.messageIds.add(nodeId, envelope.messageId, node.nowMs);\n`,
    note: 'remembers the id of a message that was over the limit',
  },
];
