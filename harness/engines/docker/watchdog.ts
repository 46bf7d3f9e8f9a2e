/**
 * Outlives a harness that is killed: a shell that waits on a pipe, and at its end has the run's things removed from the engine.
 * Costs a megabyte while all goes well. What it misses, because it was killed too, the next sweep finds by its label.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { fileURLToPath, pathToFileURL } from 'node:url';

const script = `
trap '' HUP INT TERM
read -r word
[ "$word" = done ] && exit 0
exec "$@"
`;

const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const program = fileURLToPath(new URL('./clean-up.ts', import.meta.url));
/** What it takes to find the engine, and nothing else. */
const variables = [
  'PATH',
  'HOME',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'DOCKER_HOST',
  'DOCKER_CERT_PATH',
  'DOCKER_TLS_VERIFY',
];

export interface EngineWatchdog {
  /** Everything was removed in order. */
  dismiss(): Promise<void>;
}

export function watchOverRun(runId: string): EngineWatchdog {
  const cleanUp = [process.execPath, '--import', loader, program, runId];
  const child: ChildProcess = spawn('/bin/sh', ['-c', script, 'cle-testnet-watchdog', ...cleanUp], {
    cwd: '/',
    env: Object.fromEntries(
      variables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  if (child.pid === undefined) throw new Error('the watchdog could not be started: no /bin/sh');
  const pipe = child.stdin as Socket;
  pipe.on('error', () => {});
  child.unref();
  pipe.unref();
  const exited = once(child, 'exit');
  return {
    async dismiss() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.ref();
      pipe.end('done\n');
      await exited;
    },
  };
}
