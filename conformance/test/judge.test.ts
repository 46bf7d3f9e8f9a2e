import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { assert, expect } from 'chai';
import { runsRoot } from '../../harness/run-record.ts';
import type { Bench } from '../bench.ts';
import { readCatalogue } from '../catalogue.ts';
import { refusedWithTwin } from '../expect.ts';
import { openTerminal } from '../report/terminal.ts';
import { fail, inconclusive, late, pass, type Requirement, type Verdict } from '../requirement.ts';
import { runConformance } from '../run.ts';
import { mutantCommand, trivialCommand } from '../self/build.ts';
import type { Summary } from '../summary.ts';
import type { Target } from '../target.ts';
import { openAddressTarget } from '../target-address.ts';
import { openCommandTarget } from '../target-command.ts';

const catalogue = readCatalogue();

/** A made-up row under the id of a real one. */
function row(
  id: string,
  test: (bench: Bench) => Promise<unknown>,
  changes: Partial<Requirement> = {},
): Requirement {
  const { level, section, role } = catalogue.find((one) => one.id === id)!;
  return {
    id,
    level,
    section,
    role,
    quote: 'All messages are signed:',
    reading: 'it is so',
    mutants: ['x'],
    needs: [],
    durationHintMs: 100,
    test: test as Requirement['test'],
    ...changes,
  };
}

async function judged(rows: readonly Requirement[], target: Target, outDir: string): Promise<Summary> {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() }) as unknown as NodeJS.WriteStream;
  const options = {
    selection: { only: [], level: null },
    seed: 1,
    thorough: false,
    outDir,
    baseline: null,
    writeBaseline: null,
    today: '2026-01-01',
  };
  const terminal = openTerminal(sink, catalogue, false);
  const summary = await runConformance(options, target, terminal, {
    rows,
    catalogue,
    missing: [],
    problems: [],
  });
  terminal.summary(summary, outDir);
  return summary;
}

const verdictsOf = (summary: Summary): Record<string, Verdict> =>
  Object.fromEntries(summary.results.map((result) => [result.id, result.verdict]));

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

describe('an address as target', function () {
  this.timeout(60_000);

  it('is judged without being started: what it cannot give is not applicable', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'address-'));
    const host = await openCommandTarget({
      command: { argv: await mutantCommand(null) },
      description: 'reference',
      flags: '',
      seed: 3,
    });
    try {
      const { node } = await host.own('host', {}, () => {});
      writeFileSync(join(folder, 'ca.crt'), host.authority.certificatePem);
      writeFileSync(join(folder, 'ca.key'), host.authority.keyPem);
      const target = await openAddressTarget({ address: node.address, caDir: folder, seed: 1 });
      const joins = async (bench: Bench): Promise<unknown> => {
        await (await bench.puppet('a')).peer(await bench.shared());
        return pass('joined');
      };
      const alone = async (bench: Bench): Promise<unknown> => {
        const own = await bench.node();
        expect(own.nodeId).to.equal(node.nodeId);
        expect(own.advertise).to.equal(node.advertise);
        await bench.sleep(30, 'being alone');
        return pass('alone');
      };
      const summary = await judged(
        [
          row('GRT-01', joins),
          row('GRT-02', joins),
          row('GRT-03', alone),
          row('GRT-04', alone),
          row('GRT-05', joins, { needs: ['restart'] }),
          row('GRT-06', async (bench) => bench.node({ parameters: { fanout: 2 } })),
          row('GRT-07', async (bench) => bench.nodes(2)),
          row('GAL-01', async (bench) => {
            const puppet = await bench.puppet('called');
            const listener = await puppet.listen();
            const peer = await bench.puppet('peer');
            await peer.peer(await bench.node(), { peers: [puppet.entry] });
            await listener.nextJoined(8_000);
            return pass('it dialled back');
          }),
        ],
        target,
        folder,
      );
      expect(verdictsOf(summary)).to.deep.equal({
        'GRT-01': 'pass',
        'GRT-02': 'pass',
        'GRT-03': 'pass',
        'GRT-04': 'pass',
        'GRT-05': 'not-applicable',
        'GRT-06': 'not-applicable',
        'GRT-07': 'not-applicable',
        'GAL-01': 'pass',
      });
      await target.close();
    } finally {
      await host.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses what cannot be judged', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'address-'));
    const refusal = (address: string): Promise<string> =>
      openAddressTarget({ address, caDir: folder, seed: 1 }).then(
        () => 'opened',
        (error: Error) => `${error.name}: ${error.message}`,
      );
    try {
      expect(await refusal('127.0.0.1:9')).to.match(/UsageError.*there is no ca.crt/);
      writeFileSync(join(folder, 'ca.crt'), 'x');
      expect(await refusal('127.0.0.1:9')).to.match(/UsageError.*there is no ca.key/);
      writeFileSync(join(folder, 'ca.key'), 'x');
      expect(await refusal('127.0.0.1:9')).to.match(/UsageError: --ca /);
      expect(await refusal('nowhere')).to.match(/not of the form HOST:PORT/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
