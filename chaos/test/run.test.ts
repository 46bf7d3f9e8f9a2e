import { expect } from 'chai';
import { parseManifest } from '../../harness/manifest.ts';
import type { Plan } from '../../harness/plan.ts';
import type { RunEvent } from '../../harness/recorder.ts';
import { resolve } from '../../harness/resolve.ts';
import { metricRows, reportModel, verdictJson } from '../../harness/summary.ts';
import { type RunRecord, runScenario } from '../run.ts';
import { type FakeOptions, fakeEngine } from './fake-engine.ts';

const plan = (extra = '', seconds = 3): Plan =>
  resolve(
    parseManifest(
      `nodes: {count: 5, bootstrap: 2}\nload: {commits_per_second: 8}\nduration_s: ${seconds}\nsettle_s: 4\nexpect: {sync_ms: 4000, convergence_ms: 2000}\n${extra}`,
      'fake.yaml',
    ),
    { seed: 7 },
  );

async function run(
  of: Plan,
  options: FakeOptions = {},
): Promise<{ record: RunRecord; done: string[]; events: RunEvent[] }> {
  const engine = fakeEngine(options);
  const events: RunEvent[] = [];
  const record = await runScenario(of, engine, {
    engine: { outDir: '/nowhere' },
    onEvent: (event) => events.push(event),
  });
  return { record, done: engine.done, events };
}

const verdictOf = (record: RunRecord, id: string): string | undefined =>
  record.findings.find((finding) => finding.id === id)?.verdict;

describe('a run', () => {
  it('goes through its stages, measures, judges and stops', async () => {
    const { record, done, events } = await run(plan());
    const stages = events.filter((event) => event.kind === 'stage').map(({ stage }) => stage);
    expect(stages).to.deep.equal(['start', 'settle', 'load', 'converge', 'judge', 'stop']);
    expect(done.at(-1)).to.equal('stop');
    expect(record.history.commits).to.have.length(24);
    expect(record.history.commits.every(({ outcome }) => outcome === 'accepted')).to.equal(true);
    for (const id of [
      'nodes.up',
      'liveness.discovery',
      'liveness.convergence',
      'load.acknowledged',
      'overlay.connected',
    ])
      expect(verdictOf(record, id), id).to.equal('pass');
    expect(record.measured.convergence).to.have.length(24);
    const asked = record.history.census.map(({ at }) => at);
    expect(record.history.linkSamples.at(-1)!.at).to.be.at.least(Math.max(...asked));
    expect(record.history.monitored['SIG-01']).to.be.greaterThan(50);
    const json = verdictJson(record, 'npm run testnet');
    expect(Object.keys(json)).to.deep.equal([
      'verdict',
      'engine',
      'scenario',
      'seed',
      'nodes',
      'host',
      'metrics',
      'checks',
      'replay',
    ]);
    expect(json.metrics.convergence_ms.n).to.equal(24);
    expect(metricRows(record).map(({ id }) => id)).to.deep.equal(Object.keys(json.metrics));
    const model = reportModel(record, 'again', (node) => `logs/${node}.log`);
    expect(model.overlay).to.have.length(10);
    expect(
      model.commits.every(({ expected, reachedMs }) => expected === 4 && reachedMs.length === 4),
    ).to.equal(true);
    expect(JSON.parse(JSON.stringify(record.history))).to.deep.equal(record.history);
  }).timeout(30_000);

  it('keeps what it judged where something cannot be taken down, and says so', async () => {
    const { record } = await run(plan('', 1), {
      onStop: () => {
        throw new Error('one container would not go');
      },
    });
    expect(verdictOf(record, 'nodes.up')).to.equal('pass');
    expect(record.history.notes.at(-1)!.text).to.equal(
      'left behind: one container would not go (the next start removes what it can)',
    );
  }).timeout(30_000);

  it('does not blame a node that the engine cannot start again', async () => {
    const faults = 'faults: [{kind: kill, nodes: node-3, at_s: 0.2, for_s: 0.3}]';
    const { record } = await run(plan(faults, 1), { onlyOnce: ['node-3'] });
    expect(record.history.lives.findLast(({ node }) => node === 'node-3')!.end).to.equal(
      'stopped: the engine has no room',
    );
    expect(verdictOf(record, 'nodes.up')).to.not.equal('fail');
    expect(record.history.trouble).to.deep.equal([
      'node-3 could not be started again: the engine has no room',
    ]);
  }).timeout(30_000);

  it('applies faults with receipts, cures them, and brings nodes back', async () => {
    const faults = `late_joiners: [{at_s: 1}]
faults:
  - {kind: partition, groups: [[node-1], [node-2, node-3, node-4]], at_s: 0.3, for_s: 0.5}
  - {kind: kill, nodes: node-3, at_s: 1.2, for_s: 0.3}
  - {kind: wipe, nodes: node-4, at_s: 1.3, for_s: 0.3}
  - {kind: pause, nodes: node-2, at_s: 2, for_s: 0.3}
`;
    const { record, done } = await run(plan(faults));
    const at = (what: string): number => done.indexOf(what);
    expect(at('apply cut 14')).to.be.greaterThan(-1).and.below(at('cure cut'));
    expect(at('apply down 8')).to.be.greaterThan(-1).and.below(at('kill node-3'));
    expect(done.filter((what) => what === 'start node-3')).to.have.length(2);
    expect(at('kill node-4')).to.be.below(at('wipe node-4'));
    expect(at('wipe node-4')).to.be.below(done.lastIndexOf('start node-4'));
    expect(at('pause node-2')).to.be.greaterThan(-1).and.below(at('resume node-2'));
    expect(record.history.faults.map(({ outcome }) => outcome)).to.deep.equal([
      'applied',
      'applied',
      'applied',
      'applied',
    ]);
    expect(record.history.faults.every(({ receipt, cure }) => receipt !== null && cure !== null)).to.equal(
      true,
    );
    expect(verdictOf(record, 'faults.applied')).to.equal('pass');
    const lives = record.history.lives.filter(({ node }) => node === 'node-4');
    expect(lives.map(({ wiped, end }) => [wiped, end])).to.deep.equal([
      [false, 'killed'],
      [true, null],
    ]);
    const witnesses = record.history.commits.filter(({ purpose }) => purpose === 'witness');
    expect(witnesses.map(({ node }) => node)).to.deep.equal(['node-3', 'node-3', 'node-3']);
    const reasons = new Set(record.measured.obligations.map(({ reason }) => reason));
    expect([...reasons]).to.include.members(['fresh', 'late', 'restarted', 'wiped']);
    expect(verdictOf(record, 'safety.no-honest-cut-off')).to.equal('pass');
    expect(verdictOf(record, 'liveness.sync')).to.equal('pass');
  }).timeout(30_000);

  it('skips with the reason what the engine cannot do', async () => {
    const faults =
      'faults:\n  - {kind: partition, split: halves, at_s: 0.2, for_s: 0.5}\n  - {kind: kill, nodes: node-3, at_s: 0.4, for_s: 0.3}\n';
    const { record, done } = await run(plan(faults, 2), { abilities: ['kill', 'restart'] });
    expect(done.some((what) => what.startsWith('apply'))).to.equal(false);
    expect(done).to.include('kill node-3');
    const skipped = record.findings.find(({ id }) => id === 'faults.skipped');
    expect(skipped?.because).to.contain('partition-1: this engine lacks the ability links');
    expect(verdictOf(record, 'faults.applied')).to.equal('pass');
  }).timeout(30_000);

  it('keeps to the lower limits of a scenario, over the lives of a node', async () => {
    const low = 'faults: [{kind: kill, nodes: node-3, at_s: 1, for_s: 0.3}]\n';
    const of = plan(low, 3);
    of.load.commitsPerSecond = 20;
    for (const node of of.nodes) node.parameters = { commits_per_minute: 5, queries_per_minute: 1 };
    const { record } = await run(of);
    expect(record.history.commits.filter(({ node }) => node === 'node-3')).to.have.length.within(9, 18);
    expect(verdictOf(record, 'load.acknowledged')).to.equal('pass');
    expect(record.history.rebuffs).to.deep.equal([]);
  }).timeout(30_000);

  it('says unknown, not fail, when a fault has no receipt', async () => {
    const faults = 'faults:\n  - {kind: cut, from: node-1, at_s: 0.2, for_s: 0.5}\n';
    const { record } = await run(plan(faults, 1), { refuses: 'cut' });
    expect(verdictOf(record, 'faults.applied')).to.equal('unknown');
    expect(record.history.trouble.join()).to.contain('no receipt for cut');
    expect(record.verdict).to.not.equal('pass');
  }).timeout(30_000);

  const undone: [FakeOptions['fails'], string, string[], string][] = [
    [
      'kill',
      '{kind: kill, nodes: node-3, at_s: 0.2, for_s: 0.5}',
      ['kill node-3', 'start node-3', 'cure down'],
      'nobody said that it ended',
    ],
    [
      'pause',
      '{kind: pause, nodes: node-3, at_s: 0.2, for_s: 0.5}',
      ['pause node-3', 'resume node-3'],
      'nobody said that it paused',
    ],
    [
      'perturb',
      '{kind: engine, ability: certificate, nodes: node-3, at_s: 0.2, for_s: 0.5}',
      ['terminate node-3', 'start node-3', 'cure down'],
      'no certificate',
    ],
    ['lift', '{kind: down, from: node-3, at_s: 0.2, for_s: 0.3}', ['apply down 8', 'cure down'], 'no answer'],
    [
      'lift',
      '{kind: kill, nodes: node-3, at_s: 0.2, for_s: 0.3}',
      ['kill node-3', 'start node-3', 'cure down'],
      'no answer',
    ],
  ];
  for (const [fails, fault, expected, words] of undone) {
    it(`undoes a fault that fails half way (${fails} of ${/kind: (\w+)/.exec(fault)?.[1]}), and holds it against nobody`, async () => {
      const abilities: FakeOptions['abilities'] = [
        'kill',
        'pause',
        'restart',
        'wipe',
        'links',
        'certificate',
      ];
      const { record, done } = await run(plan(`faults:\n  - ${fault}\n`, 2), { fails: fails!, abilities });
      const [first, ...rest] = expected;
      const after = done.slice(done.lastIndexOf(first!));
      expect(after).to.include.members(rest);
      const [failed] = record.history.faults;
      expect(failed!.outcome).to.equal('failed');
      expect(failed!.because).to.contain(words);
      expect(record.history.trouble).to.have.length(1);
      for (const { until } of record.history.severings) expect(until).to.be.a('number');
      const life = record.history.lives.findLast(({ node }) => node === 'node-3')!;
      expect([life.endedAt, life.reachableAt !== null]).to.deep.equal([null, true]);
      expect(verdictOf(record, 'faults.applied')).to.equal('unknown');
      const culprits = record.findings.filter(({ verdict }) => verdict === 'fail');
      expect(culprits).to.deep.equal([]);
    }).timeout(30_000);
  }

  it('says unknown, not pass, when something speaks against a receipt', async () => {
    const faults = 'faults:\n  - {kind: cut, from: node-1, at_s: 0.2, for_s: 0.5}\n';
    const { record } = await run(plan(faults, 1), { evidence: { proved: false } });
    const applied = record.findings.find(({ id }) => id === 'faults.applied')!;
    expect(applied.verdict).to.equal('unknown');
    expect(applied.because).to.contain('cut-1: what was seen speaks against "cut on 8 links"');
    expect(record.history.trouble).to.have.length(2);
    expect(record.verdict).to.equal('unknown');
  }).timeout(30_000);

  it('names the node that keeps what it takes to itself', async () => {
    const { record } = await run(plan('', 3), { selfish: ['node-4'] });
    const finding = record.findings.find(({ id }) => id === 'liveness.convergence');
    expect(finding?.verdict === 'fail' || record.history.host.overloaded, finding?.because).to.equal(true);
    expect(finding?.because).to.contain('node-4');
  }).timeout(30_000);

  it('goes on without a node that never listens, and names it', async () => {
    const { record } = await run(plan('', 1), { dead: ['node-5'] });
    const finding = record.findings.find(({ id }) => id === 'nodes.up');
    expect(finding?.verdict).to.equal('fail');
    expect(finding?.culprits).to.deep.equal(['node-5']);
    expect(verdictOf(record, 'liveness.discovery')).to.equal('pass');
  }).timeout(30_000);

  it('skips a fault whose node is not up, instead of taking it for trouble of the harness', async () => {
    const faults = 'faults:\n  - {kind: kill, nodes: node-5, at_s: 0.2, for_s: 0.3}\n';
    const { record, done } = await run(plan(faults, 1), { dead: ['node-5'] });
    expect(done).not.to.include('kill node-5');
    const skipped = record.findings.find(({ id }) => id === 'faults.skipped');
    expect(skipped?.because).to.contain('kill-1: node-5 was not up');
    expect(record.history.trouble).to.deep.equal([]);
    expect(verdictOf(record, 'nodes.up')).to.equal('fail');
  }).timeout(30_000);

  it('stops everything when it is interrupted', async () => {
    const engine = fakeEngine();
    const interrupted = new AbortController();
    const running = runScenario(plan('', 20), engine, {
      engine: { outDir: '/nowhere' },
      signal: interrupted.signal,
      onEvent: (event) => {
        if (event.kind === 'stage' && event.stage === 'load')
          setTimeout(() => interrupted.abort(new Error('enough')), 300);
      },
    });
    const error = await running.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect((error as Error).message).to.equal('enough');
    expect(engine.done.at(-1)).to.equal('stop');
  }).timeout(30_000);

  it('cures nothing before it stops, when it is interrupted under a fault', async () => {
    const engine = fakeEngine();
    const interrupted = new AbortController();
    const faults = 'faults:\n  - {kind: kill, nodes: node-3, at_s: 0.2, for_s: 15}\n';
    const running = runScenario(plan(faults, 20), engine, {
      engine: { outDir: '/nowhere' },
      signal: interrupted.signal,
      onEvent: (event) => {
        if (event.kind === 'fault' && event.phase === 'applied') interrupted.abort(new Error('enough'));
      },
    });
    expect(await running.catch((reason: Error) => reason.message)).to.equal('enough');
    expect(engine.done.slice(engine.done.indexOf('kill node-3'))).to.deep.equal(['kill node-3', 'stop']);
  }).timeout(30_000);
});
