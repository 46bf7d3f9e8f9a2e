import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { History } from '../history.ts';
import { figures, measure, metricDefinitions } from '../metrics.ts';
import { obligations } from '../obligations.ts';
import { planPrefixes } from '../prefixes.ts';
import { addCommit, hashNamed, healthyHistory, lifeOf } from './history-fixture.ts';

describe('figures', () => {
  it('are nearest-rank percentiles', () => {
    expect(figures([])).to.deep.equal({ n: 0, p50: null, p95: null, max: null });
    expect(figures([5])).to.deep.equal({ n: 1, p50: 5, p95: 5, max: 5 });
    expect(figures(Array.from({ length: 100 }, (_, n) => 100 - n))).to.deep.equal({
      n: 100,
      p50: 50,
      p95: 95,
      max: 100,
    });
  });
});

describe('the definition of what is measured', () => {
  it('stands in the documentation word for word', () => {
    const page = readFileSync(new URL('../../docs/scenarios.md', import.meta.url), 'utf8');
    for (const [id, { title, definition }] of Object.entries(metricDefinitions)) {
      expect(page).to.include(`### ${title} (\`${id}\`)\n\n${definition}\n`);
    }
  });
});

describe('when the clock starts', () => {
  const one = (
    history: History,
    name: string,
    node: string,
    life = 0,
  ): ReturnType<typeof obligations>[number] | undefined =>
    obligations(history).find((o) => o.commit.hash === hashNamed(name) && o.node === node && o.life === life);
  const partition = (history: History, from: number, until: number | null): void => {
    history.severings.push({
      fault: 'partition-1',
      kind: 'partition',
      from,
      until,
      sides: [
        ['node-1', 'node-2', 'node-3'],
        ['node-4', 'node-5', 'node-6'],
      ],
    });
  };

  it('at the acknowledgement, for who could hear of it', () => {
    const history = healthyHistory();
    partition(history, 5_000, 9_000);
    addCommit(history, 'inside', 'node-1', 6_000, 300, ['node-4', 'node-5', 'node-6']);
    expect(one(history, 'inside', 'node-2')).to.include({ reason: 'fresh', from: 6_000, seenAt: 6_300 });
  });

  it('at the heal, for who was on the other side', () => {
    const history = healthyHistory();
    partition(history, 5_000, 9_000);
    const hash = addCommit(history, 'across', 'node-1', 6_000, 300, ['node-4', 'node-5', 'node-6']);
    history.sightings.push({ hash, node: 'node-4', life: 0, at: 9_700, since: 9_500 });
    expect(one(history, 'across', 'node-4')).to.include({
      reason: 'healed',
      from: 9_000,
      seenAt: 9_700,
      cause: 'partition-1',
    });
    expect(one(history, 'across', 'node-5')).to.include({ reason: 'healed', seenAt: null });
    const sync = measure(history).sync.filter(({ at }) => at === 9_000);
    expect(sync.map(({ node, value }) => [node, value])).to.deep.include.members([
      ['node-4', 700],
      ['node-5', null],
    ]);
  });

  it('at the acknowledgement, where somebody on the own side had it before the cut', () => {
    const history = healthyHistory();
    const hash = addCommit(history, 'half-way', 'node-1', 4_500, null);
    history.sightings.push({ hash, node: 'node-5', life: 0, at: 4_900, since: 4_700 });
    partition(history, 5_000, 9_000);
    expect(one(history, 'half-way', 'node-4')).to.include({ reason: 'fresh', from: 4_500 });
    expect(one(history, 'half-way', 'node-2')).to.include({ reason: 'fresh', from: 4_500 });
  });

  it('never, where the cut does not heal', () => {
    const history = healthyHistory();
    partition(history, 5_000, null);
    addCommit(history, 'lost', 'node-1', 6_000, null);
    expect(one(history, 'lost', 'node-4')).to.equal(undefined);
    expect(one(history, 'lost', 'node-2')).to.include({ reason: 'fresh' });
  });

  it('when the links of a restarted, wiped or late node work', () => {
    const history = healthyHistory();
    history.lives[1] = lifeOf('node-2', { endedAt: 8_000, end: 'killed' });
    history.lives.push(lifeOf('node-2', { number: 1, startedAt: 9_000, readyAt: 9_500, reachableAt: 9_600 }));
    history.lives.push(lifeOf('node-7', { startedAt: 9_000, readyAt: 9_500, reachableAt: 9_500 }));
    addCommit(history, 'before', 'node-1', 4_000, 100);
    expect(one(history, 'before', 'node-2', 1)).to.include({
      reason: 'restarted',
      from: 9_600,
      seenAt: 9_700,
    });
    expect(one(history, 'before', 'node-7')).to.include({ reason: 'late', from: 9_500, seenAt: 9_600 });
    history.lives.find(({ number }) => number === 1)!.wiped = true;
    expect(one(history, 'before', 'node-2', 1)).to.include({ reason: 'wiped' });
  });

  it('leaves a dead life nothing to do', () => {
    const history = healthyHistory();
    history.lives[1] = lifeOf('node-2', { endedAt: 3_000, end: 'killed' });
    addCommit(history, 'after', 'node-1', 4_000, 100, ['node-2']);
    expect(one(history, 'after', 'node-2')).to.equal(undefined);
  });
});

describe('what is measured', () => {
  it('takes the slowest node of a commit', () => {
    const history = healthyHistory();
    const before = measure(history).convergence.length;
    addCommit(history, 'slow', 'node-1', 5_000, 300, ['node-3']);
    history.sightings.push({ hash: hashNamed('slow'), node: 'node-3', life: 0, at: 7_500, since: 7_300 });
    const samples = measure(history).convergence;
    expect(samples).to.have.length(before + 1);
    expect(samples.at(-1)).to.include({ value: 2_500, node: 'node-3' });
  });

  it('times no gossip, by which items are asked for at the end', () => {
    const history = healthyHistory();
    const before = measure(history).latency.length;
    history.roundTrips.push({ node: 'node-1', life: 0, at: 9_000, ms: 3_000, kind: 'gossip' });
    expect(measure(history).latency).to.have.length(before);
  });

  it('leaves out answers of a node that was held', () => {
    const history = healthyHistory();
    history.roundTrips = [
      { node: 'node-1', life: 0, at: 7_000, ms: 2_500, kind: 'sync_digest' },
      { node: 'node-2', life: 0, at: 7_000, ms: 2_500, kind: 'sync_digest' },
    ];
    history.severings.push({
      fault: 'pause-1',
      kind: 'pause',
      from: 5_000,
      until: 6_900,
      sides: [['node-1']],
    });
    expect(measure(history).latency.map(({ node }) => node)).to.deep.equal(['node-2']);
  });
});

describe('which subtrees are asked for', () => {
  const wanted = [0, 1, 2, 3].map((n) => hashNamed(`item ${n}`));

  it('everything, while there is little', () => {
    expect(planPrefixes(wanted, 10, new Set())).to.deep.equal(['']);
  });

  it('one digit each, and below full ones one more', () => {
    const digits = [...new Set(wanted.map((hash) => hash[0]!))].sort();
    expect(planPrefixes(wanted, 1_000, new Set())).to.deep.equal(digits);
    const below = planPrefixes(wanted, 20_000, new Set(['', ...digits]));
    expect(below).to.deep.equal(wanted.map((hash) => hash.slice(0, 2)).sort());
  });

  it('everything again, where many digits are wanted of a list that still fits', () => {
    const many = Array.from({ length: 60 }, (_, n) => hashNamed(`many ${n}`));
    expect(planPrefixes(many, 200, new Set())).to.deep.equal(['']);
    expect(planPrefixes(many, 2_000, new Set([''])).length).to.be.greaterThan(6);
  });
});
