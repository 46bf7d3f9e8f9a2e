/**
 * Watches one life of a node from outside: which items it shows, whom it names as peers, on which checkpoint it stands. Writes what
 * it sees into the history; decides nothing. Polls in proportion to what is waited for, so that watching does not become the load.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Life } from './history.ts';
import { inNetOf, pollMs } from './metrics.ts';
import { planPrefixes } from './prefixes.ts';
import type { Recorder } from './recorder.ts';
import type { Session } from './session.ts';
import { digestRequest, itemRequest, peerRequest, stateSyncRequest } from './wire/gossip.ts';
import { itemHash } from './wire/items.ts';
import { isObject } from './wire/json.ts';
import type { Message } from './wire/message.ts';

export interface WatchOptions {
  life: Life;
  session: Session;
  recorder: Recorder;
  /** Node id → name. */
  names: ReadonlyMap<string, string>;
  /** How many peers this node has to find, as far as known now. 0: it cannot find any yet. */
  wantedPeers(): number;
  /** How many peer_requests the node bears from one peer in a minute. */
  queriesPerMinute: number;
  /** Items accepted so far: decides how coarsely to ask. */
  accepted(): number;
}

export interface Watch {
  readonly life: Life;
  /** Items to look for that were not seen yet, as 64 hex digits. */
  readonly wanted: ReadonlySet<string>;
  /** Peers named at last. */
  readonly peers: readonly string[];
  /** Look for it from now on. */
  want(hash: string): void;
  /** Everything the node holds, and once more its peers; null: it could not be asked. */
  census(): Promise<Set<string> | null>;
  /** Asks for the first, the middle and the last of these items: does the node have what it shows? */
  handOut(held: readonly string[]): Promise<{ hash: string; whole: boolean | null }[]>;
  stop(): void;
}

/** Profile §9: "30 of query/peer_request together" over any sliding 60 s, or what the parameters say; two are left for the unforeseen. */
const peerRequestsOf = (queriesPerMinute: number): number => Math.max(1, Math.min(28, queriesPerMinute - 2));
/** Of these the last are asked at leisure. */
const leisurely = 3 / 7;
const minuteMs = 61_000;
/** Roots of an empty set: what an observer that holds nothing says of itself. */
const emptyRoot = '0'.repeat(64);

export function watchLife(options: WatchOptions): Watch {
  const { life, session, recorder } = options;
  const { history } = recorder;
  const nodes = history.plan.nodes.length;
  const peerRequestsPerMinute = peerRequestsOf(options.queriesPerMinute);
  const stop = new AbortController();
  const wanted = new Set<string>();
  /** When a prefix that covers the item was last asked without showing it. */
  const asked = new Map<string, number>();
  const split = new Set<string>();
  let peers: string[] = [];
  let polls = 0;
  let nudge: () => void = () => {};

  const pause = async (ms: number): Promise<void> => {
    await delay(ms, undefined, { signal: stop.signal }).catch(() => {});
  };

  const ask = async (prefix: string): Promise<Message | null> => {
    const answer = await session.request('sync_digest', digestRequest(emptyRoot, 0, { prefix }));
    return answer?.type === 'sync_digest' ? answer : null;
  };

  /** One prefix: notes what it shows of what is wanted, and what must never be seen. */
  const look = async (prefix: string): Promise<void> => {
    const sentAt = recorder.now();
    const answer = await ask(prefix);
    if (answer === null) return;
    if (Array.isArray(answer.payload?.children)) {
      split.add(prefix);
      return;
    }
    const held = hashesOf(answer);
    const at = recorder.at(answer.at);
    for (const hash of wanted) {
      if (!hash.startsWith(prefix)) continue;
      if (!held.has(hash)) {
        asked.set(hash, sentAt);
        continue;
      }
      wanted.delete(hash);
      const since = asked.get(hash) ?? life.readyAt ?? life.startedAt;
      asked.delete(hash);
      history.sightings.push({ hash, node: life.node, life: life.number, at, since: Math.min(since, at) });
    }
  };

  const watchItems = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const idle = wanted.size === 0;
      const prefixes = idle ? [idlePrefix(polls)] : planPrefixes(wanted, options.accepted(), split);
      const began = recorder.now();
      await Promise.all(prefixes.map(look));
      polls += 1;
      const interval = inNetOf(nodes, idle ? pollMs.idle : pollMs.waiting);
      const rest = Math.max(10, interval - (recorder.now() - began));
      await Promise.race([
        pause(rest),
        idle ? new Promise<void>((resolve) => (nudge = resolve)) : pause(rest),
      ]);
    }
  };

  const times: number[] = [];
  let since = life.readyAt ?? life.startedAt;
  const askPeers = async (): Promise<void> => {
    const sentAt = recorder.now();
    times.push(sentAt);
    const answer = await session.request('peer_request', peerRequest(session.puppet.identity.nodeId));
    if (answer?.type !== 'peer_exchange') return;
    peers = namesOf(answer, options.names);
    history.peerLists.push({ node: life.node, life: life.number, at: recorder.at(answer.at), since, peers });
    since = sentAt;
  };
  const watchPeers = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const target = options.wantedPeers();
      const found = target > 0 && peers.length >= target;
      while (times.length > 0 && recorder.now() - times[0]! > minuteMs) times.shift();
      // Fast while it is being measured, then only now and then; never beyond what a peer may ask.
      const spare = peerRequestsPerMinute - times.length;
      if (target === 0 || spare <= 0) {
        await pause(pollMs.peers / 2);
        continue;
      }
      await askPeers();
      await pause(found ? 15_000 : spare > peerRequestsPerMinute * leisurely ? pollMs.peers : 2_500);
    }
  };

  const watchCheckpoints = async (): Promise<void> => {
    let last = '';
    while (!stop.signal.aborted) {
      const answer = await session.request('state_sync', stateSyncRequest(null));
      const seen = checkpointOf(answer);
      if (seen !== null && `${seen.height} ${seen.hash}` !== last) {
        last = `${seen.height} ${seen.hash}`;
        history.checkpoints.push({
          node: life.node,
          life: life.number,
          at: recorder.at(answer!.at),
          ...seen,
        });
      }
      await pause(inNetOf(nodes, pollMs.checkpoints));
    }
  };

  const loops = [watchItems(), watchPeers(), watchCheckpoints()];
  for (const loop of loops) {
    loop.catch((error: unknown) => recorder.trouble(`watching ${life.node} failed: ${String(error)}`));
  }
  return {
    life,
    wanted,
    get peers() {
      return peers;
    },
    want(hash) {
      wanted.add(hash);
      nudge();
    },
    async census() {
      if (times.length < peerRequestsPerMinute) await askPeers();
      const held = new Set<string>();
      const walk = async (prefix: string): Promise<boolean> => {
        const answer = await ask(prefix);
        if (answer === null) return false;
        if (!Array.isArray(answer.payload?.children)) {
          for (const hash of hashesOf(answer)) held.add(hash);
          return true;
        }
        if (prefix.length > 60) return false;
        for (const digit of '0123456789abcdef') if (!(await walk(prefix + digit))) return false;
        return true;
      };
      return (await walk('')) ? held : null;
    },
    async handOut(held) {
      const picked = new Set(
        [held[0], held[held.length >> 1], held.at(-1)].filter((hash) => hash !== undefined),
      );
      const { nodeId } = session.puppet.identity;
      const tried: { hash: string; whole: boolean | null }[] = [];
      for (const hash of picked) {
        const answer = await session.request('gossip', itemRequest(nodeId, [`rule_${hash}`]));
        tried.push({ hash, whole: answer === null ? null : holdsItem(answer, `rule_${hash}`) });
      }
      return tried;
    },
    stop() {
      if (stop.signal.aborted) return;
      stop.abort();
      nudge();
      session.stop();
    },
  };
}

const idlePrefix = (polls: number): string => '0123456789abcdef'[polls % 16]!;

/** Whether a gossip response holds the item that hashes to this. */
function holdsItem(answer: Message, hash: string): boolean {
  const { payload } = answer.object;
  const items = isObject(payload) ? payload.items : null;
  return Array.isArray(items) && items.some((item) => isObject(item) && itemHash(item) === hash);
}

function hashesOf(answer: Message): Set<string> {
  const list: unknown = answer.payload?.item_hashes;
  return new Set(
    Array.isArray(list)
      ? list.filter((hash) => typeof hash === 'string').map((hash: string) => hash.slice(5))
      : [],
  );
}

function namesOf(answer: Message, names: ReadonlyMap<string, string>): string[] {
  const list: unknown = answer.payload?.peers;
  if (!Array.isArray(list)) return [];
  const ids = list.map((entry: unknown) => (entry as { node_id?: unknown } | null)?.node_id);
  return [...new Set(ids.filter((id) => typeof id === 'string'))].map((id) => names.get(id) ?? id);
}

/** The checkpoint an answer shows; height 0 where the node has none yet; null where the answer says neither. */
function checkpointOf(answer: Message | null): { height: number; hash: string | null } | null {
  if (answer === null) return null;
  if (answer.errorCode === 'UNKNOWN_HASH') return { height: 0, hash: null };
  const checkpoint = answer.payload?.checkpoint as { height?: unknown; hash?: unknown } | undefined;
  if (typeof checkpoint?.height !== 'number' || typeof checkpoint.hash !== 'string') return null;
  return { height: checkpoint.height, hash: checkpoint.hash };
}
