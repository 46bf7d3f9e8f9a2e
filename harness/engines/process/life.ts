/**
 * The lives of one node as operating-system processes: started in a group of their own, ended and frozen by signals, each proved by
 * the kernel's word. What every life is, is in `../life.ts`.
 */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Receipt } from '../../engine.ts';
import { membersOf, signalGroup } from '../../os-process.ts';
import { complaintOf, type Run } from '../../run-record.ts';
import { TroubleError } from '../../trouble-error.ts';
import type { Exit } from '../failure.ts';
import {
  beginAnew,
  type EndSignal,
  endBy,
  fail,
  hasEnded,
  hasFrozen,
  hasStarted,
  type Life,
  noteStart,
} from '../life.ts';
import { isFree } from './addresses.ts';
import { endRest, launch, type NodeCommand, startError } from './launch.ts';

export interface ProcessLife extends Life {
  readonly run: Run;
  readonly command: NodeCommand;
  readonly addressMayBeInUse: boolean;
  /** How far it steps back where processors are scarce, 0 to 19. */
  readonly niceness: number;
  child: ChildProcess | null;
}

/** A group is proved to stand still, or to run again, within this. */
const freezeProofMs = 2_000;
/** How long the address of a node that has ended may stay taken, ms. */
const letGoMs = 1_000;

/** Resolves when there is a process. UsageError where its command makes none, TroubleError where this host has no room for one. */
export async function start(life: ProcessLife): Promise<void> {
  const { run, address, command, files, logFile, stderrFile, niceness } = life;
  beginAnew(life);
  if (!life.addressMayBeInUse && !(await freeSoon(address))) {
    throw new TroubleError(`${life.name} cannot be started: another process listens on ${address}`);
  }
  noteStart(life);
  const started = await launch(command, files, logFile, stderrFile, niceness).catch((error: unknown) => {
    const itsOwn = startError(error as NodeJS.ErrnoException, command);
    if (itsOwn !== null) throw fail(life, `could not be started: ${itsOwn}`);
    throw new TroubleError(`${life.name} could not be started on this host: ${complaintOf(error)}`);
  });
  life.child = started;
  run.adopt(started.pid);
  hasStarted(
    life,
    () => untilEnded(life, started),
    () => signalGroup(started.pid, 'SIGKILL'),
  );
}

/** Of a killed process with threads the kernel says that it has ended a moment before the last thread lets go of its sockets. */
async function freeSoon(address: string): Promise<boolean> {
  const deadline = performance.now() + letGoMs;
  while (!(await isFree(address))) {
    if (performance.now() > deadline) return false;
    await delay(10);
  }
  return true;
}

async function untilEnded(life: ProcessLife, running: ChildProcess): Promise<Exit> {
  const { run, command, files } = life;
  const [code, signal] = (await once(running, 'exit')) as [number | null, NodeJS.Signals | null];
  const ended: Exit = { code, signal, at: performance.now() };
  await endRest(running.pid!, command, files);
  run.release(running.pid!);
  life.child = null;
  hasEnded(life, ended, 'shell' in command ? command.shell : null);
  return ended;
}

/** Ends the process by a signal and gives the kernel's word for it. Throws (and kills) if it does not end in time. */
export async function end(life: ProcessLife, signal: EndSignal, withinMs: number): Promise<Receipt> {
  const pid = runningProcess(life).pid!;
  const receipt = await endBy(life, signal, withinMs, (sent) => {
    signalGroup(pid, sent);
    // A stopped process gets its SIGTERM only when it goes on.
    if (life.state === 'paused') signalGroup(pid, 'SIGCONT');
  });
  return { ...receipt, evidence: { pid, ...receipt.evidence, processesLeft: membersOf(pid).size } };
}

/** Stops or continues the whole group and waits until the kernel says so of every member. Throws where nobody is left in it. */
export async function freeze(life: ProcessLife, frozen: boolean): Promise<Receipt> {
  const { name } = life;
  const signal = frozen ? 'SIGSTOP' : 'SIGCONT';
  const pid = runningProcess(life).pid!;
  signalGroup(pid, signal);
  const deadline = performance.now() + freezeProofMs;
  let states = membersOf(pid);
  while ([...states.values()].some((letter) => (letter === 'T') !== frozen)) {
    if (performance.now() > deadline) {
      // The signal is delivered some time, and nobody would take it back.
      if (frozen) signalGroup(pid, 'SIGCONT');
      throw new Error(`${name} did not react to ${signal}: ${[...states.values()].join('')}`);
    }
    await delay(2);
    states = membersOf(pid);
  }
  if (states.size === 0) throw new Error(`${name} has ended: nothing is left to get ${signal}`);
  hasFrozen(life, frozen);
  return {
    at: performance.now(),
    what: `${name} ${frozen ? 'stopped' : 'continued'} by ${signal}`,
    evidence: { pid, kernelStates: [...states.values()].join('') },
  };
}

function runningProcess(life: ProcessLife): ChildProcess {
  if (life.child === null) throw new Error(`${life.name} is not running`);
  return life.child;
}
