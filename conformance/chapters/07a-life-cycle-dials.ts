/** § 7.1 Connection life cycle: who is dialled again and who is not, which of two crossing connections stays, who never says hello. */

import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../../harness/wire/connection.ts';
import { handshake } from '../../harness/wire/handshake.ts';
import type { Listener } from '../../harness/wire/listener.ts';
import { credentialsOf } from '../../harness/wire/puppet.ts';
import { openTcp, openTls } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { closedWith, stillServed, tryHandshake } from '../expect.ts';
import { dialled, helloed, refuse } from '../peer-lists.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, late, type Need, pass, type Requirement, unseen } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

export const capabilities = ['gossip', 'sync'];

/**
 * Tells the node of listening puppets, over a connection of a peer that is dialled by nobody: in the one list that follows the
 * handshake (§4, "then send one `peer_exchange`"). A second one that nobody asked for need not be heeded.
 */
export async function advertise(
  bench: Bench,
  node: NodeUnderTest,
  puppets: readonly Puppet[],
): Promise<Joined> {
  const peers = puppets.map((puppet) => puppet.entry);
  return (await bench.puppet('witness')).peer(node, { capabilities: [], peers });
}

/** A hello that begins in time and never ends: a frame header that promises 100 bytes, then one every half second. */
async function dribble(connection: Connection, signal: AbortSignal): Promise<void> {
  // A pong to a node that pings would stand in the middle of the frame, as part of its text.
  connection.manners.pong = false;
  connection.sendRaw(Buffer.from([0x81, 0x80 | 100, 0, 0, 0, 0]));
  for (let i = 0; i < 24 && connection.ended === null && !signal.aborted; i += 1) {
    connection.sendRaw(Buffer.from('{'));
    await delay(500, undefined, { signal }).catch(() => {});
  }
}

/** `handshake_timeout_s` is 5 s by default; what a busy host may add to it. */
const lateMs = 7_000;

/** "From TCP accept to upgraded: `handshake_timeout_s`, else the connection is dropped." How long each lasted; null: too long. */
async function halfConnected(
  node: NodeUnderTest,
  puppet: Puppet,
): Promise<[what: string, lastedMs: number | null][]> {
  const half = 'GET / HTTP/1.1\r\nHost: node\r\nUpgrade: webso';
  const lasts = async (
    what: string,
    open: () => Promise<Socket | null>,
  ): Promise<[string, number | null]> => {
    const socket = await open();
    const from = performance.now();
    if (socket === null) return [what, 0];
    const gone = new Promise<number>((resolve) => {
      socket.on('error', () => {}).on('close', () => resolve(performance.now() - from));
    });
    socket.resume();
    const lastedMs = await Promise.race([gone, delay(lateMs, null, { ref: false })]);
    socket.destroy();
    return [what, lastedMs];
  };
  const tls = async (): Promise<Socket | null> => {
    const opened = await openTls(credentialsOf(puppet), node.address, { withinMs: 15_000 });
    return opened.kind === 'refused' ? null : opened.socket;
  };
  return Promise.all([
    lasts('a TCP connection without TLS', async () => {
      const tcp = await openTcp(node.address, { withinMs: 15_000 });
      return 'kind' in tcp ? null : tcp;
    }),
    lasts('a TLS connection without a request', tls),
    lasts('half an upgrade request', async () => {
      const socket = await tls();
      socket?.write(half);
      return socket;
    }),
  ]);
}

interface Crossing {
  what: string;
  puppet: Puppet;
  /** The node's own dial was CONNECTED before the puppet dialled. */
  settled: boolean;
  puppetIsLower: boolean;
  listener: Listener;
}

/** Both ends dial; exactly the connection dialled by the lower node id must be left. */
async function cross(bench: Bench, node: NodeUnderTest, crossing: Crossing): Promise<Connection> {
  const { what, puppet, settled, puppetIsLower, listener } = crossing;
  bench.step(what);
  const theirs = settled ? await listener.nextJoined(20_000) : await listener.next(20_000);
  // Looked at, not taken: the handshake below is to find it.
  if (!settled) await bench.waitFor('hello of the node’s dial', 10_000, () => theirs.seen('hello')[0]);
  const attempt = await tryHandshake(puppet, node, {
    type: 'persistent',
    capabilities,
    address: puppet.address,
    keepOpen: true,
  });
  if (!settled && theirs.ended === null) await handshake(theirs, { capabilities, address: puppet.address });
  const ours = attempt.connection;
  const [stays, goes] = puppetIsLower ? [ours, theirs] : [theirs, ours];
  if (stays === null || stays.ended !== null || (puppetIsLower && !attempt.accepted))
    return fail(`${what}: the connection that has to stay was refused: ${attempt.detail}`);
  if (goes !== null) await ended(goes, what, settled || !puppetIsLower);
  await stillServed(stays);
  // "Who closes a newer one sends a heartbeat on the older at once, so that a dead one shows." The next is due after 30 s.
  if (settled && !puppetIsLower) {
    const beat = await stays.maybe((message) => message.payload?.gossip_type === 'heartbeat', 5_000);
    if (beat === null) late(`${what}: no heartbeat came on the connection that stayed`);
  }
  return stays;
}

/** The connection has to end, with 4409 where it was CONNECTED. That it answers after 5 s is no delay but a fault. */
async function ended(connection: Connection, what: string, wasConnected: boolean): Promise<void> {
  if ((await connection.closedWithin(5_000)) === null) {
    await connection.fence(20_000).catch(() => {});
    if (connection.ended === null) fail(`${what}: 5 s later both connections are open and answer`);
  }
  if (wasConnected) await closedWith(connection, 4409);
}

/** Puppets of which two have a lower and two a higher id than the node. */
async function aroundNode(bench: Bench, node: NodeUnderTest): Promise<[Puppet[], Puppet[]]> {
  const found: [Puppet[], Puppet[]] = [[], []];
  for (let i = 1; i <= 60 && (found[0].length < 2 || found[1].length < 2); i += 1) {
    const puppet = await bench.puppet(`side-${i}`);
    found[puppet.nodeId < node.nodeId ? 0 : 1].push(puppet);
  }
  return found;
}

/** A node that wants one peer and knows of six loses it: the others are no reason not to redial. */
async function notSomebodyElse(bench: Bench): Promise<void> {
  bench.step('losing the only peer, with others to choose from');
  const puppets = await bench.puppets(6, 'choice');
  const peers = puppets.map((puppet) => puppet.entry);
  const listeners = await Promise.all(puppets.map((puppet) => puppet.listen({ manners: { peers } })));
  await bench.node({ parameters: { target_peers: 1 }, bootstrap: [puppets[0]!.bootstrap] });
  const chosen = await bench.waitFor('dial of one of six', 20_000, () =>
    listeners.find((listener) => persistentDials(listener) > 0),
  );
  await bench.sleep(300, 'CONNECTED for a moment');
  const before = persistentDials(chosen);
  helloed(chosen)[0]!.reset();
  await bench.waitFor(
    'redial of a lost peer whose place others could take',
    15_000,
    () => persistentDials(chosen) > before,
  );
}

export const persistentDials = (listener: Listener): number => helloed(listener).length;

export const rows: readonly Requirement[] = [
  {
    id: 'LIF-02',
    level: 'should',
    section: '7.1',
    role: 's',
    quote: 'No valid hello within `handshake_timeout_s` of the upgrade: close 4408.',
    reading:
      'Whoever says nothing, pings only or dribbles a hello is closed with 4408 after 5 s; a hello after 3.5 s is in time; meanwhile and afterwards others get in.',
    mutants: [
      'no-hello-never-closed',
      'no-hello-closed-1000',
      'silent-count-as-peers',
      'upgrade-awaited-for-ever',
      'handshake-timeout-eight',
    ],
    needs: [],
    durationHintMs: 7_500,
    cpu: 0.4,
    test: async (bench) => {
      const node = await bench.node();
      const puppets = await bench.puppets(50, 'silent');
      const waiting = await Promise.all(
        puppets.map(async (puppet) => ({
          connection: await puppet.mustDial(node, { withinMs: 15_000 }),
          at: performance.now(),
        })),
      );
      const [pinging, dribbling] = [waiting[0]!.connection, waiting[1]!.connection];
      const unfinished = halfConnected(node, await bench.puppet('unfinished'));
      const dribbled = dribble(dribbling, bench.signal);
      bench.step('others get in beside 50 that say nothing');
      const [slow, peer, observer] = await bench.puppets(3, 'talker');
      const talking = [await peer!.peer(node, { withinMs: 15_000 }), await observer!.join(node)];
      for (const connection of talking) await stillServed(connection);
      const unhurried = await slow!.mustDial(node);
      const upgradedAt = performance.now();
      for (let i = 0; i < 7; i += 1) {
        pinging.sendRaw(Buffer.from([0x89, 0x80, 0, 0, 0, 0]));
        await bench.sleep(500, 'a hello that is late, but in time');
      }
      const sentAfterMs = performance.now() - upgradedAt;
      const outcome = await handshake(unhurried, { type: 'sync' });
      if (sentAfterMs > 4_500) unseen(`the hello was sent ${sentAfterMs.toFixed(0)} ms after the upgrade`);
      if (outcome.kind !== 'connected')
        fail(`a hello 3.5 s after the upgrade was not accepted: ${outcome.kind}`);
      bench.step('the end of those that say nothing');
      for (const { connection, at } of waiting) {
        await closedWith(connection, 4408, Math.max(500, at + lateMs - performance.now()));
      }
      await dribbled;
      for (const [what, lastedMs] of await unfinished)
        if (lastedMs === null) late(`${what} was not dropped within ${lateMs} ms, expected 5 s`);
      for (const newcomer of await bench.puppets(5, 'newcomer')) await stillServed(await newcomer.peer(node));
      await stillServed(unhurried);
      return pass(
        '50 connections without a hello were closed with 4408, 8 others got in beside and after them',
      );
    },
  },
  {
    id: 'LIF-04',
    level: 'should',
    section: '7.1',
    role: 'c',
    quote:
      'The dialer of a lost persistent connection redials with exponential back-off (1 s to 60 s, jittered).',
    reading:
      'A peer whose connection is lost is dialled again, also where others could take its place, on average not more than once a second; where nobody answers, at growing intervals.',
    mutants: ['redials-never', 'redials-somebody-else', 'redials-at-once', 'redials-every-half-second'],
    needs: ['dial-back'],
    durationHintMs: 20_000,
    limitMs: 115_000,
    cpu: 0.05,
    test: async (bench) => {
      const node = await bench.node();
      const [lost, absent] = await bench.puppets(2, 'far');
      const listener = await lost!.listen();
      const listenerOfAbsent = await absent!.listen();
      await advertise(bench, node, [lost!, absent!]);
      await dialled(bench, 'the peer that will be lost', listener, 20_000);
      const once = await dialled(bench, 'the peer that will be absent', listenerOfAbsent, 20_000);
      await listenerOfAbsent.close();
      once.destroy();
      const nobody = await refuse(bench, absent!);
      const from = performance.now();
      bench.step('losing a peer up to five times');
      let drops = 0;
      // A back-off that goes on growing while connections are lost at once is allowed: then there are fewer.
      for (const until = from + 25_000; drops < 5 && performance.now() < until; ) {
        const open = helloed(listener).find((connection) => connection.ended === null);
        if (open !== undefined) {
          await bench.sleep(50, 'CONNECTED for a moment');
          open.reset();
          drops += 1;
        }
        await bench.sleep(20, 'before the next redial');
      }
      const seconds = (performance.now() - from) / 1000;
      if (drops < 3) late(`a lost peer was dialled again ${drops - 1} times in ${seconds.toFixed(0)} s`);
      if (drops - 1 > seconds + 1)
        fail(
          `a lost peer was dialled again ${drops - 1} times in ${seconds.toFixed(1)} s, at most once a second`,
        );
      bench.step('nobody answers');
      if (seconds < 12) await bench.sleep((12 - seconds) * 1000, 'dials of a peer that is not there');
      const elapsed = (performance.now() - from) / 1000;
      // 1, 2, 4, 8 … s give 4 dials in 15 s, 5 in 31 s; jitter may halve the steps and so add one or two.
      const most = Math.ceil(Math.log2(elapsed + 1)) + 3;
      if (nobody.accepts.length > most)
        fail(
          `a peer that is not there was dialled ${nobody.accepts.length} times in ${elapsed.toFixed(0)} s`,
        );
      if (nobody.accepts.length === 0)
        late(`a lost peer was not dialled again within ${elapsed.toFixed(0)} s`);
      if (['start', 'instances'].every((each) => bench.target.abilities.has(each as Need)))
        await notSomebodyElse(bench);
      return pass(
        `lost ${drops} times in ${seconds.toFixed(1)} s and dialled again each time; ${nobody.accepts.length} dials in ${elapsed.toFixed(0)} s where nobody answered`,
      );
    },
  },
  {
    id: 'LIF-05',
    level: 'should',
    section: '7.1',
    role: 'b',
    quote: 'if different nodes dialled them, the one dialled by the lower node_id stays',
    reading:
      'Where both ends dial, one persistent connection is left: that of the lower node_id, whichever came first; the other ends with 4409 and is not dialled again.',
    mutants: [
      'crossing-no-heartbeat',
      'crossing-both-stay',
      'crossing-newer-stays',
      'crossing-higher-stays',
      'crossing-none-stays',
    ],
    needs: ['dial-back'],
    durationHintMs: 6_000,
    limitMs: 75_000,
    test: async (bench) => {
      const node = await bench.node();
      const [lower, higher] = await aroundNode(bench, node);
      // A node at the end of the id space has neighbours on one side only; that side is enough then.
      const puppets = [...lower.slice(0, 2), ...higher.slice(0, 2)];
      const crossings = await Promise.all(
        puppets.map(async (puppet, index): Promise<Crossing> => {
          const [settled, puppetIsLower] = [index % 2 === 0, puppet.nodeId < node.nodeId];
          const when = settled ? 'after the node’s dial was CONNECTED' : 'while the node’s dial shakes hands';
          const what = `a ${puppetIsLower ? 'lower' : 'higher'} node dials ${when}`;
          const listener = await puppet.listen(settled ? {} : { handshake: null });
          return { what, puppet, settled, puppetIsLower, listener };
        }),
      );
      await advertise(bench, node, puppets);
      const left: Connection[] = [];
      // One after the other as the node dials; those that wait for an answer to their hello have 5 s.
      const inOrder = [...crossings].sort((a, b) => Number(a.settled) - Number(b.settled));
      for (const outcome of await Promise.allSettled(inOrder.map((one) => cross(bench, node, one)))) {
        if (outcome.status === 'rejected') throw outcome.reason;
        left.push(outcome.value);
      }
      // Connections of the other types are its own affair.
      const dials = crossings.map(({ listener }) => persistentDials(listener));
      await bench.sleep(2_600, 'whether it dials those again with whom it is connected');
      for (const [index, { what, listener }] of crossings.entries())
        if (persistentDials(listener) > dials[index]!)
          fail(`${what}: dialled again beside the one that stayed`);
      for (const connection of left) await stillServed(connection);
      return pass(
        `of ${left.length} pairs of crossing connections the one dialled by the lower node_id stayed`,
      );
    },
  },
];
