/**
 * Nothing that a peer can send makes a node crash: any JSON in the place of what a peer may send is judged, never thrown at.
 * Values are built out of the words of the protocol, so that they come close to the real forms.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { canonical } from '../canonical.ts';
import { CertificateCache, readAuthority } from '../certificate.ts';
import { chainRefusal, describes, hasGoodSignatures, readCheckpoint } from '../checkpoint.ts';
import { createCommitIndex } from '../commits.ts';
import { envelopeText, readEnvelope } from '../envelope.ts';
import { checkOwnedItem, isItemType, readItem } from '../item.ts';
import { isObject, parse } from '../json.ts';
import { answerQuery } from '../query.ts';
import { isGenuine } from './fixtures/genuine.ts';
import * as ta from './fixtures/test-authority.ts';

const words = [
  ...[
    'version',
    'message_type',
    'message_id',
    'timestamp',
    'sender',
    'payload',
    'signature',
    'agent_id',
    'node_id',
  ],
  ...[
    'public_key',
    'certificate',
    'rule_hash',
    'logic_signature',
    'context_signature',
    'confidence',
    'metadata',
  ],
  ...[
    'evidence_count',
    'height',
    'hash',
    'previous_hash',
    'state_root',
    'accepted_rules',
    'statistics',
    '__proto__',
  ],
  ...['total_commits', 'total_agents', 'avg_confidence', 'query_type', 'filters', 'limit', 'context_pattern'],
];
const values = [
  ...[
    '1.0',
    'commit',
    'challenge',
    'confirm',
    '3b241101-e2bb-4255-8caf-4136c566a962',
    'by_hash',
    'by_context',
    '*',
  ],
  ...[
    'agent_a',
    `node_${'a'.repeat(40)}`,
    `rule_${'0'.repeat(16)}`,
    'a'.repeat(64),
    '0'.repeat(64),
    'AAAA',
    '😀',
  ],
  ...[
    Buffer.alloc(96).toString('base64'),
    Buffer.alloc(64).toString('base64'),
    Buffer.alloc(32).toString('base64'),
  ],
];
const numbers = [
  '0',
  '-1',
  '1',
  '0.5',
  '1e308',
  '9007199254740993',
  '9'.repeat(400),
  '1700000000.5',
  '-0',
  '-0.0',
];

const text = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom(...numbers, 'null', 'true', ...values.map((value) => JSON.stringify(value))),
    fc.array(tie('value'), { maxLength: 3 }).map((entries) => `[${entries.join(',')}]`),
    fc
      .uniqueArray(fc.tuple(fc.constantFrom(...words), tie('value')), {
        maxLength: 10,
        selector: ([key]) => key,
      })
      .map((members) => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`),
  ),
})).value;

/** A whole form of which some members were replaced or left out. */
function nearly(form: { [member: string]: string }): fc.Arbitrary<string> {
  const changes = fc.array(fc.tuple(fc.constantFrom(...Object.keys(form)), fc.option(text)), {
    maxLength: 3,
  });
  return changes.map((replaced) => {
    const members = new Map(Object.entries(form));
    for (const [name, value] of replaced) {
      if (value === null) members.delete(name);
      else members.set(name, value);
    }
    return `{${[...members].map(([key, value]) => `"${key}":${value}`).join(',')}}`;
  });
}

const commitForm = {
  rule_hash: '"rule_0123456789abcdef"',
  logic_signature: '"p"',
  context_signature: '"c"',
  confidence: '0.5',
  evidence_count: '3',
  metadata: '{}',
};
const envelopeForm = (payload: string) => ({
  version: '"1.0"',
  message_type: '"commit"',
  message_id: '"3b241101-e2bb-4255-8caf-4136c566a962"',
  timestamp: '1700000000.5',
  sender: `{"agent_id":"agent_a","node_id":"n","public_key":"k","certificate":"AAAA"}`,
  payload,
  signature: `"${Buffer.alloc(64).toString('base64')}"`,
});
const checkpointForm = {
  height: '2',
  hash: `"${'a'.repeat(64)}"`,
  previous_hash: `"${'b'.repeat(64)}"`,
  timestamp: '1700000000.5',
  state_root: `"${'c'.repeat(64)}"`,
  accepted_rules: '[]',
  statistics: '{"total_commits":0,"total_agents":0,"avg_confidence":0.0}',
  signature: `"${Buffer.alloc(96).toString('base64')}"`,
};

const runs = { numRuns: 1500 };

describe('whatever a peer sends', () => {
  const rubbishKey = { ...ta.testWorld(), verify: () => false };
  const rules = {
    world: rubbishKey,
    certificates: new CertificateCache(readAuthority(ta.caCertificate()), rubbishKey),
  };

  it('an envelope or item is taken or refused', () => {
    const item = nearly(commitForm).chain((payload) => nearly(envelopeForm(payload)));
    let refused = 0;
    fc.assert(
      fc.property(fc.oneof(text, item), (written) => {
        const value = parse(written);
        expect(readItem(value, rules)).to.have.property('because');
        refused++;
        const envelope = readEnvelope(value);
        if (!envelope) return;
        const texts = envelopeText(envelope);
        expect(texts.whole).to.equal(canonical(value));
        if (isItemType(envelope.messageType)) {
          expect(checkOwnedItem(envelope, texts, rules)).to.have.property('because');
        }
      }),
      runs,
    );
    expect(refused).to.be.at.least(runs.numRuns);
  });

  it('a checkpoint is judged', () => {
    const nothing = { totalCommits: 0, totalAgents: 0, avgConfidence: 0, acceptedRules: [] };
    fc.assert(
      fc.property(fc.oneof(text, nearly(checkpointForm)), (written) => {
        const checkpoint = readCheckpoint(parse(written));
        if (!checkpoint) return;
        if (checkpoint.acceptedRules !== null) expect(isGenuine(checkpoint, rubbishKey)).to.equal(false);
        expect(hasGoodSignatures(checkpoint, rubbishKey.verify)).to.equal(false);
        expect(describes(checkpoint, nothing)).to.be.a('boolean');
        const context = {
          own: checkpoint,
          predecessor: checkpoint,
          nowSeconds: 0,
          authorityNotBeforeMs: 0,
          checkpointIntervalMs: 0,
        };
        expect(chainRefusal(checkpoint, context), 'its own predecessor').to.be.a('string');
      }),
      runs,
    );
  });

  it('a query is answered or refused', () => {
    const index = createCommitIndex(() => ({ contextSignature: '', logicSignature: '' }));
    const query = nearly({
      limit: '1',
      min_confidence: '0',
      context_pattern: '"*"',
      rule_hash: '""',
      agent_id: '""',
    }).chain((filters) => nearly({ query_type: '"by_context"', filters }));
    fc.assert(
      fc.property(fc.oneof(text, query), (written) => {
        const payload = parse(written);
        if (!isObject(payload)) return;
        const answer = answerQuery(index, payload, 'id');
        expect('because' in answer || answer.total_count === 0).to.equal(true);
      }),
      runs,
    );
  });
});
