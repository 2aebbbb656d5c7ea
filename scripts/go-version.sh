#!/usr/bin/env bash
# Refuses a Go that is too old, naming the one that was found.
set -euo pipefail
want=1.26
if ! command -v go >/dev/null; then
  echo "runway needs Go ${want} or newer; no go command is on the PATH. Install it from https://go.dev/dl/" >&2
  exit 1
fi
have=$(go env GOVERSION | sed 's/^go//')
if [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n1)" != "$want" ]; then
  echo "runway needs Go ${want} or newer; $(command -v go) is ${have}. Install a newer one from https://go.dev/dl/" >&2
  exit 1
fi
