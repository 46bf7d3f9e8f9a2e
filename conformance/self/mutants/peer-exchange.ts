/** Faults in peer lists: their form, when they are sent, and what is believed of them. */

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the patches are source text

import type { Mutant } from '../mutant.ts';

const file = 'node/core/discovery.ts';
const handshake = 'node/core/handshake.ts';
const routing = 'node/core/routing.ts';
const afterHandshake = '  sendPeers(node, link, null);\n  startHeartbeats(node, link);';
const entry = '`{"address": ${canonical(address!)}, "node_id": "${nodeId}"}`';
const payload = '`{"peers": [${peers.join(\', \')}]${request}}`';
const otherNode = "    misled(node, link, errand.nodeId);\n    end(node, link, 4401, 'another node');";

export const mutants: readonly Mutant[] = [
  {
    id: 'peer-exchange-never',
    kills: ['PEX-01'],
    file: handshake,
    find: afterHandshake,
    replace: '  startHeartbeats(node, link);',
    note: 'sends no peer_exchange after the handshake',
    mayBreak: ['*'],
    ci: true,
  },
  {
    id: 'peer-exchange-only-as-acceptor',
    kills: ['PEX-01'],
    file: handshake,
    find: afterHandshake,
    replace: '  if (!link.errand) sendPeers(node, link, null);\n  startHeartbeats(node, link);',
    note: 'sends a peer_exchange only to who dialled it',
    mayBreak: ['PEX-*', 'TOP-*'],
  },
  {
    id: 'peer-exchange-only-as-dialer',
    kills: ['PEX-01'],
    file: handshake,
    find: afterHandshake,
    replace: '  if (link.errand) sendPeers(node, link, null);\n  startHeartbeats(node, link);',
    note: 'sends a peer_exchange only to whom it dialled',
    mayBreak: ['*'],
  },
  {
    id: 'peer-exchange-with-request-id',
    kills: ['PEX-01'],
    file: handshake,
    find: afterHandshake,
    replace: '  sendPeers(node, link, node.world.uuid());\n  startHeartbeats(node, link);',
    note: 'puts a request_id into the peer_exchange after the handshake',
    mayBreak: ['*'],
  },
  {
    id: 'peer-exchange-before-summary',
    kills: ['PEX-01'],
    file: handshake,
    find: "  send(node, link, 'state_summary', summaryText(node));\n",
    replace: '',
    also: [
      {
        file: handshake,
        find: afterHandshake,
        replace: `${afterHandshake}\n  send(node, link, 'state_summary', summaryText(node));`,
      },
      {
        file: handshake,
        find: "  if (link.type !== 'persistent') {\n    expire(node, link);",
        replace:
          "  if (link.type !== 'persistent') {\n    send(node, link, 'state_summary', summaryText(node));\n    expire(node, link);",
      },
    ],
    note: 'sends the peer_exchange before the state_summary',
    mayBreak: ['HSK-*', 'LIF-*'],
  },
  {
    id: 'peer-exchange-twice',
    kills: ['PEX-01'],
    file: handshake,
    find: afterHandshake,
    replace: `  sendPeers(node, link, null);\n${afterHandshake}`,
    note: 'sends the peer_exchange after the handshake twice',
  },
  {
    id: 'peer-exchange-known-peers',
    kills: ['PEX-02'],
    file,
    find: payload,
    replace: '`{"known_peers": [${peers.join(\', \')}]${request}}`',
    note: 'calls the list known_peers',
    mayBreak: ['*'],
  },
  {
    id: 'peer-exchange-split-port',
    kills: ['PEX-02'],
    file,
    find: entry,
    replace:
      '`{"address": ${canonical(address!.replace(/:[0-9]+$/, ""))}, "node_id": "${nodeId}", "port": ${address!.replace(/^.*:/, "")}}`',
    note: 'gives the port in a member of its own',
    mayBreak: ['DSC-03', 'PEX-*', 'RTB-*', 'TOP-*'],
    ci: true,
  },
  {
    id: 'peer-exchange-type-for-message-type',
    kills: ['PEX-02'],
    file: 'node/core/sending.ts',
    find: '"message_type": "${messageType}"',
    replace: "\"${messageType === 'peer_exchange' ? 'type' : 'message_type'}\": \"${messageType}\"",
    note: 'names the type of a peer_exchange `type`',
    mayBreak: ['*'],
  },
  {
    id: 'peer-exchange-id-for-node-id',
    kills: ['PEX-02'],
    file,
    find: entry,
    replace: '`{"address": ${canonical(address!)}, "id": "${nodeId}"}`',
    note: 'names the node id of an entry `id`',
    mayBreak: ['DSC-03', 'PEX-*', 'RTB-*', 'TOP-*'],
  },
  {
    id: 'peer-list-ignored',
    kills: ['PEX-03'],
    file: 'node/core/message-types.ts',
    find: '    learn(node, payload);\n',
    replace: '    if (link.toldFull) learn(node, payload);\n',
    note: 'does not dial whom it learns of after a handshake',
    mayBreak: ['*'],
    ci: true,
  },
  {
    id: 'peer-list-ignored-as-dialer',
    kills: ['PEX-03'],
    file: 'node/core/message-types.ts',
    find: '    learn(node, payload);\n',
    replace: '    if (link.toldFull || !link.errand) learn(node, payload);\n',
    note: 'ignores the list of a peer that it dialled',
    mayBreak: ['PEX-*', 'TOP-*'],
  },
  {
    id: 'peer-list-of-refusal-ignored',
    kills: ['PEX-03'],
    file: 'node/core/message-types.ts',
    find: '    learn(node, payload);\n',
    replace: '    if (!link.toldFull) learn(node, payload);\n',
    note: 'ignores the list of a node that has no place',
  },
  {
    id: 'peer-dialled-as-sync',
    kills: ['PEX-03'],
    file: handshake,
    find: '    type: errand?.kind ?? null,',
    replace: "    type: errand?.kind === 'persistent' ? 'sync' : (errand?.kind ?? null),",
    note: 'dials peers with connection_type sync',
    mayBreak: ['*'],
  },
  {
    id: 'dialled-anybody',
    kills: ['PEX-04'],
    file: handshake,
    find: "if (errand?.kind === 'persistent' && errand.nodeId !== nodeId) {",
    replace: "if (errand?.kind === 'persistent' && nodeId === '') {",
    note: 'takes whoever is at a learned address',
    mayBreak: ['IDN-*', 'HSK-*', 'DSC-04'],
    ci: true,
  },
  {
    id: 'dialled-other-hello-first',
    kills: ['PEX-04'],
    file: handshake,
    find: otherNode,
    replace: `    sendHello(node, link);\n${otherNode}`,
    note: 'says hello to another node than the listed one before it leaves',
    mayBreak: ['IDN-*', 'HSK-*'],
  },
  {
    id: 'dialled-other-closed-1000',
    kills: ['PEX-04'],
    file: handshake,
    find: otherNode,
    replace: otherNode.replace('4401', '1000'),
    note: 'closes another node than the listed one as if all were well',
    mayBreak: ['IDN-*', 'HSK-*'],
  },
  {
    id: 'dialled-other-kept',
    kills: ['PEX-04'],
    file: handshake,
    find: '    misled(node, link, errand.nodeId);\n    end(node, link, 4401,',
    replace:
      '    link.errandSettled = true;\n    errandEnded(node, errand.nodeId, false, 0);\n    end(node, link, 4401,',
    note: 'keeps the address at which another node answered',
    mayBreak: ['IDN-*', 'HSK-*'],
  },
  {
    id: 'peer-list-overwrites',
    kills: ['PEX-05'],
    file: routing,
    find: '      if (node.verified || !node.dialFailed) return false;\n',
    replace: '      if (node.address === null) return false;\n',
    note: 'takes the address of a peer from anybody’s list',
    mayBreak: ['PEX-*', 'RTB-*'],
    ci: true,
  },
  {
    id: 'peer-list-overwrites-null',
    kills: ['PEX-05'],
    file: routing,
    find: '      if (node.verified || !node.dialFailed) return false;\n',
    replace: '      if (node.address !== null && (node.verified || !node.dialFailed)) return false;\n',
    note: 'takes an address from a list for a peer that said it has none',
    mayBreak: ['PEX-*', 'RTB-*'],
  },
  {
    id: 'peer-list-disconnects',
    kills: ['PEX-05'],
    file,
    find: '    node.routing.heardOf(node_id, address, node.nowMs);\n',
    replace:
      "    const known = node.routing.get(node_id);\n    const link = node.peers.get(node_id)?.persistent;\n    if (link && known && known.address !== address) end(node, link, 1000, 'moved');\n    node.routing.heardOf(node_id, address, node.nowMs);\n",
    note: 'drops a peer when a list says that it is elsewhere',
  },
];
