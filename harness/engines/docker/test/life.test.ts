/** Whose fault it is when a container does not start or its end is not told; with an engine that is none, because a real one fails only by chance. */

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { expect } from 'chai';
import type Docker from 'dockerode';
import { TroubleError } from '../../../trouble-error.ts';
import { UsageError } from '../../../usage-error.ts';
import { plannedLife } from '../../life.ts';
import { type ContainerLife, endOf, start } from '../life.ts';

describe('docker: a node of which the engine has lost sight', () => {
  /** A container whose engine breaks the first waiting off, and answers the questions after it one by one. */
  const container = (waits: (number | Error)[], states: (object | Error)[]): Docker.Container => {
    const next = async (answers: unknown[]): Promise<unknown> => {
      const answer = answers.shift();
      if (answer === undefined) throw new Error('asked too often');
      if (answer instanceof Error) throw answer;
      return answer;
    };
    return {
      wait: async () => ({ StatusCode: await next(waits) }),
      inspect: async () => ({ State: await next(states) }),
    } as unknown as Docker.Container;
  };
  const hangUp = (): Error => new Error('socket hang up');
  const troubled = () => {
    const told: string[] = [];
    return { told, life: { name: 'node-1', over: false, onTrouble: (text: string) => void told.push(text) } };
  };

  it('is watched again when the engine answers, and that is told once', async () => {
    const { told, life } = troubled();
    const engine = container([hangUp(), hangUp(), 3], [hangUp(), { Running: true }, { Running: true }]);
    expect(await endOf(life, engine)).to.deep.equal({ status: 3, isSeen: true });
    expect(told).to.deep.equal(['The container engine lost sight of node-1 for a while: socket hang up']);
  });

  it('ended meanwhile, by itself or with the engine: nobody knows', async () => {
    const { told, life } = troubled();
    const engine = container([hangUp()], [{ Running: false, ExitCode: 137 }]);
    expect(await endOf(life, engine)).to.deep.equal({ status: 137, isSeen: false });
    expect(told).to.have.length(1);
  });

  it('is gone', async () => {
    const { life } = troubled();
    const gone = Object.assign(new Error('no such container'), { statusCode: 404 });
    expect(await endOf(life, container([hangUp()], [gone]))).to.deep.equal({ status: null, isSeen: false });
  });

  it('is left alone once it is given up', async () => {
    const { told, life } = troubled();
    const outcome = await endOf({ ...life, over: true }, container([hangUp()], [])).catch(
      (error: Error) => error.message,
    );
    expect(outcome).to.equal('socket hang up');
    expect(told).to.deep.equal([]);
  });
});

describe('docker: a container that does not start', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cle-docker-life-'));
  });
  afterEach(async () => {
    // Its log is opened beside the start that failed.
    while (!existsSync(join(folder, 'log'))) await delay(5);
    rmSync(folder, { recursive: true });
  });

  const lifeWith = (statusCode: number | undefined, message: string): ContainerLife => {
    const container = {
      attach: async () => {
        const stream = new PassThrough();
        stream.end();
        return stream;
      },
      start: () => Promise.reject(Object.assign(new Error(message), { statusCode, json: { message } })),
    };
    const dataDir = join(folder, 'data');
    mkdirSync(dataDir);
    const docker = { modem: { demuxStream: () => {} } } as unknown as Docker;
    return {
      ...plannedLife({
        name: 'node-1',
        address: '127.0.0.1:1',
        files: { folder, dataDir, configFile: join(folder, 'cle.yaml'), tempDir: folder },
        logFile: join(folder, 'log'),
        stderrFile: null,
        readyWithinMs: 1_000,
        context: createSecureContext(),
        onState: () => {},
        probePauseMs: () => 15,
      }),
      ground: { docker } as ContainerLife['ground'],
      ip: '127.0.0.1',
      container: container as unknown as Docker.Container,
      pid: null,
      onTrouble: () => {},
    };
  };
  const refusal = async (life: ContainerLife): Promise<Error> =>
    start(life).then(
      () => expect.fail('it was started'),
      (error: unknown) => error as Error,
    );

  it('for its own fault has failed', async () => {
    const life = lifeWith(400, 'exec: "/no/such": no such file');
    expect(await refusal(life)).to.be.instanceOf(UsageError);
    expect(life.state).to.equal('failed');
    expect(life.failure).to.match(/^node-1 could not be started: exec: "\/no\/such": no such file/);
  });

  for (const statusCode of [500, 409, undefined]) {
    it(`is no failure of the node where the engine says ${statusCode ?? 'nothing'}`, async () => {
      const life = lifeWith(statusCode, 'no space left on device');
      const error = await refusal(life);
      expect(error).to.be.instanceOf(TroubleError);
      expect(error.message).to.equal('the container engine could not start node-1: no space left on device');
      expect([life.state, life.failure]).to.deep.equal(['planned', null]);
    });
  }
});
