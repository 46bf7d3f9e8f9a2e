/** § 7.1 Connection life cycle: states, slots, who may not take whose place, restarts. */

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { announce, peerRequest } from '../../harness/wire/gossip.ts';
import { sendHello } from '../../harness/wire/handshake.ts';
import { type Identity, identityFrom } from '../../harness/wire/identity.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted, closedWith, stateOf, stillServed, tryHandshake } from '../expect.ts';
import type { Joined } from '../puppet.ts';
import { joinsAgain } from '../reconnecting.ts';
import { fail, late, pass, type Requirement, untestable } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

/** Every gossip of `source` must reach each of at most three watchers, which are all the peers that there are. */
export async function gossipReachesAll(
  source: Joined,
  watchers: readonly Joined[],
  count: number,
): Promise<void> {
  const { nodeId } = source.puppet.identity;
  const ids = Array.from({ length: count }, () => {
    const gossip = announce(nodeId, [], { topic: 'news' });
    source.send('gossip', gossip);
    return gossip.gossip_id;
  });
  for (const [index, id] of ids.entries()) {
    for (const watcher of watchers) {
      const copy = await watcher.maybe((message) => message.payload?.gossip_id === id, 5_000);
      if (copy !== null) continue;
      if (watcher.ended !== null)
        fail(`${watcher.label} was closed: ${watcher.ended.how} ${watcher.ended.code}`);
      late(
        `gossip ${index + 1} of ${count} did not reach ${watcher.label}, though no more than ${watchers.length} peers are left to choose from`,
      );
    }
  }
}

/** The node's own key, which the tester wrote for it. */
export function ownIdentity(node: NodeUnderTest): Identity | null {
  if (node.control === null) return null;
  const { d } = createPrivateKey(readFileSync(node.control.keyFile)).export({ format: 'jwk' });
  return identityFrom(Buffer.from(d!, 'base64url'), node.agentId);
}

export const rows: readonly Requirement[] = [
  {
    id: 'LIF-03',
    level: 'must',
    section: '7.1',
    role: 's',
    quote: 'CONNECTED → CLOSING → DISCONNECTED',
    reading:
      'However a peer’s connection ends (close, FIN, reset), its place is free again, and gossip goes to exactly 3 of those that are left.',
    ruling: 'Profile §4: at most 50 persistent connections in both directions together.',
    mutants: ['gone-peer-keeps-slot', 'reset-peer-keeps-slot', 'gone-peer-in-fanout'],
    needs: [],
    fresh: true,
    durationHintMs: 4_000,
    cpu: 0.75,
    test: async (bench) => {
      const node = await bench.node();
      bench.step('50 peers');
      const puppets = await bench.puppets(50);
      const peers = await Promise.all(
        puppets.map((puppet) => puppet.peer(node, { capabilities: ['gossip'], withinMs: 15_000 })),
      );
      const source = await (await bench.puppet('source')).join(node);
      const extra = await tryHandshake(await bench.puppet('one-more'), node, { type: 'persistent' });
      if (extra.accepted) untestable('a 51st peer was accepted, so the end of one frees nothing (TOP-02)');
      // Whoever puts its choice of peers together at the first gossip is to have done so.
      for (let i = 0; i < 3; i += 1)
        source.send('gossip', announce(source.puppet.identity.nodeId, [], { topic: 'news' }));
      await source.fence();
      bench.step('18 of them go');
      const gone = peers.splice(0, 18);
      for (const [index, peer] of gone.entries()) {
        if (index % 3 === 0) void peer.close();
        else if (index % 3 === 1) peer.reset();
        else peer.destroy();
      }
      for (const puppet of await bench.puppets(18, 'newcomer'))
        peers.push(await joinsAgain(bench, puppet, node, 'persistent'));
      bench.step('40 gossips');
      const sent = Array.from({ length: 40 }, () =>
        announce(source.puppet.identity.nodeId, [], { topic: 'news' }),
      );
      for (const gossip of sent) source.send('gossip', gossip);
      await source.fence();
      const copiesOf = ({ gossip_id }: JsonObject): number =>
        peers.flatMap((peer) => peer.seen((m) => m.payload?.gossip_id === gossip_id)).length;
      // No sentence says how soon a forward leaves.
      const until = performance.now() + 4_000;
      while (performance.now() < until && sent.some((gossip) => copiesOf(gossip) < 3))
        await bench.sleep(100, 'three copies of each gossip');
      await Promise.all(peers.map((peer) => peer.fence(15_000)));
      const copies = sent.map(copiesOf);
      const short = copies.filter((count) => count !== 3).length;
      if (short > 0)
        fail(`${short} of 40 gossips did not reach exactly 3 of the 50 peers after 18 had left`, copies);
      return pass(
        '18 of 50 peers left in 3 ways, 18 others took their places, and 40 gossips reached 3 each',
      );
    },
  },
  {
    id: 'LIF-06',
    level: 'must',
    section: '7.1',
    role: 's',
    quote: 'if the same node dialled both, the newer stays; the other is closed with 4409',
    reading:
      'Whoever claims a peer’s node_id without its key harms nothing of that peer; the same node that dials again takes over: the older connection is closed with 4409, and its end does not end the newer.',
    mutants: [
      'claimed-id-evicts',
      'duplicate-older-stays',
      'duplicate-end-drops-newer',
      'duplicate-both-stay',
    ],
    needs: [],
    durationHintMs: 4_000,
    test: async (bench) => {
      const node = await bench.node();
      const [victim, impostor, other] = await bench.puppets(3, 'side');
      const first = await victim!.peer(node, { capabilities: ['gossip'] });
      const beside = await other!.peer(node, { capabilities: ['gossip'] });
      const source = await (await bench.puppet('source')).join(node);
      const claims = claimsOf(victim!.identity, first);
      for (const [what, options] of claims) {
        bench.step(`an impostor with ${what}`);
        const attempt = await tryHandshake(impostor!, node, { type: 'persistent', ...options });
        if (attempt.accepted) fail(`an impostor with ${what} was accepted as ${victim!.nodeId}`);
        await stillServed(first);
        await gossipReachesAll(source, [first, beside], 3);
      }
      bench.step('the same node dials again');
      let current = first;
      for (let round = 0; round < 3; round += 1) {
        // The one that stays must be told from one that is only slow to go.
        const newer = await victim!.peer(node, { capabilities: ['gossip'] });
        await closedWith(current, 4409);
        await stillServed(newer);
        await gossipReachesAll(source, [newer, beside], 5);
        current = newer;
      }
      bench.step('a restarted peer: the old connection is dead and does not answer its close');
      current.manners.closeBack = false;
      current.pause();
      const back = await victim!.peer(node, { capabilities: ['gossip'] });
      await gossipReachesAll(source, [back, beside], 5);
      // 2 s after the close the node cuts the dead connection off: that must not touch the new one.
      await bench.sleep(2_600, 'the dead connection is cut off');
      await stillServed(back);
      await gossipReachesAll(source, [back, beside], 5);
      return pass(
        `${claims.length} impostors harmed nothing; of 5 connections of one node the newest stayed`,
      );
    },
  },
  {
    id: 'LIF-07',
    level: 'must',
    section: '7.1',
    role: 'b',
    quote: 'Own node_id: close 4409.',
    reading:
      'A connection whose other end proves the node’s own key is closed with 4409, also where the node dialled itself: it is no peer of its own.',
    mutants: ['self-peer', 'self-dialled', 'self-hello-claimed'],
    needs: [],
    fresh: true,
    durationHintMs: 3_000,
    test: async (bench) => {
      const node = await bench.node();
      const watchers = await Promise.all(
        (await bench.puppets(3, 'watcher')).map((puppet) => puppet.peer(node, { capabilities: ['gossip'] })),
      );
      const source = await (await bench.puppet('source')).join(node);
      bench.step('a hello that claims the node’s own id');
      const liar = await bench.puppet('liar');
      const { nodeId, agentId, publicKey } = node;
      const claim = { node_id: nodeId, agent_id: agentId, public_key: publicKey };
      const lie = await tryHandshake(liar, node, {
        type: 'persistent',
        changes: { node_id: nodeId },
        overrides: { senderMembers: claim },
      });
      if (lie.accepted) fail('a hello that claims the node’s own id was accepted');
      const identity = ownIdentity(node);
      if (identity !== null) {
        bench.step('the node’s own key at the other end');
        const self = await bench.puppet('self', { identity });
        for (const type of ['persistent', 'sync'] as const) {
          const connection = await self.dial(node);
          if (connection.kind === 'refused') continue;
          sendHello(connection, type, { capabilities: ['gossip', 'sync'] });
          await closedWith(connection, 4409);
          if (connection.received.some((message) => message.type === 'hello'))
            fail('the node said hello to its own key');
        }
      }
      await madeToDialItself(bench, node, watchers[0]!);
      await gossipReachesAll(source, watchers, 25);
      return pass(
        'its own key was closed with 4409, its own address gave no peer: 25 gossips went to the others',
      );
    },
  },
  {
    id: 'LIF-10',
    level: 'must',
    section: '7.1',
    role: 'n',
    quote: 'After `kill -9` everything acknowledged is still in `data_dir`',
    reading:
      'A node that is killed and started again has its identity and its state, takes its peers back and lists each once.',
    mutants: ['store-forgets-on-restart', 'restart-commits-only'],
    needs: ['start', 'restart'],
    durationHintMs: 3_000,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node();
      const peer = await bench.puppet('peer');
      const before = await peer.peer(node, { address: peer.address });
      const items = [peer.commit(), peer.commit(), peer.challenge(), peer.confirm(), peer.commit()];
      for (const item of items) await accepted(before, item);
      const digest = await stateOf(before);
      bench.step('kill -9 and start');
      await node.control!.kill();
      await node.control!.start();
      const after = await peer.peer(node, { address: peer.address });
      if (typeof after.peer === 'string')
        fail(`after the restart its certificate proves nothing: ${after.peer}`);
      const now = await stateOf(after);
      if (now.root !== digest.root)
        fail(
          `state ${now.root} of ${now.count} items after kill -9, ${digest.root} of ${digest.count} before`,
        );
      const asker = await (await bench.puppet('asker')).join(node);
      const list = await asker.request('peer_request', {
        node_id: asker.puppet.identity.nodeId,
        capabilities: [],
      });
      const entries = (list.payload?.peers ?? []).filter(
        (entry: { node_id: string }) => entry.node_id === peer.nodeId,
      );
      if (entries.length !== 1)
        fail(`the peer that came back is listed ${entries.length} times`, list.payload);
      return pass(
        `${digest.count} items and the identity survived kill -9; the peer was taken back and is listed once`,
      );
    },
  },
];

/** Ways to claim another's node_id without its key. */
function claimsOf(
  victim: Identity,
  connection: Joined,
): readonly [what: string, options: Parameters<typeof tryHandshake>[2]][] {
  const { nodeId, agentId, publicKeyBase64 } = victim;
  const captured = JSON.parse(
    connection.transcript.entries.find((entry) => entry.direction === 'out' && entry.kind === 'text')!.text,
  ) as { message_id: string; timestamp: number; signature: string };
  const whole = { node_id: nodeId, agent_id: agentId, public_key: publicKeyBase64 };
  return [
    [
      'its node_id in sender and payload',
      { changes: { node_id: nodeId }, overrides: { senderMembers: { node_id: nodeId } } },
    ],
    ['its node_id in the payload', { changes: { node_id: nodeId } }],
    ['its whole sender', { changes: { node_id: nodeId }, overrides: { senderMembers: whole } }],
    [
      'its whole sender, signed with its key',
      { changes: { node_id: nodeId }, overrides: { senderMembers: whole, signWith: victim } },
    ],
    [
      'the id and signature of its captured hello',
      {
        changes: { node_id: nodeId },
        overrides: { senderMembers: whole, messageId: captured.message_id, signature: captured.signature },
      },
    ],
  ];
}

/** Lists that name the node's own address, under its own id and under another; then somebody who can be dialled. */
async function madeToDialItself(bench: Bench, node: NodeUnderTest, peer: Joined): Promise<void> {
  bench.step('peer lists that name the node’s own address');
  const decoy = await bench.puppet('decoy');
  const canBeDialled = bench.target.abilities.has('dial-back');
  const listener = canBeDialled
    ? await decoy.listen({ handshake: { capabilities: [], address: decoy.address } })
    : null;
  const stranger = `node_${'5e1f'.repeat(10)}`;
  const entries = [
    { node_id: stranger, address: node.address },
    { node_id: node.nodeId, address: node.address },
    ...(canBeDialled ? [decoy.entry] : []),
  ];
  const teller = await bench.puppet('teller');
  await teller.peer(node, { capabilities: [], peers: entries });
  if (listener !== null) await listener.nextJoined(10_000);
  await bench.sleep(700, 'a dial of its own address that began beside that one');
  await stillServed(peer);
  const asker = await (await bench.puppet('asker')).join(node);
  const list = await asker.request('peer_request', peerRequest(asker.puppet.identity.nodeId));
  const own = (list.payload?.peers ?? []).find(
    (entry: { node_id: string; address: string }) =>
      entry.node_id === node.nodeId || entry.node_id === stranger || entry.address === node.address,
  );
  if (own !== undefined) fail('the node lists itself among its peers', own);
}
