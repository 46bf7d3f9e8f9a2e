/** Faults in answers to direct messages: to whom, under which id, in which order. */

import type { Mutant } from '../mutant.ts';

const direct = 'node/core/direct.ts';
const inbound = 'node/core/inbound.ts';
const answering = "send(node, link, 'response', canonical(answer));";

export const mutants: readonly Mutant[] = [
  {
    id: 'answer-twice',
    kills: ['DIR-01'],
    file: direct,
    find: answering,
    replace: `${answering}\n  ${answering}`,
    note: 'answers every query twice',
    mayBreak: ['DIR-02'],
    ci: true,
  },
  {
    id: 'answer-to-all',
    kills: ['DIR-01'],
    file: direct,
    find: answering,
    replace:
      "for (const to of new Set([link, ...node.persistent])) send(node, to, 'response', canonical(answer));",
    note: 'sends the answer to a query to all its peers',
  },
  {
    id: 'answer-by-persistent',
    kills: ['DIR-01'],
    file: direct,
    find: answering,
    replace: "send(node, link.peer.persistent ?? link, 'response', canonical(answer));",
    note: 'answers on the persistent connection of the asker, whichever it asked on',
  },
  {
    id: 'answer-fresh-id',
    kills: ['DIR-02'],
    file: direct,
    find: 'answerQuery(node.commits, payload, messageId)',
    replace: 'answerQuery(node.commits, payload, node.world.uuid())',
    note: 'answers queries under an id of its own',
    mayBreak: ['DIR-*', 'FLD-*', 'HBT-05', 'GFM-04'],
  },
  {
    id: 'answer-last-id',
    kills: ['DIR-02'],
    file: direct,
    find: `  const answer = answerQuery(node.commits, payload, messageId);
  if (isRefusal(answer)) return answer;
  ${answering}
  return null;`,
    replace: `  lastAsked = messageId;
  const wrong = answerQuery(node.commits, payload, messageId);
  if (isRefusal(wrong)) return wrong;
  node.deadlines.at(node.nowMs + 20, () => {
    const answer = answerQuery(node.commits, payload, lastAsked);
    if (!isRefusal(answer)) ${answering}
  });
  return null;`,
    also: [
      {
        file: direct,
        find: 'export function takeQuery(',
        replace: "let lastAsked = '';\nexport function takeQuery(",
      },
    ],
    note: 'remembers one query at a time, and answers all of them under the id of the latest',
    mayBreak: ['DIR-*', 'FLD-*'],
  },
  {
    id: 'order-items-unawaited',
    kills: ['DIR-03'],
    file: inbound,
    find: 'return received.itemHash === null || link.itemsStoring >= itemsAtOnce;',
    replace: 'return received.itemHash !== null && link.itemsStoring >= itemsAtOnce;',
    note: 'answers a query while the commit before it is still being stored',
    ci: true,
  },
  {
    id: 'order-response-unawaited',
    kills: ['DIR-03'],
    file: inbound,
    find: "!link.holds.has('output') && link.barriers === 0)",
    replace: "!link.holds.has('output'))",
    note: 'handles the next message while the items of a gossip response are still being stored',
  },
  {
    id: 'order-response-stored-late',
    kills: ['DIR-03'],
    file: 'node/core/fetching.ts',
    find: `      link.barriers++;
      keep(node, item, false, (stored) => {
        passBarrier(node, link);
        arrived(node, item, stored);
      });`,
    replace: `      node.deadlines.at(node.nowMs + 300, () =>
        keep(node, item, false, (stored) => arrived(node, item, stored)),
      );`,
    note: 'stores the items of a gossip response 300 ms after it came',
    mayBreak: ['*'],
  },
  {
    id: 'unknown-type-closes',
    kills: ['DIR-04'],
    file: inbound,
    find: '  HANDSHAKE_REQUIRED: 4400,\n};',
    replace: '  HANDSHAKE_REQUIRED: 4400,\n  UNKNOWN_TYPE: 4400,\n};',
    note: 'closes the connection on an unknown type',
  },
  {
    id: 'unknown-type-silent',
    kills: ['DIR-04'],
    file: inbound,
    find: "if (messageType !== 'error') sendError(",
    replace: "if (messageType !== 'error' && code !== 'UNKNOWN_TYPE') sendError(",
    note: 'says nothing to an unknown type',
  },
  {
    id: 'unknown-type-malformed',
    kills: ['DIR-04'],
    file: inbound,
    find: "return refuse('UNKNOWN_TYPE', 'message_type');",
    replace: "return refuse('MALFORMED', 'message_type');",
    note: 'calls an unknown type malformed',
  },
  {
    id: 'unknown-type-inherited',
    kills: ['DIR-04'],
    file: inbound,
    find: 'const type = messageTypes.get(envelope.messageType);',
    replace: 'const type = (Object.fromEntries(messageTypes) as any)[envelope.messageType];',
    note: 'finds "constructor" among the message types, and falls over it',
  },
  {
    id: 'vanished-keeps-slot',
    kills: ['DIR-05'],
    file: 'node/core/link.ts',
    find: '  link.peer.links.delete(link);\n',
    replace: '  if (!byPeer) link.peer.links.delete(link);\n',
    note: 'counts lost connections against the four that a peer may have',
    mayBreak: ['LIF-*', 'TOP-07'],
  },
  {
    id: 'vanished-crashes',
    kills: ['DIR-05'],
    file: 'node/core/link.ts',
    find: '  link.outbox.length = 0;\n',
    replace:
      "  if (byPeer && link.outbox.length > 0) throw new Error('write to a lost connection');\n  link.outbox.length = 0;\n",
    note: 'falls over answers that it cannot deliver any more',
  },
  {
    id: 'vanished-holds-fetch',
    kills: ['DIR-05'],
    file: 'node/core/handshake.ts',
    find: "  failAll(node, link, 'closed');\n",
    replace: '',
    also: [
      {
        file: 'node/core/fetching.ts',
        find: 'const hedgeMs = 1000;',
        replace: 'const hedgeMs = 1_000_000;',
      },
    ],
    note: 'waits on for an answer of a peer that is gone, and asks nobody else',
  },
];
