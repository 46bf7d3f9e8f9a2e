/** How one core comes to a checkpoint of others (§8 `state_sync`), driven by puppets that have one, lie or keep silent. */
import { expect } from 'chai';
import { canonical } from '../canonical.ts';
import { cutCheckpoint } from '../checkpoint.ts';
import type { JsonObject } from '../types.ts';
import { epochS, sha256 } from './credentials.ts';
import type { Net } from './net.ts';
import { announce, peer, serve, setUp, treeOf } from './persistent-puppets.ts';
import { hashOf, type Puppet } from './puppet.ts';
import type { SimNode } from './sim-node.ts';

describe('core checkpoints', () => {
  /** A puppet with items, and a checkpoint over them that it serves. */
  function withCheckpoint(
    net: Net,
    node: SimNode,
    label: string,
    items: readonly JsonObject[],
    alter: (object: JsonObject) => JsonObject = (object) => object,
  ) {
    const puppet = net.puppet(label);
    const made = make(puppet, items, {});
    const object = alter(made);
    serve(puppet, items, {
      stateSync: (message, link) =>
        link.send('state_sync', { sync_type: 'response', request_id: message.id, checkpoint: object }),
    });
    const link = puppet.dial(node, peer);
    return {
      puppet,
      link,
      object,
      announce: (id: number) => announce(link, puppet, id, [object.hash as string], { topic: 'checkpoint' }),
    };
  }

  function make(
    puppet: Puppet,
    items: readonly JsonObject[],
    members: { height?: number; previous?: string; timestamp?: number; rules?: string[] },
  ): JsonObject {
    const confidences = [...items].sort((a, b) => (hashOf(a) < hashOf(b) ? -1 : 1)).map(() => 0.5);
    const agents = new Set(items.map((item) => (item.sender as JsonObject).agent_id));
    const { publicKey } = puppet.credentials.identity;
    return {
      ...cutCheckpoint({
        previous: members.height
          ? { height: members.height - 1, hash: members.previous ?? sha256('previous') }
          : null,
        timestamp: members.timestamp ?? epochS,
        stateRoot: treeOf(items).root(),
        statistics: {
          totalCommits: items.length,
          totalAgents: agents.size,
          avgConfidence:
            items.length === 0 ? 0 : confidences.reduce((sum, each) => sum + each, 0) / items.length,
          acceptedRules: members.rules ?? [],
        },
        publicKey,
        world: { sha256, sign: (message) => puppetSign(publicKey, message) },
      }).object,
    };
  }

  const stands = (node: SimNode) => node.core.status().checkpointHash;

  it('adopts a verified checkpoint with the items under it, and refuses altered ones', () => {
    const { net, node } = setUp(0);
    const author = net.puppet('author');
    const items = Array.from({ length: 30 }, (_, i) =>
      author.item('commit', { metadata: { i }, rule_hash: `rule_${sha256(`${i}`)}` }),
    );
    const alterations: ((object: JsonObject) => JsonObject)[] = [
      (object) => ({ ...object, signature: (object.signature as string).replace(/^.{50}/, 'A'.repeat(50)) }),
      (object) => ({ ...object, hash: sha256('other') }),
      (object) => ({ ...object, state_root: sha256('other') }),
      (object) => ({ ...object, height: 2 ** 53 - 1 }),
    ];
    for (const [i, alter] of alterations.entries()) {
      withCheckpoint(net, node, `liar${i}`, items, alter).announce(i);
      net.run(2000);
      expect(stands(node), `alteration ${i}`).to.equal(null);
    }
    const wrongStatistics = net.puppet('statistician');
    const wrong = make(wrongStatistics, items, { rules: [`rule_${'a'.repeat(64)}`] });
    withCheckpoint(net, node, 'statistics', items, () => wrong).announce(10);
    net.run(2000);
    expect(stands(node)).to.equal(null);
    const honest = withCheckpoint(net, node, 'honest', items);
    honest.announce(11);
    net.run(2000);
    expect(stands(node)).to.equal(honest.object.hash);
    expect(node.core.status().items).to.equal(30);
    const answer = honest.link.request('state_sync', {
      sync_type: 'request',
      checkpoint_hash: null,
      last_known_height: 0,
    });
    expect(canonical(answer!.payload.checkpoint!)).to.equal(canonical(honest.object));
  });

  it('adopts a checkpoint over fewer items than it holds, and answers at its root also after a restart', () => {
    const { net, node } = setUp(0);
    const author = net.puppet('author');
    const items = Array.from({ length: 60 }, (_, i) => author.item('commit', { metadata: { i } }));
    const direct = author.dial(node);
    for (const item of items) direct.sendText(canonical(item));
    net.run(1000);
    const part = items.slice(0, 40);
    const made = withCheckpoint(net, node, 'maker', part);
    made.announce(1);
    net.run(2000);
    expect(stands(node)).to.equal(made.object.hash);
    for (let i = 0; i < 5; i++) direct.sendText(canonical(author.item('confirm')));
    net.run(500);
    const digest: JsonObject = {
      root: made.object.state_root!,
      prefix: '',
      state_root: '0'.repeat(64),
      item_count: 0,
    };
    const expected = treeOf(part)
      .hashes('')
      .map((hash) => `rule_${hash}`);
    const ask = () =>
      net.puppet(`a${net.nowMs}`).dial(node).request('sync_digest', digest)!.payload.item_hashes;
    expect(ask()).to.deep.equal(expected);
    net.kill(node);
    net.restart(node);
    expect(node.core.status()).to.include({ items: 65, checkpointHash: made.object.hash });
    expect(ask()).to.deep.equal(expected);
  });

  it('takes the lower hash of two at one height, in either order, and never a lower height', () => {
    for (const isLowFirst of [true, false]) {
      const { net, node } = setUp(0);
      const author = net.puppet('author');
      const items = [author.item('commit')];
      const [low, high] = [0, 1]
        .map((i) => make(net.puppet(`m${i}`), items, { timestamp: epochS + i }))
        .sort((a, b) => ((a.hash as string) < (b.hash as string) ? -1 : 1)) as [JsonObject, JsonObject];
      for (const [i, object] of (isLowFirst ? [low, high] : [high, low]).entries()) {
        withCheckpoint(net, node, `x${i}`, items, () => object).announce(i);
        net.run(2000);
      }
      expect(stands(node)).to.equal(low.hash);
      const next = make(net.puppet('next'), items, { height: 2 });
      withCheckpoint(net, node, 'y', items, () => next).announce(5);
      net.run(2000);
      expect(stands(node)).to.equal(next.hash);
    }
  });

  it('computes accepted_rules that did not fit into the message before it checks the hash', () => {
    const { net, node } = setUp(0);
    const authors = ['u', 'v', 'w'].map((label) => net.puppet(label));
    const rule = `rule_${'a'.repeat(64)}`;
    const items = authors.map((author) => author.item('commit', { rule_hash: rule }));
    const maker = withCheckpoint(net, node, 'maker', items, () =>
      make(net.puppet('real'), items, { rules: [rule] }),
    );
    const inTransit = { ...maker.object, accepted_rules: null };
    serve(maker.puppet, items, {
      stateSync: (message, link) =>
        link.send('state_sync', { sync_type: 'response', request_id: message.id, checkpoint: inTransit }),
    });
    maker.announce(1);
    net.run(2000);
    expect(stands(node)).to.equal(maker.object.hash);
  });

  it('asks an announcer that does not know its checkpoint yet again, at most three times', () => {
    const { net, node, puppets, links } = setUp(1);
    puppets[0]!.answer = (message, link) => {
      if (message.type !== 'state_sync') return;
      link.send('error', {
        error_code: 'UNKNOWN_HASH',
        error_message: '',
        details: { request_id: message.id },
      });
    };
    announce(links[0]!, puppets[0]!, 1, [sha256('checkpoint')], { topic: 'checkpoint' });
    net.run(4000);
    const asked = links[0]!.of('state_sync').filter(({ payload }) => payload.checkpoint_hash !== null);
    expect(asked).to.have.length(4);
    expect(stands(node)).to.equal(null);
  });

  it('is kept from no peer’s checkpoint by peers that tell of invented ones and answer nothing', () => {
    const { net, node, puppets, links } = setUp(25);
    const author = net.puppet('author');
    const origin = net.puppet('elsewhere');
    const honest = withCheckpoint(net, node, 'honest', [author.item('commit')]);
    for (const [i, link] of links.entries()) {
      for (let word = 0; word < 2; word++) {
        const invented = Array.from({ length: 4 }, (_, k) => sha256(`${i} ${word} ${k}`));
        const from = word === 0 ? puppets[i]! : origin;
        announce(link, from, 10 + 2 * i + word, invented, { topic: 'checkpoint' });
      }
    }
    honest.announce(1);
    net.run(2000);
    expect(stands(node)).to.equal(honest.object.hash);
    const asked = links.map((link) => link.of('state_sync').length);
    expect(Math.max(...asked), 'questions to one liar').to.be.at.most(4);
  });

  it('leaves a source that answers just in time for one that waits', () => {
    const { net, node } = setUp(0);
    const author = net.puppet('author');
    const items = Array.from({ length: 600 }, (_, i) => author.item('commit', { metadata: { i } }));
    const slow = withCheckpoint(net, node, 'slow', items);
    const quick = withCheckpoint(net, node, 'quick', items, () => slow.object);
    const answer = slow.puppet.answer;
    slow.puppet.answer = (message, link) => {
      if (message.type !== 'sync_digest') answer(message, link);
      else net.at(net.nowMs + 9000, () => answer(message, link));
    };
    slow.announce(1);
    net.run(100);
    quick.announce(2);
    net.run(20_000);
    expect(stands(node), 'while the first may still be good').to.equal(null);
    // Four rounds of questions, nine seconds each, would take it longer.
    net.run(12_000);
    expect(stands(node)).to.equal(slow.object.hash);
  });
});

function puppetSign(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = Buffer.from(sha256(Buffer.concat([publicKey, message])), 'hex');
  return Buffer.concat([half, Buffer.from(sha256(half), 'hex')]);
}
