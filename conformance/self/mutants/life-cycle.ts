/** Faults in the life of a connection: who gets in before a hello, whose place is freed, who is taken for whom. */

import type { Mutant } from '../mutant.ts';

const handshake = 'node/core/handshake.ts';
const inbound = 'node/core/inbound.ts';
const link = 'node/core/link.ts';
const leave = 'node.persistent.splice(node.persistent.indexOf(link), 1);';
const ownKey = '  if (nodeId === node.me.nodeId) {\n    if (errand';

export const mutants: readonly Mutant[] = [
  {
    id: 'before-hello-handled',
    kills: ['LIF-01'],
    file: inbound,
    find: "if (link.phase === 'hello' && !mayComeBeforeHello(link, messageType)) {",
    replace: 'if (false) {',
    note: 'handles whatever comes before the hello',
    mayBreak: ['HSK-09'],
  },
  {
    id: 'before-hello-open',
    kills: ['LIF-01'],
    file: inbound,
    find: "const closeCode = closeCodes[code] ?? (link.phase === 'hello' ? 4400 : null);",
    replace:
      "const closeCode = code === 'HANDSHAKE_REQUIRED' ? null : (closeCodes[code] ?? (link.phase === 'hello' ? 4400 : null));",
    note: 'refuses what comes before the hello, but keeps the connection',
    mayBreak: ['HSK-09', 'ENV-*'],
    ci: true,
  },
  {
    id: 'before-hello-garbage-open',
    kills: ['LIF-01'],
    file: inbound,
    find: "const closeCode = closeCodes[code] ?? (link.phase === 'hello' ? 4400 : null);",
    replace:
      "const closeCode = messageType === null ? null : (closeCodes[code] ?? (link.phase === 'hello' ? 4400 : null));",
    note: 'answers what it cannot read before the hello, and keeps the connection',
  },
  {
    id: 'before-hello-learns',
    kills: ['LIF-01'],
    file: inbound,
    find: "return messageType === 'error' || (messageType === 'peer_exchange' && link.toldFull);",
    replace: "return messageType === 'error' || messageType === 'peer_exchange';",
    note: 'as a dialer learns from a peer list that comes in place of a hello',
    mayBreak: ['HSK-*', 'PEX-*'],
  },
  {
    id: 'before-hello-dialer-listed',
    kills: ['LIF-01'],
    file: inbound,
    find: "    return no('HANDSHAKE_REQUIRED', 'hello comes first');",
    replace: `    if (!link.errand && messageType === 'peer_exchange')
      messageTypes.get(messageType)?.handle(node, link, { envelope, text: texts, itemHash: null });
    return no('HANDSHAKE_REQUIRED', 'hello comes first');`,
    note: 'learns from a peer list that a dialer sends in place of a hello, before it closes',
  },
  {
    id: 'before-hello-caches',
    kills: ['LIF-01'],
    file: inbound,
    find: "    return no('HANDSHAKE_REQUIRED', 'hello comes first');",
    replace:
      "    if (messageType === 'gossip') node.gossipCache.add(String(envelope.payload.gossip_id), link.peer.nodeId, node.nowMs);\n    return no('HANDSHAKE_REQUIRED', 'hello comes first');",
    note: 'remembers the gossip_id of a gossip that came before the hello',
  },
  {
    id: 'dialer-summary-first',
    kills: ['LIF-01'],
    file: handshake,
    find: '  if (errand) sendHello(node, link);',
    replace:
      "  if (errand) {\n    sendHello(node, link);\n    send(node, link, 'state_summary', summaryText(node));\n  }",
    note: 'sends its state_summary before the acceptor’s hello',
    mayBreak: ['HSK-01', 'HSK-*', 'DSC-*'],
  },
  {
    id: 'gone-peer-keeps-slot',
    kills: ['LIF-03'],
    file: handshake,
    find: 'if (node.persistent.length < node.parameters.maxPeers) return true;',
    replace: 'if (node.peers.size < node.parameters.maxPeers + 2) return true;',
    note: 'counts peers that have gone among the 50 for a minute',
    mayBreak: ['TOP-02', 'HBT-02', 'LIF-09'],
  },
  {
    id: 'reset-peer-keeps-slot',
    kills: ['LIF-03', 'LIF-09'],
    file: link,
    find: leave,
    replace: `if (!byPeer || code !== 1006) ${leave}`,
    note: 'keeps the place of a peer whose connection was reset',
    mayBreak: ['HBT-02', 'TOP-*', 'DIR-05'],
  },
  {
    id: 'gone-peer-in-fanout',
    kills: ['LIF-03'],
    file: 'node/core/announce.ts',
    find: 'const eligible = node.persistent.filter((link) => link.gossips',
    replace:
      'for (const link of node.persistent) everybody.add(link);\n  const eligible = [...everybody].filter((link) => link.gossips',
    also: [
      {
        file: 'node/core/announce.ts',
        find: 'const gatherMs = 40;',
        replace: 'const gatherMs = 40;\nconst everybody = new Set<Link>();',
      },
    ],
    note: 'chooses among all that ever were peers when it gossips',
    mayBreak: ['HBT-02', 'LIF-06', 'GRT-*', 'GAL-*', 'DIR-05'],
    ci: true,
  },
  {
    id: 'claimed-id-evicts',
    kills: ['LIF-06', 'FLD-07'],
    file: inbound,
    find: "    return no('IDENTITY_MISMATCH', 'sender is not who the certificate says');",
    replace:
      "    const claimed = node.peers.get(sender.nodeId)?.persistent;\n    if (claimed) end(node, claimed, 4409, 'newer');\n    return no('IDENTITY_MISMATCH', 'sender is not who the certificate says');",
    note: 'closes a peer’s connection when somebody else claims its node_id',
    mayBreak: ['HSK-05'],
  },
  {
    id: 'duplicate-older-stays',
    kills: ['LIF-06'],
    file: handshake,
    find: 'if ((older.errand === null) === (newer.errand === null)) return true;',
    replace: 'if ((older.errand === null) === (newer.errand === null)) return false;',
    note: 'refuses a peer that comes back while its old connection looks alive',
    mayBreak: ['TOP-*', 'DIR-05'],
    ci: true,
  },
  {
    id: 'duplicate-end-drops-newer',
    kills: ['LIF-06'],
    file: 'node/core/node.ts',
    find: '      node.links.delete(input.link);',
    replace:
      "      const gone = node.links.get(input.link);\n      if (gone?.type === 'persistent' && gone.peer.persistent) detach(node, gone.peer.persistent, 1006, true);\n      node.links.delete(input.link);",
    note: 'forgets the newer connection of a peer when the older one ends',
    mayBreak: ['TOP-*', 'LIF-05'],
  },
  {
    id: 'duplicate-both-stay',
    kills: ['LIF-06'],
    file: handshake,
    find: "  if (older) end(node, older, 4409, 'duplicate');\n",
    replace: '',
    note: 'keeps two persistent connections with one peer',
    mayBreak: ['TOP-*', 'LIF-05'],
  },
  {
    id: 'self-peer',
    kills: ['LIF-07'],
    file: handshake,
    find: ownKey,
    replace: '  if (false) {\n    if (errand',
    note: 'shakes hands with its own key',
  },
  {
    id: 'self-dialled',
    kills: ['LIF-07'],
    file: handshake,
    find: ownKey,
    replace: '  if (false) {\n    if (errand',
    also: [
      {
        file: handshake,
        find: "if (errand?.kind === 'persistent' && errand.nodeId !== nodeId) {",
        replace:
          "if (errand?.kind === 'persistent' && errand.nodeId !== nodeId && nodeId !== node.me.nodeId) {",
      },
    ],
    note: 'becomes its own peer where a list names its address',
  },
  {
    id: 'self-hello-claimed',
    kills: ['LIF-07'],
    file: inbound,
    find: '    sender.publicKey !== identity.publicKeyBase64 ||',
    replace: '    (sender.nodeId !== node.me.nodeId && sender.publicKey !== identity.publicKeyBase64) ||',
    also: [
      {
        file: inbound,
        find: '    sender.nodeId !== identity.nodeId ||\n    sender.agentId !== identity.agentId',
        replace:
          '    (sender.nodeId !== node.me.nodeId && (sender.nodeId !== identity.nodeId ||\n    sender.agentId !== identity.agentId))',
      },
      {
        file: handshake,
        find: 'if (hello.nodeId !== link.peer.nodeId)',
        replace: 'if (hello.nodeId !== link.peer.nodeId && hello.nodeId !== node.me.nodeId)',
      },
    ],
    note: 'takes a hello that claims the node’s own identity',
    mayBreak: ['HSK-05'],
  },
  {
    id: 'connections-leak-descriptors',
    kills: ['LIF-09'],
    file: 'node/shell/listener.ts',
    find: '    const name = nameOf(socket);\n    const timer',
    replace:
      "    (globalThis as any).process.getBuiltinModule('node:fs').openSync('/dev/null', 'r');\n    const name = nameOf(socket);\n    const timer",
    note: 'opens a file for every connection and does not close it',
  },
  {
    id: 'short-lived-keep-place',
    kills: ['LIF-09'],
    file: link,
    find: '  link.peer.links.delete(link);\n',
    replace: "  if (link.type !== 'sync' || node.stopped) link.peer.links.delete(link);\n",
    note: 'counts sync connections that have ended among the four of a peer',
    mayBreak: ['*'],
  },
  {
    id: 'silent-keep-place',
    kills: ['LIF-09'],
    file: handshake,
    find: '  if (!errand && waitingForHello(link.peer) > silentLimit) {',
    replace:
      '  const counted = link.peer as any;\n  counted.begun = (counted.begun ?? 0) + 1;\n  if (!errand && counted.begun > 12) {',
    also: [
      {
        file: handshake,
        find: "  link.phase = 'open';\n",
        replace: "  link.phase = 'open';\n  (peer as any).begun -= 1;\n",
      },
    ],
    note: 'counts connections that ended without a hello for ever',
    mayBreak: ['*'],
  },
  {
    id: 'stop-without-close',
    kills: ['LIF-08'],
    file: 'node/shell/program.ts',
    find: '.then((node) => node.stop())',
    replace: '.then(() => process.exit(0))',
    note: 'exits at SIGTERM without a close frame',
  },
  {
    id: 'stop-code-1000',
    kills: ['LIF-08'],
    file: 'node/core/node.ts',
    find: "end(node, link, 1001, 'stopping');",
    replace: "end(node, link, 1000, 'stopping');",
    note: 'closes with 1000 at SIGTERM',
    ci: true,
  },
  {
    id: 'stop-waits-for-peers',
    kills: ['LIF-08'],
    file: 'node/shell/program.ts',
    find: 'const LAST_RESORT_MS = 4500;',
    replace: 'const LAST_RESORT_MS = 60_000;',
    also: [
      {
        file: 'node/shell/runtime.ts',
        find: 'const ABORT_AFTER_MS = 2000;',
        replace: 'const ABORT_AFTER_MS = 60_000;',
      },
      { file: link, find: 'abortAfterMs: 2000', replace: 'abortAfterMs: 60_000' },
      {
        file: 'node/shell/connection.ts',
        find: 'closeTimeout: 10_000,',
        replace: 'closeTimeout: 60_000,',
      },
    ],
    note: 'waits at SIGTERM until every peer has answered its close',
    mayBreak: ['LIF-06', 'HBT-*'],
  },
  {
    id: 'stop-never',
    kills: ['LIF-08'],
    file: 'node/shell/program.ts',
    find: "process.once('SIGTERM', stop);",
    replace: "process.on('SIGTERM', () => {});",
    note: 'does not mind SIGTERM',
  },
];
