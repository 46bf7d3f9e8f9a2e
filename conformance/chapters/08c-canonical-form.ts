/**
 * § 8.2 Canonical form: the bytes under a signature, by vectors that CPython made. Both ways: a node verifies what we sign, and
 * hands on what it took so that it still verifies.
 */

import { canonical, type Style } from '../../harness/wire/canonical.ts';
import type { Connection } from '../../harness/wire/connection.ts';
import { type Item, itemHash } from '../../harness/wire/items.ts';
import { float, isObject, type Json, type JsonObject, raw, readable } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted, query, refusedWithTwin, served, stillServed } from '../expect.ts';
import { attempt, probe, probeEnvelope } from '../probe.ts';
import type { Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';
import { asWritten, named, numbers, strings, structures, type Vector, value } from '../vectors.ts';

/** Every vector as an unknown member of a message: all are answered. */
async function verified(bench: Bench, connection: Connection, vectors: readonly Vector[]): Promise<void> {
  bench.step(`${vectors.length} messages with odd members`);
  const ids = vectors.map((vector) =>
    connection.sendEnvelope(probeEnvelope(connection, { odd: value(vector) })),
  );
  const wrong: string[] = [];
  for (const [index, id] of ids.entries()) {
    const answer = await connection.maybe((message) => message.requestId === id, 15_000);
    if (answer?.type === 'sync_digest') continue;
    // A text that could not be read is refused without its id.
    const said = answer?.errorCode ?? connection.seen('error').at(-1)?.errorCode ?? 'not answered';
    wrong.push(`${named(vectors[index]!)}: ${said}`);
    if (connection.ended !== null || wrong.length >= 5) break;
  }
  if (wrong.length > 0) {
    const because = `signed over its canonical form, but refused: ${wrong.join('; ')}`;
    if (wrong.every((one) => one.endsWith('not answered'))) late(because);
    fail(because);
  }
}

/** A message signed over the text of a member as it is written, where that is not canonical, does not verify. */
async function writtenForm(bench: Bench, connection: Connection, vectors: readonly Vector[]): Promise<void> {
  for (const vector of vectors) {
    if (vector.text === vector.canonical) continue;
    await refusedWithTwin(bench, {
      what: `a message signed over ${named(vector)} as it is written`,
      code: 'INVALID_SIGNATURE',
      close: null,
      bad: () => probe(connection, { odd: asWritten(vector) }),
      twin: () => probe(connection, { odd: value(vector) }),
    });
  }
}

/** The item as the node hands it on: it must hash and verify as what its author signed. */
async function handedOn(connection: Connection, item: Item): Promise<void> {
  const answer = await served(connection, item.hash);
  if (answer === null) fail('an accepted commit is not served under its hash');
  if (!answer.verified) fail('the message with the item in it does not verify', answer.text);
  const items = (answer.object.payload as JsonObject).items as readonly Json[];
  const envelope = items[0];
  if (!isObject(envelope)) fail('what is served is no item', answer.text);
  if (itemHash(envelope) !== item.hash) fail('the item served has another canonical form', answer.text);
  if (canonical(envelope) !== canonical(item.envelope))
    fail('the item served differs from the one signed', answer.text);
}

/** As members of messages and in the metadata of a commit, there and back. */
async function bothWays(
  bench: Bench,
  puppet: Puppet,
  connection: Connection,
  vectors: readonly Vector[],
): Promise<void> {
  await verified(bench, connection, vectors);
  bench.step(`a commit with ${vectors.length} odd values, there and back`);
  const item = puppet.commit({ metadata: { odd: vectors.map(value) } });
  await accepted(connection, item);
  await handedOn(connection, item);
}

/** Strings that CPython's vectors leave out: what HTML escapers and Unicode normalisers change. */
const furtherStrings: readonly Vector[] = [
  { text: '"<a href=\'&amp;\'>"', canonical: '"<a href=\'&amp;\'>"' },
  { text: '"e\u0301 \u212b \ufb01"', canonical: '"e\\u0301 \\u212b \\ufb01"' },
  { text: '"\\u00e9\\u0065\\u0301"', canonical: '"\\u00e9e\\u0301"' },
  { text: '"\\/\\u002f/"', canonical: '"///"' },
  { text: '"\u0085\u00a0\u00ad\u200b"', canonical: '"\\u0085\\u00a0\\u00ad\\u200b"' },
];

const odd = 'é \u2028 \u007f "\\" \n 😀 <&>';

/** One value, written in all ways that RFC 8259 allows. */
function styles(random: () => number): Record<string, Style> {
  return {
    'in the order given': { order: 'given' },
    'with members reversed': { order: 'reversed' },
    'with members shuffled': { order: 'shuffled', random },
    indented: { indent: 4 },
    'without spaces': { separators: [',', ':'], order: 'given' },
    'with tabs and line ends': { separators: ['\t,\r\n ', ' :\t'], order: 'reversed' },
    'with every character escaped': { escapes: 'all', order: 'shuffled', random },
    'with nothing escaped': { escapes: 'none', order: 'given', indent: 1 },
  };
}

export const rows: readonly Requirement[] = [
  {
    id: 'CAN-01',
    level: 'must',
    section: '8.2',
    role: 'b',
    quote:
      '`signature` = base64(Ed25519(node key, canonical form of the envelope without its `signature` member)).',
    reading:
      'The signature of every message that the node emits covers the canonical form of profile §3.1, whatever is in it; watched on all connections of the run.',
    mutants: ['signs-compact-form', 'signs-raw-utf8', 'signs-payload-alone', 'signs-empty-signature-member'],
    needs: [],
    durationHintMs: 1_000,
    test: async (bench) => {
      // Draws odd strings and numbers out of the node; the monitor judges everything else of the run.
      const node = await bench.shared();
      const puppet = await bench.puppet('author');
      const connection = await puppet.peer(node);
      const item = puppet.commit(
        { logic_signature: odd, confidence: float(1e-7), metadata: { odd: [float(-0), float(1e16), odd] } },
        { timestamp: Math.floor(Date.now() / 1000) },
      );
      await accepted(connection, item);
      const ruleHash = (item.envelope.payload as JsonObject).rule_hash as string;
      const { results } = await query(connection, 'by_hash', { rule_hash: ruleHash });
      if (results[0]?.logic_signature !== odd)
        fail(`a query gave ${readable(results[0]?.logic_signature)} for ${readable(odd)}`);
      await handedOn(connection, item);
      // §6: an error's request_id is the message_id as it was read.
      connection.sendEnvelope(probeEnvelope(connection, {}, { messageId: odd }));
      await connection.next('error:MALFORMED');
      await connection.request('state_sync', {
        sync_type: 'request',
        checkpoint_hash: null,
        last_known_height: 0,
      });
      const bad = connection.received.find((message) => !message.verified);
      if (bad !== undefined)
        fail(`the signature of a ${bad.type} does not cover its canonical form`, bad.text);
      return pass(`${connection.received.length} messages of this row verify under our own canonical form`);
    },
  },
  {
    id: 'CAN-02',
    level: 'must',
    section: '8.2',
    role: 's',
    quote:
      'The transmitted text may be formatted in any way: the receiver derives the bytes from what it parsed',
    reading: 'Order of members, white space and escapes of the transmitted text change nothing.',
    mutants: ['verifies-raw-bytes', 'verifies-in-wire-order', 'verifies-nested-in-wire-order'],
    needs: [],
    durationHintMs: 1_200,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('writer');
      const connection = await puppet.join(node);
      const members = { z: odd, a: { y: [1, { d: 2, c: 3 }], b: odd, ü: { q: 1, p: 2 } } };
      const all = Object.entries(styles(bench.random.float));
      for (const [what, style] of all) {
        await refusedWithTwin(bench, {
          what: `a changed message ${what}`,
          code: 'INVALID_SIGNATURE',
          close: null,
          bad: () => {
            const envelope = probeEnvelope(connection, members);
            return attempt(connection, { ...envelope, colour: 'red' }, style);
          },
          twin: () => probe(connection, {}, {}),
        });
        const outcome = await attempt(connection, probeEnvelope(connection, members), style);
        if (!outcome.accepted) fail(`a message ${what} was refused: ${outcome.detail}`);
      }
      bench.step('a message within white space');
      const envelope = probeEnvelope(connection, members);
      connection.sendText(` \n\t\r${canonical(envelope)}\r\n `);
      const answer = await connection.answer(String(envelope.message_id));
      if (answer.type === 'error') fail(`a message within white space was answered ${answer.errorCode}`);
      for (const [what, style] of all.slice(0, 8)) {
        bench.step(`a commit ${what}`);
        const item = puppet.commit({ metadata: members });
        connection.sendEnvelope(item.envelope, style);
        const said = await connection.answer(item.messageId);
        if (said.payload?.item_hash !== item.hash)
          fail(`a commit ${what} was answered ${said.errorCode ?? readable(said.payload)}`);
        await handedOn(connection, item);
      }
      return pass(`messages and commits in ${all.length} ways of writing verified, and were handed on whole`);
    },
  },
  {
    id: 'CAN-03',
    level: 'must',
    section: '8.2',
    role: 's',
    quote:
      "integers in full (`-0` prints `0`); a float token prints as\nCPython's `repr` of the double (`1700000000.0`, `1e-07`, `1e+16`, `100000.0` for `1E5`, `0.1`, `-0.0`, `0.0` for `1e-400`)",
    reading:
      "Numbers are signed as CPython prints them, integers apart from floats and in full; nodes verify and hand on all of CPython's vectors.",
    mutants: [
      'floats-as-integers',
      'floats-as-javascript',
      'floats-positional-to-1e21',
      'minus-zero-lost',
      'big-integers-rounded',
      'long-integers-refused',
      'floats-of-fifteen-digits',
    ],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('counter');
      const connection = await puppet.join(node);
      await bothWays(bench, puppet, connection, numbers);
      await writtenForm(bench, await puppet.join(node), numbers);
      const now = Math.floor(Date.now() / 1000);
      const stamps: readonly Vector[] = [
        { text: `${now}`, canonical: `${now}` },
        { text: `${now}.0`, canonical: `${now}.0` },
        { text: `${now}e0`, canonical: `${now}.0` },
        { text: `${now}0E-1`, canonical: `${now}.0` },
        { text: `${now}.250`, canonical: `${now}.25` },
        { text: `${now}.1234567`, canonical: `${now}.1234567` },
      ];
      for (const stamp of stamps) {
        bench.step(`a timestamp written ${stamp.text}`);
        const outcome = await probe(connection, {}, { timestamp: value(stamp) });
        if (!outcome.accepted) fail(`a timestamp written ${stamp.text} was refused: ${outcome.detail}`);
        const item = puppet.commit({ confidence: raw('5E-1', '0.5') }, { timestamp: value(stamp) });
        await accepted(connection, item);
        await handedOn(connection, item);
      }
      return pass(`${numbers.length} numbers and ${stamps.length} timestamps verified there and back`);
    },
  },
  {
    id: 'CAN-04',
    level: 'must',
    section: '8.2',
    role: 's',
    quote:
      'everything outside\nU+0020–U+007E, and `"` and `\\`, escaped (`\\n \\r \\t \\b \\f \\" \\\\`, else `\\uxxxx`, astral as a surrogate pair; `/` is not escaped, U+007F is)',
    reading: "Strings are signed in CPython's escapes, however they are written.",
    mutants: [
      'del-unescaped',
      'escapes-in-capitals',
      'slash-escaped',
      'html-escaped',
      'short-escapes-unknown',
      'strings-normalised',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('writer');
      const connection = await puppet.join(node);
      const all = [...strings, ...furtherStrings];
      await bothWays(bench, puppet, connection, all);
      await writtenForm(bench, await puppet.join(node), all);
      await stillServed(connection);
      return pass(`${all.length} strings verified there and back`);
    },
  },
  {
    id: 'CAN-05',
    level: 'must',
    section: '8.2',
    role: 's',
    quote: 'Sorting is by Unicode code point (not UTF-16).',
    reading:
      'Keys are sorted by code point at every level, also such as look like numbers, are empty, or mean something to a language.',
    mutants: ['keys-by-utf-16', 'keys-numbers-first', 'keys-by-locale', 'keys-without-case', 'proto-lost'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('sorter');
      const connection = await puppet.join(node);
      await bothWays(bench, puppet, connection, structures);
      await writtenForm(bench, await puppet.join(node), structures);
      const keys = ['10', '9', '', '1e3', 'Z', 'a', '_', '~', '\u007f', 'é', '\uffee', '\u{1f600}', '\ue000'];
      const members = Object.fromEntries(keys.map((key, index) => [key, index]));
      bench.step('odd keys in the envelope and in its sender');
      const everywhere = { extra: members, senderMembers: members };
      const outcome = await probe(connection, members, everywhere);
      if (!outcome.accepted) fail(`odd keys at every level of a message were refused: ${outcome.detail}`);
      const item = puppet.commit({ ...members, metadata: members }, everywhere);
      await accepted(connection, item);
      await handedOn(connection, item);
      return pass(
        `${structures.length} objects and ${keys.length} keys at every level verified there and back`,
      );
    },
  },
];
