import { expect } from 'chai';
import fc from 'fast-check';
import { openLinks, pairsAcross, pairsOf, severingOf, sidesInSilence, sidesWithout } from '../severing.ts';

const nodes = ['node-1', 'node-2', 'node-3', 'node-4'];

describe('who is cut off from whom', () => {
  it('nobody, while each can dial or be dialled', () => {
    expect(sidesWithout(nodes, [{ from: 'node-1', to: 'node-2' }])).to.have.length(1);
    const all = pairsOf('node-1', nodes).filter(({ from }) => from === 'node-1');
    expect(sidesWithout(nodes, all)).to.have.length(1);
  });

  it('a node whose links are all gone', () => {
    expect(sidesWithout(nodes, pairsOf('node-2', nodes))).to.deep.equal([
      ['node-1', 'node-3', 'node-4'],
      ['node-2'],
    ]);
  });

  it('only by faults that stop bytes', () => {
    const base = {
      id: 'x',
      atMs: 0,
      forMs: 1,
      kind: 'link' as const,
      pairs: pairsOf('node-1', nodes),
      label: '',
    };
    expect(
      severingOf({ ...base, fault: { kind: 'latency', latencyMs: 900, jitterMs: 0 } }, nodes, 5, null),
    ).to.equal(null);
    expect(severingOf({ ...base, fault: { kind: 'down' } }, nodes, 5, null)?.sides).to.have.length(2);
    expect(
      severingOf({ ...base, pairs: base.pairs.slice(0, 1), fault: { kind: 'down' } }, nodes, 5, null),
    ).to.equal(null);
  });

  it('who has dialled all its peers itself, while what it dialled is silent', () => {
    const dialled = pairsOf('node-1', nodes).filter(({ from }) => from === 'node-1');
    const cut = {
      id: 'x',
      atMs: 0,
      forMs: 1,
      kind: 'link' as const,
      pairs: dialled,
      fault: { kind: 'cut' as const },
      label: '',
    };
    const alone = [['node-1'], ['node-2', 'node-3', 'node-4']];
    const others = pairsOf('node-2', ['node-2', 'node-3', 'node-4']);
    expect(severingOf(cut, nodes, 5, [...dialled, ...others])?.sides).to.deep.equal(alone);
    expect(severingOf(cut, nodes, 5, null)?.sides).to.deep.equal(alone);
    // Somebody has dialled it.
    const back = { from: 'node-2', to: 'node-1' };
    expect(severingOf(cut, nodes, 5, [...dialled, ...others, back])).to.equal(null);
    // It may be dialled, and connections that end are dialled again.
    expect(severingOf({ ...cut, fault: { kind: 'down' } }, nodes, 5, dialled)).to.equal(null);
    expect(sidesInSilence(nodes, dialled, [])).to.have.length(1);
  });

  it('by connections that somebody has counted', () => {
    const link = { from: 'node-1', to: 'node-2', accepted: 1, open: 1, bytesForth: 0, bytesBack: 0 };
    const links = [link, { ...link, to: 'node-3', open: 0 }];
    expect(openLinks({ at: 1, links })).to.deep.equal([{ from: 'node-1', to: 'node-2' }]);
    expect(openLinks({ at: 1, links: [{ ...link, open: null }] })).to.equal(null);
    expect(openLinks(undefined)).to.equal(null);
  });

  it('the groups of a partition, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 2, maxLength: 9 }), (sides) => {
        const names = sides.map((_, index) => `node-${index + 1}`);
        const groups = [0, 1, 2]
          .map((side) => names.filter((_, index) => sides[index] === side))
          .filter((group) => group.length > 0);
        const found = sidesWithout(names, pairsAcross(groups))
          .map((side) => side.join())
          .sort();
        expect(found).to.deep.equal(groups.map((group) => group.join()).sort());
      }),
    );
  });
});
