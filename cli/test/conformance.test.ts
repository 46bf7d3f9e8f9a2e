import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openAddressTarget } from '../../conformance/target-address.ts';
import { openCommandTarget } from '../../conformance/target-command.ts';
import { processesWithEnvironment } from '../../harness/os-process.ts';
import { UsageError } from '../../harness/usage-error.ts';
import { createAuthority } from '../../harness/wire/authority.ts';
import { conformance } from '../conformance.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

function run(program: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', join('cli', program), ...args], { cwd: root });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stderr.on('data', (data) => {
      err += data;
    });
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

describe('npm run conformance', function () {
  this.timeout(120_000);
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'conformance-cli-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('answers wrong use with one line and exit code 2', async () => {
    const cases: [args: string[], line: RegExp][] = [
      [['--wat'], /Unknown option '--wat' \(there are --command --image .* --quiet --help\)$/],
      [['bogus'], /unknown argument "bogus"/],
      [['--only', 'NOPE-*'], /--only NOPE-\*: no requirement/],
      [['--level', 'may'], /--level may: there are must and should/],
      [['--seed', '1.5'], /--seed 1\.5/],
      [['--seed', ''], /^--seed '': must be a whole number from 0$/],
      [['--seed', '1e3'], /^--seed 1e3: must be a whole number from 0$/],
      [['--seed', '-1'], /^--seed -1: must be/],
      [['--reason', 'why'], /--reason goes with --write-baseline/],
      [
        ['--write-baseline', join(folder, 'none', 'x.json'), '--reason', 'why'],
        /x\.json: there is no such folder$/,
      ],
      [['--address', '127.0.0.1:99999', '--ca', folder], /a port is a number from 1 to 65535$/],
      [['--address', '127.0.0.1:9'], /--address needs --ca/],
      [['--address', '127.0.0.1:9', '--command', 'x', '--ca', folder], /exclude each other/],
      [['--address', '127.0.0.1:9', '--ca', folder], /there is no ca\.crt/],
      [['--ca', folder], /--ca goes with --address/],
      [['--baseline', join(folder, 'none.json')], /there is no such file/],
      [['--write-baseline', join(folder, 'new.json')], /needs --reason/],
      [['--only', 'TLS-01', '--command', 'nosuchprogram'], /nosuchprogram/],
      [['--only', 'TLS-01', '--command', 'echo last words; exit 9'], /exit code 9 .*last words/],
    ];
    for (const [args, line] of cases) {
      const error = await conformance(['--out', join(folder, 'out'), ...args]).then(
        () => null,
        (thrown: Error) => thrown,
      );
      expect(error, args.join(' ')).to.be.instanceOf(UsageError);
      expect(error!.message).to.match(line).and.not.match(/\n/);
    }
    expect(existsSync(join(folder, 'out')), 'a folder with nothing in it').to.equal(false);
    const { code, err } = await run('conformance.ts', '--level', 'may');
    expect({ code, err }).to.deep.equal({
      code: 2,
      err: 'conformance: --level may: there are must and should\n',
    });
    expect((await run('conformance-self.ts', '--part', 'half')).err).to.match(
      /--part half: there are ci, full\n$/,
    );
  });

  it('judges the reference node, and fails a node that does nothing', async () => {
    const good = await run(
      'conformance.ts',
      '--only',
      'TLS-01,ENV-07',
      '--out',
      join(folder, 'good'),
      '--seed',
      '7',
    );
    expect(good.code, good.out + good.err).to.equal(0);
    const verdict = JSON.parse(readFileSync(join(folder, 'good', 'conformance.json'), 'utf8'));
    expect(verdict).to.deep.include({ verdict: 'pass', target: 'reference node', seed: 7 });
    const script = join(folder, 'closing.cjs');
    writeFileSync(script, closingNode);
    const bad = await run(
      'conformance.ts',
      '--only',
      'ENV-07',
      '--quiet',
      '--out',
      join(folder, 'bad'),
      '--command',
      `node ${script}`,
    );
    expect(bad.code).to.equal(1);
    expect(bad.out).to.match(/ENV-07/);
  });

  it('tells a pipe how far it is, and writes what was judged when it is ended', async () => {
    const out = join(folder, 'ended');
    const words = ['--import', 'tsx', 'cli/conformance.ts', '--only', 'TLS-01,HBT-*', '--out', out];
    const temp = mkdtempSync(join(folder, 'temp-'));
    const child = spawn(process.execPath, words, { cwd: root, env: { ...process.env, TMPDIR: temp } });
    const ended = once(child, 'close');
    let said = '';
    let isTold = false;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        said += data;
        if (isTold || !/rows judged after 1\d s, 0 failures, \d+ under way, the longest HBT-/.test(said))
          return;
        isTold = true;
        child.kill('SIGTERM');
      });
    expect((await ended)[0], said).to.equal(143);
    const { verdict, results } = JSON.parse(readFileSync(join(out, 'conformance.json'), 'utf8'));
    expect(verdict).to.equal('inconclusive');
    const open = results.filter((r: { because: string }) => r.because === 'not judged: the run was ended');
    const ids = open.map(({ id }: { id: string }) => id);
    expect(ids).to.include('HBT-01').and.not.include('TLS-01');
    expect(said)
      .to.include(`not judged: ${ids.join(', ')}`)
      .and.not.match(/\n\s+at /);
    for (const name of ['junit.xml', 'requirements.html', 'badge.svg'])
      expect(existsSync(join(out, name)), name).to.equal(true);
    expect(readdirSync(temp).filter((name) => name.startsWith('cle-testnet'))).to.deep.equal([]);
    expect(processesWithEnvironment(`TMPDIR=${temp}`)).to.deep.equal([]);
  });

  it('says of a CA or an address that will not do why, in words for whoever gave it', async () => {
    const ca = join(folder, 'ca');
    mkdirSync(ca);
    const { certificatePem, keyPem } = await createAuthority();
    writeFileSync(join(ca, 'ca.crt'), certificatePem);
    const refusal = (key: string): Promise<string> => {
      writeFileSync(join(ca, 'ca.key'), key);
      return openAddressTarget({ address: '127.0.0.1:9', caDir: ca, flags: '', seed: 1 }).then(
        () => 'opened',
        (error: Error) => `${error.name}: ${error.message}`,
      );
    };
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const rsa = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    expect(await refusal(rsa)).to.match(/^UsageError: --ca \S+: ca\.key is rsa; it must be Ed25519$/);
    expect(await refusal('nothing')).to.match(/^UsageError: --ca \S+: ca\.key cannot be read as PEM/);
    expect(await refusal(keyPem)).to.equal(
      'UsageError: --address 127.0.0.1:9: refused (tcp): connect ECONNREFUSED 127.0.0.1:9',
    );
  });

  it('says what is wrong with a command that never listens, or listens without TLS', async () => {
    const refusal = (shell: string): Promise<string> =>
      openCommandTarget({ command: { shell }, description: '', flags: '', seed: 1, readyWithinMs: 700 }).then(
        () => 'opened',
        (error: Error) => `${error.name}: ${error.message}`,
      );
    expect(await refusal('echo thinking; sleep 60')).to.match(/^UsageError: .*thinking/);
    const plain = join(folder, 'plain.cjs');
    writeFileSync(
      plain,
      `${readListen}require('node:net').createServer((s) => s.end('hello')).listen(port, host);`,
    );
    expect(await refusal(`node ${plain}`)).to.match(/^UsageError: .*TLS/);
  });

  it('lists the rows', async () => {
    const { code, out } = await run('conformance.ts', 'list', '--only', 'TLS-01');
    expect(code).to.equal(0);
    expect(out).to.match(/^TLS-01 {2}must .*control/);
  });
});

const readListen = `
const text = require('node:fs').readFileSync(process.env.CLE_CONFIG, 'utf8');
const value = (key) => text.match(new RegExp('^' + key + ': "?([^"\\\\n]+)', 'm'))[1];
const [host, port] = value('listen').split(':');
`;
const closingNode = `${readListen}
const read = (key) => require('node:fs').readFileSync(value(key));
require('node:tls').createServer({ key: read('key_file'), cert: read('certificate_file'), ca: read('ca_file'),
  requestCert: true, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' },
  (socket) => socket.destroy()).listen(port, host);
`;
