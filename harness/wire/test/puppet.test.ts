/** Puppets against each other: every way to send, to wait, to be refused and to end; nothing needs a node. */

import { expect } from 'chai';
import { type Authority, createAuthority, selfSigned } from '../authority.ts';
import { proofOf } from '../certificate.ts';
import { buildCheckpoint } from '../checkpoint.ts';
import { type Connection, Unseen } from '../connection.ts';
import { opcodes } from '../frames.ts';
import { announce, digestRequest, itemRequest, peerRequest, stateSyncRequest } from '../gossip.ts';
import { handshake } from '../handshake.ts';
import { buildItem } from '../items.ts';
import { float } from '../json.ts';
import { type Listener, type ListenOptions, listen, listenTcp } from '../listener.ts';
import { silent } from '../manners.ts';
import { createPuppet, dial, join, mustDial, type Puppet } from '../puppet.ts';
import { openTcp } from '../transport.ts';

describe('wire: puppets', () => {
  let authority: Authority;
  let alice: Puppet;
  let bob: Puppet;
  const open: Listener[] = [];

  before(async () => {
    authority = await createAuthority();
  });
  beforeEach(async () => {
    [alice, bob] = (await Promise.all(['alice', 'bob'].map((name) => createPuppet(authority, { name })))) as [
      Puppet,
      Puppet,
    ];
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((listener) => listener.close()));
  });
  const serve = async (puppet: Puppet, options: ListenOptions = {}): Promise<Listener> => {
    const listener = await listen(puppet, '127.0.0.1', 0, options);
    open.push(listener);
    return listener;
  };
  /** Both ends of one connection, handshake done. */
  const pair = async (type: 'persistent' | 'sync' = 'sync', options: ListenOptions = {}) => {
    const listener = await serve(bob, options);
    const ours = await join(alice, listener.address, { type, capabilities: ['gossip', 'sync'] });
    return { ours, theirs: await listener.nextJoined(), listener };
  };

  it('shake hands with TLS 1.3, the one suite and proven keys', async () => {
    const { ours, theirs } = await pair('persistent');
    expect(ours.tls.protocol).to.equal('TLSv1.3');
    expect(ours.tls.cipher).to.equal('TLS_AES_256_GCM_SHA384');
    if (typeof theirs.peer === 'string') throw new Error(theirs.peer);
    expect(theirs.peer.agentId).to.equal(alice.identity.agentId);
    expect(ours.outcome.hello.payload.connection_type).to.equal('persistent');
    expect(ours.outcome.peerExchange?.payload.peers).to.deep.equal([]);
    expect(ours.received.every((message) => message.verified)).to.equal(true);
    expect([...ours.violations, ...theirs.violations]).to.deep.equal([]);
    expect(alice.book.judged.get('SIG-01')).to.equal(3);
  });

  it('reassemble fragments, single bytes, interleaved pings and coalesced frames', async () => {
    const { ours, theirs } = await pair();
    const text = '{"message_type": "x", "payload": {"é": "\u{1f600}"}}';
    ours.sendText(text, { fragments: [1, 36, 0, 3], pings: true });
    ours.sendText(text, { byteWise: true });
    ours.sendText(text);
    const big = Buffer.alloc(65_536, ' ');
    big.write('{}');
    ours.sendText(big);
    await ours.fence();
    expect(theirs.received.slice(-5, -2).map((message) => message.text)).to.deep.equal([text, text, text]);
    expect(theirs.received.at(-2)?.size).to.equal(65_536);
    expect(theirs.controls.filter((control) => control.kind === 'ping')).to.have.length(4);
    expect(ours.controls.filter((control) => control.kind === 'pong')).to.have.length(4);
  });

  it('note what no peer may send', async () => {
    const { ours, theirs } = await pair();
    ours.sendFrame({ opcode: opcodes.binary, payload: 'x' });
    ours.sendText(Buffer.from([0x22, 0xff, 0x22]));
    ours.sendFrame({ opcode: opcodes.text, payload: '{}', mask: false });
    ours.sendFrame({ opcode: opcodes.text, payload: '{}', rsv: 4 });
    ours.sendText('{"payload": NaN}');
    ours.send('error', { error_code: 'NOPE' });
    ours.send('gossip', announce('node_x', ['rule_1'], { ttl: -1, changes: { gossip_id: '' } }));
    ours.send('query', {}, { timestamp: 5, signature: 'AAAA' });
    ours.send('query', {}, { signWith: bob.identity });
    ours.send('query', { padding: 'x'.repeat(60_000) });
    ours.send('query', {}, { messageId: '6f7a2f0e-1c1b-4c1b-8c1b-6f7a2f0e1c1b' });
    ours.send(
      'query',
      {},
      { messageId: '6f7a2f0e-1c1b-4c1b-8c1b-6f7a2f0e1c1b', timestamp: float(Date.now() / 1000) },
    );
    ours.send('query', {}, { senderMembers: { agent_id: 'agent_other' } });
    await ours.fence();
    const rows = new Set(theirs.violations.map((violation) => violation.row));
    expect([...rows].sort()).to.deep.equal(
      ['CAN-01', 'CAN-06', 'ENV-01', 'ENV-04', 'ENV-08', 'ERR-01', 'GFM-01', 'SIG-01'].sort(),
    );
    const said = theirs.violations.map((violation) => violation.because).join('\n');
    for (const part of [
      'binary',
      'UTF-8',
      'unmasked',
      'reserved',
      'two different messages',
      'agent of the TLS',
      'ttl -1',
    ]) {
      expect(said).to.include(part);
    }
  });

  it('answer by their manners, each of which can be off', async () => {
    const { ours, theirs } = await pair();
    const item = buildItem(bob, 'commit');
    const checkpoint = buildCheckpoint(bob.items, [bob.identity]);
    theirs.manners.checkpoints.push(checkpoint);
    theirs.manners.peers = [{ node_id: alice.identity.nodeId, address: '127.0.0.1:1' }];
    const unknown = `rule_${'0'.repeat(64)}`;
    const fetch = () => ours.request('gossip', itemRequest(alice.identity.nodeId, [item.hash, unknown]));
    expect((await fetch()).payload.missing).to.deep.equal([item.hash, unknown]);
    bob.items.add(item);
    const served = (await fetch()).payload;
    expect([served.item_hashes, served.missing]).to.deep.equal([[item.hash], [unknown]]);
    const digest = await ours.fence();
    expect(digest.payload).to.include({ root: bob.items.root(), count: 1, prefix: '' });
    const byRoot = (root: string) => ours.request('sync_digest', digestRequest('', 0, { root }));
    expect((await byRoot('f'.repeat(64))).errorCode).to.equal('UNKNOWN_HASH');
    expect((await ours.request('state_sync', stateSyncRequest(null))).payload.checkpoint.hash).to.equal(
      checkpoint.hash,
    );
    expect((await ours.request('state_sync', stateSyncRequest('1'.repeat(64)))).errorCode).to.equal(
      'UNKNOWN_HASH',
    );
    expect(
      (await ours.request('peer_request', peerRequest(alice.identity.nodeId))).payload.peers,
    ).to.have.length(1);
    Object.assign(theirs.manners, silent);
    const muted = ours.send('gossip', itemRequest(alice.identity.nodeId, [item.hash]));
    theirs.manners.answerDigest = true;
    await ours.fence();
    expect(ours.seen((message) => message.requestId === muted)).to.deep.equal([]);
  });

  it('serve as many large items as fit, and name the rest in neither list', async () => {
    const { ours } = await pair();
    const hashes = [1, 2, 3].map(() =>
      bob.items.add(buildItem(bob, 'commit', { metadata: { x: 'y'.repeat(25_000) } })),
    );
    const { payload } = await ours.request('gossip', itemRequest(alice.identity.nodeId, hashes));
    expect(payload.item_hashes).to.deep.equal(hashes.slice(0, 2));
    expect(payload.missing).to.deep.equal([]);
    expect(ours.violations).to.deep.equal([]);
  });

  it('send heartbeats on persistent connections until they end', async () => {
    const listener = await serve(bob);
    const ours = await join(alice, listener.address, { type: 'persistent', manners: { heartbeatMs: 30 } });
    const theirs = await listener.nextJoined();
    const beats = [await theirs.next('gossip:heartbeat'), await theirs.next('gossip:heartbeat')];
    expect(beats[0]?.payload).to.include({ ttl: 0, topic: 'heartbeat', origin: alice.identity.nodeId });
    await ours.close();
  });

  it('see every kind of ending', async () => {
    const listener = await serve(bob);
    const ending = async (end: (theirs: Connection) => void) => {
      const ours = await join(alice, listener.address);
      end(await listener.nextJoined());
      return ours.closedWithin(2_000);
    };
    expect(await ending((theirs) => void theirs.close(4409, 'twice'))).to.include({
      how: 'close',
      code: 4409,
      reason: 'twice',
    });
    expect(await ending((theirs) => theirs.reset())).to.include({ how: 'reset', code: 1006 });
    expect(await ending((theirs) => theirs.destroy())).to.include({ how: 'fin', code: 1006 });
    const ours = await join(alice, listener.address);
    const theirs = await listener.nextJoined();
    theirs.manners.closeBack = false;
    expect(await ours.close(1000)).to.include({ how: 'self', code: 1000 });
    expect(await theirs.closedWithin(2_000)).to.include({ how: 'close', code: 1000 });
  });

  it('are refused in words', async () => {
    const honest = await serve(bob);
    expect(await dial(alice, honest.address, { tls: { ciphers: 'TLS_AES_128_GCM_SHA256' } })).to.include({
      stage: 'tls',
    });
    const old = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'DEFAULT' } as const;
    expect(await dial(alice, honest.address, { tls: old })).to.include({ kind: 'refused', stage: 'tls' });
    expect(honest.attempts.map((attempt) => attempt.stage)).to.deep.equal(['tcp', 'tcp']);
    expect(await dial(alice, (await serve(bob, { refuseWith: 403 })).address)).to.include({
      stage: 'http',
      httpStatus: 403,
    });
    expect(await dial(alice, (await serve(bob, { protocol: null })).address)).to.include({
      stage: 'http',
      httpStatus: 101,
    });
    const rude = await serve(bob, { afterTls: (socket) => socket.destroy() });
    expect(await dial(alice, rude.address)).to.include({ kind: 'refused', stage: 'closed' });
    const hole = await listenTcp('127.0.0.1', 0);
    expect(await dial(alice, hole.address, { withinMs: 100 })).to.include({ kind: 'refused', stage: 'tls' });
    expect(hole.accepts).to.have.length(1);
    await hole.close();
    expect(await dial(alice, hole.address)).to.include({ kind: 'refused', stage: 'tcp' });
    const plain = await openTcp(honest.address);
    expect(plain).to.not.have.property('kind');
    if (!('kind' in plain)) plain.destroy();
  });

  it('tell a dialer by its certificate, or that it showed none', async () => {
    const listener = await serve(bob, { handshake: null });
    const self = await createPuppet(authority, {
      certificate: await selfSigned(alice.identity),
      identity: alice.identity,
    });
    const chain = await (await authority.intermediate()).issue(alice.identity);
    const below = await createPuppet(authority, { certificate: chain, identity: alice.identity });
    for (const puppet of [alice, self, below]) await mustDial(puppet, listener.address);
    await mustDial(alice, listener.address, { tls: { anonymous: true } });
    expect(listener.attempts[0]?.peer).to.be.an('object');
    expect(listener.attempts[1]?.peer).to.match(/issued by/);
    expect(listener.attempts[2]?.peer).to.match(/issued by/);
    expect(listener.attempts[3]?.peer).to.equal(null);
    expect(proofOf(new Uint8Array(3), authority.certificatePem)).to.match(/unreadable/);
  });

  it('give outcomes of a handshake, and Unseen where something was needed', async () => {
    const mute = await serve(bob, { handshake: null });
    const ours = await mustDial(alice, mute.address);
    expect(await handshake(ours, { withinMs: 50 })).to.deep.equal({ kind: 'silent' });
    const theirs = await mute.next();
    const late = ours.next('hello', 50).catch((error: unknown) => error);
    expect(await late).to.be.instanceOf(Unseen);
    const waiting = ours.request('query', {}, { withinMs: 5_000 }).catch((error: unknown) => error);
    theirs.send('error', {
      error_code: 'TOO_MANY_PEERS',
      error_message: 'full',
      details: { request_id: null },
    });
    void theirs.close(4429);
    const failure = (await waiting) as Unseen;
    expect(failure).to.be.instanceOf(Unseen);
    expect(failure.closed).to.include({ code: 4429 });
    const outcome = await handshake(ours, { withinMs: 50 });
    expect(outcome).to.include({ kind: 'refused' });
    if (outcome.kind === 'refused') expect(outcome.error?.errorCode).to.equal('TOO_MANY_PEERS');
  });

  it('can resume a session with a server that does, and see that another does not', async () => {
    for (const resumes of [true, false]) {
      const listener = await serve(bob, { resumes });
      const first = await join(alice, listener.address);
      const session = first.session();
      expect(session, 'a ticket is sent in both cases').to.be.instanceOf(Buffer);
      const second = await join(alice, listener.address, { tls: { session: session! } });
      expect([first.tls.sessionReused, second.tls.sessionReused]).to.deep.equal([false, resumes]);
    }
  });

  it('leave no wait behind when one times out', async () => {
    const listener = await serve(bob);
    const late = await listener.next(20).catch((error: unknown) => error);
    expect(late).to.be.instanceOf(Unseen);
    const ours = await join(alice, listener.address);
    expect(await ours.maybe('hello', 20)).to.equal(null);
    expect((await listener.next()).role).to.equal('acceptor');
  });

  it('keep a transcript of both directions', async () => {
    const { ours } = await pair();
    await ours.fence();
    await ours.close(1000, 'done');
    const lines = ours.transcript
      .jsonl()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => `${line.direction} ${line.kind}`)).to.include.members([
      'out text',
      'in text',
      'out close',
      'in end',
    ]);
    expect(
      lines.filter((line) => line.direction === 'in' && line.kind === 'text').every((line) => line.verified),
    ).to.equal(true);
  });

  it('stop reading when told to', async () => {
    const { ours, theirs } = await pair();
    theirs.pause();
    for (let i = 0; i < 400; i += 1) ours.sendText('x'.repeat(60_000));
    expect(ours.unsent).to.be.above(1_000_000);
    theirs.resume();
    await ours.flushed();
    expect(ours.unsent).to.equal(0);
  });
});
