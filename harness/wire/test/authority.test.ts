/** The CA: honest certificates prove their owner; each dishonest kind fails for its own reason, as OpenSSL's reader sees it. */

import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import {
  type CertificateOptions,
  createAuthority,
  hasStrictForm,
  openAuthority,
  selfSigned,
} from '../authority.ts';
import { proofOf } from '../certificate.ts';
import { freshIdentity, identityFrom } from '../identity.ts';

describe('wire: authority', () => {
  it('issues a hundred certificates in a second or so, all of the strict form', async () => {
    const authority = await createAuthority();
    const started = process.cpuUsage();
    for (let i = 0; i < 100; i += 1) {
      const identity = freshIdentity();
      const { der } = await authority.issue(identity);
      expect(hasStrictForm(der)).to.equal(true);
      const proof = proofOf(der, authority.certificatePem);
      if (typeof proof === 'string') throw new Error(proof);
      expect(proof.agentId).to.equal(identity.agentId);
      expect(Buffer.from(proof.publicKey).equals(identity.publicKey)).to.equal(true);
    }
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1_000, 'CPU ms').to.be.below(4_000);
  });

  it('is old, and the same again from its PEM', async () => {
    const authority = await createAuthority({ seed: 'fixed' });
    expect(Date.now() - authority.notBeforeMs).to.be.within(29.9 * 86_400_000, 30.1 * 86_400_000);
    const again = await openAuthority(authority.certificatePem, authority.keyPem);
    expect(again.notBeforeMs).to.equal(authority.notBeforeMs);
    expect(Buffer.from(again.publicKey).equals(authority.publicKey)).to.equal(true);
    const { der } = await again.issue(identityFrom('one'));
    expect(proofOf(der, authority.certificatePem)).to.be.an('object');
    const other = await createAuthority();
    let refusal: unknown;
    await openAuthority(authority.certificatePem, other.keyPem).catch((error: unknown) => {
      refusal = error;
    });
    expect(String(refusal)).to.match(/does not belong/);
  });

  it('issues every hostile kind', async () => {
    const authority = await createAuthority();
    const identity = freshIdentity();
    const rsa = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'der',
      type: 'spki',
    });
    const kinds: [CertificateOptions, RegExp][] = [
      [{ notAfterMs: Date.now() - 60_000 }, /not valid after/],
      [{ notBeforeMs: Date.now() + 60_000 }, /not valid before/],
      [{ extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] }, /EKU/],
      [{ extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] }, /EKU/],
      [{ extendedKeyUsage: null }, /EKU/],
      [{ agentIds: [] }, /0 agent ids/],
      [{ agentIds: ['agent_a', 'agent_b'] }, /2 agent ids/],
      [{ agentIds: ['urn:other:agent_a'] }, /0 agent ids/],
      [{ agentIds: ['agent_ü'] }, /agent id|unreadable/],
      [{ basicConstraints: 'authority' }, /it is a CA/],
      [{ publicKeySpki: rsa }, /its key is ec/],
      [
        {
          tamper: (der) => {
            der[der.length - 1]! ^= 1;
            return der;
          },
        },
        /not signed by the CA/,
      ],
    ];
    for (const [options, because] of kinds) {
      const { der } = await authority.issue(identity, options);
      expect(proofOf(der, authority.certificatePem), String(because)).to.match(because);
    }
    const harmless = await authority.issue(identity, {
      basicConstraints: 'leaf',
      otherNames: [
        { type: 'dns', value: 'node.example' },
        { type: 'url', value: 'https://x.example/' },
      ],
    });
    expect(proofOf(harmless.der, authority.certificatePem)).to.be.an('object');
    expect(hasStrictForm(Buffer.concat([harmless.der, Buffer.alloc(1)]))).to.equal(false);
  });

  it('issues from an intermediate, another CA and the own key', async () => {
    const [authority, other] = await Promise.all([createAuthority(), createAuthority()]);
    const identity = freshIdentity();
    const below = await (await authority.intermediate()).issue(identity);
    expect(below.chainPem.match(/BEGIN CERTIFICATE/g)).to.have.length(2);
    expect(proofOf(below.der, authority.certificatePem)).to.match(/issued by/);
    // The two CAs have the same name: only the signature tells them apart.
    expect(proofOf((await other.issue(identity)).der, authority.certificatePem)).to.match(/not signed/);
    const self = await selfSigned(identity);
    expect(proofOf(self.der, authority.certificatePem)).to.match(/issued by/);
    const certificate = new X509Certificate(self.pem);
    expect(certificate.verify(createPublicKey(identity.keyPem))).to.equal(true);
  });
});
