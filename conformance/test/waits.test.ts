import { expect } from 'chai';
import { createWaits } from '../waits.ts';

describe('waits of a row', () => {
  it('are one where a row looks again and again, with an end', () => {
    const waits = createWaits();
    const begun = [0, 52, 104, 300].map((atMs) => waits.begins('three requests', 50, atMs));
    expect(begun).to.deep.equal([true, false, false, false]);
    expect(waits.begins('something else', 1_000, 60)).to.equal(true);
    expect(waits.ends()).to.deep.equal([
      { atMs: 350, who: 'bench', direction: 'note', text: 'three requests: until here, 4 times' },
    ]);
  });

  it('are two where something else came between', () => {
    const waits = createWaits();
    expect([0, 50, 1_000, 1_050].map((atMs) => waits.begins('silence', 50, atMs))).to.deep.equal([
      true,
      false,
      true,
      false,
    ]);
    expect(waits.ends().map(({ atMs }) => atMs)).to.deep.equal([100, 1_100]);
  });
});
