#!/usr/bin/env bash
# Installs what the tests need and a bare machine lacks: the real Toxiproxy. Changes nothing that is already there, and fails
# where a test could not run for real.
set -uo pipefail
cd "$(dirname "$0")/.."
bash ci/install-toxiproxy.sh
