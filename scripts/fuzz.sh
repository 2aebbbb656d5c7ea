#!/usr/bin/env bash
# Every fuzz target, one after the other, for FUZZTIME each. The targets are read
# from the code, so that none is forgotten; folders as arguments choose among them.
# All of them run; the script fails when one found something or took far too long,
# and when nothing ran. What go test finds it writes to testdata/fuzz of the folder,
# where it stays as a regression test.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-30s}
# What a target may take beyond its time: to build, to run its corpus, to minimise.
grace=1200
seconds() { awk -v t="$1" 'BEGIN { if (t !~ /^[0-9]+[smh]$/) exit 1; n = t + 0; print n * (t ~ /m$/ ? 60 : t ~ /h$/ ? 3600 : 1) }'; }
if ! given=$(seconds "$time"); then
  echo "FUZZTIME is a number and s, m or h, as 30s: got $time"; exit 2
fi

targets=$(git ls-files --cached --others --exclude-standard -- '*_test.go' |
  xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed -E 's|^(.*)/[^/]+:func (.*)$|\1 \2|' | sort)
ran=0 failed=()
while read -r folder target; do
  if [ $# -gt 0 ] && [[ " $* " != *" $folder "* ]]; then continue; fi
  echo "== $folder $target"
  ran=$((ran + 1))
  timeout --kill-after=30s $((given + grace)) go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s "./$folder" </dev/null || failed+=("$folder $target")
done <<<"$targets"
if [ "$ran" -eq 0 ]; then
  echo "no fuzz target${*:+ in $*}"; exit 1
fi
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"; exit 1
fi
