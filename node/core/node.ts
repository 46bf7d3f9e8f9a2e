/**
 * The node as a state machine: one input in, its effects out, nothing in between that waits (design, "The node"). It owns
 * the table and the order of a step; each part of the protocol has a file of its own.
 */
import { createAnnouncing } from './announce.ts';
import { encodeBase64 } from './base64.ts';
import { canonical } from './canonical.ts';
import { CertificateCache, readAuthority } from './certificate.ts';
import { restoreCheckpoints } from './checkpoint-records.ts';
import { createCheckpoints, tendCheckpoints } from './checkpoints.ts';
import { addCommit, createCommitIndex, textsOf } from './commits.ts';
import { Deadlines } from './deadlines.ts';
import { createDialing, dialEnded, type Errand, errandEnded, tendDials } from './dialing.ts';
import { publish } from './direct.ts';
import { bootstrapFailed, createBootstraps, startDiscovery } from './discovery.ts';
import { isRefusal, type Refusal, refuse } from './error-code.ts';
import { pump } from './fetching.ts';
import { createFlux } from './flux.ts';
import { drawConsequences, openLink } from './handshake.ts';
import { receive, work } from './inbound.ts';
import { type Item, type ItemRules, readItem } from './item.ts';
import { JsonError, parse } from './json.ts';
import { CountLimits } from './limits.ts';
import { detach, end, note } from './link.ts';
import { createReconciling } from './reconcile.ts';
import { scheduleRounds } from './rounds.ts';
import { RoutingTable } from './routing.ts';
import { GossipCache, MessageIds } from './seen.ts';
import { flush } from './sending.ts';
import type { Link, NodeState, Turn } from './state.ts';
import { scheduleStateSync } from './state-sync.ts';
import { batchFailed, batchStored, createStoring, handOver } from './storing.ts';
import { PrefixTree } from './tree.ts';
import type { Core, CoreConfig, Counters, Effect, Input, Restored, World } from './types.ts';
import { createFetching } from './wants.ts';

/** As a sender the node counts over a little more than the 60 s of its peers' windows. */
const ownWindowMs = 61_000;

/** A node that does nothing until `start`. Throws if the configuration's certificates are none. */
export function createCore(config: CoreConfig, world: World): Core {
  const node = createState(config, world);
  return {
    step: (input) => step(node, input),
    get wakeAt() {
      return node.deadlines.next;
    },
    counters: node.counters,
    status: () => ({
      peers: node.persistent.length,
      items: node.tree.size,
      stateRoot: node.tree.root(),
      checkpointHeight: node.checkpoints.own?.checkpoint.height ?? 0,
      checkpointHash: node.checkpoints.own?.checkpoint.hash ?? null,
      knownNodes: node.routing.size,
    }),
    holds: (itemHash) => /^rule_[0-9a-f]{64}$/.test(itemHash) && node.tree.has(itemHash.slice(5)),
  };
}

function createState(config: CoreConfig, world: World): NodeState {
  const { identity: me, parameters } = config;
  const authority = readAuthority(config.caCertificate);
  const counters = createCounters();
  const rules: ItemRules = {
    certificates: new CertificateCache(authority, world),
    world,
    verified: (isGood) => {
      counters.verifications++;
      if (!isGood) counters.verificationFailures++;
    },
  };
  const sender = { agent_id: me.agentId, node_id: me.nodeId, public_key: me.publicKeyBase64 };
  const { commitsPerMinute, queriesPerMinute } = parameters;
  return {
    config,
    parameters,
    world,
    me,
    senderText: canonical(sender),
    authorText: canonical({ ...sender, certificate: encodeBase64(config.certificate) }),
    authority,
    rules,
    counters,
    deadlines: new Deadlines(),
    turn: createTurn(),
    nowMs: world.nowMs(),
    started: false,
    stopped: false,
    links: new Map(),
    peers: new Map(),
    persistent: [],
    routing: new RoutingTable(me.nodeId, parameters.bucketSize, parameters.peerTimeoutMs),
    limits: new CountLimits(commitsPerMinute, queriesPerMinute),
    ownLimits: new CountLimits(commitsPerMinute, queriesPerMinute, ownWindowMs),
    messageIds: new MessageIds(world.random()),
    gossipCache: new GossipCache(parameters.cacheTtlMs, world.random()),
    tree: new PrefixTree(world.sha256),
    commits: createCommitIndex((hash) => {
      const bytes = world.readItem(hash);
      return bytes && textsOf(parse(Buffer.from(bytes).toString('latin1')));
    }),
    storing: createStoring(),
    announcing: createAnnouncing(),
    fetching: createFetching(),
    reconciling: createReconciling(),
    flux: createFlux(),
    dialing: createDialing(),
    bootstraps: createBootstraps({ config, world, me }),
    checkpoints: createCheckpoints(),
  };
}

function createCounters(): Counters {
  return {
    messages: new Map(),
    verifications: 0,
    verificationFailures: 0,
    envelopesTaken: 0,
    itemsNew: 0,
    duplicatesDropped: 0,
    rateLimited: 0,
    antiEntropyRounds: 0,
    refused: new Map(),
  };
}

function createTurn(): Turn {
  return { effects: [], ended: [], ready: new Set(), hungry: new Set(), dialsWanted: false };
}

/** One input, and everything that follows from it before anything else can happen. */
function step(node: NodeState, input: Input): readonly Effect[] {
  node.nowMs = node.world.nowMs();
  node.turn = createTurn();
  take(node, input);
  if (node.started) node.deadlines.runDue(node.nowMs);
  settle(node);
  return node.turn.effects;
}

function take(node: NodeState, input: Input): void {
  switch (input.kind) {
    case 'start':
      start(node, input.restored);
      return;
    case 'accepted':
      openLink(node, input.link, input.certificate, null);
      return;
    case 'dialed': {
      const errand = dialEnded(node, input.dial);
      if (errand) {
        openLink(node, input.link, input.certificate, errand);
        return;
      }
      // Given up before it came up.
      node.turn.effects.push({ kind: 'close', link: input.link, code: 1000, reason: 'too late' });
      return;
    }
    case 'dial-failed': {
      const errand = dialEnded(node, input.dial);
      if (errand) dialFailed(node, errand, input.reason);
      return;
    }
    case 'text':
      withLink(node, input.link, (link) => receive(node, link, input.text, input.size));
      return;
    case 'binary':
      withLink(node, input.link, (link) => end(node, link, 1003, 'binary message'));
      return;
    case 'closed': {
      withLink(node, input.link, (link) => detach(node, link, input.code, true));
      node.links.delete(input.link);
      return;
    }
    case 'pressed':
      withLink(node, input.link, (link) => pressed(node, link));
      return;
    case 'drained':
      withLink(node, input.link, (link) => {
        link.pressed = false;
        node.deadlines.cancel(link.pressedDue);
        flush(node, link);
      });
      return;
    case 'wake':
      return;
    case 'stored':
      batchStored(node, input.batch);
      return;
    case 'store-failed':
      batchFailed(node, input.batch, input.reason);
      return;
    case 'publish':
      publish(node, input);
      return;
    case 'stop':
      stop(node);
      return;
  }
}

function withLink(node: NodeState, id: number, then: (link: Link) => void): void {
  const link = node.links.get(id);
  if (link && link.phase !== 'closing') then(link);
}

/** What the input brought about brings about more, until nothing is left to follow. */
function settle(node: NodeState): void {
  const { turn } = node;
  while (turn.ended.length > 0 || turn.ready.size > 0 || turn.hungry.size > 0 || turn.dialsWanted) {
    for (const ended of turn.ended.splice(0)) drawConsequences(node, ended);
    for (const link of turn.ready) {
      turn.ready.delete(link);
      work(node, link);
    }
    for (const peer of turn.hungry) {
      turn.hungry.delete(peer);
      pump(node, peer);
    }
    if (turn.dialsWanted) {
      turn.dialsWanted = false;
      tendDials(node);
    }
  }
  tendCheckpoints(node);
  handOver(node);
}

function dialFailed(node: NodeState, errand: Errand, reason: string): void {
  const target = errand.kind === 'bootstrap' ? errand.query.bootstrap.address : errand.address;
  note(node, 'debug', 'dial-failed', { target, reason });
  if (errand.kind === 'bootstrap') bootstrapFailed(node, errand.query);
  else errandEnded(node, errand.nodeId, false, 0);
}

/** The peer does not read: after as long a time as silence would be given, it is gone. */
function pressed(node: NodeState, link: Link): void {
  link.pressed = true;
  node.deadlines.cancel(link.pressedDue);
  link.pressedDue = node.deadlines.at(node.nowMs + node.parameters.peerTimeoutMs, () => {
    end(node, link, 4408, 'does not read');
  });
}

/** What is on disk was verified before it was written. */
function start(node: NodeState, restored: Restored): void {
  for (const { hash, bytes } of restored.items) {
    const item = storedItem(node, bytes);
    if (isRefusal(item) || item.hash !== hash) {
      const because = isRefusal(item) ? item.because : 'it is not the item of that hash';
      note(node, 'warn', 'stored-item-unreadable', { hash, because });
      continue;
    }
    node.tree.add(item.hash);
    addCommit(node.commits, item);
  }
  restoreCheckpoints(node, restored.records);
  node.started = true;
  node.checkpoints.standsSinceMs = node.nowMs;
  node.checkpoints.stateChanged = true;
  scheduleRounds(node);
  scheduleStateSync(node);
  startDiscovery(node);
  note(node, 'info', 'started', {
    items: node.tree.size,
    height: node.checkpoints.own?.checkpoint.height ?? 0,
  });
}

/** A damaged disk may give back anything; the item comes again from a peer. */
function storedItem(node: NodeState, bytes: Uint8Array): Item | Refusal {
  try {
    return readItem(parse(Buffer.from(bytes).toString('latin1')), node.rules, true);
  } catch (error) {
    if (error instanceof JsonError) return refuse('MALFORMED', error.message);
    throw error;
  }
}

/** "SIGTERM: close 1001 to all" (§4). What is being stored is still answered for by the store alone. */
function stop(node: NodeState): void {
  node.stopped = true;
  for (const link of [...node.links.values()]) end(node, link, 1001, 'stopping');
  for (const [id, { due }] of node.dialing.dials) {
    node.deadlines.cancel(due);
    node.turn.effects.push({ kind: 'cancel-dial', dial: id });
  }
  node.dialing.dials.clear();
}
