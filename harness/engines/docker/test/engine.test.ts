/**
 * The docker engine for real: what a container may do, faults with the engine's word, two runs side by side, what goes around the
 * fault plane, and one clear line for everything that a person can get wrong. Skipped with the reason where no engine answers.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type Docker from 'dockerode';
import { bypass } from '../../../checks/overlay.ts';
import type { EngineOptions, ReferenceNode, RunningTestnet } from '../../../engine.ts';
import type { Plan } from '../../../plan.ts';
import { healthyHistory } from '../../../test/history-fixture.ts';
import { UsageError } from '../../../usage-error.ts';
import { chooseEngine } from '../../index.ts';
import { stubPlan } from '../../test/stub-plan.ts';
import { dockerEngine } from '../engine.ts';
import { nodeImage } from '../image.ts';
import { sweepEngine } from '../leftovers.ts';
import type { Scheme } from '../network.ts';
import { readPerturbation } from '../perturb.ts';
import { sentHere } from '../traffic.ts';
import { engineOrSkip, heldBy, referenceNode } from './fixture.ts';

describe('docker: the engine', function () {
  this.timeout(120_000);
  let docker: Docker;
  let reference: ReferenceNode;
  let image: string;
  let temp: string;

  before(async function () {
    docker = await engineOrSkip(this);
    reference = await referenceNode();
    image = (await nodeImage(docker, reference)).ref;
    temp = mkdtempSync(join(tmpdir(), 'cle-docker-engine-'));
  });
  after(async () => {
    if (temp === undefined) return;
    rmSync(temp, { recursive: true, force: true });
    expect(await heldBy(docker, `${process.pid}-`)).to.deep.equal([]);
  });

  const said: string[] = [];
  const start = async (
    plan: Plan,
    options: Partial<EngineOptions> = {},
    schemes?: readonly Scheme[],
  ): Promise<RunningTestnet> => {
    said.length = 0;
    const engine = await dockerEngine(schemes);
    const onEvent: EngineOptions['onEvent'] = (event) => {
      if (event.kind === 'info') said.push(event.text);
    };
    return engine.start(plan, { reference, outDir: temp, onEvent, ...options });
  };
  const containers = (): Promise<Docker.ContainerInfo[]> =>
    docker.listContainers({ filters: { label: ['cle-testnet.run'], name: [`cle-${process.pid}-`] } });

  describe('a running net', () => {
    let testnet: RunningTestnet;
    before(async () => {
      testnet = await start(stubPlan(3));
    });
    after(() => testnet?.stop());

    it('runs without privileges, on a read-only root, with an address of its own', async () => {
      const all = await Promise.all((await containers()).map(({ Id }) => docker.getContainer(Id).inspect()));
      expect(all.length).to.equal(5);
      for (const { Config, HostConfig } of all) {
        expect(Config.User).to.match(/^[1-9]\d*:/);
        expect(HostConfig.CapDrop).to.deep.equal(['ALL']);
        expect(HostConfig.Privileged).to.equal(false);
        expect(HostConfig.ReadonlyRootfs).to.equal(true);
        expect(HostConfig.SecurityOpt).to.deep.equal(['no-new-privileges']);
      }
    });

    it('proves a fault on a link by a connection through it', async () => {
      const pair = { from: 'node-1', to: 'node-2' };
      for (const kind of ['cut', 'down'] as const) {
        const fault = await testnet.links.apply([pair], { kind });
        expect(fault.receipt.evidence).to.include({ proved: true, by: 'traffic' });
        expect((await fault.cure()).evidence).to.include({ proved: true, by: 'traffic' });
      }
    });

    it('stops, pauses and wipes with the engine as witness', async () => {
      const node = testnet.nodes.get('node-2')!;
      const words = (evidence: Record<string, unknown>): string[] =>
        (evidence.engine as { action: string }[]).map(({ action }) => action);
      expect(words((await node.pause()).evidence)).to.include('pause');
      expect(node.state).to.equal('paused');
      expect(words((await node.resume()).evidence)).to.include('unpause');
      expect(words((await node.kill()).evidence)).to.include('die');
      expect(node.state).to.equal('stopped');
      expect((await node.wipe()).evidence.removedFiles).to.be.greaterThan(0);
      await node.start();
      await node.ready(30_000);
      expect(words((await node.terminate()).evidence)).to.include.members(['kill', 'die']);
      await node.start();
      await node.ready(30_000);
    });

    it('pulls a cable and plugs it in again under the same address', async () => {
      const unplugged = await testnet.perturb!('unplug', 'node-3', {});
      expect(unplugged.receipt.evidence.addresses).to.deep.equal([]);
      const { evidence } = await unplugged.cure();
      expect(`${(evidence.addresses as string[])[0]}:8888`).to.equal(testnet.nodes.get('node-3')!.address);
    });

    it('sees what goes around the fault plane, and nothing else', async () => {
      const honest = (await testnet.auditLinks?.())!;
      expect(bypass({ ...healthyHistory(), linkAudit: honest }).verdict).to.not.equal('fail');
      const other = testnet.nodes.get('node-2')!.address.split(':')[0];
      const program = `const s = require('node:dgram').createSocket('udp4');
        let left = 400; const next = () => left-- > 0 ? s.send(Buffer.alloc(1200), 9, '${other}', () => setTimeout(next, 1)) : s.close(); next();`;
      const [dialler] = await docker.listContainers({ filters: { name: [`cle-${process.pid}-.*-node-1$`] } });
      const exec = await docker
        .getContainer(dialler!.Id)
        .exec({ Cmd: ['/usr/local/bin/node', '-e', program], AttachStdout: true });
      const output = await exec.start({});
      output.resume();
      await new Promise((resolve) => output.once('end', resolve));
      const around = (await testnet.auditLinks?.())!;
      expect(around.sentBytes - around.arrivedBytes).to.be.greaterThan(around.slackBytes);
      const finding = bypass({ ...healthyHistory(), linkAudit: around });
      expect(finding.verdict).to.equal('fail');
    });

    it("reads a container's counters from this host's kernel, and only that container's", async () => {
      const [made] = (await containers()).filter(({ Names }) =>
        Names.some((name) => name.endsWith('-node-1')),
      );
      const { Id, State } = await docker.getContainer(made!.Id).inspect();
      const before = sentHere(Id, State.Pid)!;
      const { networks } = (await docker.getContainer(Id).stats({ stream: false })) as unknown as {
        networks: Record<string, { tx_bytes: number }>;
      };
      const after = sentHere(Id, State.Pid)!;
      expect(before.map(([name]) => name)).to.deep.equal(Object.keys(networks));
      for (const [index, [name, bytes]] of before.entries())
        expect(networks[name]!.tx_bytes).to.be.within(bytes, after[index]![1]);
      expect(sentHere(Id, process.pid)).to.equal(null);
      expect(sentHere(Id, null)).to.equal(null);
    });

    it('keeps a log per node and the log of Toxiproxy', () => {
      expect(readFileSync(join(temp, 'logs', 'node-1.log'), 'utf8')).to.match(/"event":"started"/);
      expect(readFileSync(join(temp, 'logs', 'toxiproxy.log'), 'utf8')).to.match(/"Accepted client"/);
    });
  });

  it('takes faults on a stopped node and gives it back on the same disk', async () => {
    const testnet = await start(stubPlan(2));
    try {
      const node = testnet.nodes.get('node-2')!;
      const faults = [
        ['disk-full', { mib: 8 }, /is full/],
        ['disk-full', { mib: 6 }, /8 MiB\) is full/],
        ['memory-limit', { mib: 8 }, /killed for it by the kernel/],
        ['upgrade', {}, /in place of/],
        ['certificate', {}, /has the certificate/],
      ] as const;
      for (const [ability, options, what] of faults) {
        await node.terminate();
        const fault = await testnet.perturb!(ability, 'node-2', options);
        expect(fault.receipt.what).to.match(what);
        await fault.cure();
        await node.start();
        await node.ready(30_000);
      }
      // Its store, not an empty one, came all the way.
      expect(node.logTail(200).filter((line) => line.includes('"event":"started"'))).to.not.deep.equal([]);
    } finally {
      await testnet.stop();
    }
  });

  it('has two runs side by side, and a sweep leaves both alone', async () => {
    const [one, other] = await Promise.all([start(stubPlan(2)), start(stubPlan(2))]);
    try {
      expect((await sweepEngine({ docker, local: true })).runs).to.deep.equal([]);
      const addresses = [one, other].flatMap(({ nodes }) =>
        [...nodes.values()].map(({ address }) => address),
      );
      expect(new Set(addresses).size).to.equal(4);
      for (const { nodes } of [one, other])
        for (const { state } of nodes.values()) expect(state).to.equal('ready');
      await one.stop();
      await other.nodes.get('node-1')!.ready(1_000);
    } finally {
      await Promise.all([one.stop(), other.stop()]);
    }
  });

  it("puts the addresses of links into the nodes' network where told to, and says what that costs", async () => {
    const testnet = await start(stubPlan(2), {}, ['on-link']);
    try {
      expect(said.join('\n')).to.match(/about 900 links in use fit into the kernel's neighbour table/);
      const fault = await testnet.links.apply([{ from: 'node-2', to: 'node-1' }], { kind: 'down' });
      expect(fault.receipt.evidence).to.include({ proved: true, by: 'traffic' });
    } finally {
      await testnet.stop();
    }
  });

  const refusal = async (work: Promise<unknown>): Promise<string> => {
    try {
      await work;
    } catch (error) {
      expect(error).to.be.instanceOf(UsageError);
      expect((error as Error).message).to.not.match(/\n/);
      return (error as Error).message;
    }
    throw new Error('it was taken');
  };

  it('refuses in one line: commands, images that are not there, options that cannot be', async () => {
    expect(await refusal(chooseEngine('docker', { commands: true }))).to.match(/cannot start a command/);
    expect(await refusal(start(stubPlan(2, () => ({ command: 'true' }))))).to.match(/node-1 .*give an image/);
    expect(await refusal(start(stubPlan(2, () => ({ image: 'cle-testnet/no-such:1' }))))).to.match(
      /cle-testnet\/no-such:1 is not here and cannot be pulled/,
    );
    const plan = stubPlan(2);
    const fault = { id: 'f', atMs: 0, forMs: 1, kind: 'engine', node: 'node-1' } as const;
    plan.faults.push({ ...fault, ability: 'disk-full', options: { gib: 1 } });
    expect(await refusal(start(plan))).to.match(/fault f: options\.gib is unknown; disk-full takes mib/);
    expect(() => readPerturbation('f', 'memory-limit', { mib: 1 })).to.throw(UsageError, /from 6 to/);
    expect(() => readPerturbation('f', 'certificate', { as: 'lost' })).to.throw(
      UsageError,
      /replaced or expired/,
    );
  });

  it('says in one line that all its subnets are taken, and leaves nothing', async () => {
    const squatter = await docker.createNetwork({
      Name: `cle-${process.pid}-squatter`,
      IPAM: { Config: [{ Subnet: '169.254.64.0/18' }] },
    });
    try {
      expect(await refusal(start(stubPlan(2)))).to.match(
        /^all \d+ subnets of 169\.254\.64\.0\/18 are taken by networks of the container engine \(npm run testnet -- down .*\)$/,
      );
    } finally {
      await squatter.remove();
    }
    expect(await heldBy(docker, `${process.pid}-`)).to.deep.equal([]);
  });

  it('names an image whose program ends at once, with its last words', async () => {
    const broken = `cle-testnet/test-exits:${process.pid}`;
    await commit(broken, [
      '/usr/local/bin/node',
      '-e',
      'console.error("I have no time today"); process.exit(7)',
    ]);
    try {
      const line = await refusal(start(stubPlan(2, () => ({ image: broken }))));
      expect(line).to.match(
        /node-1 ended with exit code 7 .*I have no time today \(none of 2 nodes came up\)/,
      );
      const mixed = await start(stubPlan(2, (index) => (index === 2 ? { image: broken } : {})));
      const [good, bad] = [mixed.nodes.get('node-1')!, mixed.nodes.get('node-2')!];
      expect([good.state, bad.state]).to.deep.equal(['ready', 'failed']);
      expect(bad.failure).to.match(/I have no time today/);
      await mixed.stop();
    } finally {
      await docker.getImage(broken).remove();
    }
  });

  /** The node image with another program. */
  const commit = async (ref: string, entrypoint: string[]): Promise<void> => {
    const [repo, tag] = ref.split(':') as [string, string];
    const container = await docker.createContainer({ Image: image, Entrypoint: entrypoint, Cmd: [] });
    try {
      await container.commit({ repo, tag, changes: `ENTRYPOINT ${JSON.stringify(entrypoint)}` });
    } finally {
      await container.remove({ force: true, v: true });
    }
  };

  it('says in one line which engine is missing, out of reach or too old', async () => {
    const before = process.env.DOCKER_HOST;
    const old = createServer((_, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ ApiVersion: '1.39', Version: '18.09', Os: 'linux', Arch: 'amd64' }));
    });
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
    try {
      process.env.DOCKER_HOST = `tcp://127.0.0.1:${(old.address() as AddressInfo).port}`;
      expect(await refusal(chooseEngine('docker'))).to.match(/speaks API 1\.39; at least 1\.41/);
      const { because } = await chooseEngine('auto');
      expect(because).to.match(/^engine process \(auto: .*not docker: .*1\.39/);
      process.env.DOCKER_HOST = 'unix:///nowhere/docker.sock';
      expect(await refusal(chooseEngine('docker'))).to.match(
        /no container engine answers at unix:\/\/\/nowhere/,
      );
    } finally {
      old.close();
      if (before === undefined) delete process.env.DOCKER_HOST;
      else process.env.DOCKER_HOST = before;
    }
  });
});
