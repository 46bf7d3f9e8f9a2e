import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { IdWindow } from '../id-window.ts';
import { GossipCache, MessageIds } from '../seen.ts';

/** A version-4 UUID for each number; numbers that differ little give ids that differ little. */
const uuid = (i: number) => `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`;

describe('a window of ids', () => {
  it('equals a map with instants', () => {
    const step = fc.record({ id: fc.nat(60), afterMs: fc.nat(30), only: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 500, size: 'max' }),
        fc.constantFrom(5, 30, Number.POSITIVE_INFINITY),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (steps, limit, seed) => {
          const left: number[] = [];
          const window = new IdWindow({ lifeMs: 600, limit, seed, expired: (owner) => left.push(owner) });
          const naive = new Map<string, number>();
          let gone = 0;
          let nowMs = 0;
          for (const { id, afterMs, only } of steps) {
            nowMs += afterMs;
            for (const [key, at] of naive) {
              if (nowMs - at < 600) break;
              naive.delete(key);
              gone++;
            }
            expect(window.has(uuid(id), nowMs)).to.equal(naive.has(uuid(id)));
            if (!only) {
              const isNew = !naive.has(uuid(id));
              if (isNew && naive.size >= limit) {
                naive.delete(naive.keys().next().value!);
                gone++;
              }
              expect(window.add(uuid(id), nowMs, id)).to.equal(isNew);
              if (isNew) naive.set(uuid(id), nowMs);
            }
            expect(window.size(nowMs)).to.equal(naive.size);
            expect(left.length).to.equal(gone);
          }
          for (let id = 0; id <= 60; id++) expect(window.has(uuid(id), nowMs)).to.equal(naive.has(uuid(id)));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('holds many and lets them all go', () => {
    const window = new IdWindow({ lifeMs: 1000, seed: 0.5 });
    const ids = Array.from({ length: 30_000 }, () => randomUUID());
    for (const [i, id] of ids.entries()) expect(window.add(id, i / 100)).to.equal(true);
    expect(window.size(300)).to.equal(30_000);
    expect(ids.every((id) => window.has(id, 300))).to.equal(true);
    expect(window.has(randomUUID(), 300)).to.equal(false);
    expect(window.size(1100)).to.equal(19_999);
    expect(window.has(ids[10_000]!, 1100)).to.equal(false);
    expect(window.has(ids[10_001]!, 1100)).to.equal(true);
    expect(window.size(1300)).to.equal(0);
    expect(window.add(ids[0]!, 1300)).to.equal(true);
  });

  it('takes UUIDs only, and every digit of them counts', () => {
    const window = new IdWindow({ lifeMs: 1000, seed: 0 });
    for (const id of [
      '',
      'x',
      uuid(1).toUpperCase().replace('0', 'A'),
      `${uuid(1)}\n`,
      uuid(1).replace('4000', '1000'),
    ]) {
      expect(window.add(id, 0), id).to.equal(false);
      expect(window.has(id, 0), id).to.equal(false);
    }
    const base = '01234567-89ab-4cde-8f01-23456789abcd';
    window.add(base, 0);
    for (let at = 0; at < base.length; at++) {
      if ('-'.includes(base[at]!) || at === 14 || at === 19) continue;
      const other = base.slice(0, at) + (base[at] === 'f' ? 'e' : 'f') + base.slice(at + 1);
      expect(window.has(other, 0), other).to.equal(false);
    }
    expect(window.has(base.replace('-8', '-9'), 0)).to.equal(false);
    expect(window.has(base, 0)).to.equal(true);
  });
});

describe('the gossip cache (§7)', () => {
  it('counts 60 s from first sight, whoever sends', () => {
    const cache = new GossipCache(60_000, 0.1);
    expect(cache.add(uuid(1), 'a', 0)).to.equal(true);
    expect(cache.add(uuid(1), 'b', 59_999)).to.equal(false);
    expect(cache.has(uuid(1), 59_999)).to.equal(true);
    expect(cache.has(uuid(1), 60_000)).to.equal(false);
    expect(cache.add(uuid(1), 'b', 60_000)).to.equal(true);
  });

  it('takes 20 000 live ids from one sender and never loses one of another', () => {
    const cache = new GossipCache(60_000, 0.1);
    cache.add(uuid(1), 'good', 0);
    for (let i = 0; i < 20_000; i++) expect(cache.add(uuid(10 + i), 'bad', i)).to.equal(true);
    expect(cache.hasRoom('bad', 20_000)).to.equal(false);
    expect(cache.add(uuid(999_999), 'bad', 20_000)).to.equal(false);
    expect(cache.has(uuid(999_999), 20_000)).to.equal(false);
    expect(cache.has(uuid(1), 20_000)).to.equal(true);
    expect(cache.add(uuid(2), 'good', 20_000)).to.equal(true);
    expect(cache.hasRoom('bad', 60_000), 'the first id left').to.equal(true);
    expect(cache.add(uuid(999_999), 'bad', 60_000)).to.equal(true);
    expect(cache.size(1e9)).to.equal(0);
    expect(cache.hasRoom('bad', 1e9)).to.equal(true);
  });
});

describe('remembered messages (check 8 of §3.2)', () => {
  it('are the last 10 000 of 600 s of each peer', () => {
    const ids = new MessageIds(0.2);
    expect(ids.add('a', uuid(1), 0)).to.equal(true);
    expect(ids.add('a', uuid(1), 1)).to.equal(false);
    expect(ids.has('a', uuid(1), 599_999)).to.equal(true);
    expect(ids.has('b', uuid(1), 1)).to.equal(false);
    expect(ids.has('a', uuid(1), 600_000)).to.equal(false);
    for (let i = 0; i < 10_000; i++) ids.add('b', uuid(i), 700_000);
    expect(ids.has('b', uuid(0), 700_000)).to.equal(true);
    ids.add('b', uuid(10_000), 700_000);
    expect(ids.has('b', uuid(0), 700_000)).to.equal(false);
    expect(ids.has('b', uuid(1), 700_000)).to.equal(true);
  });
});
