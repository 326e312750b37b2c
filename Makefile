# Every target is a name; the work is in hack/*.sh, each runnable alone.
SHELL := /bin/sh
.DEFAULT_GOAL := build
.PHONY: build run test check bench fuzz soak soak-dnscache images cluster cluster-down test-cluster test-conformance soak-cluster clean help

build: ## build bin/kubedns, bin/dnscache and bin/exechealthz
	@./hack/build.sh

run: build ## start the whole addon on loopback and ask it a few names (ONCE=1 ends after the answers)
	@./hack/run.sh

test: ## every test: unit, conformance, end to end with a real API server
	@./hack/test.sh

check: ## formatting, linters, import rules, module files, race-enabled unit tests
	@./hack/check.sh

bench: build ## CPU, memory and delays beside dnsmasq, unbound and CoreDNS, as ratios
	@./hack/bench.sh

fuzz: ## every fuzz target for FUZZTIME each (default 30s)
	@./hack/fuzz.sh

soak: ## the churn test for SOAK (default 8h): changes, API server faults and queries without end
	@./hack/soak.sh

soak-dnscache: build ## dnscache at full rate while its servers fail, for SOAK (default 20m)
	@./hack/soak-dnscache.sh

images: ## make the three images as archives in dist/
	@./hack/images.sh

cluster: ## bring up a one-node cluster on this machine with the addon installed (root, Linux)
	@./hack/cluster/up.sh

cluster-down: ## take that cluster down
	@./hack/cluster/down.sh

test-cluster: ## bring a cluster up, test the addon on it, take it down (root, Linux)
	@./hack/test-cluster.sh

test-conformance: ## Kubernetes' own DNS specs on such a cluster, IPv4 first and IPv6 first (root, Linux)
	@./hack/test-conformance.sh

soak-cluster: ## long outages, hundreds of pods and kills again and again on such a cluster, for SOAK (default 12m) and some 8 minutes
	@SOAK=$${SOAK:-12m} TIMEOUT=$${TIMEOUT:-45m} ./hack/test-cluster.sh

clean: ## remove what the build made
	rm -rf bin dist

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
