import { expect } from 'chai';
import { junitXml } from '../junit.ts';
import { escapeMarkup, readableMs } from '../markup.ts';
import type { ReportModel } from '../model.ts';
import { reportPage } from '../page.ts';

const hostile = '</script><img src=x onerror=alert(1)>\u0000';

const model: ReportModel = {
  verdict: 'fail',
  engine: 'process',
  scenario: `named ${hostile}`,
  seed: 7,
  startedAt: '2026-01-01T00:00:00.000Z',
  durationMs: 60_000,
  host: { cores: 2 },
  replay: `npm run testnet -- --scenario '${hostile}'`,
  nodes: [
    {
      name: 'node-1',
      nodeId: 'node_00',
      group: hostile,
      bootstrap: true,
      runs: hostile,
      state: 'failed',
      failure: hostile,
      readyMs: null,
      alive: [{ fromMs: 0, toMs: 60_000 }],
      logFile: 'logs/node-1.log',
    },
  ],
  metrics: [],
  checks: [{ id: 'a', verdict: 'fail', because: hostile, proves: [hostile], evidence: [{ hostile }] }],
  faults: [{ id: 'f', label: hostile, fromMs: 1, toMs: 2, receipt: hostile, cure: hostile, verdict: 'pass' }],
  overlay: [['node-1', 'nobody']],
  commits: [{ hash: 'rule_00', atMs: 10, reachedMs: [10], expected: 1 }],
  latencyTargetMs: 250,
  latency: [{ atMs: 5, ms: 10, node: hostile }],
  notes: [{ atMs: 0, text: hostile }],
};

describe('report', () => {
  it('never lets a text from a node become markup', () => {
    const page = reportPage(model);
    expect(page).not.to.contain('<img');
    expect(page).not.to.contain('</script>');
    expect(page).to.contain('&lt;img src=x');
  });

  it('says on a narrow screen, where there are no column heads, what each figure is', () => {
    const times = { p50: 1, p95: 2, max: 3, n: 4 };
    const metric = {
      title: 'Sync',
      definition: 'From when',
      target: 'max < 9 ms',
      verdict: 'pass',
      ...times,
    };
    const page = reportPage({ ...model, metrics: [metric as ReportModel['metrics'][number]] });
    const table = page.slice(page.indexOf('id="targets"'), page.indexOf('id="checks"'));
    const cells = [...table.matchAll(/<td([^>]*)>/g)].map(([, attributes]) => attributes);
    expect(cells).to.have.length(6);
    for (const attributes of cells) expect(attributes).to.match(/data-label="[^"]+"|class="mark"/);
  });

  it('draws an hour of samples', () => {
    const latency = Array.from({ length: 300_000 }, (_, n) => ({ atMs: n / 5, ms: 10, node: 'node-1' }));
    const commits = Array.from({ length: 150_000 }, () => model.commits[0]!);
    const page = reportPage({ ...model, commits, latency });
    expect(page).to.contain('class="dot"').and.to.contain('class="curve');
  }).timeout(30_000);

  it('draws the target that was expected, and no fault that never took effect', () => {
    const [fault] = model.faults;
    const page = reportPage({ ...model, faults: [fault!, { ...fault!, fromMs: null, toMs: 60_000 }] });
    expect(page).to.contain('target 250 ms</text>');
    // One band in each of two drawings, and two rows.
    expect(page.match(/class="band"/g)).to.have.length(2);
    expect(page.match(/data-label="for">/g)).to.have.length(2);
    expect(page).to.contain('data-label="at">–<').and.to.contain('data-label="for">–<');
  });

  it('says when it began and whether the host kept up as a person would', () => {
    const page = reportPage({ ...model, host: { overloaded: false } });
    expect(page).to.contain('2026-01-01 00:00:00 UTC').and.to.contain('host kept up</dt><dd>yes');
    expect(page).not.to.match(/overloaded|T00:00/);
  });

  it('asks for nothing outside the file', () => {
    expect(reportPage(model)).not.to.match(/(?:src|href)="(?:https?:)?\/\//);
  });

  it('says so where nothing was measured instead of drawing an empty plot', () => {
    const page = reportPage({ ...model, commits: [], latency: [], faults: [] });
    expect(page).to.contain('No commit was followed').and.to.contain('No latency was sampled');
    expect(page).to.contain('No fault was injected');
  });

  it('counts failures, errors and skips apart in JUnit', () => {
    const of = (verdict: 'pass' | 'fail' | 'unknown' | 'skipped' | 'warn') => {
      return { className: 'c', name: verdict, seconds: 1, verdict, because: 'a "quoted" <reason>\u0001' };
    };
    const xml = junitXml('s', [of('pass'), of('fail'), of('unknown'), of('skipped'), of('warn')], 5);
    expect(xml).to.contain('tests="5" failures="1" errors="1" skipped="1"');
    expect(xml).to.contain('<failure message="a &quot;quoted&quot; &lt;reason&gt;\uFFFD"/>');
  });

  it('writes spans as people read them', () => {
    expect([null, 0.42, 42.4, 4_200, 125_000].map(readableMs)).to.deep.equal([
      '–',
      '0.4 ms',
      '42 ms',
      '4.2 s',
      '2 min 05 s',
    ]);
    expect(escapeMarkup('\ud800')).to.equal('\uFFFD');
  });
});
