/** Items, trees, checkpoints and certificates against the worked ones that CPython made. */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { createAuthority, hasStrictForm } from '../authority.ts';
import { decodeBase64 } from '../base64.ts';
import { canonical } from '../canonical.ts';
import { proofOf } from '../certificate.ts';
import { buildCheckpoint, checkpointHash } from '../checkpoint.ts';
import { verify } from '../ed25519.ts';
import { signatureOver, signingBytes } from '../envelope.ts';
import { freshIdentity, identityFrom, sha256 } from '../identity.ts';
import { buildItem, commitOfDepth, commitOfSize, itemOf, itemSet, itemSize } from '../items.ts';
import { depthOf, isObject, type JsonObject, parse } from '../json.ts';
import { emptyHash, stateRoot, subtree } from '../tree.ts';

const golden = JSON.parse(readFileSync(new URL('../vectors/items.json', import.meta.url), 'utf8'));
const object = (text: string): JsonObject => {
  const value = parse(text);
  if (!isObject(value)) throw new Error('no object');
  return value;
};

/** Whether `signature` is canonical base64 of 64 bytes that verify (§3.1) with `sender.public_key` over the signing bytes. */
function signatureHolds(envelope: JsonObject): boolean {
  const sender = envelope.sender;
  if (!isObject(sender)) return false;
  const publicKey = decodeBase64(sender.public_key);
  const signature = decodeBase64(envelope.signature);
  if (publicKey?.length !== 32 || signature?.length !== 64) return false;
  return verify(publicKey, signingBytes(envelope), signature);
}

describe('wire: items', () => {
  it('agrees with every worked item', () => {
    expect(golden.items.length).to.be.at.least(10);
    for (const { name, text, signing, canonical: form, signature, item_hash: hash } of golden.items) {
      const envelope = object(text);
      expect(signingBytes(envelope).toString('latin1'), name).to.equal(signing);
      expect(canonical(envelope), name).to.equal(form);
      expect(itemOf(envelope).hash, name).to.equal(hash);
      expect(signatureHolds(envelope), name).to.equal(true);
      const sender = envelope.sender as JsonObject;
      const author = golden.authors.find((one: { agent_id: string }) => one.agent_id === sender.agent_id);
      const identity = identityFrom(Buffer.from(author.seed, 'hex'), author.agent_id);
      expect(identity.nodeId).to.equal(author.node_id);
      expect(identity.publicKeyBase64).to.equal(author.public_key);
      expect(Buffer.from(signatureOver(envelope, identity)).toString('base64')).to.equal(signature);
    }
  });

  it('reads the worked certificates', () => {
    const ca = new X509Certificate(Buffer.from(golden.authority.certificate, 'base64')).toString();
    for (const { certificate, public_key: key, agent_id: agent } of golden.authors) {
      const der = Buffer.from(certificate, 'base64');
      expect(hasStrictForm(der)).to.equal(true);
      const proof = proofOf(der, ca, 1_700_000_000_000);
      if (typeof proof === 'string') throw new Error(proof);
      expect(proof.agentId).to.equal(agent);
      expect(Buffer.from(proof.publicKey).toString('base64')).to.equal(key);
      expect(proofOf(der, ca, 1_600_000_000_000)).to.match(/not valid before/);
    }
  });

  it('agrees with the state roots and subtrees', () => {
    for (const { count, root, subtrees } of golden.state_roots.sets) {
      const sorted = Array.from({ length: count }, (_, i) => sha256(`item ${i}`)).sort();
      expect(stateRoot(sorted), `${count} items`).to.equal(root);
      for (const [prefix, expected] of Object.entries<{ count: number; hash: string }>(subtrees)) {
        const { count: held, hash, itemHashes, children } = subtree(sorted, prefix);
        expect({ count: held, hash }).to.deep.equal(expected);
        expect(itemHashes === undefined).to.equal(held > 500);
        expect(children?.length ?? 16).to.equal(16);
      }
    }
    expect(stateRoot(golden.state_roots.deep.hashes)).to.equal(golden.state_roots.deep.root);
    expect(stateRoot([])).to.equal(emptyHash);
  });

  it('has a root that depends on the set alone', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(500), { maxLength: 80 }), (numbers) => {
        const hashes = numbers.map((number) => sha256(String(number)));
        expect(stateRoot([...hashes].reverse())).to.equal(stateRoot([...new Set(hashes)]));
      }),
      { numRuns: 50 },
    );
  });

  it('agrees with the checkpoints', () => {
    const byHash = new Map(
      golden.items.map((item: { item_hash: string; text: string }) => [item.item_hash, item]),
    );
    for (const { items, checkpoint, hash } of golden.checkpoints) {
      const expected = object(checkpoint);
      expect(checkpointHash(expected)).to.equal(hash);
      const held = itemSet(
        items.map((one: string) => itemOf(object((byHash.get(one) as { text: string }).text))),
      );
      const signers = golden.authors
        .map((author: { seed: string }) => identityFrom(Buffer.from(author.seed, 'hex')))
        .filter((identity: { publicKey: Uint8Array }) =>
          Buffer.from(expected.signature as string, 'base64').includes(Buffer.from(identity.publicKey)),
        );
      const built = buildCheckpoint(held, signers, {
        height: expected.height as number,
        previousHash: expected.previous_hash as string,
        timestamp: expected.timestamp!,
      });
      expect(canonical(built)).to.equal(checkpoint);
    }
  });

  it('builds items of an exact size and depth', async () => {
    const authority = await createAuthority();
    const identity = freshIdentity();
    const author = { identity, certificate: await authority.issue(identity) };
    for (const bytes of [2_000, 32_768, 32_769]) {
      expect(itemSize(commitOfSize(author, bytes).envelope)).to.equal(bytes);
    }
    for (const depth of [4, 28, 29]) expect(depthOf(commitOfDepth(author, depth).envelope)).to.equal(depth);
    expect(signatureHolds(buildItem(author, 'challenge').envelope)).to.equal(true);
  });
});
