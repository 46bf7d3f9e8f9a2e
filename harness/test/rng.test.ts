import { expect } from 'chai';
import { rng, seededBytes, seededUuid } from '../rng.ts';

describe('seeded randomness', () => {
  it('never changes', () => {
    const stream = rng(1, 'golden');
    expect([stream.next(), stream.next(), stream.below(10), stream.below(10)]).to.deep.equal([
      2863803804, 2289515068, 0, 4,
    ]);
    expect(seededBytes(1, 4, 'golden').toString('hex')).to.equal('3d93b064');
  });

  it('has a stream per key', () => {
    const draws = (...key: string[]): number[] => {
      const stream = rng(7, ...key);
      return Array.from({ length: 8 }, () => stream.next());
    };
    expect(draws('a')).to.deep.equal(draws('a'));
    expect(draws('a')).to.not.deep.equal(draws('b'));
    expect(draws('a', 'b')).to.not.deep.equal(draws('a,b'));
  });

  it('draws evenly and within bounds', () => {
    const stream = rng(2, 'even');
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i += 1) counts[stream.below(7)]! += 1;
    for (const count of counts) expect(count).to.be.within(9500, 10_500);
    for (let i = 0; i < 1000; i += 1) expect(stream.float()).to.be.within(0, 1 - 2 ** -32);
    expect(() => stream.below(0)).to.throw();
    expect(() => stream.pick([])).to.throw();
  });

  it('shuffles without losing anybody', () => {
    const list = Array.from({ length: 50 }, (_, index) => index);
    const shuffled = rng(3, 's').shuffle(list);
    expect(shuffled).to.not.deep.equal(list);
    expect([...shuffled].sort((a, b) => a - b)).to.deep.equal(list);
  });

  it('makes version 4 UUIDs', () => {
    expect(seededUuid(rng(1, 'uuid'))).to.match(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
});
