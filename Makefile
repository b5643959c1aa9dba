.DEFAULT_GOAL := help
.PHONY: help check test test-pg e2e fuzz bench build run-demo

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

check: ## format, vet, lint, the rules of the house
	@scripts/check.sh

test: ## every test, with the race detector; says what it skipped
	@scripts/test.sh ./...

test-pg: ## the storage tests, PostgreSQL required
	@CURFEW_CI=1 scripts/test.sh ./internal/store/...

e2e: ## the whole from outside, browser and Node.js required
	@CURFEW_CI=1 scripts/test.sh ./e2e/...
	@cd e2e/clients && CURFEW_CI=1 go test -count=1 -timeout 15m ./...

fuzz: ## each fuzz target for FUZZTIME (default 20s)
	@scripts/fuzz.sh

bench: ## the benchmarks behind docs/performance.md
	@go test -run '^$$' -bench . -benchmem -timeout 60m ./...

build: ## the static binary, in bin/curfew
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/curfew ./cmd/curfew

run-demo: ## a directory, two guarded applications, one that is not, on loopback
	@go run ./cmd/curfew demo
