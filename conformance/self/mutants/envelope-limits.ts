/** Faults in the limits of an envelope, on both sides, and in messages that never end. */

import type { Mutant } from '../mutant.ts';

const envelope = 'node/core/envelope.ts';
const connection = 'node/shell/connection.ts';
const limit = 'maxPayload: MESSAGE_LIMIT,';
const tooLarge =
  'isPayloadTooLarge: signing.length > maxPayloadBytes && canonicalBytes(payload) > maxPayloadBytes,';

export const mutants: readonly Mutant[] = [
  {
    id: 'message-limit-missing',
    kills: ['ENV-03', 'ENV-06'],
    file: connection,
    find: limit,
    replace: 'maxPayload: 268_435_456,',
    note: 'reads messages of any length',
    ci: true,
  },
  {
    id: 'message-limit-lower',
    kills: ['ENV-03'],
    file: connection,
    find: limit,
    replace: 'maxPayload: MESSAGE_LIMIT - 1,',
    note: 'refuses 65 536 bytes',
  },
  {
    id: 'message-limit-in-characters',
    kills: ['ENV-03'],
    file: connection,
    find: limit,
    replace: 'maxPayload: 4 * MESSAGE_LIMIT,',
    also: [
      {
        file: connection,
        find: "const deliver = (data: Buffer) => events.text(data.toString('utf8'), data.length);",
        replace: `const deliver = (data: Buffer) => {
    const text = data.toString('utf8');
    if (text.length > MESSAGE_LIMIT) webSocket.close(1009);
    else events.text(text, data.length);
  };`,
      },
    ],
    note: 'counts characters in place of bytes',
    mayBreak: ['ENV-06'],
  },
  {
    id: 'payload-limit-missing',
    kills: ['ENV-03'],
    file: envelope,
    find: tooLarge,
    replace: 'isPayloadTooLarge: false,',
    note: 'takes payloads of any size',
    mayBreak: ['HSK-06', 'HSK-09'],
  },
  {
    id: 'payload-limit-by-characters',
    kills: ['ENV-03'],
    file: envelope,
    find: tooLarge,
    replace:
      "isPayloadTooLarge: canonical(payload).replace(/\\\\u[0-9a-f]{4}/g, 'x').length > maxPayloadBytes,",
    note: 'counts the characters of a payload',
  },
  {
    id: 'payload-limit-by-wire-bytes',
    kills: ['ENV-03'],
    file: 'node/core/inbound.ts',
    find: 'if (texts.isPayloadTooLarge)',
    replace: 'if (Buffer.byteLength(text.slice(text.indexOf(\'"payload"\'))) > maxPayloadBytes)',
    note: 'counts the bytes of a payload as they came',
  },
  {
    id: 'payload-limit-off-by-one',
    kills: ['ENV-03'],
    file: envelope,
    find: tooLarge,
    replace: tooLarge.replace('canonicalBytes(payload) >', 'canonicalBytes(payload) >='),
    note: 'refuses 60 000 bytes',
  },
  {
    id: 'responses-unbounded',
    kills: ['ENV-04'],
    file: 'node/core/gossip.ts',
    find: 'let left = maxPayloadBytes - frameBytes',
    replace: 'let left = 100 * maxPayloadBytes - frameBytes',
    note: 'answers a request with all the items that were asked for',
    ci: true,
  },
  {
    id: 'queries-unbounded',
    kills: ['ENV-04'],
    file: 'node/core/query.ts',
    find: 'if (bytes > maxPayloadBytes) break;',
    replace: '',
    note: 'answers a query with all results',
  },
  {
    id: 'queries-bounded-by-characters',
    kills: ['ENV-04'],
    file: 'node/core/query.ts',
    find: 'bytes += canonicalBytes(result)',
    replace: 'bytes += JSON.stringify(result).length',
    note: 'counts the characters of results',
  },
  {
    id: 'hello-awaited-for-long',
    kills: ['ENV-06'],
    file: 'node/core/handshake.ts',
    find: 'node.nowMs + node.parameters.handshakeTimeoutMs',
    replace: 'node.nowMs + 100 * node.parameters.handshakeTimeoutMs',
    note: 'waits for a hello as long as anything comes',
    mayBreak: ['LIF-02', 'HSK-09'],
  },
];
