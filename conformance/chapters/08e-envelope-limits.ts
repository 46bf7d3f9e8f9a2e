/** Message format: sizes, on both sides of each limit, and messages that never end. */

import { canonical, written } from '../../harness/wire/canonical.ts';
import type { Connection } from '../../harness/wire/connection.ts';
import { opcodes } from '../../harness/wire/frames.ts';
import { itemRequest } from '../../harness/wire/gossip.ts';
import { commitOfSize } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import {
  accepted,
  answerTo,
  closedWith,
  endedBy,
  endsWith,
  query,
  refusedWithTwin,
  saidOf,
  tryHandshake,
} from '../expect.ts';
import { pairsOf, reportedFirst } from '../order.ts';
import { attempt, probeEnvelope } from '../probe.ts';
import type { Puppet } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';

const largestMessage = 65_536;
const largestPayload = 60_000;

/** A probe whose text has exactly `bytes` bytes, the rest being white space. */
function padded(connection: Connection, bytes: number): { text: string; id: string } {
  const envelope = probeEnvelope(connection);
  const text = written(envelope);
  return { text: text + ' '.repeat(bytes - text.length), id: String(envelope.message_id) };
}

/** A probe whose payload has exactly `bytes` bytes in canonical form; most of them are `filler`. */
function filled(connection: Connection, bytes: number, filler: string): JsonObject {
  const sizeOf = (padding: string): number =>
    canonical(probeEnvelope(connection, { padding }).payload!).length;
  const each = canonical(filler).length - 2;
  const room = bytes - sizeOf('');
  const padding = filler.repeat(Math.floor(room / each)) + 'x'.repeat(room % each);
  return probeEnvelope(connection, { padding });
}

export const rows: readonly Requirement[] = [
  {
    id: 'ENV-03',
    level: 'must',
    section: 'F5',
    role: 's',
    quote: '`payload` is an object of at most 60 000 bytes **in canonical form**',
    reading:
      'A message of 65 536 bytes is answered, of 65 537 closes 1009, in one frame or in several; a payload of 60 000 canonical bytes is answered, of 60 001 TOO_LARGE, however it is written.',
    mutants: [
      'message-limit-missing',
      'message-limit-lower',
      'message-limit-in-characters',
      'payload-limit-missing',
      'payload-limit-by-characters',
      'payload-limit-by-wire-bytes',
      'payload-limit-off-by-one',
      'signature-before-size',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      // Each stays within the bytes of a second (§9): four puppets, four budgets.
      const [puppet, filler, twin, white] = (await bench.puppets(4)) as [Puppet, Puppet, Puppet, Puppet];
      const connection = await twin.join(node);
      const full = async (fragments: readonly number[]): Promise<Awaited<ReturnType<typeof answerTo>>> => {
        const { text, id } = padded(connection, largestMessage);
        connection.sendText(text, { fragments });
        return answerTo(connection, id);
      };
      for (const fragments of [[], [40_000], [1, 65_000, 500]]) {
        bench.step('a message of 65 536 bytes');
        const outcome = await full(fragments);
        const how = fragments.length === 0 ? 'in one frame' : `in ${fragments.length + 1} frames`;
        if (!outcome.accepted) fail(`a message of 65 536 bytes ${how} was refused: ${outcome.detail}`);
      }
      const multi = (fresh: Connection): string => {
        const text = written(probeEnvelope(fresh, { padding: 'é'.repeat(33_000) }), { escapes: 'none' });
        return text + ' '.repeat(Math.max(0, largestMessage + 1 - Buffer.byteLength(text)));
      };
      const over: Record<string, (fresh: Connection) => [text: string, fragments: readonly number[]]> = {
        'a message of 65 537 bytes': (fresh) => [padded(fresh, largestMessage + 1).text, []],
        'a message of 65 537 bytes in two frames': (fresh) => [
          padded(fresh, largestMessage + 1).text,
          [40_000],
        ],
        'a message of 65 537 bytes with the last in a frame of its own': (fresh) => [
          padded(fresh, largestMessage + 1).text,
          [largestMessage],
        ],
        'a message of 200 000 bytes': (fresh) => [padded(fresh, 200_000).text, []],
        'a message of fewer characters, but too many bytes': (fresh) => [multi(fresh), []],
      };
      for (const [what, of] of Object.entries(over)) {
        const fresh = await puppet.join(node);
        await refusedWithTwin(bench, {
          what,
          close: 1009,
          bad: () => {
            const [text, fragments] = of(fresh);
            fresh.sendText(text, { fragments });
            return answerTo(fresh, null, { awaitClose: true });
          },
          twin: () => full([]),
        });
      }
      const fillers: Record<string, string> = {
        letters: 'x',
        'characters of two bytes': 'é',
        'astral characters': '😀',
        quotes: '"',
      };
      const small = await filler.join(node);
      for (const [what, filling] of Object.entries(fillers)) {
        bench.step(`a payload of 60 000 canonical bytes, of ${what}`);
        await refusedWithTwin(bench, {
          what: `a payload of 60 001 canonical bytes, of ${what}`,
          code: 'TOO_LARGE',
          close: null,
          bad: () => attempt(small, filled(small, largestPayload + 1, filling), { escapes: 'none' }),
          twin: () => attempt(small, filled(small, 50_000, 'x')),
        });
        const outcome = await attempt(small, filled(small, largestPayload, filling), {
          escapes: 'none',
        });
        if (!outcome.accepted)
          fail(`a payload of 60 000 canonical bytes, of ${what}, was refused: ${outcome.detail}`);
      }
      await reportedFirst(bench, node, await bench.puppet('large'), pairsOf('size'));
      bench.step('a small payload in much white space');
      const spaced = await white.join(node);
      const wide = written(probeEnvelope(spaced, { list: Array.from({ length: 400 }, (_, i) => i) }), {
        separators: [`,${' '.repeat(150)}`, ':'],
      });
      spaced.sendText(wide);
      const answer = await answerTo(spaced, (JSON.parse(wide) as { message_id: string }).message_id);
      if (!answer.accepted)
        fail(`a small payload, written in ${wide.length} bytes, was refused: ${answer.detail}`);
      return pass('65 536 bytes and 60 000 canonical ones were answered, one more of either was not');
    },
  },
  {
    id: 'ENV-04',
    level: 'must',
    section: 'F5',
    role: 'b',
    quote: 'as many as fit in 60 000 bytes',
    reading:
      'Asked for more than fits, a node answers within 65 536 bytes and 60 000 canonical ones of payload; watched on all connections of the run.',
    mutants: ['responses-unbounded', 'queries-unbounded', 'queries-bounded-by-characters'],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('author');
      const connection = await puppet.join(node);
      const author = { identity: puppet.identity, certificate: puppet.certificate };
      const items = [1, 2, 3].map(() => commitOfSize(author, 30_000));
      const long = '\u4e2d'.repeat(3_000);
      const wordy = [1, 2, 3, 4].map(() => puppet.commit({ logic_signature: long }));
      for (const item of [...items, ...wordy]) await accepted(connection, item);
      const hashes = [...items, ...wordy].map((item) => item.hash);
      bench.step('asking for 90 000 bytes of items at once');
      const answer = await connection.request('gossip', itemRequest(puppet.nodeId, hashes));
      const served: unknown = answer.payload?.items;
      if (!Array.isArray(served) || served.length === 0)
        fail('none of the items was served', answer.text.slice(0, 500));
      bench.step('a query whose results are 70 000 bytes');
      const { results, totalCount } = await query(connection, 'by_agent', { agent_id: puppet.agentId });
      if (totalCount < 7) fail(`a query for 7 groups counts ${totalCount}`);
      if (results.length === 0) fail('a query for 7 groups gives none, though each alone fits');
      for (const message of connection.received) {
        const payload = canonical(message.object.payload ?? null).length;
        if (message.size > largestMessage || payload > largestPayload)
          fail(`a ${message.type} of ${message.size} bytes, its payload ${payload} in canonical form`);
      }
      return pass(
        `${served.length} of 7 items and ${results.length} of 7 results came in messages within the limits`,
      );
    },
  },
  {
    id: 'ENV-06',
    level: 'should',
    section: 'F5',
    role: 's',
    quote: 'Over-long: close 1009.',
    reading:
      'A message that never ends closes 1009 when it has become too long, one that is announced too long at once or by then; a hello that comes byte by byte does not stretch its time.',
    mutants: ['message-limit-missing', 'hello-awaited-for-long', 'silence-ended-without-frame'],
    needs: [],
    durationHintMs: 8_000,
    cpu: 0.1,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('endless');
      const honest = await bench.puppet('honest');
      const slow = await (await bench.puppet('slow')).mustDial(node);
      const slowAt = performance.now();
      const head = Buffer.from('{"version": "1.0", "message_type": "hello", "message_id": "');
      slow.sendFrame({ opcode: opcodes.text, payload: head, fin: false });
      const trickle = setInterval(() => {
        if (slow.ended === null) slow.sendFrame({ opcode: opcodes.continuation, payload: 'x', fin: false });
      }, 500);
      bench.onClose(() => clearInterval(trickle));
      bench.step('fragments without an end');
      const endless = await puppet.join(node);
      endless.sendFrame({ opcode: opcodes.text, payload: '{"a": "', fin: false });
      for (let sent = 0; sent < 300_000 && endless.ended === null; sent += 10_000) {
        endless.sendFrame({ opcode: opcodes.continuation, payload: 'x'.repeat(10_000), fin: false });
        await endless.flushed();
      }
      if ((await endless.closedWithin(5_000)) === null)
        endless.sendFrame({ opcode: opcodes.continuation, payload: '"}' });
      await endedBy(endless, 'a message of 300 000 bytes in fragments', 1009);
      bench.step('a frame that declares a gigabyte');
      const huge = await puppet.join(node);
      huge.sendFrame({ opcode: opcodes.text, payload: 'x'.repeat(100_000), declaredLength: 2 ** 30 });
      await closedWith(huge, 1009, 10_000);
      bench.step('a hello that comes byte by byte');
      const closed = await slow.closedWithin(slowAt + 12_000 - performance.now());
      clearInterval(trickle);
      if (closed === null)
        return late('a hello was still awaited after 12 s, byte by byte, expected close 4408');
      if (!endsWith(closed, [4408]))
        fail(`a hello that did not come whole ended by ${saidOf(closed)}, expected close 4408`);
      const next = await tryHandshake(honest, node);
      if (!next.accepted) fail(`the next peer was refused: ${next.detail}`);
      return pass('endless messages closed 1009, a hello in single bytes 4408');
    },
  },
];
