/** Faults in errors: their form, what they name, who answers them, what they give away. */

import type { Mutant } from '../mutant.ts';

const inbound = 'node/core/inbound.ts';
const sending = 'node/core/sending.ts';
const code = '    error_code: code,\n';
const message = '    error_message: because,\n';
const details = '    details: { request_id: requestId, ...details },\n';
const now = 'details: { now: float(wallMs / 1000) } };';
const readable = "return typeof id === 'string' && id.length <= longestId ? id : null;";
const answered = "if (messageType !== 'error') sendError(";
/** Errors are looked at by many rows besides. */
const mayBreak = ['*'];

export const mutants: readonly Mutant[] = [
  {
    id: 'error-shape-before-age',
    kills: ['ERR-01'],
    file: 'node/core/inbound.ts',
    find: `  if (
    Math.abs(envelope.timestamp - wallMs / 1000) > skewSeconds ||`,
    replace: `  if (!messageTypes.has(envelope.messageType)) return refuse('UNKNOWN_TYPE', 'message_type');
  if (
    Math.abs(envelope.timestamp - wallMs / 1000) > skewSeconds ||`,
    note: 'looks at the type before the timestamp',
  },
  {
    id: 'error-state-before-signature',
    kills: ['ERR-01'],
    file: 'node/core/inbound.ts',
    find: `  const signature = decodeBase64(envelope.signature, 64);
`,
    replace: `  const signature = decodeBase64(envelope.signature, 64);
  if (link.phase === 'hello' && !mayComeBeforeHello(link, messageType))
    return no('HANDSHAKE_REQUIRED', 'hello comes first');
`,
    note: 'looks at the state of the handshake before the signature',
  },
  {
    id: 'error-free-text',
    kills: ['ERR-01'],
    file: sending,
    find: code + message,
    replace: '    error: because,\n',
    note: 'says what is wrong in an `error` member of its own',
    mayBreak,
  },
  {
    id: 'error-lower-case',
    kills: ['ERR-01'],
    file: sending,
    find: code,
    replace: '    error_code: code.toLowerCase(),\n',
    note: 'writes error codes in lower case',
    mayBreak,
  },
  {
    id: 'error-own-codes',
    kills: ['ERR-01'],
    file: sending,
    find: code,
    replace: "    error_code: code === 'UNKNOWN_TYPE' ? 'UNSUPPORTED' : code,\n",
    note: 'has an error code that the profile does not know',
    mayBreak,
  },
  {
    id: 'error-without-details',
    kills: ['ERR-01'],
    file: sending,
    find: details,
    replace: '',
    note: 'sends errors without details',
    mayBreak,
  },
  {
    id: 'error-without-request-id',
    kills: ['ERR-01'],
    file: sending,
    find: details,
    replace: '    details: { ...details },\n',
    note: 'does not say which message an error is about',
    mayBreak,
  },
  {
    id: 'error-long-id',
    kills: ['ERR-01'],
    file: inbound,
    find: 'const longestId = 200;',
    replace: 'const longestId = 60_000;',
    note: 'repeats a message_id of any length in its error',
    mayBreak: ['ENV-*'],
    ci: true,
  },
  {
    id: 'error-number-id',
    kills: ['ERR-01'],
    file: inbound,
    find: readable,
    replace: "return typeof id === 'string' && id.length > longestId ? null : ((id ?? null) as any);",
    note: 'repeats a message_id that is no string',
    mayBreak: ['ENV-*'],
  },
  {
    id: 'error-stale-without-now',
    kills: ['ERR-01'],
    file: inbound,
    find: now,
    replace: 'details: {} };',
    note: 'refuses as STALE without giving its clock',
    mayBreak: ['ENV-*'],
  },
  {
    id: 'error-stale-milliseconds',
    kills: ['ERR-01'],
    file: inbound,
    find: now,
    replace: 'details: { now: float(wallMs) } };',
    note: 'gives its clock in milliseconds',
    mayBreak: ['ENV-*'],
  },
  {
    id: 'error-malformed-silent',
    kills: ['ERR-01'],
    file: inbound,
    find: answered,
    replace: "if (messageType !== 'error' && code !== 'MALFORMED') sendError(",
    note: 'drops malformed messages without a word',
    mayBreak,
  },
  {
    id: 'error-answered',
    kills: ['ERR-02'],
    file: inbound,
    find: '  node.counters.envelopesTaken++;\n  node.messageIds.add(nodeId,',
    replace:
      "  if (envelope.messageType === 'error') sendError(node, link, 'MALFORMED', 'an error', envelope.messageId);\n  node.counters.envelopesTaken++;\n  node.messageIds.add(nodeId,",
    note: 'answers errors',
    mayBreak: ['LIF-*', 'SYN-*', 'AEN-*'],
    ci: true,
  },
  {
    id: 'error-refused-answered',
    kills: ['ERR-02'],
    file: inbound,
    find: answered,
    replace: 'if (code) sendError(',
    note: 'answers errors that it refuses',
  },
  {
    id: 'response-answered',
    kills: ['ERR-02'],
    file: 'node/core/message-types.ts',
    find: "['response', unlimited(() => null)],",
    replace: "['response', unlimited(() => refuse('UNKNOWN_HASH', 'nobody asked'))],",
    note: 'answers a response that nobody asked for',
    mayBreak: ['DIR-*'],
  },
  {
    id: 'error-tells-stack',
    kills: ['ERR-02'],
    file: sending,
    find: message,
    replace: '    error_message: because + new Error().stack,\n',
    note: 'sends its stack with every error',
  },
  {
    id: 'error-tells-key',
    kills: ['ERR-02'],
    file: sending,
    find: message,
    replace:
      "    error_message: because + (globalThis as any).process.getBuiltinModule('node:fs').readFileSync(/key_file: *\"?([^\"\\n]*)/.exec((globalThis as any).process.getBuiltinModule('node:fs').readFileSync((globalThis as any).process.env.CLE_CONFIG, 'utf8'))![1], 'utf8'),\n",
    note: 'sends its private key with every error',
    mayBreak,
  },
];
