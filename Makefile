# Everything that maintainers and CI run. Tools and the test cluster are built
# on first use and kept in the cache folder, outside this tree.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION ?= $(shell git rev-parse --short=8 HEAD 2>/dev/null || echo unknown)
COMMITTED ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)
# grpcnotrace leaves out pages of gRPC's whose templates call methods by name: with
# them the linker keeps every method of the Kubernetes client, 24 MB of them.
BUILD    := CGO_ENABLED=0 go build -tags grpcnotrace -trimpath -ldflags "$(LDFLAGS)"

# make chaos, make soak
SEEDS    ?= 1
JOBS     ?= 200
REPLICAS ?= 2
SOAK     ?= 30m

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build runnerd and runnerd-agent into bin/
	@mkdir -p bin
	@$(BUILD) -o bin/ ./cmd/runnerd ./cmd/runnerd-agent

.PHONY: build-e2e
build-e2e: build ## Build the end-to-end suite as well
	@go test -c -tags e2e -o bin/e2e.test ./test/e2e
	@go test -c -tags e2e -o bin/executor.test ./pkg/executor/kubernetes

.PHONY: demo
demo: ## Run a small pipeline on a stand-in GitLab, with jobs as processes
	@scripts/prepare demo
	@echo "demo: building runnerd and its agent"
	@$(MAKE) --no-print-directory build
	@bin/runnerd demo

.PHONY: demo-cluster
demo-cluster: ## Run the same pipeline as pods on a real Kubernetes on this machine
	@scripts/prepare cluster
	@echo "demo: building runnerd and its agent"
	@$(MAKE) --no-print-directory build
	@scripts/with-cluster demo scripts/demo-cluster

##@ Develop

.PHONY: test
test: ## Run every test, with the end-to-end suite on a real Kubernetes (LONG=1: the long chaos, too)
	@scripts/prepare test
	@scripts/test

.PHONY: test-unit
test-unit: ## Run the tests that need neither a cluster nor root
	go test -race ./...

.PHONY: e2e
e2e: build-e2e ## Run the end-to-end suite alone (RUN=regexp picks tests)
	@scripts/prepare cluster
	@$(MAKE) --no-print-directory images squid-image client-image ARCHITECTURES="$$(go env GOARCH)"
	@RUNNERD_IMAGES=$(CURDIR)/dist/images scripts/with-cluster $${RUNNERD_CLUSTER_NAME:-e2e} scripts/e2e

.PHONY: conformance
conformance: build-e2e ## Run the conformance table and write docs/conformance.md
	@scripts/prepare cluster
	@RUNNERD_CONFORMANCE_REPORT=$(CURDIR)/docs/conformance.md \
		scripts/with-cluster $${RUNNERD_CLUSTER_NAME:-e2e} scripts/conformance

.PHONY: chaos
chaos: build-e2e ## Break replicas, cluster and GitLab under 200 jobs (SEEDS, JOBS, REPLICAS)
	@scripts/prepare cluster
	@RUNNERD_CHAOS_SEEDS="$(SEEDS)" RUNNERD_CHAOS_JOBS=$(JOBS) RUNNERD_CHAOS_REPLICAS=$(REPLICAS) \
		scripts/with-cluster $${RUNNERD_CLUSTER_NAME:-chaos} scripts/e2e-one '^TestChaos$$' 3h

.PHONY: soak
soak: build-e2e ## Watch a daemon with 20 jobs at a time for SOAK (30m)
	@scripts/prepare cluster
	@RUNNERD_SOAK=$(SOAK) scripts/with-cluster $${RUNNERD_CLUSTER_NAME:-soak} scripts/e2e-one '^TestSoak$$' 24h

.PHONY: bench
bench: build-e2e ## Measure latencies against bare pods, and the hot paths
	@scripts/prepare cluster
	go test -run '^$$' -bench . -benchtime 3x ./pkg/mask ./pkg/joblog
	go test -run '^$$' -bench . -cpu 1 ./pkg/policy
	@BENCH=1 scripts/with-cluster bench scripts/e2e

.PHONY: bench-cache
bench-cache: ## Measure the cache against tar, zstd, curl and zip
	@scripts/prepare bench
	@scripts/bench-cache

.PHONY: lint
lint: ## Run the linters
	go tool -modfile=tools/go.mod golangci-lint run ./...

.PHONY: fmt
fmt: ## Format the code
	go tool -modfile=tools/go.mod gofumpt -w cmd internal pkg test deploy

.PHONY: docs
docs: ## Write the parts of docs/ that come from the code anew
	go test ./cmd/runnerd -run 'TestConfigure$$|TestMigrate$$' -update

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (30s)
	@scripts/fuzz $${FUZZTIME:-30s}

##@ Cluster

.PHONY: cluster-up
cluster-up: ## Boot a single-node Kubernetes on this machine (Linux, root)
	@scripts/prepare cluster
	@"$$(test/cluster/build.sh | tail -n 1)" up

.PHONY: cluster-down
cluster-down: ## Stop it and leave nothing behind
	@"$$(test/cluster/build.sh | tail -n 1)" down

.PHONY: cluster-status
cluster-status: ## Say how it is
	@"$$(test/cluster/build.sh | tail -n 1)" status

##@ Release

ARCHITECTURES ?= amd64 arm64

.PHONY: programs
programs: ## Cross-build the programs of the images into dist/bin
	@for a in $(ARCHITECTURES); do \
		mkdir -p dist/bin/linux_$$a; \
		GOOS=linux GOARCH=$$a $(BUILD) -buildvcs=false -o dist/bin/linux_$$a/ ./cmd/runnerd ./cmd/runnerd-agent; \
	done

.PHONY: images client-image
images: programs ## Build the images with their SBOMs into dist/images (no Docker; Linux with apt)
	@cd deploy && go build -o ../bin/images ./images
	@bin/images build --version $(VERSION) --revision $(REVISION) --created $(COMMITTED) \
		--programs dist/bin --out dist/images --architectures "$(ARCHITECTURES)"

.PHONY: push
.PHONY: squid-image
squid-image: ## Build the image of the component squid, Debian's squid-openssl, into dist/images
	@cd deploy && go build -o ../bin/images ./images
	@bin/images debian --name runnerd-squid --packages "squid-openssl ca-certificates" --user 13:13 \
		--version $(VERSION) --revision $(REVISION) --created $(COMMITTED) --out dist/images --architectures "$(ARCHITECTURES)"

client-image: # for tests: what fetches through the proxy
	@bin/images debian --name client --packages "curl git python3 ca-certificates" \
		--version $(VERSION) --created $(COMMITTED) --out dist/images --architectures "$$(go env GOARCH)"

push: ## Push what `make images` has built to REGISTRY=registry.example.com/ci
	@bin/images push --from dist/images --to "$(REGISTRY)"

.PHONY: stack
stack: ## Write deploy/stack.yaml anew
	@cd deploy && go run ./stackgen stack >stack.yaml.new && mv stack.yaml.new stack.yaml

.PHONY: release
release: ## Make archives with checksums, for the platforms that it can, in dist/release
	@scripts/release $(VERSION) $(REVISION) $(COMMITTED)

.PHONY: clean
clean: ## Remove what the build left in this tree
	rm -rf bin dist
