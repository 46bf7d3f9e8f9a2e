import { webcrypto } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { expect } from 'chai';
import fc from 'fast-check';
import { CertificateCache, nodeIdOf, provesAt, readAuthority, readCertificate } from '../certificate.ts';
import { DerError, readElement, readTime } from '../der.ts';
import * as ta from './fixtures/test-authority.ts';

const authority = readAuthority(ta.caCertificate());
const somebody = ta.testKey('somebody');
const read = (bytes: Uint8Array, strict = true) => readCertificate(bytes, authority, ta.testWorld(), strict);

describe('a certificate (§1)', () => {
  it('of the CA gives name, key and begin', () => {
    expect(Buffer.from(authority.subject)).to.deep.equal(Buffer.from(ta.caName));
    expect(Buffer.from(authority.publicKey)).to.deep.equal(Buffer.from(ta.caKey.raw));
    expect(authority.notBeforeMs).to.equal(Date.UTC(2022, 0, 1));
    expect(() => readAuthority(Buffer.from('rubbish'))).to.throw(DerError);
  });

  it('proves key, node and agent', () => {
    const certificate = read(ta.issue({ agentId: 'agent_Ab-_9' }));
    expect(certificate).to.deep.include({
      publicKeyBase64: somebody.base64,
      nodeId: somebody.nodeId,
      agentId: 'agent_Ab-_9',
      notBeforeMs: Date.UTC(2023, 0, 1),
      notAfterMs: Date.UTC(2033, 0, 1),
    });
    expect(Buffer.from(certificate!.publicKey).equals(Buffer.from(somebody.raw))).to.equal(true);
    expect(nodeIdOf(somebody.raw, ta.sha256)).to.equal(somebody.nodeId);
  });

  it('proves both ends of its time and nothing beyond', () => {
    const certificate = read(ta.issue())!;
    const begin = Date.UTC(2023, 0, 1) / 1000;
    const end = Date.UTC(2033, 0, 1) / 1000;
    for (const at of [begin, begin + 0.5, end]) expect(provesAt(certificate, at), `${at}`).to.equal(true);
    for (const at of [0, begin - 0.001, end + 0.001, Number.POSITIVE_INFINITY]) {
      expect(provesAt(certificate, at), `${at}`).to.equal(false);
    }
  });

  const agent = (rest: string) => ta.uri(`urn:cle-net:agent:${rest}`);
  const dns = ta.text(0x82, 'node-7');
  const good: [string, ta.Wish][] = [
    ['other names beside the agent', { names: [dns, agent('agent_7'), ta.uri('https://example.org/')] }],
    ['basicConstraints CA:false', { more: [ta.extension(ta.ids.basicConstraints, ta.element(0x30))] }],
    [
      'an explicit CA:false',
      {
        more: [ta.extension(ta.ids.basicConstraints, ta.element(0x30, ta.element(0x01, Uint8Array.of(0))))],
      },
    ],
    [
      'another purpose besides',
      { keyUsage: ta.element(0x30, ta.oid('2b06010505070303'), ta.clientAuth, ta.serverAuth) },
    ],
    ['an unknown extension', { more: [ta.extension('2a0304', ta.element(0x05))] }],
    ['a GeneralizedTime', { notAfter: ta.generalizedTime('20500101000000Z') }],
    ['an agent of 64 characters', { agentId: `agent_${'x'.repeat(64)}` }],
  ];
  for (const [name, wish] of good) {
    it(`is good with ${name}`, () => expect(read(ta.issue(wish))).to.not.equal(null));
  }

  const mallory = ta.testKey('mallory');
  const caTrue = ta.extension(
    ta.ids.basicConstraints,
    ta.element(0x30, ta.element(0x01, Uint8Array.of(255))),
  );
  const rsa = ta.element(0x30, ta.oid('2a864886f70d010101'), ta.element(0x05));
  const bad: [string, ta.Wish][] = [
    ['the signature of another key', { signer: mallory }],
    ['its own signature', { signer: somebody }],
    ['another issuer', { issuer: ta.commonName('other CA') }],
    ['no EKU', { keyUsage: null }],
    ['only serverAuth', { keyUsage: ta.element(0x30, ta.serverAuth) }],
    ['only clientAuth', { keyUsage: ta.element(0x30, ta.clientAuth) }],
    ['anyExtendedKeyUsage', { keyUsage: ta.element(0x30, ta.oid('551d2500')) }],
    ['CA:true', { more: [caTrue] }],
    ['two agents', { names: [agent('agent_1'), agent('agent_2')] }],
    ['the same agent twice', { names: [agent('agent_1'), agent('agent_1')] }],
    ['a second URI of a bad agent', { names: [agent('agent_1'), agent('')] }],
    ['no agent', { names: [dns] }],
    ['the agent as a DNS name', { names: [ta.text(0x82, 'urn:cle-net:agent:agent_7')] }],
    ['a URI that only holds the prefix', { names: [ta.uri('x-urn:cle-net:agent:agent_7')] }],
    ['the prefix in capitals', { names: [ta.uri('URN:cle-net:agent:agent_7')] }],
    ['an empty agent', { names: [agent('agent_')] }],
    ['an agent of 65 characters', { names: [agent(`agent_${'x'.repeat(65)}`)] }],
    ['an agent with a dot', { names: [agent('agent_a.b')] }],
    ['an agent with a line feed at its end', { names: [agent('agent_a\n')] }],
    ['an agent beyond ASCII', { names: [agent('agent_\u00e9')] }],
    ['an RSA key', { spki: ta.element(0x30, rsa, ta.element(0x03, Uint8Array.of(0), somebody.raw)) }],
    [
      'a key of 31 bytes',
      {
        spki: ta.element(
          0x30,
          Buffer.from('300506032b6570', 'hex'),
          ta.element(0x03, Uint8Array.of(0), somebody.raw.subarray(1)),
        ),
      },
    ],
    [
      'parameters of the signature algorithm',
      { algorithm: ta.element(0x30, ta.oid('2b6570'), ta.element(0x05)) },
    ],
    ['two SANs', { more: [ta.extension(ta.ids.san, ta.element(0x30, agent('agent_7')))] }],
    ['a time without seconds', { notBefore: ta.utcTime('2301010000Z') }],
    ['a time with an offset', { notBefore: ta.utcTime('230101000000+0100') }],
    ['a month 13', { notBefore: ta.utcTime('231301000000Z') }],
    ['a day that is none', { notBefore: ta.utcTime('230229000000Z') }],
  ];
  for (const [name, wish] of bad)
    it(`is refused with ${name}`, () => expect(read(ta.issue(wish))).to.equal(null));

  it('of an author has exactly the byte form of §6', () => {
    const bytes = Buffer.from(ta.issue());
    expect([bytes[0], bytes[1]]).to.deep.equal([0x30, 0x82]);
    expect(read(bytes)).to.not.equal(null);
    expect(read(Buffer.concat([bytes, Uint8Array.of(0)]))).to.equal(null);
    expect(read(bytes.subarray(0, -1))).to.equal(null);
    const longer = Buffer.concat([Uint8Array.of(0x30, 0x83, 0, bytes[2]!, bytes[3]!), bytes.subarray(4)]);
    expect(read(longer), 'a length of three bytes').to.equal(null);
    const indefinite = Buffer.concat([Uint8Array.of(0x30, 0x80), bytes.subarray(4), Uint8Array.of(0, 0)]);
    expect(read(indefinite), 'an indefinite length').to.equal(null);
    // `03 41 00`: no unused bits, no long form.
    const unused = Buffer.from(bytes);
    unused[unused.length - 65] = 1;
    expect(read(unused), 'unused bits').to.equal(null);
    const longBits = Buffer.concat([bytes.subarray(0, -66), Uint8Array.of(0x81, 0x41), bytes.subarray(-65)]);
    longBits.writeUInt16BE(bytes.readUInt16BE(2) + 1, 2);
    expect(read(longBits), 'a length of two bytes').to.equal(null);
  });

  it('with any one byte changed proves nothing, and nothing throws', () => {
    const bytes = Buffer.from(ta.issue());
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[at]! ^= flip;
        expect(read(changed), `byte ${at} ^ ${flip}`).to.equal(null);
        expect(read(changed, false), `byte ${at} ^ ${flip}`).to.equal(null);
      }
    }
    for (let length = 0; length < bytes.length; length++)
      expect(read(bytes.subarray(0, length))).to.equal(null);
  });

  it('may be any rubbish', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => read(bytes, false) === null));
  });

  it('made by another library is understood', async () => {
    const ed = { name: 'Ed25519' };
    const make = () =>
      webcrypto.subtle.generateKey(ed, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
    const [caKeys, keys] = [await make(), await make()];
    const dates = { notBefore: new Date('2024-02-29T12:34:56Z'), notAfter: new Date('2060-03-01T00:00:00Z') };
    const ca = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=CLE-Net CA',
      keys: caKeys,
      signingAlgorithm: ed,
      ...dates,
    });
    const leaf = await x509.X509CertificateGenerator.create({
      issuer: ca.subject,
      subject: 'CN=node-1',
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      signingAlgorithm: ed,
      ...dates,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'node-1' },
          { type: 'url', value: 'urn:cle-net:agent:agent_1' },
        ]),
      ],
    });
    const theirs = readAuthority(new Uint8Array(ca.rawData));
    const certificate = readCertificate(new Uint8Array(leaf.rawData), theirs, ta.testWorld(), true);
    expect(certificate).to.include({
      agentId: 'agent_1',
      notBeforeMs: dates.notBefore.getTime(),
      notAfterMs: dates.notAfter.getTime(),
    });
  });
});

describe('times and lengths in DER', () => {
  const timeOf = (bytes: Uint8Array) => readTime(readElement(bytes, 0, bytes.length));

  it('agree with the calendar', () => {
    expect(timeOf(ta.utcTime('491231235959Z'))).to.equal(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(timeOf(ta.utcTime('500101000000Z'))).to.equal(Date.UTC(1950, 0, 1));
    expect(timeOf(ta.generalizedTime('99991231235959Z'))).to.equal(Date.UTC(9999, 11, 31, 23, 59, 59));
    expect(timeOf(ta.generalizedTime('20000229000000Z'))).to.equal(Date.UTC(2000, 1, 29));
    expect(() => timeOf(ta.generalizedTime('21000229000000Z'))).to.throw(DerError);
    fc.assert(
      fc.property(
        fc.date({ min: new Date('1950-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
        (date) => {
          const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '');
          expect(timeOf(ta.generalizedTime(digits))).to.equal(Math.floor(date.getTime() / 1000) * 1000);
        },
      ),
    );
  });

  it('are minimal and inside', () => {
    for (const hex of [
      '',
      '30',
      '3001',
      '308100',
      '30817f',
      '30820080',
      '3080',
      '1f0100',
      '3084ffffffff',
      '308400000001ff',
    ]) {
      const bytes = Buffer.from(hex, 'hex');
      expect(() => readElement(bytes, 0, bytes.length), hex).to.throw(DerError);
    }
    const body = Buffer.alloc(0x7f);
    const long = Buffer.concat([Uint8Array.of(0x30, 0x81, 0x7f), body]);
    expect(() => readElement(long, 0, long.length)).to.throw(DerError);
    expect(readElement(Buffer.concat([Uint8Array.of(0x30, 0x7f), body]), 0, 0x81).end).to.equal(0x81);
    const two = Buffer.concat([Uint8Array.of(0x30, 0x82, 0, 0xff), Buffer.alloc(0xff)]);
    expect(() => readElement(two, 0, two.length)).to.throw(DerError);
  });
});

describe('the cache of certificates', () => {
  it('proves each once, forgets the least recently used, and remembers no bad one', () => {
    const world = ta.testWorld();
    const cache = new CertificateCache(authority, world, 2);
    const [a, b, c] = ['a', 'b', 'c'].map((name) =>
      Buffer.from(ta.issue({ key: ta.testKey(name) })).toString('base64'),
    ) as [string, string, string];
    expect(cache.prove(a)).to.equal(cache.prove(a));
    cache.prove(b);
    expect(world.verifications).to.equal(2);
    cache.prove(a);
    cache.prove(c);
    expect(world.verifications).to.equal(3);
    cache.prove(a);
    expect(world.verifications).to.equal(3);
    cache.prove(b);
    expect(world.verifications).to.equal(4);
    const forged = Buffer.from(ta.issue({ signer: mallory() })).toString('base64');
    expect(cache.prove(forged)).to.equal(null);
    expect(cache.prove(`${a} `)).to.equal(null);
    expect(cache.prove('')).to.equal(null);
    expect(cache.size).to.equal(2);
  });
});

function mallory(): ta.TestKey {
  return ta.testKey('mallory');
}
