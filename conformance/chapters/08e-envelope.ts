/** Message format: the envelope and its members. */

import { buildEnvelope, type Overrides, tampered } from '../../harness/wire/envelope.ts';
import { float, type Json, JsonFloat, readable } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { accepted, answerTo, refusedWithTwin, served, stillServed } from '../expect.ts';
import { pairsOf, reportedFirst } from '../order.ts';
import { attempt, probe, probeEnvelope } from '../probe.ts';
import type { Joined } from '../puppet.ts';
import { fail, late, pass, type Requirement } from '../requirement.ts';

/** A message of this form, well signed: MALFORMED, and the connection stays. */
async function malformed(
  bench: Bench,
  connection: Joined,
  what: string,
  overrides: Overrides,
): Promise<void> {
  await refusedWithTwin(bench, {
    what,
    code: 'MALFORMED',
    close: null,
    bad: () => attempt(connection, probeEnvelope(connection, {}, overrides)),
    twin: () => probe(connection),
  });
}

const uuid = '9b2d1c7e-5f3a-4e21-8c4d-0a1b2c3d4e5f';

/** Wrong kinds of each required member but the signature (SIG-02) and, besides null, the version (below). */
const wrong: [member: string, override: keyof Overrides, values: Record<string, Json | undefined>][] = [
  ['version', 'version', { absent: undefined, null: null }],
  [
    'message_type',
    'messageType',
    { absent: undefined, null: null, 'a number': 7, 'an array': ['query'], 'an object': {}, true: true },
  ],
  [
    'message_id',
    'messageId',
    {
      absent: undefined,
      null: null,
      'a number': 4,
      empty: '',
      'no UUID': 'message-1',
      'a UUID in capitals': uuid.toUpperCase(),
      'a UUID in braces': `{${uuid}}`,
      'a UUID without dashes': uuid.replaceAll('-', ''),
      'a UUID of version 1': uuid.replace('-4e21', '-1e21'),
      'a UUID of version 7': uuid.replace('-4e21', '-7e21'),
      'a UUID of another variant': uuid.replace('-8c4d', '-cc4d'),
      'a UUID with a line feed behind it': `${uuid}\n`,
      'a UUID as a URN': `urn:uuid:${uuid}`,
      'the nil UUID': '00000000-0000-0000-0000-000000000000',
    },
  ],
  [
    'timestamp',
    'timestamp',
    {
      absent: undefined,
      null: null,
      'a string': String(Date.now() / 1000),
      true: true,
      'an array': [1],
      negative: -1,
      'a negative float': float(-0.5),
      'a date': new Date().toISOString(),
    },
  ],
  [
    'sender',
    'sender',
    { absent: undefined, null: null, 'a string': 'agent_a', 'an array': [], empty: {}, 'a number': 1 },
  ],
  [
    'payload',
    'payload',
    { absent: undefined, null: null, 'a string': '{}', 'an array': [], 'a number': 0, false: false },
  ],
];

export const rows: readonly Requirement[] = [
  {
    id: 'ENV-01',
    level: 'must',
    section: 'F2',
    role: 'b',
    quote:
      'Every field is required. `timestamp` is a number ≥ 0 of Unix seconds; nodes emit it with a fraction.',
    reading:
      'What a node emits has all seven members, version "1.0", a message_id of its own in UUID form 4, and the time of sending in seconds; watched on all connections of the run.',
    ruling:
      'One integral timestamp may be chance (a clock at a whole second); six different ones of one type in a row are not.',
    mutants: [
      'message-id-reused',
      'message-id-version-one',
      'timestamp-in-ms',
      'timestamp-without-fraction',
      'timestamp-of-errors-whole',
      'timestamp-of-the-start',
      'emits-version-one',
      'emits-null-member',
    ],
    needs: [],
    durationHintMs: 8_500,
    cpu: 0,
    test: async (bench) => {
      // Draws one of most kinds out of the node; the monitor judges the rest of the run.
      const node = await bench.shared();
      const puppet = await bench.puppet('watcher');
      const connection = await puppet.peer(node);
      await accepted(connection, puppet.commit());
      await connection.request('query', { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } });
      for (let i = 0; i < 5; i += 1) connection.send('no_such_type', {});
      await connection.fence();
      const before = await connection.request('query', {
        query_type: 'by_hash',
        filters: { rule_hash: 'rule_0' },
      });
      for (let second = 1; second <= 7; second += 1) {
        await bench.sleep(1_050, "time that the node's clock must show");
        connection.send('no_such_type', {});
        await connection.fence();
      }
      const after = await connection.request('query', {
        query_type: 'by_hash',
        filters: { rule_hash: 'rule_0' },
      });
      const stamps = connection.received.map((message) => message.object.timestamp);
      if (stamps.length >= 6 && !stamps.some((stamp) => stamp instanceof JsonFloat))
        fail(`none of ${stamps.length} timestamps has a fraction`, after.text);
      const [from, to] = [before, after].map((message) => {
        const { timestamp } = message.object;
        return timestamp instanceof JsonFloat ? timestamp.float : Number(timestamp);
      }) as [number, number];
      const apart = to - from;
      const truly = (after.at - before.at) / 1000;
      if (!(Math.abs(apart - truly) < 1.4))
        late(`two messages ${truly.toFixed(1)} s apart have timestamps ${apart.toFixed(3)} s apart`);
      const ids = new Set(connection.received.map((message) => message.id));
      if (ids.size < connection.received.length) fail('a message_id came twice');
      return pass(`${ids.size} messages of this row are whole, with ids and times of their own`);
    },
  },
  {
    id: 'ENV-02',
    level: 'must',
    section: 'F2',
    role: 's',
    quote: 'Every field is required.',
    reading:
      'A message in which a member is absent, null, of another type or in another form is MALFORMED, however well signed; the connection stays.',
    ruling:
      'Check 3: a version that is there, but no string, is VERSION_MISMATCH; check 2: members of sender, too, must be strings.',
    mutants: [
      'message-id-any-form',
      'message-id-any-version',
      'message-id-in-capitals',
      'message-id-line-feed',
      'message-id-not-required',
      'timestamp-of-any-type',
      'timestamp-negative-accepted',
      'payload-of-any-type',
      'message-type-of-any-type',
      'sender-unchecked',
      'version-not-required',
      'malformed-closes',
      'version-before-shape',
    ],
    needs: [],
    durationHintMs: 2_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('writer');
      const connection = await puppet.join(node);
      let count = 0;
      for (const [member, override, values] of wrong) {
        for (const [what, value] of Object.entries(values)) {
          await malformed(bench, connection, `${member}: ${what}`, {
            [override]: value,
            // Every known type refuses such a payload for its members: here check 2 has to do it.
            ...(member === 'payload' ? { messageType: 'no_such_type' } : {}),
          });
          count += 1;
        }
      }
      for (const member of ['agent_id', 'node_id', 'public_key']) {
        for (const [what, value] of Object.entries({
          absent: undefined,
          null: null,
          'a number': 1,
          'an array': [],
        })) {
          await malformed(bench, connection, `sender.${member}: ${what}`, {
            senderMembers: { [member]: value },
          });
          count += 1;
        }
      }
      for (const value of [float(1), ['1.0'], {}, true]) {
        const fresh = await puppet.join(node);
        await refusedWithTwin(bench, {
          what: `a version that is no string: ${readable(value)}`,
          code: 'VERSION_MISMATCH',
          close: 4426,
          bad: () => {
            const id = fresh.sendEnvelope(probeEnvelope(fresh, {}, { version: value }));
            return answerTo(fresh, id, { awaitClose: true });
          },
          twin: () => probe(connection, {}, { version: '1.7' }),
        });
      }
      await reportedFirst(bench, node, puppet, pairsOf('shape'));
      bench.step('a commit without its message_id');
      const item = puppet.commit({}, { messageId: undefined });
      const outcome = await attempt(connection, item.envelope);
      if (outcome.code !== 'MALFORMED')
        fail(`a commit without message_id, expected MALFORMED: ${outcome.detail}`);
      if ((await served(connection, item.hash)) !== null) fail('a commit without message_id was taken');
      const zero = await probe(connection, {}, { timestamp: 0 });
      if (zero.code !== 'STALE') fail(`a timestamp of 0 is a number ≥ 0, but stale: ${zero.detail}`);
      await stillServed(connection);
      return pass(
        `${count} messages with a wrong member were MALFORMED, a version of another type closed 4426`,
      );
    },
  },
  {
    id: 'ENV-07',
    level: 'must',
    section: 'F2',
    role: 's',
    quote: 'Unknown members are allowed in every object and are covered by the signature.',
    reading:
      'Control: a message with members that nobody knows is answered; altered after signing, it is not.',
    mutants: ['unknown-members-refused', 'unknown-members-unsigned'],
    needs: [],
    durationHintMs: 800,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('asker');
      const connection = await puppet.join(node);
      const ask = (wind: string): ReturnType<typeof answerTo> => {
        const payload = {
          query_type: 'by_hash',
          filters: { rule_hash: 'rule_0', colour: 'red' },
          mood: [1, { a: 1.5 }],
        };
        const extra = { weather: { wind: 'east' } };
        const signed = buildEnvelope(connection.puppet.identity, 'query', payload, { extra });
        return answerTo(connection, connection.sendEnvelope(tampered(signed, ['weather', 'wind'], wind)));
      };
      bench.step('sending a query with unknown members');
      const plainly = await ask('east');
      if (!plainly.accepted && plainly.code !== null)
        fail(`a query with unknown members was refused: ${plainly.detail}`);
      await refusedWithTwin(bench, {
        what: 'a query whose unknown members were altered after signing',
        code: 'INVALID_SIGNATURE',
        close: null,
        bad: () => ask('west'),
        twin: () => ask('east'),
      });
      bench.step('a commit and a hello with unknown members');
      const more = { senderMembers: { nickname: 'bertha' }, extra: { weather: 'fair' } };
      const item = puppet.commit({ mood: 'glad' }, more);
      await accepted(connection, item);
      const second = await puppet.join(node, { changes: { mood: 'glad' }, overrides: more });
      await stillServed(second);
      return pass('unknown members were ignored in query, commit and hello, and covered by the signature');
    },
  },
];
