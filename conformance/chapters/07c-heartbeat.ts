/** § 7.3 Heartbeat: sent to whom and how often, and what silence means. */

import type { Connection } from '../../harness/wire/connection.ts';
import { heartbeat, itemRequest } from '../../harness/wire/gossip.ts';
import { commitOfSize } from '../../harness/wire/items.ts';
import { readable } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import type { Bench } from '../bench.ts';
import { accepted, endsWith, saidOf, stillServed } from '../expect.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import { gossipReachesAll } from './07a-life-cycle.ts';

const isHeartbeat = (message: Message): boolean =>
  message.type === 'gossip' && message.payload?.gossip_type === 'heartbeat';

const beatsOf = (connection: Connection): Message[] => connection.seen(isHeartbeat);

/** ms between consecutive heartbeats. */
function gapsOf(connection: Connection): number[] {
  const beats = beatsOf(connection);
  return beats.slice(1).map((beat, index) => Math.round(beat.at - beats[index]!.at));
}

const isOdd = (gap: number): boolean => gap < 26_500 || gap > 33_500;

/** At least three heartbeats, all 30 s apart. */
function isPunctual(connection: Connection): boolean {
  const gaps = gapsOf(connection);
  return gaps.length >= 2 && !gaps.some(isOdd);
}

export const rows: readonly Requirement[] = [
  {
    id: 'HBT-01',
    level: 'must',
    section: '7.3',
    role: 's',
    quote: 'every 30 s to every persistent peer, whatever its capabilities',
    reading:
      'Persistent peers, one of them without capabilities, each get a heartbeat every 30 s ± 10 %: three that came one after another and eight that came at once.',
    ruling: 'Profile §4, heartbeat: the members are fixed but for id and origin.',
    mutants: [
      'heartbeat-sixty-seconds',
      'heartbeat-one-peer',
      'heartbeat-one-at-once',
      'heartbeat-once',
      'heartbeat-only-gossip',
      'heartbeat-form',
    ],
    needs: [],
    durationHintMs: 94_000,
    cpu: 0,
    test: async (bench) => {
      const node = await bench.node({ company: true });
      const [a, b, observer] = await bench.puppets(3);
      const joinedAt = new Map<Joined, number>();
      const join = async (joining: Promise<Joined>): Promise<Joined> => {
        const joined = await joining;
        joinedAt.set(joined, performance.now());
        return joined;
      };
      const peers = [
        await join(a!.peer(node)),
        await join(b!.peer(node)),
        await join(observer!.peer(node, { capabilities: [] })),
        // Heartbeats that fall due together are all sent.
        ...(await Promise.all((await bench.puppets(8, 'together')).map((puppet) => join(puppet.peer(node))))),
      ];
      await bench.sleep(93_000, 'three heartbeat intervals of 30 s');
      // Where one peer heard it in time, the host may be to blame for what came late elsewhere, but not for what is missing.
      const oneHeard = peers.some(isPunctual);
      const blame = (ms: number): typeof late => (oneHeard && ms > 50_000 ? fail : late);
      for (const peer of peers) {
        const beats = beatsOf(peer);
        const first = beats[0] === undefined ? null : Math.round(beats[0].at - joinedAt.get(peer)!);
        const gaps = gapsOf(peer);
        const seen = { first, gaps };
        if (first === null) return blame(93_000)(`${peer.label} got no heartbeat in 93 s`, seen);
        if (first > 34_000)
          blame(first)(`${peer.label} got its first heartbeat only after ${first} ms`, seen);
        if (gaps.length < 1) blame(0)(`${peer.label} got one heartbeat in 93 s`, seen);
        const odd = gaps.find(isOdd);
        if (odd !== undefined)
          blame(odd)(`${peer.label} got heartbeats ${odd} ms apart, expected 30 s ± 10 %`, seen);
        for (const beat of beats) checkForm(beat, node.nodeId);
      }
      const counts = peers.map((peer) => beatsOf(peer).length).join(', ');
      return pass(`${counts} heartbeats in 93 s, gaps ${peers.flatMap(gapsOf).join(', ')} ms`);
    },
  },
  {
    id: 'HBT-02',
    level: 'must',
    section: '7.3',
    role: 's',
    quote: 'await self.handle_disconnect(peer)',
    reading:
      'A peer whose connection breaks is no peer any more: it leaves the fan-out and may come back at once.',
    mutants: ['lost-peer-stays'],
    needs: [],
    durationHintMs: 3_000,
    test: async (bench) => {
      const node = await bench.node();
      const puppets = await bench.puppets(4);
      const peers: Joined[] = [];
      for (const puppet of puppets) peers.push(await puppet.peer(node));
      const source = await (await bench.puppet('source')).join(node);
      const [lost, ...rest] = peers;
      lost!.reset();
      // The end of a TCP connection is an event, not a message: give it a moment, then a fence.
      await bench.sleep(300, 'the reset reaches the node');
      await source.fence();
      await gossipReachesAll(source, rest, 15);
      const back = await puppets[0]!.peer(node);
      await stillServed(back);
      return pass(
        'after a reset 15 gossips went to the 3 peers that were left each, and the fourth came back',
      );
    },
  },
  {
    id: 'HBT-03',
    level: 'must',
    section: '7.3',
    role: 's',
    quote:
      'No text message, good or bad, received on a persistent\nconnection for 90 s: the peer is dead, close 4408',
    reading:
      'A peer that sends nothing for 90 s is closed with 4408 and leaves the fan-out; pings do not keep it alive, a bad message does, and where the node can be configured a peer that it holds back for its bytes is not taken for silent.',
    ruling:
      'Profile §4: "Time in which the node itself held the connection back (§9) does not count." The bytes of §9 are those of a peer on all its connections.',
    mutants: [
      'silence-never-ends',
      'silence-ended-without-frame',
      'silence-thirty-seconds',
      'silence-ended-by-good-only',
      'silence-while-held',
    ],
    needs: [],
    durationHintMs: 97_000,
    cpu: 0,
    test: async (bench) => {
      const node = await bench.node({ company: true });
      const [mute, bad, talker] = await bench.puppets(3);
      // The faulty one is older: where its bad message did not count, it is closed before the mute one.
      const faulty = await bad!.peer(node, { manners: { ...quiet } });
      const muted = await mute!.peer(node, { manners: { ...quiet } });
      const mutedAt = performance.now();
      const alive = await talker!.peer(node);
      bench.note('the mute peer answers nothing, but pings');
      const { abilities } = bench.target;
      const canHold = abilities.has('start') && abilities.has('instances');
      const heldMs = canHold ? await heldBack(bench) : null;
      let heardAt = mutedAt;
      for (const second of [25, 45, 65]) {
        await bench.sleep(mutedAt + second * 1_000 - performance.now(), `until ${second} s of silence`);
        if (muted.ended !== null) {
          fail(`a peer that was silent for ${second} s was closed: ${muted.ended.how} ${muted.ended.code}`);
        }
        muted.sendFrame({ opcode: 9, payload: 'alive?' });
        if (second === 65) {
          faulty.sendText('this is no JSON');
          heardAt = performance.now();
        }
      }
      const closed = await muted.closedWithin(mutedAt + 97_000 - performance.now());
      const afterMs = Math.round(performance.now() - mutedAt);
      if (closed === null) return late(`a peer that was silent for ${afterMs} ms is still connected`);
      if (afterMs < 88_000) fail(`a peer that was silent for ${afterMs} ms was closed, expected 90 s`);
      if (!endsWith(closed, [4408])) fail(`the dead peer ended by ${saidOf(closed)}, expected close 4408`);
      // Both may be looked at in one turn of the node: what it then does to the faulty one takes a moment to arrive.
      await faulty.closedWithin(500);
      if (faulty.ended !== null) {
        const heard = Math.round(performance.now() - heardAt);
        fail(
          `a peer that sent a bad message ${heard} ms before was closed: ${faulty.ended.how} ${faulty.ended.code}`,
        );
      }
      await stillServed(alive);
      const heldToo = heldMs === null ? '' : `, and being held back for ${heldMs} ms a third`;
      return pass(`closed after ${afterMs} ms of silence; a bad message kept another peer alive${heldToo}`);
    },
  },
  {
    id: 'HBT-04',
    level: 'should',
    section: '7.3',
    role: 's',
    quote: 'await asyncio.sleep(30)  # 30 second interval',
    reading: 'A peer that stops reading does not delay the heartbeats of the others.',
    mutants: ['heartbeat-one-peer'],
    needs: ['start'],
    durationHintMs: 12_000,
    cpu: 0.1,
    test: async (bench) => {
      const node = await bench.node({ parameters: { heartbeat_interval_s: 2 } });
      const [stuckPuppet, other, author] = await bench.puppets(3);
      const source = await author!.join(node);
      const item = commitOfSize({ identity: author!.identity, certificate: author!.certificate }, 30_000);
      await accepted(source, item);
      const stuck = await stuckPuppet!.peer(node);
      stuck.pause();
      bench.step('asking for 12 MB on a connection that nobody reads');
      for (let i = 0; i < 400; i += 1) stuck.send('gossip', itemRequest(stuckPuppet!.nodeId, [item.hash]));
      const peer = await other!.peer(node);
      await bench.sleep(10_500, 'five heartbeat intervals of 2 s');
      const gaps = gapsOf(peer);
      const late_ = gaps.find((gap) => gap > 3_500);
      stuck.destroy();
      if (gaps.length < 2 || late_ !== undefined) {
        late(`beside a stuck peer heartbeats came ${gaps.join(', ')} ms apart, expected 2 000`, gaps);
      }
      return pass(`beside a stuck peer heartbeats came ${gaps.join(', ')} ms apart`);
    },
  },
  {
    id: 'HBT-05',
    level: 'must',
    section: '7.3/8.2',
    role: 's',
    quote: '`ttl:0`, `item_hashes:[]`, `origin` the sender; never cached or forwarded',
    reading:
      'Heartbeats are signed messages that count against neither the commits nor the queries of a minute.',
    mutants: ['heartbeats-counted', 'heartbeat-unsigned'],
    needs: ['start'],
    durationHintMs: 5_000,
    test: async (bench) => {
      const node = await bench.node({ parameters: { heartbeat_interval_s: 1 } });
      const puppet = await bench.puppet('peer');
      const connection = await puppet.peer(node);
      for (let i = 0; i < 40; i += 1) connection.send('gossip', heartbeat(puppet.nodeId));
      await connection.fence();
      for (let i = 0; i < 10; i += 1) await accepted(connection, puppet.commit());
      for (let i = 0; i < 30; i += 1) {
        const answer = await connection.request('query', {
          query_type: 'by_hash',
          filters: { rule_hash: 'rule_0' },
        });
        if (answer.type !== 'response')
          fail(`after 40 heartbeats query ${i + 1} of 30 was answered ${answer.errorCode}`);
      }
      const refused = connection.seen('error').map((message) => message.errorCode);
      if (refused.length > 0)
        fail(`40 heartbeats, 10 commits and 30 queries drew errors: ${refused.join(', ')}`);
      await bench.waitFor(
        'two heartbeats of a node with an interval of 1 s',
        8_000,
        () => beatsOf(connection).length >= 2,
      );
      for (const beat of beatsOf(connection)) {
        if (!beat.verified) fail('a heartbeat’s signature does not verify', beat.text);
        checkForm(beat, node.nodeId);
      }
      return pass(`${beatsOf(connection).length} signed heartbeats; 40 of ours cost no commit and no query`);
    },
  },
];

/** Answers nothing and says nothing: to be silent is to send no text message at all. */
const quiet = {
  answerDigest: false,
  serveItems: false,
  answerStateSync: false,
  answerPeerRequest: false,
  heartbeatMs: 0,
} as const;

/**
 * A peer with long messages under way on five connections, more than its bytes of many seconds: the node reads the persistent one
 * only now and then, and must not take for silence what it has not read. How long that took, ms.
 */
async function heldBack(bench: Bench): Promise<number> {
  const node = await bench.node({ parameters: { peer_timeout_s: 1.5, bytes_per_second: 65_536 } });
  const puppet = await bench.puppet('held', { unrecorded: true });
  const beside = await Promise.all([1, 2, 3, 4].map(() => puppet.join(node)));
  const held = await puppet.peer(node, { capabilities: [], manners: { ...quiet } });
  const begunAt = performance.now();
  const long = heartbeat(puppet.nodeId, { padding: 'x'.repeat(58_000) });
  const send = (connection: Connection): void =>
    void connection.send('gossip', { ...long, gossip_id: bench.uuid() });
  for (const connection of beside) for (let i = 0; i < 3; i += 1) send(connection);
  for (let i = 0; i < 4; i += 1) send(held);
  bench.step('a peer that is held back for longer than peer_timeout_s');
  const answer = await held.fence(45_000).catch(() => null);
  const tookMs = Math.round(performance.now() - begunAt);
  if (held.ended !== null)
    late(
      `a peer with messages under way, held back for its bytes, was closed after ${tookMs} ms: ${held.ended.how} ${held.ended.code}`,
    );
  if (answer === null) late(`what a peer sent was not read within ${tookMs} ms at 65 536 bytes per second`);
  await Promise.all([...beside, held].map((connection) => connection.close()));
  return tookMs;
}

function checkForm(beat: Message, nodeId: string): void {
  const { topic, topics, ttl, item_hashes, origin } = beat.payload;
  const good =
    topic === 'heartbeat' &&
    readable(topics) === '["heartbeat"]' &&
    ttl === 0 &&
    Array.isArray(item_hashes) &&
    item_hashes.length === 0 &&
    origin === nodeId;
  if (!good) fail('a heartbeat has not the form of profile §4', beat.payload);
}
