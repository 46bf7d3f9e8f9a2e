/** § 7.2 Handshake, who somebody is: identities, signatures, replays, second hellos and early messages. */

import type { Connection, SendOptions } from '../../harness/wire/connection.ts';
import { buildEnvelope, flippedBit, tampered } from '../../harness/wire/envelope.ts';
import { announce, hello, stateSummary } from '../../harness/wire/gossip.ts';
import { sendHello } from '../../harness/wire/handshake.ts';
import type { Json } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { type Attempt, answerTo, closedWith, refusedWithTwin, stillServed, tryHandshake } from '../expect.ts';
import { helloKind, pairsBeforeHello, pairsOf, pairsOfHello, reportedFirst } from '../order.ts';
import { askForPeers } from '../peer-lists.ts';
import { capabilities } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';
import { type Changes, helloRefused } from './07b-handshake.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'HSK-05',
    level: 'must',
    section: '7.2/8.1',
    role: 's',
    quote: '`payload.node_id` ≠ `sender.node_id`: `IDENTITY_MISMATCH`, 4401',
    reading:
      'The node id of hello and sender is the one of the certificate’s key, key and agent are those of the certificate; else IDENTITY_MISMATCH and close 4401.',
    mutants: [
      'hello-node-id-trusted',
      'sender-key-trusted',
      'sender-node-id-trusted',
      'sender-agent-trusted',
      'size-before-identity',
    ],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const [puppet, victim] = await bench.puppets(2);
      const { nodeId, agentId, publicKeyBase64 } = victim!.identity;
      const lies: readonly [what: string, lie: { changes?: Changes; overrides?: SendOptions }][] = [
        ['another node_id in the payload', { changes: { node_id: nodeId } }],
        ['another node_id in the sender', { overrides: { senderMembers: { node_id: nodeId } } }],
        [
          'another node_id in both',
          { changes: { node_id: nodeId }, overrides: { senderMembers: { node_id: nodeId } } },
        ],
        ['another agent_id', { overrides: { senderMembers: { agent_id: agentId } } }],
        ['another public_key', { overrides: { senderMembers: { public_key: publicKeyBase64 } } }],
        [
          'another node’s whole identity, signed by that node',
          {
            changes: { node_id: nodeId },
            overrides: {
              senderMembers: { node_id: nodeId, agent_id: agentId, public_key: publicKeyBase64 },
              signWith: victim!.identity,
            },
          },
        ],
      ];
      for (const [what, lie] of lies)
        await helloRefused(bench, puppet!, node, what, lie, 'IDENTITY_MISMATCH', 4401);
      await reportedFirst(bench, node, puppet!, pairsOf('identity'));
      return pass(`${lies.length} false identities refused with 4401, the true one accepted after each`);
    },
  },
  {
    id: 'HSK-06',
    level: 'must',
    section: '8.2',
    role: 's',
    quote: 'All messages are signed:',
    reading:
      'A hello whose signature does not verify is refused with INVALID_SIGNATURE and the connection closed.',
    mutants: ['hello-signature-exempt', 'hello-form-first', 'hello-form-before-stale'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const [puppet, other] = await bench.puppets(2);
      const twin = (): Promise<Attempt> => tryHandshake(puppet!, node);
      const sent = async (spoil: (connection: Connection) => string): Promise<Attempt> => {
        const connection = await puppet!.mustDial(node);
        return answerTo(connection, spoil(connection), { awaitClose: true });
      };
      const common = { twin, code: 'INVALID_SIGNATURE', close: 4400 };
      await refusedWithTwin(bench, {
        ...common,
        what: 'a hello signed by another key',
        bad: () =>
          sent((connection) => sendHello(connection, 'sync', { overrides: { signWith: other!.identity } })),
      });
      await refusedWithTwin(bench, {
        ...common,
        what: 'a hello with one bit of its signature flipped',
        bad: () =>
          sent((connection) => {
            const payload = hello(puppet!.nodeId, 'sync', [], null);
            const envelope = buildEnvelope(puppet!.identity, 'hello', payload);
            return connection.sendEnvelope(
              tampered(envelope, ['signature'], flippedBit(String(envelope.signature), 77)),
            );
          }),
      });
      const pairs = await reportedFirst(bench, node, puppet!, pairsOfHello, helloKind);
      return pass(
        `two hellos with bad signatures and ${pairs} with two faults were refused, good ones accepted`,
      );
    },
  },
  {
    id: 'HSK-07',
    level: 'should',
    section: '7.2',
    role: 's',
    quote: 'TLS key = envelope key, so a captured message is worthless on another connection.',
    reading: 'A hello that was captured and is replayed under another certificate is refused with 4401.',
    mutants: ['sender-key-trusted'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const [victim, thief] = await bench.puppets(2);
      const captured = buildEnvelope(victim!.identity, 'hello', hello(victim!.nodeId, 'sync', [], null));
      await refusedWithTwin(bench, {
        what: 'a captured hello',
        code: 'IDENTITY_MISMATCH',
        close: 4401,
        bad: async () => {
          const connection = await thief!.mustDial(node);
          return answerTo(connection, connection.sendEnvelope(captured), { awaitClose: true });
        },
        twin: async () => {
          const connection = await victim!.mustDial(node);
          connection.sendEnvelope(captured);
          const answer = await connection.maybe('hello', 5_000);
          await connection.close();
          const detail = answer === null ? 'no hello came back' : 'answered with a hello';
          return { accepted: answer !== null, code: null, closed: connection.ended, detail };
        },
      });
      return pass('refused from the thief, accepted from its author');
    },
  },
  {
    id: 'HSK-08',
    level: 'must',
    section: '7.2',
    role: 's',
    quote: 'A second hello is `MALFORMED`.',
    reading:
      'A second hello is MALFORMED and changes nothing: not what the connection is for, what the peer can do, who it is or where it listens.',
    mutants: [
      'second-hello-taken',
      'second-hello-makes-peer',
      'second-hello-address-taken',
      'second-hello-node-id-taken',
    ],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.node();
      const [puppet, other] = await bench.puppets(2);
      // Whoever dialled them would find them: who is not there leaves the lists again.
      const listeners = await Promise.all([puppet!.listen(), other!.listen()]);
      const connection = await puppet!.join(node);
      const second = await answerTo(connection, sendHello(connection, 'sync'));
      malformed('a second hello', second);
      const address = puppet!.address;
      const promoting = sendHello(connection, 'persistent', { capabilities, address });
      malformed(
        'a second hello of another type, with capabilities and an address',
        await answerTo(connection, promoting),
      );
      await stillServed(connection);
      const stranger = await puppet!.join(node);
      sendHello(stranger, 'sync', { changes: { node_id: other!.nodeId, address: other!.address } });
      const refused = await stranger.next((message) => message.type === 'error');
      if (!['MALFORMED', 'IDENTITY_MISMATCH'].includes(String(refused.errorCode)))
        fail(`a hello under another node_id was answered ${refused.errorCode}`);
      await noPeer(bench, node, connection);
      const witness = await (await bench.puppet('witness')).join(node);
      const peers = await askForPeers(witness);
      for (const { nodeId, address } of [puppet!, other!])
        if (peers.some((peer) => peer.node_id === nodeId || peer.address === address))
          fail('the node lists what only a second hello said', peers);
      if (listeners.some(({ attempts }) => attempts.length > 0))
        fail('the node dialled an address that only a second hello named');
      return pass('three second hellos were refused and had no effect');
    },
  },
  {
    id: 'HSK-09',
    level: 'must',
    section: '7.1',
    role: 's',
    quote: "Anything else before the peer's `hello`: `HANDSHAKE_REQUIRED`, close 4400",
    reading:
      'A first message that is no hello gets HANDSHAKE_REQUIRED, the connection is closed with 4400 and its slot freed.',
    mutants: ['early-messages-answered', 'handshake-required-stays-open', 'handshake-before-signature'],
    needs: [],
    durationHintMs: 3_000,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('impatient');
      const early: readonly [type: string, payload: Json][] = [
        ['query', { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } }],
        ['state_summary', stateSummary('0'.repeat(64), 0)],
        ['peer_request', { node_id: puppet.nodeId, capabilities: [] }],
        ['gossip', announce(puppet.nodeId, [], { topic: 'news' })],
      ];
      // More of them than a peer has slots for other connections (4): a slot that stays taken shows.
      for (let i = 0; i < 8; i += 1) {
        const [type, payload] = early[i % early.length]!;
        const connection = await puppet.mustDial(node);
        const attempt = await answerTo(connection, connection.send(type, payload));
        if (attempt.accepted) fail(`a ${type} before the hello was answered: ${attempt.detail}`, attempt);
        if (attempt.code !== null && attempt.code !== 'HANDSHAKE_REQUIRED')
          fail(`a ${type} before the hello got ${attempt.code}, expected HANDSHAKE_REQUIRED`, attempt);
        await closedWith(connection, 4400);
      }
      const after = await tryHandshake(puppet, node);
      if (!after.accepted)
        fail(`after eight refused connections the peer finds no slot: ${after.detail}`, after);
      const pairs = await reportedFirst(bench, node, await bench.puppet('hasty'), pairsBeforeHello);
      return pass(
        `8 early messages and ${pairs} with a second fault were refused and closed, the slots are free`,
      );
    },
  },
  {
    id: 'HSK-10',
    level: 'should',
    section: 'F5',
    role: 'b',
    quote: 'From TCP accept to upgraded: `handshake_timeout_s`, else the connection is dropped.',
    reading:
      'A handshake is through within 5 s: from the dial to the node’s hello and state_summary; where the node dials, its hello comes within 5 s of the upgrade.',
    ruling: 'Profile §4: "No valid hello within `handshake_timeout_s` of the upgrade: close 4408."',
    mutants: ['handshake-slow', 'dialer-hello-late'],
    needs: [],
    fresh: true,
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.node();
      const puppet = await bench.puppet('dialer');
      const tookMs: number[] = [];
      for (let i = 0; i < 5; i += 1) {
        const startedAt = performance.now();
        const connection = await puppet.join(node, { withinMs: 10_000 });
        tookMs.push(Math.round(performance.now() - startedAt));
        await connection.close();
      }
      const slowest = Math.max(...tookMs);
      if (slowest > 5_000) late(`a handshake took ${slowest} ms, more than 5 s`, tookMs);
      const figures = `5 handshakes, the slowest in ${slowest} ms`;
      if (!bench.target.abilities.has('dial-back')) return pass(figures);
      const helloMs = await ownHello(bench, node);
      return pass(`${figures}; its own hello came ${helloMs} ms after the upgrade`);
    },
  },
];

function malformed(what: string, attempt: Attempt): void {
  if (attempt.accepted || (attempt.code !== 'MALFORMED' && attempt.code !== null))
    fail(`${what} was answered ${attempt.detail}, expected MALFORMED`, attempt);
  if (attempt.passedOver === true)
    fail(`${what} got no MALFORMED, but what came behind it was answered`, attempt);
  if (attempt.code === null) late(`${what} got no MALFORMED: ${attempt.detail}`, attempt);
}

/** What goes to every peer with gossip, there being one other, does not come over this connection. */
async function noPeer(bench: Bench, node: NodeUnderTest, connection: Connection): Promise<void> {
  const peer = await (await bench.puppet('peer')).peer(node, { capabilities: ['gossip'] });
  const source = await (await bench.puppet('source')).join(node);
  for (let i = 0; i < 3; i += 1) {
    const gossip = announce(source.puppet.identity.nodeId, [], { topic: 'news' });
    source.send('gossip', gossip);
    await peer.next((message) => message.payload?.gossip_id === gossip.gossip_id);
  }
  await connection.fence();
  if (connection.seen('gossip:announce').length > 0)
    fail('a connection that a second hello called persistent gets gossip, as that of a peer');
}

/** The node is told of a listening puppet and dials it: how long after the upgrade its hello comes. */
async function ownHello(bench: Bench, node: NodeUnderTest): Promise<number> {
  const [witness, listening] = await bench.puppets(2);
  const upgraded = new Map<Connection, number>();
  const listener = await listening!.listen({
    onConnection: (connection) => void upgraded.set(connection, performance.now()),
  });
  await witness!.peer(node, { peers: [listening!.entry] });
  const dial = await bench.waitFor('dial of a listed peer', 20_000, () => listener.accepted[0]);
  const hello = await bench.waitFor('hello of the node’s own dial', 9_000, () => dial.seen('hello')[0]);
  const tookMs = Math.round(hello.at - upgraded.get(dial)!);
  if (tookMs > 5_000) late(`the node dialled and said hello ${tookMs} ms after the upgrade, more than 5 s`);
  return tookMs;
}
