#!/bin/sh
# Puts the real Toxiproxy server into the cache folder, outside the checkout, and prints its path. The contract test and the
# proxy benchmark compare with it. Does nothing where it is there already. Needs Go; exit 3 where Go is missing.
set -eu

version=2.12.0
bin="${XDG_CACHE_HOME:-$HOME/.cache}/cle-testnet/bin"
server="$bin/toxiproxy-server-$version"

if [ -x "$server" ]; then
  echo "$server"
  exit 0
fi
if ! command -v go >/dev/null 2>&1; then
  echo "install-toxiproxy: Go is not installed, so toxiproxy-server $version cannot be built" >&2
  exit 3
fi

# Two runs at once build into folders of their own; the last rename wins, and both are the same.
mkdir -p "$bin"
build=$(mktemp -d "$bin/build.XXXXXX")
trap 'rm -rf "$build"' EXIT INT TERM
# A plain `go install` would report the version "git".
GOBIN="$build" CGO_ENABLED=0 go install \
  -ldflags="-s -w -X github.com/Shopify/toxiproxy/v2.Version=$version" \
  "github.com/Shopify/toxiproxy/v2/cmd/server@v$version" >&2
mv "$build/server" "$server"
echo "$server"
