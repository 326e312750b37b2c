# Every target is a name; the work is in hack/*.sh, each runnable alone.
SHELL := /bin/sh
.DEFAULT_GOAL := build
.PHONY: build run test check bench fuzz e2e conformance lint tidy clean help

build: ## build bin/kubedns, bin/dnscache and bin/exechealthz
	@./hack/build.sh

run: build ## start the whole addon on loopback and ask it a few names (ONCE=1 ends after the answers)
	@./hack/run.sh

test: ## every test: unit, conformance, end to end with a real API server
	@./hack/test.sh

check: ## formatting, linters, import rules, module files, race-enabled unit tests
	@./hack/check.sh

bench: build ## CPU per query beside dnsmasq, unbound and CoreDNS, as ratios
	@./hack/bench.sh

fuzz: ## every fuzz target for FUZZTIME each (default 30s)
	@./hack/fuzz.sh

clean: ## remove what the build made
	rm -rf bin dist

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
