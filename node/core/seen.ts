/**
 * What was seen before: gossips by `gossip_id` (§7) and messages by sender and `message_id` (check 8 of §3.2). It remembers
 * what it is told and judges nothing; both are bounded per peer, so that nobody can push out what others sent.
 */
import { IdWindow } from './id-window.ts';

/** §7: "The cache is bounded per sending peer (20 000 live ids)". */
const gossipsPerSender = 20_000;
/** Check 8: "that peer's last 10 000 messages of 600 s". */
const messagesPerPeer = 10_000;
const messageLifeMs = 600_000;

interface Sender {
  readonly nodeId: string;
  /** Owner number in the window, used again when the sender has no live ids left. */
  readonly number: number;
  live: number;
}

/** Gossips by id alone, whoever sent them. */
export class GossipCache {
  readonly #window: IdWindow;
  readonly #senders = new Map<string, Sender>();
  readonly #byNumber: (Sender | undefined)[] = [];
  readonly #freeNumbers: number[] = [];

  constructor(cacheTtlMs: number, seed: number) {
    this.#window = new IdWindow({ lifeMs: cacheTtlMs, seed, expired: (owner) => this.#expired(owner) });
  }

  size(nowMs: number): number {
    return this.#window.size(nowMs);
  }

  has(gossipId: string, nowMs: number): boolean {
    return this.#window.has(gossipId, nowMs);
  }

  /** May this peer bring in another id? If not, its gossip is to be dropped (§7). */
  hasRoom(senderNodeId: string, nowMs: number): boolean {
    this.#window.size(nowMs);
    return (this.#senders.get(senderNodeId)?.live ?? 0) < gossipsPerSender;
  }

  /** Caches an id from first sight on; false if it is cached already or the sender has no room. */
  add(gossipId: string, senderNodeId: string, nowMs: number): boolean {
    if (!this.hasRoom(senderNodeId, nowMs)) return false;
    const sender = this.#senders.get(senderNodeId) ?? this.#newSender(senderNodeId);
    const isNew = this.#window.add(gossipId, nowMs, sender.number);
    if (isNew) sender.live++;
    else if (sender.live === 0) this.#drop(sender);
    return isNew;
  }

  #newSender(nodeId: string): Sender {
    const number = this.#freeNumbers.pop() ?? this.#byNumber.length;
    const sender = { nodeId, number, live: 0 };
    this.#byNumber[number] = sender;
    this.#senders.set(nodeId, sender);
    return sender;
  }

  #expired(owner: number): void {
    const sender = this.#byNumber[owner]!;
    sender.live--;
    if (sender.live === 0) this.#drop(sender);
  }

  #drop(sender: Sender): void {
    this.#senders.delete(sender.nodeId);
    this.#byNumber[sender.number] = undefined;
    this.#freeNumbers.push(sender.number);
  }
}

/** Ids of the messages of each peer that passed all checks; they outlive connections. */
export class MessageIds {
  readonly #seed: number;
  readonly #peers = new Map<string, IdWindow>();
  #sweptAtMs = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  has(nodeId: string, messageId: string, nowMs: number): boolean {
    return this.#peers.get(nodeId)?.has(messageId, nowMs) ?? false;
  }

  /** Remembers a message; false if it was remembered already. */
  add(nodeId: string, messageId: string, nowMs: number): boolean {
    if (nowMs - this.#sweptAtMs > messageLifeMs / 10) this.#sweep(nowMs);
    let ids = this.#peers.get(nodeId);
    if (!ids) {
      ids = new IdWindow({ lifeMs: messageLifeMs, limit: messagesPerPeer, seed: this.#seed });
      this.#peers.set(nodeId, ids);
    }
    return ids.add(messageId, nowMs);
  }

  /** Forgets peers of whom nothing is remembered any more. */
  #sweep(nowMs: number): void {
    this.#sweptAtMs = nowMs;
    for (const [nodeId, ids] of this.#peers) if (ids.size(nowMs) === 0) this.#peers.delete(nodeId);
  }
}
