/** Message format: the WebSocket that carries envelopes, and what is not one. */

import { canonical } from '../../harness/wire/canonical.ts';
import type { Connection } from '../../harness/wire/connection.ts';
import { type OutgoingFrame, opcodes } from '../../harness/wire/frames.ts';
import type { UpgradeSettings } from '../../harness/wire/transport.ts';
import type { Bench } from '../bench.ts';
import { answerTo, endedBy, refusedWithTwin, stillServed, tryHandshake } from '../expect.ts';
import { probe, probeEnvelope } from '../probe.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import type { NodeUnderTest } from '../target.ts';

/** Texts that are no envelope; all but the last few are no JSON object either. */
const noEnvelopes: Record<string, string> = {
  'an empty text': '',
  'white space': ' \n',
  'an array': '[]',
  'an array of envelopes': '[{}]',
  'a number': '1',
  'a string': '"hello"',
  null: 'null',
  true: 'true',
  'an empty object': '{}',
  'an unknown object': '{"type":"hello"}',
  'a brace': '{',
  'a text cut short': '{"version": "1.0", "message_ty',
  'a string that never ends': '"',
  undefined: 'undefined',
  'no JSON': 'hello',
  XML: '<hello/>',
  'a NUL': '\u0000',
  'two objects': '{}{}',
};

/** What lax readers forgive: a good message spoiled in one place. */
const laxities: Record<string, (text: string) => string> = {
  'a comma at the end': (text) => text.replace(/\}$/, ', }'),
  'a comma too many': (text) => text.replace(', ', ', , '),
  'no comma': (text) => text.replace(', ', ' '),
  'a comment': (text) => text.replace('{', '{/* hello */'),
  'a comment at the end': (text) => `${text} // hello`,
  'single quotes': (text) => text.replace('"version"', "'version'"),
  'a key without quotes': (text) => text.replace('"version"', 'version'),
  'something behind it': (text) => `${text} x`,
  'a second message behind it': (text) => `${text}\n${text}`,
  'a NUL behind it': (text) => `${text}\u0000`,
  'a tab inside a string': (text) => text.replace('"version": "1.0"', '"version": "1.0", "x": "\t"'),
  'a line feed inside a string': (text) => text.replace('"version": "1.0"', '"version": "1.0", "x": "\n"'),
  'an unknown escape': (text) => text.replace('"version": "1.0"', '"version": "1.0", "x": "\\x41"'),
  'a \\u escape of three digits': (text) =>
    text.replace('"version": "1.0"', '"version": "1.0", "x": "\\u041"'),
  'a no-break space between members': (text) => text.replace(', ', ',\u00a0'),
  'True in place of true': (text) => text.replace('"version": "1.0"', '"version": "1.0", "x": True'),
};

/** A message in these fragments is one message. */
async function inFragments(
  connection: Connection,
  what: string,
  sizes: readonly number[],
  pings: boolean,
): Promise<void> {
  // Characters of two, three and four bytes as they are: a fragment may end within one (RFC 6455 §5.6).
  const envelope = probeEnvelope(connection, { note: 'é€😀' });
  const unescaped = (_: string, digits: string): string => String.fromCharCode(Number.parseInt(digits, 16));
  const text = canonical(envelope).replace(/\\u([0-9a-f]{4})/g, unescaped);
  connection.sendText(text, { fragments: sizes, pings });
  await connection.fence(10_000);
  const answers = connection.seen((message) => message.requestId === envelope.message_id);
  if (answers.length !== 1) fail(`${what} brought ${answers.length} answers, expected one`);
  if (answers[0]!.type === 'error') fail(`${what} was answered ${answers[0]!.errorCode}`);
}

/** RFC 6455 forbids these frames: whoever gets one ends the connection. */
const forbidden: Record<string, readonly OutgoingFrame[]> = {
  'an unmasked frame': [{ opcode: opcodes.text, payload: '{}', mask: false }],
  'a reserved opcode': [{ opcode: 3, payload: '{}' }],
  'a reserved control opcode': [{ opcode: 11, payload: '' }],
  'a reserved bit': [{ opcode: opcodes.text, payload: '{}', rsv: 2 }],
  'a compressed frame, though none was agreed on': [{ opcode: opcodes.text, payload: '{}', rsv: 4 }],
  'a fragmented ping': [{ opcode: opcodes.ping, payload: 'a', fin: false }],
  'a ping of 126 bytes': [{ opcode: opcodes.ping, payload: 'a'.repeat(126) }],
  'a continuation of nothing': [{ opcode: opcodes.continuation, payload: '{}' }],
  'a new text within another': [
    { opcode: opcodes.text, payload: '{', fin: false },
    { opcode: opcodes.text, payload: '}' },
  ],
};

/** The connection ends by it, and the next peer is served. */
async function endsConnection(
  bench: Bench,
  node: NodeUnderTest,
  connection: Joined,
  what: string,
  frames: readonly OutgoingFrame[],
): Promise<void> {
  bench.step(what);
  for (const frame of frames) connection.sendFrame(frame);
  await endedBy(connection, what, null);
  const next = await tryHandshake(await bench.puppet('next'), node);
  if (!next.accepted) fail(`after ${what} the next peer was refused: ${next.detail}`);
}

async function upgradeRefused(
  bench: Bench,
  node: NodeUnderTest,
  what: string,
  upgrade: UpgradeSettings,
  status: number,
): Promise<void> {
  bench.step(what);
  const puppet = await bench.puppet('visitor');
  const outcome = await puppet.dial(node, { upgrade });
  if (outcome.kind === 'connected') fail(`${what} got a connection`);
  if (outcome.httpStatus !== status) fail(`${what} got no ${status}: ${outcome.detail}`);
  const twin = await tryHandshake(puppet, node);
  if (!twin.accepted) fail(`beside ${what} an ordinary upgrade was refused: ${twin.detail}`);
}

export const rows: readonly Requirement[] = [
  {
    id: 'ENV-05',
    level: 'must',
    section: 'F6',
    role: 's',
    quote: 'Binary message: close 1003.',
    reading:
      'Texts that are no envelope are MALFORMED and leave the connection, a binary message closes it with 1003, and the next peer is served.',
    mutants: [
      'crash-on-null',
      'empty-text-ignored',
      'trailing-comma-read',
      'text-behind-ignored',
      'control-characters-read',
      'binary-read',
      'malformed-closes',
    ],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('babbler');
      const connection = await puppet.join(node);
      for (const [what, text] of Object.entries(noEnvelopes)) {
        await refusedWithTwin(bench, {
          what,
          code: 'MALFORMED',
          close: null,
          bad: () => {
            connection.sendText(text);
            return answerTo(connection, null);
          },
          twin: () => probe(connection),
        });
      }
      for (const [what, spoil] of Object.entries(laxities)) {
        await refusedWithTwin(bench, {
          what: `a message with ${what}`,
          code: 'MALFORMED',
          close: null,
          bad: () => {
            const envelope = probeEnvelope(connection);
            connection.sendText(spoil(canonical(envelope)));
            return answerTo(connection, String(envelope.message_id));
          },
          twin: () => probe(connection),
        });
      }
      const fresh = await puppet.join(node);
      bench.step('a good message as binary');
      const envelope = probeEnvelope(fresh);
      fresh.sendFrame({ opcode: opcodes.binary, payload: canonical(envelope) });
      await endedBy(fresh, 'a binary message', 1003);
      await stillServed(connection);
      const next = await tryHandshake(await bench.puppet('next'), node);
      if (!next.accepted) fail(`the next peer was refused: ${next.detail}`);
      const count = Object.keys(noEnvelopes).length + Object.keys(laxities).length;
      return pass(`${count} texts were MALFORMED, a binary message closed 1003`);
    },
  },
  {
    id: 'ENV-08',
    level: 'must',
    section: '8',
    role: 's',
    quote: 'Fragments and interleaved control frames are reassembled.',
    reading:
      'A text in fragments with pings between them is one message, each ping is answered with its payload, binary closes 1003, frames that RFC 6455 forbids end the connection, and a close is answered by one.',
    ruling:
      'RFC 6455 §5.5.1: who receives a Close frame and has not sent one "MUST send a Close frame in response".',
    mutants: [
      'binary-read',
      'fragment-is-message',
      'ping-unanswered',
      'ping-payload-lost',
      'few-fragments-allowed',
      'fragments-read-alone',
      'emits-binary',
      'unmasked-frames-read',
      'close-unanswered',
    ],
    needs: [],
    durationHintMs: 3_000,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('fragmenter');
      const connection = await puppet.join(node);
      await inFragments(connection, 'a message in two fragments', [100], false);
      await inFragments(connection, 'a message in fragments with pings between', [1, 2, 3, 100, 50], true);
      await inFragments(connection, 'a message with empty fragments', [0, 50, 0, 0], true);
      await inFragments(connection, 'a message in fragments of one byte', Array(600).fill(1), false);
      bench.step('pings with payloads');
      const payloads = ['', 'are you there', '\u00ff\u0000'.repeat(30), 'x'.repeat(125)];
      for (const payload of payloads) {
        // One at a time: of several, RFC 6455 lets an endpoint answer the last alone.
        connection.sendFrame({ opcode: opcodes.ping, payload });
        await connection.fence();
        const expected = Buffer.from(payload);
        // A control frame may be behind the answer to a later text.
        await bench.waitFor(`pong with the ${expected.length} bytes of a ping`, 2_000, () =>
          connection.controls.some(({ kind, payload }) => kind === 'pong' && payload.equals(expected)),
        );
      }
      connection.sendFrame({ opcode: opcodes.pong, payload: 'nobody asked' });
      await stillServed(connection);
      const binary = await puppet.join(node);
      bench.step('a good message as binary, in two fragments');
      const text = canonical(probeEnvelope(binary));
      binary.sendFrame({ opcode: opcodes.binary, payload: text.slice(0, 50), fin: false });
      binary.sendFrame({ opcode: opcodes.continuation, payload: text.slice(50) });
      await endedBy(binary, 'a binary message in two fragments', 1003);
      for (const [what, frames] of Object.entries(forbidden))
        await endsConnection(bench, node, await puppet.join(node), what, frames);
      bench.step('a close of our own');
      const leaving = await puppet.join(node);
      leaving.sendFrame({ opcode: opcodes.close, payload: Buffer.from([0x03, 0xe8]) });
      const left = await leaving.closedWithin(10_000);
      if (left === null) late('a close frame was not answered within 10 000 ms');
      // A reset may have overtaken the answer.
      if (left.how === 'fin' || left.how === 'tls-alert')
        fail(`a close frame was answered by none: the connection just ended (${left.detail})`);
      return pass(
        `four ways of fragments, ${payloads.length} pings and ${Object.keys(forbidden).length} forbidden frames`,
      );
    },
  },
  {
    id: 'ENV-09',
    level: 'must',
    section: '8',
    role: 's',
    quote:
      'path `/` (others: HTTP 404), subprotocol `cle-net.v1` (without it: HTTP 400), default port 8888. No extensions (no compression).',
    reading:
      'An upgrade elsewhere than on `/` gets 404, one without the subprotocol 400; of several subprotocols ours is chosen, and no extension is agreed on.',
    mutants: [
      'any-path',
      'path-is-400',
      'any-subprotocol',
      'subprotocol-by-prefix',
      'first-subprotocol-only',
      'compression-agreed',
      'subprotocol-not-confirmed',
    ],
    needs: [],
    durationHintMs: 1_000,
    test: async (bench) => {
      const node = await bench.shared();
      for (const path of ['/other', '/ws', '/index.html', '/cle-net.v1'])
        await upgradeRefused(bench, node, `an upgrade on ${path}`, { path }, 404);
      await upgradeRefused(bench, node, 'an upgrade without a subprotocol', { protocol: null }, 400);
      for (const protocol of ['chat', 'cle-net.v2', 'cle-net.v1x', 'chat, cle-net'])
        await upgradeRefused(bench, node, `an upgrade with the subprotocol ${protocol}`, { protocol }, 400);
      const puppet = await bench.puppet('visitor');
      for (const extensions of [
        'permessage-deflate',
        'permessage-deflate; client_max_window_bits, x-webkit-deflate-frame',
      ]) {
        bench.step(`an upgrade with ${extensions}`);
        const connection = await puppet.join(node, { upgrade: { extensions } });
        const agreed = connection.headers.get('sec-websocket-extensions');
        if (agreed !== undefined && agreed !== '') fail(`the extension ${agreed} was agreed on`);
        await stillServed(connection);
        await connection.close();
      }
      bench.step('several subprotocols in one offer');
      const several = await puppet.dial(node, { upgrade: { protocol: 'chat, cle-net.v1' } });
      if (several.kind === 'refused') fail(`an offer of chat and cle-net.v1 was refused: ${several.detail}`);
      const chosen = several.headers.get('sec-websocket-protocol');
      if (chosen !== 'cle-net.v1') fail(`of chat and cle-net.v1 ${JSON.stringify(chosen)} was chosen`);
      return pass('4 other paths got 404, 5 offers 400; no extension was agreed on');
    },
  },
];
