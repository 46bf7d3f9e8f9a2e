import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { expect } from 'chai';
import type { EngineEvent, EngineOptions, RunningNode, RunningTestnet } from '../../../engine.ts';
import type { Plan } from '../../../plan.ts';
import { runsRoot } from '../../../run-record.ts';
import { UsageError } from '../../../usage-error.ts';
import { openAuthority } from '../../../wire/authority.ts';
import { freshIdentity } from '../../../wire/identity.ts';
import { probe, probeContext } from '../../probe.ts';
import { stubPlan as plan } from '../../test/stub-plan.ts';
import type { Addresses } from '../addresses.ts';
import { processEngine } from '../engine.ts';
import { stubArgv, stubCommand } from './fixture.ts';

describe('the process engine', () => {
  let outDir: string;
  let events: EngineEvent[];
  const running: RunningTestnet[] = [];

  beforeEach(() => {
    outDir = mkdtempSync(join(tmpdir(), 'cle-engine-'));
    events = [];
  });
  afterEach(async () => {
    for (const testnet of running.splice(0)) await testnet.stop();
    rmSync(outDir, { recursive: true });
  });

  const start = async (
    what: Plan,
    options: Partial<EngineOptions> & { behaviour?: string } = {},
    scheme?: Addresses['scheme'],
  ): Promise<RunningTestnet> => {
    const engine = await processEngine(scheme);
    const { behaviour, ...given } = options;
    const testnet = await engine.start(what, {
      outDir,
      reference: { command: stubArgv(behaviour ?? 'config'), folder: '/nowhere' },
      onEvent: (event) => events.push(event),
      ...given,
    });
    running.push(testnet);
    return testnet;
  };
  const refusal = async (work: Promise<unknown>): Promise<string> => {
    const error = await work.then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    expect(error).to.be.instanceOf(UsageError);
    return error!.message;
  };
  /** Other harnesses may be at work on this host. */
  const ownRuns = (): string[] =>
    existsSync(runsRoot()) ? readdirSync(runsRoot()).filter((id) => id.startsWith(`${process.pid}-`)) : [];
  const configOf = (node: RunningNode): { hosts: Record<string, string>; advertise: string } =>
    JSON.parse(
      readFileSync(node.logFile, 'utf8')
        .split('\n')
        .find((line) => line.startsWith('{'))!,
    );
  const contextOf = async ({ ca }: RunningTestnet): Promise<SecureContext> => {
    const identity = freshIdentity();
    const authority = await openAuthority(ca.certificatePem, ca.keyPem);
    const { pem } = await authority.issue(identity);
    return probeContext({
      keyPem: identity.keyPem,
      certificatePem: pem,
      caPem: ca.certificatePem,
    });
  };
  /** Where `from` finds `to`. */
  const linkOf = (testnet: RunningTestnet, from: string, to: string): string => {
    const { hosts } = configOf(testnet.nodes.get(from)!);
    const port = configOf(testnet.nodes.get(to)!).advertise.split(':')[1];
    return `${hosts[to]}:${port}`;
  };

  it('starts every node that is due on an address of its own, and says when each was ready', async () => {
    const testnet = await start(plan(5, (index) => (index === 5 ? { startAtMs: 1000 } : {})));
    const states = [...testnet.nodes.values()].map(({ state }) => state);
    expect(states).to.deep.equal(['ready', 'ready', 'ready', 'ready', 'planned']);
    expect(new Set([...testnet.nodes.values()].map(({ address }) => address)).size).to.equal(5);
    expect(testnet.readyAtMs.size).to.equal(4);
    for (const { startedAt, readyAt } of testnet.readyAtMs.values())
      expect(readyAt).to.be.greaterThan(startedAt);
    const context = await contextOf(testnet);
    for (const node of testnet.nodes.values()) {
      const outcome = await probe(node.address, context, 2000);
      expect(outcome.kind).to.equal(node.name === 'node-5' ? 'refused' : 'ready');
    }
    const late = testnet.nodes.get('node-5')!;
    await late.start();
    await late.ready(20_000);
    expect(testnet.readyAtMs.has('node-5')).to.equal(true);
    expect(events.filter((event) => event.kind === 'node' && event.state === 'ready')).to.have.length(5);
    expect(readdirSync(join(outDir, 'logs'))).to.have.length(5);
  });

  it('puts a link of its own between every two nodes, which the fault plane governs', async () => {
    const testnet = await start(plan(3));
    const context = await contextOf(testnet);
    const there = linkOf(testnet, 'node-1', 'node-2');
    const other = linkOf(testnet, 'node-3', 'node-2');
    expect(there).to.not.equal(other);
    expect(there).to.not.equal(testnet.nodes.get('node-2')!.address);
    expect((await probe(there, context, 2000)).kind).to.equal('ready');
    const counted = (await testnet.links.counters()).filter(({ accepted }) => accepted! > 0);
    expect(counted.map(({ from, to }) => `${from}>${to}`)).to.deep.equal(['node-1>node-2']);
    const fault = await testnet.links.apply([{ from: 'node-1', to: 'node-2' }], { kind: 'down' });
    expect((await probe(there, context, 2000)).kind).to.equal('refused');
    expect((await probe(other, context, 2000)).kind).to.equal('ready');
    await fault.cure();
    expect((await probe(there, context, 2000)).kind).to.equal('ready');
  });

  it('kills, restarts, stops, continues and wipes single nodes', async () => {
    const testnet = await start(plan(2));
    const node = testnet.nodes.get('node-2')!;
    const pid = node.pid!;
    expect((await node.kill()).evidence).to.include({ exitSignal: 'SIGKILL', pid });
    expect(node.state).to.equal('stopped');
    expect(node.pid).to.equal(null);
    expect((await node.wipe()).evidence).to.include({ removedFiles: 1 });
    await node.start();
    await node.ready(20_000);
    expect((await node.pause()).evidence).to.include({ kernelStates: 'T' });
    await node.resume();
    expect((await node.terminate()).evidence).to.include({ exitCode: 0 });
    expect(testnet.nodes.get('node-1')!.state).to.equal('ready');
  });

  it('lives with a foreign node that fails, and names it', async () => {
    const testnet = await start(plan(3, (index) => (index === 2 ? { command: stubCommand('exits') } : {})));
    expect(testnet.nodes.get('node-2')!.state).to.equal('failed');
    expect(testnet.nodes.get('node-2')!.failure).to.match(/^node-2 ended with exit code 2 .*no such thing/);
    expect(testnet.nodes.get('node-3')!.state).to.equal('ready');
    expect(events.find((event) => event.kind === 'node' && event.state === 'failed')).to.include({
      node: 'node-2',
    });
  });

  it('refuses in one line what cannot be started at all, and leaves nothing', async () => {
    const before = ownRuns();
    const foreign = plan(3, () => ({ command: 'no-such-program' }));
    expect(await refusal(start(foreign))).to.match(
      /^node-1 could not be started: the command "no-such-program" .* \(none of 3 nodes came up\)$/,
    );
    expect(await refusal(start(plan(2, () => ({ image: 'cle:1' }))))).to.match(
      /node-1 \(group all\) names the image "cle:1"/,
    );
    expect(await refusal(start(plan(251)))).to.match(/250 nodes/);
    expect(await refusal(start(plan(2), { toxiproxyUrl: 'http://127.0.0.1:1' }))).to.match(
      /^--toxiproxy http:\/\/127\.0\.0\.1:1: no Toxiproxy answers/,
    );
    expect(ownRuns()).to.deep.equal(before);
  });

  it('gives up a start when told, at once and without a trace', async () => {
    const before = ownRuns();
    const abort = new AbortController();
    const reason = new Error('enough');
    const stuck = plan(3, () => ({ command: stubCommand('never-listens') }));
    const started = start(stuck, {
      signal: abort.signal,
      onEvent: (event) => {
        if (event.kind === 'node' && event.state === 'starting') setTimeout(() => abort.abort(reason), 200);
      },
    });
    const at = performance.now();
    const error = await started.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).to.equal(reason);
    expect(performance.now() - at).to.be.lessThan(15_000);
    expect(ownRuns()).to.deep.equal(before);
  });

  it('runs two nets side by side on one host, and keeps folders when asked', async () => {
    const [one, two] = await Promise.all([
      start(plan(2)),
      start(plan(2), { keep: true, outDir: join(outDir, 'two') }),
    ]);
    const addresses = [...one.nodes.values(), ...two.nodes.values()].map(({ address }) => address);
    expect(new Set(addresses).size).to.equal(4);
    await two.stop();
    expect(one.nodes.get('node-1')!.state).to.equal('ready');
    expect(readdirSync(join(outDir, 'two', 'nodes', 'node-2')).sort()).to.include.members([
      'cle.yaml',
      'data',
    ]);
  });

  it('manages without aliases: one proxy per listener on ports of 127.0.0.1, no faults between two nodes', async () => {
    expect((await processEngine('ports')).abilities.has('links')).to.equal(false);
    expect((await processEngine('aliases')).abilities.has('links')).to.equal(true);
    const testnet = await start(plan(3), {}, 'ports');
    const context = await contextOf(testnet);
    expect(linkOf(testnet, 'node-1', 'node-2')).to.equal(linkOf(testnet, 'node-3', 'node-2'));
    expect((await probe(linkOf(testnet, 'node-1', 'node-2'), context, 2000)).kind).to.equal('ready');
    expect((await testnet.links.counters()).map(({ from, to }) => `${from}>${to}`)).to.deep.equal([
      '*>node-1',
      '*>node-2',
      '*>node-3',
    ]);
    expect(events.find(({ kind }) => kind === 'info')).to.deep.include({ kind: 'info' });
  });
});
