/** Gossip (§7) of one core, driven by puppets that serve, lie or keep silent. */
import { expect } from 'chai';
import { canonical } from '../canonical.ts';
import { float } from '../json.ts';
import type { JsonObject } from '../types.ts';
import { sha256 } from './credentials.ts';
import { createNet } from './net.ts';
import { announce, announces, holds, requests, serve, setUp, uuid } from './persistent-puppets.ts';
import { bodies, gossip, hashOf } from './puppet.ts';
import type { SimNode } from './sim-node.ts';

describe('core gossip', () => {
  it('announces a new commit to three others with ttl 2, its origin and a fresh id', () => {
    const { net, node, puppets, links } = setUp(8);
    const commit = puppets[0]!.item('commit');
    links[0]!.sendText(canonical(commit));
    net.run(200);
    const told = links.filter((link) => announces(link).length > 0);
    expect(told).to.have.length(3);
    expect(told).to.not.include(links[0]);
    // One message, signed once.
    expect(new Set(told.map((link) => announces(link)[0]!.id))).to.have.length(1);
    const { payload } = announces(told[0]!)[0]!;
    expect(payload).to.deep.include({
      topic: 'new_commit',
      ttl: 2,
      origin: node.credentials.identity.nodeId,
      item_hashes: [hashOf(commit)],
    });
    expect(Object.keys(payload)).to.have.length(7);
  });

  it('forwards to exactly three distinct random peers, neither back nor to the origin, ttl reduced by one', () => {
    const { net, node, puppets, links } = setUp(8);
    const counts = links.map(() => 0);
    for (let i = 0; i < 40; i++) {
      const before = links.map((link) => announces(link).length);
      const item = `rule_${sha256(`none ${i}`)}`;
      announce(links[0]!, puppets[0]!, 100 + i, [item], {
        origin: puppets[1]!.credentials.identity.nodeId,
        extra: 'x',
      });
      net.run(50);
      const got = links.map((link, j) => announces(link).length - before[j]!);
      expect(got.reduce((sum, each) => sum + each)).to.equal(3);
      expect(got.slice(0, 2)).to.deep.equal([0, 0]);
      for (const [j, each] of got.entries()) counts[j]! += each;
    }
    for (const count of counts.slice(2)) expect(count).to.be.within(8, 35);
    const sample = announces(links.find((link) => announces(link).length > 0)!)[0]!.payload;
    expect(sample).to.include({ ttl: 1, origin: puppets[1]!.credentials.identity.nodeId });
    expect(Object.keys(sample)).to.have.length(7);
    expect(node.core.counters.duplicatesDropped).to.equal(0);
  });

  it('drops a gossip_id for 60 s from first sight, without a verification, whoever sends it', () => {
    const { net, node, puppets, links } = setUp(4);
    const hash = `rule_${sha256('none')}`;
    const sent = () => links.reduce((sum, link) => sum + announces(link).length, 0);
    announce(links[0]!, puppets[0]!, 1, [hash]);
    net.run(55_000);
    expect(sent()).to.equal(3);
    const { verifications } = node.core.counters;
    announce(links[1]!, puppets[1]!, 1, [hash]);
    announce(links[0]!, puppets[0]!, 1, [hash], { item_hashes: [] });
    net.run(100);
    expect(sent()).to.equal(3);
    expect(node.core.counters.verifications).to.equal(verifications);
    net.run(5000);
    announce(links[1]!, puppets[1]!, 1, [hash]);
    net.run(100);
    expect(sent()).to.equal(6);
  });

  it('does not cache, forward or fetch what is refused', () => {
    const { net, puppets, links } = setUp(4);
    const hash = `rule_${sha256('none')}`;
    for (const members of [
      { ttl: -1 },
      { ttl: float(2.5) },
      { ttl: '3' },
      { item_hashes: ['x'] },
      { origin: '' },
    ]) {
      announce(links[0]!, puppets[0]!, 1, [hash], members as JsonObject);
    }
    links[0]!.send('gossip', gossip(puppets[0]!, { gossip_id: 'x', item_hashes: [hash] }));
    net.run(100);
    expect(links[0]!.of('error')).to.have.length(6);
    expect(requests(links[0]!)).to.have.length(0);
    announce(links[0]!, puppets[0]!, 1, [hash], { ttl: 1_000_000_000 });
    net.run(100);
    expect(requests(links[0]!)).to.have.length(1);
    expect(announces(links[1]!)[0]!.payload.ttl).to.equal(1);
    announce(links[0]!, puppets[0]!, 2, [hash], { ttl: 0 });
    net.run(100);
    expect(announces(links[1]!)).to.have.length(1);
  });

  it('fetches announced items, asks again for what is missing, at most three times', () => {
    const { net, node, puppets, links } = setUp(2);
    const item = puppets[0]!.item('commit');
    const items: JsonObject[] = [];
    serve(puppets[0]!, items);
    announce(links[0]!, puppets[0]!, 1, [hashOf(item)]);
    net.run(400);
    expect(requests(links[0]!)).to.have.length(2);
    serve(puppets[0]!, [item]);
    net.run(400);
    expect(requests(links[0]!)).to.have.length(3);
    expect(holds(node, item)).to.equal(true);
    announce(links[0]!, puppets[0]!, 2, [`rule_${sha256('none')}`]);
    net.run(5000);
    expect(requests(links[0]!)).to.have.length(3 + 4);
  });

  it('refuses a body that is not the item, and takes the true one from another peer or on a new announce', () => {
    const { net, node, puppets, links } = setUp(3);
    const [good, alone] = [puppets[2]!.item('commit'), puppets[2]!.item('confirm')];
    const spoilt = (item: JsonObject) => ({
      ...item,
      signature: (good.signature as string).replace(/^./, 'x'),
    });
    const lies = [good, alone].map(spoilt);
    for (const [i, item] of [good, alone].entries()) expect(hashOf(lies[i]!)).to.equal(hashOf(item));
    serve(puppets[0]!, lies);
    serve(puppets[1]!, [good]);
    announce(links[0]!, puppets[0]!, 1, [hashOf(good), hashOf(alone)]);
    net.run(300);
    expect([holds(node, good), holds(node, alone)]).to.deep.equal([false, false]);
    expect(requests(links[0]!)).to.have.length(1);
    announce(links[1]!, puppets[1]!, 2, [hashOf(good)]);
    net.run(300);
    expect(holds(node, good)).to.equal(true);
    serve(puppets[0]!, [alone]);
    announce(links[0]!, puppets[0]!, 3, [hashOf(alone)]);
    net.run(300);
    expect(holds(node, alone)).to.equal(true);
  });

  it('answers requests with items and missing, waits a little for what it is fetching itself', () => {
    const { net, node, puppets, links } = setUp(3);
    const [held, slow] = [puppets[0]!.item('commit'), puppets[0]!.item('confirm')];
    links[0]!.sendText(canonical(held));
    net.run(100);
    const none = `rule_${sha256('none')}`;
    const request = (hashes: string[]): JsonObject =>
      gossip(puppets[1]!, {
        gossip_id: uuid(9),
        gossip_type: 'request',
        topic: 'items',
        ttl: 0,
        item_hashes: hashes,
      });
    const answer = links[1]!.request('gossip', request([none, hashOf(held)]))!;
    expect(answer.payload).to.deep.include({
      item_hashes: [hashOf(held)],
      missing: [none],
      gossip_type: 'response',
    });
    expect(canonical((answer.payload.items as JsonObject[])[0]!)).to.equal(canonical(held));
    announce(links[0]!, puppets[0]!, 1, [hashOf(slow)]);
    net.run(50);
    const early = links[1]!.request('gossip', request([hashOf(slow)]));
    expect(early).to.equal(null);
    const [asked] = requests(links[0]!);
    links[0]!.send(
      'gossip',
      gossip(puppets[0]!, {
        gossip_id: uuid(3),
        gossip_type: 'response',
        topic: 'items',
        request_id: asked!.id,
        item_hashes: [hashOf(slow)],
        items: [slow],
        missing: [],
      }),
    );
    net.run(100);
    expect(node.core.status().items).to.equal(2);
    expect(links[1]!.of('gossip', 'response').at(-1)!.payload.item_hashes).to.deep.equal([hashOf(slow)]);
  });

  it('fetches more than fit into one answer, 100 at most in a request, one request in flight', () => {
    const { net, node, puppets, links } = setUp(1);
    const items = Array.from({ length: 250 }, (_, i) =>
      puppets[0]!.item('commit', { metadata: { i, x: 'x'.repeat(900) } }),
    );
    for (let i = 0; i < 3; i++)
      announce(links[0]!, puppets[0]!, i, items.slice(i * 100, i * 100 + 100).map(hashOf));
    net.run(2000);
    expect(requests(links[0]!)).to.have.length(1);
    serve(puppets[0]!, items);
    puppets[0]!.answer(requests(links[0]!)[0]!, links[0]!);
    net.until(() => node.core.status().items === 250, 10_000, 'all items');
    for (const { payload } of requests(links[0]!))
      expect((payload.item_hashes as string[]).length).to.be.at.most(100);
  });

  it('asks another holder when the first is slow, and does not verify a body twice', () => {
    const { net, node, puppets, links } = setUp(2);
    const item = net.puppet('author').item('commit');
    announce(links[0]!, puppets[0]!, 1, [hashOf(item)]);
    net.run(50);
    serve(puppets[1]!, [item]);
    announce(links[1]!, puppets[1]!, 2, [hashOf(item)]);
    net.run(500);
    expect(requests(links[1]!)).to.have.length(0);
    net.run(1000);
    expect(holds(node, item)).to.equal(true);
    const { verifications, envelopesTaken, itemsNew } = node.core.counters;
    expect(verifications).to.equal(envelopesTaken + itemsNew);
    serve(puppets[0]!, [item]);
    puppets[0]!.answer(requests(links[0]!)[0]!, links[0]!);
    net.run(100);
    expect(node.core.counters.verifications).to.equal(verifications + 1);
  });

  it('gathers while it is busy: few announces and few requests for many items, and all of them arrive', () => {
    const net = createNet(5);
    const lifted = { commitsPerMinute: 1e9, bytesPerSecond: 1e9, checkpointIntervalMs: 0 };
    const nodes: SimNode[] = [];
    for (let i = 0; i < 10; i++) {
      nodes.push(net.node(`n${i}`, { parameters: lifted, bootstrap: nodes.slice(0, 3) }));
    }
    net.until(() => nodes.every(({ core }) => core.status().peers === 9), 30_000, 'a full mesh');
    const sent = () =>
      nodes.reduce((sum, { core }) => sum + (core.counters.messages.get('out:gossip') ?? 0), 0);
    const publish = (count: number, perSecond: number) => {
      for (let i = 0; i < count; i++) {
        const rule_hash = `rule_${sha256(String(net.random()))}`;
        const payload = { ...bodies.commit, rule_hash };
        nodes[i % 10]!.feed({ kind: 'publish', ticket: i, messageType: 'commit', payload });
        net.run(1000 / perSecond);
      }
    };
    publish(100, 200);
    const before = sent();
    publish(400, 200);
    const perItem = (sent() - before) / 400;
    // One by one each item costs about 28 announces, 9 requests and 9 responses.
    expect(perItem).to.be.below(20);
    net.until(() => nodes.every(({ core }) => core.status().items === 500), 10_000, 'convergence');
  });

  it('asks a holder that it hears of while the first has long been silent', () => {
    const { net, node, puppets, links } = setUp(2);
    const item = net.puppet('author').item('commit');
    announce(links[0]!, puppets[0]!, 1, [hashOf(item)]);
    net.run(3000);
    serve(puppets[1]!, [item]);
    announce(links[1]!, puppets[1]!, 2, [hashOf(item)]);
    net.run(500);
    expect(holds(node, item)).to.equal(true);
  });
});
