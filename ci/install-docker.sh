#!/usr/bin/env bash
# A container engine for the tests. Without an argument: does nothing where one answers, else installs Docker (as root, with apt)
# and starts it in the background. `stop` ends the one that was started here, and no other. Needs no terminal and no input.
# Exit 3: this machine cannot have one, for the reason on stderr; the tests that need it are then skipped and say so.
set -uo pipefail

# Who we started is kept where the next call finds it.
pid_file="${CLE_DOCKERD_PID_FILE:-${TMPDIR:-/tmp}/cle-testnet-dockerd.pid}"
log_file="${pid_file%.pid}.log"

say() { echo "install-docker: $*" >&2; }

answers() { # asks without the docker command, which newer packages leave out
  node -e '
    const host = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
    const at = host.startsWith("unix://") ? { socketPath: host.slice(7) } : new URL(host.replace(/^tcp:/, "http:"));
    const options = at.socketPath ? at : { host: at.hostname, port: at.port || 2375 };
    const end = (ok) => process.exit(ok ? 0 : 1);
    require("node:http")
      .get({ ...options, path: "/_ping", timeout: 3000 }, ({ statusCode }) => end(statusCode === 200))
      .on("error", () => end(false))
      .on("timeout", () => end(false));
  ' </dev/null
}

wait_for_it() { # wait_for_it SECONDS [PID]: until it answers, or the process is gone
  local deadline=$((SECONDS + $1))
  while [ "$SECONDS" -lt "$deadline" ]; do
    answers && return 0
    if [ -n "${2:-}" ] && ! kill -0 "$2" 2>/dev/null; then return 1; fi
    sleep 0.2
  done
  return 1
}

install_engine() {
  export DEBIAN_FRONTEND=noninteractive
  local options=(-y -qq --no-install-recommends -o DPkg::Lock::Timeout=120)
  # Without iptables dockerd makes no network; curl's certificates and the like it does not need.
  { timeout 300 apt-get update -qq && timeout 600 apt-get install "${options[@]}" docker.io iptables; } </dev/null >&2
}

start_engine() {
  # The packages start it themselves where a systemd runs.
  if [ -d /run/systemd/system ] && wait_for_it 20; then return 0; fi
  setsid nohup dockerd </dev/null >"$log_file" 2>&1 &
  local pid=$!
  echo "$pid" >"$pid_file"
  if wait_for_it 60 "$pid"; then return 0; fi
  say "dockerd does not come up; the end of its log:"
  tail -n 5 "$log_file" >&2
  stop_engine
  return 1
}

stop_engine() {
  [ -f "$pid_file" ] || return 0
  local pid
  pid=$(cat "$pid_file")
  # A process id that was given to somebody else meanwhile is not ours.
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    kill "$pid" 2>/dev/null
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.2
    done
    kill -9 "$pid" 2>/dev/null
  fi
  rm -f "$pid_file" "$log_file"
}

if [ "${1:-}" = stop ]; then
  stop_engine
  exit 0
fi
if answers; then
  echo "install-docker: an engine answers"
  exit 0
fi
if [ -n "${DOCKER_HOST:-}" ]; then
  say "DOCKER_HOST is $DOCKER_HOST, where no engine answers"
  exit 3
fi
if ! command -v dockerd >/dev/null 2>&1; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    say "no engine answers, and to install one takes root and apt-get"
    exit 3
  fi
  install_engine || {
    say "apt-get could not install docker.io"
    exit 3
  }
fi
if [ "$(id -u)" -ne 0 ]; then
  say "Docker is installed but does not run, and to start it takes root"
  exit 3
fi
start_engine || exit 3
echo "install-docker: an engine answers, started here"
