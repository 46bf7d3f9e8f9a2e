/** What the book of the monitors keeps. */
import { expect } from 'chai';
import { createBook, judge, record } from '../monitors.ts';

describe('the book of the monitors', () => {
  it('keeps enough of each row and connection, and no more', () => {
    const book = createBook();
    const arrival = { connection: 'observer-1>node-1', receiver: 'r', peer: 'unknown', at: 1 };
    for (let n = 0; n < 6_000; n += 1) judge(book, arrival, 'x', 1, null, 'no JSON');
    expect(book.violations).to.have.length(100);
    const other = { ...book.violations[0]!, because: 'binary' };
    record(book, { ...other, row: 'ENV-08' });
    record(book, { ...other, connection: 'observer-1>node-2' });
    for (let n = 0; n < 200; n += 1) record(book, other);
    expect(book.violations.slice(100).map(({ row, connection }) => [row, connection])).to.deep.equal([
      ['ENV-08', 'observer-1>node-1'],
      ['ENV-01', 'observer-1>node-2'],
    ]);
  });
});
