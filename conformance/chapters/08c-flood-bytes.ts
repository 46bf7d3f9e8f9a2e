/** § 8.3 Flood prevention, the bytes: what a node takes in of one peer, whatever it sends, and what it sends itself. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../../harness/wire/connection.ts';
import { buildEnvelope } from '../../harness/wire/envelope.ts';
import { announce, digestRequest, heartbeat, itemRequest, peerRequest } from '../../harness/wire/gossip.ts';
import { sendHello } from '../../harness/wire/handshake.ts';
import { commitOfSize } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted, closedWith, stillServed } from '../expect.ts';
import { controlProbe, inTime, keepCalling } from '../honest-peer.ts';
import { limited, queriesPerMinute } from '../limits.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

const mebibyte = 1_048_576;

/** Bytes that a node has taken in, told by the answers: what lies in kernels' buffers does not count. */
interface Intake {
  readonly written: number;
  readonly takenIn: number;
  /** When each answer came, ms since the first byte, and what was taken in by then. */
  readonly samples: readonly { atMs: number; bytes: number }[];
  refusals: number;
}

const padding = 'x'.repeat(48_000);
const mostCatchUpMs = 250;

/** One of three long messages: without an answer, refused, answered. All count (§9, "refused ones too"). */
function padded(connection: Connection, kind: number): { id: string; type: string; payload: JsonObject } {
  const { nodeId } = connection.puppet.identity;
  if (kind === 0) return { id: '', type: 'gossip', payload: heartbeat(nodeId, { padding }) };
  if (kind === 1) return { id: '', type: 'no_such_type', payload: { padding } };
  const payload = digestRequest('0'.repeat(64), 0, { prefix: 'f', changes: { padding } });
  return { id: '', type: 'sync_digest', payload };
}

/**
 * Writes to the connections in turn at `bytesPerSecond`, never more than `mostWaiting` bytes ahead of what was taken in, so that
 * what is left at the end is soon read.
 */
async function stream(
  bench: Bench,
  connections: readonly Connection[],
  how: { bytesPerSecond: number; forMs: number; mostWaiting: number },
): Promise<Intake> {
  const intake = { written: 0, takenIn: 0, samples: [] as { atMs: number; bytes: number }[], refusals: 0 };
  const begunAt = performance.now();
  const sendNext = connections.map((connection) => {
    const unanswered: { id: string; bytes: number }[] = [];
    connection.onMessage((message) => {
      const at = unanswered.findIndex(({ id }) => id === message.requestId);
      if (at < 0) return;
      // Messages of one connection take effect in order: all before this one were taken in, too.
      const settled = unanswered.splice(0, at + 1);
      const limited = message.errorCode === 'RATE_LIMIT';
      if (limited) {
        intake.refusals += 1;
        settled.pop();
      }
      for (const { bytes } of settled) intake.takenIn += bytes;
      intake.samples.push({ atMs: performance.now() - begunAt, bytes: intake.takenIn });
    });
    let kind = 0;
    return () => {
      const { type, payload } = padded(connection, kind);
      kind = (kind + 1) % 3;
      const envelope = buildEnvelope(connection.puppet.identity, type, payload);
      const text = JSON.stringify(payload).length + 500;
      unanswered.push({ id: connection.sendEnvelope(envelope), bytes: text });
      intake.written += text;
      return text;
    };
  });
  let turn = 0;
  let due = 0;
  for (let lookedAt = begunAt; ; ) {
    const now = performance.now();
    if (now - begunAt > how.forMs) return intake;
    // What a tester that was held up did not send is not made up for: a second's worth at once would be a burst of its own.
    const owed = due + (how.bytesPerSecond * (now - lookedAt)) / 1_000;
    due = Math.min(owed, (how.bytesPerSecond * mostCatchUpMs) / 1_000);
    lookedAt = now;
    while (due > 0 && intake.written - intake.takenIn < how.mostWaiting) {
      due -= sendNext[turn % sendNext.length]!();
      turn += 1;
    }
    await delay(20, undefined, { signal: bench.signal });
    for (const connection of connections)
      if (connection.ended !== null)
        fail(`${connection.label} was closed ${connection.ended.code} for its bytes, not held back`);
  }
}

/** No sample may be above the limit with its one-second burst, the last message of each connection aside. */
function withinBytes(intake: Intake, perSecond: number, slack: number): void {
  const over = intake.samples.find(
    ({ atMs, bytes }) => bytes > perSecond * (atMs / 1_000 + 1) * 1.05 + slack,
  );
  if (over !== undefined)
    fail(
      `${over.bytes} bytes were taken in within ${Math.round(over.atMs)} ms, the limit allows ${Math.round(perSecond * (over.atMs / 1_000 + 1))}`,
    );
}

export const rows: readonly Requirement[] = [
  {
    id: 'FLD-03',
    level: 'must',
    section: '8.3',
    role: 's',
    quote: '1 048 576 bytes per second with a one-second burst',
    reading:
      'A peer that sends 0.9 MiB/s is read without delay; one that sends 4 MiB/s over two connections is read at no more than 1 MiB × (t + 1) and is held back, not cut off; others are answered meanwhile.',
    ruling: 'Profile §9: "All messages together, refused ones too: … above it the node stops reading".',
    mutants: [
      'bytes-unlimited',
      'bytes-long-burst',

      'bytes-per-connection',
      'bytes-refused-free',
      'bytes-closes',
      'bytes-too-tight',
      'bytes-stall-all',
    ],
    needs: [],
    durationHintMs: 11_000,
    cpu: 0.4,
    thorough: { durationHintMs: 16_000, limitMs: 90_000 },
    test: async (bench) => {
      const seconds = bench.thorough ? 10 : 6;
      const forMs = seconds * 1_000;
      const node = await bench.node();
      const calm = await bench.puppet('calm', { unrecorded: true });
      const flooder = await bench.puppet('flooder', { unrecorded: true });
      const steady = await calm.join(node);
      const flood = [await flooder.join(node), await flooder.peer(node, { capabilities: [] })];
      const honest = await (await bench.puppet('honest')).join(node);
      const beside = await controlProbe(bench, 'beside');
      let over = false;
      const asking = keepCalling(bench, honest, () => over);
      const control = beside(() => over);
      bench.step('0.9 MiB/s of one peer, 4 MiB/s of another');
      const [free, held] = await Promise.all([
        stream(bench, [steady], { bytesPerSecond: 0.9 * mebibyte, forMs, mostWaiting: 8 * mebibyte }),
        stream(bench, flood, { bytesPerSecond: 4 * mebibyte, forMs, mostWaiting: 3 * mebibyte }),
      ]).finally(() => {
        over = true;
      });
      const lag = free.written - free.takenIn;
      // The last ones may be under way, unanswered heartbeats among them.
      await steady.fence(20_000);
      withinBytes(held, mebibyte, 128 * 1_024);
      const heldIn = held.samples.findLast(({ atMs }) => atMs <= forMs)?.bytes ?? 0;
      if (free.refusals > 0) fail(`${free.refusals} messages at 0.9 MiB/s got RATE_LIMIT`);
      if (lag > 0.75 * mebibyte) late(`at 0.9 MiB/s ${lag} of ${free.written} bytes were not read in time`);
      const least = 0.5 * seconds * mebibyte;
      if (heldIn < least)
        late(`of a flood only ${heldIn} bytes were taken in within ${seconds} s: the limit is 1 MiB/s`);
      const p95 = inTime(await asking, await control, 'beside the flood');
      bench.step('what waited is read');
      await Promise.all(flood.map((connection) => connection.fence(30_000)));
      await Promise.all(flood.map(stillServed));
      return pass(
        `${(free.takenIn / mebibyte).toFixed(1)} MiB in ${seconds} s flowed freely; of a flood ${(heldIn / mebibyte).toFixed(1)} MiB were read (at most ${seconds + 1}); honest p95 ${p95} ms`,
      );
    },
  },
  {
    id: 'FLD-08',
    level: 'should',
    section: '8.3',
    role: 's',
    quote: 'All messages together, refused ones too',
    reading:
      'What the design names no limit for is bounded all the same: gossip and the rest by the bytes of a second, peer_request with the queries, hello by its place at the beginning.',
    mutants: ['gossip-bytes-free', 'hello-for-ever'],
    needs: ['start'],
    durationHintMs: 5_000,
    test: async (bench) => {
      const perSecond = 131_072;
      const node = await bench.node({ parameters: { bytes_per_second: perSecond } });
      const gossiper = await bench.puppet('gossiper', { unrecorded: true });
      const connection = await gossiper.peer(node, { capabilities: [] });
      bench.step('short gossips at full speed');
      const text = JSON.stringify(announce(gossiper.nodeId, [])).length + 500;
      const count = Math.ceil((3 * perSecond) / text);
      const begunAt = performance.now();
      for (let i = 0; i < count; i += 1)
        connection.send('gossip', i % 2 === 0 ? announce(gossiper.nodeId, []) : heartbeat(gossiper.nodeId));
      await connection.fence(30_000);
      const tookMs = Math.round(performance.now() - begunAt);
      const leastMs = 1_700;
      if (tookMs < leastMs)
        fail(
          `${count} gossips of ${text} bytes were taken in within ${tookMs} ms at a limit of ${perSecond} bytes/s`,
        );
      bench.step('peer_requests');
      const asker = await bench.puppet('asker');
      const asking = await asker.join(node);
      for (let i = 0; i < queriesPerMinute; i += 1) {
        const answer = await asking.request('peer_request', peerRequest(asker.nodeId));
        if (answer.type !== 'peer_exchange') fail(`peer_request ${i + 1} was answered ${answer.text}`);
      }
      limited(await asking.request('peer_request', peerRequest(asker.nodeId)), 'peer_request 31');
      bench.step('hello after hello');
      const greeter = await (await bench.puppet('greeter', { unrecorded: true })).join(node);
      for (let i = 0; i < 130; i += 1) sendHello(greeter, 'sync');
      const fence = greeter.send('sync_digest', digestRequest('0'.repeat(64), 0, { prefix: 'f' }));
      const served = await greeter.maybe((message) => message.requestId === fence, 15_000);
      if (served !== null) fail('131 hellos on one connection within a moment, and it is still served');
      await closedWith(greeter, 4400, 5_000);
      return pass(`${count} gossips took ${tookMs} ms; the 31st peer_request was limited; 130 hellos closed`);
    },
  },
  {
    id: 'FLD-09',
    level: 'should',
    section: '8.3',
    role: 'b',
    quote: 'A node keeps inside the same limits when it sends.',
    reading:
      'What a peer sees of the node stays inside the limits: no more than 30 queries and peer_requests and 10 items a minute, while it looks for peers and catches up; and no more than the bytes of a second, over all connections, whatever is asked of it.',
    mutants: ['sends-without-budget', 'sends-budget-per-connection', 'asks-peers-every-second'],
    needs: ['start', 'dial-back'],
    durationHintMs: 42_000,
    cpu: 0.05,
    test: async (bench) => {
      const perSecond = 131_072;
      const bootstrap = await bench.puppet('bootstrap');
      for (let i = 0; i < 60; i += 1) bootstrap.items.add(bootstrap.commit());
      const listener = await bootstrap.listen();
      const node = await bench.node({
        bootstrap: [bootstrap.bootstrap],
        parameters: { bytes_per_second: perSecond },
      });
      const begunAt = performance.now();
      await listener.next(15_000);
      await askedForTooMuch(bench, node, perSecond);
      await bench.sleep(begunAt + 40_000 - performance.now(), 'the node looks for more peers');
      const counts = { query: 0, item: 0 };
      for (const connection of listener.accepted) {
        for (const { type } of connection.received) {
          if (type === 'query' || type === 'peer_request') counts.query += 1;
          if (type === 'commit' || type === 'challenge' || type === 'confirm') counts.item += 1;
        }
      }
      const limitedBy = `in 40 s ${counts.query} queries and peer_requests and ${counts.item} items`;
      if (counts.query > queriesPerMinute || counts.item > 10) fail(`the node sent ${limitedBy}`);
      if (listener.accepted.length === 0) fail('the node never connected');
      return pass(`${limitedBy}, over ${listener.accepted.length} connections; bytes within the limit`);
    },
  },
];

/** Long items, asked for over two connections of one peer at once: what arrives must keep to the bytes of a second. */
async function askedForTooMuch(bench: Bench, node: NodeUnderTest, perSecond: number): Promise<void> {
  bench.step('long items, asked for at once');
  const [author, reader] = await bench.puppets(2, 'side', { unrecorded: true });
  const writing = await author!.join(node);
  const item = commitOfSize({ identity: author!.identity, certificate: author!.certificate }, 30_000);
  await accepted(writing, item);
  // Both end only when idle; one of type `gossip` may end at any moment (§4: "within 10 s").
  const connections: Joined[] = [await reader!.join(node), await reader!.join(node)];
  let bytes = 0;
  const begunAt = performance.now();
  const samples: { atMs: number; bytes: number }[] = [];
  for (const connection of connections) {
    connection.onMessage((message) => {
      bytes += message.size;
      samples.push({ atMs: performance.now() - begunAt, bytes });
    });
  }
  for (let i = 0; i < 24; i += 1)
    connections[i % 2]!.send('gossip', itemRequest(reader!.nodeId, [item.hash]));
  await Promise.all(
    connections.map((connection) =>
      bench.waitFor('long items', 40_000, () => connection.seen('gossip:response').length >= 12),
    ),
  );
  const over = samples.find((one) => one.bytes > perSecond * (one.atMs / 1_000 + 1) * 1.1 + 65_536);
  if (over !== undefined)
    fail(
      `the node sent ${over.bytes} bytes in ${Math.round(over.atMs)} ms at a limit of ${perSecond} bytes/s`,
    );
}
