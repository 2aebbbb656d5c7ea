#!/usr/bin/env bash
# Generates Go from proto/runway/v1 into the named folder (proto), with the plugins
# pinned in go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-proto}
plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
go build -o "$plugins/" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
PATH="$plugins:$PATH" bin/tools/buf generate proto --template proto/buf.gen.yaml -o "$out"
