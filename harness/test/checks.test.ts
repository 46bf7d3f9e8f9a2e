/** Safety and liveness from made-up histories. */
import { expect } from 'chai';
import { judgeTarget } from '../checks/finding.ts';
import type { History } from '../history.ts';
import { judge } from '../judge.ts';
import { exitCode, type Finding } from '../verdict.ts';
import { addCommit, hashNamed, healthyHistory, lifeOf } from './history-fixture.ts';

const found = (history: History, id: string): Finding => {
  const finding = judge(history).findings.find((one) => one.id === id);
  if (finding === undefined) throw new Error(`no finding ${id}`);
  return finding;
};
const overload = (history: History): void => {
  history.host.overloaded = true;
  history.host.because = 'The host was overloaded: made up.';
};

describe('checks', () => {
  it('pass a healthy run, and say skipped where nothing was to be tested', () => {
    const { verdict, findings } = judge(healthyHistory());
    expect(findings.filter((one) => !['pass', 'skipped'].includes(one.verdict))).to.deep.equal([]);
    expect(verdict).to.equal('pass');
    const skipped = findings.filter((one) => one.verdict === 'skipped').map(({ id }) => id);
    expect(skipped).to.include.members([
      'safety.max-peers',
      'safety.limits',
      'liveness.sync',
      'faults.applied',
    ]);
  });

  it('say of how many nodes they speak where some are dead', () => {
    const history = healthyHistory();
    expect(found(history, 'liveness.discovery').because).to.not.match(/nodes/);
    expect(found(history, 'overlay.connected').because).to.match(/^6 nodes, with /);
    Object.assign(history.lives[2]!, {
      readyAt: null,
      reachableAt: null,
      endedAt: 1_500,
      end: 'failed: exit code 1',
    });
    history.peerLists = history.peerLists.filter(({ node }) => node !== 'node-3');
    expect(found(history, 'liveness.discovery').because).to.match(/ Measured on 5 of 6 nodes\.$/);
    expect(found(history, 'overlay.connected').because).to.match(/^5 of 6 nodes, with /);
  });

  it('say unknown about a run in which nothing happened', () => {
    const history = healthyHistory({ commits: 0 });
    history.peerLists = [];
    history.roundTrips = [];
    history.linkSamples = [];
    history.census = [];
    const unknown = judge(history)
      .findings.filter((one) => one.verdict === 'unknown')
      .map(({ id }) => id);
    expect(unknown).to.include.members([
      'liveness.discovery',
      'liveness.convergence',
      'latency.message',
      'safety.durability',
      'overlay.connected',
      'load.acknowledged',
    ]);
  });

  it('name the node that does not spread what it took', () => {
    const history = healthyHistory();
    for (let n = 0; n < 3; n += 1) addCommit(history, `kept ${n}`, 'node-4', 5_000 + n, null);
    const finding = found(history, 'liveness.convergence');
    expect(finding.verdict).to.equal('fail');
    expect(finding.culprits).to.deep.equal(['node-4']);
    expect(finding.because).to.contain('node-4 took 3 commits that most others did not get in time');
  });

  it('name the node that does not fetch', () => {
    const history = healthyHistory();
    for (let n = 0; n < 3; n += 1) addCommit(history, `missed ${n}`, 'node-1', 5_000 + n, 200, ['node-6']);
    const finding = found(history, 'liveness.convergence');
    expect(finding.verdict).to.equal('fail');
    expect(finding.culprits).to.deep.equal(['node-6']);
  });

  it('turn a missed time target into unknown on an overloaded host, with the figure', () => {
    const history = healthyHistory();
    addCommit(history, 'late', 'node-1', 5_000, 12_000);
    expect(found(history, 'liveness.convergence').verdict).to.equal('fail');
    overload(history);
    const finding = found(history, 'liveness.convergence');
    expect(finding.verdict).to.equal('unknown');
    expect(finding.because).to.contain('max 12000 ms').and.to.contain('The host was overloaded: made up.');
    expect(finding.culprits).to.equal(undefined);
  });

  const spoiled = (): History => {
    const history = healthyHistory();
    addCommit(history, 'late', 'node-1', 5_000, 12_000);
    for (const trip of history.roundTrips) if (trip.node === 'node-2') trip.ms = 900;
    Object.assign(history.commits[4]!, { outcome: 'unanswered', detail: 'no answer' });
    history.rebuffs.push({ node: 'node-3', life: 0, at: 9_000, what: 'silence', code: null, detail: '' });
    for (const sample of history.linkSamples)
      sample.links = sample.links.filter(({ from, to }) => from !== 'node-4' && to !== 'node-4');
    for (const list of history.peerLists) list.peers = list.peers.filter((peer) => peer !== 'node-5');
    return history;
  };
  const excusable = [
    'nodes.up',
    'liveness.convergence',
    'latency.message',
    'load.acknowledged',
    'safety.no-honest-cut-off',
    'overlay.connected',
  ];

  it('hold what came late or not at all against nobody when the harness had trouble, and name the trouble', () => {
    const history = spoiled();
    for (const id of excusable) expect(found(history, id).verdict, id).to.equal('fail');
    history.trouble.push('Links could not be counted: the Toxiproxy container is frozen', 'and more.');
    for (const id of excusable) {
      const { verdict, because, culprits } = found(history, id);
      expect(verdict, id).to.equal('unknown');
      expect(because, id).to.match(/trouble of its own: Links could not .* is frozen \(and 1 more\)\.$/);
      expect(culprits, id).to.equal(undefined);
    }
    history.linkSamples = [];
    expect(exitCode(judge(history).verdict)).to.equal(3);
  });

  it('do not excuse by trouble of the harness what it cannot cause', () => {
    const history = healthyHistory();
    history.trouble.push('made up');
    expect(exitCode(judge(history).verdict)).to.equal(3);
    history.census.find(({ node }) => node === 'node-2')!.lacks = [hashNamed('c1')];
    Object.assign(history.commits[4]!, { outcome: 'refused', detail: 'INVALID_SIGNATURE' });
    history.rebuffs.push({ node: 'node-1', life: 0, at: 9_000, what: 'closed', code: 4400, detail: '' });
    history.violations.push({ row: 'SIG-01', node: 'node-3', at: 1, detail: 'made up' });
    for (const id of ['safety.durability', 'load.acknowledged', 'safety.no-honest-cut-off', 'wire.SIG-01'])
      expect(found(history, id).verdict, id).to.equal('fail');
    expect(exitCode(judge(history).verdict)).to.equal(1);
  });

  it('do not hold what an overloaded host cannot cause against it', () => {
    const history = healthyHistory();
    overload(history);
    expect(found(history, 'host.kept-up').verdict).to.equal('warn');
    expect(judge(history).verdict).to.equal('pass');
    expect(exitCode(judge(history).verdict)).to.equal(0);
    history.census[2]!.lacks = [hashNamed('c1'), hashNamed('c2')];
    history.census.forEach((census) => {
      census.lacks = [hashNamed('c1')];
    });
    expect(found(history, 'safety.durability').verdict).to.equal('fail');
  });

  it('find an acknowledged commit that is gone, and who lost it', () => {
    const history = healthyHistory();
    history.census.find(({ node }) => node === 'node-2')!.lacks = [hashNamed('c1')];
    const finding = found(history, 'safety.durability');
    expect(finding.verdict).to.equal('fail');
    expect(finding.culprits).to.deep.equal(['node-2']);
  });

  it('excuse what went with a wiped disk before anybody else had it, and nothing more', () => {
    const wiped = (): History => {
      const history = healthyHistory();
      history.lives[1] = lifeOf('node-2', { endedAt: 20_000, end: 'killed' });
      history.lives.push(
        lifeOf('node-2', { number: 1, startedAt: 22_000, readyAt: 23_000, reachableAt: 23_000, wiped: true }),
      );
      return history;
    };
    const history = wiped();
    const hash = addCommit(history, 'gone', 'node-2', 19_990, null);
    for (const census of history.census) census.lacks = [hash];
    expect(found(history, 'safety.durability').verdict).to.equal('pass');
    const known = wiped();
    const spread = addCommit(known, 'spread', 'node-2', 19_000, 300);
    for (const census of known.census) census.lacks = [spread];
    expect(found(known, 'safety.durability').verdict).to.equal('fail');
  });

  it('excuse a witness that came back after the kill and went with the disk right after', () => {
    const history = healthyHistory();
    history.lives[1] = lifeOf('node-2', { endedAt: 20_000, end: 'killed' });
    const again = { startedAt: 22_000, readyAt: 23_000, reachableAt: 23_000 };
    history.lives.push(lifeOf('node-2', { number: 1, ...again, endedAt: 23_800, end: 'killed' }));
    history.lives.push(
      lifeOf('node-2', { number: 2, startedAt: 26_000, readyAt: 27_000, reachableAt: 27_000, wiped: true }),
    );
    const hash = addCommit(history, 'witness', 'node-2', 19_999, null);
    history.commits.at(-1)!.purpose = 'witness';
    history.sightings.push({ hash, node: 'node-2', life: 1, at: 23_300, since: 23_100 });
    for (const census of history.census) census.lacks = [hash];
    expect(found(history, 'safety.durability').verdict).to.equal('pass');
    expect(found(history, 'liveness.sync').verdict).to.not.equal('fail');
  });

  it('find a witness that did not survive the kill, though others have brought back the rest', () => {
    const history = healthyHistory();
    history.lives[1] = lifeOf('node-2', { endedAt: 20_000, end: 'killed' });
    history.lives.push(
      lifeOf('node-2', { number: 1, startedAt: 22_000, readyAt: 23_000, reachableAt: 23_000 }),
    );
    for (let n = 0; n < 20; n += 1) {
      history.sightings.push({
        hash: hashNamed(`c${n}`),
        node: 'node-2',
        life: 1,
        at: 23_300,
        since: 23_100,
      });
    }
    const hash = addCommit(history, 'witness', 'node-2', 19_999, null);
    history.commits.at(-1)!.purpose = 'witness';
    for (const census of history.census) census.lacks = [hash];
    expect(found(history, 'safety.durability').verdict).to.equal('fail');
    history.sightings.push({ hash, node: 'node-2', life: 1, at: 23_300, since: 23_100 });
    for (const life of history.lives) {
      if (life.node !== 'node-2')
        history.sightings.push({ hash, node: life.node, life: 0, at: 24_000, since: 23_800 });
    }
    for (const census of history.census) census.lacks = [];
    const finding = found(history, 'safety.durability');
    expect(finding.verdict).to.equal('pass');
    expect(finding.proves).to.deep.equal(['DUR-01']);
  });

  it('accuse nobody of losing what lies on a disk that was not asked at the end', () => {
    const history = healthyHistory();
    history.lives[1] = lifeOf('node-2', { endedAt: 20_000, end: 'killed' });
    const hash = addCommit(history, 'witness', 'node-2', 19_999, null);
    history.commits.at(-1)!.purpose = 'witness';
    const told = addCommit(history, 'told', 'node-1', 19_999, null);
    history.sightings.push({ hash: told, node: 'node-2', life: 0, at: 19_999, since: 19_990 });
    history.lives[0] = lifeOf('node-1', { endedAt: 20_000, end: 'killed' });
    history.lives.push(lifeOf('node-1', { number: 1, startedAt: 21_000, wiped: true }));
    history.census = history.census.filter(({ node }) => node !== 'node-2');
    for (const census of history.census) census.lacks = [hash, told];
    const finding = found(history, 'safety.durability');
    expect(finding.verdict, finding.because).to.equal('pass');
    expect(finding.because).to.match(/^20 acknowledged commits .* Nothing is said of 2 .*: node-2, who had/);
    history.commits = history.commits.filter(({ purpose }) => purpose === 'witness');
    expect(found(history, 'safety.durability').verdict).to.equal('unknown');
    // Its own disk was asked, or wiped: then it is no excuse.
    history.census.push({ ...history.census[0]!, node: 'node-2', lacks: [hash] });
    expect(found(history, 'safety.durability').culprits).to.deep.equal(['node-2']);
  });

  it('skip what a scenario without load cannot show', () => {
    const history = healthyHistory({ commits: 0 });
    history.plan.load.commitsPerSecond = 0;
    for (const census of history.census) census.handedOut = [];
    history.severings.push({ fault: 'x', kind: 'links', from: 1, until: 9, sides: [['node-1'], ['node-2']] });
    for (const id of ['safety.durability', 'safety.holds-what-it-shows', 'liveness.sync'])
      expect(found(history, id).verdict, id).to.equal('skipped');
    expect(judge(history).verdict).to.equal('pass');
  });

  it('find a node that lists items and does not hand them out, and forgive silence', () => {
    const history = healthyHistory();
    history.census[1]!.handedOut = [{ hash: hashNamed('c1'), whole: null }];
    expect(found(history, 'safety.holds-what-it-shows').verdict).to.equal('pass');
    history.census[1]!.handedOut = [{ hash: hashNamed('c1'), whole: false }];
    expect(found(history, 'safety.holds-what-it-shows').culprits).to.deep.equal([history.census[1]!.node]);
    for (const census of history.census) census.handedOut = [];
    expect(found(history, 'safety.holds-what-it-shows').verdict).to.equal('unknown');
  });

  it('find a checkpoint that fell, but not after a wipe', () => {
    const history = healthyHistory();
    const at = (node: string, life: number, when: number, height: number, hash: string): void =>
      void history.checkpoints.push({ node, life, at: when, height, hash: height === 0 ? null : hash });
    at('node-3', 0, 1_000, 0, '');
    at('node-3', 0, 2_000, 1, 'bb');
    at('node-3', 0, 3_000, 1, 'aa');
    at('node-3', 0, 4_000, 2, 'ff');
    expect(found(history, 'safety.checkpoint-height').verdict).to.equal('pass');
    at('node-3', 0, 5_000, 1, 'aa');
    expect(found(history, 'safety.checkpoint-height').culprits).to.deep.equal(['node-3']);
    history.checkpoints.at(-1)!.life = 1;
    history.lives.push(lifeOf('node-3', { number: 1, startedAt: 4_500, wiped: true }));
    expect(found(history, 'safety.checkpoint-height').verdict).to.equal('pass');
    at('node-3', 1, 6_000, 1, 'cc');
    expect(found(history, 'safety.checkpoint-height').verdict).to.equal('fail');
  });

  it('find a slow start, and forgive those nobody could have found', () => {
    const history = healthyHistory();
    history.peerLists.find(({ node }) => node === 'node-5')!.at = 3_600;
    const finding = found(history, 'liveness.discovery');
    expect(finding.verdict).to.equal('fail');
    expect(finding.culprits).to.deep.equal(['node-5']);
    const second = {
      ms: 1_000,
      lagMs: 5,
      busy: 0.95,
      nodes: 0.4,
      harness: 0.1,
      stolen: 0,
      availableMiB: 9_000,
      hungriest: null,
    };
    history.host.seconds = [1, 2, 3, 4, 5].map((at) => ({ ...second, at: at * 1_000 }));
    expect(found(history, 'liveness.discovery').verdict).to.equal('unknown');
    expect(found(history, 'liveness.discovery').because).to.match(/45 % and more of it with others/);
    // It is looked at to the end of its life, and late it was in the first seconds.
    const last = history.peerLists.find(({ node }) => node === 'node-5')!;
    history.peerLists.push({ ...last, at: 50_000, since: 49_000 });
    const idle = Array.from({ length: 40 }, (_, n) => ({
      ...second,
      busy: 0.1,
      nodes: 0,
      at: 6_000 + n * 1_000,
    }));
    history.host.seconds.push(...idle);
    expect(found(history, 'liveness.discovery').verdict).to.equal('unknown');
    for (const each of history.host.seconds) each.nodes = 0.7;
    expect(found(history, 'liveness.discovery').verdict).to.equal('fail');
    const silent = healthyHistory();
    // node-6 accepts TLS and is never named: the others need not find it, and the failure is its own.
    for (const list of silent.peerLists) list.peers = list.peers.filter((peer) => peer !== 'node-6');
    expect(found(silent, 'liveness.discovery').verdict).to.equal('pass');
    expect(found(silent, 'nodes.up').culprits).to.deep.equal(['node-6']);
  });

  it('bear an hour in which nothing came', () => {
    const sample = { value: null, lookedForMs: 20_000, node: 'node-1', what: 'x', at: 0 };
    const target = {
      id: 'x',
      proves: [],
      things: 'things',
      targetMs: 9,
      statistic: 'max' as const,
      atLeast: 1,
    };
    const samples = new Array(200_000).fill(sample);
    expect(judgeTarget(healthyHistory(), { ...target, samples }).verdict).to.equal('fail');
  });

  it('call no start late that was seen late because the node bears few queries', () => {
    const history = healthyHistory();
    Object.assign(history.peerLists.find(({ node }) => node === 'node-5')!, { at: 4_100, since: 1_600 });
    expect(found(history, 'liveness.discovery').verdict).to.equal('fail');
    history.plan.nodes[4]!.parameters = { queries_per_minute: 10 };
    expect(found(history, 'liveness.discovery').verdict).to.equal('pass');
  });

  it('find a node that asks nobody at its start, though all are as late as it', () => {
    const history = healthyHistory();
    const last = history.linkSamples[0]!.links;
    const dialledBy = (names: readonly string[]) => last.filter(({ from }) => names.includes(from));
    const all = history.plan.nodes.map(({ name }) => name);
    const prompt = all.filter((name) => name !== 'node-4');
    const early = [900, 1_900, 2_900, 3_900, 4_900].map((at) => ({
      at,
      links: at < 1_900 ? [] : dialledBy(at < 4_900 ? prompt : all),
    }));
    history.linkSamples.unshift(...early);
    expect(found(history, 'liveness.discovery').culprits).to.deep.equal(['node-4']);
    expect(found(history, 'liveness.discovery').because).to.match(/max 2900 ms/);
    for (const sample of early) if (sample.at < 4_900) sample.links = [];
    expect(found(history, 'liveness.discovery').culprits).to.have.length(all.length);
    // Not before it could: its links came late.
    history.lives[3]!.reachableAt = 3_500;
    expect(found(history, 'liveness.discovery').culprits).not.to.include('node-4');
    // Its first life has dialled, its second has not.
    history.lives[3]!.endedAt = 20_000;
    history.lives.push(
      lifeOf('node-4', { number: 1, startedAt: 20_500, readyAt: 21_000, reachableAt: 21_000 }),
    );
    expect(found(history, 'liveness.discovery').culprits).to.include('node-4');
  });

  it('name the node that failed to start, with its last words', () => {
    const history = healthyHistory();
    history.lives[3] = lifeOf('node-4', {
      readyAt: null,
      reachableAt: null,
      endedAt: 900,
      end: 'failed: exit code 1: no module',
    });
    const finding = found(history, 'nodes.up');
    expect(finding.verdict).to.equal('fail');
    expect(finding.because).to.equal('node-4: failed: exit code 1: no module.');
    expect(finding.culprits).to.deep.equal(['node-4']);
  });

  it('see one slow node among many fast ones', () => {
    const history = healthyHistory();
    for (const trip of history.roundTrips)
      if (trip.node === 'node-2') trip.ms = trip.at % 800 === 0 ? 900 : 10;
    const finding = found(history, 'latency.message');
    expect(finding.verdict).to.equal('fail');
    expect(finding.culprits).to.deep.equal(['node-2']);
  });

  it('say nothing of a node of which there are few answers, on an overloaded host either', () => {
    const history = healthyHistory();
    const all = history.roundTrips;
    history.roundTrips = all.filter(({ node }, n) => node !== 'node-2' || n % 4 === 0);
    expect(history.roundTrips.filter(({ node }) => node === 'node-2').length).to.be.within(1, 49);
    history.host.overloaded = true;
    expect(found(history, 'latency.message').verdict).to.equal('pass');
  });

  it('hold no slow second of the whole host against a node, but an own one', () => {
    const history = healthyHistory();
    // Four of sixty answers, one after the other.
    const isSlow = (at: number): boolean => at >= 12_000 && at < 13_500;
    for (const trip of history.roundTrips) if (trip.node === 'node-2' && isSlow(trip.at)) trip.ms = 900;
    expect(found(history, 'latency.message').culprits).to.deep.equal(['node-2']);
    history.host.seconds = [12, 13, 14].map((second) => ({
      at: second * 1000,
      ms: 1000,
      lagMs: 0,
      busy: 1,
      nodes: 0.8,
      harness: 0.2,
      stolen: 0,
      availableMiB: 1,
      hungriest: null,
    }));
    expect(found(history, 'latency.message').verdict).to.equal('pass');
    for (const trip of history.roundTrips) if (trip.node === 'node-2' && trip.at % 800 === 0) trip.ms = 900;
    expect(found(history, 'latency.message').culprits).to.deep.equal(['node-2']);
  });

  it('find refused load and honest peers cut off', () => {
    const history = healthyHistory();
    expect(found(history, 'load.acknowledged').because).to.equal('20 of 20 commits were accepted.');
    Object.assign(history.commits[4]!, { outcome: 'refused', detail: 'INVALID_SIGNATURE' });
    expect(found(history, 'load.acknowledged').verdict).to.equal('fail');
    history.rebuffs.push({ node: 'node-1', life: 0, at: 9_000, what: 'closed', code: 4400, detail: '' });
    expect(found(history, 'safety.no-honest-cut-off').culprits).to.deep.equal(['node-1']);
    overload(history);
    expect(found(history, 'safety.no-honest-cut-off').verdict).to.equal('fail');
    history.rebuffs = [{ node: 'node-1', life: 0, at: 9_000, what: 'silence', code: null, detail: '' }];
    expect(found(history, 'safety.no-honest-cut-off').verdict).to.equal('unknown');
  });

  it('find broken wire rules with their row', () => {
    const history = healthyHistory();
    history.violations.push({
      row: 'SIG-01',
      node: 'node-3',
      at: 1,
      detail: 'the signature does not verify',
    });
    const finding = found(history, 'wire.SIG-01');
    expect(finding.verdict).to.equal('fail');
    expect(finding.proves).to.deep.equal(['SIG-01']);
    expect(finding.culprits).to.deep.equal(['node-3']);
  });

  it('find connections around the fault plane', () => {
    const history = healthyHistory();
    for (const sample of history.linkSamples) {
      sample.links = sample.links.filter(
        ({ from, to }) => ![from, to].includes('node-1') || ![from, to].includes('node-2'),
      );
    }
    expect(found(history, 'links.bypass').culprits).to.deep.equal(['node-1', 'node-2']);
    // They met only after the counters were read for the last time.
    for (const list of history.peerLists) {
      if (list.node === 'node-1') list.peers = list.peers.filter((peer) => peer !== 'node-2');
      if (list.node === 'node-2') list.at = history.linkSamples.at(-1)!.at + 1;
    }
    expect(found(history, 'links.bypass').verdict).to.equal('pass');
  });

  it('take no receipt for a proof that says otherwise', () => {
    const history = healthyHistory({ extra: 'faults:\n  - {kind: kill, nodes: node-3, at_s: 5}\n' });
    const judged = (receipt: Record<string, unknown>, cure: Record<string, unknown>): string => {
      const changes = { outcome: 'applied', because: '', appliedAt: 1, curedAt: 2 } as const;
      const [one, other] = [receipt, cure].map((evidence) => ({ what: 'down on 8 links', evidence }));
      history.faults = [{ id: 'kill-1', label: 'kill node-3', ...changes, receipt: one!, cure: other! }];
      const { verdict, because } = found(history, 'faults.applied');
      return verdict === 'unknown' ? because : verdict;
    };
    expect(judged({ proved: true }, {})).to.equal('pass');
    expect(judged({ proved: null }, { proved: null })).to.equal('pass');
    expect(judged({ proved: false }, {})).to.match(
      /kill-1: what was seen speaks against "down on 8 links"\.$/,
    );
    expect(judged({}, { proved: false })).to.match(/^1 of 1 faults did not take effect, or were not cured,/);
    expect(judged({}, { proved: null, unproved: 'no answer' })).to.match(/could not be proved: no answer\.$/);
  });

  it('say unknown for a fault without a receipt and for trouble of the harness', () => {
    const history = healthyHistory({ extra: 'faults:\n  - {kind: kill, nodes: node-3, at_s: 5}\n' });
    expect(found(history, 'faults.applied').verdict).to.equal('unknown');
    const record = {
      id: 'kill-1',
      label: 'kill node-3',
      because: '',
      appliedAt: 1,
      curedAt: 2,
      receipt: null,
      cure: null,
    };
    history.faults.push({ ...record, outcome: 'skipped', because: 'no ability' });
    expect(found(history, 'faults.skipped').because).to.contain('no ability');
    history.trouble.push('The fault plane stopped working');
    expect(judge(history).verdict).to.equal('unknown');
  });
});
