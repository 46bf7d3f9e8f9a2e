/** The guide to containers: its example runs, and what it shows of it is what is there. Skipped where no engine answers. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { engineOrSkip } from './fixture.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const example = 'docs/examples/node-in-testcontainers.ts';
const run = promisify(execFile);
const node = (...args: string[]): Promise<{ stdout: string }> =>
  run(process.execPath, ['--import', 'tsx', ...args], { cwd: root, timeout: 90_000 });

describe('docker: the guide', function () {
  this.timeout(120_000);

  it('shows the example as it is', () => {
    const guide = readFileSync(`${root}docs/containers.md`, 'utf8');
    const shown = guide.match(/```ts\n([\s\S]*?)```/)?.[1];
    expect(readFileSync(`${root}${example}`, 'utf8')).to.include(shown);
  });

  it('has an example that runs with the image that `npm run image` names, and leaves nothing', async function () {
    const docker = await engineOrSkip(this);
    const image = (await node('cli/image.ts')).stdout.trim();
    expect(image).to.match(/^cle-testnet\/node:[0-9a-f]{16}$/);
    expect((await node(example, image)).stdout).to.match(/^\S+:\d+ is agent_two\n$/);
    const filters = { ancestor: [image], label: ['org.testcontainers=true'] };
    expect(await docker.listContainers({ all: true, filters })).to.deep.equal([]);
  });
});
