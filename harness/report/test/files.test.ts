import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TroubleError } from '../../trouble-error.ts';
import { writeResults } from '../files.ts';

describe('the files of a run', () => {
  let temp: string;
  beforeEach(() => {
    temp = mkdtempSync(join(tmpdir(), 'cle-files-'));
  });
  afterEach(() => rmSync(temp, { recursive: true, force: true }));

  it('are written, with the folders that their names have, over those of before', () => {
    writeResults(temp, new Map([['a.txt', 'old and long']]));
    writeResults(
      temp,
      new Map([
        ['a.txt', 'new'],
        ['below/b.txt', 'b'],
      ]),
    );
    expect(readFileSync(join(temp, 'a.txt'), 'utf8')).to.equal('new');
    expect(readdirSync(join(temp, 'below'))).to.deep.equal(['b.txt']);
    expect(readdirSync(temp).sort()).to.deep.equal(['a.txt', 'below']);
  });

  it('are whole or not there, and one line names those that are missing', () => {
    // A folder stands where the file has to go, which no user can write over, not even root.
    mkdirSync(join(temp, 'a.txt', 'x'), { recursive: true });
    const texts = new Map([
      ['a.txt', 'a'],
      ['b.txt', 'b'],
    ]);
    expect(() => writeResults(temp, texts)).to.throw(
      TroubleError,
      /^\S+: a folder has that name; not written: a\.txt$/,
    );
    expect(readFileSync(join(temp, 'b.txt'), 'utf8')).to.equal('b');
    expect(readdirSync(temp).sort()).to.deep.equal(['a.txt', 'b.txt']);
  });

  it('are written without the one whose text cannot be made, which is told then', () => {
    const texts = new Map<string, () => string>([
      [
        'a.txt',
        () => {
          throw new RangeError('too long');
        },
      ],
      ['b.txt', () => 'b'],
    ]);
    expect(() => writeResults(temp, texts)).to.throw(RangeError, 'too long');
    expect(readdirSync(temp)).to.deep.equal(['b.txt']);
  });
});
