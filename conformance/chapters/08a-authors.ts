/** § 8.1 Authors of items: the certificate in an item proves its author, wherever the item comes from. */

import {
  type Certificate,
  type CertificateOptions,
  createAuthority,
  selfSigned,
} from '../../harness/wire/authority.ts';
import { encodeBase64 } from '../../harness/wire/base64.ts';
import type { Overrides } from '../../harness/wire/envelope.ts';
import type { Item } from '../../harness/wire/items.ts';
import { float, type Json } from '../../harness/wire/json.ts';
import type { Bench } from '../bench.ts';
import { stillServed } from '../expect.ts';
import type { Puppet } from '../puppet.ts';
import { relayed } from '../relayed.ts';
import { fail, inconclusive, pass, type Requirement } from '../requirement.ts';

const now = (): number => Math.floor(Date.now() / 1000);
const hour = 3_600;

export const rows: readonly Requirement[] = [
  {
    id: 'AUT-01',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: "`certificate` proves `public_key` and `agent_id` at the item's `timestamp`",
    reading:
      'A relayed item is refused whose certificate is missing, is not the network’s, is over another key or agent, is not valid at the item’s timestamp, breaks a rule of §1, or is not byte for byte the DER form.',
    ruling:
      'Profile §6: "byte for byte `30 82 LL LL` ‖ tbsCertificate ‖ `30 05 06 03 2b 65 70` ‖ `03 41 00` ‖ 64 bytes of signature, and nothing after it".',
    mutants: [
      'author-certificate-unread',
      'author-key-uncompared',
      'author-agent-uncompared',
      'author-time-unchecked',
      'author-not-before-unchecked',
      'author-time-exclusive',
      'author-certificate-signature-unchecked',
      'author-trailing-bytes',
      'author-long-length',
      'author-lenient-base64',
      'author-authority-certificate',
      'author-two-agents',
      'author-agent-form',
      'author-purpose-unchecked',
      'author-algorithm-unread',
      'author-unused-bits',
      'author-purposes-exact',
      'author-issuer-uncompared',
      'author-short-times-only',
    ],
    needs: [],
    durationHintMs: 2_500,
    cpu: 0.5,
    test: async (bench) => {
      const node = await bench.node();
      const [author, other, relay] = await bench.puppets(3);
      const source = await relay!.peer(node);
      const observer = await (await bench.puppet('observer')).join(node);
      // What a node remembers of authors whom it has met must not vouch for what follows.
      await relayed(bench, source, observer, [author!.commit(), other!.commit()]);
      const bads = await badlyCertified(bench, author!, other!);
      const twins = await wellCertified(bench, author!);
      const all = [...bads, ...twins].map(({ item }) => item);
      const held = await relayed(bench, source, observer, all);
      await stillServed(source);
      const refused = twins.filter(({ item }) => !held.has(item.hash));
      if (refused.length === twins.length) inconclusive('no relayed item was taken, not even the twins');
      if (refused.length > 0) fail(`an item ${refused[0]!.what} was refused`, refused[0]!.item.envelope);
      const taken = bads.find(({ item }) => held.has(item.hash));
      if (taken !== undefined) fail(`an item ${taken.what} was taken`, taken.item.envelope);
      return pass(`${bads.length} items of unproved authors refused, ${twins.length} of proved ones taken`);
    },
  },
  {
    id: 'AUT-02',
    level: 'must',
    section: '8.1',
    role: 's',
    quote: "`certificate` proves `public_key` and `agent_id` at the item's `timestamp`",
    reading:
      'An author’s certificate is judged at the item’s timestamp and not at the receiver’s time: one that has expired since proves its author, one that will only be valid later proves items of then, and its first and last instants belong to it.',
    ruling: 'Profile §1: "notBefore ≤ t ≤ notAfter".',
    mutants: ['author-judged-now', 'author-time-exclusive', 'author-not-before-exclusive'],
    needs: [],
    durationHintMs: 1_500,
    test: async (bench) => {
      const node = await bench.node();
      const source = await (await bench.puppet('relay')).peer(node);
      const observer = await (await bench.puppet('observer')).join(node);
      const at = now();
      const expired = await bench.puppet('expired', {
        certificate: { notBeforeMs: (at - 20 * hour) * 1_000, notAfterMs: (at - hour) * 1_000 },
      });
      const later = await bench.puppet('later', { certificate: { notBeforeMs: (at + hour) * 1_000 } });
      const [good, bad] = [at - 2 * hour, at - hour + 10];
      const items = {
        old: expired.commit({}, { timestamp: float(good + 0.5) }),
        oldConfirm: expired.confirm({}, { timestamp: good }),
        afterwards: expired.commit({}, { timestamp: float(bad) }),
        present: expired.commit(),
        ahead: later.commit({}, { timestamp: float(at + 2 * hour) }),
        early: later.commit(),
        first: expired.commit({}, { timestamp: at - 20 * hour }),
        firstFloat: later.confirm({}, { timestamp: float(at + hour) }),
        last: expired.commit({}, { timestamp: at - hour }),
        lastFloat: expired.confirm({}, { timestamp: float(at - hour) }),
        before: expired.commit({}, { timestamp: float(at - 20 * hour - 0.5) }),
        after: expired.commit({}, { timestamp: float(at - hour + 0.5) }),
      };
      const held = await relayed(bench, source, observer, Object.values(items));
      const { old, oldConfirm, ahead, first, firstFloat, last, lastFloat } = items;
      const wanted = [old, oldConfirm, ahead, first, firstFloat, last, lastFloat];
      for (const [name, item] of Object.entries(items)) {
        const isValid = wanted.includes(item);
        if (held.has(item.hash) !== isValid)
          fail(
            `an item whose certificate was ${isValid ? '' : 'not '}valid at its timestamp was ${isValid ? 'refused' : 'taken'} (${name})`,
            item.envelope,
          );
      }
      return pass(
        `${wanted.length} items of expired and of future certificates taken, at their first and last instants too; those outside of their time refused`,
      );
    },
  },
];

interface Certified {
  what: string;
  item: Item;
}

/** Items by `author` that are right but for the certificate. */
async function badlyCertified(bench: Bench, author: Puppet, other: Puppet): Promise<Certified[]> {
  const { authority } = bench.target;
  const at = now();
  const issued = async (options: CertificateOptions): Promise<string> =>
    text(await authority.issue(author.identity, options));
  const good = Buffer.from(author.certificate.der);
  const strangers = await createAuthority({ name: 'CLE-Net test CA' });
  const others = await createAuthority({ name: 'somebody’s CA' });
  const between = await authority.intermediate();
  const of = (what: string, certificate: Json | undefined, overrides: Overrides = {}): Certified => ({
    what,
    item: author.commit({}, { ...overrides, senderMembers: { certificate, ...overrides.senderMembers } }),
  });
  const der = (change: (bytes: Buffer) => Buffer): string => encodeBase64(change(Buffer.from(good)));
  const base64 = encodeBase64(good);
  const clientOnly = ['1.3.6.1.5.5.7.3.2'];
  const serverOnly = ['1.3.6.1.5.5.7.3.1'];
  const anyPurpose = '2.5.29.37.0';
  const long = await issued({ agentIds: [`agent_${'a'.repeat(65)}`] });
  const bare = await issued({ agentIds: ['urn:cle-net:agent:somebody'] });
  return [
    of('without a certificate', undefined),
    of('with null for a certificate', null),
    of('with an empty certificate', ''),
    of('with a certificate that is PEM', author.certificate.pem),
    of('with a self-signed certificate', text(await selfSigned(author.identity))),
    of('with a certificate of another CA of the same name', text(await strangers.issue(author.identity))),
    of('with a certificate of another CA', text(await others.issue(author.identity))),
    of(
      'with a certificate of the CA’s key under another name',
      await issued({ issuerName: 'somebody’s CA' }),
    ),
    of('with a certificate of an intermediate', text(await between.issue(author.identity))),
    of('with another key’s certificate', text(other.certificate)),
    of(
      'with a certificate of another key for its agent',
      text(await authority.issue({ ...other.identity, agentId: author.agentId })),
    ),
    of('with a certificate of another agent', await issued({ agentIds: ['agent_other'] })),
    of('whose certificate had expired', await issued({ notAfterMs: (at - hour) * 1_000 })),
    of('half a second after its certificate', await issued({ notAfterMs: (at - 9) * 1_000 }), {
      timestamp: float(at - 8.5),
    }),
    of('before its certificate', await issued({ notBeforeMs: (at - hour) * 1_000 }), {
      timestamp: float(at - 2 * hour),
    }),
    of('half a second before its certificate', await issued({ notBeforeMs: (at - 9) * 1_000 }), {
      timestamp: float(at - 9.5),
    }),
    of('whose certificate is not valid yet', await issued({ notBeforeMs: (at + hour) * 1_000 })),
    of(
      'with a byte behind its certificate',
      der((bytes) => Buffer.concat([bytes, Buffer.of(0)])),
    ),
    of(
      'with a certificate of a longer length form',
      der((bytes) => Buffer.concat([Buffer.from('308300', 'hex'), bytes.subarray(2)])),
    ),
    of(
      'with a certificate whose algorithm has parameters',
      der((bytes) => spliced(bytes, '300506032b6570', '300706032b65700500')),
    ),
    of(
      'with a certificate whose signature has a longer length form',
      der((bytes) => spliced(bytes, '034100', '03814100')),
    ),
    of(
      'with a certificate whose signature has unused bits',
      der((bytes) => changed(bytes, bytes.length - 65, 1)),
    ),
    of(
      'with a flipped bit in its certificate’s signature',
      der((bytes) => changed(bytes, bytes.length - 20, bytes.at(-20)! ^ 4)),
    ),
    of(
      'with a flipped bit in its certificate',
      der((bytes) => changed(bytes, 20, bytes[20]! ^ 1)),
    ),
    of(
      'with a certificate cut off',
      der((bytes) => bytes.subarray(0, bytes.length - 1)),
    ),
    of('with a certificate for two agents', await issued({ agentIds: [author.agentId, 'agent_other'] })),
    of('with a certificate for no agent', await issued({ agentIds: [] })),
    of('with a certificate of a CA', await issued({ basicConstraints: 'authority' })),
    of('with a certificate for clients only', await issued({ extendedKeyUsage: clientOnly })),
    of('with a certificate for servers only', await issued({ extendedKeyUsage: serverOnly })),
    of('with a certificate for no purpose', await issued({ extendedKeyUsage: null })),
    of('with a certificate for any purpose, by that name', await issued({ extendedKeyUsage: [anyPurpose] })),
    of('of an agent id of 65 characters', long, { senderMembers: { agent_id: `agent_${'a'.repeat(65)}` } }),
    of('of an agent id without its prefix', bare, { senderMembers: { agent_id: 'somebody' } }),
    of('with a newline in its certificate', `${base64.slice(0, 64)}\n${base64.slice(64)}`),
    of('with a newline behind its certificate', `${base64}\n`),
    of('with a certificate in the URL alphabet', base64.replaceAll('+', '-').replaceAll('/', '_')),
  ].filter(({ what, item }) => {
    const sender = item.envelope.sender as { certificate?: Json };
    // Nothing to tell apart where the text has neither + nor /.
    return what !== 'with a certificate in the URL alphabet' || sender.certificate !== base64;
  });
}

/** The twins: everything that §1 leaves open. */
async function wellCertified(bench: Bench, author: Puppet): Promise<Certified[]> {
  const { authority } = bench.target;
  const at = now();
  const of = async (
    what: string,
    options: CertificateOptions,
    overrides: Overrides = {},
  ): Promise<Certified> => {
    const certificate = text(await authority.issue(author.identity, options));
    return { what, item: author.commit({}, { ...overrides, senderMembers: { certificate } }) };
  };
  const ends = (at - 100) * 1_000;
  return [
    { what: 'with its author’s certificate', item: author.commit() },
    await of('with a renewed certificate', {}),
    await of('with a certificate that says CA:false', { basicConstraints: 'leaf' }),
    await of('with a certificate for further purposes', {
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.4', '1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'],
    }),
    await of('with a certificate until 2060', { notAfterMs: Date.UTC(2060, 0, 1) }),
    await of('with a certificate that has other names', {
      otherNames: [
        { type: 'dns', value: 'node-7.example' },
        { type: 'url', value: 'https://example.org/agent_1' },
        { type: 'email', value: 'agent@example.org' },
      ],
    }),
    await of('in the last second of its certificate', { notAfterMs: ends }, { timestamp: float(at - 100) }),
    await of('in the first second of its certificate', { notBeforeMs: ends }, { timestamp: at - 100 }),
  ];
}

const text = (certificate: Certificate): string => encodeBase64(certificate.der);

function changed(bytes: Buffer, at: number, value: number): Buffer {
  bytes[at] = value;
  return bytes;
}

/** The last occurrence of some bytes replaced, and the outer length put right. */
function spliced(bytes: Buffer, from: string, to: string): Buffer {
  const found = Buffer.from(from, 'hex');
  const at = bytes.lastIndexOf(found);
  if (at < 0) throw new Error('the certificate has not the form of §6');
  const made = Buffer.concat([
    bytes.subarray(0, at),
    Buffer.from(to, 'hex'),
    bytes.subarray(at + found.length),
  ]);
  made.writeUInt16BE(made.length - 4, 2);
  return made;
}
