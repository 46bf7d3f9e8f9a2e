/** Faults where bootstrap nodes are dead, lying or somebody else. */

import type { Mutant } from '../mutant.ts';

const file = 'node/core/discovery.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'discovery-aborts-on-failure',
    kills: ['DSC-05'],
    file,
    find: '  if (!Array.isArray(payload.peers)) return;\n',
    replace:
      '  if (node.bootstraps.some((query) => query.tried && !query.answered)) return;\n  if (!Array.isArray(payload.peers)) return;\n',
    note: 'gives discovery up when one bootstrap node failed',
    mayBreak: ['DSC-*', 'TOP-*', 'PEX-*'],
    ci: true,
  },
  {
    id: 'discovery-crashes-on-list',
    kills: ['DSC-05'],
    file,
    find: '    Array.isArray(payload.peers) &&\n',
    replace: '',
    also: [
      { file, find: '  if (!Array.isArray(payload.peers)) return;\n', replace: '' },
      {
        file,
        find: 'for (const entry of payload.peers.slice(0, listLimit)) {',
        replace: 'for (const entry of (payload.peers as unknown[]).slice(0, listLimit) as never[]) {',
      },
    ],
    note: 'dies of a list that is none',
    mayBreak: ['PEX-*', 'ERR-*'],
  },
  {
    id: 'discovery-stops-at-bad-answer',
    kills: ['DSC-05', 'DSC-08'],
    file,
    find: '    if (!isObject(entry)) continue;\n',
    replace: "    if (!isObject(entry)) throw new Error('bad entry');\n",
    note: 'dies of a list with a bad entry',
    mayBreak: ['PEX-*'],
  },
  {
    id: 'bootstrap-key-ignored',
    kills: ['DSC-06'],
    file: 'node/core/handshake.ts',
    find: "if (errand?.kind === 'bootstrap' && errand.query.nodeId !== nodeId) {",
    replace: "if (errand?.kind === 'bootstrap' && nodeId === '') {",
    note: 'takes any certified node for its bootstrap node',
    ci: true,
  },
  {
    id: 'bootstrap-any-configured-key',
    kills: ['DSC-06'],
    file: 'node/core/handshake.ts',
    find: "if (errand?.kind === 'bootstrap' && errand.query.nodeId !== nodeId) {",
    replace:
      "if (errand?.kind === 'bootstrap' && !node.bootstraps.some((query) => query.nodeId === nodeId)) {",
    note: 'takes any of the configured keys for that of a bootstrap node',
  },
  {
    id: 'bootstrap-key-checked-after-hello',
    kills: ['DSC-06'],
    file: 'node/core/handshake.ts',
    find: "  if (errand?.kind === 'bootstrap' && errand.query.nodeId !== nodeId) {\n",
    replace:
      "  if (errand?.kind === 'bootstrap' && errand.query.nodeId !== nodeId) {\n    sendHello(node, link);\n",
    note: 'says hello to a bootstrap node with another key before it leaves',
    mayBreak: ['TLS-08'],
  },
  {
    id: 'bootstrap-wrong-key-closed-1000',
    kills: ['DSC-06'],
    file: 'node/core/handshake.ts',
    find: "    end(node, link, 4401, 'another key');",
    replace: "    end(node, link, 1000, 'another key');",
    note: 'closes a bootstrap node with another key as if all were well',
  },
  {
    id: 'bootstrap-wrong-key-given-up',
    kills: ['DSC-06'],
    file: 'node/core/handshake.ts',
    find: "    end(node, link, 4401, 'another key');",
    replace:
      "    errand.query.answered = true;\n    for (let i = 0; i < 9; i++) errand.query.delayMs = 60_000;\n    end(node, link, 4401, 'another key');",
    note: 'never asks a bootstrap node again that once proved another key',
  },
  {
    id: 'discovery-exits-when-alone',
    kills: ['DSC-09'],
    file,
    find: '  if (node.bootstraps.every((each) => each.tried)) node',
    replace:
      "  if (!query.answered && node.bootstraps.every((each) => each.tried)) throw new Error('no bootstrap node');\n  if (node.bootstraps.every((each) => each.tried)) node",
    note: 'exits when no bootstrap node can be reached',
    mayBreak: ['DSC-*', 'LIF-*'],
  },
  {
    id: 'discovery-tight-loop',
    kills: ['DSC-09'],
    file,
    find: '  const delayMs = backoffMs(node, query.delayMs);',
    replace: '  const delayMs = 100;',
    note: 'asks a dead bootstrap node ten times a second',
    mayBreak: ['DSC-*'],
  },
  {
    id: 'discovery-never-retries',
    kills: ['DSC-09'],
    file,
    find: '  query.tried = true;\n',
    replace: '  query.tried = true;\n  if (!query.answered) return;\n',
    note: 'asks a bootstrap node once and never again',
    mayBreak: ['DSC-06', 'LIF-*'],
    ci: true,
  },
  {
    id: 'discovery-not-again-when-alone',
    kills: ['DSC-09'],
    file,
    find: '    query.answered = false;\n    query.delayMs = firstDelayMs;\n',
    replace: '    if (query.answered) continue;\n    query.delayMs = firstDelayMs;\n',
    also: [
      {
        file,
        find: '    if (!query.answered || node.persistent.length === 0) askBootstrap(node, query);',
        replace: '    if (!query.answered) askBootstrap(node, query);',
      },
    ],
    note: 'does not ask its bootstrap nodes again when no peer is left',
    mayBreak: ['LIF-*'],
  },
];
