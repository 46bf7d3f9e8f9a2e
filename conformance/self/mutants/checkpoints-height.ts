/** Faults in how high a checkpoint may be, and how far ahead in time. */

import type { Mutant } from '../mutant.ts';

const form = 'node/core/checkpoint.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'height-by-age-unchecked',
    kills: ['CKP-07'],
    file: form,
    find: "if (height > 2 + (2 * ageS) / intervalS) return 'height beyond what the age of the network allows';",
    replace: '',
    note: 'does not bound heights by the age of the network',
  },
  {
    id: 'height-by-own-unchecked',
    kills: ['CKP-07'],
    file: form,
    find: 'if (own && height > own.height + 2',
    replace: 'if (own && height > own.height + 1e9',
    note: 'does not bound heights by its own checkpoint',
  },
  {
    id: 'height-own-without-time',
    kills: ['CKP-07'],
    file: form,
    find: '(2 * Math.max(0, timestamp - own.timestamp)) / intervalS) {',
    replace: '0) {',
    note: 'allows two heights above its own whatever time has passed',
  },
  {
    id: 'height-own-negative-time',
    kills: ['CKP-07'],
    file: form,
    find: 'Math.max(0, timestamp - own.timestamp)',
    replace: '(timestamp - own.timestamp)',
    note: 'lowers the bound for a checkpoint that is older than its own',
  },
  {
    id: 'height-for-sixty-seconds',
    kills: ['CKP-07'],
    file: form,
    find: 'context.checkpointIntervalMs === 0 ? 60 : context.checkpointIntervalMs / 1000;',
    replace: '60;',
    note: 'counts with 60 s whatever its interval is',
  },
  {
    id: 'height-interval-zero-unbounded',
    kills: ['CKP-07'],
    file: form,
    find: 'context.checkpointIntervalMs === 0 ? 60 : context.checkpointIntervalMs / 1000;',
    replace: 'context.checkpointIntervalMs / 1000;',
    note: 'has no bound of heights where its own cuts are off',
  },
  {
    id: 'height-by-own-one-less',
    kills: ['CKP-07'],
    file: form,
    find: 'if (own && height > own.height + 2',
    replace: 'if (own && height > own.height + 1',
    note: 'bounds heights one lower than it must',
  },
  {
    id: 'checkpoint-future-unchecked',
    kills: ['CKP-07'],
    file: form,
    find: 'if (timestamp > context.nowSeconds + 300) return',
    replace: 'if (timestamp > context.nowSeconds + 3e11) return',
    note: 'takes checkpoints from the future',
    ci: true,
  },
  {
    id: 'checkpoint-future-sixty',
    kills: ['CKP-07'],
    file: form,
    find: 'if (timestamp > context.nowSeconds + 300) return',
    replace: 'if (timestamp > context.nowSeconds + 60) return',
    note: 'refuses checkpoints more than 60 s ahead',
  },
  {
    id: 'checkpoint-predecessor-demanded',
    kills: ['CKP-07'],
    file: form,
    find: 'if (predecessor) {',
    replace: "if (!predecessor && height > 1) return 'unknown predecessor';\n  if (predecessor) {",
    note: 'refuses checkpoints whose predecessor it does not hold',
    mayBreak: ['SYN-03', 'SYN-06', 'CKP-03', 'CKP-05', 'CKP-10'],
  },
];
