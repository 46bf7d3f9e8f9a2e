/** Queries (§6): how commits become groups, how many are given, what is found and what is malformed. */
import { expect } from 'chai';
import fc from 'fast-check';
import { canonical } from '../canonical.ts';
import type { CommitIndex } from '../commits.ts';
import { isRefusal } from '../error-code.ts';
import { float, isFloat } from '../json.ts';
import { answerQuery } from '../query.ts';
import { statisticsOf } from '../statistics.ts';
import { PrefixTree } from '../tree.ts';
import type { Json, JsonObject } from '../types.ts';
import { commitItem, indexOf, rule } from './commit-items.ts';
import { sha256 } from './fixtures/test-authority.ts';

function ask(
  index: CommitIndex,
  type: Json,
  filters: JsonObject,
): { rules: string[]; total: Json; results: JsonObject[] } {
  const answer = answerQuery(index, { query_type: type, filters }, 'id');
  if (isRefusal(answer)) throw new Error(`${answer.code}: ${answer.because}`);
  expect(answer.request_id).to.equal('id');
  const results = answer.results as JsonObject[];
  return { rules: results.map((result) => result.rule_hash as string), total: answer.total_count!, results };
}

const codeOf = (index: CommitIndex, payload: JsonObject) => {
  const answer = answerQuery(index, payload, 'id');
  return isRefusal(answer) ? answer.code : 'answered';
};

const numberIn = (value: Json | undefined) => (isFloat(value) ? value.float : value);

describe('queries (§6)', () => {
  it('describe a group in full', () => {
    const items = [
      commitItem({
        rule: rule(1),
        agent: 'agent_b',
        confidence: 0.1,
        context: 'x',
        logic: 'l1',
        timestamp: 30,
      }),
      commitItem({
        rule: rule(1),
        agent: 'agent_a',
        confidence: 0.2,
        context: 'y',
        logic: 'l2',
        timestamp: 10.5,
      }),
      commitItem({
        rule: rule(1),
        agent: 'agent_B',
        confidence: 0.3,
        context: 'z',
        logic: 'l3',
        timestamp: 20,
      }),
      commitItem({
        rule: rule(1),
        agent: 'agent_a',
        confidence: 0.7,
        context: 'z',
        logic: 'l4',
        timestamp: 40,
      }),
      commitItem({ rule: rule(2) }),
    ];
    const byHash = items.slice(0, 4).sort((a, b) => (a.hash < b.hash ? -1 : 1));
    const mean =
      byHash.reduce((sum, item) => sum + (item.payload.confidence as { float: number }).float, 0) / 4;
    for (const [type, filters] of [
      ['by_hash', { rule_hash: `rule_${rule(1)}` }],
      ['by_agent', { agent_id: 'agent_B' }],
      ['by_context', { context_pattern: 'y' }],
    ] as [string, JsonObject][]) {
      const { results, total } = ask(indexOf(items), type, filters);
      expect(total).to.equal(1);
      expect(results).to.have.length(1);
      const [result] = results;
      expect(Object.keys(result!).sort()).to.deep.equal([
        'confidence',
        'created_at',
        'logic_signature',
        'rule_hash',
        'supporting_agents',
      ]);
      expect(result!.logic_signature).to.equal(byHash[0]!.payload.logic_signature);
      expect(result!.supporting_agents).to.deep.equal(['agent_B', 'agent_a', 'agent_b']);
      expect(numberIn(result!.confidence)).to.equal(mean);
      expect(numberIn(result!.created_at)).to.equal(10.5);
    }
  });

  it('add from left to right in item-hash order, whatever the order of arrival', () => {
    const values = [0.1, 0.2, 0.3, 1, 1e-17, 0.7, 5e-324, 0.9999999999999999];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...values), { minLength: 1, maxLength: 20 }), (confidences) => {
        const items = confidences.map((confidence) => commitItem({ confidence }));
        const sorted = [...items].sort((a, b) => (a.hash < b.hash ? -1 : 1));
        let sum = 0;
        for (const item of sorted) sum += (item.payload.confidence as { float: number }).float;
        const index = indexOf(items);
        const { results } = ask(index, 'by_hash', { rule_hash: `rule_${rule(0)}` });
        expect(numberIn(results[0]!.confidence)).to.equal(sum / items.length);
        const tree = new PrefixTree(sha256);
        for (const item of items) tree.add(item.hash);
        expect(statisticsOf(index, tree).avgConfidence).to.equal(sum / items.length);
      }),
      { numRuns: 200 },
    );
  });

  it('ascend by rule_hash, count before the limit', () => {
    const items = [7, 3, 250, 1, 99, 4].flatMap((i) => [
      commitItem({ rule: rule(i) }),
      commitItem({ rule: rule(i) }),
    ]);
    const index = indexOf(items);
    const all = [1, 3, 4, 7, 99, 250].map((i) => `rule_${rule(i)}`);
    const limited = (limit?: Json) =>
      ask(index, 'by_context', { context_pattern: '*', ...(limit === undefined ? {} : { limit }) });
    expect(limited().rules).to.deep.equal(all);
    expect(limited(6).rules).to.deep.equal(all);
    expect(limited(2)).to.deep.include({ rules: all.slice(0, 2), total: 6 });
    expect(limited(1).rules).to.deep.equal(all.slice(0, 1));
    expect(limited(0)).to.deep.include({ rules: [], total: 6 });
    expect(limited(10n ** 30n).rules).to.deep.equal(all);
  });

  it('give at most 100 groups', () => {
    const index = indexOf(Array.from({ length: 130 }, (_, i) => commitItem({ rule: rule((i * 37) % 130) })));
    const expected = Array.from({ length: 100 }, (_, i) => `rule_${rule(i)}`);
    for (const filters of [{}, { limit: 100 }, { limit: 101 }, { limit: 2 ** 52 }] as JsonObject[]) {
      expect(ask(index, 'by_context', { context_pattern: '?', ...filters })).to.deep.include({
        rules: expected,
        total: 130,
      });
    }
  });

  it('give as many groups as fit into 60 000 bytes', () => {
    const logic = 'é'.repeat(500);
    const index = indexOf(Array.from({ length: 60 }, (_, i) => commitItem({ rule: rule(i), logic })));
    const answer = answerQuery(
      index,
      { query_type: 'by_context', filters: { context_pattern: '*' } },
      'id',
    ) as JsonObject;
    const bytes = canonical(answer).length;
    expect(bytes).to.be.at.most(60_000);
    const { rules, total, results } = ask(index, 'by_context', { context_pattern: '*' });
    expect(bytes + canonical(results[0]!).length + 2).to.be.greaterThan(60_000);
    expect(rules).to.deep.equal(rules.map((_, i) => `rule_${rule(i)}`));
    expect(total).to.equal(60);
  });

  it('fill 60 000 bytes to the last', () => {
    const lengthWith = (logic: string) => {
      const index = indexOf([
        commitItem({ rule: rule(1), logic: 'x'.repeat(30_000) }),
        commitItem({ rule: rule(2), logic }),
      ]);
      const answer = answerQuery(
        index,
        { query_type: 'by_context', filters: { context_pattern: '*' } },
        'id',
      ) as JsonObject;
      return { bytes: canonical(answer).length, results: (answer.results as Json[]).length };
    };
    const room = 60_000 - lengthWith('').bytes;
    expect(lengthWith('x'.repeat(room))).to.deep.equal({ bytes: 60_000, results: 2 });
    expect(lengthWith('x'.repeat(room + 1)).results).to.equal(1);
  });

  it('filter on the mean, its own value included', () => {
    const items = [
      commitItem({ rule: rule(1), confidence: 0.25 }),
      commitItem({ rule: rule(1), confidence: 0.75 }),
      commitItem({ rule: rule(2), confidence: 1 }),
      commitItem({ rule: rule(3), confidence: 0 }),
    ];
    const from = (min_confidence: Json) =>
      ask(indexOf(items), 'by_context', { context_pattern: '*', min_confidence }).total;
    expect(from(float(0.5))).to.equal(2);
    expect(from(float(0.5000001))).to.equal(1);
    expect(from(1)).to.equal(1);
    expect(from(0)).to.equal(3);
    expect(from(-1)).to.equal(3);
    expect(from(float(-0))).to.equal(3);
    expect(from(10n ** 30n)).to.equal(0);
    expect(from(-(10n ** 400n))).to.equal(3);
  });

  it('look at commits only', () => {
    const index = indexOf([
      commitItem({}, 'challenge'),
      commitItem({}, 'confirm'),
      commitItem({ rule: rule(9) }),
    ]);
    expect(ask(index, 'by_context', { context_pattern: '*' }).rules).to.deep.equal([`rule_${rule(9)}`]);
  });

  it('match agents and rules exactly and find nothing for strangers', () => {
    const index = indexOf([commitItem({ agent: 'agent_a' })]);
    for (const agent_id of ['agent_A', 'agent_', '', '__proto__', 'agent_a ']) {
      expect(ask(index, 'by_agent', { agent_id })).to.deep.include({ rules: [], total: 0 });
    }
    for (const rule_hash of ['', 'rule_', '__proto__', 'rule_*']) {
      expect(ask(index, 'by_hash', { rule_hash })).to.deep.include({ rules: [], total: 0 });
    }
    expect(
      ask(index, 'by_agent', { agent_id: 'agent_a', rule_hash: 'x', context_pattern: 5 }).total,
    ).to.equal(1);
  });

  it('find long texts, which are not held in memory', () => {
    const long = 'x'.repeat(20_000);
    const items = [
      commitItem({ context: `${long}y`, logic: `${long}z` }),
      commitItem({ rule: rule(2), context: long }),
    ];
    const index = indexOf(items);
    expect(index.contexts.list).to.deep.equal([]);
    const { rules, results } = ask(index, 'by_context', { context_pattern: 'x*y' });
    expect(rules).to.deep.equal([`rule_${rule(0)}`]);
    expect(results[0]!.logic_signature).to.equal(`${long}z`);
  });

  const malformed: [string, JsonObject][] = [
    ['no query_type', { filters: {} }],
    ['an unknown query_type', { query_type: 'by_magic', filters: {} }],
    ['query_type that is no string', { query_type: 1, filters: {} }],
    ['a query_type of a prototype', { query_type: 'constructor', filters: {} }],
    ['no filters', { query_type: 'by_hash' }],
    ['filters null', { query_type: 'by_hash', filters: null }],
    ['filters as an array', { query_type: 'by_hash', filters: [] }],
    ['no rule_hash', { query_type: 'by_hash', filters: { agent_id: 'a', context_pattern: '*' } }],
    ['rule_hash null', { query_type: 'by_hash', filters: { rule_hash: null } }],
    ['no agent_id', { query_type: 'by_agent', filters: {} }],
    ['no context_pattern', { query_type: 'by_context', filters: {} }],
    [
      'context_pattern of 257 points',
      { query_type: 'by_context', filters: { context_pattern: '*'.repeat(257) } },
    ],
    ...[-1, -(10n ** 30n), float(5), float(-1), '5', null, true].map((limit): [string, JsonObject] => [
      `limit ${typeof limit} ${String(isFloat(limit) ? limit.float : limit)}`,
      { query_type: 'by_hash', filters: { rule_hash: '', limit } },
    ]),
    ...['0.5', null, true, []].map((min_confidence): [string, JsonObject] => [
      `min_confidence ${JSON.stringify(min_confidence)}`,
      { query_type: 'by_hash', filters: { rule_hash: '', min_confidence } },
    ]),
  ];
  for (const [name, payload] of malformed) {
    it(`are MALFORMED with ${name}`, () => expect(codeOf(indexOf([]), payload)).to.equal('MALFORMED'));
  }

  it('are answered with a pattern of 256 points, astral ones too', () => {
    for (const context_pattern of ['?'.repeat(256), '😀'.repeat(256)]) {
      expect(codeOf(indexOf([]), { query_type: 'by_context', filters: { context_pattern } })).to.equal(
        'answered',
      );
    }
    const filters = { context_pattern: '😀'.repeat(257) };
    expect(codeOf(indexOf([]), { query_type: 'by_context', filters })).to.equal('MALFORMED');
  });
});
