# Runway. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO      ?= go
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
SOURCES := $(shell find . \( -name '*.go' -o -name '*.tmpl' \) -not -name '*_test.go' -not -path './tools/*' 2>/dev/null) go.mod go.sum

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(BIN)/runway $(BIN)/runwayctl ## bin/runway and bin/runwayctl

$(BIN)/runway: $(SOURCES) | go-version
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/runway

$(BIN)/runwayctl: $(SOURCES) | go-version
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/runwayctl

demo: ## install what is missing, start `runway dev`, deploy examples/hello and ask it
	@scripts/prerequisites.sh
	@$(MAKE) --no-print-directory build
	@scripts/demo.sh

demo-stop: ## stop the demo and remove every trace of it
	@scripts/demo-stop.sh

unit: | go-version ## the fast tests, no root needed
	$(GO) test -shuffle=on ./...

race: | go-version ## the fast tests under the race detector
	$(GO) test -race -shuffle=on ./...

e2e: build ## end to end on real containerd, as root
	@scripts/prerequisites.sh test
	@$(MAKE) --no-print-directory $(BIN)/tools/nerdctl
	$(GO) test -tags e2e -count=1 -timeout 30m -p 1 ./agent/... ./e2e/...

test: export STORMS ?= 2000
test: ## everything: lint, fast tests under the race detector, STORMS random storms, end to end
	@scripts/prerequisites.sh test
	@$(MAKE) --no-print-directory lint race
	$(GO) test -count=1 -timeout 20m -run '^TestStorm_' ./coordinator/simulation -seeds $(STORMS)
	@$(MAKE) --no-print-directory e2e

fuzz: export FUZZTIME ?= 30s
fuzz: | go-version ## every fuzz target for FUZZTIME, one after the other
	@scripts/fuzz.sh

lint: $(BIN)/tools/golangci-lint $(BIN)/tools/buf | go-version ## gofmt, vet, stale generated code, untidy go.mod
	@scripts/lint.sh

proto: $(BIN)/tools/buf ## generate Go from proto/
	@scripts/proto.sh

docs: | go-version ## make the reference pages of docs/ from the code
	@scripts/docs.sh

bench: build ## benchmarks as ratios in one run; CHECK=1 fails when a goal is missed
	@scripts/prerequisites.sh
	@scripts/bench.sh

bench-rolling: export DEPLOYMENTS ?= 50
bench-rolling: export REQUESTS ?= 1000000
bench-rolling: export RATE ?= 2000
bench-rolling: build ## REQUESTS over DEPLOYMENTS by clients that never retry; fails when one is lost
	@scripts/prerequisites.sh
	$(GO) test -tags e2e -count=1 -v -timeout 3h -run '^TestRolling_NoRequestIsLost$$' ./e2e

$(BIN)/tools/nerdctl $(BIN)/tools/grpcurl &: tools/go.mod tools/go.sum | go-version
	cd tools && $(GO) build -o ../$(BIN)/tools/ github.com/containerd/nerdctl/v2/cmd/nerdctl github.com/fullstorydev/grpcurl/cmd/grpcurl

$(BIN)/tools/golangci-lint: tools/lint/go.mod tools/lint/go.sum | go-version
	cd tools/lint && $(GO) build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/tools/buf: tools/proto/go.mod tools/proto/go.sum | go-version
	cd tools/proto && $(GO) build -o ../../$@ github.com/bufbuild/buf/cmd/buf

.PHONY: help build demo demo-stop unit race e2e test fuzz lint proto docs bench bench-rolling go-version
go-version:
	@scripts/go-version.sh
