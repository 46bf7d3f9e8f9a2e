/** What a signal leaves of a run of the suite's own measure. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('conformance:self', function () {
  this.timeout(120_000);

  it('writes what was judged when a signal ends it', async () => {
    const temp = mkdtempSync(join(tmpdir(), 'cle-self-'));
    const out = join(temp, 'out');
    const only = 'message-limit-lower,payload-limit-missing';
    const args = ['--import', 'tsx', 'cli/conformance-self.ts', '--jobs', '1', '--only', only, '--out', out];
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'ignore' });
    try {
      const closed = once(child, 'close');
      // The folder is made right before the first mutant is.
      while (!existsSync(out) && child.exitCode === null) await delay(20);
      await delay(500);
      child.kill('SIGTERM');
      const [code] = await closed;
      expect(code).to.equal(143);
      const matrix = JSON.parse(readFileSync(join(out, 'kill-matrix.json'), 'utf8'));
      expect(matrix.unjudged).to.not.deep.equal([]);
      expect(matrix.mutants.length + matrix.unjudged.length).to.equal(2);
      expect(existsSync(join(out, 'kill-matrix.html'))).to.equal(true);
    } finally {
      child.kill('SIGKILL');
      rmSync(temp, { recursive: true, force: true });
    }
  });
});
