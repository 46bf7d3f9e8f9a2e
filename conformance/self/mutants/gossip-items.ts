/** Faults in what a node takes for an item, and in handing it on as its author signed it. */

import type { Mutant } from '../mutant.ts';

const fetching = 'node/core/fetching.ts';
const wants = 'node/core/wants.ts';
const direct = 'node/core/direct.ts';
const item = 'node/core/item.ts';

export const mutants: readonly Mutant[] = [
  {
    id: 'fetch-by-claimed-hash',
    kills: ['GFM-05'],
    file: fetching,
    find: '      isStrange = !asked.has(hash);',
    replace: '      isStrange = false;',
    also: [
      {
        file: fetching,
        find: 'payload.items as Json[]);',
        replace: 'payload.items as Json[], payload.item_hashes as string[]);',
      },
      {
        file: fetching,
        find: 'bodies: readonly Json[]) {',
        replace: 'bodies: readonly Json[], claimed: string[] = []) {',
      },
      {
        file: fetching,
        find: '  for (const body of bodies) {',
        replace: '  for (const [i, body] of bodies.entries()) {',
      },
      {
        file: fetching,
        find: '    if (!isRefusal(item)) {\n',
        replace:
          '    if (!isRefusal(item)) {\n      (item as { hash: string }).hash = claimed[i]!.slice(5);\n',
      },
    ],
    note: 'stores a body under the hash that was announced',
    ci: true,
  },
  {
    id: 'fetch-unverified',
    kills: ['GFM-05', 'GFM-11'],
    file: fetching,
    find: 'const item = readItem(body, node.rules, false, ',
    replace: 'const item = readItem(body, node.rules, true, ',
    also: [
      { file: fetching, find: '      isStrange = !asked.has(hash);', replace: '      isStrange = false;' },
    ],
    note: 'takes relayed items without looking at their signatures',
    mayBreak: ['AUT-*', 'SIG-*', 'AEN-*', 'SYN-*'],
  },
  {
    id: 'fetch-bad-voids-response',
    kills: ['GFM-05'],
    file: fetching,
    find: '  let refused = 0;\n',
    replace:
      '  let refused = 0;\n  if (bodies.some((body) => isRefusal(readItem(body, node.rules)))) return { taken, refused: 1 };\n',
    note: 'takes nothing of a response that holds a bad body',
    mayBreak: ['AUT-*', 'GFM-11', 'SYN-03'],
  },
  {
    id: 'fetch-forged-voids-response',
    kills: ['GFM-11'],
    file: fetching,
    find: '  let refused = 0;\n',
    replace: `  let refused = 0;
  for (const body of bodies) {
    let isAsked = false;
    const item = readItem(body, node.rules, false, (hash) => {
      isAsked = asked.has(hash);
      return isAsked;
    });
    if (isAsked && isRefusal(item)) return { taken, refused: 1 };
  }
`,
    note: 'takes nothing of a response in which an item that it asked for has a bad signature',
    mayBreak: ['AUT-*', 'SYN-03'],
  },
  {
    id: 'fetch-counts-each-body',
    kills: ['GFM-05'],
    file: fetching,
    find: 'if (served.refused > 0) countBad(node, link);',
    replace: 'for (let i = 0; i < served.refused; i++) countBad(node, link);',
    note: 'counts every bad body of a response, and so closes',
  },
  {
    id: 'item-members-dropped',
    kills: ['GFM-10'],
    file: item,
    find: '    bytes: asciiBytes(text.whole),',
    replace:
      "    bytes: asciiBytes(canonical(only(envelope.object, ['version', 'message_type', 'message_id', 'timestamp', 'sender', 'payload', 'signature']))),",
    also: [
      {
        file: item,
        find: '/** The 64 digits of the hash of an item, valid or not',
        replace:
          'const only = (object: JsonObject, keys: string[]) =>\n  Object.fromEntries(keys.filter((key) => Object.hasOwn(object, key)).map((key) => [key, object[key]!]));\n/** The 64 digits of the hash of an item, valid or not',
      },
      {
        file: item,
        find: "import { decodeBase64 } from './base64.ts';",
        replace: "import { decodeBase64 } from './base64.ts';\nimport { canonical } from './canonical.ts';",
      },
    ],
    note: 'hands items on without members that it does not know',
    mayBreak: ['AUT-*', 'CAN-*', 'ENV-07'],
  },
  {
    id: 'item-sender-members-dropped',
    kills: ['GFM-10'],
    file: item,
    find: '    bytes: asciiBytes(text.whole),',
    replace:
      "    bytes: asciiBytes(canonical({ ...envelope.object, sender: only(sender.object, ['agent_id', 'node_id', 'public_key', 'certificate']) })),",
    also: [
      {
        file: item,
        find: '/** The 64 digits of the hash of an item, valid or not',
        replace:
          'const only = (object: JsonObject, keys: string[]) =>\n  Object.fromEntries(keys.filter((key) => Object.hasOwn(object, key)).map((key) => [key, object[key]!]));\n/** The 64 digits of the hash of an item, valid or not',
      },
      {
        file: item,
        find: "import { decodeBase64 } from './base64.ts';",
        replace: "import { decodeBase64 } from './base64.ts';\nimport { canonical } from './canonical.ts';",
      },
    ],
    note: 'hands items on with four members in sender',
    mayBreak: ['AUT-*'],
  },
  {
    id: 'item-payload-members-dropped',
    kills: ['GFM-10'],
    file: item,
    find: '    bytes: asciiBytes(text.whole),',
    replace:
      "    bytes: asciiBytes(canonical({ ...envelope.object, payload: only(envelope.payload, Object.keys(envelope.payload).filter((key) => key !== 'unknown_member')) })),",
    also: [
      {
        file: item,
        find: '/** The 64 digits of the hash of an item, valid or not',
        replace:
          'const only = (object: JsonObject, keys: string[]) =>\n  Object.fromEntries(keys.filter((key) => Object.hasOwn(object, key)).map((key) => [key, object[key]!]));\n/** The 64 digits of the hash of an item, valid or not',
      },
      {
        file: item,
        find: "import { decodeBase64 } from './base64.ts';",
        replace: "import { decodeBase64 } from './base64.ts';\nimport { canonical } from './canonical.ts';",
      },
    ],
    note: 'hands items on without unknown members of the payload',
  },
  {
    id: 'item-number-forms-lost',
    kills: ['GFM-10'],
    file: item,
    find: '    bytes: asciiBytes(text.whole),',
    replace: "    bytes: asciiBytes(text.whole.replace(/(\\d)\\.0\\b/g, '$1')),",
    note: 'hands 1.0 on as 1',
    mayBreak: ['CAN-*', 'AUT-*'],
    ci: true,
  },
  {
    id: 'item-escapes-lost',
    kills: ['GFM-10'],
    file: item,
    find: '    bytes: asciiBytes(text.whole),',
    replace: "    bytes: asciiBytes(text.whole.replaceAll('\\\\u2028', '\\\\n')),",
    note: 'turns U+2028 into a line feed on the way',
    mayBreak: ['CAN-*'],
  },
  {
    id: 'item-without-certificate',
    kills: ['GFM-10'],
    file: item,
    find: '    bytes: asciiBytes(text.whole),',
    replace:
      "    bytes: asciiBytes(canonical({ ...envelope.object, sender: only(sender.object, Object.keys(sender.object).filter((key) => key !== 'certificate')) })),",
    also: [
      {
        file: item,
        find: '/** The 64 digits of the hash of an item, valid or not',
        replace:
          'const only = (object: JsonObject, keys: string[]) =>\n  Object.fromEntries(keys.filter((key) => Object.hasOwn(object, key)).map((key) => [key, object[key]!]));\n/** The 64 digits of the hash of an item, valid or not',
      },
      {
        file: item,
        find: "import { decodeBase64 } from './base64.ts';",
        replace: "import { decodeBase64 } from './base64.ts';\nimport { canonical } from './canonical.ts';",
      },
    ],
    note: 'hands items on without the certificate of their author',
    mayBreak: ['*'],
  },
  {
    id: 'refused-hash-blacklisted',
    kills: ['GFM-11', 'GFM-05'],
    file: wants,
    find: '  refused.delete(hash);\n',
    replace: '  blacklist.add(hash);\n  refused.delete(hash);\n',
    also: [
      {
        file: wants,
        find: '  if (isArriving(node, wireHash)) {\n    if (waiter)',
        replace:
          '  if (blacklist.has(wireHash)) {\n    waiter?.(false);\n    return;\n  }\n  if (isArriving(node, wireHash)) {\n    if (waiter)',
      },
      {
        file: wants,
        find: 'export function want(',
        replace: 'const blacklist = new Set<string>();\nexport function want(',
      },
    ],
    note: 'takes nothing under a hash under which something bad came once',
    mayBreak: ['AEN-06', 'SYN-03', 'AUT-*'],
  },
  {
    id: 'refused-peer-for-ever',
    kills: ['GFM-11'],
    file: wants,
    find: '  if (again) fetching.refused.delete(wireHash);\n  else if (',
    replace: '  if (',
    note: 'does not ask a peer again that sent something bad, whatever it announces',
    mayBreak: ['AEN-06', 'SYN-03'],
  },
  {
    id: 'refused-asked-again',
    kills: ['GFM-11'],
    file: wants,
    find: '  giveBack(node, peer, hash, true);\n}',
    replace:
      '  const wanted = node.fetching.wants.get(hash);\n  giveBack(node, peer, hash, false);\n  node.deadlines.at(node.nowMs + 300, () => void (wanted && lineUp(node, peer, wanted)));\n}',
    note: 'asks a peer that sent something bad again and again',
    mayBreak: ['AEN-06', 'AUT-*', 'SYN-03'],
  },
  {
    id: 'refused-author-too',
    kills: ['GFM-11'],
    file: wants,
    find: '  refused.delete(hash);\n',
    replace: '  blacklist.add(hash);\n  refused.delete(hash);\n',
    also: [
      {
        file: wants,
        find: 'export function want(',
        replace: 'export const blacklist = new Set<string>();\nexport function want(',
      },
      {
        file: direct,
        find: "import { settleWant } from './wants.ts';",
        replace: "import { blacklist, settleWant } from './wants.ts';",
      },
      {
        file: direct,
        find: '  const item = checkOwnedItem(envelope, text, node.rules);\n',
        replace:
          "  if (blacklist.has(received.itemHash!)) return refuse('INVALID_SIGNATURE', 'blacklisted');\n  const item = checkOwnedItem(envelope, text, node.rules);\n",
      },
    ],
    note: 'refuses an item from its author if somebody sent a bad copy of it',
  },
  {
    id: 'refused-body-uncounted',
    kills: ['GFM-05'],
    file: fetching,
    find: '  if (served.refused > 0) countBad(node, link);\n',
    replace: '',
    note: 'does not count responses with bad bodies',
    mayBreak: ['SIG-08'],
  },
];
