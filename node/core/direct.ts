/**
 * Direct messages (§6): items that their author brings, items that the node's own agent hands over, and queries. It owns
 * their answers; what becomes of an item afterwards is for the store, the gossip and the state.
 */
import { announce, topicOf } from './announce.ts';
import { canonical } from './canonical.ts';
import { isRefusal, type Refusal, refuse } from './error-code.ts';
import { countFlux } from './flux.ts';
import { checkOwnedItem, type Item, isItemType, readItem } from './item.ts';
import { parse } from './json.ts';
import type { Received } from './message-types.ts';
import { answerQuery } from './query.ts';
import { sealed, send, sendError } from './sending.ts';
import type { Link, NodeState } from './state.ts';
import { isArriving, isHeld, keep, whenDurable } from './storing.ts';
import type { Input } from './types.ts';
import { settleWant } from './wants.ts';

/** Items of one author being stored at once; the next waits. */
export const itemsAtOnce = 256;

/** The three types whose item this node holds already, or is storing: answered `known` after check 7 (§3.2). */
export function answerIfKnown(node: NodeState, link: Link, received: Received): boolean {
  const { itemHash } = received;
  if (itemHash === null || !(isHeld(node, itemHash) || isArriving(node, itemHash))) return false;
  const { messageId } = received.envelope;
  node.counters.envelopesTaken++;
  whenDurable(node, itemHash, (stored) => {
    if (stored) sendStatus(node, link, messageId, 'known', itemHash);
    else sendError(node, link, 'UNAVAILABLE', 'item could not be stored', messageId);
  });
  return true;
}

/**
 * A commit, challenge or confirm past check 10. It is answered when it is durable; if the store fails it was not taken,
 * and the message is neither remembered nor counted.
 */
export function takeItem(node: NodeState, link: Link, received: Received): Refusal | null {
  const { envelope, text } = received;
  const item = checkOwnedItem(envelope, text, node.rules);
  if (isRefusal(item)) return item;
  const author = link.peer.nodeId;
  node.limits.count(author, 'item', node.nowMs);
  link.itemsStoring++;
  keep(node, item, true, (stored) => {
    link.itemsStoring--;
    node.turn.ready.add(link);
    if (!stored) {
      node.limits.takeBack(author, 'item');
      settleWant(node, item.hash, false);
      return sendError(node, link, 'UNAVAILABLE', 'item could not be stored', envelope.messageId);
    }
    node.counters.envelopesTaken++;
    node.messageIds.add(author, envelope.messageId, node.nowMs);
    sendStatus(node, link, envelope.messageId, 'accepted', item.hash);
    accepted(node, item, author);
  });
  return null;
}

export function takeQuery(node: NodeState, link: Link, received: Received): Refusal | null {
  const { messageId, payload } = received.envelope;
  const answer = answerQuery(node.commits, payload, messageId);
  if (isRefusal(answer)) return answer;
  send(node, link, 'response', canonical(answer));
  return null;
}

/** The node's own agent publishes an item: signed by the node, stored, announced (§6, a function call here). */
export function publish(node: NodeState, input: Extract<Input, { kind: 'publish' }>): void {
  const { ticket, messageType, payload } = input;
  const fail = (reason: string) => void node.turn.effects.push({ kind: 'publish-failed', ticket, reason });
  if (node.stopped || !node.started) {
    fail('the node is not running');
    return;
  }
  const item = ownItem(node, messageType, payload);
  if (isRefusal(item)) {
    fail(`${item.code}: ${item.because}`);
    return;
  }
  keep(node, item, true, (stored) => {
    if (!stored) return fail('UNAVAILABLE: the item could not be stored');
    node.turn.effects.push({ kind: 'published', ticket, itemHash: `rule_${item.hash}`, status: 'accepted' });
    accepted(node, item, null);
  });
}

/** Judged by the rules for everybody's items: what this node signs, all others must be able to take. */
function ownItem(
  node: NodeState,
  messageType: string,
  payload: Received['envelope']['payload'],
): Item | Refusal {
  if (!isItemType(messageType)) return refuse('MALFORMED', 'not a commit, challenge or confirm');
  let text: string;
  try {
    text = sealed(node, messageType, payload, true).text;
  } catch (error) {
    // `canonical` throws on what is no JSON of ours: a value handed over by the library's user.
    return refuse('MALFORMED', error instanceof Error ? error.message : 'payload is no JSON');
  }
  return readItem(parse(text), node.rules, true);
}

/** New and durable: who waited for it, and who is told of it. */
function accepted(node: NodeState, item: Item, author: string | null): void {
  countFlux(node);
  settleWant(node, item.hash, true);
  announce(node, topicOf(item.type), `rule_${item.hash}`, author);
}

function sendStatus(
  node: NodeState,
  link: Link,
  requestId: string,
  status: 'accepted' | 'known',
  hash: string,
): void {
  send(
    node,
    link,
    'response',
    `{"item_hash": "rule_${hash}", "request_id": "${requestId}", "status": "${status}"}`,
  );
}
