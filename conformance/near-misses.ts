/**
 * Items on both sides of every limit of profile §6: which are valid, and by which word of the profile. Data alone; how they are
 * brought to a node is for the row.
 */

import type { Overrides } from '../harness/wire/envelope.ts';
import type { Author, Item, ItemType } from '../harness/wire/items.ts';
import { float, type Json, raw } from '../harness/wire/json.ts';

export interface Candidate {
  what: string;
  type: ItemType;
  /** Members of a valid payload replaced; undefined removes. */
  changes: Record<string, Json | undefined>;
  overrides?: Overrides;
  valid: boolean;
  /** In place of a changed payload: the whole item. */
  build?: (author: Author) => Item;
  /** Of its refusal on its author's connection; default MALFORMED. */
  code?: string;
  /** Only as a relayed item: on its author's own connection another check of §3.2 comes first. */
  relayOnly?: boolean;
}

const hex = (digits: number): string => '0123456789abcdef'.repeat(5).slice(0, digits);
const above = (limit: number): number => limit + 2 ** -52;

function variants(
  type: ItemType,
  member: string,
  good: readonly [string, Json][],
  bad: readonly [string, Json | undefined][],
): Candidate[] {
  const made =
    (valid: boolean) =>
    ([what, value]: readonly [string, Json | undefined]): Candidate => ({
      what: `a ${type} with ${member} ${what}`,
      type,
      changes: { [member]: value },
      valid,
    });
  const absent: Candidate = {
    what: `a ${type} without ${member}`,
    type,
    changes: { [member]: undefined },
    valid: false,
  };
  return [...good.map(made(true)), ...bad.map(made(false)), absent];
}

const ruleHashes = (type: ItemType, member: string): Candidate[] =>
  variants(
    type,
    member,
    [
      ['of 16 digits', `rule_${hex(16)}`],
      ['of 17 digits', `rule_${hex(17)}`],
      ['of 64 digits', `rule_${hex(64)}`],
    ],
    [
      ['of 15 digits', `rule_${hex(15)}`],
      ['of 65 digits', `rule_${hex(65)}`],
      ['in upper case', `rule_${hex(16).toUpperCase()}`],
      ['without prefix', hex(64)],
      ['that is no hex', `rule_${hex(15)}g`],
      ['and a newline', `rule_${hex(16)}\n`],
      ['null', null],
    ],
  );

const texts = (type: ItemType, member: string): Candidate[] =>
  variants(
    type,
    member,
    [
      ['empty', ''],
      ['of a NUL, U+2028 and an astral character', 'a\u0000\u2028\u{1f600}'],
    ],
    [
      ['a number', 1],
      ['null', null],
      ['an array', ['a']],
    ],
  );

const counts = (type: ItemType, member: string): Candidate[] =>
  variants(
    type,
    member,
    [
      ['0', 0],
      ['-0', raw('-0', '0')],
      ['2^53 − 1', Number.MAX_SAFE_INTEGER],
    ],
    [
      ['−1', -1],
      ['2^53', 2n ** 53n],
      ['1.0', float(1)],
      ['1e0', raw('1e0', '1.0')],
      ['1.5', float(1.5)],
      ['true', true],
      ['text', '3'],
      ['null', null],
    ],
  );

const fractions = (type: ItemType, member: string, least: number): Candidate[] =>
  variants(
    type,
    member,
    [
      [`${least}`, least],
      [`${least}.0`, float(least)],
      ['1', 1],
      ['1.0', float(1)],
      ['0.5', float(0.5)],
      ['-0.0', float(-0)],
      ['1e-400', raw('1e-400', '0.0')],
      ['5e-324', float(5e-324)],
      ['of 25 places', raw('0.5000000000000000000000001', '0.5')],
    ],
    [
      ['just above 1', float(above(1))],
      [least === 0 ? 'just below 0' : 'just below −1', float(least === 0 ? -5e-324 : -above(1))],
      ['2', 2],
      [`${least - 1}`, least - 1],
      ['1e300', float(1e300)],
      ['text', '0.5'],
      ['true', true],
      ['null', null],
    ],
  );

const rule = (changes: Record<string, Json | undefined>): Record<string, Json> => {
  const whole: Record<string, Json> = { logic_form: 'not so', context: 'here' };
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) delete whole[key];
    else whole[key] = value;
  }
  return whole;
};

const commits: Candidate[] = [
  ...ruleHashes('commit', 'rule_hash'),
  ...texts('commit', 'logic_signature'),
  ...texts('commit', 'context_signature'),
  ...fractions('commit', 'confidence', 0),
  ...counts('commit', 'evidence_count'),
  ...variants(
    'commit',
    'metadata',
    [
      ['with values of all kinds', { a: [1, float(1), null, true, 'x', {}] }],
      ['with a key __proto__', raw('{"__proto__": 1}')],
    ],
    [
      ['an array', []],
      ['null', null],
      ['text', '{}'],
    ],
  ),
  { what: 'a commit with a member more', type: 'commit', changes: { remark: [1, 2] }, valid: true },
];

const challenges: Candidate[] = [
  ...ruleHashes('challenge', 'target_rule_hash'),
  ...texts('challenge', 'reason'),
  ...variants(
    'challenge',
    'contradicting_rule',
    [
      ['with empty texts', rule({ logic_form: '', context: '' })],
      ['with a member more', rule({ remark: 1 })],
    ],
    [
      ['without logic_form', rule({ logic_form: undefined })],
      ['without context', rule({ context: undefined })],
      ['with a number for logic_form', rule({ logic_form: 1 })],
      ['with null for context', rule({ context: null })],
      ['that is text', 'not so'],
      ['that is an array', ['not so', 'here']],
    ],
  ),
  ...variants(
    'challenge',
    'evidence',
    [
      ['empty', []],
      ['of empty texts', ['', '']],
    ],
    [
      ['of numbers', ['a', 1]],
      ['with null', [null]],
      ['that is text', 'seen'],
      ['that is an object', {}],
      ['null', null],
    ],
  ),
];

const confirms: Candidate[] = [
  ...ruleHashes('confirm', 'rule_hash'),
  ...fractions('confirm', 'confidence_delta', -1),
  ...counts('confirm', 'additional_evidence'),
];

/** Of the payload, for items on their author's connection and relayed alike. */
export const payloads: readonly Candidate[] = [...commits, ...challenges, ...confirms];

const envelope = (what: string, valid: boolean, overrides: Overrides, relayOnly = true): Candidate => ({
  what: `an item with ${what}`,
  type: 'commit',
  changes: {},
  overrides,
  valid,
  relayOnly,
});

const now = (): number => Math.floor(Date.now() / 1000);

/** Of the envelope; `uuid`: a fresh one; `sinceS`: since when the certificates of this network are valid. */
export const envelopes = (uuid: () => string, sinceS: number): readonly Candidate[] => [
  envelope('version 1.7', true, { version: '1.7' }, false),
  envelope('version 1.00012', true, { version: '1.00012' }, false),
  envelope('version 2.0', false, { version: '2.0' }),
  envelope('version "1."', false, { version: '1.' }),
  envelope('version "1"', false, { version: '1' }),
  envelope('version 1.0a', false, { version: '1.0a' }),
  envelope('version " 1.0"', false, { version: ' 1.0' }),
  envelope('version "1.0" and a newline', false, { version: '1.0\n' }),
  envelope('a version of other digits', false, { version: '1.\u0661' }),
  envelope('a number for version', false, { version: float(1) }),
  envelope('a member more', true, { extra: { remark: { a: float(1) } } }, false),
  envelope('a member more in sender', true, { senderMembers: { remark: 'x' } }, false),
  envelope('an integer for timestamp', true, { timestamp: now() }, false),
  envelope('a timestamp of days ago', true, {
    timestamp: float(Math.max(now() - 20 * 86_400, Math.ceil(sinceS)) + 0.5),
  }),
  envelope('a timestamp 200 days ahead', true, { timestamp: float(now() + 200 * 86_400 + 0.5) }),
  envelope('text for timestamp', false, { timestamp: String(now()) }),
  envelope('a negative timestamp', false, { timestamp: -1 }),
  envelope('a UUID of version 1 for message_id', false, { messageId: uuid().replace(/^(.{14})4/, '$11') }),
  envelope('an upper-case message_id', false, { messageId: 'ABCDEF01-2345-4789-ABCD-EF0123456789' }),
  envelope('a message_id of another variant', false, {
    messageId: uuid().replace(/-[89ab](...)-(?=.{12}$)/, '-c$1-'),
  }),
  envelope('no message_id', false, { messageId: undefined }),
  envelope('no sender', false, { sender: undefined }),
  envelope('message_type query', false, { messageType: 'query' }),
  envelope('message_type Commit', false, { messageType: 'Commit' }),
  envelope('an array for payload', false, { payload: [] }),
  envelope('no signature', false, { signature: undefined }),
  envelope('null for signature', false, { signature: null }),
  envelope('another node’s node_id', false, { senderMembers: { node_id: `node_${hex(40)}` } }),
  envelope('no node_id', false, { senderMembers: { node_id: undefined } }),
  envelope('another agent_id than its certificate’s', false, { senderMembers: { agent_id: 'agent_other' } }),
];
