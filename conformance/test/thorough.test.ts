import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { nodeHash } from '../../harness/wire/tree.ts';
import { readCatalogue } from '../catalogue.ts';
import { openTerminal } from '../report/terminal.ts';
import { pass, type Requirement } from '../requirement.ts';
import { runConformance } from '../run.ts';
import { trivialCommand } from '../self/build.ts';
import { openCommandTarget } from '../target-command.ts';
import { wideRequests, wideTree } from '../wide-tree.ts';

const catalogue = readCatalogue();
const sink = new Writable({ write: (_chunk, _encoding, done) => done() }) as unknown as NodeJS.WriteStream;

function row(id: string, changes: Partial<Requirement>): Requirement {
  const { level, section, role } = catalogue.find((one) => one.id === id)!;
  return {
    id,
    level,
    section,
    role,
    quote: 'All messages are signed:',
    reading: 'it is so',
    mutants: ['x'],
    needs: [],
    durationHintMs: 100,
    test: async (bench) => {
      await bench.sleep(400, 'a while');
      return pass(`${bench.thorough}`);
    },
    ...changes,
  };
}

describe('thorough', function () {
  this.timeout(60_000);

  it('gives the rows that have another size that size, its time and its replay line; the others stay', async () => {
    const outDir = mkdtempSync(join(tmpdir(), 'thorough-'));
    const target = await openCommandTarget({
      command: { argv: await trivialCommand('accept-all') },
      description: 'accept-all',
      flags: "--command 'x'",
      seed: 1,
    });
    const rows = [
      row('GRT-01', { limitMs: 200, thorough: { durationHintMs: 400, limitMs: 5_000 } }),
      row('GRT-02', { limitMs: 5_000 }),
    ];
    const judged = async (thorough: boolean) => {
      const options = {
        selection: { only: [], level: null },
        seed: 1,
        thorough,
        outDir,
        baseline: null,
        writeBaseline: null,
        today: '2026-01-01',
      };
      const register = { rows, catalogue, missing: [], problems: [] };
      const summary = await runConformance(options, target, openTerminal(sink, catalogue, true), register);
      return summary.results.map(({ id, verdict, replay }) => ({ id, verdict, replay }));
    };
    const again = (id: string, flag = '') =>
      `npm run conformance -- --command 'x' ${flag}--only ${id} --seed 1`;
    try {
      expect(await judged(false)).to.deep.equal([
        { id: 'GRT-01', verdict: 'fail', replay: again('GRT-01') },
        { id: 'GRT-02', verdict: 'pass', replay: again('GRT-02') },
      ]);
      expect(await judged(true)).to.deep.equal([
        { id: 'GRT-01', verdict: 'pass', replay: again('GRT-01', '--thorough ') },
        { id: 'GRT-02', verdict: 'pass', replay: again('GRT-02') },
      ]);
      expect(JSON.parse(readFileSync(join(outDir, 'conformance.json'), 'utf8')).thorough).to.equal(true);
    } finally {
      await target.close();
      rmSync(outDir, { recursive: true });
    }
  });

  it('walks through a tree that is true to its hashes', () => {
    const tree = wideTree();
    const visit = (prefix: string): string[] => {
      const { hash, count, itemHashes, children } = tree.subtree(prefix);
      if (itemHashes === undefined) {
        const below = [...'0123456789abcdef'].map((digit) => tree.subtree(prefix + digit));
        expect(below.map((one) => one.hash)).to.deep.equal(children);
        expect(below.reduce((sum, one) => sum + one.count, 0)).to.equal(count);
        return prefix.length < 2 ? visit(`${prefix}7`) : below.flatMap((one) => visit(one.prefix));
      }
      expect(nodeHash(itemHashes, prefix)).to.equal(hash);
      return [...itemHashes];
    };
    const twoDigits = visit('');
    expect(twoDigits).to.have.length(16 * 16 * 32);
    expect(twoDigits).to.deep.equal([...twoDigits].sort());
    expect(nodeHash(twoDigits, '77')).to.equal(tree.subtree('77').hash);
    expect(tree.subtree('').hash).to.equal(tree.root());
    expect(wideRequests).to.be.greaterThan(10_000);
  });
});
