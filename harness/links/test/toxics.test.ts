/** Each toxic's stage on a virtual clock: exact instants, order, nothing lost, the end passed on once. */

import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import fc from 'fast-check';
import { rng } from '../../rng.ts';
import type { Due } from '../due.ts';
import { toxicKinds } from '../toxics/table.ts';
import type { Attributes, Stage, StageSite } from '../toxics/toxic.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Bench {
  stage: Stage;
  /** `at:text` of what came out; `end`, `close`, `reset` likewise. */
  out: string[];
  /** All data that came out, in order. */
  data(): string;
  discarded(): number;
  /** Lets time pass; what is due runs at its instant. */
  pass(ms: number): void;
  push(text: string): void;
  block(on: boolean): void;
}

function benchOf(type: string, attributes: Attributes, seed = 1): Bench {
  const out: string[] = [];
  const waiting: Due[] = [];
  let nowMs = 1000;
  let dropped = 0;
  let blocked = false;
  let data = '';
  const say = (what: string): void => {
    out.push(`${Math.round((nowMs - 1000) * 100) / 100}:${what}`);
  };
  const cancel = (entry: Due): void => {
    entry.slot = -1;
    const place = waiting.indexOf(entry);
    if (place >= 0) waiting.splice(place, 1);
  };
  const site: StageSite = {
    next: {
      push(chunk) {
        data += chunk.toString();
        say(chunk.toString());
      },
      end: () => say('end'),
    },
    draw: rng(seed, 'toxic').float,
    now: () => nowMs,
    wake(entry, at) {
      cancel(entry);
      entry.at = at;
      entry.slot = 0;
      waiting.push(entry);
    },
    cancel,
    discard(bytes) {
      dropped += bytes;
    },
    blocked: () => blocked,
    gather: (pushes) => pushes(),
    close: () => say('close'),
    reset: () => say('reset'),
  };
  const stage = toxicKinds.get(type)!.start(site, attributes);
  return {
    stage,
    out,
    data: () => data,
    discarded: () => dropped,
    pass(ms) {
      const until = nowMs + ms;
      for (;;) {
        const first = waiting.sort((a, b) => a.at - b.at)[0];
        if (first === undefined || first.at > until) break;
        cancel(first);
        nowMs = Math.max(nowMs, first.at);
        first.run(nowMs);
      }
      nowMs = until;
    },
    push: (text) => stage.push(Buffer.from(text)),
    block(on) {
      blocked = on;
    },
  };
}

describe('toxics on a virtual clock', () => {
  it('latency: from when each chunk came, the end right behind', () => {
    const bench = benchOf('latency', { latency: 40, jitter: 0 });
    bench.push('a');
    bench.pass(15);
    bench.push('b');
    bench.stage.end();
    expect(bench.stage.queued()).to.equal(2);
    bench.pass(100);
    expect(bench.out).to.deep.equal(['40:a', '55:b', '55:end']);
  });

  it('latency: uniform in ± jitter, seeded, never overtaking', () => {
    const times = (seed: number): string[] => {
      const bench = benchOf('latency', { latency: 40, jitter: 10 }, seed);
      for (let i = 0; i < 50; i += 1) {
        bench.push(String(i % 10));
        bench.pass(100);
      }
      return bench.out;
    };
    expect(times(5)).to.deep.equal(times(5));
    expect(times(5)).to.not.deep.equal(times(6));
    const delays = times(5).map((text, i) => Number(text.split(':')[0]) - i * 100);
    expect(Math.min(...delays)).to.be.within(30, 33);
    expect(Math.max(...delays)).to.be.within(47, 50);
    const together = benchOf('latency', { latency: 40, jitter: 40 });
    for (const text of '0123456789') together.push(text);
    together.pass(100);
    expect(together.data()).to.equal('0123456789');
  });

  it('latency: an update counts for what waits; drain and a latency of 0 pass at once', () => {
    const bench = benchOf('latency', { latency: 1000, jitter: 0 });
    bench.push('a');
    bench.pass(100);
    bench.stage.update({ latency: 150, jitter: 0 });
    bench.push('b');
    bench.pass(60);
    bench.stage.update({ latency: 9000, jitter: 0 });
    bench.stage.end();
    bench.stage.drain();
    expect(bench.out).to.deep.equal(['150:a', '160:b', '160:end']);
    const none = benchOf('latency', { latency: 0, jitter: 0 });
    none.push('x');
    none.stage.end();
    expect(none.out).to.deep.equal(['0:x', '0:end']);
  });

  it('latency: thousands of chunks in flight', () => {
    const bench = benchOf('latency', { latency: 5000, jitter: 0 });
    for (let i = 0; i < 5000; i += 1) {
      bench.push('x');
      bench.pass(1);
    }
    expect(bench.stage.queued()).to.equal(4999);
    bench.pass(2500);
    expect(bench.data().length).to.equal(2501);
    bench.pass(5000);
    expect(bench.data().length).to.equal(5000);
  });

  it('bandwidth: the delay stands before the bytes, pieces of 100 ms', () => {
    const bench = benchOf('bandwidth', { rate: 1 });
    bench.push('x'.repeat(250));
    bench.push('y'.repeat(50));
    bench.stage.end();
    bench.pass(1000);
    const brief = bench.out.map((text) => text.replace(/(x+|y+)$/, (run) => `${run.length} ${run[0]}`));
    expect(brief).to.deep.equal(['100:100 x', '200:100 x', '250:50 x', '300:50 y', '300:end']);
  });

  it('bandwidth: does not save up while idle', () => {
    const bench = benchOf('bandwidth', { rate: 1 });
    bench.pass(5000);
    bench.push('x'.repeat(100));
    bench.pass(99);
    expect(bench.out).to.deep.equal([]);
    bench.pass(1);
    expect(bench.data().length).to.equal(100);
  });

  it('bandwidth 0 holds data and end; an update or drain lets them go', () => {
    for (const heal of ['update', 'drain'] as const) {
      const bench = benchOf('bandwidth', { rate: 0 });
      bench.push('abc');
      bench.stage.end();
      bench.pass(1e6);
      expect(bench.out).to.deep.equal([]);
      if (heal === 'update') bench.stage.update({ rate: 3 });
      else bench.stage.drain();
      bench.pass(1);
      expect(bench.out.map((text) => text.split(':')[1])).to.deep.equal(['abc', 'end']);
    }
    const empty = benchOf('bandwidth', { rate: 0 });
    empty.stage.end();
    expect(empty.out).to.deep.equal([]);
    empty.stage.drain();
    expect(empty.out).to.deep.equal(['0:end']);
  });

  for (const [type, attributes] of [
    ['bandwidth', { rate: 100 }],
    ['slicer', { average_size: 10_000, size_variation: 0, delay: 110_000 }],
    ['latency', { latency: 200, jitter: 0 }],
  ] as const) {
    it(`${type}: lets go of what it has passed, also where it never runs empty`, async () => {
      const passed: WeakRef<Buffer>[] = [];
      const bench = benchOf(type, attributes);
      const feed = (): void => {
        for (let n = 0; n < 40; n += 1) {
          const chunk = Buffer.alloc(10_000, 'x');
          passed.push(new WeakRef(chunk));
          bench.stage.push(chunk);
          if (n > 0) bench.pass(100);
        }
      };
      feed();
      expect(bench.stage.queued()).to.be.within(1, 6);
      // A reference that was just made is kept until the end of the turn.
      await sleep(5);
      collectGarbage();
      const alive = passed.filter((chunk) => chunk.deref() !== undefined).length;
      expect(alive).to.be.at.most(bench.stage.queued() + 2);
    });
  }

  it('slow_close: only the end waits', () => {
    const bench = benchOf('slow_close', { delay: 300 });
    bench.push('a');
    bench.stage.end();
    bench.pass(200);
    bench.stage.update({ delay: 250 });
    bench.pass(500);
    expect(bench.out).to.deep.equal(['0:a', '250:end']);
    const taken = benchOf('slow_close', { delay: 300 });
    taken.stage.end();
    taken.stage.drain();
    taken.pass(1000);
    expect(taken.out).to.deep.equal(['0:end']);
    taken.stage.drain();
    expect(taken.out).to.have.length(1);
  });

  it('timeout: drops, closes after silence, at the end, and when taken out', () => {
    const bench = benchOf('timeout', { timeout: 100 });
    bench.push('abc');
    bench.pass(80);
    bench.push('de');
    bench.pass(500);
    expect([bench.out, bench.discarded()]).to.deep.equal([['180:close'], 5]);
    const ended = benchOf('timeout', { timeout: 100 });
    ended.push('abc');
    ended.pass(30);
    ended.stage.end();
    ended.pass(500);
    expect([ended.out, ended.discarded()]).to.deep.equal([['30:close'], 3]);
    const forever = benchOf('timeout', { timeout: 0 });
    forever.push('abc');
    forever.pass(1e9);
    expect(forever.out).to.deep.equal([]);
    forever.stage.drain();
    expect(forever.out).to.deep.equal([`${1e9}:close`]);
  });

  it('reset_peer: after its timeout from the start, data or not', () => {
    const bench = benchOf('reset_peer', { timeout: 50 });
    bench.pass(20);
    bench.push('abc');
    bench.pass(100);
    expect([bench.out, bench.discarded()]).to.deep.equal([['50:reset'], 3]);
    const taken = benchOf('reset_peer', { timeout: 50 });
    taken.stage.end();
    taken.stage.drain();
    expect(taken.out).to.deep.equal(['0:end']);
    const lossy = benchOf('reset_peer', { timeout: 50 });
    lossy.push('abc');
    lossy.stage.drain();
    lossy.pass(100);
    expect(lossy.out).to.deep.equal(['0:close']);
  });

  it('slicer: pieces of its size with the pause after each', () => {
    const bench = benchOf('slicer', { average_size: 3, size_variation: 0, delay: 1500 });
    bench.push('abcdefgh');
    bench.stage.end();
    bench.pass(100);
    expect(bench.out).to.deep.equal(['0:abc', '1.5:def', '3:gh', '3:end']);
  });

  it('slicer: varies its sizes, holds while the receiver is full, survives a size of nothing', () => {
    const bench = benchOf('slicer', { average_size: 10, size_variation: 5, delay: 0 });
    bench.push('x'.repeat(2000));
    bench.pass(10);
    const sizes = bench.out.slice(0, -1).map((text) => text.split(':')[1]!.length);
    expect(Math.min(...sizes)).to.equal(5);
    expect(Math.max(...sizes)).to.equal(15);
    const full = benchOf('slicer', { average_size: 0, size_variation: 0, delay: 0 });
    full.block(true);
    full.push('abcd');
    full.pass(50);
    expect(full.out).to.deep.equal([]);
    full.block(false);
    full.pass(10);
    expect(full.data()).to.equal('abcd');
  });

  it('limit_data: exactly its bytes, then close', () => {
    const bench = benchOf('limit_data', { bytes: 5 });
    bench.push('abc');
    bench.push('defg');
    bench.push('h');
    bench.stage.end();
    expect([bench.out, bench.discarded()]).to.deep.equal([['0:abc', '0:de', '0:close'], 3]);
  });

  it('property: what loses nothing loses nothing, in order, and ends once, whatever comes when', () => {
    const kinds = [
      { type: 'latency', values: ['latency', 'jitter'] },
      { type: 'bandwidth', values: ['rate'] },
      { type: 'slow_close', values: ['delay'] },
      { type: 'slicer', values: ['average_size', 'size_variation', 'delay'] },
      { type: 'noop', values: [] },
    ];
    const step = fc.oneof(
      fc.record({
        do: fc.constant('push' as const),
        text: fc.string({ minLength: 1, unit: 'grapheme-ascii' }),
      }),
      fc.record({ do: fc.constant('pass' as const), ms: fc.nat(200) }),
      fc.record({
        do: fc.constant('update' as const),
        to: fc.array(fc.integer({ min: -5, max: 300 }), { minLength: 3, maxLength: 3 }),
      }),
    );
    const attributesOf = (values: string[], to: number[]): Attributes =>
      Object.fromEntries(values.map((name, i) => [name, to[i]!]));
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.array(step, { maxLength: 40 }),
        fc.boolean(),
        (kind, steps, drains) => {
          const bench = benchOf(kind.type, attributesOf(kind.values, [50, 20, 1000]));
          let sent = '';
          for (const each of steps) {
            if (each.do === 'push') {
              sent += each.text;
              bench.push(each.text);
            } else if (each.do === 'pass') bench.pass(each.ms);
            else bench.stage.update(attributesOf(kind.values, each.to));
          }
          bench.stage.end();
          if (drains) bench.stage.drain();
          else bench.stage.update(attributesOf(kind.values, [50, 20, 1000]));
          bench.pass(1e7);
          expect(bench.data()).to.equal(sent);
          expect(bench.out.filter((text) => text.endsWith(':end'))).to.have.length(1);
          expect(bench.out.at(-1)).to.match(/:end$/);
          expect(bench.stage.queued()).to.equal(0);
        },
      ),
      { numRuns: 400, seed: 3 },
    );
  });
});
