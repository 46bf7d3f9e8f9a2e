/**
 * The message types of the profile (§4–§8): who handles each, and which count limit of §9 it falls under. What a refusal
 * brings and in which order a message is checked is for its path.
 */

import { viewAt } from './checkpoints.ts';
import { answerDigest } from './digest-answers.ts';
import { takeItem, takeQuery } from './direct.ts';
import { answerPeerRequest, isPeerList, learn } from './discovery.ts';
import type { Envelope, EnvelopeText } from './envelope.ts';
import { type Refusal, refuse } from './error-code.ts';
import { takeGossip } from './gossip.ts';
import { takeHello } from './handshake.ts';
import { isObject } from './json.ts';
import type { LimitKind } from './limits.ts';
import { isDigestAnswer } from './reconcile.ts';
import { settled, settledByError } from './requests.ts';
import type { Link, NodeState } from './state.ts';
import { takeStateSync, takeSummary } from './state-sync-messages.ts';

/** A message past check 7. */
export interface Received {
  readonly envelope: Envelope;
  readonly text: EnvelopeText;
  /** 64 digits for a commit, challenge or confirm, else null. */
  readonly itemHash: string | null;
}

/** Check 11 and the effects; a refusal has none. */
type Handler = (node: NodeState, link: Link, received: Received) => Refusal | null;

interface MessageType {
  readonly handle: Handler;
  readonly limit: LimitKind | null;
}

const unlimited = (handle: Handler): MessageType => ({ handle, limit: null });
const item: MessageType = { handle: takeItem, limit: 'item' };

export const messageTypes: ReadonlyMap<string, MessageType> = new Map([
  [
    'hello',
    unlimited((node, link, { envelope }) => takeHello(node, link, envelope.messageId, envelope.payload)),
  ],
  ['state_summary', unlimited((node, link, { envelope }) => takeSummary(node, link, envelope.payload))],
  ['peer_exchange', unlimited(takePeers)],
  [
    'peer_request',
    {
      handle: (node, link, { envelope }) =>
        answerPeerRequest(node, link, envelope.messageId, envelope.payload),
      limit: 'query',
    },
  ],
  ['commit', item],
  ['challenge', item],
  ['confirm', item],
  ['query', { handle: takeQuery, limit: 'query' }],
  // Nothing of this node waits for one: "An unsolicited `response` is ignored."
  ['response', unlimited(() => null)],
  [
    'gossip',
    unlimited((node, link, { envelope }) => takeGossip(node, link, envelope.messageId, envelope.payload)),
  ],
  ['sync_digest', unlimited(takeDigest)],
  [
    'state_sync',
    unlimited((node, link, { envelope }) => takeStateSync(node, link, envelope.messageId, envelope.payload)),
  ],
  ['error', unlimited(takeError)],
]);

function takePeers(node: NodeState, link: Link, { envelope }: Received): Refusal | null {
  const { payload } = envelope;
  if (!isPeerList(payload)) return refuse('MALFORMED', 'peer_exchange');
  if (payload.request_id === undefined) {
    learn(node, payload);
    // One list comes after TOO_MANY_PEERS, and no second.
    link.toldFull = false;
  } else settled(node, link, payload.request_id, 'peer_exchange')?.answered(payload);
  return null;
}

function takeDigest(node: NodeState, link: Link, { envelope }: Received): Refusal | null {
  const { payload, messageId } = envelope;
  if (payload.request_id === undefined) {
    return answerDigest(node, link, messageId, payload, (root) => viewAt(node, root));
  }
  if (!isDigestAnswer(payload)) return refuse('MALFORMED', 'sync_digest');
  settled(node, link, payload.request_id, 'sync_digest')?.answered(payload);
  return null;
}

function takeError(node: NodeState, link: Link, { envelope }: Received): Refusal | null {
  const { error_code, error_message, details } = envelope.payload;
  if (typeof error_code !== 'string' || typeof error_message !== 'string' || !isObject(details)) {
    return refuse('MALFORMED', 'error');
  }
  if (link.phase === 'hello' && error_code === 'TOO_MANY_PEERS') link.toldFull = true;
  settledByError(node, link, details.request_id, error_code);
  return null;
}
