#!/usr/bin/env bash
# Everything that a reviewer should not have to say: form, vet, stale generated
# code and an untidy go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."

files=$(git ls-files '*.go')
unformatted=$(gofmt -l $files)
if [ -n "$unformatted" ]; then
  echo "not gofmt-ed:"; echo "$unformatted"; exit 1
fi

go vet ./...
go vet -tags e2e ./agent/... ./e2e/...
go mod tidy -diff
bin/tools/golangci-lint run --concurrency 2 ./...

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
scripts/proto.sh "$fresh"
committed=$(cd proto && find . -name '*.pb.go' | sort)
generated=$(cd "$fresh" && find . -name '*.pb.go' | sort)
if [ "$committed" != "$generated" ] || ! (cd "$fresh" && for f in $generated; do cmp "$f" "$OLDPWD/proto/$f"; done); then
  echo "stale generated code: run make proto, and remove what has no .proto any more"; exit 1
fi

# What a released version reads and writes stays readable: no field is renumbered.
bin/tools/buf breaking proto --against proto/baseline.binpb
