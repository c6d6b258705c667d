SHELL := /bin/bash -o pipefail
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE_ARCH ?= amd64,arm64
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
# The time of everything in the image: the commit's, so that building it again gives the same digest
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
# Flags for every go test, as in: make test TESTFLAGS=-race
TESTFLAGS ?=
# Whether make test also runs make runners
RUNNERS ?= yes
FUZZTIME ?= 30s
SOAKFLAGS ?=
BENCHFLAGS ?=
LOCALITYFLAGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Install the chart with Helm and cert-manager, inject an ARC and a GitLab pod, and show what changed
	@echo "== Compiling the demo; the first time, Helm, cert-manager and Kubernetes' control plane follow, which takes minutes"
	@go run ./test/suite/demo

# What starts a control plane, a cluster or a node, or measures.
NEEDS_MORE := /test/(rig/(controlplane|localcluster|node)|suite/(integration|soak|demo|locality|bench/policies))$$$$

.PHONY: unit
unit: ## Run what needs no control plane, with fewer rounds of the property tests: a minute
	go test -short $(TESTFLAGS) $$(go list ./... | grep -vE '$(NEEDS_MORE)')

.PHONY: test
test: ## Run everything that needs no root: unit, property, fuzz seeds, goldens, real API server, real runner systems
	go vet ./...
	assets=$$(cd test/rig/binaries && go run .) && KUBEBUILDER_ASSETS=$$assets go test -timeout 30m $(TESTFLAGS) ./...
	cd test/rig/binaries && go test .
	cd build/image && go test -timeout 30m $(TESTFLAGS) ./...
	cd test/suite/gitops && go test -timeout 30m ./...
	cd test/suite/chart && go test -timeout 30m ./... # nothing in it runs concurrently: Helm with the race detector would be built for nothing

	@if [ "$(RUNNERS)" = yes ]; then $(MAKE) runners; fi

# Runner systems whose own code creates pods in tests: modules below test/rig.
RUNNER_MODULES := $(patsubst test/rig/%/main.go,%,$(wildcard test/rig/arc/main.go test/rig/gitlab/main.go test/rig/tekton/main.go test/rig/argo/main.go))

.PHONY: runners
runners: ## Have the runner systems' own code, built from their modules, create pods on a real API server
	cd test/rig/binaries && for module in $(RUNNER_MODULES); do go run . -module ../$$module $$module >/dev/null || exit 1; done
	assets=$$(cd test/rig/binaries && go run .) && KUBEBUILDER_ASSETS=$$assets RUNNERS=1 \
	  go test -count=1 -timeout 40m -run 'ARC|GitLab|Tekton|Argo' ./test/suite/integration
	@# With the flags that the programs are built with, so that their dependencies are compiled once.
	for module in $(RUNNER_MODULES); do \
	  (cd test/rig/$$module && go run -exec 'env CGO_ENABLED=0 GOFLAGS=-trimpath' $(GOLANGCI_LINT) run --allow-parallel-runners --config ../../../.golangci.yml .) || exit 1; \
	done

.PHONY: matrix
matrix: ## Run the API server tests at another Kubernetes, as VERSION=v1.31 (RUNNERS=1: with runners too), and record it in docs/support.md
	@case "$(origin VERSION)" in command*|environment*) ;; *) echo "name a version of Kubernetes: make matrix VERSION=v1.31" >&2; exit 2;; esac
	@assets=$$(cd test/rig/binaries && go run . -kubernetes "$$VERSION" etcd kube-apiserver) || exit 1; \
	KUBEBUILDER_ASSETS=$$assets RUNNERS=$(filter 1,$(RUNNERS)) go run ./test/suite/matrix

HELM_VERSION = $(shell cd test/suite/chart && go list -m -f '{{.Version}}' helm.sh/helm/v4)

.PHONY: helm
helm: ## Build bin/helm, in the version that the chart is tested with
	cd test/suite/chart && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$(HELM_VERSION)" -o ../../../bin/helm helm.sh/helm/v4/cmd/helm

.PHONY: build
build: ## Build bin/dagger-inject
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/dagger-inject ./cmd/dagger-inject

site/node_modules/.package-lock.json: site/package.json site/package-lock.json site/.npmrc
	cd site && npm ci --ignore-scripts --no-progress
	@touch $@

# What makes the program in the page large, and no decision slow, is compiled for its size: 4.6 MB packed instead of 4.9.
NO_INLINING := $(foreach path,k8s.io crypto net vendor github.com/fxamacker github.com/json-iterator,-gcflags=$(path)/...=-l)

.PHONY: site
site: site/node_modules/.package-lock.json ## Build the documentation with its playground as a static site, in site/dist
	mkdir -p site/generated/public
	GOOS=js GOARCH=wasm go build -trimpath $(NO_INLINING) -ldflags "-s -w -X main.version=$(VERSION)" -o site/generated/dagger-inject.wasm ./cmd/dagger-inject
	gzip -9 --no-name --stdout site/generated/dagger-inject.wasm >site/generated/public/dagger-inject.wasm.gz
	cp "$$(go env GOROOT)/lib/wasm/wasm_exec.js" site/generated/
	cd site && npm run --silent build

.PHONY: site-test
site-test: site ## Hold the playground, in Chromium, against the command line, and check the site's links and sizes
	go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o site/generated/dagger-inject ./cmd/dagger-inject
	cd site && npm run --silent test

.PHONY: image
image: ## Build bin/dagger-inject.oci.tar for IMAGE_ARCH (amd64,arm64), without a daemon, and print its digest
	cd build/image && go run . --source ../.. --output ../../bin --arch $(IMAGE_ARCH) --version $(VERSION) --revision "$(REVISION)" --created "$(SOURCE_DATE_EPOCH)"

.PHONY: archives
archives: ## Build bin/dagger-inject_VERSION_OS_ARCH for each platform, with kubectl's plugin, and krew's manifest
	go run ./build/archives --output bin --version $(VERSION) --revision "$(REVISION)" --created "$(SOURCE_DATE_EPOCH)"

.PHONY: cluster-up
cluster-up: ## Start a real one-node cluster on this machine, as root, and print how to use it
	@go run ./test/rig/node up

.PHONY: cluster-down
cluster-down: ## Remove that cluster and all it kept, also after a crash
	@go run ./test/rig/node down

.PHONY: e2e
e2e: ## Run injected pods on a real node of its own, as root, or, with KUBECONFIG set, in that cluster as it is
	@if [ -n "$$KUBECONFIG" ]; then E2E=1 go test -count=1 -timeout 60m -v $(TESTFLAGS) ./test/suite/e2e; exit; fi; \
	state=$${XDG_CACHE_HOME:-$$HOME/.cache}/dagger-inject/e2e; trap 'go run ./test/rig/node --state '$$state' down' EXIT; \
	use=$$(go run ./test/rig/node --state $$state up) && eval "$$use" && E2E=1 RUNNERS=1 E2E_NODE=$$state go test -count=1 -p 1 -timeout 60m -v $(TESTFLAGS) ./test/rig/node ./test/suite/e2e

.PHONY: golden
golden: ## Rewrite the expected outputs, the generated parts of docs, the schemas and references of policy and chart, the reasons
	go test ./cmd/dagger-inject -run 'TestGoldens|TestEngineGoldens|TestExplainGoldens|TestCheckGoldens|TestDiffGoldens|TestMigrateGoldens|TestDocsAreNotStale' -update
	go run ./cmd/dagger-inject test docs/samples/policy-repository --update
	go test ./internal/policydoc ./internal/reasondoc -update
	go test ./internal/chartdoc -update # the chart's schema contains the policy's
	go test ./test/suite/locality/report ./test/suite/bench/figures ./test/suite/bench/page ./test/suite/matrix -update
	git --no-pager diff --stat -- test/data/fixtures test/data/explain test/data/check test/data/diff test/data/migrate README.md docs charts

.PHONY: bench
bench: ## Measure requests, replicas, creations and starts, and print one table of limits (BENCHFLAGS=-quick; -help says more)
	@go run ./test/suite/bench/all $(BENCHFLAGS)

.PHONY: locality
locality: ## Measure with the real scheduler how many jobs land where their cache is
	go run ./test/suite/locality $(LOCALITYFLAGS)

.PHONY: soak
soak: ## Roll, kill, freeze, renew and upgrade the webhook while pods are created (SOAKFLAGS=-quick: in three minutes)
	go run ./test/suite/soak $(SOAKFLAGS)

# Minimizing an input that leads to new code takes up to a minute by default, in which nothing else is tried.
.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (30s)
	@for package in ./inject/rawjson ./inject/patch ./inject ./inject/engine ./inject/engine/probe ./internal/explain ./internal/migrate ./internal/terminal ./cmd/dagger-inject ./config ./webhook; do \
	  for target in $$(go test $$package -list '^Fuzz' | grep '^Fuzz'); do \
	    echo "== $$package $$target"; go test $$package -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x || exit 1; \
	  done; \
	done

.PHONY: lint
lint: ## Check formatting and workflows, and run golangci-lint
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt-clean: $$unformatted"; exit 1; }
	@unpinned=$$(grep -nE 'uses: +[^.]' .github/workflows/*.yaml | grep -vE '@[0-9a-f]{40} # v'); \
	  test -z "$$unpinned" || { echo "not pinned by a commit, with its version as a comment: $$unpinned"; exit 1; }
	go run $(ACTIONLINT)
	go run $(GOLANGCI_LINT) run --allow-parallel-runners ./...
	cd test/rig/binaries && go run $(GOLANGCI_LINT) run --allow-parallel-runners --config ../../../.golangci.yml .
	cd test/rig/certmanager && go run $(GOLANGCI_LINT) run --allow-parallel-runners --config ../../../.golangci.yml .
	cd test/suite/gitops && go run $(GOLANGCI_LINT) run --allow-parallel-runners --config ../../../.golangci.yml ./...
	cd test/suite/chart && go run $(GOLANGCI_LINT) run --allow-parallel-runners --config ../../../.golangci.yml ./...
	cd build/image && go run $(GOLANGCI_LINT) run --allow-parallel-runners --config ../../.golangci.yml ./...
	cd test/rig/images && go run $(GOLANGCI_LINT) run --allow-parallel-runners --config ../../../.golangci.yml ./...
	cd test/rig/coredns && go run $(GOLANGCI_LINT) run --allow-parallel-runners --config ../../../.golangci.yml ./...
