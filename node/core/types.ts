/**
 * The words of the core: what comes in (`Input`), what goes out (`Effect`), and the hands that hold it (`World`).
 * Data only. The core knows no socket, timer, clock, randomness, promise or file; whoever owns those (the shell, or a
 * simulator) speaks to it in these shapes. Times are milliseconds; instants end in `At`.
 */

/** One TLS + WebSocket connection, numbered by the shell. Never reused while the node runs. */
export type LinkId = number;
/** One attempt to dial, numbered by the core. */
export type DialId = number;
/** One durable write, numbered by the core. */
export type BatchId = number;

/** A JSON value that still knows how its numbers were written (§3.1). Integers beyond 2^53 are bigint. */
export type Json = null | boolean | number | bigint | string | JsonFloat | Json[] | JsonObject;
/** Members in arrival order. No prototype, so `__proto__` is an ordinary key (§11). */
export type JsonObject = { [key: string]: Json };
/** A number token that had a `.`, `e` or `E`. `number` and `bigint` stand for integer tokens only. */
export interface JsonFloat {
  readonly float: number;
}

/** The proven owner of a certificate: what a TLS handshake or an item's certificate establishes (§1). */
export interface Identity {
  /** Raw 32-byte Ed25519 public key. */
  readonly publicKey: Uint8Array;
  /** Standard base64 of `publicKey`, as on the wire. */
  readonly publicKeyBase64: string;
  readonly nodeId: string;
  readonly agentId: string;
}

/** Profile §10 `parameters`, in our units. */
export interface Parameters {
  fanout: number;
  ttl: number;
  cacheTtlMs: number;
  heartbeatIntervalMs: number;
  peerTimeoutMs: number;
  antiEntropyIntervalMs: number;
  checkpointIntervalMs: number;
  targetPeers: number;
  maxPeers: number;
  bucketSize: number;
  handshakeTimeoutMs: number;
  commitsPerMinute: number;
  queriesPerMinute: number;
  bytesPerSecond: number;
}

export interface BootstrapNode {
  /** `host:port` as dialled; `hosts` map and DNS are the shell's business. */
  address: string;
  publicKeyBase64: string;
}

export interface CoreConfig {
  identity: Identity;
  /** DER of the own certificate; goes into the `sender` of own items (§6). */
  certificate: Uint8Array;
  /** DER of the network's CA certificate. */
  caCertificate: Uint8Array;
  /** The address told to others, verbatim (§10), or null where the node accepts no connections (§4). */
  advertise: string | null;
  bootstrap: readonly BootstrapNode[];
  parameters: Parameters;
}

/** All time, chance and key material. The core calls nothing else of the outside world. */
export interface World {
  /** Monotonic ms: windows, deadlines, limits. */
  nowMs(): number;
  /** The wall clock, Unix ms: timestamps (§3). */
  wallMs(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** A fresh UUID version 4, lower case. */
  uuid(): string;
  /** Ed25519 by the node key; 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
  /** §3.1: RFC 8032, cofactorless, S < L, no small-order or non-canonical public key. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Lower-case hex SHA-256. Strings are hashed as UTF-8. */
  sha256(data: Uint8Array | string): string;
  /** A durable item's canonical bytes (with signature) by its 64 hex digits; null if the store cannot give it now. Synchronous. */
  readItem(hash: string): Uint8Array | null;
}

/** What the store holds at start. Items stream in, so that a large state need not fit into memory twice. */
export interface Restored {
  /** Every durable item under the hash it was stored by; the bytes are what the disk gives back. */
  items: Iterable<StoredItem>;
  /** Canonical bytes of the durable checkpoint records, as the core wrote them with `persist`. */
  records: Iterable<readonly [key: string, value: Uint8Array]>;
}

export type Input =
  | { kind: 'start'; restored: Restored }
  /** An inbound connection was upgraded. `certificate`: the peer's DER, proved by the shell. */
  | { kind: 'accepted'; link: LinkId; certificate: Uint8Array }
  /** An own dial was upgraded. */
  | { kind: 'dialed'; dial: DialId; link: LinkId; certificate: Uint8Array }
  | { kind: 'dial-failed'; dial: DialId; reason: string }
  /** One whole WebSocket text message; `text` is valid UTF-8 of `size` bytes (1007 and 1009 are the shell's). */
  | { kind: 'text'; link: LinkId; text: string; size: number }
  | { kind: 'binary'; link: LinkId }
  | { kind: 'closed'; link: LinkId; code: number }
  /** Bytes waiting in the send buffer rose above the shell's high-water mark: the core holds further sends back. */
  | { kind: 'pressed'; link: LinkId }
  /** Bytes waiting in the send buffer fell below the low-water mark again, after `pressed`. */
  | { kind: 'drained'; link: LinkId }
  /** `wakeAt` has come. */
  | { kind: 'wake' }
  /** The batch is on disk, synced. */
  | { kind: 'stored'; batch: BatchId }
  | { kind: 'store-failed'; batch: BatchId; reason: string }
  /** The node's own agent hands it an item body (§6: outside the profile; here a function call). */
  | { kind: 'publish'; ticket: number; messageType: ItemType; payload: JsonObject }
  /** SIGTERM: close 1001 to all (§4). */
  | { kind: 'stop' };

export type ItemType = 'commit' | 'challenge' | 'confirm';

/** Performed by the shell in order. */
export type Effect =
  | { kind: 'dial'; dial: DialId; address: string }
  /** Give up a dial that has not ended yet. */
  | { kind: 'cancel-dial'; dial: DialId }
  | { kind: 'send'; link: LinkId; text: string }
  /** WebSocket close; the socket is destroyed `abortAfterMs` later if the peer has not closed (default 2 000). */
  | { kind: 'close'; link: LinkId; code: number; reason: string; abortAfterMs?: number }
  /** Stop and resume reading from the socket (§9 back-pressure). */
  | { kind: 'pause'; link: LinkId }
  | { kind: 'resume'; link: LinkId }
  /**
   * Write items and records durably; answered by `stored` or `store-failed`. A null value deletes a record. Batches
   * reach the store in the order of their numbers. `relaxed`: nobody was or will be told that this batch is durable (it
   * holds relayed items only), so it may be written without waiting for a sync; a shell that ignores the hint is right too.
   */
  | {
      kind: 'persist';
      batch: BatchId;
      relaxed: boolean;
      items: readonly StoredItem[];
      records: readonly (readonly [key: string, value: Uint8Array | null])[];
    }
  /** The outcome of `publish`. */
  | { kind: 'published'; ticket: number; itemHash: string; status: 'accepted' | 'known' }
  | { kind: 'publish-failed'; ticket: number; reason: string }
  /** Something worth a line in the log (NDJSON). Never a secret. */
  | { kind: 'note'; level: 'debug' | 'info' | 'warn'; event: string; detail: Record<string, unknown> };

export interface StoredItem {
  /** 64 hex digits, without `rule_`. */
  readonly hash: string;
  /** Canonical form of the whole item, `signature` included. */
  readonly bytes: Uint8Array;
}

/** Monotonic counters and gauges; the shell's metrics read them, tests assert on them. */
export interface Counters {
  /** `${direction}:${message_type}` → count; direction `in` or `out`. */
  messages: Map<string, number>;
  verifications: number;
  verificationFailures: number;
  envelopesTaken: number;
  itemsNew: number;
  duplicatesDropped: number;
  rateLimited: number;
  antiEntropyRounds: number;
  refused: Map<string, number>;
}

/** The core as the shell sees it. `step` never throws for anything a peer can send. */
export interface Core {
  step(input: Input): readonly Effect[];
  /** Monotonic ms of the earliest deadline, or Infinity. The shell keeps one timer. */
  readonly wakeAt: number;
  readonly counters: Counters;
  /** For metrics and the library's status: cheap to call. */
  status(): {
    peers: number;
    items: number;
    stateRoot: string;
    checkpointHeight: number;
    checkpointHash: string | null;
    knownNodes: number;
  };
  /** Durable item by `rule_` hash, for the library's `status(hash)`. */
  holds(itemHash: string): boolean;
}
