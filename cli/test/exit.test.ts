/** How commands end: tried on programs of a line or two, as a shell sees them. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the end of a command', function () {
  this.timeout(20_000);
  let temp: string;
  before(() => {
    temp = mkdtempSync(join(tmpdir(), 'cle-exit-'));
  });
  after(() => rmSync(temp, { recursive: true, force: true }));

  /** Exit code and stderr of a command whose main function has this body. `reader`: does with its stdout what a reader may. */
  const ended = async (body: string, reader = (out: NodeJS.ReadableStream) => void out.resume()) => {
    const file = join(temp, 'program.mts');
    const from = (path: string): string => JSON.stringify(join(root, path));
    writeFileSync(
      file,
      `import { exitWith } from ${from('cli/exit.ts')};
import { TroubleError } from ${from('harness/trouble-error.ts')};
import { UsageError } from ${from('harness/usage-error.ts')};
import { setTimeout as delay } from 'node:timers/promises';
void [TroubleError, UsageError, delay];
await exitWith('it', async () => { ${body} });`,
    );
    const child = spawn(process.execPath, ['--import', 'tsx', file], { cwd: root });
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    reader(child.stdout);
    const [code] = await once(child, 'close');
    return { code, err };
  };

  it('is the code of its own', async () => {
    expect(await ended('return 1;')).to.deep.equal({ code: 1, err: '' });
  });

  it('is one line for a mistake (2) and for trouble of our own (3)', async () => {
    expect(await ended('throw new UsageError("no such thing");')).to.deep.equal({
      code: 2,
      err: 'it: no such thing\n',
    });
    expect(await ended('throw new TroubleError("no space");')).to.deep.equal({
      code: 3,
      err: 'it: no space\n',
    });
  });

  it('is one line where a disk is full, whoever wrote there', async () => {
    const body =
      'throw Object.assign(new Error("ENOSPC: no space, write"), { code: "ENOSPC", path: "/x/y" });';
    expect(await ended(body)).to.deep.equal({ code: 3, err: '/x/y: no space left on the disk\n' });
  });

  it('lets nothing that it quotes steer the terminal', async () => {
    const { err } = await ended('throw new UsageError("unknown key \\u001b[2J\\u009b1m\\n!");');
    expect(err).to.equal('it: unknown key \ufffd[2J\ufffd1m\ufffd!\n');
  });

  it('is loud for a bug, and says that nothing could be judged', async () => {
    for (const body of [
      'throw new Error("our bug");',
      'setTimeout(() => { throw new Error("our bug"); }, 10); await delay(5000); return 0;',
      'void Promise.reject(new Error("our bug")); await delay(5000); return 0;',
    ]) {
      const { code, err } = await ended(body);
      expect(code, body).to.equal(3);
      expect(err, body).to.match(/Error: our bug\n {4}at /);
    }
  });

  it('is its own also when the reader of its output has gone away', async () => {
    const body = `for (let i = 0; i < 20; i += 1) { process.stdout.write('a line\\n'); console.log('another'); await delay(20); }
      process.stderr.write('went on\\n'); return 1;`;
    const gone = await ended(
      body,
      (out) => void out.once('data', () => (out as unknown as { destroy(): void }).destroy()),
    );
    expect(gone).to.deep.equal({ code: 1, err: 'went on\n' });
  });
});
