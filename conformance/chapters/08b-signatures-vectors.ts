/**
 * § 8.2 Message signing: signatures and keys on the border of Ed25519, each made for a message of its own. What the profile
 * leaves to libraries that it calls right (an R of small order for which the equation holds) is asked of nobody.
 */

import { encodeBase64 } from '../../harness/wire/base64.ts';
import {
  hostileKinds,
  mixedOrderKey,
  mixedOrderSignature,
  signatureForSmallOrderKey,
  smallOrderEncodings,
} from '../../harness/wire/hostile-signatures.ts';
import { type Identity, nodeIdOf } from '../../harness/wire/identity.ts';
import { buildItem, type Item } from '../../harness/wire/items.ts';
import type { Bench } from '../bench.ts';
import { refusedWithTwin } from '../expect.ts';
import { heldAfterRelay, probe } from '../probe.ts';
import type { Puppet } from '../puppet.ts';
import { fail, pass, type Requirement } from '../requirement.ts';

const bad = hostileKinds.filter((kind) => !kind.valid);

type Sign = (message: Uint8Array) => Uint8Array;

/** An item by an author whose raw public key is `publicKey`, certified by the CA like any other. */
async function itemBy(bench: Bench, puppet: Puppet, publicKey: Uint8Array, sign: Sign): Promise<Item> {
  const raw = Uint8Array.from(publicKey);
  const identity: Identity = {
    ...puppet.identity,
    publicKey: raw,
    publicKeyBase64: encodeBase64(raw),
    nodeId: nodeIdOf(raw),
    agentId: `agent_odd-${nodeIdOf(raw).slice(5, 17)}`,
  };
  const certificate = await bench.target.authority.issue(identity);
  return buildItem({ identity, certificate }, 'commit', undefined, { signedBy: sign });
}

/** Hands on good and bad items together: exactly the good ones may be held afterwards. */
async function onlyGoodTaken(
  bench: Bench,
  puppet: Puppet,
  items: readonly { name: string; item: Item; good: boolean }[],
): Promise<void> {
  const connection = await puppet.join(await bench.shared());
  const held = await heldAfterRelay(
    bench,
    connection,
    items.map(({ item }) => item),
  );
  for (const { name, item, good } of items) {
    if (held.has(item.hash) && !good) fail(`an item with ${name} was taken`);
    if (!held.has(item.hash) && good) fail(`an item with ${name} was not taken`);
  }
}

export const rows: readonly Requirement[] = [
  {
    id: 'SIG-06',
    level: 'must',
    section: '8.2',
    role: 's',
    quote: 'Verification is RFC 8032, *cofactorless*: S < L; encode(S·B − k·A) equals R byte for byte',
    reading:
      'Signatures with S ≥ L, with a changed, strange or foreign R, and such that hold only under cofactored rules are INVALID_SIGNATURE, in messages and in items.',
    mutants: ['signature-range-unchecked', 'signature-range-by-bits', 'signature-cofactored'],
    needs: [],
    durationHintMs: 3_000,
    cpu: 0.5,
    test: async (bench) => {
      const puppet = await bench.puppet('signer');
      const { secret, publicKey } = puppet.identity;
      const connection = await puppet.join(await bench.shared());
      for (const { name, sign } of bad) {
        await refusedWithTwin(bench, {
          what: `a message with the signature “${name}”`,
          code: 'INVALID_SIGNATURE',
          close: null,
          bad: () => probe(connection, {}, { signedBy: (message) => sign(secret, publicKey, message) }),
          twin: () => probe(connection),
        });
      }
      bench.step('handing on items with the same signatures');
      const items = bad.map(({ name, sign }) => ({
        name: `the signature “${name}”`,
        item: puppet.commit({}, { signedBy: (message) => sign(secret, publicKey, message) }),
        good: false,
      }));
      const honest = { name: 'an honest signature', item: puppet.commit(), good: true };
      await onlyGoodTaken(bench, puppet, [...items.slice(0, 30), honest, ...items.slice(30)]);
      return pass(`${bad.length} signatures were refused in messages and in items`);
    },
  },
  {
    id: 'SIG-07',
    level: 'must',
    section: '8.2',
    role: 's',
    quote: 'a public key with y ≥ p or one of the 8 small-order points is refused',
    reading:
      'Items by authors whose key is a point of small order, in whatever spelling, are not taken, though the CA certifies them; a key with a torsion part is good where its signature is.',
    mutants: ['small-order-keys-accepted', 'small-order-five-forms', 'non-canonical-keys-accepted'],
    needs: [],
    durationHintMs: 2_000,
    cpu: 0.5,
    test: async (bench) => {
      const puppet = await bench.puppet('carrier');
      const items: { name: string; item: Item; good: boolean }[] = [];
      for (const { name, bytes } of smallOrderEncodings()) {
        const sign: Sign = (message) => signatureForSmallOrderKey(bytes, message);
        const item = await itemBy(bench, puppet, bytes, sign);
        items.push({ name: `a key of ${name}`, item, good: false });
      }
      const { secret } = puppet.identity;
      const { publicKey } = mixedOrderKey(secret);
      for (const good of [true, false]) {
        const sign: Sign = (message) => mixedOrderSignature(secret, message, good);
        const item = await itemBy(bench, puppet, publicKey, sign);
        const name = `a key with a torsion part and a signature that ${good ? 'holds' : 'holds only times 8'}`;
        items.push({ name, item, good });
      }
      items.push({ name: 'an ordinary key', item: puppet.commit(), good: true });
      await onlyGoodTaken(bench, puppet, items);
      return pass(`${items.length - 3} keys of small order were refused, honest items beside them taken`);
    },
  },
];
