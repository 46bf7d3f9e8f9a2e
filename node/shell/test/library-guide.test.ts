/** The guide to the library: its example runs, and what it shows of it, and of the library, is what is there. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8');
const example = 'docs/examples/library.ts';

describe('the guide to the library', function () {
  this.timeout(40_000);

  it('shows the example as it is', () => {
    const shown = read('docs/library.md').match(/```ts\n([\s\S]*?)```/)?.[1];
    expect(shown).to.have.length.greaterThan(100);
    expect(read(example)).to.include(shown);
  });

  it('has an example that runs', async () => {
    // Two ports of this process's own, below those that the system hands out.
    const port = 12_000 + 2 * (process.pid % 10_000);
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', example, String(port)],
      { cwd: root, timeout: 30_000 },
    );
    expect(stderr).to.equal('');
    expect(stdout.trim().split('\n').sort()).to.deep.equal([
      'agent_one: accepted, durable',
      'agent_two has 1 new',
      'agent_two: 1 item, 1 peer',
    ]);
  });

  it('names everything that a running node and its options have', () => {
    const source = read('node/shell/library.ts');
    const members = (name: string): string[] => {
      const body = source.match(new RegExp(`export interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`))?.[1] ?? '';
      return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map((match) => match[1]!);
    };
    const named = [...members('RunningNode'), ...members('NodeOptions')];
    expect(named).to.include.members(['broadcast', 'stop', 'onItems']);
    const guide = read('docs/library.md');
    expect(named.filter((name) => !new RegExp(`\`(?:options\\.)?${name}[\`(]`).test(guide))).to.deep.equal(
      [],
    );
  });
});
