import { expect } from 'chai';
import { lacks } from './prerequisite.ts';

describe('a test that lacks what it needs', () => {
  class Skipped extends Error {}
  const test = {
    skip: (): never => {
      throw new Skipped();
    },
  };
  const ended =
    (environment: NodeJS.ProcessEnv): (() => never) =>
    () =>
      lacks(test, 'no engine answers', 'ci/install-docker.sh', environment);

  it('is skipped on a developer’s machine', () => {
    expect(ended({})).to.throw(Skipped);
  });

  it('fails in CI with one line that names the script', () => {
    expect(ended({ CI: 'true' })).to.throw(
      /^no engine answers; in CI this is not skipped: ci\/install-docker\.sh installs it$/,
    );
  });

  it('is skipped in CI where the gate has found that the machine cannot have it', () => {
    expect(ended({ CI: 'true', CLE_UNPREPARED: '1' })).to.throw(Skipped);
  });
});
