/** Faults in the bytes of a second, in what forgery costs whom, and in what a node sends itself. */

import type { Mutant } from '../mutant.ts';

const inbound = 'node/core/inbound.ts';
const sending = 'node/core/sending.ts';
const discovery = 'node/core/discovery.ts';
const inHold = "  hold(node, link, 'income');\n";
const mismatch = "    return no('IDENTITY_MISMATCH', 'sender is not who the certificate says');";
const unsigned = "return no('INVALID_SIGNATURE', 'signature');";
const due = 'isShort ? node.persistent.filter((link) => node.nowMs >= link.askPeersFromMs) : [];';

export const mutants: readonly Mutant[] = [
  {
    id: 'bytes-unlimited',
    kills: ['FLD-03'],
    file: inbound,
    find: '  const waitMs = peer.income.waitMs(size, node.nowMs);\n',
    replace: '  const waitMs = 0;\n',
    note: 'takes in any number of bytes',
    mayBreak: ['FLD-08'],
    ci: true,
  },
  {
    id: 'bytes-per-connection',
    kills: ['FLD-03'],
    file: inbound,
    find: '  const { peer } = link;\n  const waitMs = peer.income',
    replace:
      '  const own = link as any;\n  own.alone ??= { ...link.peer, links: new Set([link]), incomeDue: null, income: new ByteBudget(node.parameters.bytesPerSecond, node.nowMs) };\n  const peer = own.alone;\n  const waitMs = peer.income',
    also: [
      {
        file: inbound,
        find: "import { failAll } from './requests.ts';",
        replace: "import { ByteBudget } from './limits.ts';\nimport { failAll } from './requests.ts';",
      },
    ],
    note: 'counts bytes by connection',
  },
  {
    id: 'bytes-burst-per-connection',
    kills: ['FLD-05'],
    file: 'node/core/handshake.ts',
    find: '  if (errand) sendHello(node, link);\n}',
    replace:
      '  if (errand) sendHello(node, link);\n  link.peer.income.take(-node.parameters.bytesPerSecond, node.nowMs);\n}',
    note: 'gives a peer a new burst of bytes with each connection',
    mayBreak: ['FLD-*'],
  },
  {
    id: 'bytes-refused-free',
    kills: ['FLD-03'],
    file: inbound,
    find: '  const { code, because } = refusal;\n',
    replace: '  const { code, because } = refusal;\n  link.peer.income.take(-48_500, node.nowMs);\n',
    note: 'does not count the bytes of what it refuses',
  },
  {
    id: 'bytes-closes',
    kills: ['FLD-03'],
    file: inbound,
    find: inHold,
    replace: "  end(node, link, 4429, 'too many bytes');\n",
    note: 'closes a peer that sends too many bytes',
    mayBreak: ['FLD-08', 'PRF-01'],
  },
  {
    id: 'bytes-too-tight',
    kills: ['FLD-03'],
    file: 'node/core/peers.ts',
    find: 'income: new ByteBudget(bytesPerSecond, node.nowMs),',
    replace: 'income: new ByteBudget(bytesPerSecond / 2, node.nowMs),',
    note: 'lets in half a MiB a second',
  },
  {
    id: 'bytes-long-burst',
    kills: ['FLD-03'],
    file: 'node/core/limits.ts',
    find: '    this.#bytesPerSecond = bytesPerSecond;\n    this.#left = bytesPerSecond;',
    replace: '    this.#bytesPerSecond = bytesPerSecond;\n    this.#left = 20 * bytesPerSecond;',
    also: [
      {
        file: 'node/core/limits.ts',
        find: 'Math.min(this.#bytesPerSecond, this.#left + earned)',
        replace: 'Math.min(20 * this.#bytesPerSecond, this.#left + earned)',
      },
    ],
    note: 'allows a burst of twenty seconds',
    mayBreak: ['FLD-08', 'FLD-09'],
  },
  {
    id: 'bytes-stall-all',
    kills: ['FLD-03'],
    file: inbound,
    find: inHold,
    replace: "  for (const each of node.links.values()) hold(node, each, 'income');\n",
    note: 'stops reading from everybody when one peer sends too much',
    mayBreak: ['FLD-*', 'PRF-01'],
  },
  {
    id: 'forged-counts-claimed',
    kills: ['FLD-07'],
    file: inbound,
    find: mismatch,
    replace: `    const counted = messageTypes.get(messageType)?.limit;\n    if (counted) node.limits.count(sender.nodeId, counted, node.nowMs);\n${mismatch}`,
    note: 'counts a message against whom it claims to be from',
    ci: true,
  },
  {
    id: 'forged-counts-own',
    kills: ['FLD-07'],
    file: inbound,
    find: unsigned,
    replace: `  {\n    const counted = messageTypes.get(messageType)?.limit;\n    if (counted) node.limits.count(link.peer.nodeId, counted, node.nowMs);\n    ${unsigned}\n  }`,
    note: 'counts a message before it looks at the signature',
    mayBreak: ['SIG-*'],
  },
  {
    id: 'forged-stalls',
    kills: ['PRF-01'],
    file: inbound,
    find: unsigned,
    replace: `  {\n    for (const until = performance.now() + 250; performance.now() < until; );\n    ${unsigned}\n  }`,
    note: 'spends 250 ms on every bad signature',
  },
  {
    id: 'gossip-bytes-free',
    kills: ['FLD-08'],
    file: inbound,
    find: '!afford(node, link, next.size)',
    replace: '!(next.text.includes(\'"gossip"\') || afford(node, link, next.size))',
    note: 'does not count the bytes of gossip',
    mayBreak: ['FLD-03'],
  },
  {
    id: 'hello-for-ever',
    kills: ['FLD-08'],
    file: 'node/core/handshake.ts',
    find: "  if (link.phase === 'open') return refuse('MALFORMED', 'second hello');\n",
    replace: "  if (link.phase === 'open') return null;\n",
    note: 'takes any number of hellos',
    mayBreak: ['HSK-08'],
  },
  {
    id: 'sends-without-budget',
    kills: ['FLD-09'],
    file: sending,
    find: '    if (outgo.waitMs(text.length, node.nowMs) > 0) break;\n',
    replace: '',
    note: 'sends as fast as it is asked to',
  },
  {
    id: 'sends-budget-per-connection',
    kills: ['FLD-09'],
    file: sending,
    find: '  const { outgo } = link.peer;\n',
    replace:
      '  const own = link as any;\n  own.outgo ??= new ByteBudget(node.parameters.bytesPerSecond, node.nowMs);\n  const outgo = own.outgo;\n',
    also: [
      {
        file: sending,
        find: "import { hold, release } from './link.ts';",
        replace: "import { ByteBudget } from './limits.ts';\nimport { hold, release } from './link.ts';",
      },
    ],
    note: 'keeps to the bytes of a second on each connection by itself',
  },
  {
    id: 'asks-peers-every-second',
    kills: ['FLD-09'],
    file: discovery,
    find: `const due = ${due}`,
    replace: 'const due = node.persistent;',
    also: [
      {
        file: discovery,
        find: "if (link && node.ownLimits.waitMs(link.peer.nodeId, 'query', node.nowMs) === 0) {",
        replace: 'if (link) {',
      },
    ],
    note: 'asks for peers without end',
    mayBreak: ['DSC-*', 'PEX-*'],
  },
];
