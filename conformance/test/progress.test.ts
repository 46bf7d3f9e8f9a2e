import { Writable } from 'node:stream';
import { expect } from 'chai';
import { countIn, createProgress, progressLine } from '../progress.ts';
import { openTerminal } from '../report/terminal.ts';
import type { Result } from '../requirement.ts';
import { catalogue } from './made-up.ts';

describe('progress of a run', () => {
  it('says how many are judged, what failed, and what takes longest', () => {
    const progress = createProgress(191);
    expect(progressLine(progress, 0, 400)).to.equal('0 of 191 rows judged after 0 s, 0 failures');
    for (const verdict of ['pass', 'warn', 'fail', 'not-applicable'] as const)
      countIn(progress, { verdict } as Result);
    progress.underWay.set('GRT-01', 30_000).set('HBT-03', 3_000);
    expect(progressLine(progress, 1_000, 41_000)).to.equal(
      '4 of 191 rows judged after 40 s, 1 failure, 2 under way, the longest HBT-03 (38 s)',
    );
  });

  it('is told line by line in a pipe, and neither to a terminal nor to who wants quiet', () => {
    const printed = (isTTY: boolean, quiet: boolean): string => {
      let text = '';
      const out = new Writable({
        write: (chunk, _encoding, done) => {
          text += chunk;
          done();
        },
      });
      openTerminal(Object.assign(out, { isTTY }) as unknown as NodeJS.WriteStream, catalogue, quiet).progress(
        'so far',
      );
      return text;
    };
    expect(printed(false, false)).to.match(/so far.*\n$/);
    expect(printed(true, false)).to.equal('');
    expect(printed(false, true)).to.equal('');
  });
});
