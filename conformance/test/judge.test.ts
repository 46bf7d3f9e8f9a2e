import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, expect } from 'chai';
import { runsRoot } from '../../harness/run-record.ts';
import type { Bench } from '../bench.ts';
import { refusedWithTwin, tryHandshake } from '../expect.ts';
import { fail, inconclusive, late, pass } from '../requirement.ts';
import { trivialCommand } from '../self/build.ts';
import type { Target } from '../target.ts';
import { openCommandTarget } from '../target-command.ts';
import { judged, row, verdictsOf } from './made-up.ts';

describe('judging', function () {
  this.timeout(60_000);
  let outDir = '';
  let target: Target;
  before(async () => {
    outDir = mkdtempSync(join(tmpdir(), 'judging-'));
    target = await openCommandTarget({
      command: { argv: await trivialCommand('accept-all') },
      description: 'accept-all',
      flags: "--command 'x'",
      seed: 1,
    });
  });
  after(async () => {
    await target.close();
    rmSync(outDir, { recursive: true });
  });

  it('turns whatever a row does into a verdict', async () => {
    const never = new Promise<never>(() => {});
    const attempt = (accepted: boolean) => async () => ({
      accepted,
      code: null,
      closed: null,
      detail: 'seen',
    });
    const twins = (bad: boolean, twin: boolean) => (bench: Bench) =>
      refusedWithTwin(bench, { what: 'a bad thing', bad: attempt(bad), twin: attempt(twin) }).then(() =>
        pass('ok'),
      );
    const summary = await judged(
      [
        row('GRT-01', async () => pass('all is well')),
        row('GRT-02', async () => undefined),
        row('GRT-03', async () => fail('a target missed')),
        row('GRT-04', async () => assert.equal(1, 2, 'one is not two')),
        row('GRT-05', async () => never, { limitMs: 300 }),
        row('GRT-06', async () => {
          throw new TypeError('our own fault');
        }),
        row('GRT-07', async () => late('too slow')),
        row('GFM-02', async () => inconclusive('no')),
        row('GFM-03', twins(false, true)),
        row('GFM-04', twins(true, true)),
        row('GFM-05', twins(false, false)),
        row('GFM-06', async (bench) =>
          (await bench.puppet('a'))
            .join((await bench.shared()).address, { withinMs: 50, capabilities: ['x'] })
            .then(() => pass('joined')),
        ),
        row('GAL-04', async () => fail('only recorded')),
        row('GFM-07', async (bench) => bench.waitFor('nothing', 50, () => false)),
      ],
      target,
      outDir,
    );
    expect(verdictsOf(summary)).to.deep.equal({
      'GRT-01': 'pass',
      'GRT-02': 'pass',
      'GRT-03': 'warn',
      'GRT-04': 'fail',
      'GRT-05': 'fail',
      'GRT-06': 'inconclusive',
      'GRT-07': 'fail',
      'GFM-02': 'inconclusive',
      'GFM-03': 'pass',
      'GFM-04': 'fail',
      'GFM-05': 'inconclusive',
      'GFM-06': 'pass',
      'GAL-04': 'pass',
      'GFM-07': 'fail',
    });
    expect(summary.verdict).to.equal('fail');
    const because = (id: string): string => summary.results.find((result) => result.id === id)!.because;
    expect(because('GRT-05')).to.match(/not through after 0 s, while beginning/);
    expect(because('GRT-06')).to.match(/defect of the suite.*our own fault/);
    expect(because('GFM-07')).to.match(/no nothing within 50 ms/);
  });

  it('shows of what a puppet tried no key of it, and takes silence for no refusal', async () => {
    const told = async (bench: Bench): Promise<void> => {
      const [node, puppet] = [await bench.shared(), await bench.puppet('a')];
      const attempt = await tryHandshake(puppet, node, { keepOpen: true });
      expect(attempt.connection?.puppet.identity.keyPem).to.be.a('string');
      await refusedWithTwin(bench, {
        what: 'an attempt',
        bad: async () => attempt,
        twin: () => tryHandshake(puppet, node),
      });
    };
    const unheard = async (bench: Bench): Promise<void> => {
      const puppet = await bench.puppet('a');
      const silent = createServer().listen(0, '127.0.0.1');
      bench.onClose(() => silent.close());
      await once(silent, 'listening');
      const { port } = silent.address() as AddressInfo;
      await refusedWithTwin(bench, {
        what: 'a stranger',
        bad: () => tryHandshake(puppet, `127.0.0.1:${port}`, { withinMs: 200 }),
        twin: async () => tryHandshake(puppet, await bench.shared()),
      });
    };
    const summary = await judged([row('HSK-05', told), row('TLS-05', unheard)], target, outDir);
    expect(verdictsOf(summary)).to.deep.equal({ 'HSK-05': 'fail', 'TLS-05': 'fail' });
    expect(summary.results[1]!.because).to.match(/a stranger was not refused: .* no TLS within 200 ms/);
    const text = readFileSync(join(outDir, 'conformance.json'), 'utf8');
    expect(JSON.parse(text).results[0].evidence[0].bad).to.include({ accepted: true, detail: 'connected' });
    expect(text).to.not.match(/keyPem|PRIVATE KEY|secret/);
    expect(text.length).to.be.below(20_000);
  });

  it('hears a row again for which something came too late, beside others, and lets that count', async () => {
    let hearings = 0;
    const lateAtFirst = async () => (++hearings === 1 ? late('too slow') : pass('in time'));
    const both = await judged(
      [row('GRT-07', lateAtFirst), row('GFM-07', async () => late('always'))],
      target,
      outDir,
    );
    expect(verdictsOf(both)).to.deep.equal({ 'GRT-07': 'pass', 'GFM-07': 'fail' });
    expect(both.results[0]!.because).to.contain('beside other rows: too slow');
    hearings = 0;
    const alone = await judged([row('GRT-07', lateAtFirst)], target, outDir);
    expect(verdictsOf(alone)).to.deep.equal({ 'GRT-07': 'fail' });
    expect(hearings).to.equal(1);
  });

  it('hears a row again as somebody else and on a node of its own, with the same draws', async () => {
    const met: { puppet: string; uuid: string; node: string; draw: number }[] = [];
    const lateAtFirst = async (bench: Bench) => {
      const { nodeId: puppet } = await bench.puppet('a');
      const { name: node } = await bench.shared();
      met.push({ puppet, uuid: bench.uuid(), node, draw: bench.random.next() });
      return met.length === 1 ? late('too slow') : pass('in time');
    };
    const rows = [row('GRT-07', lateAtFirst), row('GFM-07', async () => pass('fine'))];
    await judged(rows, target, outDir);
    const [first, second] = met as [(typeof met)[0], (typeof met)[0]];
    expect(second.draw).to.equal(first.draw);
    for (const what of ['puppet', 'uuid', 'node'] as const)
      expect(second[what], what).to.not.equal(first[what]);
    met.length = 0;
    await judged(rows, target, outDir);
    expect(met[0]).to.include({ puppet: first.puppet, uuid: first.uuid });
  });

  it('writes what was judged when it is ended, and what was not as open', async () => {
    const ending = new AbortController();
    let begun = 0;
    const hangs = async (bench: Bench): Promise<void> => {
      await (await bench.puppet('a')).join(await bench.shared());
      begun += 1;
      if (begun === 2) ending.abort();
      await new Promise<never>(() => {});
    };
    const startedAt = performance.now();
    const summary = await judged(
      [row('GRT-01', async () => pass('fine')), row('GRT-02', hangs), row('GRT-05', hangs)],
      target,
      outDir,
      { ended: ending.signal },
    );
    expect(performance.now() - startedAt).to.be.below(20_000);
    expect(verdictsOf(summary)).to.deep.equal({
      'GRT-01': 'pass',
      'GRT-02': 'inconclusive',
      'GRT-05': 'inconclusive',
    });
    expect(summary).to.deep.include({
      verdict: 'inconclusive',
      because: 'the run was ended: 2 of 3 rows were not judged',
      open: ['GRT-02', 'GRT-05'],
    });
    const { results } = JSON.parse(readFileSync(join(outDir, 'conformance.json'), 'utf8'));
    expect(results[1]).to.include({ id: 'GRT-02', because: 'not judged: the run was ended' });
    expect(readFileSync(join(outDir, results[1].transcript), 'utf8')).to.include('"direction":"in"');
  });

  it('charges the end of a node to the row that used it, and gives the others a new one', async () => {
    const end = async (bench: Bench): Promise<void> => {
      const node = await bench.shared();
      bench.step('pulling the plug');
      process.kill(node.control!.pid!, 'SIGKILL');
      await bench.sleep(2_000, 'waiting for the news');
    };
    const honest = async (bench: Bench): Promise<unknown> => {
      const node = await bench.shared();
      await (await bench.puppet('a')).join(node);
      await bench.sleep(400, 'being there');
      await (await bench.puppet('b')).join(node);
      return pass('served');
    };
    const own = async (bench: Bench): Promise<void> => {
      const node = await bench.node();
      process.kill(node.control!.pid!, 'SIGKILL');
      await bench.sleep(2_000, 'waiting for the news');
    };
    const meant = async (bench: Bench): Promise<unknown> => {
      const node = await bench.node();
      await node.control!.kill();
      await node.control!.start();
      await (await bench.puppet('a')).join(node);
      return pass('restarted');
    };
    const rows = [
      row('GRT-01', end),
      row('GRT-02', honest),
      row('GRT-04', honest),
      row('GRT-05', own),
      row('GRT-06', meant),
    ];
    const summary = await judged(rows, target, outDir);
    expect(verdictsOf(summary)).to.deep.equal({
      'GRT-01': 'fail',
      'GRT-02': 'pass',
      'GRT-04': 'pass',
      'GRT-05': 'fail',
      'GRT-06': 'pass',
    });
    const because = summary.results[0]!.because;
    expect(because).to.match(/^node-\d+ ended by itself while .*SIGKILL/);
  });

  it('holds the end of a node against it that no row is blamed for', async () => {
    let hearings = 0;
    const endsOnce = async (bench: Bench): Promise<void> => {
      hearings += 1;
      if (hearings > 1) inconclusive('nothing to see');
      process.kill((await bench.shared()).control!.pid!, 'SIGKILL');
      await bench.sleep(2_000, 'waiting for the news');
    };
    const before = target.crashes.length;
    const rows = [row('GRT-01', endsOnce), row('GRT-02', async () => pass('fine'))];
    const summary = await judged(rows, target, outDir);
    expect(target.crashes.length).to.equal(before + 1);
    expect(verdictsOf(summary)).to.deep.equal({ 'GRT-01': 'inconclusive', 'GRT-02': 'pass' });
    expect(summary.crashes.at(-1)).to.equal(target.crashes.at(-1));
    expect(summary.verdict).to.equal('fail');
  });

  it('holds it against a node that it cannot be started again, or stopped', async () => {
    const once = `d=$(dirname "$CLE_CONFIG"); test -e $d/begun && exit 7; touch $d/begun; trap "" TERM;`;
    const stubborn = await openCommandTarget({
      command: {
        argv: ['/bin/sh', '-c', `${once} "$@"; sleep 5`, 'sh', ...(await trivialCommand('accept-all'))],
      },
      description: 'stubborn',
      flags: '',
      seed: 1,
    });
    try {
      const restarts = async (bench: Bench): Promise<void> => {
        const { control } = await bench.node();
        await control!.kill();
        await control!.start();
      };
      const stops = async (bench: Bench): Promise<void> => {
        await (await bench.node()).control!.terminate(300);
      };
      const summary = await judged([row('GRT-01', restarts), row('GRT-02', stops)], stubborn, outDir);
      expect(verdictsOf(summary)).to.deep.equal({ 'GRT-01': 'fail', 'GRT-02': 'fail' });
      const [first, second] = summary.results.map(({ because }) => because);
      expect(first).to.match(/^the node does not start again: node-\d+ /);
      expect(second).to.match(/^node-\d+ did not end within 300 ms of SIGTERM/);
    } finally {
      await stubborn.close();
    }
  });

  it('writes reports that hold together', async () => {
    const summary = await judged(
      [
        row('GRT-01', async () => pass('fine')),
        row('GRT-02', async (bench) => {
          await (await bench.puppet('a')).join(await bench.shared());
          fail('got <b>4</b> & more');
        }),
      ],
      target,
      outDir,
    );
    const read = (name: string): string => readFileSync(join(outDir, name), 'utf8');
    const json = JSON.parse(read('conformance.json'));
    expect(json).to.include({ verdict: 'fail', target: 'accept-all', seed: 1 });
    expect(json.counts).to.include({ pass: 1, fail: 1 });
    expect(json.results[1]).to.include({
      id: 'GRT-02',
      level: 'must',
      verdict: 'fail',
      replay: "npm run conformance -- --command 'x' --only GRT-02 --seed 1",
    });
    expect(json.results[1].duration_ms).to.be.a('number');
    const transcript = read(json.results[1].transcript)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(transcript[0].text).to.match(/^expected: it is so/);
    expect(transcript.map((line: { direction: string }) => line.direction)).to.include.members([
      'out',
      'in',
      'note',
    ]);
    expect(read('junit.xml'))
      .to.match(/failures="1".*GRT-02/s)
      .and.not.match(/<b>/);
    expect(read('requirements.html'))
      .to.match(/got &lt;b&gt;4/)
      .and.not.match(/<b>4/);
    expect(read('badge.svg')).to.match(/fail 1\/2/);
    expect(summary.wallMs).to.be.below(30_000);
  });

  it('leaves nothing behind', async () => {
    const other = await openCommandTarget({
      command: { argv: await trivialCommand('silent') },
      description: 's',
      flags: '',
      seed: 2,
    });
    const { pid, dataDir } = (await other.own('x', {}, () => {})).node.control!;
    await other.close();
    expect(() => process.kill(pid!, 0)).to.throw();
    expect(() => readFileSync(dataDir)).to.throw(/ENOENT/);
    expect(runsRoot()).to.be.a('string');
  });
});
