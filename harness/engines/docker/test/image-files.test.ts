/** What an image is made of, without an engine: the archive as `tar` reads it, the libraries of a program, the hash that names it. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { ballastOf } from '../disk.ts';
import { fileEntry, folderEntries, hashOf, libraryEntries, libraryPath } from '../image-files.ts';
import { type TarEntry, tarStream } from '../image-tar.ts';

describe('docker: what an image is made of', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'image-files-'));
    writeFileSync(join(folder, 'one'), 'x'.repeat(1025));
    writeFileSync(join(folder, 'compiled.cache'), 'code');
  });
  after(() => rmSync(folder, { recursive: true }));

  it('is an archive that tar reads: modes, owners, long paths, contents', async () => {
    const long = `/${'folder/'.repeat(20)}file`;
    const entries: TarEntry[] = [
      { path: '/cle', kind: 'folder', mode: 0o755, owner: 1000 },
      { path: '/tmp', kind: 'folder', mode: 0o1777 },
      fileEntry('/one', join(folder, 'one'), 0o755),
      { path: long, kind: 'file', mode: 0o644, content: 'ü\n' },
    ];
    const archive = await buffer(tarStream(entries));
    expect(archive.length % 512).to.equal(0);
    const listed = execFileSync('tar', ['-tv', '--numeric-owner', '-f', '-'], { input: archive }).toString();
    expect(
      listed.split('\n').map((line) => line.replace(/\s+/g, ' ').replace(/ 1970\S* \S+/, '')),
    ).to.deep.equal([
      'drwxr-xr-x 1000/1000 0 cle/',
      'drwxrwxrwt 0/0 0 tmp/',
      '-rwxr-xr-x 0/0 1025 one',
      `-rw-r--r-- 0/0 3 ${long.slice(1)}`,
      '',
    ]);
    const content = execFileSync('tar', ['-xO', '-f', '-', long.slice(1)], { input: archive }).toString();
    expect(content).to.equal('ü\n');
    const tooLong = tarStream([{ path: `/${'x'.repeat(300)}`, kind: 'file', mode: 0o644, content: '' }]);
    expect(await buffer(tooLong).catch((error: Error) => error.message)).to.match(/too long a path/);
  });

  it('may be larger than memory, piece by piece', async () => {
    let most = 0;
    let total = 0;
    for await (const chunk of tarStream(ballastOf(300, 0x2e))) {
      most = Math.max(most, (chunk as Buffer).length);
      total += (chunk as Buffer).length;
    }
    expect(most).to.equal(2 ** 20);
    expect(total).to.equal(300 * 2 ** 20 + 512 + 1024);
    const sizes = ballastOf(65_538, 0x2e).map(
      (entry) => (entry as { content: { size: number } }).content.size,
    );
    expect(sizes.reduce((sum, size) => sum + size)).to.equal(65_538 * 2 ** 20);
    // The header of a tar archive has no room for more.
    expect(Math.max(...sizes)).to.be.lessThan(8 ** 11);
    const tooLarge: TarEntry = { path: '/x', kind: 'file', mode: 0o600, content: { byte: 1, size: 8 ** 11 } };
    expect(await buffer(tarStream([tooLarge])).catch((error: Error) => error.message)).to.match(/too large/);
  });

  it('has the libraries of the running Node, and their folders for the loader', async function () {
    if (process.platform !== 'linux') return this.skip();
    const libraries = await libraryEntries([process.execPath]);
    const paths = libraries.map(({ path }) => path);
    expect(paths.some((path) => /\/(?:ld-linux|ld-musl|ld64)[^/]*$/.test(path))).to.equal(true);
    for (const path of paths)
      expect(libraryPath(libraries).split(':')).to.include(path.replace(/\/[^/]+$/, ''));
  });

  it('is named by paths, modes and contents, not by compiled code', async () => {
    const name = async (): Promise<string> => hashOf(folderEntries('/node', folder), 'recipe');
    const first = await name();
    writeFileSync(join(folder, 'compiled.cache'), 'other code');
    expect(await name()).to.equal(first);
    writeFileSync(join(folder, 'one'), 'y'.repeat(1025));
    expect(await name()).to.not.equal(first);
    expect(await hashOf(folderEntries('/other', folder), 'recipe')).to.not.equal(await name());
  });
});
