/** Faults in the order of the checks (§3.2), and in how long and for whom message ids are remembered. */

import type { Mutant, Patch } from '../mutant.ts';

const inbound = 'node/core/inbound.ts';
const seen = 'node/core/seen.ts';
const beforeSize = 'const texts = envelopeText(envelope);';
const tooLarge = '  if (texts.isPayloadTooLarge) ';
const afterSignature = '  countIn(node, messageType);\n';
const version = "  if (!versionMatches(envelope.version)) return no('VERSION_MISMATCH', 'version');\n";
const afterIdentity = "  if (link.phase === 'open' && isKnownGossip(node, envelope)) {";
const beforeStale = '  const wallMs = node.world.wallMs();\n';
const beforeLimit = '  const { limit } = type;\n';
const remembers = '  node.messageIds.add(nodeId, envelope.messageId, node.nowMs);\n';
const notSigned = '!isSigned(node, link, texts, signature)';

/** A check that comes earlier than it should: `check` stands in front of `find`. */
const earlier = (find: string, check: string): Patch => ({
  file: inbound,
  find,
  replace: `${check}\n${find}`,
});

const judgesItem: Patch = {
  file: inbound,
  find: "import { isItemType, itemHashOf } from './item.ts';",
  replace: "import { checkOwnedItem, isItemType, itemHashOf } from './item.ts';",
};
const itemForm = `  const early = received.itemHash === null ? null : checkOwnedItem(envelope, received.text, node.rules);
  if (early && 'code' in early) return early;`;
const forgets: Patch = {
  file: seen,
  find: '  has(nodeId: string, messageId: string, nowMs: number): boolean {',
  replace:
    '  forget(nodeId: string): void {\n    this.#peers.delete(nodeId);\n  }\n\n  has(nodeId: string, messageId: string, nowMs: number): boolean {',
};

export const mutants: readonly Mutant[] = [
  {
    id: 'version-before-shape',
    kills: ['ENV-02'],
    ...earlier(
      '  const envelope = readEnvelope(value);\n',
      `  if (isObject(value) && typeof value.version === 'string' && !versionMatches(value.version))
    return refused(node, link, refuse('VERSION_MISMATCH', 'version'), readableId(value), readableType(value));`,
    ),
    note: 'looks at the version of what is no envelope',
  },
  {
    id: 'identity-before-version',
    kills: ['HSK-03'],
    file: inbound,
    find: version,
    replace: '',
    also: [earlier(afterIdentity, version)],
    note: 'looks at the sender before the version',
  },
  {
    id: 'size-before-identity',
    kills: ['HSK-05'],
    ...earlier(
      '  const { identity } = link;\n',
      "  if (envelopeText(envelope).isPayloadTooLarge) return no('TOO_LARGE', 'payload');",
    ),
    note: 'measures the payload of messages in a foreign name',
    mayBreak: ['HSK-03'],
  },
  {
    id: 'signature-before-size',
    kills: ['ENV-03'],
    file: inbound,
    find: tooLarge,
    replace: '  if (tooLate) ',
    also: [
      earlier(`  ${beforeSize}\n`, '  const tooLate = false;'),
      earlier(afterSignature, `${tooLarge}return no('TOO_LARGE', 'payload');`),
    ],
    note: 'verifies the signature of a payload that is too large',
    mayBreak: ['HSK-09'],
  },
  {
    id: 'stale-before-signature',
    kills: ['SIG-08'],
    ...earlier(
      `  ${beforeSize}\n`,
      "  if (link.phase === 'open' && Math.abs(envelope.timestamp - node.world.wallMs() / 1000) > skewSeconds)\n    return no('STALE', 'timestamp');",
    ),
    note: 'looks at the clock before the signature',
    mayBreak: ['SIG-09', 'ENV-03', 'FLD-01', 'FLD-02'],
  },
  {
    id: 'unknown-type-first',
    kills: ['DIR-04'],
    ...earlier(
      `  ${beforeSize}\n`,
      "  if (link.phase === 'open' && !messageTypes.has(messageType)) return no('UNKNOWN_TYPE', 'message_type');",
    ),
    note: 'looks at the message type before the signature',
    mayBreak: ['SIG-08', 'SIG-09', 'ENV-03'],
  },
  {
    id: 'handshake-before-signature',
    kills: ['HSK-09'],
    ...earlier(
      `  ${beforeSize}\n`,
      "  if (link.phase === 'hello' && !mayComeBeforeHello(link, messageType))\n    return no('HANDSHAKE_REQUIRED', 'hello comes first');",
    ),
    note: 'asks for a hello before it verifies',
  },
  {
    id: 'limits-before-signature',
    kills: ['FLD-01'],
    ...earlier(
      `  ${beforeSize}\n`,
      `  const early = link.phase === 'open' ? messageTypes.get(messageType)?.limit : null;
  if (early && node.limits.waitMs(link.peer.nodeId, early, node.nowMs) > 0)
    return refused(node, link, refuse('RATE_LIMIT', 'too many'), messageId, messageType, { retry_after: float(1) });`,
    ),
    note: 'looks at the limits before the signature',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'limits-before-stale',
    kills: ['FLD-01', 'FLD-02'],
    ...earlier(
      beforeStale,
      `  const early = messageTypes.get(envelope.messageType)?.limit;
  if (early && node.limits.waitMs(nodeId, early, node.nowMs) > 0)
    return { ...refuse('RATE_LIMIT', 'too many'), details: { retry_after: float(1) } };`,
    ),
    note: 'looks at the limits before the clock and the ids',
  },
  {
    id: 'item-form-before-stale',
    kills: ['SIG-09'],
    ...earlier(beforeStale, itemForm),
    also: [judgesItem],
    note: 'reads an item before it looks at the clock and the ids',
    mayBreak: ['FLD-01'],
  },
  {
    id: 'digest-form-before-stale',
    kills: ['SIG-09'],
    ...earlier(
      beforeStale,
      `  const { prefix } = envelope.payload;
  if (envelope.messageType === 'sync_digest' && !/^[0-9a-f]*$/.test(String(prefix)))
    return refuse('MALFORMED', 'prefix');`,
    ),
    note: 'reads a sync_digest before it looks at the clock and the ids',
  },
  {
    id: 'item-form-before-limit',
    kills: ['FLD-01'],
    ...earlier(beforeLimit, itemForm),
    also: [judgesItem],
    note: 'reads an item before it looks at the limit',
  },
  {
    id: 'query-form-before-limit',
    kills: ['FLD-02'],
    ...earlier(
      beforeLimit,
      `  if (envelope.messageType === 'query') {
    const early = answerQuery(node.commits, envelope.payload, envelope.messageId);
    if ('code' in early) return early as Refusal;
  }`,
    ),
    also: [
      {
        file: inbound,
        find: "import { failAll } from './requests.ts';",
        replace: "import { answerQuery } from './query.ts';\nimport { failAll } from './requests.ts';",
      },
    ],
    note: 'reads a query before it looks at the limit',
  },
  {
    id: 'heartbeats-unverified',
    kills: ['SIG-04'],
    file: inbound,
    find: notSigned,
    replace: "!(envelope.payload.gossip_type === 'heartbeat' || isSigned(node, link, texts, signature))",
    note: 'does not verify heartbeats',
  },
  {
    id: 'summaries-unverified',
    kills: ['SIG-04'],
    file: inbound,
    find: notSigned,
    replace: "!(messageType === 'state_summary' || isSigned(node, link, texts, signature))",
    note: 'does not verify state_summaries',
  },
  {
    id: 'unknown-type-remembered',
    kills: ['SIG-09'],
    file: inbound,
    find: "  if (!type) return refuse('UNKNOWN_TYPE', 'message_type');\n",
    replace: `  if (!type) {
    node.messageIds.add(nodeId, envelope.messageId, node.nowMs);
    return refuse('UNKNOWN_TYPE', 'message_type');
  }\n`,
    note: 'remembers the id of a message of an unknown type',
  },
  {
    id: 'items-not-remembered',
    kills: ['SIG-09'],
    file: 'node/core/direct.ts',
    find: '    node.messageIds.add(author, envelope.messageId, node.nowMs);\n',
    replace: '    void print;\n',
    note: 'remembers no ids of commits, challenges and confirms',
    mayBreak: ['CAN-03', 'TLS-10'],
  },
  {
    id: 'gossip-not-remembered',
    kills: ['SIG-09'],
    file: inbound,
    find: remembers,
    replace: `  if (envelope.messageType !== 'gossip') ${remembers.trim()}\n`,
    note: 'remembers no ids of gossip messages',
  },
  {
    id: 'hello-not-remembered',
    kills: ['SIG-09'],
    file: inbound,
    find: remembers,
    replace: `  if (envelope.messageType !== 'hello') ${remembers.trim()}\n`,
    note: 'remembers no ids of hellos',
  },
  {
    id: 'hello-form-first',
    kills: ['HSK-06'],
    ...earlier(
      `  ${beforeSize}\n`,
      "  if (messageType === 'hello' && !Array.isArray(envelope.payload.capabilities))\n    return no('MALFORMED', 'capabilities');",
    ),
    note: 'reads a hello before it verifies it',
  },
  {
    id: 'hello-form-before-stale',
    kills: ['HSK-06'],
    ...earlier(
      beforeStale,
      "  if (envelope.messageType === 'hello' && !Array.isArray(envelope.payload.capabilities))\n    return refuse('MALFORMED', 'capabilities');",
    ),
    note: 'reads a hello before it looks at the clock and the ids',
  },
  {
    id: 'ids-for-half-a-minute',
    kills: ['SIG-09'],
    file: seen,
    find: 'const messageLifeMs = 600_000;',
    replace: 'const messageLifeMs = 30_000;',
    note: 'remembers message ids for 30 s',
  },
  {
    id: 'ids-for-five-minutes',
    kills: ['SIG-09'],
    file: seen,
    find: 'const messageLifeMs = 600_000;',
    replace: 'const messageLifeMs = 300_000;',
    note: 'remembers message ids for 300 s, though a message may come again in time for 600',
    thorough: true,
  },
  {
    id: 'ids-forgotten-with-last-connection',
    kills: ['SIG-09'],
    file: 'node/core/handshake.ts',
    find: '    dropSource(node, peer);\n',
    replace: '    dropSource(node, peer);\n    node.messageIds.forget(peer.nodeId);\n',
    also: [forgets],
    note: 'forgets the message ids of a peer when its last connection ends',
  },
  {
    id: 'ids-forgotten-at-new-connection',
    kills: ['SIG-09'],
    ...earlier(
      afterSignature,
      "  if (messageType === 'hello' && link.phase === 'hello') node.messageIds.forget(link.peer.nodeId);",
    ),
    also: [forgets],
    note: 'begins its memory of message ids anew with each connection of a peer',
  },
];
