import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { hasStrictForm } from '../../harness/wire/authority.ts';
import { canonical } from '../../harness/wire/canonical.ts';
import { proofOf } from '../../harness/wire/certificate.ts';
import { identityFrom } from '../../harness/wire/identity.ts';
import { itemHash } from '../../harness/wire/items.ts';
import { type JsonObject, parse } from '../../harness/wire/json.ts';
import { readCatalogue } from '../catalogue.ts';

const guide = readFileSync(new URL('../../docs/write-a-node.md', import.meta.url), 'utf8');
const vectors = JSON.parse(
  readFileSync(new URL('../../harness/wire/vectors/items.json', import.meta.url), 'utf8'),
) as { authority: { certificate: string } };

/** The one line of the fenced block with this label. */
function block(label: string): string {
  const text = guide.match(new RegExp(`\`\`\`\\w+ ${label}\\n(.*)\\n\`\`\``))?.[1];
  if (text === undefined) throw new Error(`the guide has no block ${label}`);
  return text;
}

describe('the guide for implementers', () => {
  const identity = identityFrom(new Uint8Array(Buffer.from(block('secret'), 'hex')), 'agent_ada');
  const spki = createPublicKey(createPrivateKey(identity.keyPem));
  const holds = (text: string, signature: string): boolean =>
    verify(null, Buffer.from(text), spki, Buffer.from(signature, 'base64'));

  it('gives an identity that follows from its secret', () => {
    expect(block('public-key')).to.equal(identity.publicKeyBase64);
    expect(block('node-id')).to.equal(identity.nodeId);
  });

  it('gives signing bytes that are canonical, and their signature and hash', () => {
    const text = block('signing');
    expect(canonical(parse(text))).to.equal(text);
    expect(holds(text, block('signature'))).to.equal(true);
    expect(guide).to.include(`${text.length} bytes:`);
    expect(guide).to.include(createHash('sha256').update(text).digest('hex'));
  });

  it('gives an item whose hash, signature and certificate hold', () => {
    const text = block('item-signing');
    const item = parse(text) as JsonObject;
    expect(canonical(item)).to.equal(text);
    expect(holds(text, block('item-signature'))).to.equal(true);
    expect(block('item-hash')).to.equal(itemHash(item));
    const der = Buffer.from(String((item.sender as JsonObject).certificate), 'base64');
    const lines = vectors.authority.certificate.match(/.{1,64}/g)!.join('\n');
    const caPem = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
    const proof = proofOf(der, caPem, 1_700_000_000_250);
    expect(proof).to.have.property('agentId', 'agent_ada');
    expect(Buffer.from((proof as { publicKey: Uint8Array }).publicKey).toString('base64')).to.equal(
      block('public-key'),
    );
  });

  it('makes a CA and a certificate that prove an agent', function () {
    if (spawnSync('openssl', ['version']).error !== undefined) {
      console.log('      skipped: there is no openssl on the PATH');
      this.skip();
    }
    const lines = guide.match(/```sh ca\n([\s\S]*?)```/)?.[1];
    if (lines === undefined) throw new Error('the guide has no lines that make a CA');
    const folder = mkdtempSync(join(tmpdir(), 'cle-guide-'));
    try {
      execFileSync('bash', ['-e', '-c', lines], { cwd: folder, stdio: 'pipe' });
      const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
      const { raw, publicKey } = new X509Certificate(read('net/node.crt'));
      expect(proofOf(raw, read('net/ca.crt'), Date.now())).to.have.property('agentId', 'agent_7');
      expect(hasStrictForm(raw)).to.equal(true);
      expect(createPublicKey(createPrivateKey(read('net/node.key'))).equals(publicKey)).to.equal(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('names every group of rows', () => {
    const groups = new Set(readCatalogue().map((row) => row.group));
    expect([...groups].filter((group) => !guide.includes(`\`${group}-`))).to.deep.equal([]);
  });
});
