/** An item (§6) and the members of an envelope (§3): what is valid, and with which code the rest is refused. */

import { expect } from 'chai';
import { canonical, canonicalAround, joined } from '../canonical.ts';
import { CertificateCache, readAuthority } from '../certificate.ts';
import { envelopeText, readEnvelope, versionMatches } from '../envelope.ts';
import { isRefusal } from '../error-code.ts';
import { checkOwnedItem, type Item, type ItemRules, readItem } from '../item.ts';
import { parse } from '../json.ts';
import type { JsonObject } from '../types.ts';
import * as ta from './fixtures/test-authority.ts';
import { other, taken, wrongBody, wrongEnvelope, wrongProof } from './item-cases.ts';
import { author, authorCertificate, itemText, padding, type Texts } from './item-texts.ts';

const authority = readAuthority(ta.caCertificate());

function newRules(): ItemRules & { checked: boolean[]; world: ta.TestWorld } {
  const world = ta.testWorld();
  const checked: boolean[] = [];
  const certificates = new CertificateCache(authority, world);
  return { world, checked, certificates, verified: (good) => checked.push(good) };
}

const relayed = (text: string, rules = newRules()) => readItem(parse(text, 100), rules);
const owned = (text: string, rules = newRules()) => {
  const envelope = readEnvelope(parse(text, 100))!;
  return checkOwnedItem(envelope, envelopeText(envelope), rules);
};
const codeOf = (result: Item | object) => (isRefusal(result) ? result.code : 'taken');

describe('an item (§6)', () => {
  it('is known by the SHA-256 of its signing bytes and handed on in canonical form', () => {
    const text = itemText();
    const object = parse(text) as JsonObject;
    for (const item of [relayed(text), owned(text)]) {
      if (isRefusal(item)) throw new Error(item.because);
      expect(item.hash).to.equal(ta.sha256(joined(canonicalAround(object, 'signature'))));
      expect(Buffer.from(item.bytes).toString()).to.equal(canonical(object));
      expect(item).to.include({
        type: 'commit',
        agentId: 'agent_a',
        nodeId: author.nodeId,
        timestamp: 1700000000.25,
      });
      expect(item.certificateBase64).to.equal(authorCertificate);
    }
  });

  for (const [name, change] of taken) {
    it(`is valid with ${name}`, () => {
      expect(codeOf(relayed(itemText(change)))).to.equal('taken');
      expect(codeOf(owned(itemText(change)))).to.equal('taken');
    });
  }

  for (const [name, change] of wrongBody) {
    it(`is MALFORMED with ${name} (${change.type ?? 'commit'})`, () => {
      expect(codeOf(relayed(itemText(change)))).to.equal('MALFORMED');
      expect(codeOf(owned(itemText(change)))).to.equal('MALFORMED');
    });
  }

  it('is TOO_LARGE with 32 769 bytes, whatever else is wrong', () => {
    for (const [bytes, body] of [
      [32_769, {}],
      [40_000, { confidence: '2' }],
      [40_000, { metadata: '['.repeat(40) + ']'.repeat(40) }],
    ] as [number, Texts][]) {
      const text = itemText({ body: { logic_signature: padding(bytes), ...body } });
      expect(codeOf(relayed(text))).to.equal('TOO_LARGE');
      expect(codeOf(owned(text))).to.equal('TOO_LARGE');
    }
  });

  for (const [name, change] of wrongProof) {
    it(`is INVALID_SIGNATURE with ${name}`, () => {
      expect(codeOf(relayed(itemText(change)))).to.equal('INVALID_SIGNATURE');
      expect(codeOf(owned(itemText(change)))).to.equal('INVALID_SIGNATURE');
    });
  }

  it('is proved by a certificate at both ends of its time', () => {
    for (const timestamp of ['1672531200', '1672531200.0', '1988150400', '1988150400.0']) {
      expect(codeOf(relayed(itemText({ envelope: { timestamp } }))), timestamp).to.equal('taken');
    }
  });

  for (const [name, code, change] of wrongEnvelope) {
    it(`relayed is ${code} with ${name}`, () => expect(codeOf(relayed(itemText(change)))).to.equal(code));
  }

  it('may be no object at all', () => {
    for (const text of ['null', '[]', '1.5', '"x"', '{}'])
      expect(codeOf(relayed(text))).to.equal('MALFORMED');
  });

  it('costs one verification, and one more for the first of a certificate', () => {
    const rules = newRules();
    relayed(itemText(), rules);
    expect(rules.checked).to.deep.equal([true]);
    expect(rules.world.verifications).to.equal(2);
    relayed(itemText({ body: { confidence: '0.75' } }), rules);
    expect(rules.checked).to.deep.equal([true, true]);
    expect(rules.world.verifications).to.equal(3);
    owned(itemText(), rules);
    readItem(parse(itemText({ signer: other })), rules, true);
    expect(rules.checked).to.deep.equal([true, true]);
    expect(rules.world.verifications).to.equal(3);
    expect(codeOf(relayed(itemText({ signer: other }), rules))).to.equal('INVALID_SIGNATURE');
    expect(rules.checked).to.deep.equal([true, true, false]);
  });
});

describe('an envelope (§3)', () => {
  it('tells a version that is not spoken from one that is not there', () => {
    const versionOf = (version: string | undefined) =>
      readEnvelope(parse(itemText({ envelope: { version } })));
    expect(versionOf(undefined)).to.equal(null);
    expect(versionOf('null')).to.equal(null);
    for (const version of [
      '"2.0"',
      '1',
      '1.0',
      '"1"',
      '"1.x"',
      '"1.0\\n"',
      '"1.0 "',
      '"1.٣"',
      '[]',
      'true',
      '""',
    ]) {
      expect(versionMatches(versionOf(version)!.version), version).to.equal(false);
    }
    for (const version of ['"1.0"', '"1.00"', '"1.123456789"']) {
      expect(versionMatches(versionOf(version)!.version), version).to.equal(true);
    }
  });

  it('needs its members of sender to be strings', () => {
    for (const name of ['agent_id', 'node_id', 'public_key']) {
      for (const value of [undefined, 'null', '1', '["x"]']) {
        expect(readEnvelope(parse(itemText({ sender: { [name]: value } }))), `${name} ${value}`).to.equal(
          null,
        );
      }
    }
  });
});
