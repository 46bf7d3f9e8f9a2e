import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { nodeHash } from '../../harness/wire/tree.ts';
import type { Bench } from '../bench.ts';
import { pass } from '../requirement.ts';
import { trivialCommand } from '../self/build.ts';
import { openCommandTarget } from '../target-command.ts';
import { wideRequests, wideTree } from '../wide-tree.ts';
import { judged, row } from './made-up.ts';

/** Takes 400 ms and says which size it took. */
async function aWhile(bench: Bench): Promise<unknown> {
  await bench.sleep(400, 'taking its time');
  return pass(`${bench.thorough}`);
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
      row('GRT-01', aWhile, { limitMs: 200, thorough: { durationHintMs: 400, limitMs: 5_000 } }),
      row('GRT-02', aWhile, { limitMs: 5_000 }),
    ];
    const outcome = async (thorough: boolean) => {
      const { results } = await judged(rows, target, outDir, { thorough });
      return results.map(({ id, verdict, because, replay }) => ({ id, verdict, because, replay }));
    };
    const again = (id: string, flag = '') =>
      `npm run conformance -- --command 'x' ${flag}--only ${id} --seed 1`;
    try {
      expect(await outcome(false)).to.deep.equal([
        {
          id: 'GRT-01',
          verdict: 'fail',
          because: 'not through after 0 s, while taking its time',
          replay: again('GRT-01'),
        },
        { id: 'GRT-02', verdict: 'pass', because: 'false', replay: again('GRT-02') },
      ]);
      expect(await outcome(true)).to.deep.equal([
        { id: 'GRT-01', verdict: 'pass', because: 'true', replay: again('GRT-01', '--thorough ') },
        { id: 'GRT-02', verdict: 'pass', because: 'true', replay: again('GRT-02') },
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
