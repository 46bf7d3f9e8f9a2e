/** § 8.2 Message signing: messages that come again or come from another time, and whose ids are remembered for how long. */

import type { Connection } from '../../harness/wire/connection.ts';
import { announce, heartbeat, itemRequest, peerRequest } from '../../harness/wire/gossip.ts';
import { buildItem } from '../../harness/wire/items.ts';
import { float, type Json, type JsonObject, readable } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { type Attempt, accepted, refusedWithTwin, served, tryHandshake } from '../expect.ts';
import { commitKind, digestKind, helloKind, pairsOf, queryKind, reportedFirst } from '../order.ts';
import { attempt, probe, probeEnvelope } from '../probe.ts';
import type { Joined, Puppet } from '../puppet.ts';
import { fail, inconclusive, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

/** Messages that pass all checks, each answered or followed by a fence; a node remembers the ids of them all. */
const remembered: Record<string, (connection: Joined) => Promise<string>> = {
  'a query': (connection) => asked(connection, 'query', queryKind.build(connection, {}, {}).payload!),
  'a peer_request': (connection) =>
    asked(connection, 'peer_request', peerRequest(connection.puppet.identity.nodeId)),
  'a gossip request': (connection) =>
    asked(connection, 'gossip', itemRequest(connection.puppet.identity.nodeId, [])),
  'a commit': async (connection) => {
    const item = buildItem(connection.puppet, 'commit');
    await accepted(connection, item);
    return item.messageId;
  },
  'a heartbeat': (connection) => told(connection, heartbeat(connection.puppet.identity.nodeId)),
  'an announce': (connection) =>
    told(connection, announce(connection.puppet.identity.nodeId, [], { topic: 'news' })),
};

async function asked(connection: Connection, type: string, payload: Json): Promise<string> {
  const id = connection.send(type, payload);
  const answer = await connection.answer(id);
  if (answer.type === 'error') inconclusive(`a ${type} was answered ${answer.errorCode}`);
  return id;
}

async function told(connection: Connection, payload: Json): Promise<string> {
  const id = connection.send('gossip', payload);
  await connection.fence();
  return id;
}

/** A hello that was accepted once, on a connection that is closed again. */
async function helloTwice(
  puppet: Puppet,
  node: NodeUnderTest,
): Promise<{ bad: () => Promise<Attempt>; twin: () => Promise<Attempt> }> {
  const first = await puppet.mustDial(node);
  const hello = helloKind.build(first, {}, {});
  first.sendEnvelope(hello);
  await first.next('hello');
  await first.close();
  const bad = async (): Promise<Attempt> => {
    const second = await puppet.mustDial(node);
    second.sendEnvelope(hello);
    const answer = await second.maybe((message) => message.type === 'hello' || message.type === 'error');
    if (answer?.type !== 'hello') {
      const closed = await second.closedWithin(5_000);
      const detail = `error ${answer?.errorCode ?? 'none'}, ${closed === null ? 'still open' : `closed ${closed.code}`}`;
      return { accepted: false, code: answer?.errorCode ?? null, closed, detail };
    }
    return { accepted: true, code: null, closed: second.ended, detail: 'answered with a hello' };
  };
  return { bad, twin: () => tryHandshake(puppet, node) };
}

/** STALE, the connection stays, and the error says what the node's clock shows. */
async function stale(bench: Bench, where: Joined, what: string, envelope: JsonObject): Promise<void> {
  await refusedWithTwin(bench, {
    what,
    code: 'STALE',
    close: null,
    bad: () => attempt(where, envelope),
    twin: () => probe(where),
  });
  const answer = where.seen('error:STALE').at(-1)!;
  const now: unknown = answer.payload?.details?.now;
  if (typeof now !== 'number' || Math.abs(now - Date.now() / 1000) > 300)
    fail(`${what}: details.now is ${readable(now)}, no clock in seconds`);
}

/** What passed all checks is remembered, whatever it was; what did not is not. */
async function whoseIdsAreTaken(
  bench: Bench,
  node: NodeUnderTest,
  connection: Joined,
  puppet: Puppet,
): Promise<void> {
  for (const [what, send] of Object.entries(remembered)) {
    const id = await send(connection);
    const again = probeEnvelope(connection, {}, { messageId: id });
    await stale(bench, connection, `a message under the id of ${what}`, again);
  }
  await refusedWithTwin(bench, {
    what: 'the same hello on another connection',
    code: 'STALE',
    close: 4400,
    ...(await helloTwice(puppet, node)),
  });

  bench.step('an id that was refused before');
  const malformed = probeEnvelope(connection, { prefix: 'no hex' });
  if ((await attempt(connection, malformed)).accepted) fail('a prefix that is no hex was accepted');
  const mended = probeEnvelope(connection, {}, { messageId: malformed.message_id });
  const outcome = await attempt(connection, mended);
  if (!outcome.accepted) fail(`an id whose message was refused was not free again: ${outcome.detail}`);
  const unknown = connection.send('no_such_type', {});
  await connection.answer(unknown);
  const known = await probe(connection, {}, { messageId: unknown });
  if (!known.accepted) fail(`an id whose message was of an unknown type was not free again: ${known.detail}`);
}

/** More than 300 s off, and 290 s off. */
async function otherTimes(bench: Bench, connection: Joined, puppet: Puppet): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  for (const off of [-310, 310, -3_600, 86_400 * 365]) {
    const what = `a message of ${Math.abs(off)} s ${off < 0 ? 'ago' : 'ahead'}`;
    await stale(
      bench,
      connection,
      what,
      probeEnvelope(connection, {}, { timestamp: float(now + off + 0.5) }),
    );
    const item = puppet.commit({}, { timestamp: now + off });
    await stale(bench, connection, `a commit, ${what}`, item.envelope);
    if ((await served(connection, item.hash)) !== null) fail(`a commit, ${what}, was STALE, but taken`);
  }
  const milliseconds = probeEnvelope(connection, {}, { timestamp: Date.now() });
  await stale(bench, connection, 'a message with milliseconds as seconds', milliseconds);
  for (const off of [-290, 290]) {
    for (const timestamp of [now + off, float(now + off), float(now + off + 0.5)]) {
      const twin = await probe(connection, {}, { timestamp });
      if (!twin.accepted) fail(`a message ${off} s off was refused: ${twin.detail}`);
    }
    await accepted(connection, puppet.commit({}, { timestamp: now + off }));
  }
}

/** The timestamp lies ahead, so that it is still in order when only the memory of ids (§3.2: 600 s) tells it from a new one. */
const aheadS = 285;
const laterS = 570;

async function repeatedLater(bench: Bench, node: NodeUnderTest): Promise<string> {
  const puppet = await bench.puppet('patient');
  const timestamp = float(Math.floor(Date.now() / 1_000) + aheadS + 0.5);
  const connection = await puppet.join(node);
  const envelope = probeEnvelope(connection, {}, { timestamp });
  if (!(await attempt(connection, envelope)).accepted) fail(`a message ${aheadS} s ahead was refused`);
  await connection.close();
  await bench.sleep(laterS * 1_000, 'ids are remembered for 600 s');
  const back = await puppet.join(node);
  await stale(bench, back, `a message of ${laterS} s ago, whose time is in order`, envelope);
  return String(laterS);
}

/** Together with what the row sends besides it stays below the 10 000 that a node remembers of a peer. */
const further = 9_000;
const furtherAtOnce = 300;
/** Below the 1 048 576 bytes a second of §9, so that nothing waits. */
const furtherBytesPerSecond = 900_000;

/** As heartbeats: they are remembered like every message, and need no answer. */
async function thousandsMore(bench: Bench, connection: Joined): Promise<void> {
  bench.step(`${further} further messages, at most ${furtherBytesPerSecond} bytes a second`);
  const { identity } = connection.puppet;
  const begunAt = performance.now();
  let bytes = 0;
  for (let sent = 0; sent < further; sent += furtherAtOnce) {
    for (let i = 0; i < furtherAtOnce; i += 1) {
      const payload = heartbeat(identity.nodeId);
      connection.send('gossip', payload);
      bytes += JSON.stringify(payload).length + 500;
    }
    await connection.fence(15_000);
    const dueAt = begunAt + (bytes / furtherBytesPerSecond) * 1_000;
    await bench.sleep(Math.max(0, dueAt - performance.now()), 'inside the byte budget');
  }
}

export const rows: readonly Requirement[] = [
  {
    id: 'SIG-09',
    level: 'should',
    section: '8.2',
    role: 's',
    quote:
      "timestamp within 300 s of the receiver's clock, and message_id not among that peer's last 10 000 messages of 600 s",
    reading:
      "A repeated message_id, and a timestamp more than 300 s off, are STALE and have no effect; 290 s off is in order; ids are each peer's own.",
    ruling:
      "Profile §3.2: `details.now` = the receiver's clock; remembered are messages that passed all checks.",
    mutants: [
      'replays-accepted',
      'replays-of-one-connection',
      'message-ids-of-all-peers',
      'refused-ids-remembered',
      'stale-accepted',
      'future-accepted',
      'stale-after-a-minute',
      'stale-after-an-hour',
      'stale-without-now',
      'stale-now-in-ms',
      'replays-of-last-hundred',
      'replays-of-last-thousands',
      'ids-for-half-a-minute',
      'ids-for-five-minutes',
      'ids-forgotten-with-last-connection',
      'ids-forgotten-at-new-connection',
      'unknown-type-remembered',
      'items-not-remembered',
      'gossip-not-remembered',
      'hello-not-remembered',
      'digest-form-before-stale',
      'item-form-before-stale',
    ],
    needs: [],
    durationHintMs: 44_000,
    cpu: 0.1,
    thorough: { durationHintMs: 575_000, limitMs: 700_000 },
    test: async (bench) => {
      const node = await bench.shared();
      const minutes = bench.thorough ? repeatedLater(bench, node) : null;
      // Awaited at the end: if the row fails before, nobody else hears of it.
      minutes?.catch(() => {});
      const [puppet, other] = (await bench.puppets(2)) as [Puppet, Puppet];
      const connection = await puppet.join(node);
      const elsewhere = await puppet.join(node);
      const stranger = await other.join(node);
      const first = probeEnvelope(connection);
      const firstAt = performance.now();
      if (!(await attempt(connection, first)).accepted) fail('a fresh message was refused');
      await stale(bench, connection, 'the same message again', first);
      await stale(bench, elsewhere, "the same message on another of the peer's connections", first);
      const reused = probeEnvelope(connection, { other: 1 }, { messageId: first.message_id });
      await stale(bench, connection, 'another message under the same id', reused);
      if (!(await probe(stranger, {}, { messageId: first.message_id })).accepted)
        fail("another peer's message was refused because somebody had used its id");

      await whoseIdsAreTaken(bench, node, connection, puppet);
      const newcomer = await puppet.join(node);
      for (const where of [newcomer, connection])
        await stale(bench, where, 'a message from before another connection of the peer', first);
      await newcomer.close();

      for (const kind of [digestKind, commitKind])
        await reportedFirst(bench, node, puppet, [...pairsOf('stale'), ...pairsOf('repeated')], kind);

      await otherTimes(bench, connection, puppet);
      bench.step('300 further messages, then the first again');
      for (let i = 0; i < 300; i += 1) connection.sendEnvelope(probeEnvelope(connection));
      await connection.fence(15_000);
      await stale(bench, connection, 'a message of 300 messages ago', first);
      await thousandsMore(bench, connection);
      await stale(bench, connection, `a message of more than ${further} messages ago`, first);
      bench.step('the first again after the last connection of its sender ended');
      for (const one of [connection, elsewhere]) await one.close();
      const back = await puppet.join(node);
      await stale(bench, back, 'a message from before the last connection of the peer ended', first);
      await back.close();
      await bench.sleep(firstAt + 41_000 - performance.now(), 'ids are remembered for 600 s');
      await stale(bench, await puppet.join(node), 'a message of 41 s ago', first);
      const oldest = minutes === null ? '41' : await minutes;
      return pass(
        `replays, one of ${oldest} s ago too, and messages 310 s off were STALE, twins 290 s off in order`,
      );
    },
  },
];
