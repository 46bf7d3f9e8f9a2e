import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadRegister } from '../register.ts';
import type { Requirement } from '../requirement.ts';
import { root } from '../self/build.ts';
import { loadMutants, type Mutant, mutantProblems, patched } from '../self/mutant.ts';

const mutant: Mutant = {
  id: 'two-instead-of-three',
  kills: ['GRT-01'],
  file: 'node/a.ts',
  find: 'k = 3',
  replace: 'k = 2',
  note: 'fans out to two',
};
const known = new Set(['GRT-01', 'GRT-02']);

describe('mutants', () => {
  it('are all fit: no stale patch, no unknown row, rows and mutants agree', async () => {
    const { rows, catalogue } = await loadRegister();
    const mutants = await loadMutants();
    expect(mutantProblems(root, mutants, rows, new Set(catalogue.map((row) => row.id)))).to.deep.equal([]);
  });

  it('patch exactly one place', () => {
    expect(patched('let k = 3;', mutant)).to.equal('let k = 2;');
    expect(() => patched('let k = 4;', mutant)).to.throw(/does not hold: k = 3/);
    expect(() => patched('k = 3; k = 3;', mutant)).to.throw(/more than once/);
    expect(() => patched('k = 3', { ...mutant, replace: 'k = 3' })).to.throw(/changes nothing/);
  });

  it('fail the gate when the source has moved on, or rows and mutants disagree', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mutants-'));
    try {
      mkdirSync(join(folder, 'node'));
      writeFileSync(join(folder, 'node/a.ts'), 'let k = 3;');
      expect(mutantProblems(folder, [mutant], [], known)).to.deep.equal([]);
      const row = { id: 'GRT-02', mutants: ['two-instead-of-three', 'nobody'] } as unknown as Requirement;
      expect(mutantProblems(folder, [mutant], [row], known)).to.have.length(2);
      expect(mutantProblems(folder, [mutant, mutant], [], known)).to.deep.equal([
        'two-instead-of-three: there twice',
      ]);
      expect(mutantProblems(folder, [{ ...mutant, kills: ['ZZZ-01'] }], [], known)[0]).to.match(
        /ZZZ-01 is no req/,
      );
      writeFileSync(join(folder, 'node/a.ts'), 'let k = fanout;');
      expect(mutantProblems(folder, [mutant], [], known)[0]).to.match(/stale/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
