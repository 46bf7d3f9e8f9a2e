/** Faults in asking bootstrap nodes and in what is made of their answers. */

import type { Mutant } from '../mutant.ts';

const file = 'node/core/discovery.ts';
const request = '`{"capabilities": ${capabilitiesText}, "node_id": "${node.me.nodeId}"}`';
const listed = 'const known = node.routing.peerList(link.peer.nodeId, () => node.world.random());';
const requestId = 'requestId === null ? \'\' : `, "request_id": "${requestId}"`';
const learned =
  '    if (!isNodeId(node_id) || !isAddress(address) || node_id === node.me.nodeId) continue;\n';

export const mutants: readonly Mutant[] = [
  {
    id: 'peer-request-without-node-id',
    kills: ['DSC-02'],
    file,
    find: request,
    replace: '`{"capabilities": ${capabilitiesText}}`',
    note: 'sends peer_requests without node_id',
  },
  {
    id: 'peer-request-random-node-id',
    kills: ['DSC-02'],
    file,
    find: request,
    replace:
      '`{"capabilities": ${capabilitiesText}, "node_id": "node_${node.world.sha256(node.world.uuid()).slice(0, 40)}"}`',
    note: 'sends peer_requests with a node_id made up',
    ci: true,
  },
  {
    id: 'peer-request-capabilities-string',
    kills: ['DSC-02'],
    file,
    find: request,
    replace: '`{"capabilities": "consensus,gossip,sync", "node_id": "${node.me.nodeId}"}`',
    note: 'sends capabilities as one string',
  },
  {
    id: 'peer-request-capabilities-mixed',
    kills: ['DSC-02'],
    file,
    find: request,
    replace: '`{"capabilities": [1, "gossip", "sync"], "node_id": "${node.me.nodeId}"}`',
    note: 'sends a number among the capabilities',
  },
  {
    id: 'peer-request-twice',
    kills: ['DSC-02'],
    file,
    find: '  requestPeers(\n    node,\n    link,\n    () => {\n      query.answered = true;',
    replace:
      '  requestPeers(node, link);\n  requestPeers(\n    node,\n    link,\n    () => {\n      query.answered = true;',
    note: 'asks twice on a bootstrap connection',
  },
  {
    id: 'peer-list-empty',
    kills: ['DSC-03', 'PEX-02'],
    file,
    find: listed,
    replace: 'const known = node.routing.peerList(link.peer.nodeId, () => node.world.random()).slice(0, 0);',
    note: 'answers with an empty list',
    mayBreak: ['PEX-*', 'RTB-*', 'TOP-02', 'TOP-05', 'LIF-10'],
  },
  {
    id: 'peer-list-fabricated',
    kills: ['DSC-03'],
    file,
    find: '  const request = requestId',
    replace:
      '  peers.push(`{"address": "127.0.0.1:8888", "node_id": "node_${node.world.sha256(node.world.uuid()).slice(0, 40)}"}`);\n  const request = requestId',
    note: 'adds a node that does not exist',
    mayBreak: ['PEX-*', 'RTB-*'],
  },
  {
    id: 'peer-list-wrong-request-id',
    kills: ['DSC-03'],
    file,
    find: requestId,
    replace: 'requestId === null ? \'\' : `, "request_id": "${node.world.uuid()}"`',
    note: 'answers under a request_id of its own',
    mayBreak: ['PEX-*', 'RTB-*', 'FLD-*', 'HSK-08'],
  },
  {
    id: 'peer-list-last-request-id',
    kills: ['DSC-03'],
    file,
    find: requestId,
    replace:
      'requestId === null ? \'\' : `, "request_id": "${((link as unknown as { first?: string }).first ??= requestId)}"`',
    note: 'answers every request under the id of the first',
    mayBreak: ['PEX-*', 'RTB-*', 'FLD-*'],
  },
  {
    id: 'peer-list-with-asker',
    kills: ['DSC-03', 'PEX-07'],
    file: 'node/core/routing.ts',
    find: 'node.nodeId !== askerNodeId,',
    replace: 'askerNodeId !== null,',
    note: 'lists the asker',
  },
  {
    id: 'peer-list-with-self',
    kills: ['DSC-03', 'PEX-07'],
    file,
    find: '  const request = requestId',
    replace:
      '  peers.push(`{"address": ${canonical(node.config.advertise)}, "node_id": "${node.me.nodeId}"}`);\n  const request = requestId',
    note: 'lists itself',
  },
  {
    id: 'peer-list-without-inbound',
    kills: ['DSC-03'],
    file: 'node/core/handshake.ts',
    find: '  node.routing.met(peer.nodeId, hello.address, node.nowMs);',
    replace: '  if (link.errand) node.routing.met(peer.nodeId, hello.address, node.nowMs);',
    note: 'knows only peers that it dialled itself',
    mayBreak: ['PEX-*', 'RTB-*', 'TOP-*'],
  },
  {
    id: 'peer-list-guessed-address',
    kills: ['DSC-03', 'PEX-02'],
    file,
    find: '`{"address": ${canonical(address)}, "node_id": "${nodeId}"}`',
    replace: '`{"address": "${address.replace(/:[0-9]+$/, ":8888")}", "node_id": "${nodeId}"}`',
    note: 'lists peers under the default port in place of theirs',
    mayBreak: ['PEX-*', 'RTB-*'],
  },
  {
    id: 'peer-request-for-others',
    kills: ['DSC-03'],
    file,
    find: "  if (payload.node_id !== link.peer.nodeId) return refuse('MALFORMED', 'node_id is not the sender');",
    replace: "  if (typeof payload.node_id !== 'string') return refuse('MALFORMED', 'node_id');",
    note: 'answers a peer_request with the node_id of another',
  },
  {
    id: 'discovery-no-dedupe',
    kills: ['DSC-04'],
    file: 'node/core/dialing.ts',
    find: '  dial(node, errand, address, () => errandEnded(node, nodeId, false, 0));\n',
    replace:
      '  for (let i = 0; i < 3; i++) dial(node, errand, address, () => errandEnded(node, nodeId, false, 0));\n',
    note: 'dials a node that is listed more than once as often',
    mayBreak: ['*'],
  },
  {
    id: 'discovery-dials-itself',
    kills: ['DSC-04'],
    file,
    find: learned,
    replace: '    if (!isNodeId(node_id) || !isAddress(address)) continue;\n',
    also: [
      {
        file: 'node/core/routing.ts',
        find: '    if (newcomer.nodeId === this.#ownNodeId) return false;\n    const distance = commonBits(this.#ownNodeId, newcomer.nodeId);',
        replace: '    const distance = Math.min(159, commonBits(this.#ownNodeId, newcomer.nodeId));',
      },
      {
        file: 'node/core/dialing.ts',
        find: 'address === node.config.advertise || nodeId === node.me.nodeId',
        replace: 'address === node.config.advertise',
      },
    ],
    note: 'dials itself at an address that a list gives for it',
  },
  {
    id: 'bootstrap-dials-itself',
    kills: ['DSC-04'],
    file,
    find: '    if (nodeId === node.me.nodeId) continue;\n',
    replace: '',
    note: 'dials the bootstrap entry that is itself',
  },
];
