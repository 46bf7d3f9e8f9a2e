/**
 * Who is out there (§5): 160 buckets by XOR distance of node ids. It owns the rules by which nodes enter and leave the
 * table; when to dial, and whom, is decided elsewhere.
 */
import { kept } from './json.ts';
import type { World } from './types.ts';

export interface KnownNode {
  readonly nodeId: string;
  /** `host:port`. */
  address: string;
  /** A handshake with it succeeded once. */
  verified: boolean;
  /** The last dial of it failed; a handshake sets it right. */
  dialFailed: boolean;
  /** Monotonic ms of the last message; −Infinity if there was none. */
  seenAtMs: number;
}

/** §5: "A list has at most 50 entries". */
export const longestPeerList = 50;

const rememberedLies = 1024;
const rememberedWithoutAddress = 4096;
const disbeliefMs = 60_000;

export class RoutingTable {
  readonly #ownNodeId: string;
  readonly #bucketSize: number;
  readonly #silenceMs: number;
  readonly #nodes = new Map<string, KnownNode>();
  /** `node address` pairs that proved false, and until when they are not believed again. */
  readonly #disproved = new Map<string, number>();
  /**
   * Node ids of those who accept no connections: "never advertised or dialled, whatever others said of it" (§4). They are in no
   * bucket: as verified entries that no dial can fail, a few observers would keep out everybody that is only heard of.
   */
  readonly #withoutAddress = new Set<string>();
  /** By length of the common prefix in bits. */
  readonly #buckets: (KnownNode[] | undefined)[] = new Array(160);

  /** `silenceMs`: 90 s in §5. */
  constructor(ownNodeId: string, bucketSize: number, silenceMs: number) {
    this.#ownNodeId = ownNodeId;
    this.#bucketSize = bucketSize;
    this.#silenceMs = silenceMs;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(nodeId: string): KnownNode | undefined {
    return this.#nodes.get(nodeId);
  }

  all(): IterableIterator<KnownNode> {
    return this.#nodes.values();
  }

  /** A handshake succeeded; its hello gave this address. False if it has none, or its bucket no place for it. */
  met(nodeId: string, address: string | null, nowMs: number): boolean {
    if (address === null) {
      this.forget(nodeId);
      this.#remember(nodeId);
      return false;
    }
    this.#withoutAddress.delete(nodeId);
    const own = kept(address);
    const node = this.#nodes.get(nodeId);
    if (node) {
      node.address = own;
      node.verified = true;
      node.dialFailed = false;
      node.seenAtMs = nowMs;
      return true;
    }
    return this.#enter({ nodeId, address: own, verified: true, dialFailed: false, seenAtMs: nowMs }, nowMs);
  }

  /**
   * Somebody says that a node is at an address. Never alters a verified entry; an unverified one only after its address
   * failed. True if there is something new to dial.
   */
  heardOf(nodeId: string, address: string, nowMs: number): boolean {
    if (this.#withoutAddress.has(nodeId)) return false;
    if (nowMs < (this.#disproved.get(`${nodeId} ${address}`) ?? 0)) return false;
    const node = this.#nodes.get(nodeId);
    if (node) {
      if (node.verified || !node.dialFailed) return false;
      node.address = kept(address);
      node.dialFailed = false;
      return true;
    }
    const seenAtMs = Number.NEGATIVE_INFINITY;
    return this.#enter(
      { nodeId, address: kept(address), verified: false, dialFailed: false, seenAtMs },
      nowMs,
    );
  }

  /** A message came from it: it moves to the head of its bucket. */
  seen(nodeId: string, nowMs: number): void {
    const node = this.#nodes.get(nodeId);
    if (node) node.seenAtMs = nowMs;
  }

  dialFailed(nodeId: string): void {
    const node = this.#nodes.get(nodeId);
    if (node) node.dialFailed = true;
  }

  /**
   * Another key answered at its address (§4: "the address is forgotten"). Who says the same again is not believed for a
   * while, or one lying list would cost a dial each time it is told.
   */
  disprove(nodeId: string, nowMs: number): void {
    const address = this.#nodes.get(nodeId)?.address;
    this.forget(nodeId);
    if (address === undefined) return;
    if (this.#disproved.size >= rememberedLies) this.#disproved.delete(this.#disproved.keys().next().value!);
    this.#disproved.set(`${nodeId} ${address}`, nowMs + disbeliefMs);
  }

  forget(nodeId: string): void {
    const node = this.#nodes.get(nodeId);
    if (!node) return;
    this.#nodes.delete(nodeId);
    const bucket = this.#buckets[commonBits(this.#ownNodeId, nodeId)]!;
    bucket.splice(bucket.indexOf(node), 1);
  }

  /** Distinct nodes that `accept` takes, chosen at random, at most `count`. */
  pick(count: number, random: World['random'], accept: (node: KnownNode) => boolean): KnownNode[] {
    const candidates: KnownNode[] = [];
    for (const node of this.#nodes.values()) if (accept(node)) candidates.push(node);
    const wanted = Math.min(count, candidates.length);
    for (let i = 0; i < wanted; i++) {
      const other = i + Math.floor(random() * (candidates.length - i));
      [candidates[i], candidates[other]] = [candidates[other]!, candidates[i]!];
    }
    candidates.length = wanted;
    return candidates;
  }

  /** The nodes of a `peer_exchange`: met, answering if dialled since, not the asker (§5). */
  peerList(askerNodeId: string, random: World['random']): KnownNode[] {
    return this.pick(
      longestPeerList,
      random,
      (node) => node.verified && !node.dialFailed && node.nodeId !== askerNodeId,
    );
  }

  #remember(nodeId: string): void {
    const known = this.#withoutAddress;
    // Anew, so that those go first who were not here for longest.
    known.delete(nodeId);
    if (known.size >= rememberedWithoutAddress) known.delete(known.values().next().value!);
    known.add(kept(nodeId));
  }

  #enter(newcomer: KnownNode, nowMs: number): boolean {
    if (newcomer.nodeId === this.#ownNodeId) return false;
    const distance = commonBits(this.#ownNodeId, newcomer.nodeId);
    const bucket = this.#buckets[distance] ?? [];
    this.#buckets[distance] = bucket;
    if (bucket.length >= this.#bucketSize) {
      const oldest = bucket.reduce((least, node) => (node.seenAtMs < least.seenAtMs ? node : least));
      if (!this.#mayReplace(oldest, newcomer, nowMs)) return false;
      this.forget(oldest.nodeId);
    }
    const node = { ...newcomer, nodeId: kept(newcomer.nodeId) };
    bucket.push(node);
    this.#nodes.set(node.nodeId, node);
    return true;
  }

  /** §5: only one that "failed its last dial, was silent for 90 s, or was never verified". */
  #mayReplace(oldest: KnownNode, newcomer: KnownNode, nowMs: number): boolean {
    if (!oldest.verified) return true;
    if (!newcomer.verified) return false;
    return oldest.dialFailed || nowMs - oldest.seenAtMs >= this.#silenceMs;
  }
}

/** Bits that two node ids (`node_` and 40 hex digits) have in common from the left; 160 if they are the same. */
export function commonBits(a: string, b: string): number {
  for (let i = 5; i < 45; i++) {
    const difference = digitAt(a, i) ^ digitAt(b, i);
    if (difference !== 0) return (i - 5) * 4 + Math.clz32(difference) - 28;
  }
  return 160;
}

function digitAt(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit <= 0x39 ? unit - 0x30 : unit - 0x57;
}
