# shellcheck shell=bash
# Stages of a gate, sourced by `.ci/run` and `.ci/nightly`: each is a command with a time limit that counts as one test; the last
# line is the sum. Knows how stages are run, counted and shown, not which there are.
# The caller may set `informative` (stages that are printed and counted as skipped, but fail nothing), `again` (stages of real time
# on a shared machine: what fails is run once more, both are printed, and the second counts) and `enough` (seconds after which no
# informative stage starts). Exit 3 of a stage that left a verdict in its `--out` folder is `unknown`: the host could not judge, which
# is nobody's failure; of those in `prepares` it says that this machine cannot have something. Any other exit 3 is a failure: a command
# that crashes ends so, and mocha with three failing tests.
export CI=true
logs=$(mktemp -d)
# The engine that `machine` started, if it had to, goes with the gate; one that was there stays.
export CLE_DOCKERD_PID_FILE="$logs/dockerd.pid"
trap 'bash ci/install-docker.sh stop >/dev/null 2>&1; rm -rf "$logs"' EXIT
passed=0 failed=0 skipped=0 broken=''
# Exit status of the last stage that ran.
last=0
informative='' again='' enough=0 prepares=' machine '

run() { # run NAME SECONDS COMMAND…
  local name=$1 limit=$2 pid status
  shift 2
  # It must be there before anybody looks into it.
  : >"$logs/$name.log"
  touch "$logs/$name.began"
  # Into a file, not a pipe: whatever a stage might leave behind cannot keep the gate waiting for the end of its output.
  timeout --kill-after=20 "$limit" "$@" </dev/null >"$logs/$name.log" 2>&1 &
  pid=$!
  tail -n +1 -f --pid="$pid" "$logs/$name.log" &
  wait "$pid"
  status=$?
  wait $!
  return "$status"
}

unjudged() { # unjudged NAME STATUS COMMAND…: whether that exit is no failure
  local name=$1 status=$2 out='' word before='' verdict
  shift 2
  [ "$status" -eq 3 ] || return 1
  [[ "$prepares" == *" $name "* ]] && return 0
  for word in "$@"; do
    [ "$before" = --out ] && out=$word
    before=$word
  done
  for verdict in verdict conformance bench; do
    # Not older: the clock of files may stand still for a stage as short as this.
    [ -e "$out/$verdict.json" ] && ! [ "$logs/$name.began" -nt "$out/$verdict.json" ] && return 0
  done
  return 1
}

stage() { # stage NAME SECONDS COMMAND…
  local name=$1 started=$SECONDS status
  if [[ "$informative" == *" $name "* ]] && [ "$SECONDS" -gt "$enough" ]; then
    skipped=$((skipped + 1))
    echo "== $name: not run, $SECONDS s have gone by already"
    return
  fi
  echo "== $name: ${*:3}"
  run "$@"
  status=$?
  if [ "$status" -ne 0 ] && [[ "$again" == *" $name "* ]]; then
    echo "== $name: exit $status, once more"
    run "$@"
    status=$?
  fi
  last=$status
  if [ "$status" -eq 0 ]; then
    passed=$((passed + 1))
    echo "== $name: ok ($((SECONDS - started)) s)"
  elif unjudged "$name" "$status" "${@:3}" || [[ "$informative" == *" $name "* ]]; then
    skipped=$((skipped + 1))
    echo "== $name: not judged, exit $status ($((SECONDS - started)) s)"
  else
    failed=$((failed + 1))
    broken+=" $name"
    echo "== $name: FAILED, exit $status ($((SECONDS - started)) s)"
  fi
}

count() { # count LOG WORD: the number before `WORD` in mocha's summary
  grep -aoE "^ +[0-9]+ $2" "$1" 2>/dev/null | tail -n 1 | grep -oE '[0-9]+' || echo 0
}

tests() { # tests NAME: the counts of mocha in a stage's output, beside the stage's own
  passed=$((passed + $(count "$logs/$1.log" passing)))
  failed=$((failed + $(count "$logs/$1.log" failing)))
  skipped=$((skipped + $(count "$logs/$1.log" pending)))
}

# What failed once more at the end, so that whoever sees only the tail of this output sees it too.
sum() {
  local name
  [ "$failed" -eq 0 ] || {
    echo "== failed:$broken"
    for name in $broken; do
      echo "== the end of $name"
      # Of mocha's what it says of the failures, else (lint, types, any other stage) the last lines.
      sed 's/\x1b\[[0-9;]*m//g' "$logs/$name.log" >"$logs/plain"
      if grep -qE '^ *[0-9]+ failing$' "$logs/plain"; then
        sed -nE '/^ *[0-9]+ failing$/,$p' "$logs/plain" | head -n 80
      else
        tail -n 40 "$logs/plain"
      fi
    done
  }
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}
