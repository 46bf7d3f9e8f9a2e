/**
 * The images, made for real on the engine of this machine; skipped with the reason where none answers. The shared images of
 * this tool are not removed here, so that other runs on the same engine are left alone: what is removed has a kind of its own.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type Docker from 'dockerode';
import { bundleNode } from '../../../../node/bundle.ts';
import type { ReferenceNode } from '../../../engine.ts';
import { UsageError } from '../../../usage-error.ts';
import { createAuthority } from '../../../wire/authority.ts';
import { identityFrom } from '../../../wire/identity.ts';
import { probe, probeContext } from '../../probe.ts';
import { connectDocker } from '../connect.ts';
import { containerUserText, writeContainerFolder } from '../folder.ts';
import {
  CONTAINER_FOLDER,
  foreignImage,
  nodeImage,
  nodeImageOn,
  removeOldImages,
  toxiproxyImage,
} from '../image.ts';
import { tarStream } from '../image-tar.ts';
import { engineOrSkip } from './fixture.ts';

const kind = `test-${process.pid}`;
const label = 'cle-testnet.test';

describe('docker: images', function () {
  this.timeout(60_000);
  let docker: Docker;
  let reference: ReferenceNode;

  before(async function () {
    docker = await engineOrSkip(this);
    const bundle = await bundleNode();
    reference = { command: bundle.command, folder: bundle.dir, addonsFor: bundle.addonsFor };
  });

  after(async () => {
    if (docker === undefined) return;
    for (const { Id } of await docker.listContainers({ all: true, filters: { label: [`${label}=${kind}`] } }))
      await docker.getContainer(Id).remove({ force: true, v: true });
    for (const ours of [kind, `${kind}-base`]) await removeOldImages(docker, ours, null);
  });

  it('the node: made once, no root, a node that listens, signs with libsodium and keeps its store', async () => {
    const first = await nodeImage(docker, reference);
    const second = await nodeImage(docker, reference);
    expect(second).to.deep.equal({ ...first, how: 'present' });
    const { container, folder } = await startedNode(docker, first.ref);
    try {
      const { NetworkSettings } = await container.inspect();
      await listening(`${NetworkSettings.Networks.bridge!.IPAddress}:8888`);
      expect(await logOf(container)).to.match(/"signing":"libsodium"/);
      expect(readdirSync(join(folder, 'node', 'data'))).to.not.deep.equal([]);
      await container.stop({ t: 5 });
      expect((await container.inspect()).State.ExitCode).to.equal(0);
    } finally {
      await container.remove({ force: true, v: true });
      rmSync(folder, { recursive: true });
    }
  });

  it('the node on top of an image with Node, as on other systems than Linux', async () => {
    const { ref: base } = await nodeImage(docker, reference);
    const image = { repository: `cle-testnet/${kind}-base`, kind: `${kind}-base` };
    const { ref, how } = await nodeImageOn(docker, reference, base, image);
    expect(how).to.match(/^made from cle-testnet\/node:/);
    expect((await nodeImageOn(docker, reference, base, image)).how).to.equal('present');
    const { container, folder } = await startedNode(docker, ref);
    try {
      const { NetworkSettings } = await container.inspect();
      await listening(`${NetworkSettings.Networks.bridge!.IPAddress}:8888`);
    } finally {
      await container.remove({ force: true, v: true });
      rmSync(folder, { recursive: true });
    }
  });

  it('has the add-ons of other machines for such an image', () => {
    const { addonsFor } = reference;
    for (const arch of ['x64', 'arm64'])
      expect(addonsFor!('linux', arch).map(({ name }) => name)).to.deep.equal([
        'sodium-native.node',
        'classic-level.node',
      ]);
    expect(addonsFor!('plan9', 'x64')).to.deep.equal([]);
  });

  it('Toxiproxy: made once, its API answers', async () => {
    const { ref } = await toxiproxyImage(docker);
    expect((await toxiproxyImage(docker)).how).to.equal('present');
    const container = await docker.createContainer({
      Image: ref,
      Labels: { [label]: kind },
      HostConfig: { CapDrop: ['ALL'], ReadonlyRootfs: true, SecurityOpt: ['no-new-privileges'] },
    });
    try {
      await container.start();
      const { IPAddress } = (await container.inspect()).NetworkSettings.Networks.bridge!;
      expect(await answered(`http://${IPAddress}:8474/version`)).to.match(/2\.\d+\.\d+/);
    } finally {
      await container.remove({ force: true });
    }
  });

  it('removes old ones, but none in use, none of a moment ago, none with a tag of somebody else', async () => {
    const tags = ['old', 'fresh', 'used', 'theirs', 'current'].map((tag) => `cle-testnet/${kind}:${tag}`);
    for (const ref of tags) await emptyImage(docker, ref);
    const [old, fresh, used, theirs, current] = tags as [string, string, string, string, string];
    await docker.getImage(theirs).tag({ repo: `somebody/${kind}`, tag: 'mine' });
    const container = await docker.createContainer({ Image: used, Cmd: ['x'], Labels: { [label]: kind } });
    expect(await removeOldImages(docker, kind, current)).to.deep.equal([]);
    expect(await removeOldImages(docker, kind, current, Date.now() + 120_000)).to.have.members([old, fresh]);
    await container.remove({ force: true });
    expect(await removeOldImages(docker, kind, null)).to.have.members([used, current]);
    await docker.getImage(`somebody/${kind}:mine`).remove();
    await docker.getImage(theirs).remove();
  });

  it('a stranger image that is nowhere: one line', async () => {
    const error = await foreignImage(docker, 'localhost:1/nobody/nothing:1').then(String, (e: Error) => e);
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.match(
      /^image localhost:1\/nobody\/nothing:1 is not here and cannot be pulled: ./,
    );
    expect((error as Error).message).to.not.include('\n');
  });
});

describe('docker: no engine', () => {
  const before = process.env.DOCKER_HOST;
  afterEach(() => {
    if (before === undefined) delete process.env.DOCKER_HOST;
    else process.env.DOCKER_HOST = before;
  });

  it('says where it looked', async () => {
    process.env.DOCKER_HOST = 'unix:///nowhere/docker.sock';
    const error = await connectDocker().then(String, (e: Error) => e);
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.match(
      /^no container engine answers at unix:\/\/\/nowhere\/docker\.sock/,
    );
  });

  it('refuses an API that is too old', async () => {
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ Version: '19.03', ApiVersion: '1.40', Os: 'linux', Arch: 'amd64' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    process.env.DOCKER_HOST = `tcp://127.0.0.1:${port}`;
    const error = await connectDocker().then(String, (e: Error) => e);
    server.close();
    server.closeAllConnections();
    expect((error as Error).message).to.include('speaks API 1.40; at least 1.41');
  });
});

/** A node in a container as strict as the harness makes them. */
async function startedNode(
  docker: Docker,
  ref: string,
): Promise<{ container: Docker.Container; folder: string }> {
  const parent = mkdtempSync(join(tmpdir(), 'cle-image-'));
  const folder = join(parent, 'node');
  const authority = await createAuthority({ seed: kind });
  const identity = identityFrom(kind, 'agent_one');
  writeContainerFolder(folder, {
    agentId: 'agent_one',
    listen: '0.0.0.0:8888',
    advertise: 'node-1:8888',
    keyPem: identity.keyPem,
    certificatePem: (await authority.issue(identity)).pem,
    caPem: authority.certificatePem,
    bootstrapNodes: [],
  });
  const container = await docker.createContainer({
    Image: ref,
    User: containerUserText(),
    Labels: { [label]: kind },
    HostConfig: {
      Binds: [`${folder}:${CONTAINER_FOLDER}`],
      CapDrop: ['ALL'],
      ReadonlyRootfs: true,
      SecurityOpt: ['no-new-privileges'],
    },
  });
  await container.start();
  return { folder: parent, container };
}

async function emptyImage(docker: Docker, ref: string): Promise<void> {
  const [repo, tag] = ref.split(':');
  const entry = { path: '/x', kind: 'file', mode: 0o644, content: ref } as const;
  const changes = `LABEL cle-testnet.image=${kind}`;
  await text(await docker.importImage(tarStream([entry]), { repo, tag, changes }));
}

async function logOf(container: Docker.Container): Promise<string> {
  return (await container.logs({ stdout: true, stderr: true })).toString('utf8');
}

async function answered(url: string): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const body = await fetch(url).then((answer) => answer.text(), String);
    if (!body.includes('fetch failed') || attempt === 50) return body;
    await delay(100);
  }
}

async function listening(address: string): Promise<void> {
  const authority = await createAuthority({ seed: kind });
  const identity = identityFrom(`${kind}/prober`);
  const context = probeContext({
    keyPem: identity.keyPem,
    certificatePem: (await authority.issue(identity)).pem,
    caPem: authority.certificatePem,
  });
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await probe(address, context, 2000);
    if (outcome.kind === 'ready') return;
    if (attempt === 100) throw new Error(`${address}: ${outcome.kind}`);
    await delay(100);
  }
}
