/** Faults in how many peers a node keeps and how long its connections last. */

import type { Mutant } from '../mutant.ts';

const handshake = 'node/core/handshake.ts';
const dialing = 'node/core/dialing.ts';
const cap = '  if (node.persistent.length < node.parameters.maxPeers) return true;\n';
const tooMany =
  "    sendError(node, link, 'TOO_MANY_PEERS', 'no place for another peer', messageId);\n    sendPeers(node, link, null);\n";
const lacking = 'node.parameters.targetPeers - node.persistent.length - dialing.underWay.size;';

export const mutants: readonly Mutant[] = [
  {
    id: 'peers-dials-one',
    kills: ['TOP-01'],
    file: dialing,
    find: lacking,
    replace: '1 - node.persistent.length - dialing.underWay.size;',
    note: 'is content with one peer',
    mayBreak: ['*'],
  },
  {
    id: 'peers-dials-all',
    kills: ['TOP-01'],
    file: dialing,
    find: lacking,
    replace: '50 - node.persistent.length - dialing.underWay.size;',
    note: 'connects to everybody it knows',
    mayBreak: ['TOP-*', 'RTB-*'],
    ci: true,
  },
  {
    id: 'peers-never-refilled',
    kills: ['TOP-01'],
    file: dialing,
    find: lacking,
    replace: 'node.parameters.targetPeers - Math.max(most, node.persistent.length) - dialing.underWay.size;',
    also: [
      {
        file: dialing,
        find: '  const redials: string[] = [];\n',
        replace:
          '  const redials: string[] = [];\n  const memory = dialing as unknown as { most?: number };\n  const most = Math.max(memory.most ?? 0, node.persistent.length);\n  memory.most = most;\n',
      },
    ],
    note: 'makes up for no peer that it lost',
    mayBreak: ['LIF-*', 'DSC-*', 'PEX-*'],
  },
  {
    id: 'peers-uncapped',
    kills: ['TOP-02'],
    file: handshake,
    find: cap,
    replace: '  if (node.persistent.length < 1_000) return true;\n',
    note: 'takes any number of peers',
  },
  {
    id: 'peers-cap-fifty-one',
    kills: ['TOP-02'],
    file: handshake,
    find: cap,
    replace: '  if (node.persistent.length <= node.parameters.maxPeers) return true;\n',
    note: 'takes one peer too many',
    ci: true,
  },
  {
    id: 'peers-cap-forty',
    kills: ['TOP-02'],
    file: handshake,
    find: cap,
    replace: '  if (node.persistent.length < 40) return true;\n',
    note: 'has no place beyond 40 peers',
  },
  {
    id: 'peers-full-evicts-all',
    kills: ['TOP-02'],
    file: handshake,
    find: cap,
    replace: `${cap}  for (const each of [...node.persistent]) end(node, each, 4429, 'too many peers');\n`,
    note: 'drops all peers when one too many comes',
  },
  {
    id: 'peers-full-evicts-oldest',
    kills: ['TOP-02'],
    file: handshake,
    find: cap,
    replace: `${cap}  if (!link.errand) {\n    end(node, node.persistent[0]!, 4429, 'too many peers');\n    return true;\n  }\n`,
    note: 'drops its oldest peer for a new one',
  },
  {
    id: 'peers-full-crash',
    kills: ['TOP-02'],
    file: handshake,
    find: cap,
    replace: `${cap}  if (!link.errand) throw new Error('too many peers');\n`,
    note: 'dies when one peer too many comes',
  },
  {
    id: 'peers-full-silent',
    kills: ['TOP-02'],
    file: handshake,
    find: tooMany,
    replace: '    sendPeers(node, link, null);\n',
    note: 'tells one peer too many no reason',
  },
  {
    id: 'peers-full-without-list',
    kills: ['TOP-02'],
    file: handshake,
    find: tooMany,
    replace: tooMany.split('\n')[0]!,
    note: 'gives one peer too many no list of others',
  },
  {
    id: 'peers-full-hello-first',
    kills: ['TOP-02'],
    file: handshake,
    find: tooMany,
    replace: `    sendHello(node, link);\n${tooMany}`,
    note: 'says hello to one peer too many before it refuses',
  },
  {
    id: 'peers-full-refuses-sync',
    kills: ['TOP-02'],
    file: handshake,
    find: "  if (link.type !== 'persistent') {\n    if (link.errand ||",
    replace:
      "  if (link.type !== 'persistent' && (link.errand || node.persistent.length < node.parameters.maxPeers)) {\n    if (link.errand ||",
    note: 'refuses connections of all types when it has 50 peers',
  },
  {
    id: 'peers-full-refuses-duplicate',
    kills: ['TOP-02'],
    file: handshake,
    find: '  if (older) {\n    if (newerStays',
    replace: '  if (older && node.persistent.length < node.parameters.maxPeers) {\n    if (newerStays',
    note: 'counts the second connection of a peer as one too many',
  },
  {
    id: 'peers-place-not-freed',
    kills: ['TOP-02'],
    file: handshake,
    find: cap,
    replace:
      '  const memory = node as unknown as { taken?: number };\n  memory.taken = (memory.taken ?? 0) + 1;\n  if (memory.taken <= node.parameters.maxPeers) return true;\n',
    note: 'never gives a place again that fell free',
    mayBreak: ['*'],
  },
  {
    id: 'bootstrap-connection-kept',
    kills: ['TOP-03'],
    file: 'node/core/discovery.ts',
    find: "      end(node, link, 1000, 'discovery done');\n",
    replace: '',
    also: [
      {
        file: handshake,
        find: "    expire(node, link);\n    if (link.errand?.kind === 'bootstrap')",
        replace: "    if (!link.errand) expire(node, link);\n    if (link.errand?.kind === 'bootstrap')",
      },
    ],
    note: 'keeps a bootstrap connection for ever',
    mayBreak: ['DSC-*', 'TOP-07'],
    ci: true,
  },
  {
    id: 'bootstrap-connection-kept-when-empty',
    kills: ['TOP-03'],
    file: 'node/core/discovery.ts',
    find: '      learn(node, answer);\n      answered();\n',
    replace: '      learn(node, answer);\n      if ((answer.peers as unknown[]).length > 0) answered();\n',
    also: [
      {
        file: handshake,
        find: "    expire(node, link);\n    if (link.errand?.kind === 'bootstrap')",
        replace: "    if (!link.errand) expire(node, link);\n    if (link.errand?.kind === 'bootstrap')",
      },
    ],
    note: 'keeps a bootstrap connection when the list was empty',
    mayBreak: ['DSC-*', 'TOP-07'],
  },
  {
    id: 'bootstrap-connection-dropped',
    kills: ['TOP-03'],
    file: 'node/core/discovery.ts',
    find: "      end(node, link, 1000, 'discovery done');\n",
    replace: "      end(node, link, 1011, 'discovery done');\n",
    note: 'closes a bootstrap connection as if something had failed',
  },
  {
    id: 'persistent-idle-close',
    kills: ['TOP-04'],
    file: handshake,
    find: '  sendPeers(node, link, null);\n  startHeartbeats(node, link);',
    replace:
      "  sendPeers(node, link, null);\n  node.deadlines.at(node.nowMs + 30_000, () => end(node, link, 1000, 'idle'));\n  startHeartbeats(node, link);",
    note: 'closes persistent connections after 30 s',
    mayBreak: ['HBT-*', 'LIF-*', 'GAL-*', 'FLD-*'],
  },
  {
    id: 'persistent-idle-minute',
    kills: ['TOP-04'],
    file: handshake,
    find: '  sendPeers(node, link, null);\n  startHeartbeats(node, link);',
    replace:
      "  sendPeers(node, link, null);\n  node.deadlines.at(node.nowMs + 60_000, () => end(node, link, 1000, 'idle'));\n  startHeartbeats(node, link);",
    note: 'closes persistent connections after 60 s',
    mayBreak: ['HBT-*', 'LIF-*', 'GAL-*', 'FLD-*'],
  },
  {
    id: 'bootstrap-asked-for-ever',
    kills: ['TOP-03'],
    file: 'node/core/discovery.ts',
    find: '    if (!query.answered || node.persistent.length === 0) askBootstrap(node, query);',
    replace: '    askBootstrap(node, query);',
    note: 'goes on asking bootstrap nodes that have answered',
  },
  {
    id: 'peers-counts-own-dials-only',
    kills: ['TOP-01'],
    file: dialing,
    find: lacking,
    replace:
      'node.parameters.targetPeers - node.persistent.filter((link) => link.errand).length - dialing.underWay.size;',
    note: 'wants ten peers beside those that dialled it',
    mayBreak: ['TOP-*', 'RTB-*'],
  },
  {
    id: 'peers-full-resets',
    kills: ['TOP-02'],
    file: 'node/shell/connection.ts',
    find: '      webSocket.close(code, reason);\n',
    replace: `      const { _parent } = socket as unknown as { _parent: { resetAndDestroy(): void } };
      if (reason === 'too many peers') setTimeout(() => _parent.resetAndDestroy(), 100);
      else webSocket.close(code, reason);\n`,
    note: 'resets the 51st peer after its list in place of a close',
    mayBreak: ['*'],
  },
];
