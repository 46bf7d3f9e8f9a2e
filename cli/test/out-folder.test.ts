import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeOutFolder } from '../out-folder.ts';

describe('the folder of --out', () => {
  let temp: string;
  before(() => {
    temp = mkdtempSync(join(tmpdir(), 'cle-out-'));
    writeFileSync(join(temp, 'file'), '');
  });
  after(() => rmSync(temp, { recursive: true, force: true }));

  it('is made with those above it, and may be there already', () => {
    const folder = join(temp, 'a', 'b', 'c');
    makeOutFolder(folder);
    makeOutFolder(folder);
    expect(statSync(folder).isDirectory()).to.equal(true);
  });

  it('is refused in one line where it cannot be', () => {
    for (const folder of [join(temp, 'file'), join(temp, 'file', 'x')])
      expect(() => makeOutFolder(folder), folder).to.throw(/^--out: .* cannot be made \(ENOTDIR\)$/);
  });

  it('is refused where a parent takes no children, instead of being tried for ever', function () {
    // Only Linux has such a parent; elsewhere the path is one that is made, which is no test.
    if (!existsSync('/proc/self')) this.skip();
    expect(() => makeOutFolder('/proc/x/y')).to.throw(/cannot be made \(ENOENT\)$/);
  });
});
