/** Faults of speed: answers that come late, items that spread slowly, links that are given up. */

import type { Mutant } from '../mutant.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'one-in-ten-answers-late',
    kills: ['MET-01'],
    file: 'node/shell/runtime.ts',
    find: '    connection.send(text);\n',
    replace:
      '    if (Math.random() < 0.1) {\n      setTimeout(() => {\n        connection.send(text);\n        connection.flush();\n      }, 600);\n      return;\n    }\n    connection.send(text);\n',
    note: 'sends one message in ten 600 ms late',
    mayBreak: ['*'],
  },
  {
    id: 'spreads-in-slow-rounds',
    kills: ['MET-02', 'MET-03'],
    file: 'node/core/announce.ts',
    find: 'return pickRandom(node, eligible, node.parameters.fanout);',
    replace: 'return eligible.slice(0, 1);',
    also: [
      {
        file: 'node/core/rounds.ts',
        find: 'const everyMs = node.parameters.antiEntropyIntervalMs;',
        replace: 'const everyMs = node.parameters.antiEntropyIntervalMs * 60;',
      },
    ],
    note: 'tells one peer, and reconciles every minute',
    mayBreak: ['*'],
  },
  {
    id: 'gives-up-slow-dials',
    kills: ['MET-04'],
    file: 'node/core/dialing.ts',
    find: 'const dialMs = 10_000;',
    replace: 'const dialMs = 250;',
    note: 'gives up a dial after 250 ms and tries again',
    mayBreak: ['*'],
  },
];
