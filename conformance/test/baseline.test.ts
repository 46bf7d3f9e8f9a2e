import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../../harness/usage-error.ts';
import { applyBaseline, fingerprintOf, readBaseline, refuseUnwritable, writeBaseline } from '../baseline.ts';
import type { Result, Verdict } from '../requirement.ts';
import { judge } from '../summary.ts';

const result = (id: string, verdict: Verdict, because = 'it was not so'): Result => ({
  id,
  verdict,
  because,
  level: 'must',
  section: '1',
  evidence: [],
  durationMs: 1,
  replay: '',
  fingerprint: fingerprintOf(id, { verdict, because, evidence: [] }),
  transcript: null,
  excused: null,
});
const known = new Set(['GRT-01', 'GRT-02']);
const today = '2026-05-01';
const entryFor = (of: Result, expires = '2026-06-01') => ({
  id: of.id,
  reason: 'issue 7',
  expires,
  fingerprint: of.fingerprint ?? 'none',
});

describe('baseline', () => {
  it('excuses the same failure until its day', () => {
    const failing = result('GRT-01', 'fail', 'got 4 of 12 from node_ab12');
    const again = result('GRT-01', 'fail', 'got 5 of 13 from node_ff00');
    const { results, problems } = applyBaseline([again], [entryFor(failing)], known, today);
    expect(problems).to.deep.equal([]);
    expect(results[0]!.excused).to.equal('issue 7');
    expect(judge([...results, result('GRT-02', 'pass')], problems, []).verdict).to.equal('pass');
  });

  it('knows a failure again by its sentence without what chance put into it', () => {
    const key = (byte: number, length: number) => Buffer.alloc(length, byte).toString('base64');
    const sentence = (byte: number, came: string) =>
      `a>node-1: no answer to query within 5000 ms, {"public_key":"${key(byte, 32)}","signature":"${key(byte, 64)}"}; last came: ${came}`;
    const of = (because: string) => result('GRT-01', 'fail', because).fingerprint;
    expect(of(sentence(77, 'sync_digest, gossip'))).to.equal(of(sentence(250, 'nothing')));
    expect(of(sentence(77, 'gossip'))).to.not.equal(of('a>node-1: no answer to commit within 5000 ms'));
  });

  it('fails on a stale, an expired and a differently failing entry', () => {
    const failing = result('GRT-01', 'fail');
    const problem = (results: Result[], entry: ReturnType<typeof entryFor>): string | undefined =>
      applyBaseline(results, [entry], known, today).problems[0]?.problem;
    expect(problem([result('GRT-01', 'pass')], entryFor(failing))).to.equal('stale');
    expect(problem([failing], entryFor(failing, '2026-04-30'))).to.equal('expired');
    expect(problem([result('GRT-01', 'fail', 'something else')], entryFor(failing))).to.equal('different');
    expect(problem([failing], { ...entryFor(failing), id: 'ZZZ-01' })).to.equal('stale');
    expect(problem([], entryFor(failing))).to.equal(undefined);
  });

  it('says before a run where none can be written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'baseline-'));
    try {
      refuseUnwritable(join(folder, 'new.json'));
      expect(readdirSync(folder)).to.deep.equal([]);
      expect(() => refuseUnwritable(join(folder, 'none', 'x.json'))).to.throw(
        UsageError,
        /there is no such folder$/,
      );
      expect(() => refuseUnwritable(folder)).to.throw(UsageError, /a folder has that name$/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('writes what it can read again', () => {
    const folder = mkdtempSync(join(tmpdir(), 'baseline-'));
    try {
      const file = join(folder, 'baseline.json');
      const failing = result('GRT-01', 'fail');
      expect(writeBaseline(file, [failing, result('GRT-02', 'pass')], today, 'first light')).to.equal(1);
      expect(JSON.parse(readFileSync(file, 'utf8')).known_failures[0].expires).to.equal('2026-07-30');
      expect(applyBaseline([failing], readBaseline(file), known, today).problems).to.deep.equal([]);
      writeFileSync(file, '{"known_failures":[{"id":"GRT-01"}]}');
      expect(() => readBaseline(file)).to.throw(/known_failures\[0\]\.reason is missing/);
      writeFileSync(file, '[');
      expect(() => readBaseline(file)).to.throw(/not JSON/);
      expect(() => readBaseline(join(folder, 'none'))).to.throw(/no such file/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('run verdict', () => {
  it('is never green without a judged row, and names what failed', () => {
    expect(judge([result('GRT-01', 'not-applicable')], [], []).verdict).to.equal('inconclusive');
    expect(judge([], [], []).verdict).to.equal('inconclusive');
    expect(judge([result('GRT-01', 'pass'), result('GRT-02', 'inconclusive')], [], []).verdict).to.equal(
      'inconclusive',
    );
    expect(judge([result('GRT-01', 'untestable')], [], [])).to.deep.equal({
      verdict: 'fail',
      because: 'GRT-01 does not hold',
    });
  });

  it('says of a pass what of it does not pass', () => {
    expect(judge([{ ...result('GRT-01', 'warn'), level: 'should' }], [], [])).to.deep.equal({
      verdict: 'pass',
      because: '0 of 1 judged rows pass; no more than a warning: GRT-01',
    });
    const excused = { ...result('GRT-01', 'fail'), excused: 'soon' };
    expect(judge([excused, result('GRT-02', 'pass')], [], [])).to.deep.equal({
      verdict: 'pass',
      because: '1 of 2 judged rows pass; known and excused by the baseline: GRT-01',
    });
  });
});
