import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { type HostSecond, hostFacts, judgeHost, readableFacts, watchHost } from '../host.ts';

const calm: HostSecond = {
  at: 0,
  ms: 1000,
  lagMs: 22,
  busy: 0.4,
  nodes: 0.3,
  harness: 0.05,
  stolen: 0,
  availableMiB: 8000,
  hungriest: { name: 'node-1', share: 0.02 },
};
const row = (count: number, change: Partial<HostSecond> = {}): HostSecond[] =>
  Array.from({ length: count }, (_, index) => ({ ...calm, ...change, at: 1000 * (index + 1) }));

describe('the host of a run', () => {
  it('is described by facts', () => {
    const facts = hostFacts();
    expect(facts.cores).to.be.at.least(1);
    expect(facts.memoryMiB).to.be.greaterThan(100);
    expect(facts.node).to.equal(process.version);
    expect(facts.kernel).to.match(/\S+ \S+ \S+/);
    expect(readableFacts({ cores: 2, memoryMiB: 24106, load1m: 0.5, node: 'v20' })).to.deep.equal([
      ['cores', '2'],
      ['memory', '23.5 GiB'],
      ['load average, 1 min', '0.5'],
      ['Node.js', 'v20'],
    ]);
  });

  const cases: { what: string; seconds: HostSecond[]; overloaded: boolean; because: RegExp }[] = [
    { what: 'calm', seconds: row(20), overloaded: false, because: /kept up: 40 % of 2 cores/ },
    { what: 'not watched', seconds: [], overloaded: false, because: /not watched/ },
    {
      what: 'a short peak',
      seconds: [...row(3), ...row(4, { busy: 1 }), ...row(3)],
      overloaded: false,
      because: /kept up/,
    },
    {
      what: 'a stall of the harness',
      seconds: [...row(9), ...row(1, { lagMs: 612 })],
      overloaded: true,
      because: /stood still once, for up to 612 ms/,
    },
    {
      what: 'others that take all CPU',
      seconds: row(6, { busy: 0.99, nodes: 0.3 }),
      overloaded: true,
      because: /no idle CPU .* \(nodes 30 %, harness 5 %, others 64 %\)/,
    },
    {
      what: 'one hungry node',
      seconds: row(6, { busy: 1, nodes: 0.9, hungriest: { name: 'node-7', share: 0.5 } }),
      overloaded: true,
      because: /nodes 90 %, most of that node-7/,
    },
    {
      what: 'a greedy hypervisor',
      seconds: row(6, { stolen: 0.2 }),
      overloaded: true,
      because: /took 20 % of the CPU time over 5 s/,
    },
    {
      what: 'no memory left',
      seconds: row(2, { availableMiB: 90 }),
      overloaded: true,
      because: /only 90 MiB/,
    },
  ];
  for (const { what, seconds, overloaded, because } of cases) {
    it(`is judged: ${what}`, () => {
      const health = judgeHost(seconds, 2, 10_000);
      expect(health.overloaded).to.equal(overloaded);
      expect(health.because).to.match(because);
    });
  }

  it('tells in what share of the time it had nothing left', () => {
    const seconds = [
      ...row(15),
      ...row(5, { busy: 1 }),
      ...row(1, { lagMs: 900 }),
      ...row(4, { stolen: 0.3 }),
    ];
    expect(judgeHost(seconds, 2, 10_000).pressed).to.equal(0.4);
    expect(judgeHost([], 2, 10_000).pressed).to.equal(0);
  });

  it('is watched: a process that burns CPU and a stall of our own show, at their time only', async () => {
    // As a foreign command is started: a shell leads the group, and what it started burns.
    const burner = spawn('/bin/sh', ['-c', `'${process.execPath}' -e 'for (;;);'; true`], {
      stdio: 'ignore',
      detached: true,
    });
    const watch = watchHost(() => new Map([['burner', burner.pid!]]));
    try {
      await delay(2300);
      const before = performance.now();
      await delay(200);
      const stallUntil = performance.now() + 700;
      while (performance.now() < stallUntil) {
        // standing still on purpose
      }
      await delay(1300);
      const health = watch.health();
      expect(health.overloaded).to.equal(true);
      expect(health.because).to.match(/stood still (once|\d+ times), for up to [6-9]\d\d ms/);
      expect(watch.health(before).because).to.match(/stood still/);
      expect(health.seconds.length).to.be.at.least(3);
      expect(
        health.seconds.some(({ hungriest }) => hungriest?.name === 'burner' && hungriest.share > 0.05),
      ).to.equal(true);
      for (const second of health.seconds) expect(second.busy + second.stolen).to.be.within(0, 1);
    } finally {
      watch.stop();
      const exited = once(burner, 'exit');
      process.kill(-burner.pid!, 'SIGKILL');
      await exited;
    }
  });
});
