#!/usr/bin/env bash
# Installs what the tests need and a bare machine lacks: the real Toxiproxy, a container engine. Changes nothing that is already
# there, and fails where a test could not run for real; exit 3 where this machine cannot have it. The gate then sets CLE_UNPREPARED,
# without which such a test fails in CI (harness/test/prerequisite.ts).
set -uo pipefail
cd "$(dirname "$0")/.."
bash ci/install-toxiproxy.sh
toxiproxy=$?
bash ci/install-docker.sh
docker=$?
[ "$toxiproxy" -ne 0 ] && exit "$toxiproxy"
exit "$docker"
