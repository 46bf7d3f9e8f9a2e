/** Faults in how long a node asks for an item, and in how large and deep one may be. */

import type { Mutant } from '../mutant.ts';

const fetching = 'node/core/fetching.ts';
const item = 'node/core/item.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'missing-gives-up',
    kills: ['GFM-12'],
    file: fetching,
    find: 'const missingRetries = 3;',
    replace: 'const missingRetries = 0;',
    note: 'gives an item up that its announcer calls missing',
  },
  {
    id: 'missing-asks-for-ever',
    kills: ['GFM-12'],
    file: fetching,
    find: 'const missingRetries = 3;',
    replace: 'const missingRetries = 1_000_000;',
    note: 'asks for a missing item for ever',
    mayBreak: ['GFM-08'],
  },
  {
    id: 'missing-asks-at-once',
    kills: ['GFM-12'],
    file: fetching,
    find: 'const missingRetryMs = 250;',
    replace: 'const missingRetryMs = 1;',
    note: 'asks for a missing item again at once',
  },
  {
    id: 'nothing-settled-asks-on',
    kills: ['GFM-12'],
    file: fetching,
    find: 'if (settledHashes.size === 0 || !wanted) giveBack',
    replace: 'if (!wanted) giveBack',
    note: 'asks again after an answer that settled nothing',
  },
  {
    id: 'item-size-unchecked',
    kills: ['GFM-13'],
    file: item,
    find: 'text.whole.length > maxItemBytes',
    replace: 'text.whole.length > 1e9',
    note: 'takes items of any size',
    mayBreak: ['AUT-04', 'ENV-03'],
  },
  {
    id: 'item-size-one-less',
    kills: ['GFM-13'],
    file: item,
    find: 'text.whole.length > maxItemBytes',
    replace: 'text.whole.length >= maxItemBytes',
    note: 'refuses an item of exactly 32 768 bytes',
    mayBreak: ['AUT-04'],
  },
  {
    id: 'item-size-of-wire',
    kills: ['GFM-13'],
    file: item,
    find: 'text.whole.length > maxItemBytes',
    replace: 'Buffer.byteLength(JSON.stringify(JSON.parse(text.whole))) > maxItemBytes',
    note: 'measures an item as JSON.stringify would write it',
    mayBreak: ['AUT-04'],
  },
  {
    id: 'item-size-of-payload',
    kills: ['GFM-13'],
    file: item,
    find: 'text.whole.length > maxItemBytes',
    replace:
      'text.whole.length - text.whole.indexOf(\'"sender"\') > 0 && text.whole.indexOf(\'"sender"\') > maxItemBytes',
    note: 'measures the payload of an item alone',
    mayBreak: ['AUT-04'],
  },
  {
    id: 'item-depth-unchecked',
    kills: ['GFM-13'],
    file: item,
    find: 'if (!isWithinDepth(envelope.object, maxItemDepth))',
    replace: 'if (!isWithinDepth(envelope.object, 99))',
    note: 'takes items of any depth',
    mayBreak: ['AUT-04'],
  },
  {
    id: 'item-depth-one-less',
    kills: ['GFM-13'],
    file: item,
    find: 'export const maxItemDepth = 28;',
    replace: 'export const maxItemDepth = 27;',
    note: 'refuses items of depth 28',
    mayBreak: ['AUT-04'],
    ci: true,
  },
  {
    id: 'item-depth-objects-only',
    kills: ['GFM-13'],
    file: item,
    find: 'if (Array.isArray(value)) return depth > 0 && value.every((entry) => isWithinDepth(entry, depth - 1));',
    replace: 'if (Array.isArray(value)) return value.every((entry) => isWithinDepth(entry, depth));',
    note: 'does not count lists in the depth',
    mayBreak: ['AUT-04'],
  },
  {
    id: 'item-relay-unbounded',
    kills: ['GFM-13'],
    file: item,
    find: '  const refusal = refusedBody(envelope, text);',
    replace:
      "  const refusal =\n    wrongMember(envelope.messageType, envelope.payload) === null ? null : refuse('MALFORMED', 'member');",
    note: 'looks at size and depth only where an author brings an item',
    mayBreak: ['AUT-04'],
  },
  {
    id: 'named-asked-again',
    kills: ['GFM-12'],
    file: fetching,
    find: '    settledHashes.add(hash);\n    // "a hash that',
    replace:
      '    if (!served.taken.has(hash) && !isHeld(node, hash)) continue;\n    settledHashes.add(hash);\n    // "a hash that',
    also: [
      {
        file: fetching,
        find: 'if (settledHashes.size === 0 || !wanted) giveBack',
        replace: 'if (!wanted) giveBack',
      },
    ],
    note: 'asks again for a hash that was named and came without a body',
    mayBreak: ['GFM-*'],
  },
];
