# make check before a merge; make e2e and make torture need Python, npm, a JDK with Maven, root and /dev/fuse
# (see e2e/components/install).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build test e2e release-gate torture bench fuzz fuzz-short lint gofmt check clean

GOLANGCI_VERSION := v2.15.0
FUZZTIME ?= 60s
TEST_FLAGS ?=
E2E_CASES ?=
TORTURE_FLAGS ?=

build: ## the daemon, bin/hydrant
	go build -o bin/hydrant ./cmd/hydrant

test: ## unit and crash tests with the race detector
	go test -race -timeout 10m $(TEST_FLAGS) ./...

e2e: ## the real binary against real components
	e2e/run $(E2E_CASES)

release-gate: ## before a release, alone on the machine: Trino reads what the daemon wrote (1 GB of downloads and disk, Java 24)
	e2e/run --gate $(E2E_CASES)

torture: build ## kill -9, failing S3 and power cuts; TORTURE_FLAGS='-kills 500 -seed 1'
	cache=$$(e2e/components/install s3posix lossyfs); \
	mkdir -p "$$cache/torture"; dir=$$(mktemp -d "$$cache/torture/XXXXXX"); \
	go build -o bin/torture ./e2e/torture; \
	bin/torture -hydrant bin/hydrant -components "$$cache/bin" -dir "$$dir" $(TORTURE_FLAGS)

bench: build ## Go benchmarks and the budgets
	bench/run

# Each fuzz target in turn, FUZZTIME each: the go tool takes one target of one package at a time.
fuzz:
	go list ./... | while read -r pkg; do \
	  dir=$$(go list -f '{{.Dir}}' "$$pkg"); \
	  for f in $$(grep -hos '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | sed 's/^func //' | sort -u); do \
	    echo "== $$pkg $$f"; \
	    go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) "$$pkg" </dev/null; \
	  done; \
	done

fuzz-short:
	$(MAKE) --no-print-directory fuzz FUZZTIME=5s

gofmt:
	@out=$$(find . -name '*.go' -not -path './.git/*' -exec gofmt -l {} +); \
	if [ -n "$$out" ]; then echo "not gofmt'ed:"; echo "$$out"; exit 1; fi

lint: gofmt ## gofmt, golangci-lint (installed into the cache at first use)
	cache=$$(e2e/components/install tools); bin="$$cache/bin/golangci-lint-$(GOLANGCI_VERSION)"; \
	if [ ! -x "$$bin" ]; then \
	  echo "installing golangci-lint $(GOLANGCI_VERSION)"; \
	  tmp=$$(mktemp -d "$$cache/lint.XXXXXX"); \
	  GOBIN="$$tmp" CGO_ENABLED=0 go install -trimpath github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION); \
	  mv "$$tmp/golangci-lint" "$$bin"; rm -rf "$$tmp"; \
	fi; \
	"$$bin" run ./...

check: lint test fuzz-short

clean:
	rm -rf bin dist
