# `make` or `make help` lists the targets. Tools are built once into .tools/, from the versions in internal/tools/go.mod.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TOOLS := $(CURDIR)/.tools
DISTRIBUTION := _build/otelcol-pushgateway
MODULES := . e2e internal/tools internal/tools/pushgateway internal/tools/prometheus internal/tools/deploy
LINTED := . e2e internal/tools/deploy
SOURCES := $(shell find . -name '*.go' -not -name '*_test.go' -not -path './.*' -not -path './_build/*' -not -path './e2e/*') $(wildcard internal/page/assets/*)

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

# The name of a new changelog entry.
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

# Tests of the database mostly wait for it, so more of them run at once than there are processors.
TESTING := -timeout 30m -parallel 4

.PHONY: test
test: ## Run every test that needs only Go, and PostgreSQL where it is installed, with the race detector where there is a C compiler
	@$(if $(RACE),,echo "No C compiler, or cgo is off: the tests run without the race detector.")
	go test $(RACE) $(TESTING) ./...
	go -C e2e test $(RACE) $(TESTING) ./oracle/...

.PHONY: check-386
check-386: $(TOOLS)/typecheck ## Fail if a package or a test does not compile where an int has 32 bits
	GOARCH=386 CGO_ENABLED=0 $(TOOLS)/typecheck

.PHONY: test-386
test-386: ## Run the unit tests where an int has 32 bits, on a kernel that runs 386 binaries
	GOARCH=386 CGO_ENABLED=0 go test -timeout 30m ./...

# Tests that take most of the time, and reach nothing that others do not.
MODELS := Model|Concurrently|IsExact|UnderLoad|SurvivesTheStorage|TestReplicas

.PHONY: coverage
coverage: ## Fail if the tests reach less than COVERAGE percent of a package
	@mkdir -p _build
	go test $(TESTING) -skip '$(MODELS)' -coverpkg=./... -coverprofile=_build/coverage.out ./... >_build/coverage.log || { cat _build/coverage.log; exit 1; }
	internal/tools/coverage.sh $(COVERAGE) _build/coverage.out

.PHONY: e2e
e2e: build clients $(TOOLS)/pushgateway $(TOOLS)/prometheus ## Run the end-to-end tests on the built distribution
	go -C e2e test -count=1 -timeout 45m -parallel 4 ./... # They wait for processes more than they compute.

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
clients: ## Install what tests run: apt packages as root (PostgreSQL among them), prom-client and axe-core from npm
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
bench: build $(TOOLS)/pushgateway ## Compare decoders with others, groups with a Pushgateway and the stores of groups, and measure aggregates
	go -C e2e run ./bench -pushgateway $(TOOLS)/pushgateway
	go -C e2e run ./bench -stores $(CURDIR)/$(DISTRIBUTION)

.PHONY: bench-http
bench-http: build ## Compare whole requests with those to the otlp receiver, by the CPU time of the collector
	go -C e2e run ./bench -collector $(CURDIR)/$(DISTRIBUTION)

.PHONY: bench-export
bench-export: build ## Measure pushes on their whole way through each exporter, about ten minutes
	go -C e2e run ./bench -export $(CURDIR)/$(DISTRIBUTION)

##@ Source

# The linters keep their results by what a file holds, with the path of the checkout that had it first: each path has its own.
export GOLANGCI_LINT_CACHE = $(if $(HOME),$(HOME)/.cache/golangci-lint$(subst /,-,$(CURDIR)),$(CURDIR)/_build/golangci-lint)

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
	@for module in $(MODULES) internal/tools/release; do echo "tidy $$module"; go -C $$module mod tidy; done

# Not of internal/tools/release: that downloads some hundred modules for the tests of goreleaser's dependencies.
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

CHLOGGEN := $(TOOLS)/chloggen --config .chloggen/config.yaml

.PHONY: chlog-new
chlog-new: $(TOOLS)/chloggen ## Start a changelog entry, .chloggen/ENTRY.yaml; ENTRY is the name of the branch
	$(CHLOGGEN) new --filename "$(ENTRY)"

# chloggen ignores keys that it does not know, and with them what they say.
.PHONY: chlog-validate
chlog-validate: $(TOOLS)/chloggen ## Fail if a changelog entry is not well-formed
	$(CHLOGGEN) validate
	@! grep -HnvE '^(#|[[:space:]]|$$|(change_type|component|note|issues|subtext|change_logs):)' \
		$(filter-out .chloggen/config.yaml,$(wildcard .chloggen/*.yaml)) || { echo "These keys are not known." >&2; exit 1; }

.PHONY: chlog-preview
chlog-preview: chlog-validate ## Show what the entries will be in CHANGELOG.md
	$(CHLOGGEN) update --dry

##@ Release

# Which version prepare-release names, and which one the manifest names.
VERSION ?=
RELEASED = v$(shell sed -nE 's/^  version: (.+)$$/\1/p' builder-config.yaml)

GORELEASER := PATH="$(TOOLS):$$PATH" DISTRIBUTION_VERSION=$(RELEASED:v%=%) $(TOOLS)/goreleaser

.PHONY: prepare-release
prepare-release: chlog-validate ## Name VERSION in every file that does, and move the changelog entries into CHANGELOG.md
	internal/tools/release.sh prepare "$(VERSION)"
	$(CHLOGGEN) update --version "$(VERSION)"
	sed -i 's/[[:space:]]*$$//' CHANGELOG.md

.PHONY: sources
sources: $(TOOLS)/builder
	$(TOOLS)/builder --config builder-config.yaml --skip-compilation

.PHONY: release-snapshot
release-snapshot: sources $(TOOLS)/goreleaser $(TOOLS)/cyclonedx-gomod ## Build and check what a release hands out, in _dist
	$(GORELEASER) check
	$(GORELEASER) release --snapshot --clean
	internal/tools/release.sh verify _dist

.PHONY: release
release: sources $(TOOLS)/goreleaser $(TOOLS)/cyclonedx-gomod ## The same for a tag, and upload it as a draft; needs GITHUB_TOKEN
	[ "$$(git describe --tags --exact-match)" = "$(RELEASED)" ] # the version that the manifest stamps
	internal/tools/release.sh notes $(RELEASED) >_build/release-notes.md
	$(GORELEASER) release --clean --release-notes _build/release-notes.md
	internal/tools/release.sh verify _dist

##@ All of it

.PHONY: check
check: check-generated check-tidy check-license chlog-validate check-386 lint clients test coverage fuzz build e2e soak deploy ## Run what .ci/run runs

.PHONY: clean
clean: ## Remove what was built
	rm -rf _build _dist .tools

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The import path of each tool's main package.
builder := go.opentelemetry.io/collector/cmd/builder
chloggen := go.opentelemetry.io/build-tools/chloggen
golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
govulncheck := golang.org/x/vuln/cmd/govulncheck
mdatagen := go.opentelemetry.io/collector/cmd/mdatagen
typecheck := github.com/otelcol-pushgateway/pushgatewayreceiver/internal/tools/typecheck

$(TOOLS)/%: internal/tools/go.mod internal/tools/go.sum
	go -C internal/tools build -o $@ $($*)

$(TOOLS)/typecheck: internal/tools/typecheck/main.go

# Each tool goes by its relative name, too.
.tools/%: $(TOOLS)/% ;

# The servers that the end-to-end tests compare with have modules of their own: their dependencies would change the tools'.
$(TOOLS)/pushgateway: internal/tools/pushgateway/go.mod internal/tools/pushgateway/go.sum
	go -C internal/tools/pushgateway build -o $@ github.com/prometheus/pushgateway

$(TOOLS)/prometheus $(TOOLS)/promtool: internal/tools/prometheus/go.mod internal/tools/prometheus/go.sum
	go -C internal/tools/prometheus build -tags remove_all_sd -o $@ github.com/prometheus/prometheus/cmd/$(@F)

# So have the tools that build a release.
$(TOOLS)/goreleaser: internal/tools/release/go.mod internal/tools/release/go.sum
	go -C internal/tools/release build -o $@ github.com/goreleaser/goreleaser/v2

$(TOOLS)/cyclonedx-gomod: internal/tools/release/go.mod internal/tools/release/go.sum
	go -C internal/tools/release build -o $@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
