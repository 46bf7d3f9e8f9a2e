/** § 5.1 Gossip messages: items that are handed on come out as their authors signed them, however they were written. */

import type { Style } from '../../harness/wire/canonical.ts';
import { buildEnvelope } from '../../harness/wire/envelope.ts';
import { itemResponse } from '../../harness/wire/gossip.ts';
import { buildItem, type Item, itemOf } from '../../harness/wire/items.ts';
import { float, type Json, type JsonObject, raw } from '../../harness/wire/json.ts';
import type { Message } from '../../harness/wire/message.ts';
import { untilServed } from '../expect.ts';
import { expectSame, requestFor } from '../gossiping.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

export const rows: readonly Requirement[] = [
  {
    id: 'GFM-10',
    level: 'must',
    section: '5.1',
    role: 's',
    quote: 'An **item** is the complete envelope of a commit, challenge or confirm as its author signed it.',
    reading:
      'An item comes out as it went in, from its author or by relay, however it was written: unknown members, number forms and texts are those that were signed.',
    mutants: [
      'item-members-dropped',
      'item-sender-members-dropped',
      'item-payload-members-dropped',
      'item-number-forms-lost',
      'item-escapes-lost',
      'item-without-certificate',
    ],
    needs: [],
    durationHintMs: 2_000,
    test: async (bench) => {
      const node = await bench.shared();
      const [author, relay] = await bench.puppets(2, 'author');
      const direct = await author!.join(node);
      const observer = await (await bench.puppet('observer')).join(node);
      const passing = await relay!.peer(node, { capabilities: ['gossip'] });
      const styles: Style[] = [
        {},
        { order: 'reversed', indent: 2, escapes: 'none' },
        { order: 'shuffled', random: bench.random.float, separators: [',', ':'], escapes: 'all' },
      ];
      for (const [round, style] of styles.entries()) {
        const items = (['commit', 'challenge', 'confirm'] as const).map((type) => ({
          type,
          own: oddItem(author!, type),
          relayed: oddItem(author!, type),
        }));
        for (const { type, own, relayed } of items) {
          bench.step(`an odd ${type} from its author and one by relay, style ${round}`);
          direct.sendEnvelope(own.envelope, style);
          const answer = await direct.answer(own.messageId);
          if (answer.payload?.item_hash !== own.hash)
            fail(`a ${type} with unknown members was answered ${answer.text.slice(0, 300)}`);
          expectSame(await untilServed(bench, observer, own.hash, 8_000), own, `a ${type} of its author`);
          passing.manners.serveItems = false;
          const request = await requestFor(bench, passing, [relayed]);
          passing.sendEnvelope(responseIn(relay!, request, relayed), style);
          expectSame(await untilServed(bench, observer, relayed.hash, 8_000), relayed, `a relayed ${type}`);
        }
      }
      return pass('18 odd items came out as their author signed them');
    },
  },
];

/** An item in which much depends on how it is written. */
function oddItem(author: Puppet, type: 'commit' | 'challenge' | 'confirm'): Item {
  const honest = author[type]().envelope.payload as JsonObject;
  const numbers: Json = [
    float(1),
    float(0),
    float(-0),
    float(1e16),
    1e-7,
    5e-324,
    2n ** 53n + 1n,
    raw('1E5', '100000.0'),
  ];
  const texts: Json = ['é', '\u2028', '\u007f', '😀', '"\\/\b\f\n\r\t', '\u0000', '<&>'];
  const odd: Record<string, Json> = {
    numbers,
    texts,
    '10': 1,
    '9': 2,
    '': null,
    'é😀': [],
    '\uffff': {},
    nested: { z: 1, a: [true] },
  };
  odd.__proto__x = 'x';
  const payload: JsonObject = { ...honest, unknown_member: odd };
  if (type === 'commit')
    Object.assign(payload, { metadata: { ...odd, ['__proto__']: 1 }, confidence: 1, evidence_count: 0 });
  if (type === 'challenge')
    payload.contradicting_rule = { ...(honest.contradicting_rule as JsonObject), weight: float(2) };
  if (type === 'confirm') payload.confidence_delta = float(-1);
  return itemOf(
    buildItem(author, type, payload, {
      timestamp: float(Math.floor(Date.now() / 1_000)),
      senderMembers: { nickname: 'ünknown', since: float(3) },
      extra: { hint: { of: ['a', 1, float(1)] }, Version: '2.0' },
    }).envelope,
  );
}

/** The response as an envelope, so that it can be written in another style. */
function responseIn(relay: Puppet, request: Message, item: Item): JsonObject {
  return buildEnvelope(
    relay.identity,
    'gossip',
    itemResponse(relay.nodeId, request.id, [item.envelope], [item.hash]),
  );
}
