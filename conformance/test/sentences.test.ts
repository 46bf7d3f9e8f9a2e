import { expect } from 'chai';
import { readCatalogue, readDocument } from '../catalogue.ts';
import { loadRegister } from '../register.ts';
import { readIndex, review, sentencesOf } from '../sentences.ts';

const document = readDocument('seed/p2p_network_layer.md');
const known = new Set(readCatalogue().map((row) => row.id));

describe('sentence index', () => {
  it('holds every sentence of the design document, each tested or with a reason', async () => {
    const { rows } = await loadRegister();
    expect(review(rows, known)).to.deep.equal({ unindexed: [], stale: [], unreviewed: [], malformed: [] });
  });

  it('turns the rows of a changed sentence UNREVIEWED', () => {
    const changed = sentencesOf(document.replace('Fanout (k) | 3 |', 'Fanout (k) | 4 |'));
    const found = review([], known, changed);
    expect(found.unreviewed).to.include.members(['GRT-01', 'GRT-02']);
    expect(found.unindexed.map((sentence) => sentence.text)).to.deep.equal([
      '| Fanout (k) | 4 | Peers per gossip step |',
    ]);
    expect(found.stale).to.have.length(1);
  });

  it('notices a sentence that is gone and one that is new', () => {
    expect(
      review([], known, sentencesOf(document.replace('All messages are signed:', ''))).stale,
    ).to.have.length(1);
    const more = sentencesOf(`${document}\nNodes shall sing.\n`);
    expect(review([], known, more).unindexed.map((s) => s.text)).to.deep.equal(['Nodes shall sing.']);
  });

  it('refuses entries that name no row, or both rows and a reason', () => {
    const index = readIndex();
    const broken = [
      { ...index[0]!, rows: ['GRT-01'] },
      { ...index[2]!, rows: ['ZZZ-99'] },
    ];
    expect(review([], known, undefined, broken).malformed).to.have.length(2);
  });

  it('makes a row UNREVIEWED whose quote stands in no document', () => {
    const row = { id: 'GRT-01', quote: 'Fanout factor of seven' } as Parameters<typeof review>[0][number];
    expect(review([row], known).unreviewed).to.deep.equal(['GRT-01']);
    expect(
      review([{ ...row, quote: 'peers =  self.get_random_peers(k=3)' }], known).unreviewed,
    ).to.deep.equal([]);
  });
});
