#!/usr/bin/env bash
# Stops the demo and removes every trace of it. Safe to run when there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/demo-env.sh
[ -d "$demo_dir" ] || { echo "there is no demo to stop"; exit 0; }
[ -x bin/runway ] || make --no-print-directory build
bin/runway dev remove --data-dir "$demo_dir"
echo "removed the demo"
