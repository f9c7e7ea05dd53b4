# `make` or `make help` lists the targets. Tools are built once into .tools/, from the versions in internal/tools/go.mod.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TOOLS := $(CURDIR)/.tools
DISTRIBUTION := _build/otelcol-pushgateway
MODULES := . e2e internal/tools internal/tools/pushgateway internal/tools/prometheus internal/tools/deploy
LINTED := . e2e internal/tools/deploy
SOURCES := $(shell find . -name '*.go' -not -name '*_test.go' -not -path './.*' -not -path './_build/*' -not -path './e2e/*')

# How long each fuzz target runs.
FUZZTIME ?= 20s

# How many generated requests are compared with a real Pushgateway, and the seed that they depend on.
CASES ?= 10000
SEED ?= 1

# How long clients push in `make soak`. By hand, an hour is 1h.
SOAKTIME ?= 2m

# The least share of the hand-written statements, in percent, that the tests of every package must reach.
COVERAGE ?= 85

# The vulnerability database that `make vuln` reads: an https:// or file:// URL.
GOVULNDB ?= https://vuln.go.dev

# The version of chloggen that writes CHANGELOG.md, and the name of a new entry.
CHLOGGEN_VERSION := v0.29.0
ENTRY ?= $(shell git branch --show-current)

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
	go test $(RACE) -timeout 30m ./...
	go -C e2e test $(RACE) -timeout 30m ./oracle/...

.PHONY: coverage
coverage: ## Fail if the tests reach less than COVERAGE percent of a package
	internal/tools/coverage.sh $(COVERAGE)

.PHONY: e2e
e2e: build clients $(TOOLS)/pushgateway $(TOOLS)/prometheus ## Run the end-to-end tests on the built distribution
	go -C e2e test -count=1 -timeout 45m ./...

.PHONY: soak
soak: build $(TOOLS)/prometheus ## Push for SOAKTIME through outages, restarts and kill -9, and look for what is missing
	go -C e2e test -count=1 -v -timeout 0 -parallel 12 ./soak -args -time $(SOAKTIME)

.PHONY: deploy
deploy: build $(TOOLS)/promtool ## Check deploy/ with each format's own tool
	$(TOOLS)/promtool check config deploy/prometheus/prometheus.yaml
	$(TOOLS)/promtool check rules --lint=all --lint-fatal deploy/prometheus/alerts.yaml
	$(TOOLS)/promtool test rules deploy/prometheus/alerts_test.yaml
	go -C internal/tools/deploy test -count=1 ./...

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
bench: $(TOOLS)/pushgateway ## Compare decoders with others and groups with a Pushgateway, as tables of ratios
	go -C e2e run ./bench -pushgateway $(TOOLS)/pushgateway

.PHONY: bench-http
bench-http: build ## Compare whole requests with those to the otlp receiver, by the CPU time of the collector
	go -C e2e run ./bench -collector $(CURDIR)/$(DISTRIBUTION)

.PHONY: bench-export
bench-export: build ## Measure pushes on their whole way through each exporter, about ten minutes
	go -C e2e run ./bench -export $(CURDIR)/$(DISTRIBUTION)

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

.PHONY: check-license
check-license: ## Fail if a Go file or script has no license header
	internal/tools/license.sh

.PHONY: vuln
vuln: build $(TOOLS)/govulncheck ## Fail if a known vulnerability is reached from the receiver or the distribution
	@for module in . _build; do \
		echo "vuln $$module, by $(GOVULNDB)"; \
		(cd $$module && $(TOOLS)/govulncheck -db $(GOVULNDB) ./...) && continue; \
		[ $$? = 3 ] || echo "Nothing was checked. Where $(GOVULNDB) cannot be read, set GOVULNDB to a copy: https://... or file://..." >&2; \
		exit 1; \
	done

##@ Changelog

.PHONY: chlog-new
chlog-new: ## Start a changelog entry, .chloggen/ENTRY.yaml; ENTRY is the name of the branch
	internal/tools/changelog.sh new "$(ENTRY)"

.PHONY: chlog-validate
chlog-validate: ## Fail if a changelog entry is not well-formed
	internal/tools/changelog.sh validate

.PHONY: chlog-preview
chlog-preview: chlog-validate ## Show what the entries will be in CHANGELOG.md
	go run go.opentelemetry.io/build-tools/chloggen@$(CHLOGGEN_VERSION) update --config .chloggen/config.yaml --dry

.PHONY: chlog-update
chlog-update: chlog-validate ## Move the entries into CHANGELOG.md, as release VERSION
	go run go.opentelemetry.io/build-tools/chloggen@$(CHLOGGEN_VERSION) update --config .chloggen/config.yaml \
		--version $(or $(VERSION),$(error say which release, as in VERSION=v0.2.0))

##@ All of it

.PHONY: check
check: check-generated check-tidy check-license chlog-validate lint test coverage fuzz build e2e soak deploy ## Run everything that CI runs, but vuln

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
govulncheck := golang.org/x/vuln/cmd/govulncheck
mdatagen := go.opentelemetry.io/collector/cmd/mdatagen

$(TOOLS)/%: internal/tools/go.mod internal/tools/go.sum
	go -C internal/tools build -o $@ $($*)

# Each tool goes by its relative name, too.
.tools/%: $(TOOLS)/% ;

# The servers that the end-to-end tests compare with have modules of their own: their dependencies would change the tools'.
$(TOOLS)/pushgateway: internal/tools/pushgateway/go.mod internal/tools/pushgateway/go.sum
	go -C internal/tools/pushgateway build -o $@ github.com/prometheus/pushgateway

$(TOOLS)/prometheus $(TOOLS)/promtool: internal/tools/prometheus/go.mod internal/tools/prometheus/go.sum
	go -C internal/tools/prometheus build -tags remove_all_sd -o $@ github.com/prometheus/prometheus/cmd/$(@F)
