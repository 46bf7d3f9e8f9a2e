/** What the monitors say of a node's messages, and what their book keeps. */
import { expect } from 'chai';
import { buildEnvelope } from '../envelope.ts';
import { freshIdentity } from '../identity.ts';
import { float, type Json } from '../json.ts';
import { createBook, judge, record } from '../monitors.ts';

describe('monitors', () => {
  const identity = freshIdentity();
  /** Asked when a test runs: long after the file was read where all tests run. */
  const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));

  /** What ENV-01 says of heartbeats of one node under these timestamps. */
  function accusations(timestamps: readonly Json[]): string[] {
    const book = createBook();
    for (const timestamp of timestamps) {
      const envelope = buildEnvelope(identity, 'gossip', {}, { timestamp });
      const arrival = { connection: 'a', receiver: 'node_b', peer: 'no certificate', at: 0 };
      judge(book, arrival, JSON.stringify(String(envelope.message_id)), 100, envelope, null);
    }
    return book.violations.filter(({ row }) => row === 'ENV-01').map(({ because }) => because);
  }

  it('take any number of messages within one millisecond of a whole second for chance', () => {
    const whole = now();
    expect(accusations(Array(20).fill(whole))).to.deep.equal([]);
    const apart = [0n, 1n, 2n, 3n, 4n].map((second) => whole + second);
    expect(accusations(apart)).to.deep.equal([]);
    expect(accusations([...apart, float(Number(whole) + 0.5), whole + 5n])).to.deep.equal([]);
  });

  it('take six different whole seconds in a row for a fault, and say so once', () => {
    const whole = now();
    const seconds = [0n, 0n, 1n, 2n, 2n, 3n, 4n, 5n, 6n].map((second) => whole + second);
    expect(accusations(seconds)).to.deep.equal([
      'timestamps without a fraction: 6 different ones of type gossip in a row',
    ]);
  });
});

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
