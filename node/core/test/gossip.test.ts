/** Gossip (§7), anti-entropy and checkpoints (§8) of one core, driven by puppets that serve, lie or keep silent. */
import { expect } from 'chai';
import { canonical } from '../canonical.ts';
import { cutCheckpoint } from '../checkpoint.ts';
import { float } from '../json.ts';
import { PrefixTree } from '../tree.ts';
import {
  bodies,
  createNet,
  epochS,
  gossip,
  hashOf,
  type JsonObject,
  type Message,
  type Net,
  type Puppet,
  type PuppetLink,
  type SimNode,
  sha256,
} from './fixture.ts';

const quiet = { antiEntropyIntervalMs: 0, checkpointIntervalMs: 0, commitsPerMinute: 1000 };
const peer = { connection_type: 'persistent', capabilities: ['gossip', 'sync'] };
const uuid = (i: number) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;

/** A node and `count` persistent puppets with gossip. */
function setUp(count: number, parameters = {}, hello: JsonObject = peer) {
  const net = createNet(7);
  const node = net.node('n', { parameters: { ...quiet, ...parameters } });
  const puppets = Array.from({ length: count }, (_, i) => net.puppet(`p${i}`));
  const links = puppets.map((puppet) => puppet.dial(node, hello));
  return { net, node, puppets, links };
}

const announces = (link: PuppetLink) => link.of('gossip', 'announce');
const requests = (link: PuppetLink) => link.of('gossip', 'request');
const holds = (node: SimNode, item: JsonObject) => node.core.holds(hashOf(item));

/** Answers item requests from what is in `items`, digests and state_sync from what is given. */
function serve(puppet: Puppet, items: readonly JsonObject[], more: Partial<Serving> = {}): void {
  const byHash = new Map(items.map((item) => [hashOf(item), item]));
  puppet.answer = (message, link) => {
    if (message.type === 'gossip' && message.payload.gossip_type === 'request') {
      const hashes = message.payload.item_hashes as string[];
      const found: string[] = [];
      let bytes = 0;
      for (const hash of hashes) {
        if (!byHash.has(hash)) continue;
        bytes += canonical(byHash.get(hash)!).length + 80;
        if (bytes < 50_000) found.push(hash);
      }
      link.send(
        'gossip',
        gossip(puppet, {
          gossip_id: uuid(1),
          gossip_type: 'response',
          topic: 'items',
          ttl: 0,
          item_hashes: found,
          request_id: message.id,
          items: found.map((hash) => byHash.get(hash)!),
          missing: hashes.filter((hash) => !byHash.has(hash)),
        }),
      );
    }
    if (message.type === 'sync_digest' && message.payload.request_id === undefined) {
      link.send('sync_digest', (more.digest ?? digestOf(items))(message));
    }
    if (message.type === 'state_sync') more.stateSync?.(message, link);
  };
}
interface Serving {
  digest: (message: Message) => JsonObject;
  stateSync: (message: Message, link: PuppetLink) => void;
}

function treeOf(items: readonly JsonObject[]): PrefixTree {
  const tree = new PrefixTree(sha256);
  for (const item of items) tree.add(hashOf(item).slice(5));
  return tree;
}

function digestOf(items: readonly JsonObject[]): (message: Message) => JsonObject {
  const tree = treeOf(items);
  return ({ id, payload }) => {
    const prefix = payload.prefix as string;
    const count = tree.count(prefix);
    return {
      request_id: id,
      root: tree.root(),
      prefix,
      count,
      hash: tree.hash(prefix),
      ...(count <= 500
        ? { item_hashes: tree.hashes(prefix).map((hash) => `rule_${hash}`) }
        : { children: tree.children(prefix) }),
    };
  };
}

function announce(
  link: PuppetLink,
  from: Puppet,
  id: number,
  hashes: readonly string[],
  members: JsonObject = {},
) {
  link.send('gossip', gossip(from, { gossip_id: uuid(id), item_hashes: [...hashes], ...members }));
}

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
});

function puppetSign(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = Buffer.from(sha256(Buffer.concat([publicKey, message])), 'hex');
  return Buffer.concat([half, Buffer.from(sha256(half), 'hex')]);
}
