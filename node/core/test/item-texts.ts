/** Items as JSON text, signed as they stand, with whatever is to be changed in them. Knows no rule of what is valid. */

import { canonical } from '../canonical.ts';
import { asciiBytes } from '../envelope.ts';
import { parse } from '../json.ts';
import * as ta from './fixtures/test-authority.ts';

export const author = ta.testKey('author');
export const authorCertificate = Buffer.from(ta.issue({ key: author, agentId: 'agent_a' })).toString(
  'base64',
);

/** JSON text by member, so that number forms survive. */
export type Texts = { [member: string]: string | undefined };

const commitBody: Texts = {
  rule_hash: '"rule_0123456789abcdef"',
  logic_signature: '"p -> q"',
  context_signature: '"weather/north"',
  confidence: '0.5',
  evidence_count: '3',
  metadata: '{}',
};
const challengeBody: Texts = {
  target_rule_hash: '"rule_0123456789abcdef"',
  contradicting_rule: '{"logic_form":"p","context":"c"}',
  reason: '"because"',
  evidence: '["e1","e2"]',
};
const confirmBody: Texts = {
  rule_hash: '"rule_0123456789abcdef"',
  confidence_delta: '-0.25',
  additional_evidence: '2',
};
/** A good payload of each type. */
export const bodies: { [type: string]: Texts } = {
  commit: commitBody,
  challenge: challengeBody,
  confirm: confirmBody,
};

const objectText = (members: Texts) =>
  `{${Object.entries(members)
    .filter(([, text]) => text !== undefined)
    .map(([key, text]) => `${JSON.stringify(key)}:${text}`)
    .join(',')}}`;

export interface Change {
  type?: string;
  body?: Texts;
  sender?: Texts;
  envelope?: Texts;
  signer?: ta.TestKey;
  signature?: (good: string) => string;
}

/** The text of an item, signed as it stands. */
export function itemText(change: Change = {}): string {
  const type = change.type ?? 'commit';
  const members: Texts = {
    version: '"1.0"',
    message_type: JSON.stringify(type),
    message_id: '"3b241101-e2bb-4255-8caf-4136c566a962"',
    timestamp: '1700000000.25',
    sender: objectText({
      agent_id: '"agent_a"',
      node_id: JSON.stringify(author.nodeId),
      public_key: JSON.stringify(author.base64),
      certificate: JSON.stringify(authorCertificate),
      ...change.sender,
    }),
    payload: objectText({ ...(bodies[type] ?? commitBody), ...change.body }),
    ...change.envelope,
  };
  const unsigned = canonical(parse(objectText(members), 100));
  const good = Buffer.from(ta.signBy(change.signer ?? author, asciiBytes(unsigned))).toString('base64');
  const signature = change.signature ? change.signature(JSON.stringify(good)) : JSON.stringify(good);
  return objectText({ signature, ...members });
}

/** A quoted run of letters that makes the item exactly `bytes` long in canonical form. */
export function padding(bytes: number): string {
  const empty = canonical(parse(itemText({ body: { logic_signature: '""' } }))).length;
  return JSON.stringify('x'.repeat(bytes - empty));
}
