/** § 8.2 Message signing: what is signed, and what a signature must be like. */

import type { Connection } from '../../harness/wire/connection.ts';
import { tampered } from '../../harness/wire/envelope.ts';
import { type Item, itemOf } from '../../harness/wire/items.ts';
import { type Attempt, accepted, answerTo, refusedWithTwin, served, stillServed } from '../expect.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

/** A query is the twin that costs no commit. */
function ask(connection: Connection): Promise<Attempt> {
  const payload = { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } };
  return answerTo(connection, connection.send('query', payload));
}

const reencoded =
  (change: (bytes: Buffer) => Buffer) =>
  (base64: string): string =>
    change(Buffer.from(base64, 'base64')).toString('base64');

export const rows: readonly Requirement[] = [
  {
    id: 'SIG-01',
    level: 'must',
    section: '8.2',
    role: 'b',
    quote: 'All messages are signed:',
    reading:
      'Every message that the node emits verifies under the key of its certificate; watched on all connections of the run.',
    mutants: ['unsigned-errors'],
    needs: [],
    durationHintMs: 1_000,
    test: async (bench) => {
      // Draws one of each kind out of the node, so that the row means something alone; the monitor does the judging.
      const node = await bench.shared();
      const puppet = await bench.puppet('watcher');
      const connection = await puppet.peer(node);
      await accepted(connection, puppet.commit());
      await connection.request('query', { query_type: 'by_hash', filters: { rule_hash: 'rule_0' } });
      const error = await connection.request('no_such_type', {});
      if (error.type !== 'error') fail(`an unknown type was answered ${error.type}`);
      const bad = connection.received.find((message) => !message.verified);
      if (bad !== undefined) fail(`a ${bad.type} does not verify`, bad.text);
      return pass(`${connection.received.length} messages of this row verify`);
    },
  },
  {
    id: 'SIG-02',
    level: 'must',
    section: '8.2',
    role: 's',
    quote:
      'A `signature` that is not canonical base64 of 64 bytes is `INVALID_SIGNATURE`; one that is no string is `MALFORMED`.',
    reading: 'A message without a signature of 64 bytes in base64 has no effect; its connection stays.',
    mutants: ['signature-length-unchecked'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('author');
      const connection = await puppet.join(node);
      const cut = reencoded((bytes) => bytes.subarray(0, 63));
      const grown = reencoded((bytes) => Buffer.concat([bytes, Buffer.of(0)]));
      type Signature = string | number | null | undefined;
      const variants: [what: string, of: (genuine: string) => Signature, code: string][] = [
        ['an absent signature', () => undefined, 'MALFORMED'],
        ['a null signature', () => null, 'MALFORMED'],
        ['a number as signature', () => 7, 'MALFORMED'],
        ['an empty signature', () => '', 'INVALID_SIGNATURE'],
        ['a signature without its last byte', cut, 'INVALID_SIGNATURE'],
        ['a signature with a byte more', grown, 'INVALID_SIGNATURE'],
        ['a signature that is no base64', () => '!'.repeat(88), 'INVALID_SIGNATURE'],
      ];
      const submit = async (item: Item): Promise<Attempt> => {
        connection.sendEnvelope(item.envelope);
        return answerTo(connection, item.messageId);
      };
      for (const [what, of, code] of variants) {
        const good = puppet.commit();
        const bad = itemOf(tampered(good.envelope, ['signature'], of(String(good.envelope.signature))));
        await refusedWithTwin(bench, {
          what,
          code,
          close: null,
          bad: () => submit(bad),
          twin: () => ask(connection),
        });
        if ((await served(connection, bad.hash)) !== null) fail(`${what}: refused, but the item was taken`);
      }
      await accepted(connection, puppet.commit());
      await stillServed(connection);
      return pass(
        `${variants.length} signatures refused without effect, a good commit and queries accepted beside them`,
      );
    },
  },
];
