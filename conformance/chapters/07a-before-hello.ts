/** § 7.1 Connection life cycle, before the hello: what comes too early closes and has no effect, on either side. */

import type { Connection } from '../../harness/wire/connection.ts';
import {
  announce,
  digestRequest,
  heartbeat,
  itemRequest,
  peerExchange,
  peerRequest,
  stateSummary,
  stateSyncRequest,
} from '../../harness/wire/gossip.ts';
import { sendHello } from '../../harness/wire/handshake.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import type { Listener } from '../../harness/wire/listener.ts';
import type { Bench } from '../bench.ts';
import { accepted, closedWith, served } from '../expect.ts';
import type { Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

/** What a hasty dialer says in place of a hello; its peer list names the trap. The value is what it looks like, fresh for every use. */
function hastyMessages(
  puppet: Puppet,
  trap: Puppet,
): readonly [what: string, send: (connection: Connection) => string][] {
  const { nodeId } = puppet;
  const root = '0'.repeat(64);
  const plain = (type: string, payload: () => JsonObject): [string, (c: Connection) => string] => [
    `a ${type}`,
    (connection) => connection.send(type, payload()),
  ];
  return [
    plain('query', () => ({ query_type: 'by_hash', filters: { rule_hash: 'rule_0' } })),
    plain('sync_digest', () => digestRequest(root, 0)),
    plain('state_sync', () => stateSyncRequest(null)),
    plain('peer_request', () => peerRequest(nodeId)),
    plain('peer_exchange', () => peerExchange([trap.entry])),
    plain('state_summary', () => stateSummary(root, 0)),
    plain('response', () => ({ request_id: 'nobody asked', status: 'accepted' })),
    ['a heartbeat', (connection) => connection.send('gossip', heartbeat(nodeId))],
    ['a gossip request', (connection) => connection.send('gossip', itemRequest(nodeId, []))],
    plain('no_such_type', () => ({})),
  ];
}

/** Sends before any hello; the node must close 4400 and say nothing but an error. */
async function closedForHaste(
  puppet: Puppet,
  node: NodeUnderTest,
  what: string,
  send: (connection: Connection) => unknown,
  code = 'HANDSHAKE_REQUIRED',
): Promise<void> {
  const connection = await puppet.mustDial(node);
  send(connection);
  // A hello right behind it must not help: the refusal closes.
  sendHello(connection, 'sync');
  await closedWith(connection, 4400);
  const said = connection.received.filter((message) => message.type !== 'error');
  if (said.length > 0) fail(`${what} before the hello was answered with ${said[0]!.type}`, said[0]!.text);
  const wrong = connection.received.find((message) => message.errorCode !== code);
  if (wrong !== undefined) fail(`${what} before the hello got ${wrong.errorCode}, not ${code}`);
}

/** A list that comes when it may makes the node dial; by then it would have dialled whom it learned of before. */
async function noneDialled(bench: Bench, node: NodeUnderTest, trap: Listener): Promise<void> {
  // Another node may have all the peers that it wants.
  if (bench.target.abilities.has('start')) {
    bench.step('a list of peers after the hello');
    const [orderly, listed] = await bench.puppets(2, 'orderly');
    const listener = await listed!.listen();
    await orderly!.peer(node, { capabilities: [], peers: [listed!.entry] });
    await listener.next(20_000);
  }
  if (trap.attempts.length > 0)
    fail('the node dialled an address from a list that a dialer sent before its hello');
}

/** The dialler's side: what an acceptor sends before its hello has no effect, and the node sends only its hello. */
async function acceptorInHaste(bench: Bench): Promise<void> {
  const [bootstrap, trap, decoy] = await bench.puppets(3, 'acceptor');
  const trapListener = await trap!.listen();
  const decoyListener = await decoy!.listen();
  const hasty: readonly [type: string, payload: JsonObject][] = [
    ['peer_exchange', peerExchange([trap!.entry])],
    ['state_sync', { sync_type: 'response', request_id: 'nobody asked', checkpoint: {} }],
  ];
  const listener = await bootstrap!.listen({ handshake: null });
  await bench.node({ bootstrap: [bootstrap!.bootstrap] });
  for (const [type, payload] of hasty) {
    bench.step(`a ${type} in place of the acceptor’s hello`);
    const connection = await listener.next(15_000);
    await connection.next('hello', 10_000);
    await connection.maybe(() => true, 250);
    if (connection.received.length > 1)
      fail(`the dialer sent ${connection.received[1]!.type} before the acceptor’s hello`);
    connection.send(type, payload);
    await closedWith(connection, 4400);
    if (connection.received.some((message) => message.type !== 'hello' && message.type !== 'error'))
      fail(`the dialer went on after a ${type} in place of a hello`);
  }
  await listener.close();
  bench.step('an orderly bootstrap node in its place');
  await bootstrap!.listen({
    handshake: { capabilities: ['gossip', 'sync'], address: bootstrap!.address },
    manners: { peers: [decoy!.entry] },
  });
  await decoyListener.next(30_000);
  if (trapListener.attempts.length > 0)
    fail('the node dialled an address from a peer_exchange that came before the hello');
}

export const rows: readonly Requirement[] = [
  {
    id: 'LIF-01',
    level: 'must',
    section: '7.1',
    role: 'b',
    quote: "Anything else before the peer's `hello`: `HANDSHAKE_REQUIRED`, close 4400",
    reading:
      'Whatever comes before the hello closes with 4400 and has no effect: a commit is not taken, a gossip neither forwarded nor remembered, a peer list not learned; and the node sends nothing but its hello.',
    mutants: [
      'before-hello-handled',
      'before-hello-open',
      'before-hello-garbage-open',
      'before-hello-learns',
      'before-hello-dialer-listed',
      'before-hello-caches',
      'dialer-summary-first',
    ],
    needs: [],
    durationHintMs: 4_000,
    test: async (bench) => {
      const node = await bench.node();
      const hasty = await bench.puppet('hasty');
      const watchers = await Promise.all(
        (await bench.puppets(3, 'watcher')).map((puppet) => puppet.peer(node, { capabilities: ['gossip'] })),
      );
      const trap = await bench.puppet('trap');
      const trapListener = await trap.listen();
      const messages = hastyMessages(hasty, trap);
      for (const [what, send] of messages) {
        bench.step(`${what} before the hello`);
        await closedForHaste(hasty, node, what, send);
      }
      for (const text of ['no JSON', '{}'])
        await closedForHaste(hasty, node, `the text ${text}`, (c) => c.sendText(text), 'MALFORMED');
      const commit = hasty.commit();
      const gossip = announce(hasty.nodeId, [], { topic: 'news' });
      await closedForHaste(hasty, node, 'a commit', (c) => c.sendEnvelope(commit.envelope));
      await closedForHaste(hasty, node, 'a gossip', (c) => c.send('gossip', gossip));
      bench.step('the same after a hello');
      const joined = await hasty.join(node);
      if ((await served(joined, commit.hash)) !== null) fail('a commit sent before the hello was stored');
      const early = watchers.flatMap((watcher) =>
        watcher.seen((m) => m.payload?.gossip_id === gossip.gossip_id),
      );
      if (early.length > 0) fail('a gossip sent before the hello was forwarded', early[0]!.text);
      await accepted(joined, commit);
      joined.send('gossip', gossip);
      for (const watcher of watchers)
        if ((await watcher.maybe((m) => m.payload?.gossip_id === gossip.gossip_id, 5_000)) === null)
          late('a gossip is not forwarded: it was remembered from before the hello');
      await noneDialled(bench, node, trapListener);
      if (bench.target.abilities.has('start')) await acceptorInHaste(bench);
      return pass(`${messages.length + 4} messages before the hello closed with 4400 and had no effect`);
    },
  },
];
