#!/usr/bin/env bash
# Everything that a reviewer should not have to say: form, vet, stale generated
# code and an untidy go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l $(git ls-files '*.go'))
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
# The compiler's own version is in a comment; the code must be the same.
strip() { sed -E '/^\/\/ *-? *protoc/d' "$1"; }
for f in "$fresh"/runway/v1/*.pb.go; do
  committed=proto/runway/v1/$(basename "$f")
  if ! diff -q <(strip "$f") <(strip "$committed") >/dev/null; then
    echo "stale generated code: $committed; run make proto"; exit 1
  fi
done
