import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { type HearAgain, secondHearing } from '../hear-again.ts';
import type { JudgedRow } from '../judge-row.ts';
import type { Verdict } from '../requirement.ts';
import { row } from './made-up.ts';

const outcome = (verdict: Verdict, changes: Partial<JudgedRow> = {}, timing = true): JudgedRow => ({
  result: {
    id: 'GRT-01',
    level: 'must',
    section: '4.2',
    verdict,
    because: `${verdict} beside others`,
    evidence: [],
    timing,
    durationMs: 1,
    replay: '',
    fingerprint: verdict === 'fail' ? '0123456789ab' : null,
    transcript: null,
    excused: null,
  },
  transcript: [],
  sharedCrash: null,
  crowded: false,
  isOpen: false,
  ...changes,
});

/** Hearings of the given first outcomes, each of `ms`, cut off where the time is over; what comes out and how long it took. */
async function heard(
  firsts: readonly JudgedRow[],
  options: HearAgain,
  ms: number,
  cpu = 0.25,
): Promise<{
  because: string[];
  verdicts: Verdict[];
  fingerprints: (string | null)[];
  hearings: number;
  tookMs: number;
}> {
  let hearings = 0;
  const again = secondHearing(Promise.resolve(), options, async (_row, ended) => {
    hearings += 1;
    const cut = await delay(ms, false, { signal: ended }).catch(() => true);
    return cut ? outcome('inconclusive', { isOpen: true }, false) : outcome('pass');
  });
  const startedAt = performance.now();
  const results = await Promise.all(
    firsts.map((first) =>
      again(
        row('GRT-01', async () => undefined, { cpu }),
        first,
      ),
    ),
  );
  return {
    because: results.map(({ result }) => result.because),
    verdicts: results.map(({ result }) => result.verdict),
    fingerprints: results.map(({ result }) => result.fingerprint),
    hearings,
    tookMs: performance.now() - startedAt,
  };
}

describe('second hearings', () => {
  const amply: HearAgain = { failures: true, withinMs: 60_000 };

  it('let the second verdict count, once for what was late and twice for what was not', async () => {
    const once = await heard([outcome('inconclusive'), outcome('fail')], amply, 1);
    expect(once).to.deep.include({ verdicts: ['pass', 'pass'], hearings: 2 });
    const twice = await heard([outcome('fail', { crowded: true }, false)], amply, 1);
    expect(twice).to.deep.include({ verdicts: ['pass'], hearings: 2 });
    const never = await heard([outcome('fail', {}, false), outcome('pass')], amply, 1);
    expect(never).to.deep.include({ verdicts: ['fail', 'pass'], hearings: 0 });
  });

  it('are over when their time is, and hold what was not heard against nobody', async () => {
    const firsts = Array.from({ length: 6 }, (_, n) => outcome(n % 2 === 0 ? 'fail' : 'inconclusive'));
    const { because, verdicts, fingerprints, hearings, tookMs } = await heard(
      firsts,
      { failures: true, withinMs: 100 },
      5_000,
    );
    expect(tookMs).to.be.below(3_000);
    expect(hearings).to.equal(2);
    expect(verdicts).to.deep.equal(firsts.map(() => 'inconclusive'));
    // Or a new baseline would excuse what nobody has judged.
    expect(fingerprints).to.deep.equal(firsts.map(() => null));
    for (const said of because)
      expect(said).to.match(
        /^(fail|inconclusive) beside others \(no second hearing: the 0\.1 s for those were over\)$/,
      );
  });

  it('run side by side for rows that wait', async () => {
    const firsts = Array.from({ length: 10 }, () => outcome('inconclusive'));
    const { verdicts, tookMs } = await heard(firsts, amply, 300, 0);
    expect(verdicts).to.deep.equal(firsts.map(() => 'pass'));
    expect(tookMs).to.be.below(1_400);
  });

  it('are not for failures where there are many, or nobody wants it', async () => {
    const many = Array.from({ length: 13 }, () => outcome('fail'));
    expect(await heard([...many, outcome('inconclusive')], amply, 1)).to.include({ hearings: 1 });
    const open = await heard([outcome('fail'), outcome('inconclusive')], { ...amply, failures: false }, 1);
    expect(open).to.deep.include({ verdicts: ['fail', 'pass'], hearings: 1 });
  });
});
