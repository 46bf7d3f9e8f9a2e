/** Logs on a disk that is full, for which Linux has a device. */

import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { logStream, remark } from '../node-log.ts';

describe('a log on a full disk', () => {
  const full = '/dev/full';
  before(function () {
    if (!existsSync(full)) this.skip();
  });

  it('loses lines and ends no run', async () => {
    remark(full, 'a line');
    const stream = logStream(full);
    stream.write('a line\n');
    for (let waitedMs = 0; !stream.destroyed && waitedMs < 2_000; waitedMs += 10) await delay(10);
    expect(stream.errored).to.have.property('code', 'ENOSPC');
  });

  it('hides no other trouble', () => {
    expect(() => remark('/dev/null/x', 'a line')).to.throw(/ENOTDIR/);
  });
});
