/** Faults that make an attack cheap: time spent on what a cheap check, or a cut, would have spared. */

import type { Mutant } from '../mutant.ts';

const spend = (ms: number): string =>
  `for (const until = performance.now() + ${ms}; performance.now() < until; );`;
const mismatch = "    return no('IDENTITY_MISMATCH', 'sender is not who the certificate says');";

export const mutants: readonly Mutant[] = [
  {
    id: 'forged-verified-first',
    kills: ['PRF-01'],
    file: 'node/core/inbound.ts',
    find: mismatch,
    replace: `    ${spend(300)}\n${mismatch}`,
    note: 'spends 300 ms on what comes in another’s name before it looks whose connection it is',
    mayBreak: ['FLD-07'],
  },
  {
    id: 'forged-never-cut-off',
    kills: ['PRF-01'],
    file: 'node/core/link.ts',
    find: "if (node.nowMs - link.badAtMs.shift()! <= 10_000) end(node, link, 4400, 'too many bad messages');",
    replace: 'link.badAtMs.shift();',
    note: 'bears any number of bad messages',
    mayBreak: ['FLD-08', 'ENV-*', 'SIG-*'],
    ci: true,
  },
  {
    id: 'accept-stalls',
    kills: ['PRF-01'],
    file: 'node/core/handshake.ts',
    find: '  const link = createLink(node, id,',
    replace: `  ${spend(400)}\n  const link = createLink(node, id,`,
    note: 'spends 400 ms on every connection that it accepts',
    mayBreak: ['*'],
  },
];
