import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Mocha has its own opinion of rejections, hence a process apart. */
function run(rejections: string): { status: number | null; said: string } {
  const script = `
    import { AssertionError } from 'chai';
    import { Unseen } from './harness/wire/inbox.ts';
    import { catchStrays } from './conformance/strays.ts';
    const notes = [];
    const strays = catchStrays((text) => notes.push(text.split('\\n')[0]));
    ${rejections}
    setTimeout(() => console.log(JSON.stringify({ defects: strays.defects, notes })), 50);
  `;
  const argv = ['--import', 'tsx', '--input-type=module', '-e', script];
  const { status, stdout } = spawnSync(process.execPath, argv, { cwd: root, encoding: 'utf8' });
  return { status, said: stdout };
}

describe('rejections that nobody waits for', () => {
  it('end no run; what a row would have said is only noted', () => {
    const { status, said } = run(`
      void Promise.reject(new Unseen('no answer', null));
      void Promise.reject(new AssertionError('expected 1 to equal 2'));
      void Promise.reject(new DOMException('cut off', 'AbortError'));
    `);
    expect(status).to.equal(0);
    const { defects, notes } = JSON.parse(said);
    expect(defects).to.deep.equal([]);
    expect(notes).to.have.length(3);
  });

  it('are a defect of the suite where they are anything else, and are counted once', () => {
    const { status, said } = run(`
      const reason = new TypeError('x is not a function');
      void Promise.reject(reason);
      setTimeout(() => process.emit('unhandledRejection', reason, Promise.resolve()), 10);
    `);
    expect(status).to.equal(0);
    expect(JSON.parse(said).defects).to.deep.equal([
      'a promise of the suite failed and nobody waited for it: x is not a function',
    ]);
  });

  it('are a defect too as exceptions in a timer', () => {
    const { status, said } = run('setTimeout(() => { throw new TypeError("x is null"); }, 1);');
    expect(status).to.equal(0);
    expect(JSON.parse(said).defects).to.deep.equal([
      'an exception of the suite was caught by nobody: x is null',
    ]);
  });

  it('end the process without the guard: the test can fail', () => {
    expect(run('strays.off(); void Promise.reject(new Error("stray"));').status).to.not.equal(0);
  });
});
