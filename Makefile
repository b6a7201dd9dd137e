# Everything below runs from a fresh clone with Go, git, make, bash and a C compiler, and may be
# run again. `make` alone prints what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help up down build image test test-unit test-policy test-integration cover bench fuzz verify verify-generated \
	lint policy-lint policy-test chart-lint chart-test test-chart generate fmt policy-fmt clean go compiler programs browser

# Pinned in modules of their own, so that no tool decides a version of what the server links.
OPA := go tool -modfile=tools/cli/go.mod opa
# The catalog file by file: of a folder, opa would put the data below data.catalog.catalog.
POLICIES := policies/checks policies/index policies/lib policies/rules policies/params.yaml policies/catalog/*.yaml
GOTESTSUM := go tool -modfile=tools/cli/go.mod gotestsum --format standard-quiet
CONTROLLER_GEN := go tool -modfile=tools/cli/go.mod controller-gen
HELM_UNITTEST := go tool -modfile=tools/chart/go.mod helm-unittest
HELM_DOCS := go tool -modfile=tools/chart/go.mod helm-docs
GOLANGCI_LINT := go tool -modfile=tools/lint/go.mod golangci-lint

# The timeout is for a slow machine that runs several clusters; no test takes minutes by itself.
TEST_FLAGS ?= -race -timeout 30m
BENCH ?= ./internal/... ./test/bench/...
FUZZTIME ?= 10s

GENERATED := ':(glob)**/zz_generated.*' policies/schema docs/policies.md charts/plainspec/README.md charts/plainspec/files \
	charts/plainspec/values.schema.json ':(glob)charts/plainspec/templates/*-webhooks.yaml' charts/plainspec/templates/certificates.yaml
UNCOVERED := [sprintf("%s:%d", [file, lines.start.row]) | some file, report in input.files; some lines in report.not_covered]

help: ## Print the targets
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z -]+:.*## / {printf "  %-25s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

up: go ## Start a real control plane with Plainspec in front of it, and apply examples/ (CHART=1: installed by its chart)
	@go build -o bin/local ./tools/local
	@bin/local up $(if $(CHART),--chart)

down: go ## Stop what `make up` started
	@go build -o bin/local ./tools/local
	@bin/local down

build: go ## Build bin/webhook (the server) and bin/plainspec (the CLI)
	@echo "build bin/webhook bin/plainspec"
	@mkdir -p bin
	@go build -trimpath -buildvcs=auto -o bin/ ./cmd/...

image: go ## Build the server's image in bin/image, an OCI layout for amd64 and arm64
	@go run -C tools/image . --root ../..

##@ Test

# The race detector needs cgo, which an environment may have switched off.
test test-unit test-integration: export CGO_ENABLED := 1

test: compiler test-policy test-chart programs browser ## Run all tests: Rego with coverage, the chart, Go with -race, real kube-apiserver
	$(GOTESTSUM) -- $(TEST_FLAGS) ./...

test-unit: compiler ## Run the Go tests that need no cluster
	packages=$$(go list ./... | grep -v /test/) && $(GOTESTSUM) -- $(TEST_FLAGS) $$packages

test-policy policy-test: go ## Run the Rego tests; every line must be covered
	@$(OPA) test $(POLICIES)
	@$(OPA) test --coverage --threshold 100 $(POLICIES) > /dev/null || { \
		$(OPA) test --coverage $(POLICIES) | $(OPA) eval --stdin-input --format pretty '$(UNCOVERED)'; exit 1; }

test-integration: compiler programs browser ## Run the tests against the real kube-apiserver and controllers
	$(GOTESTSUM) -- $(TEST_FLAGS) ./test/...

test-chart chart-test: go ## Run the tests of the chart's templates
	@$(HELM_UNITTEST) --strict charts/plainspec

cover: go ## Print the Go coverage by function (profile in bin/cover.out)
	@mkdir -p bin
	@packages=$$(go list ./... | grep -v /test/) && $(GOTESTSUM) -- -coverprofile=bin/cover.out $$packages
	@go tool cover -func=bin/cover.out

bench: go ## Run the benchmarks (BENCH=./internal/webhook/... for some of them)
	go test -run '^$$' -bench . -benchmem $(BENCH)

fuzz: go ## Run each fuzz test for a moment (FUZZTIME=10s)
	@git grep --untracked -oE '^func Fuzz[[:alnum:]_]+' -- '*_test.go' | while IFS=: read -r file func; do \
		echo "fuzz $${func#func } in $${file%/*}"; \
		go test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) "./$${file%/*}"; \
	done

##@ Check

verify: verify-generated lint policy-lint chart-lint ## Check what CI checks besides the tests

verify-generated: generate ## Check that the generated files are committed as generated
	@git --no-pager diff --exit-code -- $(GENERATED) || { echo "generated files changed: commit what make generate wrote" >&2; exit 1; }
	@new=$$(git ls-files --others --exclude-standard -- $(GENERATED)); \
		test -z "$$new" || { echo "generated files are not committed: $$new" >&2; exit 1; }

lint: go ## Lint and check the format of the Go code
	@echo "lint Go"
	@$(GOLANGCI_LINT) run

policy-lint: go ## Check format, types and METADATA of the Rego code
	@echo "lint Rego"
	@$(OPA) fmt --list --fail policies || { echo "Rego is not formatted: run make policy-fmt" >&2; exit 1; }
	@$(OPA) check --strict --schema policies/schema/input.json --ignore checks policies
	@$(OPA) check --strict policies/checks
	@$(OPA) inspect --annotations --format json policies | $(OPA) eval --stdin-input --data policies/checks \
		--format raw --fail data.policies.checks.annotations.verdict

chart-lint: go ## Lint the chart with Helm 4 and Helm 3
	@echo "lint the chart"
	@for helm in helm4 helm3; do for values in charts/plainspec/ci/*.yaml; do \
		go tool -modfile=tools/$$helm/go.mod helm lint charts/plainspec --strict --quiet --kube-version 1.30 --values $$values; \
	done; done

##@ Write

generate: go ## Write the generated files: deep copies, schemas, parts of the chart, reference documents
	@echo "generate"
	@$(CONTROLLER_GEN) object paths=./api/...
	@$(CONTROLLER_GEN) crd paths=./api/audit/... output:crd:dir=charts/plainspec/files/crds
	@go run ./tools/generate
	@$(HELM_DOCS) --chart-search-root charts --log-level warning

fmt: policy-fmt ## Format the Go and Rego code
	@$(GOLANGCI_LINT) fmt

policy-fmt: go ## Format the Rego code
	@$(OPA) fmt --write policies

clean: ## Remove what was built here (the cluster's binaries stay in the user's cache)
	@rm -rf bin

# What every target needs, said in one line instead of a compiler's many.
go:
	@command -v go > /dev/null || { echo "go is not installed: install Go 1.26 or newer, https://go.dev/dl" >&2; exit 1; }

compiler: go
	@command -v $(firstword $(shell go env CC 2> /dev/null)) > /dev/null || { \
		echo "no C compiler: go test -race needs one, install gcc or clang, or set CC" >&2; exit 1; }

programs: go
	@echo "build the programs of the control plane that are not in the user's cache"
	@go run ./tools/programs

# The page of rejections is looked at in a real browser. On Debian, root gets it by this; elsewhere, its absence is said
# here and by the tests, which fail without it if CI is set.
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do command -v $$name > /dev/null && exit; done; \
		if test "$$(id -u)" = 0 && command -v apt-get > /dev/null; then \
			echo "install Chromium"; mkdir -p bin; \
			{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } > bin/browser.log 2>&1 || \
				echo "Chromium could not be installed (see bin/browser.log): the tests of the page will not run" >&2; \
		else echo "no Chromium: the tests of the page will not run; install the package chromium" >&2; fi
