import { expect } from 'chai';
import { canonical, canonicalAround, joined } from '../canonical.ts';
import { CertificateCache, readAuthority } from '../certificate.ts';
import { asciiBytes, envelopeText, readEnvelope, versionMatches } from '../envelope.ts';
import { isRefusal } from '../error-code.ts';
import { checkOwnedItem, type Item, type ItemRules, readItem } from '../item.ts';
import { parse } from '../json.ts';
import type { JsonObject } from '../types.ts';
import * as ta from './fixtures/test-authority.ts';

const author = ta.testKey('author');
const authorCertificate = Buffer.from(ta.issue({ key: author, agentId: 'agent_a' })).toString('base64');
const authority = readAuthority(ta.caCertificate());

function newRules(): ItemRules & { checked: boolean[]; world: ta.TestWorld } {
  const world = ta.testWorld();
  const checked: boolean[] = [];
  const certificates = new CertificateCache(authority, world);
  return { world, checked, certificates, verified: (good) => checked.push(good) };
}

/** JSON text by member, so that number forms survive. */
type Texts = { [member: string]: string | undefined };

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
const bodies: { [type: string]: Texts } = {
  commit: commitBody,
  challenge: challengeBody,
  confirm: confirmBody,
};

const objectText = (members: Texts) =>
  `{${Object.entries(members)
    .filter(([, text]) => text !== undefined)
    .map(([key, text]) => `${JSON.stringify(key)}:${text}`)
    .join(',')}}`;

interface Change {
  type?: string;
  body?: Texts;
  sender?: Texts;
  envelope?: Texts;
  signer?: ta.TestKey;
  signature?: (good: string) => string;
}

/** The text of an item, signed as it stands. */
function itemText(change: Change = {}): string {
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

const relayed = (text: string, rules = newRules()) => readItem(parse(text, 100), rules);
const owned = (text: string, rules = newRules()) => {
  const envelope = readEnvelope(parse(text, 100))!;
  return checkOwnedItem(envelope, envelopeText(envelope), rules);
};
const codeOf = (result: Item | object) => (isRefusal(result) ? result.code : 'taken');

describe('an item (§6)', () => {
  it('is known by the SHA-256 of its signing bytes and handed on in canonical form', () => {
    const text = itemText();
    const object = parse(text) as JsonObject;
    for (const item of [relayed(text), owned(text)]) {
      if (isRefusal(item)) throw new Error(item.because);
      expect(item.hash).to.equal(ta.sha256(joined(canonicalAround(object, 'signature'))));
      expect(Buffer.from(item.bytes).toString()).to.equal(canonical(object));
      expect(item).to.include({
        type: 'commit',
        agentId: 'agent_a',
        nodeId: author.nodeId,
        timestamp: 1700000000.25,
      });
      expect(item.certificateBase64).to.equal(authorCertificate);
    }
  });

  const hex = (digits: number) => `"rule_${'a'.repeat(digits)}"`;
  const taken: [string, Change][] = [
    ['a commit', {}],
    ['a challenge', { type: 'challenge' }],
    ['a confirm', { type: 'confirm' }],
    [
      'unknown members everywhere',
      { body: { x: '1.0' }, sender: { y: '[]' }, envelope: { z: '{"é":null}' } },
    ],
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
  for (const [name, change] of taken) {
    it(`is valid with ${name}`, () => {
      expect(codeOf(relayed(itemText(change)))).to.equal('taken');
      expect(codeOf(owned(itemText(change)))).to.equal('taken');
    });
  }

  const wrongBody: [string, Change][] = [
    ...Object.keys(commitBody).map((name): [string, Change] => [
      `no ${name}`,
      { body: { [name]: undefined } },
    ]),
    ...Object.keys(challengeBody).map((name): [string, Change] => [
      `no ${name}`,
      { type: 'challenge', body: { [name]: undefined } },
    ]),
    ...Object.keys(confirmBody).map((name): [string, Change] => [
      `no ${name}`,
      { type: 'confirm', body: { [name]: undefined } },
    ]),
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
  for (const [name, change] of wrongBody) {
    it(`is MALFORMED with ${name} (${change.type ?? 'commit'})`, () => {
      expect(codeOf(relayed(itemText(change)))).to.equal('MALFORMED');
      expect(codeOf(owned(itemText(change)))).to.equal('MALFORMED');
    });
  }

  it('is TOO_LARGE with 32 769 bytes, whatever else is wrong', () => {
    for (const [bytes, body] of [
      [32_769, {}],
      [40_000, { confidence: '2' }],
      [40_000, { metadata: '['.repeat(40) + ']'.repeat(40) }],
    ] as [number, Texts][]) {
      const text = itemText({ body: { logic_signature: padding(bytes), ...body } });
      expect(codeOf(relayed(text))).to.equal('TOO_LARGE');
      expect(codeOf(owned(text))).to.equal('TOO_LARGE');
    }
  });

  const other = ta.testKey('other');
  const certificateOf = (wish: ta.Wish) =>
    JSON.stringify(Buffer.from(ta.issue({ key: author, agentId: 'agent_a', ...wish })).toString('base64'));
  const wrongProof: [string, Change][] = [
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
    [
      'a certificate in another base64',
      { sender: { certificate: JSON.stringify(`${authorCertificate}\n`) } },
    ],
    ['an empty certificate', { sender: { certificate: '""' } }],
    ['the node_id of another', { sender: { node_id: JSON.stringify(other.nodeId) } }],
    ['the agent_id of another', { sender: { agent_id: '"agent_b"' } }],
    ['the key of another', { sender: { public_key: JSON.stringify(other.base64) }, signer: other }],
    ['a key without padding', { sender: { public_key: JSON.stringify(author.base64.replace('=', '')) } }],
  ];
  for (const [name, change] of wrongProof) {
    it(`is INVALID_SIGNATURE with ${name}`, () => {
      expect(codeOf(relayed(itemText(change)))).to.equal('INVALID_SIGNATURE');
      expect(codeOf(owned(itemText(change)))).to.equal('INVALID_SIGNATURE');
    });
  }

  it('is proved by a certificate at both ends of its time', () => {
    for (const timestamp of ['1672531200', '1672531200.0', '1988150400', '1988150400.0']) {
      expect(codeOf(relayed(itemText({ envelope: { timestamp } }))), timestamp).to.equal('taken');
    }
  });

  const wrongEnvelope: [string, string, Change][] = [
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
  for (const [name, code, change] of wrongEnvelope) {
    it(`relayed is ${code} with ${name}`, () => expect(codeOf(relayed(itemText(change)))).to.equal(code));
  }

  it('may be no object at all', () => {
    for (const text of ['null', '[]', '1.5', '"x"', '{}'])
      expect(codeOf(relayed(text))).to.equal('MALFORMED');
  });

  it('costs one verification, and one more for the first of a certificate', () => {
    const rules = newRules();
    relayed(itemText(), rules);
    expect(rules.checked).to.deep.equal([true]);
    expect(rules.world.verifications).to.equal(2);
    relayed(itemText({ body: { confidence: '0.75' } }), rules);
    expect(rules.checked).to.deep.equal([true, true]);
    expect(rules.world.verifications).to.equal(3);
    owned(itemText(), rules);
    readItem(parse(itemText({ signer: other })), rules, true);
    expect(rules.checked).to.deep.equal([true, true]);
    expect(rules.world.verifications).to.equal(3);
    expect(codeOf(relayed(itemText({ signer: other }), rules))).to.equal('INVALID_SIGNATURE');
    expect(rules.checked).to.deep.equal([true, true, false]);
  });
});

/** A quoted run of letters that makes the item exactly `bytes` long in canonical form. */
function padding(bytes: number): string {
  const empty = canonical(parse(itemText({ body: { logic_signature: '""' } }))).length;
  return JSON.stringify('x'.repeat(bytes - empty));
}

describe('an envelope (§3)', () => {
  it('tells a version that is not spoken from one that is not there', () => {
    const versionOf = (version: string | undefined) =>
      readEnvelope(parse(itemText({ envelope: { version } })));
    expect(versionOf(undefined)).to.equal(null);
    expect(versionOf('null')).to.equal(null);
    for (const version of [
      '"2.0"',
      '1',
      '1.0',
      '"1"',
      '"1.x"',
      '"1.0\\n"',
      '"1.0 "',
      '"1.٣"',
      '[]',
      'true',
      '""',
    ]) {
      expect(versionMatches(versionOf(version)!.version), version).to.equal(false);
    }
    for (const version of ['"1.0"', '"1.00"', '"1.123456789"']) {
      expect(versionMatches(versionOf(version)!.version), version).to.equal(true);
    }
  });

  it('needs its members of sender to be strings', () => {
    for (const name of ['agent_id', 'node_id', 'public_key']) {
      for (const value of [undefined, 'null', '1', '["x"]']) {
        expect(readEnvelope(parse(itemText({ sender: { [name]: value } }))), `${name} ${value}`).to.equal(
          null,
        );
      }
    }
  });
});
