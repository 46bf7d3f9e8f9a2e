/** What is drawn where: on a terminal in place, on one that cannot and in a pipe line by line. */

import { expect } from 'chai';
import { parseManifest } from '../../harness/manifest.ts';
import { resolve } from '../../harness/resolve.ts';
import { openLiveView } from '../live-view.ts';

describe('the live view', () => {
  const plan = resolve(parseManifest('nodes: {count: 4}\nduration_s: 10', 'made-up.yaml'), { seed: 1 });
  const term = process.env.TERM;
  afterEach(() => {
    if (term === undefined) delete process.env.TERM;
    else process.env.TERM = term;
  });

  /** All that a view writes when a node fails. */
  const written = (isTTY: boolean, termName: string): string => {
    process.env.TERM = termName;
    let text = '';
    const write = (part: string): boolean => {
      text += part;
      return true;
    };
    const view = openLiveView(plan, 'none', { isTTY, columns: 80, rows: 24, write } as never, false);
    view.event({ kind: 'node', node: 'node-2', state: 'failed', at: 1_000, detail: 'failed: exit code 3' });
    view.end();
    return text;
  };

  it('takes plain lines where the cursor cannot be moved', () => {
    expect(written(true, 'dumb')).to.equal('   1.0 s  node-2 failed: exit code 3\n');
    expect(written(false, 'xterm')).to.equal('   1.0 s  node-2 failed: exit code 3\n');
    expect(written(true, 'xterm')).to.equal('');
  });
});
