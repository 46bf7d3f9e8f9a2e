/** Anti-entropy (§8) of one core, driven by puppets that serve, lie or keep silent. */
import { expect } from 'chai';
import { canonical } from '../canonical.ts';
import { float } from '../json.ts';
import type { JsonObject } from '../types.ts';
import { epochS, sha256 } from './credentials.ts';
import {
  announce,
  announces,
  digestOf,
  holds,
  peer,
  requests,
  serve,
  setUp,
  treeOf,
} from './persistent-puppets.ts';
import { hashOf } from './puppet.ts';

describe('core anti-entropy', () => {
  it('fetches exactly what it lacks and announces the fresh of it', () => {
    const { net, node, links } = setUp(
      3,
      { antiEntropyIntervalMs: 1000 },
      { ...peer, capabilities: ['gossip'] },
    );
    const author = net.puppet('author');
    const at = (seconds: number) =>
      author.item(
        'commit',
        { metadata: { seconds } },
        { timestamp: float(epochS + seconds), sender: author.item('commit').sender! },
      );
    const items = [at(-10), at(-200), at(250), ...Array.from({ length: 800 }, (_, i) => at(-1000 - i))];
    const server = net.puppet('server');
    serve(server, items);
    const link = server.dial(node, peer);
    net.until(() => node.core.status().items === items.length, 20_000, 'pull');
    const asked = requests(link).flatMap(({ payload }) => payload.item_hashes as string[]);
    expect(new Set(asked).size).to.equal(items.length);
    // What does not fit into an answer is asked for again; each comes once.
    expect(node.core.counters.verifications).to.equal(node.core.counters.envelopesTaken + items.length);
    net.run(1000);
    const told = new Set(
      links.flatMap((each) => announces(each)).flatMap(({ payload }) => payload.item_hashes as string[]),
    );
    expect([...told]).to.deep.equal([hashOf(items[0]!)]);
    const before = requests(link).length;
    net.run(10_000);
    expect(requests(link)).to.have.length(before);
  });

  it('soon comes to the one peer that answers, where nine are silent', () => {
    const took = Array.from({ length: 20 }, (_, nth) => {
      const { net, node, puppets } = setUp(10, { antiEntropyIntervalMs: 1000, peerTimeoutMs: 900_000 });
      for (const puppet of puppets) serve(puppet, []);
      net.run(10_000 + nth * 137);
      const item = net.puppet('author').item('commit');
      for (const puppet of puppets) puppet.answer = () => {};
      serve(puppets[nth % 10]!, [item]);
      const sinceMs = net.nowMs;
      net.until(() => holds(node, item), 11_000, 'a round with the one that answers');
      return net.nowMs - sinceMs;
    });
    expect(Math.max(...took)).to.be.below(4000);
  });

  for (const [ttl, isTold] of [
    [1, false],
    [0, true],
  ] as const) {
    it(`${isTold ? 'announces' : 'need not announce'} what a gossip told of with ttl ${ttl} before it came`, () => {
      const { net, node, puppets, links } = setUp(4, { antiEntropyIntervalMs: 1000 });
      const item = net.puppet('author').item('commit');
      serve(puppets[0]!, [item]);
      const { answer } = puppets[0]!;
      const late: (() => void)[] = [];
      puppets[0]!.answer = (message, link) => {
        if (message.payload.gossip_type === 'request') late.push(() => answer(message, link));
        else answer(message, link);
      };
      net.until(() => late.length > 0, 10_000, 'anti-entropy');
      announce(links[1]!, puppets[1]!, 9, [hashOf(item)], { ttl });
      net.run(100);
      for (const reply of late) reply();
      net.run(500);
      expect(holds(node, item)).to.equal(true);
      const own = links
        .flatMap((link) => announces(link))
        .filter(({ payload }) => payload.origin === node.credentials.identity.nodeId);
      expect(own).to.have.length(isTold ? 3 : 0);
    });
  }

  it('asks a holder that it finds while the one that announced is silent', () => {
    const { net, node, puppets, links } = setUp(2, { antiEntropyIntervalMs: 1000 });
    const item = net.puppet('author').item('commit');
    announce(links[0]!, puppets[0]!, 1, [hashOf(item)]);
    serve(puppets[1]!, [item]);
    net.run(5000);
    expect(holds(node, item)).to.equal(true);
    expect(requests(links[1]!)).to.have.length(1);
  });

  it('answers digests of its own tree and refuses unknown roots', () => {
    const { net, node, puppets, links } = setUp(1);
    const items = Array.from({ length: 40 }, (_, i) => puppets[0]!.item('commit', { metadata: { i } }));
    for (const item of items) links[0]!.sendText(canonical(item));
    net.run(500);
    const tree = treeOf(items);
    const digest: JsonObject = { root: null, prefix: '', state_root: tree.root(), item_count: 40 };
    const answer = links[0]!.request('sync_digest', digest)!;
    expect(answer.payload).to.deep.equal({
      ...digestOf(items)({ id: answer.payload.request_id, payload: digest } as never),
    });
    expect(node.core.status().stateRoot).to.equal(tree.root());
    const below = links[0]!.request('sync_digest', { ...digest, prefix: tree.hashes('')[0]!.slice(0, 3) })!;
    expect(below.payload.count).to.be.greaterThan(0);
    const unknown = links[0]!.request('sync_digest', { ...digest, root: sha256('none') })!;
    expect(unknown.payload.error_code).to.equal('UNKNOWN_HASH');
    expect(node.core.status().items).to.equal(40);
  });

  it('pulls in turn from a peer whose root differs, at most once a second for the same two roots', () => {
    const { net, node, puppets, links } = setUp(1);
    const items = [puppets[0]!.item('commit')];
    const digest = (): JsonObject => ({
      root: null,
      prefix: '',
      state_root: treeOf(items).root(),
      item_count: 1,
    });
    serve(puppets[0]!, items);
    links[0]!.send('sync_digest', digest());
    net.run(300);
    expect(node.core.status().items).to.equal(1);
    const lie = digestOf([puppets[0]!.item('commit')]);
    serve(puppets[0]!, items, { digest: lie });
    const before = links[0]!.of('sync_digest').length;
    for (let i = 0; i < 100; i++) {
      links[0]!.send('sync_digest', { ...digest(), state_root: sha256('other') });
      net.run(100);
    }
    const pulls = links[0]!
      .of('sync_digest')
      .slice(before)
      .filter(({ payload }) => payload.request_id === undefined);
    expect(pulls.length).to.be.within(8, 10);
  });

  it('does not pull from who stands where it once stood, but does from who holds nothing', () => {
    const { net, node, puppets, links } = setUp(1);
    const items = [puppets[0]!.item('commit'), puppets[0]!.item('commit')];
    const [link] = links;
    const pullsFor = (stateRoot: string): number => {
      const before = link!.of('sync_digest').length;
      link!.send('sync_digest', { root: null, prefix: '', state_root: stateRoot, item_count: 1 });
      net.run(1500);
      const since = link!.of('sync_digest').slice(before);
      return since.filter(({ payload }) => payload.request_id === undefined).length;
    };
    serve(puppets[0]!, items.slice(0, 1));
    const first = treeOf(items.slice(0, 1)).root();
    expect(pullsFor(first)).to.equal(1);
    // Its root is told in the next question, and so remembered.
    expect(pullsFor(sha256('other'))).to.equal(1);
    serve(puppets[0]!, items);
    expect(pullsFor(treeOf(items).root())).to.equal(1);
    expect(node.core.status().items).to.equal(2);
    expect(pullsFor(first)).to.equal(0);
    expect(pullsFor('0'.repeat(64))).to.equal(1);
  });

  it('pulls in turn from one peer after the other, and waits a second for one that is silent', () => {
    const { net, links } = setUp(3);
    const asked = (): number[] =>
      links.map(
        (link) => link.of('sync_digest').filter(({ payload }) => payload.request_id === undefined).length,
      );
    for (const link of links)
      link.send('sync_digest', { root: null, prefix: '', state_root: sha256('other'), item_count: 1 });
    net.run(300);
    expect(asked()).to.deep.equal([1, 0, 0]);
    net.run(1000);
    expect(asked()).to.deep.equal([1, 1, 0]);
    net.run(1000);
    expect(asked()).to.deep.equal([1, 1, 1]);
  });

  it('ends on a lying digest and serves others', () => {
    const { net, node, puppets, links } = setUp(2, { antiEntropyIntervalMs: 1000 });
    const item = puppets[1]!.item('commit');
    serve(puppets[0]!, [], {
      digest: ({ id, payload }) => ({ ...digestOf([item])({ id, payload } as never), hash: sha256('lie') }),
    });
    serve(puppets[1]!, [item]);
    net.until(() => holds(node, item), 20_000, 'the honest peer');
    expect(requests(links[0]!)).to.have.length(0);
  });
});
