/** § 8.1 TLS: the node as a dialer, sessions, and messages that do not keep to records. */

import { createAuthority, selfSigned } from '../../harness/wire/authority.ts';
import { written } from '../../harness/wire/canonical.ts';
import type { Connection } from '../../harness/wire/connection.ts';
import { encodeFrame, opcodes } from '../../harness/wire/frames.ts';
import type { Listener, ListenOptions } from '../../harness/wire/listener.ts';
import { tlsSuite } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { isNode, probeEnvelope } from '../probe.ts';
import type { Puppet, PuppetOptions } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

const dayMs = 86_400_000;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const serverAuth = '1.3.6.1.5.5.7.3.1';

interface Server {
  what: string;
  puppet: Puppet;
  listener: Listener;
}

/** A puppet that listens with one fault and never says anything by itself. */
async function serve(
  bench: Bench,
  what: string,
  options: { puppet?: PuppetOptions; listen?: ListenOptions } = {},
): Promise<Server> {
  const puppet = await bench.puppet(what, options.puppet);
  const listener = await puppet.listen({ handshake: null, ...options.listen });
  return { what, puppet, listener };
}

/** The first thing that a node told this server above TLS; null if nothing. */
function told({ listener }: Server): string | null {
  for (const connection of listener.accepted) {
    const first = connection.received[0];
    if (first !== undefined) return first.type;
  }
  return null;
}

/** Waits until the node has tried each server, and until each attempt has come to its end or to a message. */
async function tried(bench: Bench, servers: readonly Server[], after: number): Promise<void> {
  for (const server of servers) {
    await bench.waitFor(`the node's attempt at ${server.what}`, 30_000, () =>
      server.listener.attempts.some(
        (attempt) =>
          attempt.at >= after &&
          (attempt.failure !== null ||
            (attempt.connection?.ended ?? null) !== null ||
            (attempt.connection?.received.length ?? 0) > 0),
      ),
    );
  }
}

/** The honest server among them: gets a hello, and the node's certificate. */
async function twinGetsHello(node: NodeUnderTest, twin: Server): Promise<void> {
  const connection = await twin.listener.next(20_000);
  const { peer } = connection;
  if (typeof peer === 'string') fail(`the node's certificate proves nothing: ${peer}`);
  if (Buffer.from(peer.publicKey).toString('base64') !== node.publicKey)
    fail("the node's certificate is over another key");
  if (peer.agentId !== node.agentId) fail(`the node's certificate names ${peer.agentId}`);
  if (connection.tls.protocol !== 'TLSv1.3' || connection.tls.cipher !== tlsSuite)
    fail(`the node dialled with ${connection.tls.protocol} and ${connection.tls.cipher}`);
  await connection.next('hello', 10_000);
}

/** Two messages in one write, three in odd pieces, one in bytes: whatever TLS makes of them, each is answered. */
async function inPieces(connection: Connection): Promise<number> {
  const frames: Buffer[] = [];
  const ids: string[] = [];
  for (let i = 0; i < 6; i += 1) {
    const envelope = probeEnvelope(connection);
    ids.push(String(envelope.message_id));
    frames.push(encodeFrame({ opcode: opcodes.text, payload: written(envelope), mask: true }));
  }
  const piece = async (...parts: Uint8Array[]): Promise<void> => {
    connection.sendRaw(Buffer.concat(parts));
    await connection.flushed();
    await new Promise((resolve) => setTimeout(resolve, 40));
  };
  const [first, second, third, fourth, fifth, sixth] = frames as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  await piece(first, second);
  await piece(third, fourth.subarray(0, 1));
  await piece(fourth.subarray(1, 5));
  await piece(fourth.subarray(5, 200));
  await piece(fourth.subarray(200), fifth, sixth.subarray(0, 3));
  await piece(sixth.subarray(3));
  // Messages of one connection take effect in order: what the fence overtakes was lost.
  await connection.fence(10_000);
  for (const [index, id] of ids.entries())
    answered(connection, id, `message ${index + 1} of 6 in odd pieces`);
  return ids.length;
}

function answered(connection: Connection, id: string, what: string): void {
  const answer = connection.seen((message) => message.requestId === id)[0];
  if (answer === undefined) fail(`${what} was lost: what came behind it was answered`);
  if (answer.type === 'error') fail(`${what} was answered ${answer.errorCode}`);
}

export const rows: readonly Requirement[] = [
  {
    id: 'TLS-07',
    level: 'must',
    section: '8.1',
    role: 'c',
    quote: 'TLS 1.3 with `TLS_AES_256_GCM_SHA384` or nothing, on both sides.',
    reading:
      'Dialling, a node sends nothing over TLS 1.2 or another suite, and presents its certificate to who has the right one.',
    mutants: ['tls-client-offers-1.2', 'tls-client-all-suites', 'tls-client-without-certificate'],
    needs: ['start', 'dial-back'],
    durationHintMs: 2_000,
    test: async (bench) => {
      const old = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256';
      const bad = [
        await serve(bench, 'a server of TLS 1.2', {
          listen: { tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: old } },
        }),
        await serve(bench, 'a server of AES-128', { listen: { tls: { ciphers: 'TLS_AES_128_GCM_SHA256' } } }),
        await serve(bench, 'a server of ChaCha20', {
          listen: { tls: { ciphers: 'TLS_CHACHA20_POLY1305_SHA256' } },
        }),
      ];
      const twin = await serve(bench, 'an honest server');
      const since = performance.now();
      const node = await bench.node({
        bootstrap: [...bad, twin].map((server) => server.puppet.bootstrap),
      });
      await twinGetsHello(node, twin);
      await tried(bench, bad, since);
      for (const { what, listener } of bad) {
        const far = listener.attempts.find(({ stage }) => stage === 'http' || stage === 'connected');
        if (far !== undefined)
          fail(`to ${what} the node sent its upgrade over ${far.tls?.protocol} with ${far.tls?.cipher}`);
      }
      return pass('TLS 1.2 and two other suites got nothing; an honest server got certificate and hello');
    },
  },
  {
    id: 'TLS-08',
    level: 'must',
    section: '8.1',
    role: 'c',
    quote: 'Both sides present a certificate, and each must prove the other',
    reading:
      'Dialling, a node sends no message to a server whose certificate does not prove, now, the identity under which it was learned.',
    ruling: 'Profile §4: "else close 4401 before any hello".',
    mutants: [
      'tls-client-trusts-all',
      'tls-client-other-node',
      'tls-client-expiry-unchecked',
      'tls-client-purpose-unchecked',
    ],
    needs: ['start', 'dial-back'],
    durationHintMs: 2_500,
    test: async (bench) => {
      const other = await createAuthority();
      const below = await bench.target.authority.intermediate();
      const now = Date.now();
      const certificates: Record<string, PuppetOptions['certificate']> = {
        'a self-signed server': selfSigned,
        "another CA's server": (identity) => other.issue(identity),
        "an intermediate's server": (identity) => below.issue(identity),
        'an expired server': { notBeforeMs: now - 9 * dayMs, notAfterMs: now - dayMs },
        'a not yet valid server': { notBeforeMs: now + dayMs, notAfterMs: now + 9 * dayMs },
        'a server for clients only': { extendedKeyUsage: [clientAuth] },
        'a server for servers only': { extendedKeyUsage: [serverAuth] },
        'a server that is a CA': { basicConstraints: 'authority' },
        'a server without an agent id': { agentIds: [] },
        'a server with two agent ids': { agentIds: ['agent_one', 'agent_two'] },
      };
      const bad: Server[] = [];
      for (const [what, certificate] of Object.entries(certificates))
        bad.push(await serve(bench, what, { puppet: { certificate: certificate! } }));
      const somebody = await serve(bench, 'a server that is another node');
      const absent = await bench.puppet('absent');
      const twin = await serve(bench, 'an honest server');
      const since = performance.now();
      const node = await bench.node({
        bootstrap: [
          ...[...bad, twin].map((server) => server.puppet.bootstrap),
          { ...somebody.puppet.bootstrap, publicKey: absent.bootstrap.publicKey },
        ],
      });
      await twinGetsHello(node, twin);
      await tried(bench, [...bad, somebody], since);
      for (const server of [...bad, somebody]) {
        const message = told(server);
        if (message !== null) fail(`${server.what} got a ${message}`);
      }
      return pass(`${bad.length + 1} servers got no message, an honest one a hello`);
    },
  },
  {
    id: 'TLS-09',
    level: 'should',
    section: '8.1',
    role: 's',
    quote: 'A server never resumes a session (sending tickets is harmless), no 0-RTT.',
    reading: 'Who offers the ticket of an earlier connection gets a full handshake.',
    mutants: ['tls-session-resumed'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('returning');
      const first = await puppet.join(node);
      // Tickets come right behind the handshake, so one that comes is there when a later answer is.
      await first.fence();
      const session = first.session();
      await first.close();
      if (session === undefined) return pass('the node sends no session ticket');
      const second = await puppet.join(node, { tls: { session } });
      if (second.tls.sessionReused) fail('the session of an earlier connection was resumed');
      await second.fence();
      return pass('the ticket of an earlier connection brought a full handshake');
    },
  },
  {
    id: 'TLS-10',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: 'One JSON envelope per **text** message, UTF-8, at most 65 536 bytes.',
    reading:
      'Messages are what WebSocket says, however TLS cuts them: byte by byte, several in one record, and across records.',
    mutants: ['split-message-lost', 'one-message-per-read', 'many-reads-lost'],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      await isNode(bench, node);
      const puppet = await bench.puppet('writer');
      const connection = await puppet.join(node);
      // A pong to a node that pings would stand in the middle of a message in pieces.
      connection.manners.pong = false;
      const count = await inPieces(connection);
      bench.step('a message of one record per byte');
      const envelope = probeEnvelope(connection);
      connection.sendText(written(envelope), { byteWise: true });
      await connection.fence(10_000);
      answered(connection, String(envelope.message_id), 'a message in records of one byte');
      return pass(`${count} messages in odd pieces and one byte by byte were answered`);
    },
  },
];
