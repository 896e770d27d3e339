# Everything a contributor runs. `make test` is what .ci/run calls, and what a
# change must pass; the targets below it are wider products of the same tests.

GO       ?= go
MODULES  := ./... ./cmd/... ./e2e/...
LINTER   := bin/golangci-lint

FUZZTIME ?= 60s
SOAKTIME ?= 3600
BENCH    ?= .

.NOTPARALLEL:
.PHONY: help test peers vet cross lint fmt unit arch test386 tests390x e2e lint-e2e interop-full lab flood soak fuzz bench mutants busy

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: peers vet cross unit arch lint-e2e ## everything a change must pass, under 10 minutes on 2 cores with the linter built

peers: ## install the programs that the tests run against, or say what is missing
	scripts/peers.sh

vet: ## go vet, all modules
	$(GO) vet $(MODULES)

cross: ## build and vet all modules for arm64, 386, macOS, Windows and FreeBSD
	scripts/cross.sh

lint: $(LINTER) ## the linters of .golangci.yml, and formatting
	$(LINTER) run $(MODULES)

fmt: $(LINTER) ## format all sources
	$(LINTER) fmt

# The linter is pinned in a module of its own, outside the users' dependency
# graph and outside the workspace. A cold build takes three to four minutes.
$(LINTER): tools/go.mod tools/go.sum
	@mkdir -p bin
	GOWORK=off CGO_ENABLED=0 $(GO) -C tools build -ldflags='-s -w' -o ../$(LINTER) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# With the race detector tests run in their brief form (dtls/cover_test.go): 150 s
# for dtls on an idle machine. Once more without it: 10000 random paths instead of
# 400, all pairs of faults instead of some, and the tests of what allocates nothing.
unit: ## all tests that need nothing but Go, with the race detector and without
	$(GO) test -race -timeout 10m ./... ./cmd/...
	$(GO) test -timeout 10m ./dtls ./record ./internal/...

arch: ## unit tests on 386 (32 bits) and s390x (big endian), a short form
	scripts/arch.sh 386 s390x

test386: ## all unit tests on 386, in full
	scripts/arch.sh full 386

tests390x: ## all unit tests on s390x, emulated
	scripts/arch.sh full s390x

# Interop cases mostly wait for a peer's timers: many at a time, on any machine.
e2e: ## the library against foreign implementations, a pairwise cover
	$(GO) test -race -count 1 -timeout 5m -parallel 16 ./e2e/...

# The linter keeps the cores busy, and e2e waits for peers. The log of the linter comes
# after that of e2e.
lint-e2e:
	@mkdir -p bin
	@$(MAKE) lint >bin/lint.log 2>&1 & lint=$$!; \
	$(MAKE) e2e; e2e=$$?; \
	wait $$lint; lint=$$?; cat bin/lint.log; \
	exit $$((lint + e2e))

interop-full: ## e2e with the whole product of suites, roles, MTUs, loss, …
	FLIGHTPATH_FULL=1 $(GO) test -count 1 -timeout 120m -parallel 32 ./e2e/interop

lab: ## narrow, lossy and silent paths in network namespaces (root, Linux); docs/mtu.md
	scripts/peers.sh lab
	$(GO) run ./e2e/lab/forgery
	$(GO) run ./e2e/lab/matrix -version 1.2 -write docs/mtu.md
	$(GO) run ./e2e/lab/matrix -version 1.3 -write docs/mtu.md
	$(GO) run ./e2e/lab/paths -write docs/mtu.md
	$(GO) run ./e2e/lab/matrix -version 1.3-only -write docs/mtu.md

flood: ## a listener among crowds of strangers, and what that costs; docs/security.md; idle machine, 2 min
	$(GO) run ./e2e/flood -write docs/security.md

busy: ## make test while two other jobs keep both cores busy
	scripts/busy.sh $(MAKE) test

# FLIGHTPATH_SOAK=1 go test ./dtls is one round of the whole products alone.
soak: ## the whole products (FLIGHTPATH_SOAK=1) and new seeds, unit and e2e, for SOAKTIME seconds
	scripts/soak.sh $(SOAKTIME)

fuzz: ## every fuzz target in turn, FUZZTIME each
	scripts/fuzz.sh $(FUZZTIME)

bench: ## the library's benchmarks
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

mutants: ## small faults in the library, one at a time: which does no test find?
	$(GO) run ./e2e/mutants
