/**
 * One core among puppets with persistent connections: what they serve, announce and are told. Judges nothing.
 */
import { canonical } from '../canonical.ts';
import { PrefixTree } from '../tree.ts';
import type { JsonObject } from '../types.ts';
import { sha256 } from './credentials.ts';
import { createNet } from './net.ts';
import { gossip, hashOf, type Message, type Puppet, type PuppetLink } from './puppet.ts';
import type { SimNode } from './sim-node.ts';

export const quiet = { antiEntropyIntervalMs: 0, checkpointIntervalMs: 0, commitsPerMinute: 1000 };
export const peer = { connection_type: 'persistent', capabilities: ['gossip', 'sync'] };
export const uuid = (i: number) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;

/** A node and `count` persistent puppets with gossip. */
export function setUp(count: number, parameters = {}, hello: JsonObject = peer) {
  const net = createNet(7);
  const node = net.node('n', { parameters: { ...quiet, ...parameters } });
  const puppets = Array.from({ length: count }, (_, i) => net.puppet(`p${i}`));
  const links = puppets.map((puppet) => puppet.dial(node, hello));
  return { net, node, puppets, links };
}

export const announces = (link: PuppetLink) => link.of('gossip', 'announce');
export const requests = (link: PuppetLink) => link.of('gossip', 'request');
export const holds = (node: SimNode, item: JsonObject) => node.core.holds(hashOf(item));

/** Answers item requests from what is in `items`, digests and state_sync from what is given. */
export function serve(puppet: Puppet, items: readonly JsonObject[], more: Partial<Serving> = {}): void {
  const byHash = new Map(items.map((item) => [hashOf(item), item]));
  puppet.answer = (message, link) => {
    if (message.type === 'gossip' && message.payload.gossip_type === 'request') {
      const hashes = message.payload.item_hashes as string[];
      const found: string[] = [];
      let bytes = 0;
      for (const hash of hashes) {
        if (!byHash.has(hash)) continue;
        bytes += canonical(byHash.get(hash)!).length + 80;
        if (bytes < 50_000) found.push(hash);
      }
      link.send(
        'gossip',
        gossip(puppet, {
          gossip_id: uuid(1),
          gossip_type: 'response',
          topic: 'items',
          ttl: 0,
          item_hashes: found,
          request_id: message.id,
          items: found.map((hash) => byHash.get(hash)!),
          missing: hashes.filter((hash) => !byHash.has(hash)),
        }),
      );
    }
    if (message.type === 'sync_digest' && message.payload.request_id === undefined) {
      link.send('sync_digest', (more.digest ?? digestOf(items))(message));
    }
    if (message.type === 'state_sync') more.stateSync?.(message, link);
  };
}
export interface Serving {
  digest: (message: Message) => JsonObject;
  stateSync: (message: Message, link: PuppetLink) => void;
}

export function treeOf(items: readonly JsonObject[]): PrefixTree {
  const tree = new PrefixTree(sha256);
  for (const item of items) tree.add(hashOf(item).slice(5));
  return tree;
}

export function digestOf(items: readonly JsonObject[]): (message: Message) => JsonObject {
  const tree = treeOf(items);
  return ({ id, payload }) => {
    const prefix = payload.prefix as string;
    const count = tree.count(prefix);
    return {
      request_id: id,
      root: tree.root(),
      prefix,
      count,
      hash: tree.hash(prefix),
      ...(count <= 500
        ? { item_hashes: tree.hashes(prefix).map((hash) => `rule_${hash}`) }
        : { children: tree.children(prefix) }),
    };
  };
}

export function announce(
  link: PuppetLink,
  from: Puppet,
  id: number,
  hashes: readonly string[],
  members: JsonObject = {},
) {
  link.send('gossip', gossip(from, { gossip_id: uuid(id), item_hashes: [...hashes], ...members }));
}
