import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeOutFolder, openOutFolder } from '../out-folder.ts';

describe('the folder of --out', () => {
  let temp: string;
  before(() => {
    temp = mkdtempSync(join(tmpdir(), 'cle-out-'));
    writeFileSync(join(temp, 'file'), '');
  });
  after(() => rmSync(temp, { recursive: true, force: true }));

  it('is made with those above it, and may be there already', () => {
    const folder = join(temp, 'a', 'b', 'c');
    expect(makeOutFolder(folder)).to.equal(true);
    expect(makeOutFolder(folder)).to.equal(false);
    expect(statSync(folder).isDirectory()).to.equal(true);
  });

  it('is refused in one line where it cannot be', () => {
    expect(() => makeOutFolder(join(temp, 'file'))).to.throw(/^--out: \S+ is a file, not a folder$/);
    expect(() => makeOutFolder(join(temp, 'file', 'x'))).to.throw(
      /^--out: \S+ cannot be made: a folder above it is a file$/,
    );
  });

  it('keeps nothing of ours from an earlier run, and all that is not ours', () => {
    const folder = join(temp, 'again');
    mkdirSync(join(folder, 'logs'), { recursive: true });
    const files = [
      'verdict.json',
      'verdict.json.77.unfinished',
      'mine.json',
      'logs/node-5.log',
      'logs/mine.log',
    ];
    const ours = { '.': /^verdict\.json$/, logs: /^node-\d+\.log$/, nodes: /^node-\d+$/ };
    openOutFolder(folder, ours);
    for (const name of files) writeFileSync(join(folder, name), '');
    openOutFolder(folder, ours);
    expect(readdirSync(folder).sort()).to.deep.equal(['.cle-testnet', 'logs', 'mine.json']);
    expect(readdirSync(join(folder, 'logs'))).to.deep.equal(['mine.log']);
  });

  it('is refused where it holds files of our names that are not ours', () => {
    const folder = join(temp, 'theirs');
    mkdirSync(folder);
    writeFileSync(join(folder, 'plan.json'), 'mine');
    expect(() => openOutFolder(folder, { '.': /^plan\.json$/ })).to.throw(
      /^--out: \S+ holds a plan\.json that no run of ours left there; name another folder$/,
    );
    expect(readdirSync(folder)).to.deep.equal(['plan.json']);
    openOutFolder(folder, { '.': /^verdict\.json$/ });
  });

  it('goes again if nothing came to lie in it, unless it was there before', () => {
    const [made, found, used] = ['made', 'found', 'used'].map((name) => join(temp, name));
    makeOutFolder(found!);
    for (const folder of [made!, found!, used!]) {
      const out = openOutFolder(folder, { '.': /^x$/, logs: /^x$/ });
      makeOutFolder(join(folder, 'logs'));
      if (folder === used) writeFileSync(join(folder, 'logs', 'x'), '');
      out.removeIfEmpty();
      out.removeIfEmpty();
    }
    expect(existsSync(made!)).to.equal(false);
    expect(readdirSync(found!)).to.deep.equal([]);
    expect(readdirSync(used!).sort()).to.deep.equal(['.cle-testnet', 'logs']);
  });

  it('is refused where a parent takes no children, instead of being tried for ever', function () {
    // Only Linux has such a parent; elsewhere the path is one that is made, which is no test.
    if (!existsSync('/proc/self')) this.skip();
    expect(() => makeOutFolder('/proc/x/y')).to.throw(/cannot be made \(ENOENT\)$/);
  });
});
