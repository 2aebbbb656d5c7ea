#!/usr/bin/env bash
# Every fuzz target, one after the other, for FUZZTIME each. The targets are read
# from the code, so that none is forgotten; one package name or more as arguments
# chooses among them. All of them run, and the script fails when one found something:
# go test has then written the input to the package's testdata/fuzz, where it stays
# as a regression test.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-30s}
parallel=${FUZZPARALLEL:-$(nproc)}
# What a target may take beyond its time: to build, to run its corpus, to minimise.
grace=${FUZZGRACE:-20m}
seconds() { awk -v t="$1" 'BEGIN { if (t !~ /^[0-9]+[smh]$/) exit 1; n = t + 0; print n * (t ~ /m$/ ? 60 : t ~ /h$/ ? 3600 : 1) }'; }
if ! bound=$(($(seconds "$time") + $(seconds "$grace"))); then
  echo "FUZZTIME and FUZZGRACE are a number and s, m or h, as 30s: got $time and $grace"; exit 2
fi

targets=$(git ls-files --cached --others --exclude-standard -- '*_test.go' |
  xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed -E 's|^(.*)/[^/]+:func (.*)$|\1 \2|' | sort)
failed=()
while read -r folder target; do
  if [ $# -gt 0 ] && [[ " $* " != *" $folder "* ]]; then continue; fi
  echo "== $folder $target"
  timeout --kill-after=30s "$bound" go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s -parallel "$parallel" "./$folder" || failed+=("$folder $target")
done <<<"$targets"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"; exit 1
fi
