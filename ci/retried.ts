/**
 * Root hooks of the tests: a test that passed only at another try is named at the end of the run, so that the second chance which
 * real time on a shared machine needs hides nothing.
 */

import type { Context } from 'mocha';

const retried: string[] = [];

export const mochaHooks = {
  afterEach(this: Context): void {
    const test = this.currentTest;
    const tries = (test as unknown as { currentRetry(): number } | undefined)?.currentRetry() ?? 0;
    if (test?.state === 'passed' && tries > 0) retried.push(`${test.fullTitle()} (try ${tries + 1})`);
  },
  afterAll(): void {
    if (retried.length > 0)
      console.log(`\n  passed only when tried again:\n${retried.map((title) => `    ${title}\n`).join('')}`);
  },
};
