/** Puppets against the reference node as a child process: the two codecs, written apart, must understand each other. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type Authority, createAuthority } from '../authority.ts';
import { tampered } from '../envelope.ts';
import { announce } from '../gossip.ts';
import { handshake } from '../handshake.ts';
import { hostileSignatures } from '../hostile-signatures.ts';
import { freshIdentity, type Identity } from '../identity.ts';
import { buildItem, commitPayload } from '../items.ts';
import { float, raw } from '../json.ts';
import { createPuppet, dial, join, mustDial, type Puppet } from '../puppet.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Writes the node's files and starts it; resolves when it answers a dial. */
async function startNode(authority: Authority, identity: Identity, probe: Puppet, dir: string) {
  const port = await freePort();
  mkdirSync(pathOf(dir, 'data'));
  const file = (name: string, text: string): string => {
    writeFileSync(pathOf(dir, name), text);
    return pathOf(dir, name);
  };
  const config = [
    `agent_id: ${identity.agentId}`,
    `listen: 127.0.0.1:${port}`,
    `advertise: 127.0.0.1:${port}`,
    `key_file: ${file('node.key', identity.keyPem)}`,
    `certificate_file: ${file('node.crt', (await authority.issue(identity)).pem)}`,
    `ca_file: ${file('ca.crt', authority.certificatePem)}`,
    `data_dir: ${pathOf(dir, 'data')}`,
    'bootstrap_nodes: []',
    '',
  ].join('\n');
  const node = spawn(process.execPath, ['--import', 'tsx', 'node/main.ts'], {
    cwd: root,
    env: { ...process.env, CLE_CONFIG: file('node.yaml', config) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  node.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  for (let tries = 0; tries < 100; tries += 1) {
    const connection = await dial(probe, `127.0.0.1:${port}`);
    if (connection.kind === 'connected') {
      connection.destroy();
      return { node, address: `127.0.0.1:${port}` };
    }
    if (node.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  node.kill('SIGKILL');
  throw new Error(`the node never listened: ${complaint}`);
}

describe('wire: puppets and the reference node', function () {
  this.timeout(40_000);
  const dir = mkdtempSync(pathOf(tmpdir(), 'cle-wire-'));
  let authority: Authority;
  let alice: Puppet;
  let bob: Puppet;
  let node: ChildProcess | undefined;
  let address = '';
  let nodeIdentity: Identity;

  before(async () => {
    authority = await createAuthority();
    alice = await createPuppet(authority, { name: 'alice' });
    bob = await createPuppet(authority, { name: 'bob', book: alice.book });
    nodeIdentity = freshIdentity();
    ({ node, address } = await startNode(authority, nodeIdentity, alice, dir));
  });
  after(async () => {
    if (node !== undefined && node.exitCode === null) {
      const gone = new Promise((resolve) => node!.once('exit', resolve));
      node.kill('SIGKILL');
      await gone;
    }
    rmSync(dir, { recursive: true, force: true });
    expect(alice.book.violations, 'the node broke no monitor').to.deep.equal([]);
    expect(alice.book.judged.get('SIG-01')).to.be.above(20);
  });

  it('shake hands, and each proves its key', async () => {
    const connection = await join(alice, address, { type: 'persistent', capabilities: ['gossip', 'sync'] });
    if (typeof connection.peer === 'string') throw new Error(connection.peer);
    expect(connection.peer.agentId).to.equal(nodeIdentity.agentId);
    expect(connection.outcome.hello.payload.node_id).to.equal(nodeIdentity.nodeId);
    expect(connection.outcome.peerExchange).to.not.equal(null);
    await connection.fence();
    await connection.close();
  });

  it('commit in any style and number form, and ask for it', async () => {
    const connection = await join(alice, address);
    const metadata = {
      f: float(1),
      big: 2n ** 70n,
      tiny: raw('1E-7', '1e-07'),
      '\u{1f600}': '\uffff',
      '\uffff': 1,
    };
    const item = buildItem(alice, 'commit', commitPayload({ metadata, confidence: float(1) }), {
      extra: { more: [1] },
    });
    connection.sendEnvelope(item.envelope, { order: 'reversed', indent: 2, escapes: 'none' });
    const accepted = await connection.answer(item.messageId);
    expect(accepted.payload).to.include({ status: 'accepted', item_hash: item.hash });
    connection.sendEnvelope(item.envelope);
    expect((await connection.answer(item.messageId)).payload).to.include({ status: 'known' });
    const rule = (item.envelope.payload as Record<string, string>).rule_hash!;
    const found = await connection.request('query', { query_type: 'by_hash', filters: { rule_hash: rule } });
    expect(found.payload.results[0]).to.include({ rule_hash: rule, confidence: 1 });
    const digest = await connection.fence();
    expect(digest.payload.item_hashes).to.deep.equal([item.hash]);
    alice.items.add(item);
    expect(digest.payload.hash).to.equal(alice.items.root());
    await connection.close();
  });

  it('announce an item, serve it, and find it there', async () => {
    const connection = await join(bob, address, { type: 'persistent', capabilities: ['gossip', 'sync'] });
    const item = buildItem(bob, 'challenge');
    bob.items.add(item);
    connection.send('gossip', announce(bob.identity.nodeId, [item.hash], { topic: 'challenge' }));
    await connection.next(
      (message) =>
        message.payload?.gossip_type === 'request' && message.payload.item_hashes.includes(item.hash),
    );
    const onlooker = await join(alice, address);
    const bare = item.hash.slice(5, 9);
    for (let tries = 0; tries < 50; tries += 1) {
      const { payload } = await onlooker.request('sync_digest', {
        root: null,
        prefix: bare,
        state_root: alice.items.root(),
        item_count: 0,
      });
      if (payload.item_hashes.includes(item.hash)) break;
      expect(tries).to.be.below(49);
    }
    await Promise.all([connection.close(), onlooker.close()]);
  });

  it('agree about every signature on the border', async () => {
    const connection = await join(bob, address);
    const { secret, publicKey } = bob.identity;
    const kinds = hostileSignatures(secret, publicKey, Buffer.from(''));
    for (const [i, { name, valid }] of kinds.entries()) {
      const signedBy = (bytes: Buffer): Uint8Array =>
        hostileSignatures(secret, publicKey, bytes)[i]!.signature;
      const { errorCode } = await connection.request('probe', {}, { signedBy });
      expect(errorCode, name).to.equal(valid ? 'UNKNOWN_TYPE' : 'INVALID_SIGNATURE');
    }
    await connection.close();
  });

  it('are refused for what the profile names', async () => {
    const connection = await join(alice, address);
    const item = buildItem(alice, 'commit');
    connection.sendEnvelope(tampered(item.envelope, ['payload', 'confidence'], 0.5));
    expect((await connection.answer(item.messageId)).errorCode).to.equal('INVALID_SIGNATURE');
    expect((await connection.request('nonsense', {})).errorCode).to.equal('UNKNOWN_TYPE');
    expect((await connection.request('query', {}, { timestamp: 1 })).errorCode).to.equal('STALE');
    connection.sendText('{"a": 1, "a": 2}');
    expect((await connection.next('error')).payload.details.request_id).to.equal(null);
    await connection.close();
    const eager = await mustDial(alice, address);
    eager.send('query', { query_type: 'by_hash', filters: {} });
    expect((await eager.next('error')).errorCode).to.equal('HANDSHAKE_REQUIRED');
    expect(await eager.closedWithin(3_000)).to.include({ code: 4400 });
    const future = await mustDial(alice, address);
    const outcome = await handshake(future, { changes: { version: '2.0' } });
    if (outcome.kind !== 'refused') throw new Error(outcome.kind);
    expect(outcome.closed).to.include({ code: 4426 });
    expect(await dial(alice, address, { upgrade: { path: '/x' } })).to.include({ httpStatus: 404 });
    expect(await dial(alice, address, { upgrade: { protocol: null } })).to.include({ httpStatus: 400 });
    const old = await createPuppet(authority, { certificate: { notAfterMs: Date.now() - 1_000 } });
    expect(await dial(old, address)).to.include({ kind: 'refused' });
    expect(await dial(alice, address, { tls: { anonymous: true } })).to.include({ kind: 'refused' });
  });
});
