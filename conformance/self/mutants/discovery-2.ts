/** Faults in the pace of discovery, in what is made of bad entries, and in asking on. */

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the patches are source text

import type { Mutant } from '../mutant.ts';

const file = 'node/core/discovery.ts';
const learned =
  '    if (!isNodeId(node_id) || !isAddress(address) || node_id === node.me.nodeId) continue;\n';

export const mutants: readonly Mutant[] = [
  {
    id: 'discovery-sequential',
    kills: ['DSC-07'],
    file,
    find: '  for (const query of node.bootstraps) askBootstrap(node, query);',
    replace: '  for (const query of node.bootstraps.slice(0, 1)) askBootstrap(node, query);',
    also: [
      {
        file,
        find: '  query.tried = true;\n',
        replace:
          '  query.tried = true;\n  const next = node.bootstraps[node.bootstraps.indexOf(query) + 1];\n  if (next && !next.tried) askBootstrap(node, next);\n',
      },
    ],
    note: 'asks its bootstrap nodes one after another',
    mayBreak: ['DSC-05', 'DSC-06'],
    ci: true,
  },
  {
    id: 'discovery-begins-late',
    kills: ['DSC-07'],
    file,
    find: '  for (const query of node.bootstraps) askBootstrap(node, query);',
    replace:
      '  node.deadlines.at(node.nowMs + 2500, () => {\n    for (const query of node.bootstraps) askBootstrap(node, query);\n  });',
    note: 'asks its bootstrap nodes two and a half seconds after its start',
  },
  {
    id: 'discovery-waits-to-ask-again',
    kills: ['DSC-07'],
    file,
    find: '  if (query.active || node.stopped) return;\n',
    replace:
      '  if (query.active || node.stopped) return;\n  if (query.tried && node.bootstraps.some((each) => each.active)) {\n    scheduleQuery(node, query);\n    return;\n  }\n',
    note: 'asks a bootstrap node again only when no other one is being asked',
    mayBreak: ['DSC-*'],
  },
  {
    id: 'discovery-slow',
    kills: ['DSC-07'],
    file,
    find: 'const gatherAtMostMs = 1000;',
    replace: 'const gatherAtMostMs = 8000;',
    also: [
      {
        file,
        find: '  if (node.bootstraps.every((each) => each.tried)) node.dialing.gatherUntilMs = Number.NEGATIVE_INFINITY;\n',
        replace: '',
      },
      {
        file,
        find: '      node.dialing.gatherUntilMs = Math.min(node.dialing.gatherUntilMs, node.nowMs + gatherAfterAnswerMs);\n',
        replace: '',
      },
    ],
    note: 'waits eight seconds before it dials anybody',
  },
  {
    id: 'list-voided-by-bad-entry',
    kills: ['DSC-08'],
    file,
    find: '  for (const entry of payload.peers.slice(0, listLimit)) {\n',
    replace:
      '  if (!payload.peers.every((entry) => isObject(entry) && isNodeId(entry.node_id) && isAddress(entry.address))) return;\n  for (const entry of payload.peers.slice(0, listLimit)) {\n',
    note: 'drops a whole list for one bad entry',
    mayBreak: ['PEX-*'],
    ci: true,
  },
  {
    id: 'list-cut-at-bad-entry',
    kills: ['DSC-08'],
    file,
    find: learned,
    replace: learned.replace('continue;', 'return;'),
    note: 'stops reading a list at the first bad entry',
    mayBreak: ['DSC-*', 'PEX-*', 'TOP-*'],
  },
  {
    id: 'dial-ends-the-node',
    kills: ['DSC-08'],
    file: 'node/shell/dialer.ts',
    find: '    socket = raw;\n',
    replace: '    new URL(`wss://${addressOf({ host, port })}/`);\n    socket = raw;\n',
    note: 'ends at an address that has the right form and fits into no URL',
  },
  {
    id: 'list-bad-ids-taken',
    kills: ['DSC-08'],
    file,
    find: learned,
    replace:
      "    if (typeof node_id !== 'string' || !node_id.startsWith('node_') || !isAddress(address) || node_id === node.me.nodeId) continue;\n",
    note: 'takes entries with node ids of any form',
    mayBreak: ['*'],
  },
  {
    id: 'peers-asked-never',
    kills: ['DSC-10'],
    file,
    find: 'const due = isShort ?',
    replace: 'const due = isShort && node.nowMs < 0 ?',
    note: 'never asks its peers for peers',
    mayBreak: ['*'],
  },
  {
    id: 'peers-asked-once',
    kills: ['DSC-10'],
    file,
    find: '      link.askPeersFromMs = node.nowMs + link.askPeersAfterMs;\n',
    replace: '      link.askPeersFromMs = Number.POSITIVE_INFINITY;\n',
    note: 'asks each peer for peers once',
    mayBreak: ['TOP-05'],
    ci: true,
  },
  {
    id: 'peers-asked-every-two-seconds',
    kills: ['DSC-10'],
    file,
    find: '      link.askPeersAfterMs = Math.min(greatestDelayMs, link.askPeersAfterMs * 2);\n',
    replace: '',
    note: 'asks each peer for peers every 2 s for ever',
  },
  {
    id: 'peers-answer-ignored',
    kills: ['DSC-10'],
    file,
    find: '      requestPeers(node, link);\n',
    replace:
      '      const payload = `{"capabilities": ${capabilitiesText}, "node_id": "${node.me.nodeId}"}`;\n      send(node, link, \'peer_request\', payload);\n',
    note: 'asks its peers for peers and ignores the answers',
    mayBreak: ['TOP-05'],
  },
  {
    id: 'discovery-closed-is-answered',
    kills: ['DSC-09'],
    file,
    find: '  query.tried = true;\n',
    replace:
      '  query.tried = true;\n  if (node.nowMs - (query as unknown as { at: number }).at > 0) query.answered = true;\n',
    also: [
      {
        file: 'node/core/handshake.ts',
        find: '  if (errand) sendHello(node, link);\n}',
        replace:
          "  if (errand) sendHello(node, link);\n  if (errand?.kind === 'bootstrap') (errand.query as unknown as { at: number }).at = -1;\n}",
      },
      {
        file,
        find: '    if (!query.answered || node.persistent.length === 0) askBootstrap(node, query);',
        replace: '    if (!query.answered) askBootstrap(node, query);',
      },
    ],
    note: 'takes a bootstrap node that could be reached for one that has answered',
    mayBreak: ['DSC-*', 'LIF-*'],
  },
];
