/** Statistics and accepted rules (§8) of exactly the set under a root. */
import { expect } from 'chai';
import fc from 'fast-check';
import { statisticsOf } from '../statistics.ts';
import { PrefixTree } from '../tree.ts';
import { commitItem, freshHash, indexOf, rule } from './commit-items.ts';
import { sha256 } from './fixtures/test-authority.ts';

describe('statistics and accepted rules (§8)', () => {
  const three = (i: number) =>
    ['agent_a', 'agent_b', 'agent_c'].map((agent) => commitItem({ rule: rule(i), agent }));

  it('of the empty set', () => {
    const expected = { totalCommits: 0, totalAgents: 0, avgConfidence: 0, acceptedRules: [] };
    expect(statisticsOf(indexOf([]), new PrefixTree(sha256))).to.deep.equal(expected);
    expect(statisticsOf(indexOf(three(1)), new PrefixTree(sha256))).to.deep.equal(expected);
  });

  it('accept a rule by three distinct agents', () => {
    const items = [
      ...three(5),
      ...three(2),
      commitItem({ rule: rule(3), agent: 'agent_a' }),
      commitItem({ rule: rule(3), agent: 'agent_a' }),
      commitItem({ rule: rule(3), agent: 'agent_b' }),
    ];
    const tree = new PrefixTree(sha256);
    for (const item of items) tree.add(item.hash);
    const { acceptedRules, totalAgents, totalCommits } = statisticsOf(indexOf(items), tree);
    expect(acceptedRules).to.deep.equal([`rule_${rule(2)}`, `rule_${rule(5)}`]);
    expect({ totalAgents, totalCommits }).to.deep.equal({ totalAgents: 3, totalCommits: 9 });
  });

  it('are those of exactly the set under the root', () => {
    const agents = ['agent_a', 'agent_b', 'agent_c', 'agent_d'];
    const choice = fc.record({
      rule: fc.nat(6),
      agent: fc.constantFrom(...agents),
      confidence: fc.constantFrom(0, 0.1, 0.2, 0.7, 1),
      type: fc.constantFrom('commit' as const, 'commit' as const, 'confirm' as const),
      isIn: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(choice, { maxLength: 150, size: 'max' }), (choices) => {
        const items = choices.map((c) => ({ ...c, item: commitItem({ ...c, rule: rule(c.rule) }, c.type) }));
        const index = indexOf(items.map(({ item }) => item));
        const tree = new PrefixTree(sha256);
        // Something under the root that the index never saw.
        tree.add(freshHash('stranger'));
        for (const { item, isIn } of items) if (isIn) tree.add(item.hash);
        const inside = items
          .filter(({ isIn, type }) => isIn && type === 'commit')
          .sort((a, b) => (a.item.hash < b.item.hash ? -1 : 1));
        const agentsOf = (i: number) => new Set(inside.filter((c) => c.rule === i).map((c) => c.agent)).size;
        expect(statisticsOf(index, tree)).to.deep.equal({
          totalCommits: inside.length,
          totalAgents: new Set(inside.map((c) => c.agent)).size,
          avgConfidence:
            inside.length === 0 ? 0 : inside.reduce((sum, c) => sum + c.confidence, 0) / inside.length,
          acceptedRules: [0, 1, 2, 3, 4, 5, 6].filter((i) => agentsOf(i) >= 3).map((i) => `rule_${rule(i)}`),
        });
      }),
      { numRuns: 100 },
    );
  });
});
