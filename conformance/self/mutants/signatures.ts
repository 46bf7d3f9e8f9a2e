/** Faults in what a signature binds and in how it is verified. */

import type { Mutant } from '../mutant.ts';

const inbound = 'node/core/inbound.ts';
const item = 'node/core/item.ts';
const signing = 'node/shell/signing.ts';
const sodiumSays = 'if (sodiumVerify(sodium, publicKey, message, signature)) return true;';
const smallR = 'return isSmallOrder(signature) && opensslVerifyStrictly(publicKey, message, signature);';
const verified =
  'const isGood = node.world.verify(link.identity.publicKey, asciiBytes(texts.signing), signature);';
const notSigned =
  "if (!signature || !isSigned(node, link, texts, signature)) return no('INVALID_SIGNATURE', 'signature');";
const reducedS = `const order = 2n ** 252n + 27742317777372353535851937790883648493n;
      const s = BigInt('0x' + Buffer.from(signature.subarray(32)).reverse().toString('hex')) % order;
      const reduced = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse();`;

export const mutants: readonly Mutant[] = [
  {
    id: 'signature-not-checked',
    kills: ['SIG-03', 'SIG-04'],
    file: inbound,
    find: '!isSigned(node, link, texts, signature)',
    replace: 'signature.length === 0',
    note: 'looks at the form of a signature only',
    mayBreak: ['SIG-06', 'SIG-08', 'HSK-06', 'HSK-09', 'FLD-01', 'FLD-02', 'DIR-04'],
    ci: true,
  },
  {
    id: 'signature-remembered',
    kills: ['SIG-03'],
    file: inbound,
    find: verified,
    replace: `const memory: Set<string> = ((globalThis as any).signatures ??= new Set());
  const isGood = memory.has(texts.whole.slice(-200)) || node.world.verify(link.identity.publicKey, asciiBytes(texts.signing), signature) || memory.has(Buffer.from(signature).toString('hex'));
  if (isGood) memory.add(Buffer.from(signature).toString('hex'));`,
    note: 'remembers signatures that were good, not what they signed',
  },
  {
    id: 'signature-checked-once',
    kills: ['SIG-03', 'SIG-04'],
    file: inbound,
    find: notSigned,
    replace: `if (!signature || !(link.phase === 'open' || isSigned(node, link, texts, signature)))
    return no('INVALID_SIGNATURE', 'signature');`,
    note: 'verifies the hello alone, as TLS would do the rest',
    mayBreak: ['SIG-06', 'SIG-08', 'FLD-01', 'FLD-02', 'DIR-04'],
  },
  {
    id: 'signature-of-payload-too',
    kills: ['SIG-03'],
    file: inbound,
    find: notSigned,
    replace: `const alike = ((node as any).alike ??= new Map<string, string>()) as Map<string, string>;
  const body = JSON.stringify(envelope.payload, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
  if (!signature || !(alike.get(body) === envelope.signature || isSigned(node, link, texts, signature)))
    return no('INVALID_SIGNATURE', 'signature');
  alike.set(body, envelope.signature);`,
    note: 'takes a message whose payload it knows under that signature',
  },
  {
    id: 'gossip-unverified',
    kills: ['SIG-04'],
    file: inbound,
    find: '!isSigned(node, link, texts, signature)',
    replace: "!(messageType === 'gossip' || isSigned(node, link, texts, signature))",
    note: 'does not verify gossip',
    mayBreak: ['HBT-05'],
  },
  {
    id: 'sync-unverified',
    kills: ['SIG-04'],
    file: inbound,
    find: '!isSigned(node, link, texts, signature)',
    replace: '!(/^state_|^peer_/.test(messageType) || isSigned(node, link, texts, signature))',
    note: 'does not verify peer lists and state messages',
  },
  {
    id: 'commits-alone-verified',
    kills: ['SIG-04'],
    file: inbound,
    find: '!isSigned(node, link, texts, signature)',
    replace:
      "!(!['hello', 'commit', 'sync_digest'].includes(messageType) || isSigned(node, link, texts, signature))",
    note: 'verifies only some types, and challenges and confirms are not among them',
  },
  {
    id: 'item-signature-not-checked',
    kills: ['SIG-04'],
    file: item,
    find: "return good ? item : refuse('INVALID_SIGNATURE', 'signature of the item');",
    replace: 'return item;',
    note: "does not judge the signatures of others' items",
    mayBreak: ['SIG-06', 'SIG-07', 'AUT-01', 'AUT-04'],
  },
  {
    id: 'verifies-by-embedded-key',
    kills: ['SIG-04'],
    file: inbound,
    find: 'sender.publicKey !== identity.publicKeyBase64 ||',
    replace: '',
    also: [
      {
        file: inbound,
        find: verified,
        replace: `const claimed = decodeBase64(JSON.parse(texts.whole).sender.public_key, 32) ?? link.identity.publicKey;
  const isGood = node.world.verify(claimed, asciiBytes(texts.signing), signature);`,
      },
    ],
    note: 'verifies with the key in the message and does not compare it with the certificate',
    mayBreak: ['HSK-05', 'SIG-05'],
  },
  {
    id: 'node-id-not-compared',
    kills: ['SIG-05'],
    file: inbound,
    find: 'sender.nodeId !== identity.nodeId ||',
    replace: '',
    note: "does not compare a message's node_id with the certificate",
    mayBreak: ['HSK-05', 'SIG-03', 'HSK-06', 'HSK-09'],
    ci: true,
  },
  {
    id: 'item-author-not-compared',
    kills: ['SIG-05'],
    file: item,
    find: 'certificate.nodeId !== sender.nodeId ||',
    replace: '',
    note: "takes an item whose node_id is not that of its author's key",
    mayBreak: ['AUT-01', 'AUT-04'],
  },
  {
    id: 'item-agent-not-compared',
    kills: ['SIG-05'],
    file: item,
    find: 'certificate.agentId !== sender.agentId ||',
    replace: '',
    note: "takes an item in another agent's name",
    mayBreak: ['AUT-01', 'AUT-03', 'AUT-04'],
  },
  {
    id: 'signature-range-unchecked',
    kills: ['SIG-06'],
    file: signing,
    find: sodiumSays,
    replace: `${reducedS}
      if (sodiumVerify(sodium, publicKey, message, Buffer.concat([signature.subarray(0, 32), reduced]))) return true;`,
    note: 'takes S modulo L',
    ci: true,
  },
  {
    id: 'signature-range-by-bits',
    kills: ['SIG-06'],
    file: signing,
    find: sodiumSays,
    replace: `${reducedS}
      if (signature[63]! < 32 && sodiumVerify(sodium, publicKey, message, Buffer.concat([signature.subarray(0, 32), reduced]))) return true;`,
    note: 'looks only at the three highest bits of S, as old code does',
  },
  {
    id: 'signature-cofactored',
    kills: ['SIG-06'],
    file: signing,
    find: sodiumSays,
    replace: `noble.hashes.sha512 = (bytes) => new Uint8Array(createHash('sha512').update(bytes).digest());
      if (noble.verify(Uint8Array.from(signature), Uint8Array.from(message), Uint8Array.from(publicKey), { zip215: false })) return true;`,
    also: [
      {
        file: signing,
        find: '  createPrivateKey,\n',
        replace: '  createHash,\n  createPrivateKey,\n',
      },
      {
        file: signing,
        find: 'export interface Signing {',
        replace: "import * as noble from '@noble/ed25519';\nexport interface Signing {",
      },
    ],
    note: 'verifies with the cofactor, as several libraries do',
    mayBreak: ['SIG-07'],
  },
  {
    id: 'small-order-keys-accepted',
    kills: ['SIG-07'],
    file: signing,
    find: smallR,
    replace: 'return opensslVerifyStrictly(publicKey, message, signature);',
    also: [
      {
        file: signing,
        find: 'signature.length !== 64 || isRefusedKey(publicKey)',
        replace: 'signature.length !== 64',
      },
    ],
    note: 'leaves keys to OpenSSL, which takes points of small order',
    ci: true,
  },
  {
    id: 'small-order-five-forms',
    kills: ['SIG-07'],
    file: signing,
    find: smallR,
    replace: 'return opensslVerifyStrictly(publicKey, message, signature);',
    also: [
      {
        file: signing,
        find: "  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',\n",
        replace: '',
      },
    ],
    note: 'knows some of the points of small order',
  },
  {
    id: 'non-canonical-keys-accepted',
    kills: ['SIG-07'],
    file: signing,
    find: smallR,
    replace: 'return opensslVerifyStrictly(publicKey, message, signature);',
    also: [{ file: signing, find: 'isNonCanonicalY(publicKey) || isSmallOrder', replace: 'isSmallOrder' }],
    note: 'takes keys with y ≥ p',
  },
];
