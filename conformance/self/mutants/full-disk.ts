/** Faults at a full disk. */

import type { Mutant } from '../mutant.ts';

const direct = 'node/core/direct.ts';
const told =
  "      return sendError(node, link, 'UNAVAILABLE', 'item could not be stored', envelope.messageId);\n";

export const mutants: readonly Mutant[] = [
  {
    id: 'full-disk-acknowledges',
    kills: ['ERR-03'],
    file: direct,
    find: told,
    replace: "      return sendStatus(node, link, envelope.messageId, 'accepted', item.hash);\n",
    note: 'acknowledges a commit that could not be stored',
  },
  {
    id: 'full-disk-silent',
    kills: ['ERR-03'],
    file: direct,
    find: told,
    replace: '      return;\n',
    note: 'says nothing when a commit cannot be stored',
  },
  {
    id: 'full-disk-crashes',
    kills: ['ERR-03'],
    file: 'node/core/storing.ts',
    find: '  storing.failedAtMs = node.nowMs;\n',
    replace: "  throw new Error('disk full');\n",
    note: 'ends with its stack when the disk is full',
  },
  {
    id: 'full-disk-remembers',
    kills: ['ERR-03'],
    file: direct,
    find: "      node.limits.takeBack(author, 'item');\n",
    replace: '      node.messageIds.add(author, envelope.messageId, node.nowMs);\n',
    note: 'remembers and counts a message that it could not store',
  },
];
