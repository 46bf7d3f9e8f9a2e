/** § 8.2 Message signing: what becomes of bad signatures and of other spellings of base64. */

import type { Connection } from '../../harness/wire/connection.ts';
import { flippedBit, resigned, tampered } from '../../harness/wire/envelope.ts';
import { itemOf } from '../../harness/wire/items.ts';
import type { JsonObject } from '../../harness/wire/json.ts';
import { accepted, closedWith, query, refusedWithTwin, served, stillServed } from '../expect.ts';
import { pairsOf, reportedFirst } from '../order.ts';
import { attempt, heldAfterRelay, mismatch, probe, probeEnvelope } from '../probe.ts';
import { fail, pass, type Requirement, unseen } from '../requirement.ts';

/** Sends `count` bad messages, in turn unreadable and badly signed, and waits until all are answered or the end comes. */
async function offend(connection: Connection, count: number): Promise<void> {
  const other = { signWith: { secret: new Uint8Array(32).fill(7) } };
  for (let i = 0; i < count; i += 1) {
    if (i % 2 === 0) connection.sendText('{"version":');
    else connection.sendEnvelope(probeEnvelope(connection, {}, other));
  }
  await Promise.race([connection.fence(10_000).catch(() => {}), connection.closed]);
}

/** Alphabet of base64, to set the bits that padding leaves unused. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

const spellings: Record<string, (base64: string) => string> = {
  'without padding': (base64) => base64.replace(/=+$/, ''),
  'with one padding character too few': (base64) => base64.slice(0, -1),
  'with one padding character too many': (base64) => `${base64}=`,
  'in the URL alphabet': (base64) => base64.replaceAll('+', '-').replaceAll('/', '_'),
  'with spare bits set': (base64) => {
    const last = base64.replace(/=+$/, '').length - 1;
    return base64.slice(0, last) + alphabet[alphabet.indexOf(base64[last]!) + 1] + base64.slice(last + 1);
  },
  'with a line feed at the end': (base64) => `${base64}\n`,
  'with a line feed inside': (base64) => `${base64.slice(0, 40)}\n${base64.slice(40)}`,
  'with a carriage return inside': (base64) => `${base64.slice(0, 40)}\r\n${base64.slice(40)}`,
  'with a space before it': (base64) => ` ${base64}`,
  'with a character of no alphabet inside': (base64) => `${base64.slice(0, 40)}!${base64.slice(40)}`,
  'in hex': (base64) => Buffer.from(base64, 'base64').toString('hex'),
};

/** One whose signature holds a `+` or `/`, so that the alphabets differ, in another spelling. */
function spelt(build: () => JsonObject, spell: (base64: string) => string): JsonObject {
  let envelope = build();
  while (!/[+/]/.test(String(envelope.signature))) envelope = build();
  return tampered(envelope, ['signature'], spell(String(envelope.signature)));
}

export const rows: readonly Requirement[] = [
  {
    id: 'SIG-08',
    level: 'must',
    section: 'F3.6',
    role: 's',
    quote: 'After 100 `MALFORMED` or `INVALID_SIGNATURE` on one connection within 10 s: close 4400.',
    reading:
      'A bad signature is answered INVALID_SIGNATURE, has no effect and leaves the connection; a hundred bad messages within 10 s close it, spread over more time or connections they do not.',
    mutants: [
      'bad-signature-applied',
      'bad-signature-closes',
      'bad-messages-never-close',
      'bad-count-never-ends',
      'stale-before-signature',
    ],
    needs: [],
    durationHintMs: 13_500,
    cpu: 0.1,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('author');
      const connection = await puppet.join(node);
      const slow = await (await bench.puppet('slow offender')).join(node);
      await offend(slow, 60);
      const slowAt = performance.now();
      const good = puppet.commit();
      const spoiled = tampered(good.envelope, ['signature'], flippedBit(String(good.envelope.signature), 77));
      await refusedWithTwin(bench, {
        what: 'a commit with a bad signature',
        code: 'INVALID_SIGNATURE',
        close: null,
        bad: () => attempt(connection, spoiled),
        twin: () => probe(connection),
      });
      const ruleHash = (good.envelope.payload as JsonObject).rule_hash!;
      const found = await query(connection, 'by_hash', { rule_hash: ruleHash as never });
      if (found.totalCount !== 0 || (await served(connection, good.hash)) !== null)
        fail('a commit with a bad signature was answered INVALID_SIGNATURE, but taken');
      // Its id is not remembered either: the same message with its true signature is a new one.
      await accepted(connection, good);
      await reportedFirst(bench, node, puppet, pairsOf('signature'));
      const first = await puppet.join(node);
      const second = await puppet.join(node);
      for (const one of [first, second]) await offend(one, 60);
      for (const one of [first, second]) await stillServed(one);
      bench.step('99 bad messages within 10 s, and one more');
      const worst = await (await bench.puppet('offender')).join(node);
      const begunAt = performance.now();
      await offend(worst, 99);
      await stillServed(worst);
      await offend(worst, 1);
      // The first of them may have left the 10 s by then.
      const tookMs = Math.round(performance.now() - begunAt);
      if (worst.ended === null && tookMs > 9_000)
        unseen(`100 bad messages took ${tookMs} ms, too long for 10 s`);
      if (worst.ended === null) fail('after 100 bad messages within 10 s the connection was still served');
      await closedWith(worst, 4400);
      await stillServed(connection);
      await bench.sleep(slowAt + 10_600 - performance.now(), 'the first 60 bad messages leave the 10 s');
      await offend(slow, 60);
      await stillServed(slow);
      return pass('99 bad messages left the connection, the hundredth closed it; 60 and 60 more did not');
    },
  },
  {
    id: 'SIG-10',
    level: 'must',
    section: '8.2',
    role: 's',
    quote: 'Base64 is standard, padded and\ncanonical (unused bits zero).',
    reading:
      'A signature that says the right bytes in another spelling of base64 is INVALID_SIGNATURE, on a connection and in an item; so is a key so spelt no identity.',
    mutants: [
      'base64-lenient',
      'base64-unpadded',
      'base64-url-alphabet',
      'base64-spare-bits',
      'base64-white-space',
      'key-base64-lenient',
    ],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.shared();
      const puppet = await bench.puppet('speller');
      const connection = await puppet.join(node);
      for (const [what, spell] of Object.entries(spellings)) {
        await refusedWithTwin(bench, {
          what: `a signature ${what}`,
          code: 'INVALID_SIGNATURE',
          close: null,
          bad: () =>
            attempt(
              connection,
              spelt(() => probeEnvelope(connection), spell),
            ),
          twin: () => probe(connection),
        });
      }
      const items = Object.values(spellings).map((spell) =>
        itemOf(spelt(() => puppet.commit().envelope, spell)),
      );
      const honest = puppet.commit();
      const held = await heldAfterRelay(bench, connection, [...items, honest]);
      if (!held.has(honest.hash)) fail('the good item beside oddly spelt ones was not taken');
      const taken = items.findIndex((item) => held.has(item.hash));
      if (taken >= 0) fail(`an item with a signature ${Object.keys(spellings)[taken]} was taken`);
      for (const what of ['with spare bits set', 'without padding', 'with a line feed at the end'] as const) {
        const publicKey = spellings[what]!(puppet.identity.publicKeyBase64);
        await mismatch(bench, node, puppet, `a public key ${what}`, (fresh) =>
          resigned(probeEnvelope(fresh, {}, { senderMembers: { public_key: publicKey } }), puppet.identity),
        );
      }
      return pass(
        `${Object.keys(spellings).length} spellings of a signature and three of a key were refused`,
      );
    },
  },
];
