/**
 * The golden vectors that real CPython made (harness/wire/vectors): the one thing that node and judge have in common. They
 * are read as files; no code is shared.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { canonical } from '../canonical.ts';
import { CertificateCache, readAuthority } from '../certificate.ts';
import { chainRefusal, describes, readCheckpoint } from '../checkpoint.ts';
import { addCommit, createCommitIndex, textsOf } from '../commits.ts';
import { asciiBytes, envelopeText, readEnvelope } from '../envelope.ts';
import { isRefusal } from '../error-code.ts';
import { type Item, type ItemRules, readItem } from '../item.ts';
import { JsonError, parse } from '../json.ts';
import { statisticsOf } from '../statistics.ts';
import { PrefixTree } from '../tree.ts';
import { isGenuine } from './fixtures/genuine.ts';
import { sha256, testWorld } from './fixtures/test-authority.ts';

const vectors = new URL('../../../harness/wire/vectors/', import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(name, vectors), 'utf8'));

const bytesOf = (base64: string) => Buffer.from(base64, 'base64');

interface Subtree {
  count: number;
  hash: string;
}

describe('golden vectors by CPython', () => {
  const forms: {
    public_key: string;
    vectors: { text: string; canonical: string; signature?: string }[];
    refused: string[];
  } = read('canonical.json');
  const { authority, items, state_roots, checkpoints } = read('items.json');

  it('are at least 60', () => {
    expect(forms.vectors.length).to.be.at.least(60);
    expect(forms.refused.length).to.be.at.least(30);
  });

  for (const { text, canonical: form, signature } of forms.vectors) {
    it(`canonical form of ${JSON.stringify(text).slice(0, 60)}`, () => {
      expect(canonical(parse(text))).to.equal(form);
      expect(canonical(parse(form))).to.equal(form);
      if (signature === undefined) return;
      const good = testWorld().verify(
        bytesOf(forms.public_key),
        asciiBytes(canonical(parse(text))),
        bytesOf(signature),
      );
      expect(good).to.equal(true);
    });
  }

  for (const text of forms.refused) {
    it(`refusal of ${JSON.stringify(text).slice(0, 60)}`, () =>
      expect(() => parse(text)).to.throw(JsonError));
  }

  const world = testWorld();
  const rules: ItemRules = {
    world,
    certificates: new CertificateCache(readAuthority(bytesOf(authority.certificate)), world),
  };
  const taken = new Map<string, Item>();
  for (const vector of items) {
    it(`item: ${vector.name}`, () => {
      const item = readItem(parse(vector.text), rules);
      if (isRefusal(item)) throw new Error(item.because);
      expect(`rule_${item.hash}`).to.equal(vector.item_hash);
      expect(Buffer.from(item.bytes).toString()).to.equal(vector.canonical);
      expect(envelopeText(readEnvelope(parse(vector.text))!).signing).to.equal(vector.signing);
      taken.set(vector.item_hash, item);
    });
  }

  for (const { count, root, subtrees } of state_roots.sets as {
    count: number;
    root: string;
    subtrees: Record<string, Subtree>;
  }[]) {
    it(`state root of ${count} items`, () => {
      const tree = new PrefixTree(sha256);
      for (let i = 0; i < count; i++) tree.add(sha256(`item ${i}`));
      expect(tree.root()).to.equal(root);
      for (const [prefix, subtree] of Object.entries(subtrees)) {
        expect({ count: tree.count(prefix), hash: tree.hash(prefix) }, prefix).to.deep.equal(subtree);
      }
    });
  }

  it('state root of hashes that share six digits', () => {
    const tree = new PrefixTree(sha256);
    for (const hash of state_roots.deep.hashes) tree.add(hash);
    expect(tree.root()).to.equal(state_roots.deep.root);
  });

  it('checkpoints', () => {
    let predecessor = null;
    for (const vector of checkpoints) {
      const tree = new PrefixTree(sha256);
      const index = createCommitIndex((hash) => textsOf(taken.get(`rule_${hash}`)!.object));
      // The index holds more than the set under the root.
      for (const item of taken.values()) addCommit(index, item);
      for (const hash of vector.items) tree.add(hash.slice('rule_'.length));
      const checkpoint = readCheckpoint(parse(vector.checkpoint))!;
      expect(checkpoint.hash).to.equal(vector.hash);
      expect(checkpoint.stateRoot).to.equal(tree.root());
      expect(isGenuine(checkpoint, world)).to.equal(true);
      expect(describes(checkpoint, statisticsOf(index, tree))).to.equal(true);
      const refusal = chainRefusal(checkpoint, {
        own: predecessor,
        predecessor,
        nowSeconds: checkpoint.timestamp,
        authorityNotBeforeMs: authority.not_before * 1000,
        checkpointIntervalMs: 60_000,
      });
      expect(refusal).to.equal(null);
      predecessor = checkpoint;
    }
  });
});
