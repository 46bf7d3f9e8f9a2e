/**
 * Outlives a harness that is killed: a shell that waits on a pipe, and at its end has the run's things removed from the engine.
 * Costs a megabyte while all goes well. What it misses, because it was killed too, the next sweep finds by its label.
 */

import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type Docker from 'dockerode';
import { waitingShell } from '../../watchdog.ts';
import { removeRun } from './leftovers.ts';

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

/** Removes everything of the run and lets the watchdog go; where something would not go, it stays and tries again when we are gone. */
export async function removeWatched(docker: Docker, runId: string, watchdog: EngineWatchdog): Promise<void> {
  await removeRun(docker, runId);
  await watchdog.dismiss();
}

export function watchOverRun(runId: string): EngineWatchdog {
  const env = Object.fromEntries(
    variables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  return waitingShell(script, [process.execPath, '--import', loader, program, runId], env);
}
