/**
 * Asking peers for wanted items and taking their answers (§7): one request in flight per peer, at most 100 hashes, and what
 * is served, refused or missing. It owns the requests; who wants what is kept elsewhere.
 */
import { announce, topicOf } from './announce.ts';
import { isRefusal } from './error-code.ts';
import { countFlux, isBusy } from './flux.ts';
import { isItemHash } from './forms.ts';
import { type Gossip, gossipText, maxHashes } from './gossip-payload.ts';
import { type Item, readItem } from './item.ts';
import { countBad, note } from './link.ts';
import { ask } from './requests.ts';
import type { Link, NodeState, Peer } from './state.ts';
import { isArriving, isHeld, keep, whenStored } from './storing.ts';
import type { Json, JsonObject } from './types.ts';
import { giveBack, lineUp, queueAtSources, refuseHash, settle, type Want } from './wants.ts';

/** An answer of 60 kB may be slow; after `hedgeMs` other holders are asked as well. */
const answerMs = 15_000;
const hedgeMs = 1000;
const missingRetryMs = 250;
const missingRetries = 3;
/** §7: items whose timestamp is within 60 s of the clock are announced when anti-entropy brought them. */
const freshMs = 60_000;

/** In a busy net what is wanted of a peer is gathered so long: an envelope costs the same for one hash and for forty. */
const gatherMs = 40;

/** Sends the next request to a peer if none is in flight, at once or with the next round of a busy node. */
export function pump(node: NodeState, peer: Peer): void {
  const { fetching } = peer;
  if (fetching.inFlight || fetching.queue.size === 0) return;
  const { rounds } = node.fetching;
  if (!isBusy(node) || node.nowMs >= rounds.lastAtMs + gatherMs) {
    rounds.lastAtMs = node.nowMs;
    askNow(node, peer);
    return;
  }
  rounds.waiting.add(peer);
  if (rounds.due?.live) return;
  rounds.due = node.deadlines.at(rounds.lastAtMs + gatherMs, () => {
    rounds.lastAtMs = node.nowMs;
    const waiting = [...rounds.waiting];
    rounds.waiting.clear();
    for (const gathered of waiting) askNow(node, gathered);
  });
}

/** Up to 100 hashes that nobody else was asked for. */
function askNow(node: NodeState, peer: Peer): void {
  const { fetching } = peer;
  while (!fetching.inFlight && fetching.queue.size > 0) {
    const batch: Want[] = [];
    for (const hash of fetching.queue) {
      if (batch.length === maxHashes) break;
      fetching.queue.delete(hash);
      const wanted = node.fetching.wants.get(hash);
      if (wanted?.askedOf === null && wanted.sources.has(peer)) batch.push(wanted);
    }
    if (batch.length > 0) request(node, peer, batch);
  }
}

/** The payload of a gossip request for items; it is never cached or forwarded, its ttl is 0 (§7). */
function request(node: NodeState, peer: Peer, batch: readonly Want[]): void {
  const link = linkTo(peer, batch[0]!);
  const hashes = new Set(batch.map((wanted) => wanted.hash));
  const gossip: Gossip = {
    gossipId: node.world.uuid(),
    gossipType: 'request',
    topic: 'items',
    topics: ['items'],
    itemHashes: batch.map((wanted) => `rule_${wanted.hash}`),
    ttl: 0,
    origin: node.me.nodeId,
  };
  const isSent =
    link !== null &&
    ask(
      node,
      link,
      { messageType: 'gossip', payload: gossipText(gossip), kind: 'gossip', withinMs: answerMs },
      (payload) => takeResponse(node, link, hashes, payload),
      (why) => {
        landed(node, peer);
        // UNAVAILABLE, RATE_LIMIT and the like: this peer is no source for now.
        for (const hash of hashes) giveBack(node, peer, hash, true);
        if (why === 'timeout') note(node, 'debug', 'no-answer', { peer: peer.nodeId, hashes: hashes.size });
        node.turn.hungry.add(peer);
      },
    );
  if (!isSent) {
    for (const wanted of batch) giveBack(node, peer, wanted.hash, true);
    return;
  }
  for (const wanted of batch) wanted.askedOf = peer;
  const hedge = node.deadlines.at(node.nowMs + hedgeMs, () => {
    for (const hash of hashes) askOthersToo(node, peer, hash);
  });
  peer.fetching.inFlight = { hashes, hedge };
}

function linkTo(peer: Peer, wanted: Want): Link | null {
  const told = wanted.sources.get(peer)?.link;
  if (told?.phase === 'open') return told;
  if (peer.persistent) return peer.persistent;
  for (const link of peer.links) if (link.phase === 'open') return link;
  return null;
}

function landed(node: NodeState, peer: Peer): void {
  node.deadlines.cancel(peer.fetching.inFlight?.hedge ?? null);
  peer.fetching.inFlight = null;
}

/**
 * The peer is slow: whoever else has the item, now or from now on, is asked too; the first body that comes is taken. The
 * next holder may be known only later, by anti-entropy: behind a cut link the first one would hold up the item for `answerMs`.
 */
function askOthersToo(node: NodeState, peer: Peer, hash: string): void {
  const wanted = node.fetching.wants.get(hash);
  if (wanted?.askedOf !== peer) return;
  wanted.askedOf = null;
  queueAtSources(node, wanted, peer);
}

/** Check 11 for a response: `items` and `missing`, besides the seven members. */
export function isResponse(payload: JsonObject): boolean {
  const { request_id, items, missing } = payload;
  const isList = Array.isArray(missing) && missing.every(isItemHash);
  return typeof request_id === 'string' && Array.isArray(items) && isList;
}

function takeResponse(node: NodeState, link: Link, asked: Set<string>, payload: JsonObject): void {
  const { peer } = link;
  landed(node, peer);
  const settledHashes = new Set<string>();
  const missing: string[] = [];
  for (const wire of payload.missing as string[]) {
    const hash = wire.slice(5);
    if (!asked.has(hash) || settledHashes.has(hash)) continue;
    settledHashes.add(hash);
    missing.push(hash);
  }
  const served = takeItems(node, link, asked, payload.items as Json[]);
  const named = [...(payload.item_hashes as string[]).map((wire) => wire.slice(5)), ...served.taken];
  for (const hash of named) {
    if (!asked.has(hash) || settledHashes.has(hash)) continue;
    settledHashes.add(hash);
    // "a hash that `item_hashes` names counts as served, whatever came under it"
    if (!served.taken.has(hash) && !isHeld(node, hash)) refuseHash(node, peer, hash);
  }
  if (served.refused > 0) countBad(node, link);
  if (missing.length > 0) retryMissing(node, peer, missing);
  for (const hash of asked) {
    if (settledHashes.has(hash)) continue;
    const wanted = node.fetching.wants.get(hash);
    // "the rest is asked for again, while each answer settles at least one more hash"
    if (settledHashes.size === 0 || !wanted) giveBack(node, peer, hash, true);
    else if (wanted.askedOf === peer || wanted.askedOf === null) {
      wanted.askedOf = null;
      lineUp(node, peer, wanted);
    }
  }
  node.turn.hungry.add(peer);
}

/** Judges the bodies; good ones go to the store, and the connection waits for them (§6 "before the next message"). */
function takeItems(node: NodeState, link: Link, asked: Set<string>, bodies: readonly Json[]) {
  const taken = new Set<string>();
  let refused = 0;
  for (const body of bodies) {
    let isStrange = false;
    const item = readItem(body, node.rules, false, (hash) => {
      isStrange = !asked.has(hash);
      if (isStrange || taken.has(hash) || isHeld(node, hash)) return false;
      if (!isArriving(node, hash)) return true;
      // Another peer's copy is being stored: this connection waits for it too.
      taken.add(hash);
      link.barriers++;
      whenStored(node, hash, () => passBarrier(node, link));
      return false;
    });
    if (!isRefusal(item)) {
      taken.add(item.hash);
      link.barriers++;
      keep(node, item, false, (stored) => {
        passBarrier(node, link);
        arrived(node, item, stored);
      });
    } else if (isStrange || item.code !== 'UNKNOWN_HASH') {
      if (refused++ === 0)
        note(node, 'debug', 'item-refused', { peer: link.peer.nodeId, because: item.because });
    }
  }
  return { taken, refused };
}

function passBarrier(node: NodeState, link: Link): void {
  link.barriers--;
  node.turn.ready.add(link);
}

function arrived(node: NodeState, item: Item, stored: boolean): void {
  const wanted = node.fetching.wants.get(item.hash);
  const origin = wanted?.origin;
  if (wanted) settle(node, wanted, stored);
  if (stored && origin === 'announced') countFlux(node);
  if (!stored || origin !== 'reconciled') return;
  // "announces those whose timestamp is within 60 s of its clock, in either direction, as if it had accepted them itself"
  if (Math.abs(item.timestamp * 1000 - node.world.wallMs()) > freshMs) return;
  announce(node, topicOf(item.type), `rule_${item.hash}`, null);
}

/** "who is told `missing` by the announcer asks again after 250 ms, at most three times" (§7). */
function retryMissing(node: NodeState, peer: Peer, hashes: readonly string[]): void {
  const again: Want[] = [];
  for (const hash of hashes) {
    const wanted = node.fetching.wants.get(hash);
    const source = wanted?.sources.get(peer);
    if (!wanted || !source) continue;
    const isLast = wanted.origin !== 'announced' || ++source.missing > missingRetries;
    giveBack(node, peer, hash, isLast);
    if (!isLast) again.push(wanted);
  }
  if (again.length === 0) return;
  node.deadlines.at(node.nowMs + missingRetryMs, () => {
    for (const wanted of again) {
      if (node.fetching.wants.get(wanted.hash) !== wanted) continue;
      if (peer.links.size === 0) giveBack(node, peer, wanted.hash, true);
      else if (wanted.askedOf === null) lineUp(node, peer, wanted);
    }
  });
}
