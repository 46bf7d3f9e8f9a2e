import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { boundedStarts } from '../bounded.ts';
import { type Job, schedule } from '../schedule.ts';

describe('schedule', () => {
  const trace = (): {
    jobs: (id: string, ms: number, cpu: number, hint?: number) => Job<string>;
    log: string[];
    most: () => number;
  } => {
    const log: string[] = [];
    let [cpuNow, cpuMost] = [0, 0];
    return {
      log,
      most: () => cpuMost,
      jobs: (id, ms, cpu, hint = ms) => ({
        id,
        cpu,
        durationHintMs: hint,
        run: async () => {
          log.push(id);
          cpuNow += cpu;
          cpuMost = Math.max(cpuMost, cpuNow);
          await delay(ms);
          cpuNow -= cpu;
          return id;
        },
      }),
    };
  };

  it('starts the longest first and never exceeds the processors', async () => {
    const { jobs, log, most } = trace();
    const list = [
      jobs('short', 5, 1, 5),
      jobs('long', 20, 1, 50),
      jobs('middle', 5, 1, 20),
      jobs('half', 5, 0.5, 1),
    ];
    const { outcomes, settled } = schedule(list, { cpu: 2, jobs: 10 });
    await settled;
    expect(log.slice(0, 2)).to.deep.equal(['long', 'middle']);
    expect(most()).to.be.at.most(2);
    expect(await outcomes.get('half')).to.equal('half');
  });

  it('lets waiting jobs run side by side whatever the processors do', async () => {
    const { jobs } = trace();
    const waits = Array.from({ length: 20 }, (_, i) => jobs(`wait-${i}`, 60, 0));
    const startedAt = performance.now();
    await schedule([...waits, jobs('busy', 30, 2)], { cpu: 2, jobs: 50 }).settled;
    expect(performance.now() - startedAt).to.be.below(600);
  });

  it('does not let small jobs starve a big one', async () => {
    const { jobs, log } = trace();
    const small = Array.from({ length: 10 }, (_, i) => jobs(`small-${i}`, 5, 0.5, 1));
    await schedule([jobs('first', 10, 1, 30), jobs('big', 5, 2, 20), ...small], { cpu: 2, jobs: 50 }).settled;
    expect(log.slice(0, 2)).to.deep.equal(['first', 'big']);
  });

  it('runs the heaviest one after the other, without making them wait for the others', async () => {
    const { jobs, log, most } = trace();
    const heavy = [jobs('heavy-1', 10, 1, 40), jobs('heavy-2', 10, 1, 30), jobs('heavy-3', 10, 1, 20)];
    const light = Array.from({ length: 8 }, (_, i) => jobs(`light-${i}`, 6, 0.5, 50));
    await schedule([...light, ...heavy], { cpu: 2, jobs: 50, alone: 1 }).settled;
    expect(log.indexOf('heavy-1')).to.be.at.most(4);
    expect(log.filter((id) => id.startsWith('heavy'))).to.deep.equal(['heavy-1', 'heavy-2', 'heavy-3']);
    expect(most()).to.be.at.most(3);
  });

  it('goes on when a job throws, and hands the error on', async () => {
    const { jobs } = trace();
    const broken: Job<string> = {
      id: 'broken',
      cpu: 1,
      durationHintMs: 99,
      run: () => Promise.reject(new Error('no')),
    };
    const { outcomes, settled } = schedule([broken, jobs('good', 1, 1)], { cpu: 1, jobs: 1 });
    await settled;
    expect(await outcomes.get('good')).to.equal('good');
    expect(await outcomes.get('broken')!.catch((error: Error) => error.message)).to.equal('no');
  });

  it('bounds starts', async () => {
    const inTurn = boundedStarts(2);
    let [now, most] = [0, 0];
    const start = (): Promise<void> =>
      inTurn(async () => {
        now += 1;
        most = Math.max(most, now);
        await delay(2);
        now -= 1;
      });
    await Promise.all(Array.from({ length: 9 }, start));
    expect(most).to.equal(2);
  });
});
