/** § 8.2 and the message formats: what is no JSON of this network, and must harm nobody. */

import { canonical, written } from '../../harness/wire/canonical.ts';
import type { Connection } from '../../harness/wire/connection.ts';
import { isObject, type Json, type JsonObject, raw } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted, answerTo, refusedWithTwin, served, stillServed } from '../expect.ts';
import { attempt, probe, probeEnvelope } from '../probe.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

/** Refused as MALFORMED where it stands in a payload; the connection stays. Signed as a lax reader would have it. */
async function malformedMember(
  bench: Bench,
  connection: Connection,
  what: string,
  member: Json,
): Promise<void> {
  await refusedWithTwin(bench, {
    what,
    code: 'MALFORMED',
    close: null,
    bad: () => probe(connection, { odd: member }),
    twin: () => probe(connection),
  });
}

/** The same for a whole text made of a good one. */
async function malformedText(
  bench: Bench,
  connection: Connection,
  what: string,
  change: (text: string) => string,
): Promise<void> {
  await refusedWithTwin(bench, {
    what,
    code: 'MALFORMED',
    close: null,
    bad: () => {
      const envelope = probeEnvelope(connection);
      const text = canonical(envelope);
      const bad = change(text);
      if (bad === text) throw new Error(`${what}: nothing was changed`);
      connection.sendText(bad);
      return answerTo(connection, String(envelope.message_id));
    },
    twin: () => probe(connection),
  });
}

/** As transmitted, and what lax readers make of it and would sign. */
const badNumbers: [text: string, signed: string][] = [
  ['NaN', 'NaN'],
  ['Infinity', 'Infinity'],
  ['-Infinity', '-Infinity'],
  ['nan', 'NaN'],
  ['1e309', 'Infinity'],
  ['-1e400', '-Infinity'],
  ['1e99999', 'Infinity'],
  [`1${'0'.repeat(4_300)}`, `1${'0'.repeat(4_300)}`],
  [`-${'9'.repeat(4_301)}`, `-${'9'.repeat(4_301)}`],
  ['01', '1'],
  ['-01', '-1'],
  ['+1', '1'],
  ['1.', '1.0'],
  ['.5', '0.5'],
  ['-.5', '-0.5'],
  ['1e', '1.0'],
  ['0x10', '16'],
  ['1_000', '1000'],
  ['٣', '3'],
];

const loneSurrogates = [
  '"\\ud800"',
  '"\\udc00"',
  '"\\ude00\\ud83d"',
  '"a\\ud83dz"',
  '"\\ud83d\\ud83d\\ude00"',
];

/** Bytes that stand for a character in a string of a signed message, as a lax reader would replace them. */
const badUtf8: Record<string, number[]> = {
  'the byte FF': [0xff],
  'a continuation byte alone': [0x80],
  'a character cut short': [0xe2, 0x82],
  'an overlong slash': [0xc0, 0xaf],
  'an overlong NUL of three bytes': [0xe0, 0x80, 0x80],
  'a surrogate in UTF-8': [0xed, 0xa0, 0x80],
  'a character beyond U+10FFFF': [0xf4, 0x90, 0x80, 0x80],
  'a letter of Latin-1': [0xe9],
};

/** A probe in which one character is those bytes, signed with U+FFFD in its place. */
function withBytes(connection: Connection, bytes: readonly number[]): { text: Buffer; id: string } {
  const envelope = probeEnvelope(connection, { odd: 'before \ufffd after' });
  const text = Buffer.from(written(envelope, { escapes: 'none' }), 'utf8');
  const at = text.indexOf(Buffer.from('\ufffd', 'utf8'));
  const spoiled = Buffer.concat([text.subarray(0, at), Buffer.from(bytes), text.subarray(at + 3)]);
  return { text: spoiled, id: String(envelope.message_id) };
}

function nested(depth: number, kind: 'arrays' | 'objects' | 'both'): Json {
  let value: Json = 1;
  for (let level = 0; level < depth; level += 1) {
    const isArray = kind === 'arrays' || (kind === 'both' && level % 2 === 0);
    value = isArray ? [value] : { a: value };
  }
  return value;
}

export const rows: readonly Requirement[] = [
  {
    id: 'CAN-06',
    level: 'must',
    section: 'F6',
    role: 'b',
    quote:
      'JSON (RFC 8259) without BOM, duplicate keys (compared after unescaping), NaN/Infinity, floats that overflow, lone surrogates, integers of more than 4 300 digits',
    reading:
      'NaN, Infinity, overflowing floats, longer integers and numbers that RFC 8259 does not know are MALFORMED, also where the signature fits a lax reading; emission is watched on all connections of the run.',
    mutants: ['nan-read', 'overflow-read', 'endless-integers', 'leading-zeros-read', 'nan-emitted'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('counter');
      const connection = await puppet.join(node);
      for (const [text, signed] of badNumbers) {
        const what = `the number ${text.length > 20 ? `of ${text.length} characters` : text}`;
        await malformedMember(bench, connection, what, raw(text, signed));
      }
      bench.step('a commit with NaN as its confidence');
      for (const text of ['NaN', '1e999']) {
        const item = puppet.commit({ confidence: raw(text, text === 'NaN' ? 'NaN' : 'Infinity') });
        const outcome = await attempt(connection, item.envelope);
        if (outcome.code !== 'MALFORMED')
          fail(`a commit with confidence ${text}, expected MALFORMED: ${outcome.detail}`);
        if ((await served(connection, item.hash)) !== null)
          fail(`a commit with confidence ${text} was taken`);
      }
      const stamp = await attempt(connection, probeEnvelope(connection, {}, { timestamp: raw('NaN') }));
      if (stamp.code !== 'MALFORMED') fail(`a timestamp of NaN, expected MALFORMED: ${stamp.detail}`);
      // What a mean over nothing would be: an empty group must not show as NaN.
      await connection.request('query', {
        query_type: 'by_context',
        filters: { context_pattern: 'nothing *' },
      });
      await connection.request('state_sync', {
        sync_type: 'request',
        checkpoint_hash: null,
        last_known_height: 0,
      });
      return pass(`${badNumbers.length} numbers were MALFORMED`);
    },
  },
  {
    id: 'CAN-07',
    level: 'must',
    section: '8.2',
    role: 's',
    quote: 'duplicate keys (compared after unescaping)',
    reading:
      'A message with a key twice in any object is MALFORMED, whichever of the two its signature covers, and has no effect.',
    mutants: [
      'duplicates-last-wins',
      'duplicates-first-wins',
      'duplicates-before-unescaping',
      'duplicates-at-top-only',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const [puppet, other] = await bench.puppets(2);
      const connection = await puppet!.join(node);
      const before = (mark: string, put: string) => (text: string) => text.replace(mark, put + mark);
      const behind = (pattern: RegExp, put: string) => (text: string) => text.replace(pattern, `$&${put}`);
      const texts: Record<string, (text: string) => string> = {
        'a second node_id, its own last': before('"node_id"', `"node_id": "${other!.nodeId}", `),
        'a second node_id, its own first': behind(/"node_id": "[^"]*"/, `, "node_id": "${other!.nodeId}"`),
        'the same node_id twice': before('"node_id"', `"node_id": "${puppet!.nodeId}", `),
        'a second payload before it': before('"payload"', '"payload": {}, '),
        'a second payload at the end': (text) => text.replace(/\}$/, ', "payload": {}}'),
        'a second message_type': before('"message_type"', '"message_type": "commit", '),
        'a second timestamp': before('"timestamp"', '"timestamp": 1, '),
        'a second signature': before('"signature"', '"signature": "", '),
        'a second version': (text) => text.replace(/\}$/, ', "version": "1.0"}'),
        'a second key, written with an escape': before('"message_type"', '"message\\u005ftype": "commit", '),
      };
      for (const [what, change] of Object.entries(texts))
        await malformedText(bench, connection, what, change);
      const members: Record<string, [text: string, signed: string]> = {
        'a member twice, signed as the last': ['{"a": 1, "a": 2}', '{"a": 2}'],
        'a member twice, signed as the first': ['{"a": 1, "a": 2}', '{"a": 1}'],
        'a member twice with one value': ['{"a": 1, "b": 0, "a": 1}', '{"a": 1, "b": 0}'],
        'a member twice, once in escapes': ['{"a": 1, "\\u0061": 2}', '{"a": 2}'],
        'an empty key twice': ['{"": 1, "": 2}', '{"": 2}'],
        'a member twice, deep down': ['[[{"x": [{"a": 1, "a": 2}]}]]', '[[{"x": [{"a": 2}]}]]'],
        '__proto__ twice': ['{"__proto__": 1, "__proto__": 2}', '{"__proto__": 2}'],
        'a long key twice': [`{"${'k'.repeat(80)}": 1, "${'k'.repeat(80)}": 2}`, `{"${'k'.repeat(80)}": 2}`],
      };
      for (const [what, [text, signed]] of Object.entries(members)) {
        await malformedMember(bench, connection, what, raw(text, signed));
        const item = puppet!.commit({ metadata: raw(`{"m": ${text}}`, `{"m": ${signed}}`) });
        const outcome = await attempt(connection, item.envelope);
        if (outcome.code !== 'MALFORMED')
          fail(`a commit with ${what}, expected MALFORMED: ${outcome.detail}`);
        if ((await served(connection, item.hash)) !== null) fail(`a commit with ${what} was taken`);
      }
      await accepted(connection, puppet!.commit({ metadata: { a: 1, A: 2, ' a': 3 } }));
      const count = Object.keys(texts).length + Object.keys(members).length;
      return pass(`${count} texts with a key twice were MALFORMED`);
    },
  },
  {
    id: 'CAN-08',
    level: 'must',
    section: 'F6',
    role: 's',
    quote: 'Over-long: close 1009. Invalid UTF-8: close 1007.',
    reading:
      'Text that is no UTF-8 closes 1007; a byte order mark and escapes of half a character are MALFORMED. None of it harms the next peer.',
    mutants: ['replacement-characters', 'bom-skipped', 'lone-surrogates-read', 'utf8-crash'],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('writer');
      const watcher = await (await bench.puppet('watcher')).join(node);
      for (const [what, bytes] of Object.entries(badUtf8)) {
        const connection = await puppet.join(node);
        await refusedWithTwin(bench, {
          what: `a text with ${what}`,
          close: 1007,
          bad: () => {
            const { text, id } = withBytes(connection, bytes);
            connection.sendText(text);
            return answerTo(connection, id, { awaitClose: true });
          },
          twin: () => probe(watcher, { odd: 'é \u20ac \u{1f600}' }, {}, { escapes: 'none' }),
        });
      }
      const connection = await puppet.join(node);
      await malformedText(bench, connection, 'a byte order mark', (text) => `\ufeff${text}`);
      await malformedText(bench, connection, 'a byte order mark behind a space', (text) => ` \ufeff${text}`);
      for (const text of loneSurrogates) {
        const lax = raw(text, text);
        await malformedMember(bench, connection, `the string ${text}`, lax);
        await malformedMember(bench, connection, `the key ${text}`, raw(`{${text}: 1}`, `{${text}: 1}`));
      }
      bench.step('a character cut in two by fragments');
      const envelope = probeEnvelope(connection, { odd: 'é \u20ac \u{1f600}' });
      const text = written(envelope, { escapes: 'none' });
      const at = Buffer.from(text, 'utf8').indexOf(0xc3) + 1;
      connection.sendText(text, { fragments: [at], pings: true });
      const answer = await connection.answer(String(envelope.message_id));
      if (answer.type === 'error') fail(`a character in two fragments was answered ${answer.errorCode}`);
      await stillServed(watcher);
      return pass(
        `${Object.keys(badUtf8).length} texts closed 1007, marks and half characters were MALFORMED`,
      );
    },
  },
  {
    id: 'CAN-09',
    level: 'should',
    section: 'F6',
    role: 's',
    quote: '`metadata: {}` with a key `__proto__` is an ordinary key.',
    reading: 'Keys that mean something to a language, and nesting of any depth, do no harm.',
    mutants: ['proto-lost', 'proto-pollutes', 'deep-nesting-crashes'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('polluter');
      const connection = await puppet.join(node);
      const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__class__'];
      for (const name of names) {
        bench.step(`a commit with a member ${name}`);
        const inner: JsonObject = Object.create(null) as JsonObject;
        inner[name] = { polluted: true, limit: 0 };
        const item = puppet.commit({ metadata: inner });
        await accepted(connection, item);
        const answer = await served(connection, item.hash);
        const items = (answer?.object.payload as JsonObject | undefined)?.items as readonly Json[];
        if (!isObject(items?.[0]) || canonical(items[0]) !== canonical(item.envelope))
          fail(`a commit with a member ${name} is not handed on as it was signed`);
      }
      bench.step('required members inside __proto__');
      const inside = canonical({ root: null, prefix: 'f', state_root: '0'.repeat(64), item_count: 0 });
      const id = connection.send('sync_digest', raw(`{"__proto__": ${inside}}`));
      const outcome = await answerTo(connection, id);
      if (outcome.code !== 'MALFORMED') fail(`a payload that has only __proto__: ${outcome.detail}`);
      const texts: Record<string, string> = {
        'ten thousand arrays': '['.repeat(10_000) + ']'.repeat(10_000),
        'ten thousand objects': `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
        '65 000 brackets that never end': '['.repeat(65_000),
        'ten thousand arrays as a member': `{"payload":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
      };
      for (const [what, text] of Object.entries(texts)) {
        bench.step(what);
        connection.sendText(text);
        const refused = await answerTo(connection, null);
        if (refused.code !== 'MALFORMED') fail(`${what}, expected MALFORMED: ${refused.detail}`);
      }
      await stillServed(connection);
      return pass(`${names.length} names and ${Object.keys(texts).length} deep texts did no harm`);
    },
  },
  {
    id: 'CAN-10',
    level: 'must',
    section: 'F6',
    role: 's',
    quote: 'depth ≤ 32, counting objects and arrays, where the envelope itself has depth 1.',
    reading:
      'A message of depth 32 is answered, one of depth 33 is MALFORMED, made of arrays, of objects, or of both.',
    mutants: ['depth-thirty-one', 'depth-thirty-three', 'depth-of-objects-only', 'depth-of-arrays-only'],
    needs: [],
    durationHintMs: 600,
    test: async (bench) => {
      const node = await bench.shared();
      const connection = await (await bench.puppet('nester')).join(node);
      for (const kind of ['arrays', 'objects', 'both'] as const) {
        // The payload has depth 2, so a member of it has 30 levels left.
        const outcome = await probe(connection, { deep: nested(30, kind) });
        if (!outcome.accepted) fail(`depth 32 of ${kind} was refused: ${outcome.detail}`);
        await malformedMember(bench, connection, `depth 33 of ${kind}`, nested(31, kind));
        await malformedMember(bench, connection, `depth 40 of ${kind}`, nested(38, kind));
      }
      const beside = { extra: { deep: nested(31, 'both') } };
      const outcome = await probe(connection, {}, beside);
      if (!outcome.accepted) fail(`depth 32 beside the payload was refused: ${outcome.detail}`);
      await refusedWithTwin(bench, {
        what: 'depth 33 beside the payload',
        code: 'MALFORMED',
        close: null,
        bad: () => probe(connection, {}, { extra: { deep: nested(32, 'both') } }),
        twin: () => probe(connection, {}, beside),
      });
      const wide = Array.from({ length: 200 }, () => [[]]);
      if (!(await probe(connection, { wide })).accepted)
        fail('many arrays side by side were taken for depth');
      return pass('depth 32 was answered, 33 and 40 were MALFORMED');
    },
  },
];
