/** Flood limits from made-up outcomes of an adversary. */
import { expect } from 'chai';
import { limits, maxPeers, noEffect } from '../checks/limits.ts';
import type { AdversaryRecord, History } from '../history.ts';
import type { Finding } from '../verdict.ts';
import { hashNamed, healthyHistory } from './history-fixture.ts';

describe('limits', () => {
  const flooded = (record: Partial<AdversaryRecord>): History => {
    const history = healthyHistory({
      extra: 'faults:\n  - {kind: adversary, behaviour: flood, target: node-2, at_s: 5, for_s: 9}\n',
    });
    const full: AdversaryRecord = {
      fault: 'flood-1',
      behaviour: 'flood',
      target: 'node-2',
      from: 7_000,
      until: 16_000,
      offered: {},
      outcomes: [],
      forbidden: [],
      mostPeers: 45,
      turnedAway: { 'TOO_MANY_PEERS 4429': 5 },
      detail: { bytesFrom: 7_000, bytesUntil: 12_000, bytesOffered: 12_500_000 },
      ...record,
    };
    history.adversaries.push(full);
    return history;
  };
  const outcomes = (commits: number, queries: number, bytes: number): AdversaryRecord['outcomes'] => [
    ...Array.from({ length: 20 }, (_, n) => ({
      kind: 'commit' as const,
      at: 7_000 + n * 10,
      outcome: n < commits ? 'accepted' : 'RATE_LIMIT',
      bytes: 0,
    })),
    ...Array.from({ length: 60 }, (_, n) => ({
      kind: 'query' as const,
      at: 7_000 + n * 10,
      outcome: n < queries ? 'accepted' : 'RATE_LIMIT',
      bytes: 0,
    })),
    ...Array.from({ length: bytes }, (_, n) => ({
      kind: 'bytes' as const,
      at: 7_000 + (n * 8_000) / bytes,
      outcome: 'answered',
      bytes: 30_000,
    })),
    { kind: 'peer', at: 8_000, outcome: 'accepted', bytes: 0 },
  ];

  it('hold, exactly', () => {
    const finding = limits(flooded({ outcomes: outcomes(10, 30, 300) }));
    expect(finding.verdict, finding.because).to.equal('pass');
    expect(maxPeers(flooded({ outcomes: outcomes(10, 30, 300) })).verdict).to.equal('pass');
  });

  it('say nothing of a node that has not answered all when the flood ends', () => {
    const slow = limits(flooded({ offered: { commit: 23 }, outcomes: outcomes(7, 30, 300) }));
    expect(slow.verdict, slow.because).to.equal('unknown');
    expect(slow.because).to.contain('node-2: 7 commits taken, 13 limited of 23');
    expect(limits(flooded({ offered: { commit: 20 }, outcomes: outcomes(7, 30, 300) })).verdict).to.equal(
      'fail',
    );
  });

  it('are broken by one message more, or one less', () => {
    expect(limits(flooded({ outcomes: outcomes(11, 30, 300) })).verdict).to.equal('fail');
    expect(limits(flooded({ outcomes: outcomes(10, 31, 300) })).verdict).to.equal('fail');
    expect(limits(flooded({ outcomes: outcomes(9, 30, 300) })).verdict).to.equal('fail');
    expect(limits(flooded({ outcomes: outcomes(10, 30, 400) })).verdict).to.equal('fail');
  });

  it('hold for a node that was held back and took the rest later, and say nothing of one that was never offered more', () => {
    const slowly = outcomes(10, 30, 410).map((each) =>
      each.kind === 'bytes' ? { ...each, at: 7_000 + (each.at - 7_000) * 1.45 } : each,
    );
    expect(limits(flooded({ outcomes: slowly })).verdict).to.equal('pass');
    const detail = { bytesFrom: 7_000, bytesUntil: 18_600, bytesOffered: 12_500_000 };
    expect(limits(flooded({ outcomes: slowly, detail })).verdict).to.equal('unknown');
  });

  it('are unknown when never reached', () => {
    expect(limits(flooded({ outcomes: outcomes(20, 60, 300) })).verdict).to.equal('fail');
    const few = outcomes(10, 30, 300).filter(({ outcome }) => outcome !== 'RATE_LIMIT');
    expect(limits(flooded({ outcomes: few })).verdict).to.equal('unknown');
    expect(limits(flooded({ outcomes: [] })).verdict).to.equal('unknown');
    expect(maxPeers(flooded({ outcomes: outcomes(1, 1, 1), turnedAway: {} })).verdict).to.equal('unknown');
  });

  it('catch a 51st peer, and a refusal in other words', () => {
    expect(maxPeers(flooded({ outcomes: outcomes(1, 1, 1), mostPeers: 51 })).verdict).to.equal('fail');
    const odd = { 'no error 4429': 2, 'TOO_MANY_PEERS 4429': 1 };
    expect(maxPeers(flooded({ outcomes: outcomes(1, 1, 1), turnedAway: odd })).verdict).to.equal('fail');
  });

  it('find refused items that were kept all the same', () => {
    const history = flooded({ outcomes: outcomes(10, 30, 300), forbidden: [hashNamed('x')] });
    expect(noEffect(history).verdict).to.equal('pass');
    history.census[1]!.forbidden = [hashNamed('x')];
    expect(noEffect(history).culprits).to.deep.equal([history.census[1]!.node]);
  });

  it('find a forger that is believed, or put up with', () => {
    const forged = (outcome: string): Finding =>
      noEffect(flooded({ outcomes: [{ kind: 'forged', at: 7_100, outcome, bytes: 0 }] }));
    expect(forged('INVALID_SIGNATURE').verdict).to.equal('pass');
    expect(forged('accepted').verdict).to.equal('fail');
    expect(forged('not closed').verdict).to.equal('fail');
  });
});
