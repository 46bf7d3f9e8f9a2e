/** The end of a target whose nodes will not all go, with instances that are none. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Instance } from '../../harness/engines/instance.ts';
import { type Ground, openInstancesTarget } from '../target-instances.ts';

describe('a target of instances', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cle-instances-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** `fails`: does not come up. The first node will not go. */
  const groundOf = (done: string[], fails = false): Ground => ({
    run: { folder, close: async () => void done.push('close run') } as Ground['run'],
    nodeAddress: () => '127.0.0.1:1',
    puppetAddress: () => '127.0.0.1:1',
    ways: { name: 'localhost', meaning: [], six: null },
    prepare: ({ name }) =>
      ({
        name,
        folder,
        state: 'ready',
        pid: null,
        start: async () => {},
        ready: () => (fails ? Promise.reject(new Error('it ended at once')) : Promise.resolve()),
        remove: async () => {
          done.push(`remove ${name}`);
          if (name === 'node-1') throw new Error('node-1 will not go');
        },
        logTail: () => [],
      }) as unknown as Instance,
    release: async () => void done.push('release'),
  });
  const options = { description: 'made up', flags: '', seed: 1 };

  it('gives everything up although one node will not go, and says so', async () => {
    const done: string[] = [];
    const target = await openInstancesTarget(options, groundOf(done));
    await target.own('row', {}, () => {});
    const outcome = await target.close().catch((error: Error) => error.message);
    expect(outcome).to.equal('node-1 will not go');
    expect(done).to.deep.equal(['remove node-1', 'remove node-2', 'release', 'close run']);
  });

  it('that does not come up says why, whatever will not go', async () => {
    const done: string[] = [];
    const outcome = await openInstancesTarget(options, groundOf(done, true)).catch(
      (error: Error) => error.message,
    );
    expect(outcome).to.equal('it ended at once');
    expect(done.slice(-2)).to.deep.equal(['release', 'close run']);
  });
});
