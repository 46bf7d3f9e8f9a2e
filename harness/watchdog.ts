/**
 * The process that outlives a killed harness: a shell of a megabyte that waits on a pipe. When the harness is gone, however it
 * went, the pipe ends, and the watchdog ends the run's processes and removes its folder, save for the record of what a sweep has to
 * undo elsewhere. It must itself leave nothing, knows no node and no engine, and only ever touches what belongs to its one run.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';

/**
 * Lines on stdin: `+ GROUP`, `- GROUP`, `done`. At the end of the pipe without `done`: kill.
 * The environment is searched as well, because a process may have left its group, and because a child that was being spawned
 * when the harness died was never announced. Between fork and exec that child holds the pipe open itself (close-on-exec), so
 * whoever reads the end of the pipe finds every child with its environment in place.
 */
const script = `
trap '' HUP INT TERM
folder=$1
groups=' '
while read -r verb id; do
  case $verb in
    +) groups="$groups$id " ;;
    -) kept=' '; for g in $groups; do [ "$g" = "$id" ] || kept="$kept$g "; done; groups=$kept ;;
    done) exit 0 ;;
  esac
done
pass=0
while [ $pass -lt 100 ]; do
  left=0
  for g in $groups; do kill -s KILL -- "-$g" 2>/dev/null && left=1; done
  if [ -e /proc/self/environ ]; then
    for e in $(grep -lsF "CLE_CONFIG=$folder/" /proc/[0-9]*/environ); do
      p=\${e#/proc/}; kill -s KILL "\${p%/environ}" 2>/dev/null && left=1
    done
  fi
  [ $left = 0 ] && break
  pass=$((pass + 1))
  sleep 0.05
done
remove() {
  [ -e "$folder/outside" ] || { rm -rf -- "$folder" 2>/dev/null; return; }
  failed=0
  for file in "$folder"/* "$folder"/.[!.]*; do
    case $file in */outside | */run.json) ;; *) rm -rf -- "$file" 2>/dev/null || failed=1 ;; esac
  done
  return $failed
}
tries=0
while [ -e "$folder" ] && [ $tries -lt 50 ]; do
  remove && break
  tries=$((tries + 1))
  sleep 0.1
done
rmdir -- "\${folder%/*}" 2>/dev/null
exit 0
`;

export interface Watchdog {
  readonly pid: number;
  /** From now on the group dies with the harness. */
  watch(group: number): void;
  unwatch(group: number): void;
  /** Everything was cleaned up in order: the watchdog ends without touching anything. */
  dismiss(): Promise<void>;
}

/** Starts the watchdog of the run that owns `folder`. Throws where there is no `/bin/sh`. */
export function startWatchdog(folder: string): Watchdog {
  const { pid, pipe, dismiss } = waitingShell(script, [folder], {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
  });
  return {
    pid,
    watch: (group) => void pipe.write(`+ ${group}\n`),
    unwatch: (group) => void pipe.write(`- ${group}\n`),
    dismiss,
  };
}

/** A shell that outlives us. */
export interface WaitingShell {
  readonly pid: number;
  /** Its stdin, which ends with us. */
  readonly pipe: Socket;
  /** Writes `done` and waits until it has ended. */
  dismiss(): Promise<void>;
}

/** Runs a script that reads its stdin to the end and then does its work, unless the last line is `done`. Throws where there is no `/bin/sh`. */
export function waitingShell(text: string, words: readonly string[], env: NodeJS.ProcessEnv): WaitingShell {
  // A session of its own, so that the terminal's Ctrl-C does not reach it, and no folder that could not be unmounted.
  const child: ChildProcess = spawn('/bin/sh', ['-c', text, 'cle-testnet-watchdog', ...words], {
    cwd: '/',
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  if (child.pid === undefined) throw new Error('the watchdog could not be started: no /bin/sh');
  const pipe = child.stdin as Socket;
  // A watchdog that somebody killed is no reason to fail a run: the next sweep does its work.
  pipe.on('error', () => {});
  child.unref();
  pipe.unref();
  const exited = once(child, 'exit');
  return {
    pid: child.pid,
    pipe,
    async dismiss() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.ref();
      pipe.end('done\n');
      await exited;
    },
  };
}
