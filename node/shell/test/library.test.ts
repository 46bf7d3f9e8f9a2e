/** Real nodes on loopback, as a program would use them (design §10): they meet, agree, serve metrics, stop, come back. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ThrowawayIdentity } from '../../throwaway-net.ts';
import { ConfigurationError, type RunningNode, startNode } from '../library.ts';
import { createTestNet, type TestNet, wireConfiguration } from './fixtures/shell-net.ts';

const commit = (n: number) => ({
  type: 'commit' as const,
  payload: {
    rule_hash: `rule_${n.toString(16).padStart(64, '0')}`,
    logic_signature: 'logic ü',
    context_signature: 'context',
    confidence: 0.75,
    evidence_count: n,
    metadata: { nested: { list: [1, 2.5, 'x', null, true] } },
  },
});

describe('shell: library', function () {
  this.timeout(30_000);
  let net: TestNet;
  let data: string;
  let identities: ThrowawayIdentity[];
  const running: RunningNode[] = [];
  /** A loopback address of this test run's own, so that the default port is free there. */
  const slice = 1 + (process.pid % 250);
  const address = (n: number) => `127.77.${slice}.${n + 1}`;

  before(async () => {
    net = await createTestNet();
    data = mkdtempSync(join(tmpdir(), 'cle-library-'));
    identities = await Promise.all([0, 1, 2].map((n) => net.issue(`n${n}`)));
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((node) => node.stop()));
  });
  after(() => {
    net.end();
    rmSync(data, { recursive: true, force: true });
  });

  const configuration = (n: number, more: Record<string, unknown> = {}) =>
    wireConfiguration(identities[n]!, join(data, `n${n}`), {
      listen: `${address(n)}:8888`,
      advertise: `node-${n}:8888`,
      hosts: Object.fromEntries(identities.map((_, index) => [`node-${index}`, address(index)])),
      bootstrap_nodes: [{ host: 'node-0', port: 8888, public_key: identities[0]!.publicKeyBase64 }],
      parameters: { anti_entropy_interval_s: 0.2, commits_per_minute: 1000 },
      ...more,
    });
  const start = async (n: number, more?: Record<string, unknown>) => {
    const node = await startNode(configuration(n, more));
    running.push(node);
    return node;
  };
  const until = async (what: string, holds: () => boolean, withinMs = 10_000) => {
    const endAt = performance.now() + withinMs;
    while (!holds()) {
      if (performance.now() > endAt) throw new Error(`not within ${withinMs} ms: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };

  it('three nodes meet through one bootstrap node and agree on every item; a restarted one still has them', async () => {
    const nodes = await Promise.all([start(0), start(1), start(2)]);
    await until('everybody has two peers', () => nodes.every((node) => node.overview().peers === 2));
    const published = await Promise.all(
      Array.from({ length: 30 }, (_, i) => nodes[i % 3]!.broadcast(commit(i))),
    );
    expect(new Set(published.map(({ itemHash }) => itemHash))).to.have.length(30);
    for (const { itemHash, status } of published) {
      expect(itemHash).to.match(/^rule_[0-9a-f]{64}$/);
      expect(status).to.equal('accepted');
      await until('everybody holds the item', () =>
        nodes.every((node) => node.status(itemHash) === 'durable'),
      );
    }
    expect(nodes[0]!.status(`rule_${'0'.repeat(64)}`)).to.equal('unknown');
    const root = nodes[0]!.overview().stateRoot;
    for (const node of nodes) expect(node.overview()).to.include({ items: 30, stateRoot: root });
    await nodes[1]!.stop();
    await until('the loss is seen', () => nodes[0]!.overview().peers === 1);
    const again = await start(1);
    expect(again.overview()).to.include({ items: 30, stateRoot: root });
    await until('it is back', () => again.overview().peers === 2);
    await nodes[2]!.stop();
    await nodes[2]!.stop();
  });

  it('rejects a body that §6 refuses, and what JSON cannot say', async () => {
    const node = await start(0);
    const { items } = node.overview();
    const bad = commit(1);
    const outcome = (item: Parameters<RunningNode['broadcast']>[0]) =>
      node.broadcast(item).then(
        ({ status }) => status,
        (error: Error) => error.message,
      );
    expect(await outcome({ ...bad, payload: { ...bad.payload, confidence: 1.5 } })).to.not.equal('accepted');
    expect(await outcome({ ...bad, payload: { ...bad.payload, metadata: () => 1 } })).to.match(
      /payload\.metadata/,
    );
    expect(await outcome(commit(99))).to.equal('accepted');
    expect(node.overview().items).to.equal(items + 1);
  });

  it('serves metrics in Prometheus text', async () => {
    const node = await start(0, { metrics: `${address(0)}:9100` });
    await node.broadcast(commit(77));
    const response = await fetch(`http://${address(0)}:9100/metrics`);
    expect(response.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    for (const name of [
      'cle_peers 0',
      `cle_items ${node.overview().items}`,
      'cle_checkpoint_height ',
      'cle_verification_failures_total 0',
      'cle_rate_limited_total 0',
      'cle_anti_entropy_rounds_total ',
      'cle_event_loop_lag_seconds ',
    ]) {
      expect(text).to.include(`\n${name}`);
    }
    expect((await fetch(`http://${address(0)}:9100/other`)).status).to.equal(404);
  });

  it('names a port in use, for the protocol and for metrics, and leaves nothing open', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(9101, address(2), resolve));
    const failure = async (more: Record<string, unknown>) => {
      const error = await startNode(configuration(2, more)).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(ConfigurationError);
      return (error as Error).message;
    };
    expect(await failure({ listen: `${address(2)}:9101` })).to.equal(
      `configuration: listen: ${address(2)}:9101 is in use`,
    );
    expect(await failure({ metrics: `${address(2)}:9101` })).to.equal(
      `configuration: metrics: ${address(2)}:9101 is in use`,
    );
    expect(await failure({ listen: '203.0.113.7:8888' })).to.match(
      /listen: 203\.0\.113\.7:8888 is no address/,
    );
    blocker.close();
    const refused = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(8888, address(2));
      socket.on('error', () => resolve(true));
      socket.on('connect', () => {
        resolve(false);
        socket.destroy();
      });
    });
    expect(refused, 'the listener is gone').to.equal(true);
    // The store is closed again: the same folder opens.
    await start(2);
  });
});
