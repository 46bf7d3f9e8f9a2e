/** The overlay's shape from made-up counters of links. */
import { expect } from 'chai';
import { bypass, overlayConnected, overlayDegree, unreachable } from '../checks/overlay.ts';
import type { History } from '../history.ts';
import { healthyHistory } from './history-fixture.ts';

describe('the overlay', () => {
  const withEdges = (edges: [string, string][]): History => {
    const history = healthyHistory();
    const links = edges.map(([from, to]) => ({
      from,
      to,
      accepted: 1,
      open: 1,
      bytesForth: 0,
      bytesBack: 0,
    }));
    for (const sample of history.linkSamples) sample.links = links;
    return history;
  };
  const ring: [string, string][] = [1, 2, 3, 4, 5, 6].map((n) => [`node-${n}`, `node-${(n % 6) + 1}`]);

  it('is whole without any one node, or not', () => {
    expect(overlayConnected(withEdges(ring)).verdict).to.equal('pass');
    expect(overlayDegree(withEdges(ring)).verdict).to.equal('warn');
    const line = overlayConnected(withEdges(ring.slice(0, 5)));
    expect(line.verdict).to.equal('fail');
    const star: [string, string][] = [2, 3, 4, 5, 6].map((n) => ['node-1', `node-${n}`]);
    expect(overlayConnected(withEdges(star)).because).to.match(/^Without node-1 the overlay falls apart/);
    expect(overlayConnected(withEdges(ring.slice(0, 2))).because).to.match(/had no peer at the end/);
  });

  it('is walked from any node', () => {
    expect(unreachable(['a', 'b', 'c'], [['a', 'b']])).to.deep.equal(['c']);
    expect(
      unreachable(
        ['a', 'b', 'c'],
        [
          ['b', 'a'],
          ['c', 'b'],
        ],
      ),
    ).to.deep.equal([]);
    expect(
      unreachable(
        ['a', 'b', 'c'],
        [
          ['b', 'a'],
          ['c', 'b'],
        ],
        'b',
      ),
    ).to.deep.equal(['c']);
  });

  it('of two nodes has no second path, and still must be one', () => {
    const pair = healthyHistory();
    pair.plan.nodes = pair.plan.nodes.slice(0, 2);
    pair.lives = pair.lives.slice(0, 2);
    expect(overlayConnected(pair).verdict).to.equal('skipped');
    for (const sample of pair.linkSamples) sample.links = [];
    expect(overlayConnected(pair).verdict).to.equal('fail');
    const left = healthyHistory();
    for (const life of left.lives.slice(2)) Object.assign(life, { endedAt: 9_000, end: 'killed' });
    expect(overlayConnected(left).verdict).to.equal('unknown');
  });

  it('is unknown where nobody lives, or nobody knows another', () => {
    const dead = healthyHistory();
    for (const life of dead.lives) Object.assign(life, { endedAt: 9_000, end: 'killed' });
    expect(overlayDegree(dead).verdict).to.equal('unknown');
    const strangers = healthyHistory();
    expect(bypass(strangers).verdict).to.equal('pass');
    for (const list of strangers.peerLists) list.peers = [];
    expect(bypass(strangers).verdict).to.equal('unknown');
  });

  it('is not judged where nobody counts connections', () => {
    const history = healthyHistory();
    for (const sample of history.linkSamples) for (const link of sample.links) link.open = null;
    expect(overlayConnected(history).verdict).to.equal('skipped');
  });
});
