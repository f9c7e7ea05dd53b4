# `make` or `make help` lists the targets. Tools are built once into .tools/, from the versions in internal/tools/go.mod.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TOOLS := $(CURDIR)/.tools
DISTRIBUTION := _build/otelcol-pushgateway
MODULES := . e2e internal/tools internal/tools/pushgateway internal/tools/prometheus
LINTED := . e2e
SOURCES := $(shell find . -name '*.go' -not -name '*_test.go' -not -path './.*' -not -path './_build/*' -not -path './e2e/*')

# How long each fuzz target runs.
FUZZTIME ?= 20s

# How many generated requests are compared with a real Pushgateway, and the seed that they depend on.
CASES ?= 10000
SEED ?= 1

# The race detector needs cgo, and that a C compiler.
RACE = $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v $$(go env CC) >/dev/null && echo -race)

# Nothing here shows a VCS stamp, and asking for one fails in a checkout that belongs to another user.
export GOFLAGS += -buildvcs=false

##@ Build and run

.PHONY: build
build: $(DISTRIBUTION) ## Build the distribution, _build/otelcol-pushgateway

$(DISTRIBUTION): builder-config.yaml go.mod $(SOURCES) $(TOOLS)/builder
	$(TOOLS)/builder --config builder-config.yaml

.PHONY: run
run: build ## Build the distribution and start it with configs/quickstart.yaml
	$(DISTRIBUTION) --config configs/quickstart.yaml

##@ Test

.PHONY: test
test: ## Run every test that needs only Go, with the race detector where there is a C compiler
	@$(if $(RACE),,echo "No C compiler, or cgo is off: the tests run without the race detector.")
	go test $(RACE) ./...
	go -C e2e test $(RACE) ./oracle/...

.PHONY: e2e
e2e: build clients $(TOOLS)/pushgateway $(TOOLS)/prometheus ## Run the end-to-end tests on the built distribution
	go -C e2e test -count=1 ./...

.PHONY: clients
clients: ## Install what the end-to-end tests run: apt packages as root, prom-client from npm
	e2e/clients/install.sh

.PHONY: differential
differential: $(TOOLS)/pushgateway ## Compare CASES generated requests with a real Pushgateway
	go -C e2e test -count=1 -v ./differential -args -cases $(CASES) -seed $(SEED)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each
	@grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "$$(dirname "$$file"): $$target"; \
			go -C "$$(dirname "$$file")" test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) .; \
		done; \
	done

.PHONY: bench
bench: ## Compare the decoders with others and with what pdata costs, as a table of ratios
	go -C e2e run ./bench

.PHONY: bench-http
bench-http: build ## Compare whole requests with those to the otlp receiver, by the CPU time of the collector
	go -C e2e run ./bench -collector $(CURDIR)/$(DISTRIBUTION)

##@ Source

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Run the linters
	@for module in $(LINTED); do echo "lint $$module"; (cd $$module && $(TOOLS)/golangci-lint run --config $(CURDIR)/.golangci.yml); done

.PHONY: fmt
fmt: $(TOOLS)/golangci-lint ## Format the Go files
	@for module in $(LINTED); do (cd $$module && $(TOOLS)/golangci-lint fmt --config $(CURDIR)/.golangci.yml); done

.PHONY: generate
generate: $(TOOLS)/mdatagen ## Generate code and documentation from metadata.yaml
	internal/tools/generate.sh write $(TOOLS)/mdatagen

.PHONY: check-generated
check-generated: $(TOOLS)/mdatagen ## Fail if generated files are stale
	internal/tools/generate.sh check $(TOOLS)/mdatagen

.PHONY: tidy
tidy: ## Tidy every go.mod
	@for module in $(MODULES); do echo "tidy $$module"; go -C $$module mod tidy; done

.PHONY: check-tidy
check-tidy: ## Fail if a go.mod is not tidy
	@for module in $(MODULES); do echo "tidy $$module"; go -C $$module mod tidy -diff; done

##@ All of it

.PHONY: check
check: check-generated check-tidy lint test fuzz build e2e ## Run everything that CI runs

.PHONY: clean
clean: ## Remove what was built
	rm -rf _build .tools

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The import path of each tool's main package.
builder := go.opentelemetry.io/collector/cmd/builder
golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
mdatagen := go.opentelemetry.io/collector/cmd/mdatagen

$(TOOLS)/%: internal/tools/go.mod internal/tools/go.sum
	go -C internal/tools build -o $@ $($*)

# The servers that the end-to-end tests compare with have modules of their own: their dependencies would change the tools'.
$(TOOLS)/pushgateway: internal/tools/pushgateway/go.mod internal/tools/pushgateway/go.sum
	go -C internal/tools/pushgateway build -o $@ github.com/prometheus/pushgateway

$(TOOLS)/prometheus: internal/tools/prometheus/go.mod internal/tools/prometheus/go.sum
	go -C internal/tools/prometheus build -o $@ github.com/prometheus/prometheus/cmd/prometheus
