/**
 * The table: everything a running node knows, as plain data, and the shapes of a connection and of a peer. It owns no
 * behaviour; each part of the behaviour has a file, and keeps its own corner of this table there.
 */
import type { AnnouncingState } from './announce.ts';
import type { Authority } from './certificate.ts';
import type { CheckpointState } from './checkpoints.ts';
import type { CommitIndex } from './commits.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { DialingState, Errand } from './dialing.ts';
import type { BootstrapQuery } from './discovery.ts';
import type { FluxState } from './flux.ts';
import type { ItemRules } from './item.ts';
import type { ByteBudget, CountLimits } from './limits.ts';
import type { Received } from './message-types.ts';
import type { PeerReconciling, ReconcilingState } from './reconcile.ts';
import type { Pending } from './requests.ts';
import type { RoutingTable } from './routing.ts';
import type { GossipCache, MessageIds } from './seen.ts';
import type { StoringState } from './storing.ts';
import type { PrefixTree } from './tree.ts';
import type { CoreConfig, Counters, Effect, Identity, LinkId, Parameters, World } from './types.ts';
import type { FetchingState, PeerFetching } from './wants.ts';

export type ConnectionType = 'bootstrap' | 'persistent' | 'gossip' | 'sync';

/** Why reading from a connection stands still. */
export type Hold = 'income' | 'queue' | 'output';

/** One connection, from the upgrade to the close (§4). */
export interface Link {
  readonly id: LinkId;
  readonly peer: Peer;
  /** What the certificate on this connection proved. */
  readonly identity: Identity;
  /** What this node dialled it for; null if the peer dialled. */
  readonly errand: Errand | null;
  /** The errand's outcome was drawn before the connection ended. */
  errandSettled: boolean;
  /** Null until the peer's hello said so. */
  type: ConnectionType | null;
  /** `hello`: the peer's hello was not accepted yet. `open`: CONNECTED. `closing`: nothing counts any more. */
  phase: 'hello' | 'open' | 'closing';
  /** From the peer's hello. */
  gossips: boolean;
  syncs: boolean;
  /** A dialled acceptor said `TOO_MANY_PEERS` instead of its hello: one `peer_exchange` may follow (§4). */
  toldFull: boolean;

  /** Monotonic ms of the last sign of life; moves on while this node holds the connection back (§4 heartbeat). */
  heardAtMs: number;
  readonly holds: Set<Hold>;
  heldSinceMs: number;
  /** Texts that have to wait for what stands before them. */
  readonly queue: { readonly text: string; readonly size: number }[];
  queuedBytes: number;
  /** A message past check 7 that waits for items of earlier messages to be stored. */
  parked: Received | null;
  /** Responses whose items are being stored: everything behind them waits (§6). */
  barriers: number;
  /** Own items of the peer being stored: only further ones may overtake the wait. */
  itemsStoring: number;
  /** Instants of the last `MALFORMED` and `INVALID_SIGNATURE` (§3.2). */
  readonly badAtMs: number[];

  readonly outbox: string[];
  outboxBytes: number;
  /** The shell's send buffer is full. */
  pressed: boolean;

  /** Requests of ours that the peer has not answered, by message id. */
  readonly pending: Map<string, Pending>;
  /** Answers of ours that are held back (§7, §8). */
  delayedAnswers: number;
  helloDue: Deadline | null;
  expiryDue: Deadline | null;
  silenceDue: Deadline | null;
  heartbeatDue: Deadline | null;
  /** From when on it may be asked (again) for peers, and after how long once more. */
  askPeersFromMs: number;
  askPeersAfterMs: number;
  pressedDue: Deadline | null;
}

/** One node at the other end of at least one connection, now or a short while ago. Limits are per peer (§9). */
export interface Peer {
  readonly nodeId: string;
  /** All that are not closing. */
  readonly links: Set<Link>;
  /** The CONNECTED persistent one: while there is one, this is a peer in the sense of §5, §7 and §8. */
  persistent: Link | null;
  readonly income: ByteBudget;
  readonly outgo: ByteBudget;
  incomeDue: Deadline | null;
  outgoDue: Deadline | null;
  forgetDue: Deadline | null;
  readonly fetching: PeerFetching;
  readonly reconciling: PeerReconciling;
  /** Checkpoints that this peer gave and that were refused: hash → monotonic ms. */
  readonly refusedCheckpoints: Map<string, number>;
}

/** What the step under way brings about. */
export interface Turn {
  effects: Effect[];
  /** Connections that ended in this step; their consequences are drawn at its end. */
  ended: {
    readonly link: Link;
    readonly code: number;
    readonly byPeer: boolean;
    readonly wasOpen: boolean;
  }[];
  /** Connections whose waiting messages may go on. */
  ready: Set<Link>;
  /** Peers of whom something is wanted: the next request may go out. */
  hungry: Set<Peer>;
  /** Somebody new to dial, or a place that became free. */
  dialsWanted: boolean;
}

export interface NodeState {
  readonly config: CoreConfig;
  readonly parameters: Parameters;
  readonly world: World;
  readonly me: Identity;
  /** Canonical text of `sender` in own messages, and in own items (with the certificate). */
  readonly senderText: string;
  readonly authorText: string;
  readonly authority: Authority;
  readonly rules: ItemRules;
  readonly counters: Counters;
  readonly deadlines: Deadlines;
  turn: Turn;
  /** `World.nowMs` at the begin of the step. */
  nowMs: number;
  started: boolean;
  stopped: boolean;

  readonly links: Map<LinkId, Link>;
  readonly peers: Map<string, Peer>;
  /** The CONNECTED persistent connections, one per peer. */
  readonly persistent: Link[];

  readonly routing: RoutingTable;
  readonly limits: CountLimits;
  /** The same limits, kept by this node as a sender (§9). */
  readonly ownLimits: CountLimits;
  readonly messageIds: MessageIds;
  readonly gossipCache: GossipCache;

  /** Durable items: their set, and what queries need of the commits. */
  readonly tree: PrefixTree;
  readonly commits: CommitIndex;
  readonly storing: StoringState;
  readonly announcing: AnnouncingState;
  readonly fetching: FetchingState;
  readonly reconciling: ReconcilingState;
  readonly flux: FluxState;
  readonly dialing: DialingState;
  readonly bootstraps: BootstrapQuery[];
  readonly checkpoints: CheckpointState;
}
