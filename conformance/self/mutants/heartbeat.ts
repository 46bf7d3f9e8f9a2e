/** Faults in signs of life. */

import type { Mutant } from '../mutant.ts';

const file = 'node/core/heartbeat.ts';
const beat = '    sendHeartbeat(node, link);\n    link.heartbeatDue';

export const mutants: readonly Mutant[] = [
  {
    id: 'heartbeat-sixty-seconds',
    kills: ['HBT-01'],
    file,
    find: 'const { heartbeatIntervalMs, peerTimeoutMs } = node.parameters;',
    replace:
      'const { peerTimeoutMs } = node.parameters;\n  const heartbeatIntervalMs = 2 * node.parameters.heartbeatIntervalMs;',
    note: 'sends a heartbeat every 60 s',
  },
  {
    id: 'heartbeat-one-peer',
    kills: ['HBT-01', 'HBT-04'],
    file,
    find: beat,
    replace: '    if (node.persistent[0] === link) sendHeartbeat(node, link);\n    link.heartbeatDue',
    note: 'sends heartbeats to its oldest peer only',
  },
  {
    id: 'heartbeat-one-at-once',
    kills: ['HBT-01'],
    file,
    find: beat,
    replace:
      '    const own = node as unknown as { beatMs?: number };\n    if (node.nowMs - (own.beatMs ?? -1000) > 20) sendHeartbeat(node, link);\n    own.beatMs = node.nowMs;\n    link.heartbeatDue',
    note: 'sends one heartbeat of those that fall due at once',
  },
  {
    id: 'heartbeat-once',
    kills: ['HBT-01'],
    file,
    find: 'link.heartbeatDue = node.deadlines.at(node.nowMs + heartbeatIntervalMs, beat);\n  };',
    replace: '};',
    note: 'sends one heartbeat and no more',
    mayBreak: ['HBT-04', 'HBT-05'],
  },
  {
    id: 'heartbeat-only-gossip',
    kills: ['HBT-01'],
    file,
    find: beat,
    replace: '    if (link.gossips) sendHeartbeat(node, link);\n    link.heartbeatDue',
    note: 'sends no heartbeat to observers',
  },
  {
    id: 'heartbeat-form',
    kills: ['HBT-01', 'HBT-05'],
    file,
    find: '    ttl: 0,',
    replace: '    ttl: 2,',
    note: 'sends heartbeats with a ttl',
  },
  {
    id: 'silence-never-ends',
    kills: ['HBT-03'],
    file,
    find: "if (leftMs <= 0) end(node, link, 4408, 'silent');",
    replace: 'if (leftMs <= 0) link.silenceDue = null;',
    note: 'keeps a dead peer for ever',
  },
  {
    id: 'silence-ended-without-frame',
    kills: ['HBT-03', 'ENV-06'],
    file: 'node/shell/connection.ts',
    find: '      webSocket.close(code, reason);\n',
    replace: `      if (code === 4408) socket.end();
      else webSocket.close(code, reason);\n`,
    note: 'ends a silent connection without a close frame',
    mayBreak: ['LIF-*'],
  },
  {
    id: 'silence-thirty-seconds',
    kills: ['HBT-03'],
    file,
    find: 'const { heartbeatIntervalMs, peerTimeoutMs } = node.parameters;',
    replace: 'const { heartbeatIntervalMs } = node.parameters;\n  const peerTimeoutMs = 40_000;',
    note: 'gives a silent peer up after 40 s',
  },
  {
    id: 'silence-ended-by-good-only',
    kills: ['HBT-03'],
    file: 'node/core/inbound.ts',
    find: '  link.heardAtMs = node.nowMs;\n',
    replace: '',
    also: [
      {
        file: 'node/core/inbound.ts',
        find: 'function take(node: NodeState, link: Link, received: Received): void {\n',
        replace:
          'function take(node: NodeState, link: Link, received: Received): void {\n  link.heardAtMs = node.nowMs;\n',
      },
    ],
    note: 'counts only good messages as signs of life',
  },
  {
    id: 'silence-while-held',
    kills: ['HBT-03'],
    file,
    find: 'const untilMs = link.holds.size > 0 ? Math.max(link.heldSinceMs, link.heardAtMs) : node.nowMs;',
    replace: 'const untilMs = node.nowMs;',
    also: [
      {
        file: 'node/core/link.ts',
        find: '    link.heardAtMs += node.nowMs - Math.max(link.heldSinceMs, link.heardAtMs);\n',
        replace: '',
      },
    ],
    note: 'takes a peer for silent that it does not read',
  },
  {
    id: 'heartbeats-counted',
    kills: ['HBT-05'],
    file: 'node/core/message-types.ts',
    find: "    'gossip',\n    unlimited(",
    replace: "    'gossip',\n    counted(",
    also: [
      {
        file: 'node/core/message-types.ts',
        find: "const item: MessageType = { handle: takeItem, limit: 'item' };",
        replace:
          "const item: MessageType = { handle: takeItem, limit: 'item' };\nconst counted = (handle: Handler): MessageType => ({ handle, limit: 'query' });",
      },
    ],
    note: 'counts gossip as queries',
    mayBreak: ['GRT-*', 'GAL-*', 'GFM-*', 'FLD-*', 'HBT-*'],
  },
  {
    id: 'lost-peer-stays',
    kills: ['HBT-02'],
    file: 'node/core/link.ts',
    find: 'node.persistent.splice(node.persistent.indexOf(link), 1);',
    replace: 'if (!byPeer) node.persistent.splice(node.persistent.indexOf(link), 1);',
    note: 'keeps a peer whose connection broke among those it gossips to',
    mayBreak: ['LIF-03', 'TOP-02'],
    ci: true,
  },
  {
    id: 'heartbeat-unsigned',
    kills: ['HBT-05'],
    file: 'node/core/sending.ts',
    find: 'const signature = encodeBase64(node.world.sign(asciiBytes(head + tail)));',
    replace:
      "const isBeat = messageType === 'gossip' && payload.includes('\"heartbeat\"');\n  const signature = encodeBase64(isBeat ? new Uint8Array(64) : node.world.sign(asciiBytes(head + tail)));",
    note: 'sends heartbeats with a signature of zeros',
    mayBreak: ['HBT-01', 'SIG-01', 'CAN-01'],
  },
];
