/**
 * The target that is an image, with the reference node's image and with images that are wrong in one way each, on the engine of
 * this machine; skipped with the reason where none answers.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type Docker from 'dockerode';
import { containerUser } from '../../harness/engines/docker/folder.ts';
import { nodeImage, removeOldImages } from '../../harness/engines/docker/image.ts';
import { sweepEngine } from '../../harness/engines/docker/leftovers.ts';
import { engineOrSkip } from '../../harness/engines/docker/test/fixture.ts';
import { UsageError } from '../../harness/usage-error.ts';
import { listen } from '../../harness/wire/listener.ts';
import * as wire from '../../harness/wire/puppet.ts';
import { splitAddress } from '../../harness/wire/transport.ts';
import { bundleNode } from '../../node/bundle.ts';
import type { Target } from '../target.ts';
import { openImageTarget } from '../target-image.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const kind = `test-target-${process.pid}`;

describe('conformance: an image as the target', function () {
  this.timeout(120_000);
  let docker: Docker;
  let image = '';
  let folder = '';

  before(async function () {
    docker = await engineOrSkip(this);
    const { command, dir, addonsFor } = await bundleNode();
    image = (await nodeImage(docker, { command, folder: dir, addonsFor })).ref;
    folder = mkdtempSync(join(tmpdir(), 'image-target-'));
  });

  after(async () => {
    if (docker === undefined) return;
    await removeOldImages(docker, kind, null);
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  const open = (ref: string, readyWithinMs = 30_000): Promise<Target> =>
    openImageTarget({ image: ref, description: ref, flags: '', seed: 5, readyWithinMs });

  it('starts, stops, kills, pauses and wipes; puppets reach it and it dials back', async () => {
    const target = await open(image);
    try {
      const puppet = await wire.createPuppet(target.authority, { name: 'dialled' });
      const { host, port } = splitAddress(target.nextAddress());
      const listener = await listen(puppet, host, port);
      const bootstrap = { host, port, publicKey: puppet.identity.publicKeyBase64 };
      const { node, release } = await target.own('row', { bootstrap: [bootstrap] }, () => {});
      const control = node.control!;
      await listener.nextJoined(20_000);
      await listener.close();
      const prober = await wire.createPuppet(target.authority, { name: 'prober' });
      const meets = async (): Promise<void> => {
        const connection = await wire.join(prober, node.address, { withinMs: 5_000 });
        await connection.close();
      };
      await meets();
      expect(control.readyAt).to.be.greaterThan(control.startedAt);
      expect(target.pids().get(node.name)).to.equal(control.pid);
      expect(readFileSync(`/proc/${control.pid}/status`, 'utf8')).to.match(/^CapEff:\s+0+$/m);

      await control.kill();
      expect(control.pid).to.equal(null);
      const kept = readdirSync(control.dataDir);
      // As a row tears a store: what it writes must be the node's own when it starts.
      const torn = join(control.dataDir, 'written-while-it-was-down');
      writeFileSync(torn, '');
      await control.start();
      expect(statSync(torn).uid).to.equal(containerUser().uid);
      await meets();

      await control.pause();
      const silent = await wire.join(prober, node.address, { withinMs: 700 }).then(String, () => 'silent');
      expect(silent).to.equal('silent');
      await control.resume();
      await meets();

      expect(await control.terminate()).to.deep.include({ code: 0, signal: null });
      expect(kept).to.not.deep.equal([]);
      await control.wipe();
      expect(readdirSync(control.dataDir)).to.deep.equal([]);
      await control.start();
      await meets();
      expect(node.logTail(50).join('\n')).to.match(/"stopping".*[\s\S]*ended: exit code 0/);
      await release();
      expect(target.crashes).to.deep.equal([]);
    } finally {
      await target.close();
    }
    expect(await leftovers(docker)).to.deep.equal([]);
  });

  it('tells a row when its node ends by itself, and takes exit code and stderr of a bad start', async () => {
    const target = await open(image);
    try {
      const crashed: string[] = [];
      const { node, release } = await target.own('row', {}, (crash) => crashed.push(crash.how));
      process.kill(node.control!.pid!, 'SIGKILL');
      for (let tries = 0; crashed.length === 0 && tries < 100; tries += 1) await delay(50);
      expect(crashed[0]).to.match(/ended by itself with SIGKILL/);
      await release();
      const bad = (text: string): string => text.replace(/^listen:.*$/m, 'listen: nonsense');
      const failed = await target.startAndExit('row', { configText: bad }, 10_000);
      expect(failed).to.deep.include({ code: 2, signal: null });
      expect(failed!.stderr.join('\n')).to.match(/listen/);
    } finally {
      await target.close();
    }
  });

  it('one clear line for an image that cannot be a node', async () => {
    const wrong: [changes: string[], line: RegExp][] = [
      [entry('console.error("no licence"); process.exit(3)'), /ended with exit code 3 .*no licence/],
      [entry('console.log("thinking"); setInterval(() => {}, 1000)'), /does not listen on .*thinking/],
      [entry('require("net").createServer((s) => s.end("hello")).listen(8888)'), /accepts no TLS/],
      [['ENTRYPOINT ["/no/such/program"]'], /could not be started: .*no such file or directory/],
    ];
    for (const [index, [changes, line]] of wrong.entries()) {
      const ref = await variantOf(docker, image, `wrong-${index}`, changes);
      const error = await open(ref, 2_500).then(
        async (target) => target.close(),
        (thrown: Error) => thrown,
      );
      expect(error, ref).to.be.instanceOf(UsageError);
      expect((error as Error).message)
        .to.match(line)
        .and.not.match(/\n/);
      expect((error as Error).message).to.match(new RegExp(`^image ${ref}: node-1 `));
    }
    const missing = await open('localhost:1/nobody/nothing').catch((error: Error) => error);
    expect((missing as Error).message).to.match(/^image localhost:1\/nobody\/nothing is not here/);
    expect(await leftovers(docker)).to.deep.equal([]);
  });

  it('is a flag of the command; wrong use and no engine exit 2 with one line', async () => {
    const out = ['--out', join(folder, 'out'), '--quiet'];
    const good = await run(['--image', image, '--only', 'TLS-01', ...out]);
    expect(good.code, good.err).to.equal(0);
    const verdict = JSON.parse(readFileSync(join(folder, 'out', 'conformance.json'), 'utf8'));
    expect(verdict).to.deep.include({ verdict: 'pass', target: image });
    const none = { DOCKER_HOST: 'unix:///nowhere.sock' };
    expect(await run(['--image', image, '--only', 'TLS-01', ...out], none)).to.deep.include({
      code: 2,
      err: 'conformance: no container engine answers at unix:///nowhere.sock (is Docker installed and running? DOCKER_HOST names another)\n',
    });
    const both = await run(['--image', image, '--command', 'x', ...out]);
    expect(both).to.deep.include({ code: 2, err: 'conformance: --command and --image exclude each other\n' });
  });

  it('leaves nothing after SIGKILL, without any next run', async () => {
    const child = start(['--image', image, '--only', 'TLS-01,HBT-01', '--out', join(folder, 'killed')], {});
    const mine = `cle-testnet.run=${child.pid}-`;
    for (let tries = 0; (await leftovers(docker, mine)).length < 2; tries += 1) {
      expect(tries).to.be.lessThan(600);
      await delay(50);
    }
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    for (let tries = 0; (await leftovers(docker, mine)).length > 0 && tries < 400; tries += 1)
      await delay(50);
    expect(await leftovers(docker, mine)).to.deep.equal([]);
  });

  it('leaves nothing after SIGKILL that the next run does not sweep', async () => {
    const child = start(['--image', image, '--only', 'TLS-01,HBT-01', '--out', join(folder, 'killed')], {});
    const mine = `cle-testnet.run=${child.pid}-`;
    for (let tries = 0; (await leftovers(docker, mine)).length < 2; tries += 1) {
      expect(tries).to.be.lessThan(600);
      await delay(50);
    }
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    await sweepEngine({ docker, local: true });
    expect(await leftovers(docker, mine)).to.deep.equal([]);
  });
});

const entry = (script: string): string[] => [
  `ENTRYPOINT ${JSON.stringify(['/usr/local/bin/node', '-e', script])}`,
];

/** An image with another configuration on the same files. */
async function variantOf(docker: Docker, base: string, tag: string, changes: string[]): Promise<string> {
  const container = await docker.createContainer({ Image: base });
  const label = `LABEL cle-testnet.image=${kind}`;
  await container.commit({ repo: `cle-testnet/${kind}`, tag, changes: [...changes, label].join('\n') });
  await container.remove();
  return `cle-testnet/${kind}:${tag}`;
}

/** Names of containers and networks of runs of this process, or of those with the given label. */
async function leftovers(docker: Docker, mine = `cle-testnet.run=${process.pid}-`): Promise<string[]> {
  const filters = { label: ['cle-testnet.run'] };
  const all = [
    ...(await docker.listContainers({ all: true, filters })).map(({ Names, Labels }) => ({
      name: Names[0]!,
      labels: Labels,
    })),
    ...(await docker.listNetworks({ filters })).map(({ Name, Labels }) => ({
      name: Name,
      labels: Labels ?? {},
    })),
  ];
  const [label, value] = mine.split('=') as [string, string];
  return all.filter(({ labels }) => labels[label]?.startsWith(value)).map(({ name }) => name);
}

function start(args: string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', join('cli', 'conformance.ts'), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

async function run(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; err: string }> {
  const child = start(args, env);
  let err = '';
  child.stderr!.on('data', (data) => {
    err += data;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, err };
}
