import { expect } from 'chai';
import fc from 'fast-check';
import { PrefixTree, type TreeView, zeros } from '../tree.ts';
import { sha256 } from './fixtures/test-authority.ts';

/** §8 word for word, from the set alone. */
function naive(all: readonly string[], prefix: string): string {
  const below = all.filter((hash) => hash.startsWith(prefix)).sort();
  if (below.length === 0) return zeros;
  if (below.length <= 32) return sha256(`L${below.join('')}`);
  return sha256(`N${[...'0123456789abcdef'].map((digit) => naive(below, prefix + digit)).join('')}`);
}

const hashNumber = (i: number) => sha256(`item ${i}`);
const hashes = (count: number) => Array.from({ length: count }, (_, i) => hashNumber(i));
const treeOf = (all: Iterable<string>) => {
  const tree = new PrefixTree(sha256);
  for (const hash of all) tree.add(hash);
  return tree;
};

function expectSame(tree: TreeView, all: readonly string[], prefixes: readonly string[] = ['']): void {
  expect(tree.size).to.equal(all.length);
  expect(tree.root()).to.equal(naive(all, ''));
  for (const prefix of prefixes) {
    const below = all.filter((hash) => hash.startsWith(prefix)).sort();
    expect(tree.hash(prefix), prefix).to.equal(naive(all, prefix));
    expect(tree.count(prefix), prefix).to.equal(below.length);
    expect(tree.hashes(prefix), prefix).to.deep.equal(below);
    expect(tree.hashes(prefix, 3), prefix).to.deep.equal(below.slice(0, 3));
    if (prefix.length < 64) {
      expect(tree.children(prefix), prefix).to.deep.equal(
        [...'0123456789abcdef'].map((digit) => naive(all, prefix + digit)),
      );
    }
  }
}

/** Hashes that share long prefixes, so that leaves split deep down. */
const closeHash = fc
  .tuple(fc.constantFrom('', '0', 'a', 'ab', 'abc', 'abc'.repeat(21)), fc.nat(200))
  .map(([prefix, i]) => (prefix + hashNumber(i)).slice(0, 64));

describe('the state root (§8)', () => {
  it('is 64 zeros for the empty set', () => {
    const tree = new PrefixTree(sha256);
    expect(tree.root()).to.equal('0'.repeat(64));
    expectSame(tree, [], ['', 'a', 'a'.repeat(64)]);
  });

  for (const count of [1, 2, 31, 32, 33, 34, 500, 3000]) {
    it(`is that of the definition for ${count} items`, () => {
      const all = hashes(count);
      const some = all[count - 1]!;
      expectSame(treeOf(all), all, [
        '',
        some[0]!,
        some.slice(0, 2),
        some.slice(0, 3),
        some.slice(0, 5),
        some,
        'f',
      ]);
    });
  }

  it('splits a leaf of 33 and not one of 32, at any depth', () => {
    const close = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, i) => (prefix + hashNumber(i)).slice(0, 64));
    for (const prefix of ['', 'a', 'abcd', 'f'.repeat(40)]) {
      for (const count of [32, 33, 34])
        expectSame(treeOf(close(prefix, count)), close(prefix, count), ['', prefix]);
    }
    const nearlySame = Array.from({ length: 40 }, (_, i) => 'e'.repeat(62) + i.toString(16).padStart(2, '0'));
    expectSame(treeOf(nearlySame), nearlySame, ['', 'e'.repeat(62), `${'e'.repeat(62)}1`]);
  });

  it('depends on the set alone', () => {
    const all = hashes(300);
    const root = treeOf(all).root();
    expect(treeOf([...all].reverse()).root()).to.equal(root);
    expect(treeOf([...all].sort()).root()).to.equal(root);
    expect(treeOf([...all, ...all]).root()).to.equal(root);
    expect(treeOf(all.slice(1)).root()).to.not.equal(root);
  });

  it('equals a naive recomputation after any adds, removals, snapshots and forks', () => {
    const command = fc.oneof(
      { weight: 20, arbitrary: fc.record({ do: fc.constant('add' as const), hash: closeHash }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('remove' as const), hash: closeHash }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constantFrom('snapshot' as const, 'fork' as const, 'root' as const) }),
      },
    );
    fc.assert(
      fc.property(fc.array(command, { minLength: 30, maxLength: 250, size: 'max' }), (commands) => {
        let tree = new PrefixTree(sha256);
        let set = new Set<string>();
        const kept: [TreeView, string[]][] = [];
        for (const step of commands) {
          if (step.do === 'add') {
            expect(tree.add(step.hash)).to.equal(!set.has(step.hash));
            set.add(step.hash);
            expect(tree.has(step.hash)).to.equal(true);
          } else if (step.do === 'remove') {
            expect(tree.remove(step.hash)).to.equal(set.delete(step.hash));
            expect(tree.has(step.hash)).to.equal(false);
          } else if (step.do === 'snapshot') kept.push([tree.snapshot(), [...set]]);
          else if (step.do === 'root') tree.root();
          else {
            kept.push([tree.snapshot(), [...set]]);
            kept.push([tree, [...set]]);
            tree = tree.snapshot().fork();
            set = new Set(set);
          }
        }
        expectSame(tree, [...set], ['', 'a', 'ab', 'abc', 'abca']);
        for (const [view, expected] of kept) {
          expectSame(view, expected, ['ab']);
          expect(view.without(tree)).to.deep.equal(expected.filter((hash) => !set.has(hash)).sort());
          expect(tree.without(view)).to.deep.equal(
            [...set].filter((hash) => !expected.includes(hash)).sort(),
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('gives runs of all hashes, ascending, until told to stop', () => {
    const all = hashes(100);
    let text = '';
    treeOf(all).runs((items) => {
      text += items;
      return true;
    });
    expect(text).to.equal([...all].sort().join(''));
    let calls = 0;
    treeOf(all).runs(() => {
      calls++;
      return false;
    });
    expect(calls).to.equal(1);
  });

  it('hashes only what changed', () => {
    let hashed = 0;
    const counting = new PrefixTree((data) => {
      hashed++;
      return sha256(data);
    });
    for (const hash of hashes(5000)) counting.add(hash);
    expect(hashed).to.equal(0);
    counting.root();
    const before = counting.snapshot();
    hashed = 0;
    counting.root();
    before.root();
    expect(hashed).to.equal(0);
    counting.add(sha256('one more'));
    counting.root();
    expect(hashed).to.be.within(1, 6);
    hashed = 0;
    before.root();
    expect(hashed).to.equal(0);
  });
});
