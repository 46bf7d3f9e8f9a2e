/** Items by what is special about them: those that are taken, and those with a fault in payload, proof or envelope. */

import * as ta from './fixtures/test-authority.ts';
import { author, authorCertificate, bodies, type Change, padding } from './item-texts.ts';

const hex = (digits: number) => `"rule_${'a'.repeat(digits)}"`;

export const taken: [string, Change][] = [
  ['a commit', {}],
  ['a challenge', { type: 'challenge' }],
  ['a confirm', { type: 'confirm' }],
  ['unknown members everywhere', { body: { x: '1.0' }, sender: { y: '[]' }, envelope: { z: '{"é":null}' } }],
  ['another version', { envelope: { version: '"1.27"' } }],
  ['an old timestamp', { envelope: { timestamp: '1680000000' } }],
  ['a timestamp in the future', { envelope: { timestamp: '1900000000.5' } }],
  ['rule_hash of 64 digits', { body: { rule_hash: hex(64) } }],
  ['confidence 0', { body: { confidence: '0' } }],
  ['confidence 1', { body: { confidence: '1' } }],
  ['confidence 1.0', { body: { confidence: '1.0' } }],
  ['confidence -0.0', { body: { confidence: '-0.0' } }],
  ['evidence_count 0', { body: { evidence_count: '0' } }],
  ['evidence_count -0', { body: { evidence_count: '-0' } }],
  ['evidence_count 2^53 − 1', { body: { evidence_count: '9007199254740991' } }],
  ['empty strings', { body: { logic_signature: '""', context_signature: '""' } }],
  ['metadata with __proto__', { body: { metadata: '{"__proto__":{"a":1}}' } }],
  ['no evidence', { type: 'challenge', body: { evidence: '[]' } }],
  ['confidence_delta -1', { type: 'confirm', body: { confidence_delta: '-1' } }],
  ['confidence_delta 1.0', { type: 'confirm', body: { confidence_delta: '1.0' } }],
  ['depth 28', { body: { metadata: `{"a":${'['.repeat(25)}${']'.repeat(25)}}` } }],
  ['exactly 32 768 bytes', { body: { logic_signature: padding(32_768) } }],
];

/** MALFORMED, whoever brings it. */
export const wrongBody: [string, Change][] = [
  ...Object.entries(bodies).flatMap(([type, body]) =>
    Object.keys(body).map((name): [string, Change] => [`no ${name}`, { type, body: { [name]: undefined } }]),
  ),
  ['rule_hash of 15 digits', { body: { rule_hash: hex(15) } }],
  ['rule_hash of 65 digits', { body: { rule_hash: hex(65) } }],
  ['rule_hash in capitals', { body: { rule_hash: '"rule_0123456789ABCDEF"' } }],
  ['rule_hash with a line feed', { body: { rule_hash: '"rule_0123456789abcdef\\n"' } }],
  ['rule_hash without its prefix', { body: { rule_hash: '"0123456789abcdef"' } }],
  ['rule_hash as a number', { body: { rule_hash: '1' } }],
  ['logic_signature null', { body: { logic_signature: 'null' } }],
  ['context_signature as an array', { body: { context_signature: '["a"]' } }],
  ['confidence above 1', { body: { confidence: '1.0000000000000002' } }],
  ['confidence 2', { body: { confidence: '2' } }],
  ['confidence below 0', { body: { confidence: '-5e-324' } }],
  ['confidence of a huge integer', { body: { confidence: '9'.repeat(400) } }],
  ['confidence as a string', { body: { confidence: '"0.5"' } }],
  ['confidence true', { body: { confidence: 'true' } }],
  ['evidence_count as a float', { body: { evidence_count: '3.0' } }],
  ['evidence_count -1', { body: { evidence_count: '-1' } }],
  ['evidence_count 2^53', { body: { evidence_count: '9007199254740992' } }],
  ['evidence_count true', { body: { evidence_count: 'true' } }],
  ['metadata null', { body: { metadata: 'null' } }],
  ['metadata as an array', { body: { metadata: '[]' } }],
  ['metadata as a float', { body: { metadata: '1.5' } }],
  ['contradicting_rule null', { type: 'challenge', body: { contradicting_rule: 'null' } }],
  [
    'contradicting_rule without logic_form',
    { type: 'challenge', body: { contradicting_rule: '{"context":""}' } },
  ],
  [
    'contradicting_rule without context',
    { type: 'challenge', body: { contradicting_rule: '{"logic_form":""}' } },
  ],
  ['target_rule_hash too short', { type: 'challenge', body: { target_rule_hash: hex(15) } }],
  ['reason as an object', { type: 'challenge', body: { reason: '{}' } }],
  ['evidence as a string', { type: 'challenge', body: { evidence: '"e"' } }],
  ['evidence of a number', { type: 'challenge', body: { evidence: '["e",1]' } }],
  ['evidence as an object', { type: 'challenge', body: { evidence: '{}' } }],
  ['confidence_delta below -1', { type: 'confirm', body: { confidence_delta: '-1.0000000000000002' } }],
  ['confidence_delta above 1', { type: 'confirm', body: { confidence_delta: '1.0000000000000002' } }],
  ['additional_evidence as a float', { type: 'confirm', body: { additional_evidence: '2.0' } }],
  ['additional_evidence -1', { type: 'confirm', body: { additional_evidence: '-1' } }],
  ['depth 29', { body: { metadata: `{"a":${'['.repeat(26)}${']'.repeat(26)}}` } }],
  ['no certificate', { sender: { certificate: undefined } }],
  ['certificate null', { sender: { certificate: 'null' } }],
];

export const other = ta.testKey('other');
const certificateOf = (wish: ta.Wish) =>
  JSON.stringify(Buffer.from(ta.issue({ key: author, agentId: 'agent_a', ...wish })).toString('base64'));

/** INVALID_SIGNATURE, whoever brings it. */
export const wrongProof: [string, Change][] = [
  ['a certificate over another key', { sender: { certificate: certificateOf({ key: other }) } }],
  ['a certificate of another agent', { sender: { certificate: certificateOf({ agentId: 'agent_b' }) } }],
  ['a certificate by another CA', { sender: { certificate: certificateOf({ signer: other }) } }],
  ['a certificate not yet valid', { envelope: { timestamp: '1672531199.9' } }],
  ['a certificate no longer valid', { envelope: { timestamp: '1988150400.1' } }],
  [
    'a certificate with a byte behind it',
    {
      sender: {
        certificate: JSON.stringify(
          Buffer.concat([Buffer.from(authorCertificate, 'base64'), Buffer.of(0)]).toString('base64'),
        ),
      },
    },
  ],
  ['a certificate in another base64', { sender: { certificate: JSON.stringify(`${authorCertificate}\n`) } }],
  ['an empty certificate', { sender: { certificate: '""' } }],
  ['the node_id of another', { sender: { node_id: JSON.stringify(other.nodeId) } }],
  ['the agent_id of another', { sender: { agent_id: '"agent_b"' } }],
  ['the key of another', { sender: { public_key: JSON.stringify(other.base64) }, signer: other }],
  ['a key without padding', { sender: { public_key: JSON.stringify(author.base64.replace('=', '')) } }],
];

/** With the code that it gets when it is relayed. */
export const wrongEnvelope: [string, string, Change][] = [
  ['another signer', 'INVALID_SIGNATURE', { signer: other }],
  ['a signature cut off', 'INVALID_SIGNATURE', { signature: (good) => `${good.slice(0, -5)}"` }],
  ['a signature without padding', 'INVALID_SIGNATURE', { signature: (good) => good.replace('==', '') }],
  ['an empty signature', 'INVALID_SIGNATURE', { signature: () => '""' }],
  ['a signature that is no string', 'MALFORMED', { signature: () => '1' }],
  ['version 2', 'MALFORMED', { envelope: { version: '"2.0"' } }],
  ['version as a number', 'MALFORMED', { envelope: { version: '1.0' } }],
  ['version 1.', 'MALFORMED', { envelope: { version: '"1."' } }],
  ['no version', 'MALFORMED', { envelope: { version: undefined } }],
  ['no message_id', 'MALFORMED', { envelope: { message_id: undefined } }],
  [
    'a message_id of version 1',
    'MALFORMED',
    { envelope: { message_id: '"3b241101-e2bb-1255-8caf-4136c566a962"' } },
  ],
  [
    'a message_id in capitals',
    'MALFORMED',
    { envelope: { message_id: '"3B241101-E2BB-4255-8CAF-4136C566A962"' } },
  ],
  ['a negative timestamp', 'MALFORMED', { envelope: { timestamp: '-1' } }],
  ['a timestamp that is no number', 'MALFORMED', { envelope: { timestamp: '"1700000000"' } }],
  ['a huge timestamp', 'INVALID_SIGNATURE', { envelope: { timestamp: '9'.repeat(400) } }],
  ['payload as an array', 'MALFORMED', { envelope: { payload: '[]' } }],
  ['no sender', 'MALFORMED', { envelope: { sender: undefined } }],
  ['another type', 'MALFORMED', { envelope: { message_type: '"query"' } }],
];
