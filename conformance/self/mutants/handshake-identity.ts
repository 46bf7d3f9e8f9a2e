/** Faults in whom a node takes somebody for, and in what is let through before and after the hello. */

import type { Mutant } from '../mutant.ts';

const sendSummary = "  send(node, link, 'state_summary', summaryText(node));";

const secondHello = "  if (link.phase === 'open') return refuse('MALFORMED', 'second hello');";

/** A second hello is refused, and read all the same. */
const afterSecond = (effect: string): string => `  if (link.phase === 'open') {
    const again = readHello(payload);
    if (!('because' in again)) {
      ${effect}
    }
    return refuse('MALFORMED', 'second hello');
  }`;

export const mutants: readonly Mutant[] = [
  {
    id: 'hello-node-id-trusted',
    kills: ['HSK-05'],
    file: 'node/core/handshake.ts',
    find: 'if (hello.nodeId !== link.peer.nodeId)',
    replace: 'if (hello.nodeId === null)',
    note: 'does not compare the node_id in the hello',
    ci: true,
  },
  {
    id: 'sender-key-trusted',
    kills: ['HSK-05', 'HSK-07'],
    file: 'node/core/inbound.ts',
    find: '    sender.publicKey !== identity.publicKeyBase64 ||\n    sender.nodeId !== identity.nodeId ||\n    sender.agentId !== identity.agentId\n',
    replace: '    sender.publicKey === null\n',
    also: [
      {
        file: 'node/core/inbound.ts',
        find: 'node.world.verify(link.identity.publicKey, asciiBytes',
        replace: 'node.world.verify(signer, asciiBytes',
      },
      {
        file: 'node/core/inbound.ts',
        find: '!isSigned(node, link, texts, signature)',
        replace:
          '!(isSigned(node, decodeBase64(sender.publicKey, 32) ?? new Uint8Array(32), texts, signature))',
      },
      {
        file: 'node/core/inbound.ts',
        find: 'function isSigned(node: NodeState, link: Link,',
        replace: 'function isSigned(node: NodeState, signer: Uint8Array,',
      },
      {
        file: 'node/core/handshake.ts',
        find: 'if (hello.nodeId !== link.peer.nodeId)',
        replace: 'if (hello.nodeId === null)',
      },
    ],
    note: 'trusts the key inside the message and never looks at the certificate',
    mayBreak: ['SIG-*', 'TLS-06', 'LIF-06'],
  },
  {
    id: 'sender-node-id-trusted',
    kills: ['HSK-05'],
    file: 'node/core/inbound.ts',
    find: '    sender.nodeId !== identity.nodeId ||\n',
    replace: '',
    note: 'does not compare the sender’s node_id',
    mayBreak: ['SIG-05', 'HSK-06', 'HSK-09'],
  },
  {
    id: 'sender-agent-trusted',
    kills: ['HSK-05'],
    file: 'node/core/inbound.ts',
    find: ' ||\n    sender.agentId !== identity.agentId\n',
    replace: '\n',
    note: 'does not compare the sender’s agent_id',
    mayBreak: ['TLS-06'],
  },
  {
    id: 'hello-signature-exempt',
    kills: ['HSK-06'],
    file: 'node/core/inbound.ts',
    find: '!isSigned(node, link, texts, signature)',
    replace: "!(messageType === 'hello' || isSigned(node, link, texts, signature))",
    note: 'does not verify the signature of a hello',
    ci: true,
  },
  {
    id: 'second-hello-taken',
    kills: ['HSK-08'],
    file: 'node/core/handshake.ts',
    find: secondHello,
    replace: "  if (link.phase === 'open') {\n    sendHello(node, link);\n    return null;\n  }",
    note: 'answers every hello with a hello',
  },
  {
    id: 'second-hello-makes-peer',
    kills: ['HSK-08'],
    file: 'node/core/handshake.ts',
    find: secondHello,
    replace: afterSecond(`if (again.type === 'persistent' && !link.peer.persistent) {
      link.gossips = again.capabilities.includes('gossip');
      link.peer.persistent = link;
      node.persistent.push(link);
    }`),
    note: 'refuses a second hello, but makes a peer of who says so in it',
  },
  {
    id: 'second-hello-address-taken',
    kills: ['HSK-08'],
    file: 'node/core/handshake.ts',
    find: secondHello,
    replace: afterSecond('node.routing.met(link.peer.nodeId, again.address, node.nowMs);'),
    note: 'refuses a second hello, but takes over its address',
  },
  {
    id: 'second-hello-node-id-taken',
    kills: ['HSK-08'],
    file: 'node/core/handshake.ts',
    find: secondHello,
    replace: afterSecond(
      'node.routing.met(again.nodeId, again.nodeId === link.peer.nodeId ? null : again.address, node.nowMs);',
    ),
    note: 'refuses a second hello, but lists whom it names',
  },
  {
    id: 'early-messages-answered',
    kills: ['HSK-09'],
    file: 'node/core/inbound.ts',
    find: "if (link.phase === 'hello' && !mayComeBeforeHello(link, messageType))",
    replace: 'if (link.peer === null)',
    note: 'handles messages before the hello',
    mayBreak: ['LIF-01'],
    ci: true,
  },
  {
    id: 'handshake-required-stays-open',
    kills: ['HSK-09'],
    file: 'node/core/inbound.ts',
    find: '  HANDSHAKE_REQUIRED: 4400,\n',
    replace: '',
    also: [
      {
        file: 'node/core/inbound.ts',
        find: "(link.phase === 'hello' ? 4400 : null)",
        replace: "(link.phase === 'hello' && code !== 'HANDSHAKE_REQUIRED' ? 4400 : null)",
      },
    ],
    note: 'refuses an early message, but waits for ever for the hello',
    mayBreak: ['LIF-01'],
  },
  {
    id: 'handshake-slow',
    kills: ['HSK-10'],
    file: 'node/core/handshake.ts',
    find: sendSummary,
    replace:
      "  node.deadlines.at(node.nowMs + 6000, () => {\n    if (link.phase === 'open') send(node, link, 'state_summary', summaryText(node));\n  });",
    note: 'ends its handshakes after 6 s',
    mayBreak: ['*'],
  },
  {
    id: 'dialer-hello-late',
    kills: ['HSK-10'],
    file: 'node/core/handshake.ts',
    find: '  if (errand) sendHello(node, link);',
    replace: '  if (errand) node.deadlines.at(node.nowMs + 6000, () => sendHello(node, link));',
    also: [
      {
        file: 'node/core/handshake.ts',
        find: 'link.helloDue = node.deadlines.at(node.nowMs + node.parameters.handshakeTimeoutMs, () => {',
        replace: 'link.helloDue = node.deadlines.at(node.nowMs + 12_000, () => {',
      },
    ],
    note: 'dials and says hello 6 s after the upgrade',
    mayBreak: ['*'],
  },
];
