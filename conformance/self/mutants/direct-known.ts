/** Faults in how a node answers an item that it holds, and queries that are wrong or cruel. */

import type { Mutant } from '../mutant.ts';

const direct = 'node/core/direct.ts';
const inbound = 'node/core/inbound.ts';
const query = 'node/core/query.ts';
const glob = 'node/core/glob.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'known-stale',
    kills: ['DIR-06'],
    file: inbound,
    find: '  if (answerIfKnown(node, link, received)) return;\n  const refusal = judged(node, link, received);',
    replace:
      '  const judgedStale = Math.abs(received.envelope.timestamp - node.world.wallMs() / 1000) > skewSeconds;\n  if (!judgedStale && answerIfKnown(node, link, received)) return;\n  const refusal = judged(node, link, received);',
    note: 'calls a held item of 10 minutes ago STALE',
  },
  {
    id: 'known-replayed',
    kills: ['DIR-06'],
    file: inbound,
    find: '  if (answerIfKnown(node, link, received)) return;\n  const refusal = judged(node, link, received);',
    replace:
      '  const isReplay = node.messageIds.has(link.peer.nodeId, received.envelope.messageId, node.nowMs);\n  if (!isReplay && answerIfKnown(node, link, received)) return;\n  const refusal = judged(node, link, received);',
    note: 'calls a held item that its author sends again STALE',
    ci: true,
  },
  {
    id: 'known-accepted-again',
    kills: ['DIR-06'],
    file: direct,
    find: "sendStatus(node, link, messageId, 'known', itemHash)",
    replace: "sendStatus(node, link, messageId, 'accepted', itemHash)",
    note: 'answers accepted to an item that it holds',
  },
  {
    id: 'known-counted',
    kills: ['DIR-06'],
    file: direct,
    find: '  const { messageId } = received.envelope;\n  node.counters.envelopesTaken++;',
    replace:
      "  const { messageId } = received.envelope;\n  node.limits.count(link.peer.nodeId, 'item', node.nowMs);\n  node.counters.envelopesTaken++;",
    note: 'counts items that it holds against the rate limit',
  },
  {
    id: 'known-limited',
    kills: ['DIR-06'],
    file: direct,
    find: '  if (itemHash === null || ',
    replace:
      "  if (node.limits.waitMs(link.peer.nodeId, 'item', node.nowMs) > 0) return false;\n  if (itemHash === null || ",
    note: 'answers RATE_LIMIT to a held item',
  },
  {
    id: 'known-announced',
    kills: ['DIR-06'],
    file: direct,
    find: "    if (stored) sendStatus(node, link, messageId, 'known', itemHash);",
    replace:
      "    if (stored) {\n      sendStatus(node, link, messageId, 'known', itemHash);\n      announce(node, 'new_commit', 'rule_' + itemHash, null);\n    }",
    note: 'announces a held item again',
    mayBreak: ['GFM-02'],
  },
  {
    id: 'known-from-relay-announced',
    kills: ['DIR-06'],
    file: direct,
    find: "    if (stored) sendStatus(node, link, messageId, 'known', itemHash);",
    replace: `    if (stored) {
      sendStatus(node, link, messageId, 'known', itemHash);
      if (!fromAuthor.has(itemHash))
        node.deadlines.at(node.nowMs + 40, () => announce(node, 'new_commit', 'rule_' + itemHash, null));
      fromAuthor.add(itemHash);
    }`,
    also: [
      {
        file: direct,
        find: '  settleWant(node, item.hash, true);\n',
        replace: '  settleWant(node, item.hash, true);\n  fromAuthor.add(item.hash);\n',
      },
      {
        file: direct,
        find: 'export const itemsAtOnce = 256;',
        replace: 'export const itemsAtOnce = 256;\nconst fromAuthor = new Set<string>();',
      },
    ],
    note: 'announces an item that it holds by relay when its author sends it for the first time',
  },
  {
    id: 'known-before-signature',
    kills: ['DIR-06'],
    file: inbound,
    find: "return no('INVALID_SIGNATURE', 'signature');",
    replace:
      "    {\n    const early = isItemType(messageType) ? itemHashOf(texts, node.world.sha256) : null;\n    if (early === null || !answerIfKnown(node, link, { envelope, text: texts, itemHash: early })) return no('INVALID_SIGNATURE', 'signature');\n    return null;\n  }",
    note: 'answers known to a held item without looking at its signature',
  },
  {
    id: 'known-by-message-id',
    kills: ['DIR-06'],
    file: direct,
    find: '  if (itemHash === null || !(isHeld(node, itemHash) || isArriving(node, itemHash))) return false;',
    replace:
      '  if (itemHash === null || !node.messageIds.has(link.peer.nodeId, received.envelope.messageId, node.nowMs)) return false;\n  if (!(isHeld(node, itemHash) || isArriving(node, itemHash))) return false;',
    note: 'knows only the messages that came from their author, not the items that came by relay',
  },
  {
    id: 'known-while-storing-refused',
    kills: ['DIR-06'],
    file: direct,
    find: '!(isHeld(node, itemHash) || isArriving(node, itemHash))',
    replace: '!isHeld(node, itemHash)',
    note: 'does not know an item that it is storing',
  },
  {
    id: 'known-adds-again',
    kills: ['DIR-06'],
    file: direct,
    find: '  const { messageId } = received.envelope;\n  node.counters.envelopesTaken++;',
    replace:
      '  const { messageId } = received.envelope;\n  const twice = checkOwnedItem(received.envelope, received.text, node.rules);\n  if (!isRefusal(twice) && isHeld(node, itemHash)) addCommit(node.commits, twice);\n  node.counters.envelopesTaken++;',
    also: [
      {
        file: direct,
        find: "import { canonical } from './canonical.ts';",
        replace: "import { canonical } from './canonical.ts';\nimport { addCommit } from './commits.ts';",
      },
    ],
    note: 'counts a commit as often as it comes',
  },
  {
    id: 'old-item-taken',
    kills: ['DIR-06'],
    file: inbound,
    find: '    Math.abs(envelope.timestamp - wallMs / 1000) > skewSeconds ||',
    replace:
      '    (!isItemType(envelope.messageType) && Math.abs(envelope.timestamp - wallMs / 1000) > skewSeconds) ||',
    note: 'takes items of any age from their author',
    mayBreak: ['SIG-09'],
  },
  {
    id: 'query-limit-negative-taken',
    kills: ['DIR-08'],
    file: query,
    find: '  if (!isInteger(limit) || limit < 0) return null;',
    replace: '  if (!isInteger(limit)) return null;\n  if (limit < 0) return 0;',
    note: 'takes a negative limit',
    ci: true,
  },
  {
    id: 'query-limit-any-number',
    kills: ['DIR-08'],
    file: query,
    find: '  if (!isInteger(limit) || limit < 0) return null;',
    replace:
      '  if (!isNumber(limit) || numberOf(limit) < 0) return null;\n  if (!isInteger(limit)) return Math.floor(numberOf(limit));',
    note: 'takes a limit of 2.5',
  },
  {
    id: 'query-limit-text-taken',
    kills: ['DIR-08'],
    file: query,
    find: '  if (!isInteger(limit) || limit < 0) return null;',
    replace:
      "  if (typeof limit === 'string' || limit === null || limit === true) return Number(limit);\n  if (!isInteger(limit) || limit < 0) return null;",
    note: 'takes a limit in quotes',
  },
  {
    id: 'query-min-confidence-any',
    kills: ['DIR-08'],
    file: query,
    find: "  if (least !== undefined && !isNumber(least)) return refuse('MALFORMED', 'min_confidence is no number');\n",
    replace: '',
    note: 'takes any min_confidence',
  },
  {
    id: 'query-filter-defaults',
    kills: ['DIR-08'],
    file: query,
    find: "      if (typeof wanted !== 'string') return refuse('MALFORMED', 'filters.rule_hash');",
    replace: "      if (typeof wanted !== 'string') return [];",
    also: [
      {
        file: query,
        find: "      if (typeof wanted !== 'string') return refuse('MALFORMED', 'filters.agent_id');",
        replace: "      if (typeof wanted !== 'string') return [];",
      },
    ],
    note: 'finds nothing where the filter is missing',
    mayBreak: ['DIR-02'],
  },
  {
    id: 'query-pattern-defaults',
    kills: ['DIR-08'],
    file: query,
    find: "      const isMatch = typeof wanted === 'string' ? compileGlob(wanted) : null;",
    replace: "      const isMatch = compileGlob(typeof wanted === 'string' ? wanted : '*');",
    note: 'takes a missing context_pattern for *',
  },
  {
    id: 'query-type-defaults',
    kills: ['DIR-08'],
    file: query,
    find: "      return refuse('MALFORMED', 'unknown query_type');",
    replace: '      return [];',
    note: 'finds nothing for an unknown query_type',
  },
  {
    id: 'query-filters-absent-taken',
    kills: ['DIR-08'],
    file: query,
    find: "  if (typeof query_type !== 'string' || !isObject(filters))\n    return refuse('MALFORMED', 'query_type or filters');\n",
    replace: '',
    also: [
      {
        file: query,
        find: '  const { query_type, filters } = payload;\n',
        replace:
          "  const query_type = payload.query_type as string;\n  const filters = isObject(payload.filters) ? payload.filters : ({ rule_hash: '' } as JsonObject);\n",
      },
    ],
    note: 'takes a query without filters',
  },
  {
    id: 'glob-backtracks',
    kills: ['DIR-09'],
    file: glob,
    find: '  return matcher(points);',
    replace:
      '  const tried = (p: number, rest: string[]): boolean => {\n    if (p === points.length) return rest.length === 0;\n    if (points[p] === star) {\n      for (let i = 0; i <= rest.length; i++) if (tried(p + 1, rest.slice(i))) return true;\n      return false;\n    }\n    if (rest.length === 0) return false;\n    return (points[p] === questionMark || points[p] === rest[0]!.codePointAt(0)) && tried(p + 1, rest.slice(1));\n  };\n  return (text) => tried(0, Array.from(text));',
    note: 'tries every way in which the stars of a pattern may match',
  },
  {
    id: 'glob-regex-backtracks',
    kills: ['DIR-09'],
    file: glob,
    find: '  return matcher(points);',
    replace:
      "  const source = Array.from(pattern, (sign) => (sign === '*' ? '.*' : sign === '?' ? '.' : sign.replace(/[.*+?^$()|{}[\\]\\\\/-]/g, '\\\\$&'))).join('');\n  const expression = new RegExp('^' + source + '$', 'us');\n  return (text) => expression.test(text);",
    note: 'makes a regular expression of a pattern',
  },
  {
    id: 'glob-long-taken',
    kills: ['DIR-09'],
    file: glob,
    find: '  if (points.length > maxGlobPoints) return null;\n',
    replace: '',
    also: [{ file: glob, find: '  if (pattern.length > 2 * maxGlobPoints) return null;\n', replace: '' }],
    note: 'takes patterns of any length',
  },
  {
    id: 'glob-counts-units',
    kills: ['DIR-09'],
    file: glob,
    find: '  if (pattern.length > 2 * maxGlobPoints) return null;',
    replace: '  if (pattern.length > maxGlobPoints) return null;',
    note: 'measures a pattern in UTF-16 units',
  },
  {
    id: 'glob-counts-bytes',
    kills: ['DIR-09'],
    file: glob,
    find: '  if (pattern.length > 2 * maxGlobPoints) return null;',
    replace: '  if (Buffer.byteLength(pattern) > maxGlobPoints) return null;',
    note: 'measures a pattern in bytes',
  },
  {
    id: 'glob-one-less',
    kills: ['DIR-09'],
    file: glob,
    find: 'points.length > maxGlobPoints',
    replace: 'points.length >= maxGlobPoints',
    note: 'refuses a pattern of 256 code points',
  },
];
