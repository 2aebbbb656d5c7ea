#!/usr/bin/env bash
# Measures the platform beside its floors. CHECK=1 fails when a goal is missed by
# more than its tolerance; OUT=FILE keeps the figures as JSON.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" -ne 0 ]; then
  echo "make bench runs containers: run it as root" >&2
  exit 1
fi
arguments=()
[ "${CHECK:-0}" = 1 ] && arguments+=(-check)
[ -n "${OUT:-}" ] && arguments+=(-o "$OUT")
exec go run ./bench "${arguments[@]}" "$@"
