import { existsSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { expect } from 'chai';
import { parse } from 'yaml';
import { membersOf, processesWithEnvironment, startTimeOf } from '../../../os-process.ts';
import { openRun, type Run } from '../../../run-record.ts';
import { TroubleError } from '../../../trouble-error.ts';
import { UsageError } from '../../../usage-error.ts';
import type { Instance } from '../../instance.ts';
import { type ProbeIdentity, probe, probeContext } from '../../probe.ts';
import { type Addresses, claimAddresses } from '../addresses.ts';
import { type ProcessSpec, prepareInstance } from '../instance.ts';
import { selfSigned, stubArgv, stubCommand, stubSpec } from './fixture.ts';

describe('an instance of a node', () => {
  let run: Run;
  let addresses: Addresses;
  let identity: ProbeIdentity;
  let context: SecureContext;
  const instances: Instance[] = [];

  before(async () => {
    run = openRun('test of instances');
    addresses = await claimAddresses();
    identity = await selfSigned();
    context = probeContext(identity);
  });
  afterEach(async () => {
    for (const instance of instances.splice(0)) await instance.remove();
  });
  after(async () => {
    await addresses.release();
    await run.close();
    expect(existsSync(run.folder)).to.equal(false);
  });

  let count = 0;
  const prepare = (behaviour: string, more: Partial<ProcessSpec> = {}): Instance => {
    count += 1;
    const instance = prepareInstance(
      run,
      stubSpec(`stub-${count}`, addresses.next(), identity, behaviour, more),
      context,
    );
    instances.push(instance);
    return instance;
  };
  const starts = (instance: Instance): string[] =>
    readFileSync(join(instance.dataDir, 'starts'), 'utf8').trim().split('\n');

  it('is ready when it accepts a TLS handshake, and says when', async () => {
    const stub = prepare('good');
    expect(stub.state).to.equal('planned');
    await stub.start();
    expect(stub.state).to.equal('starting');
    await stub.ready();
    expect(stub.state).to.equal('ready');
    expect(stub.readyAt! - stub.startedAt!)
      .to.be.greaterThan(20)
      .and.lessThan(20_000);
    expect((await probe(stub.address, context, 2000)).kind).to.equal('ready');
  });

  it('hands over the configuration of profile §10 and a clean environment with nothing else', async () => {
    const publicKey = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';
    const stub = prepare('environment', {
      hosts: { 'node-2': '127.16.1.2' },
      parameters: { fanout: 4, anti_entropy_interval_s: 0.5 },
      bootstrapNodes: [{ host: 'node-2', port: 8888, publicKey }],
    });
    await stub.start();
    await stub.ready();
    expect(parse(readFileSync(stub.configFile, 'utf8'))).to.deep.equal({
      agent_id: 'agent_stub',
      listen: stub.address,
      advertise: `${stub.name}:8888`,
      key_file: join(stub.folder, 'node.key'),
      certificate_file: join(stub.folder, 'node.crt'),
      ca_file: join(stub.folder, 'ca.crt'),
      data_dir: stub.dataDir,
      bootstrap_nodes: [{ host: 'node-2', port: 8888, public_key: publicKey }],
      hosts: { 'node-2': '127.16.1.2' },
      parameters: { fanout: 4, anti_entropy_interval_s: 0.5 },
    });
    const line = readFileSync(stub.logFile, 'utf8')
      .split('\n')
      .find((text) => text.startsWith('{'));
    const environment = JSON.parse(line!) as Record<string, string>;
    expect(Object.keys(environment).sort()).to.deep.equal(['CLE_CONFIG', 'HOME', 'LANG', 'PATH', 'TMPDIR']);
  });

  it('steps back as a process, and as the session that the kernel may weigh instead', async () => {
    const stub = prepare('good', { niceness: 7 });
    await stub.start();
    await stub.ready();
    expect(getPriority(stub.pid!)).to.equal(7);
    const autogroup = `/proc/${stub.pid}/autogroup`;
    if (existsSync(autogroup)) expect(readFileSync(autogroup, 'latin1')).to.match(/nice 7$/m);
  });

  it('is killed with proof, and starts again on the same disk', async () => {
    const stub = prepare('good');
    await stub.start();
    await stub.ready();
    const pid = stub.pid!;
    const receipt = await stub.kill();
    expect(receipt.evidence).to.include({ pid, exitSignal: 'SIGKILL', exitCode: null, processesLeft: 0 });
    expect(startTimeOf(pid)).to.equal(null);
    expect(stub.state).to.equal('stopped');
    expect(stub.failure).to.equal(null);
    await stub.start();
    await stub.ready();
    expect(starts(stub)).to.deep.equal([String(pid), String(stub.pid)]);
  });

  it('ends on SIGTERM; one that does not is killed and named', async () => {
    const stub = prepare('good');
    await stub.start();
    await stub.ready();
    expect((await stub.terminate()).evidence).to.include({ exitCode: 0, sent: 'SIGTERM' });
    const stubborn = prepare('stubborn');
    await stubborn.start();
    await stubborn.ready();
    const error = await stubborn.terminate(300).then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    expect(error?.message).to.match(/stub-\d+ did not end within 300 ms of SIGTERM/);
    expect(stubborn.state).to.equal('stopped');
  });

  it('is stopped and continued, as the kernel confirms', async () => {
    const stub = prepare('good');
    await stub.start();
    await stub.ready();
    expect((await stub.pause()).evidence).to.include({ kernelStates: 'T' });
    expect(stub.state).to.equal('paused');
    expect((await probe(stub.address, context, 200)).kind).to.equal('no-tls');
    await stub.resume();
    expect(stub.state).to.equal('ready');
    expect((await probe(stub.address, context, 5000)).kind).to.equal('ready');
    await stub.pause();
    expect((await stub.terminate()).evidence).to.include({ exitCode: 0 });
  });

  it('is wiped only when it does not run', async () => {
    const stub = prepare('good');
    await stub.start();
    await stub.ready();
    expect(
      await stub.wipe().then(
        () => null,
        (reason: unknown) => (reason as Error).message,
      ),
    ).to.match(/is running/);
    await stub.kill();
    expect((await stub.wipe()).evidence).to.include({ removedFiles: 1 });
    await stub.start();
    await stub.ready();
    expect(starts(stub)).to.have.length(1);
  });

  it('takes the children of a command with it, also one that left its group', async () => {
    const stub = prepare('forks', { command: { shell: `true && ${stubCommand('forks')} && true` } });
    await stub.start();
    await stub.ready();
    const pid = stub.pid!;
    expect(membersOf(pid).size).to.equal(3);
    expect(processesWithEnvironment(`CLE_CONFIG=${stub.configFile}`)).to.have.length(4);
    expect((await stub.kill()).evidence).to.include({ processesLeft: 0 });
    expect(processesWithEnvironment(`CLE_CONFIG=${stub.configFile}`)).to.have.length(0);
  });

  it('fails with one line that names it and its last words when it ends by itself', async () => {
    const stub = prepare('crashes');
    await stub.start();
    await stub.ready();
    await stub.ended();
    expect(stub.state).to.equal('failed');
    expect(stub.failure).to.match(
      /^stub-\d+ ended by itself with exit code 7, \d+\.\d s after its start; its last lines: listening on /,
    );
  });

  const mistakes: { what: string; spec: Partial<ProcessSpec>; behaviour: string; line: RegExp }[] = [
    {
      what: 'exits at once',
      behaviour: 'exits',
      spec: {},
      line: /ended with exit code 2 after \d+\.\d s without ever accepting TLS; its last lines: first complaint \| no such thing as a port$/,
    },
    {
      what: 'exits at once with its stderr apart',
      behaviour: 'exits',
      spec: { splitStderr: true },
      line: /its last lines: first complaint \| no such thing as a port$/,
    },
    {
      what: 'never listens',
      behaviour: 'never-listens',
      spec: { readyWithinMs: 1000 },
      line: /does not listen on 127\.\S+, not within 1 s; its last lines: thinking$/,
    },
    {
      what: 'listens without TLS',
      behaviour: 'plain',
      spec: { readyWithinMs: 1000 },
      line: /listens on \S+ but accepts no TLS 1\.3 handshake .* \(wrong version number\)/,
    },
    {
      what: 'listens and says nothing',
      behaviour: 'mute',
      spec: { readyWithinMs: 1000 },
      line: /listens on \S+ but accepts no TLS 1\.3 handshake .* \(no answer to the ClientHello\)/,
    },
    {
      what: 'speaks TLS 1.2 only',
      behaviour: 'old-tls',
      spec: { readyWithinMs: 1500 },
      line: /listens on \S+ but accepts no TLS 1\.3 handshake .*protocol version/,
    },
    {
      what: 'is no program',
      behaviour: 'good',
      spec: { command: { argv: ['/no/such/program'] } },
      line: /could not be started: there is no program "\/no\/such\/program"; it wrote nothing$/,
    },
    {
      what: 'is below a file',
      behaviour: 'good',
      spec: { command: { argv: ['/etc/hosts/program'] } },
      line: /could not be started: there is no program "\/etc\/hosts\/program"; it wrote nothing$/,
    },
    {
      what: 'is a line that the shell does not understand',
      behaviour: 'good',
      spec: { command: { shell: 'no-such-program --now' } },
      line: /could not be started: the command "no-such-program --now" ended with exit code 127; its last lines: .*not found/,
    },
  ];
  for (const { what, behaviour, spec, line } of mistakes) {
    it(`is refused in one line if it ${what}`, async () => {
      count += 1;
      const whole = stubSpec(`stub-${count}`, addresses.next(), identity, behaviour, spec);
      const instance = prepareInstance(run, whole, context);
      instances.push(instance);
      const error = await instance
        .start()
        .then(() => instance.ready())
        .then(
          () => null,
          (reason: unknown) => reason as Error,
        );
      expect(error).to.be.instanceOf(UsageError);
      expect(error!.message).to.match(/^stub-\d+ /);
      expect(error!.message).to.match(line);
      expect(error!.message).to.not.match(/\p{Cc}/u);
      await instance.remove();
      expect(existsSync(join(run.folder, whole.name))).to.equal(false);
    });
  }

  it('is not started where another process listens, unless that is what is tested', async () => {
    const first = prepare('good');
    await first.start();
    await first.ready();
    const second = prepare('good', { listen: first.address });
    const error = await second.start().then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    // That is nothing that the node did.
    expect(error).to.be.instanceOf(TroubleError);
    expect(second.failure).to.equal(null);
    expect(error!.message).to.match(/^stub-\d+ cannot be started: another process listens on 127\./);
    const third = prepare('good', { listen: first.address, addressMayBeInUse: true });
    await third.start();
    expect(await third.ended()).to.include({ code: 2 });
    expect(third.failure).to.match(/listen: EADDRINUSE/);
  });

  it('is not to blame where this host can make no process', async () => {
    const stub = prepare('good', { command: { argv: [...stubArgv('good'), 'x'.repeat(4_000_000)] } });
    const error = await stub.start().then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    expect(error).to.be.instanceOf(TroubleError);
    expect(error!.message).to.match(/^stub-\d+ could not be started on this host: E2BIG$/);
    expect([stub.state, stub.failure]).to.deep.equal(['planned', null]);
  });

  it('is not said to stand still when it has just ended', async () => {
    const stub = prepare('good');
    await stub.start();
    await stub.ready();
    // In the same turn: the kernel knows that it has ended, and we have not been told.
    process.kill(stub.pid!, 'SIGKILL');
    while (membersOf(stub.pid!).size > 0);
    const outcome = await stub.pause().catch((error: Error) => error.message);
    expect(outcome).to.match(/^stub-\d+ has ended: nothing is left to get SIGSTOP$/);
  });
});
