/** The gate's own arithmetic: a stage that fails fails the gate, and nothing else does. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Exit status and last line of a gate of these stages. */
function gate(stages: string): { status: number | null; last: string; output: string } {
  const { status, stdout } = spawnSync(
    'bash',
    ['-c', `set -uo pipefail; source ci/stages.sh; ${stages}; sum`],
    {
      cwd: root,
      encoding: 'utf8',
      timeout: 15_000,
    },
  );
  return { status, last: stdout.trimEnd().split('\n').at(-1)!, output: stdout };
}

describe('stages of a gate', () => {
  it('counts what passes', () => {
    expect(gate('stage one 5 true; stage two 5 true')).to.include({
      status: 0,
      last: '2 passed, 0 failed, 0 skipped',
    });
  });

  it('fails with a stage that fails or takes too long, and shows its end once more', () => {
    const { status, last, output } = gate(`stage one 5 sh -c 'echo why; exit 1'; stage two 1 sleep 10`);
    expect({ status, last }).to.deep.equal({ status: 1, last: '0 passed, 2 failed, 0 skipped' });
    expect(output.slice(output.indexOf('== failed: one two'))).to.include('why');
  });

  it('counts as skipped what left a verdict that is none, and what is for information only', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cle-stages-'));
    try {
      const judging = `sh -c 'echo {} > ${folder}/verdict.json; exit 3' --out ${folder}`;
      const stages = `informative=' two '; enough=60; stage one 5 ${judging}; stage two 5 false`;
      expect(gate(stages)).to.include({ status: 0, last: '0 passed, 0 failed, 2 skipped' });
      // That verdict is of an earlier run.
      expect(gate(`stage one 5 sh -c 'exit 3' --out ${folder}`)).to.include({ status: 1 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('takes no crash and no three failing tests for an open verdict', () => {
    expect(gate(`stage one 5 sh -c 'exit 3'`)).to.include({
      status: 1,
      last: '0 passed, 1 failed, 0 skipped',
    });
  });

  it('keeps the status of a stage, by which the gate knows what this machine cannot have', () => {
    const { output, status } = gate(
      `stage machine 5 sh -c 'exit 3'; echo "last $last"; stage two 5 true; echo "last $last"`,
    );
    expect(output).to.match(/last 3\n(?:.*\n)*last 0\n/);
    expect(status).to.equal(0);
  });

  it('tries again what may be tried again, once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cle-stages-'));
    try {
      const second = `sh -c 'test -e ${folder}/tried || { touch ${folder}/tried; false; }'`;
      const stages = `again=' one two '; stage one 5 ${second}; stage two 5 false`;
      const { status, last, output } = gate(stages);
      expect({ status, last }).to.deep.equal({ status: 1, last: '1 passed, 1 failed, 0 skipped' });
      expect(output.match(/once more/g)).to.have.length(2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("adds mocha's counts, failures too", () => {
    const mocha = `printf '  7 passing (1s)\\n  2 pending\\n  1 failing\\n'`;
    expect(gate(`stage one 5 sh -c "${mocha}"; tests one`)).to.include({
      status: 1,
      last: '8 passed, 1 failed, 2 skipped',
    });
  });
});
