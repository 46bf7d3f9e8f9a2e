/**
 * `state_sync` and `state_summary` as they come in (§4, §8): their forms, the answers from the checkpoints held, and what a
 * peer shows to have. Getting a checkpoint is elsewhere.
 */
import { isBetter } from './checkpoint.ts';
import { sendCheckpoint } from './checkpoints.ts';
import { type Refusal, refuse } from './error-code.ts';
import { isDigest } from './forms.ts';
import { isInteger, isObject } from './json.ts';
import { settled } from './requests.ts';
import { sendError } from './sending.ts';
import type { Link, NodeState } from './state.ts';
import { seek } from './state-sync.ts';
import type { JsonObject } from './types.ts';

const delayMs = 200;
const delayedLimit = 4;

/** A `state_sync` past the first ten checks, request or response. */
export function takeStateSync(
  node: NodeState,
  link: Link,
  messageId: string,
  payload: JsonObject,
): Refusal | null {
  if (payload.sync_type === 'response') {
    if (typeof payload.request_id !== 'string') return refuse('MALFORMED', 'request_id');
    if (!isObject(payload.checkpoint)) return refuse('MALFORMED', 'checkpoint');
    settled(node, link, payload.request_id, 'state_sync')?.answered(payload);
    return null;
  }
  const { checkpoint_hash, last_known_height } = payload;
  if (payload.sync_type !== 'request') return refuse('MALFORMED', 'sync_type');
  if (checkpoint_hash !== null && !isDigest(checkpoint_hash)) return refuse('MALFORMED', 'checkpoint_hash');
  if (!isInteger(last_known_height) || last_known_height < 0) return refuse('MALFORMED', 'last_known_height');
  return answer(node, link, messageId, checkpoint_hash);
}

function answer(node: NodeState, link: Link, messageId: string, hash: string | null): Refusal | null {
  const { own, held, quests } = node.checkpoints;
  const wanted = hash === null ? own : held.get(hash);
  if (wanted) {
    sendCheckpoint(node, link, messageId, wanted.checkpoint);
    return null;
  }
  const quest = hash === null ? undefined : quests.get(hash);
  const unknown = refuse('UNKNOWN_HASH', hash === null ? 'no checkpoint yet' : 'checkpoint is not held');
  if (!quest || link.delayedAnswers >= delayedLimit) return unknown;
  // "a holder that is still fetching it may delay its answer by up to 200 ms"
  link.delayedAnswers++;
  let isAnswered = false;
  const reply = () => {
    if (isAnswered) return;
    isAnswered = true;
    link.delayedAnswers--;
    const there = held.get(quest.hash);
    if (there) sendCheckpoint(node, link, messageId, there.checkpoint);
    else sendError(node, link, unknown.code, unknown.because, messageId);
  };
  quest.waiters.push(reply);
  node.deadlines.at(node.nowMs + delayMs, reply);
  return null;
}

/** A `state_summary` past the first ten checks (§4). */
export function takeSummary(node: NodeState, link: Link, payload: JsonObject): Refusal | null {
  const { height, checkpoint_hash, state_root, item_count } = payload;
  if (!isInteger(height) || height < 0) return refuse('MALFORMED', 'height');
  if (checkpoint_hash !== null && !isDigest(checkpoint_hash)) return refuse('MALFORMED', 'checkpoint_hash');
  if (!isDigest(state_root)) return refuse('MALFORMED', 'state_root');
  if (!isInteger(item_count) || item_count < 0) return refuse('MALFORMED', 'item_count');
  if (link.peer.persistent !== link || checkpoint_hash === null) return null;
  const shown = { height: Number(height), hash: checkpoint_hash };
  if (isBetter(shown, node.checkpoints.own?.checkpoint ?? null)) seek(node, link, checkpoint_hash, 'summary');
  return null;
}
